/**
 * Questions about images: the nano SAIL-VL2, from the bases that come with the package. Written by `sailwright new vqa`; it
 * is yours, change anything.
 *
 *     sailwright run vqa.ts --quick      a short pass, to see that everything works
 *     sailwright run vqa.ts              trains, measures, writes runs/…/report.html
 *     sailwright run vqa.ts --data my-images
 *
 * The data is a folder of images of any kind and size with a `metadata.jsonl`, a question a line:
 * `{ "file_name": "shelf.png", "question": "How many books are there?", "answer": "7" }`.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import type { Keys } from 'sailwright/dsl'
import { exactAnswers, generator } from 'sailwright/eval'
import { nanoBases, nanoModel, nanoProcessor } from 'sailwright/tasks'
import * as t from 'sailwright/train'

/** The model's parts: the encoder of images, the adapter between, the language model. */
const { vision, adapter, language } = nanoModel.parts

const file: t.ExperimentFile = ({ quick, seed, setting, data }) => {
  // what --set can say; each has a default
  const scale = setting.number('scale', quick ? 1 / 64 : 1, { from: 1e-3 }) // of the steps below
  const rows = setting.integer('rows', quick ? 4 : 16, { from: 1 }) // questions a step
  const tokens = setting.integer('tokens', 96, { from: 32 }) // a longer question with its answer is left out

  const processor = nanoProcessor()
  // what --data says, else the sample; an image that cannot be read is set aside, and the run ends with their list
  const all = data.rows('sample-questions')
  const { onBadRow } = data
  // one image in five is held out, with all of its questions
  const sides = d.split(all, { heldOut: 1 / 5, by: d.rowKey })
  const shuffled = d.shuffled(d.repeated(sides.train), { seed, buffer: 1000 })
  const source = d.conversations(shuffled, { processor, tokens, onBadRow })
  const objective = t.nextToken(nanoModel, processor, { rows, tokens })

  // two stages: first the adapter learns to translate, then everything learns
  const stage = <const From extends string, const To extends string>(
    [from, to]: readonly [From, To],
    train: readonly Keys[],
    steps: number,
    learningRate: number,
  ) =>
    t.next(
      t.supervised({
        ...{ name: to, from, to, train, objective, source, learningRate },
        steps: Math.ceil(steps * scale),
      }),
    )
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }
  return t.experiment(
    pipe(
      t.begin({ name: 'vqa', seed, model: nanoModel, start, now: 'bases' }),
      stage(['bases', 'aligned'], [adapter], 150, 4e-3),
      stage(['aligned', 'tuned'], [vision, adapter, language], 450, 1e-3),
    ),
    exactAnswers({
      generator: generator(nanoModel, processor, { rows, prompt: tokens, capacity: tokens + 32 }),
      questions: { 'held-out images': d.questions(sides.heldOut, { processor, tokens, onBadRow }) },
      samples: quick ? 8 : 256,
    }),
  )
}

export default file
