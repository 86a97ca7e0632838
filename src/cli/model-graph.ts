/**
 * A model's forward graph from its configuration: what `summary` prints and draws. No weights are allocated.
 *
 * @since 0.1.0
 */
import { applyTo, axis, input, type Tensor } from '../dsl/index.ts'
import { causal } from '../dsl/layers/attention.ts'
import type { Preset } from '../models/presets.ts'
import { type Qwen3Context, qwen3 } from '../models/qwen3.ts'
import { sailVit, vitAxes } from '../models/sail-vit.ts'
import { sailVl2, visualTokens } from '../models/sail-vl2.ts'

// the language exports `then`, so that its namespace is a thenable and cannot be imported with `await import`
export { mermaid, showSummary, summary, summaryJson, svg } from '../dsl/index.ts'

/** The sizes that a forward graph is built at. */
export interface GraphSizes {
  /** Rows; also pictures, one a row. */
  readonly batch: number
  /** Tokens a row, the visual ones included; default 64 and the visual tokens of one picture. */
  readonly tokens?: number
}

/** The tokens of a row where none are asked for: those of one picture and 64 of text. */
export const defaultTokens = (preset: Preset): number =>
  64 + (preset.kind === 'vision-language' ? visualTokens(preset.config) : 0)

const language = (sizes: Required<GraphSizes>) => {
  const batch = axis('batch', sizes.batch)
  const token = axis('token', sizes.tokens)
  const of = (name: string): Tensor => input(name, [batch, token], 'int32')
  const context: Qwen3Context = { token, positions: of('position_ids'), mask: causal(token) }
  return { of, context }
}

/**
 * The result of a model: `[tile, patch, vision]` of an encoder, `[batch, token, vocab]` of the others.
 *
 * @throws GraphError where the configuration contradicts itself
 */
export const forwardGraph = (preset: Preset, sizes: GraphSizes): Tensor => {
  const all = { batch: sizes.batch, tokens: sizes.tokens ?? defaultTokens(preset) }
  const pictures = (vision: Parameters<typeof vitAxes>[0]): Tensor => {
    const { channel, height, width } = vitAxes(vision)
    return input('pixel_values', [axis('tile', sizes.batch), channel, height, width])
  }
  switch (preset.kind) {
    case 'vision':
      return applyTo(sailVit(preset.config), pictures(preset.config))
    case 'language': {
      const { of, context } = language(all)
      return applyTo(qwen3(preset.config, context), of('input_ids'))
    }
    case 'vision-language': {
      const { of, context } = language(all)
      return sailVl2(preset.config, {
        ...context,
        ids: of('input_ids'),
        pictures: pictures(preset.config.vision),
        visualIndex: of('visual_index'),
      })
    }
  }
}
