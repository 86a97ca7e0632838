/**
 * The nano vision encoder's own pretraining: what each patch shows.
 *
 * @since 0.1.0
 */
import { noLoss, pixelValues } from '../data/index.ts'
import { at, axis, Ignored, input, linear } from '../dsl/index.ts'
import { type SailVl2Config, sailVit, sailVl2Model, vitAxes } from '../models/index.ts'
import { hash32 } from '../random/index.ts'
import { crossEntropyTerms, numberSetting, type Objective, wholeSetting } from '../train/index.ts'
import { ints, pixelInput } from '../train/internal.ts'
import type { Labelled } from './dense.ts'
import { centreClasses, patchClasses } from './patches.ts'
import { probe } from './scene-token.ts'

/**
 * What each patch shows, from two linear probes on the encoder: the thing that covers it, and the thing whose middle it
 * holds. Keys `probe.cover.*`, `probe.centre.*`. Both count the same patches: those that something covers, and a share of
 * the background.
 *
 * @param background share of the patches without anything that count; they are most of an image and soon known
 * @category objectives
 */
export const patchLabels = (
  model: { readonly name: string; readonly config: SailVl2Config },
  { background, images }: { readonly background: number; readonly images: number },
): Objective<Labelled> => {
  numberSetting('patchLabels', 'background', background)
  const tiles = wholeSetting('patchLabels', 'images', images, 1)
  const value = sailVl2Model(model.name, model.config)
  const side = model.config.vision.imageSize
  const { patch, vision } = vitAxes(model.config.vision)
  return {
    name: 'patchLabels',
    config: { kind: 'patchLabels', model: value.config, background, images },
    unit: 'nats per patch',
    model: value,
    own: probe,
    batch: tiles,
    buckets: [{ images: tiles }],
    terms: () => {
      const tile = axis('tile', tiles)
      const { channel, height, width } = vitAxes(model.config.vision)
      const seen = sailVit(model.config.vision).apply(input('pixel_values', [tile, channel, height, width]))
      const head = (name: string, classes: number) => ({
        logits: at(`probe.${name}`)(linear(vision, axis('class', classes))).apply(seen),
        labels: input(`${name}_labels`, [tile, patch], 'int32'),
      })
      return crossEntropyTerms(
        'class',
        head('cover', patchClasses.length),
        head('centre', centreClasses.length),
      )
    },
    collate: (examples) => {
      const pixels = pixelValues(
        examples.map(({ id, image }) => ({ id, images: [image] })),
        tiles,
        side,
      )
      const [cover, centre] = [0, 1].map(() => new Int32Array(tiles * patch.size).fill(noLoss)) as [
        Int32Array,
        Int32Array,
      ]
      let weight = 0
      examples.forEach(({ id, patches }, t) => {
        for (let p = 0; p < patch.size; p++) {
          const shown = patches.classes[p] !== 0 || patches.centres[p] !== 0
          const isCounted = shown || (hash32(`${id}/${p}`, 0xb9) % 1000) / 1000 < background
          const at_ = t * patch.size + p
          cover[at_] = isCounted ? patches.classes[p]! : Ignored
          centre[at_] = isCounted ? patches.centres[p]! : Ignored
          if (isCounted) weight++
        }
      })
      return [
        {
          sizes: { images: tiles },
          inputs: {
            pixel_values: pixelInput(pixels, tiles, side),
            cover_labels: ints(cover, tiles, patch.size),
            centre_labels: ints(centre, tiles, patch.size),
          },
          weight,
        },
      ]
    },
  }
}
