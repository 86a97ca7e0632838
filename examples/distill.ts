/**
 * A nano with half of its language model's layers learns from one that has them all: what the teacher would have said at each
 * token, in place of what the label says there.
 *
 *     npm start -- --until soup --out runs/whole
 *     sailwright run examples/distill.ts
 *
 * `--set teacher=…` names another checkpoint. `--set labels=1` learns from the labels alone, for contrast; `--set beta=1` takes the divergence the other way round.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { parametersOf } from 'sailwright/dsl'
import { exactAnswers, generator } from 'sailwright/eval'
import { openCheckpoint } from 'sailwright/formats'
import { nano, sailVl2Model } from 'sailwright/models'
import { heldOutQuestions, nanoModel, nanoProcessor, rendered } from 'sailwright/tasks'
import * as t from 'sailwright/train'

const language = { ...nano.language, layers: nano.language.layers / 2 }
const student = sailVl2Model('nano-half', { ...nano, language })

const file: t.ExperimentFile = async ({ quick, seed, setting }) => {
  const folder = setting.text('teacher', 'runs/whole/checkpoints/soup')
  const weights = await t.orThrow(openCheckpoint(folder))
  const distill = t.distillation({
    teacher: { model: nanoModel, config: folder, weights },
    beta: setting.number('beta', 0, { from: 0, to: 1 }),
    temperature: setting.number('temperature', 1, { from: 0.1 }),
    labels: setting.number('labels', 0, { from: 0, to: 1 }),
  })
  const asked = { read: 1, count: 1, chart: 1, arithmetic: 1 }
  const mixture = { seed: `distill/${seed}`, split: 'train', levels: [1, 3], weights: asked } as const
  const stage = t.supervised({
    ...{ name: 'distill', from: 'whole', to: 'half', train: Object.values(student.parts) },
    objective: t.nextToken(student, nanoProcessor(), { rows: 16, tokens: 80 }, { distill }),
    source: rendered({ mixture, captions: 0 }),
    steps: setting.integer('steps', quick ? 10 : 400, { from: 1 }),
    learningRate: setting.number('rate', 1e-3, { from: 0 }),
  })
  // its layers begin as the teacher's first; those behind them are not its own
  const own = parametersOf(student.graph())
  const start = { config: folder, weights: { ...weights, keys: weights.keys.filter((key) => own.has(key)) } }
  const held = heldOutQuestions({ seed: 'held-out', levels: [3, 3] })
  return t.experiment(
    pipe(t.begin({ name: 'distill', seed, model: student, start, now: 'whole' }), t.next(stage)),
    exactAnswers({
      generator: generator(student, nanoProcessor(), { rows: 32, prompt: 48, capacity: 80 }),
      questions: held,
      samples: quick ? 8 : 256,
    }),
  )
}

export default file
