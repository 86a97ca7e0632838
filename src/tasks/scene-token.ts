/**
 * The nano language model's own pretraining: conversations about scenes whose images were never drawn.
 *
 * @since 0.1.0
 */
import { collateText, countedLabels, fitting, type Processor, visualIndex } from '../data/index.ts'
import { applyTo, at, axis, embedding, input, keys, sum, type Tensor } from '../dsl/index.ts'
import {
  adapterOf,
  embedAxis,
  type SailVl2Config,
  sailVl2From,
  sailVl2Model,
  visualAxis,
} from '../models/index.ts'
import { crossEntropyTerms, type Objective } from '../train/index.ts'
import { ints, textGraph, textValues } from '../train/internal.ts'
import type { SceneConversation } from './conversations.ts'
import { centreClasses, cornerOf } from './patches.ts'
import type { PatchLabels } from './sample.ts'

/** The rows of the scene table that each visual token adds up, one a corner: int32 `[tile, visual, 4]`. */
const sceneRows = (scenes: readonly PatchLabels[], tiles: number, visual: number): Int32Array => {
  const out = new Int32Array(tiles * visual * 4)
  // a tile without a scene reads as background everywhere
  for (let t = 0; t < tiles; t++)
    for (let p = 0; p < 4 * visual; p++) {
      const { token, corner } = cornerOf(p)
      const centre = scenes[t]?.centres[p] ?? 0
      out[(t * visual + token) * 4 + corner] = corner * centreClasses.length + centre
    }
  return out
}

/**
 * Next-token loss of the language model on conversations whose images were never drawn: in place of the encoder and the
 * adapter, each visual token is the sum of four rows of a table, one for what has its middle in each of the token's
 * patches (`centreClasses`). The table, key `probe.scene.weight`, is thrown away; what stays is a language model that can
 * use visual tokens, to which an adapter only has to translate.
 *
 * @category objectives
 */
export const sceneToken = (
  model: { readonly name: string; readonly config: SailVl2Config },
  processor: Processor,
  sizes: { readonly rows: number; readonly tokens: number },
): Objective<SceneConversation> => {
  const { rows, tokens } = sizes
  const value = sailVl2Model(model.name, model.config)
  fitting(processor, value)
  const all = { rows, tokens, images: rows }
  const visual = visualAxis(adapterOf(model.config))
  return {
    name: 'sceneToken',
    config: { kind: 'sceneToken', model: value.config, processor: processor.config, rows, tokens },
    unit: 'nats per token',
    model: value,
    own: probe,
    batch: rows,
    buckets: [all],
    terms: () => {
      const x = textGraph(rows, tokens)
      const scene = input('scene', [axis('tile', rows), visual, axis('corner', 4)], 'int32')
      const label = axis('label', 4 * centreClasses.length)
      const table: Tensor = applyTo(
        at('probe.scene')(embedding(label, embedAxis(model.config.language))),
        scene,
      )
      const visualIndices = input('visual_index', [x.batch, x.token], 'int32')
      const logits = sailVl2From(model.config, sum(table, 'corner'), { ...x, visualIndex: visualIndices })
      return crossEntropyTerms('vocab', { logits, labels: x.labels })
    },
    collate: (conversations) => {
      const text = collateText(conversations, all, processor)
      const index = visualIndex(conversations, all, processor, (c) =>
        c.scene === undefined ? [] : [visual.size],
      )
      // a conversation with nothing to learn is an error
      countedLabels(conversations, text.labels, all)
      const drawn = conversations.flatMap((c) => (c.scene === undefined ? [] : [c.scene]))
      return [
        {
          sizes: all,
          inputs: {
            ...{ ...textValues(text, all), labels: ints(text.labels, rows, tokens) },
            visual_index: ints(index, rows, tokens),
            scene: ints(sceneRows(drawn, rows, visual.size), rows, visual.size, 4),
          },
        },
      ]
    },
  }
}

/** What only a pretraining objective has and throws away: linear probes, the table of scene labels. */
export const probe = keys('probe', 'probe.**')
