/**
 * The nano SAIL-VL2 on questions about images of one's own, from the bases that ship with the package.
 *
 *     sailwright run examples/own-pictures.ts --data images
 *
 * The folder `images` has images of any kind and size and a `metadata.jsonl` with a question a line:
 * `{ "file_name": "shelf.png", "question": "How many books are there?", "answer": "7" }`.
 * One image in eight is held out, with all of its questions; their answers are measured, exactly.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import type { Keys } from 'sailwright/dsl'
import { exactAnswers, generator } from 'sailwright/eval'
import { nanoBases, nanoModel, nanoProcessor } from 'sailwright/tasks'
import * as t from 'sailwright/train'

const { vision, adapter, language } = nanoModel.parts

const file: t.ExperimentFile = ({ quick, seed, setting, data }) => {
  const processor = nanoProcessor()
  const scale = setting.number('scale', quick ? 1 / 16 : 1, { from: 1e-3 })
  const [rows, tokens] = [setting.integer('rows', 16, { from: 1 }), 128]
  // an image that cannot be read, a question without an answer: set aside, and listed when the run ends
  const { onBadRow } = data
  const { train, heldOut } = d.split(data.rows(), { heldOut: 1 / 8, by: d.rowKey })
  const objective = t.nextToken(nanoModel, processor, { rows, tokens })
  const shuffled = d.shuffled(d.repeated(train), { seed, buffer: 1000 })
  const source = d.conversations(shuffled, { processor, tokens, onBadRow })
  const stage = <const From extends string, const To extends string>(
    [from, to]: readonly [From, To],
    trained: readonly Keys[],
    steps: number,
    learningRate: number,
  ) =>
    t.next(
      t.supervised({
        ...{ name: to, from, to, train: trained, objective, source, learningRate },
        steps: Math.ceil(steps * scale),
      }),
    )
  const start = { config: 'the nano bases', weights: nanoBases, fresh: adapter }
  return t.experiment(
    pipe(
      t.begin({ name: 'own-pictures', seed, model: nanoModel, start, now: 'bases' }),
      stage(['bases', 'aligned'], [adapter], 200, 4e-3),
      stage(['aligned', 'tuned'], [vision, adapter, language], 800, 1e-3),
    ),
    exactAnswers({
      generator: generator(nanoModel, processor, { rows, prompt: tokens, capacity: tokens + 32 }),
      questions: { 'held-out images': d.questions(heldOut, { processor, tokens, onBadRow }) },
      samples: 256,
    }),
  )
}

export default file
