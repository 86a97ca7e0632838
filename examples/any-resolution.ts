/**
 * Wide, tall and square images, read by a nano SAIL-VL2 whose encoder keeps their shape (SAIL-VL2 §2.1, SAILViT-AnyRes):
 * three stages of alignment from the bases that ship with the package, then what each shape says.
 *
 *     sailwright run examples/any-resolution.ts --set encoder=learned
 *
 * `learned` resizes the bases' positions to each image's grid, as the paper's text has it; `rotary` is its figure; `both` is both.
 * `fixed` stretches each image to 112 × 112: as many pixels and tokens, another shape.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { anySizes, packed, processor } from 'sailwright/data'
import type { Keys } from 'sailwright/dsl'
import { exactAnswers, generator } from 'sailwright/eval'
import { nano, sailVl2Model } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import { heldOutLines, lineShapes, lines, nanoBases, nanoTokenizer } from 'sailwright/tasks'
import * as t from 'sailwright/train'

const file: t.ExperimentFile = ({ quick, seed, setting }) => {
  const positions = setting.choice('encoder', ['learned', 'both', 'rotary', 'fixed'], 'learned')
  const scale = setting.number('scale', quick ? 1 / 32 : 1, { from: 1e-3 })
  const any = positions === 'fixed' ? {} : { anyResolution: { positions } }
  const model = sailVl2Model('nano-anyres', { ...nano, vision: { ...nano.vision, ...any } })
  const { parts, image } = model
  const [reading, each] = image.patchSize ? [{ reading: anySizes(image, { most: 16 }) }, 16] : [{}, 1]
  const layout = processor(nanoTokenizer(), { image: { ...image, ...reading } })
  const sizes = { rows: 5, tokens: 120, images: 16 * each } // sixteen images, a tile or sixteen squares each
  const groups = [{ match: 'mlp1.**' }, { match: '**', learningRateMultiplier: 0.4 }]
  const stage = <const From extends string, const To extends string>(
    [from, to]: readonly [From, To],
    [train, steps, learningRate]: readonly [readonly Keys[], number, number],
  ) => {
    const drawn = { seed: `${to}/${seed}`, split: 'train', shapes: Object.values(lineShapes) } as const
    return t.supervised({
      ...{ name: to, from, to, train, learningRate, steps: Math.max(2, Math.ceil(steps * scale)) },
      objective: t.packedNextToken(model, layout, sizes),
      source: packed(lines(drawn, layout), { ...sizes, buffer: 32, processor: layout }),
      optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05, groups }),
      schedule: { kind: 'cosine', warmup: 0.1, minRatio: 0.1 },
    })
  }
  const start = { config: 'the nano bases', weights: nanoBases, fresh: parts.adapter }
  const recipe = pipe(
    t.begin({ name: 'any-resolution', seed, model, start, now: 'bases' }),
    t.next(stage(['bases', 'alignment-1'], [[parts.adapter], 200, 4e-3])),
    t.next(stage(['alignment-1', 'alignment-2'], [[parts.vision, parts.adapter], 200, 2e-3])),
    t.next(stage(['alignment-2', 'alignment-3'], [Object.values(parts), 500, 2e-3])),
  )
  const shapes = Object.entries(lineShapes)
  const questions = shapes.map(([of, shape]) => [of, heldOutLines({ seed: 'held-out', shape }, layout)])
  const samples = Math.ceil(32 * Math.min(1, 8 * scale))
  const measured = exactAnswers({
    generator: generator(model, layout, { rows: samples, images: samples * each, prompt: 48, capacity: 60 }),
    ...{ questions: Object.fromEntries(questions), samples, lastSamples: 8 * samples },
  })
  return t.experiment(recipe, measured)
}

export default file
