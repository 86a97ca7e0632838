/**
 * An experiment of every kind of stage, for tests that kill it: a model of a few thousand weights that trains on a file of
 * questions (`--set rows=`). `--set pace` holds its data back, in milliseconds an example, so that it is killed in the midst of
 * a step; `--set hold=` names a stage and a step that it never goes past, so that it is there whenever the kill comes.
 */
import { setTimeout } from 'node:timers/promises'
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import { keys } from 'sailwright/dsl'
import { type SailVl2Config, sailVl2Model } from 'sailwright/models'
import { loraKeys } from 'sailwright/optim'
import { nanoTokenizer } from 'sailwright/tasks'
import * as t from 'sailwright/train'

const tokenizer = nanoTokenizer()
const vision = { imageSize: 16, patchSize: 2, hiddenSize: 8, intermediateSize: 12, layers: 1, heads: 2 }
const text = { hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 2, kvHeads: 1, headDim: 6 }
const config: SailVl2Config = {
  vision: { ...vision, epsilon: 1e-5 },
  language: { ...text, vocabSize: tokenizer.size, ropeTheta: 100, epsilon: 1e-6, tied: true },
}
const model = sailVl2Model('survivor', config)
const { adapter, language } = model.parts
const processor = d.processor(tokenizer, { image: model.image })

const [rows, tokens, steps] = [2, 40, 12]

const file: t.ExperimentFile = ({ seed, setting }) => {
  const pace = setting.number('pace', 0, { from: 0 })
  const [holdStage, holdStep] = setting.text('hold', '').split(' ')
  const holding = (stage: t.Stage<'m', 'm'>): t.Stage<'m', 'm'> =>
    stage.name !== holdStage
      ? stage
      : {
          ...stage,
          async *run(context) {
            const events = stage.run(context)
            for (;;) {
              const { value, done } = await events.next()
              if (done) return value
              yield value
              // a timer keeps the process alive
              if (value.type === 'step' && value.step >= Number(holdStep))
                await new Promise(() => setInterval(() => undefined, 1000))
            }
          },
        }
  const held = <E>(source: d.Source<E>): d.Source<E> => ({
    config: source.config,
    async *open(place) {
      for await (const placed of source.open(place)) {
        if (pace > 0) await setTimeout(pace)
        yield placed
      }
    },
  })
  const read = d.shuffled(d.repeated(d.jsonl(setting.text('rows', 'rows.jsonl'))), { seed, buffer: 7 })
  const source = held(d.conversations(read, { processor, tokens }))
  const objective = t.nextToken(model, processor, { rows, tokens })
  const sizes = { rows, tokens: 2 * tokens, images: 1 }
  const common = { from: 'm', to: 'm', train: [language], steps, learningRate: 1e-2 } as const
  const plain = t.supervised({ ...common, name: 'plain', objective, source })
  const own: t.Stage<'m', 'm'> = {
    ...t.supervised({ ...common, name: 'own', objective, source }),
    config: { kind: 'own', steps, source: source.config },
    // plain updates in a loop of its own, at a rate that grows
    async *run({ session, position, trainable, from, checkpoint }) {
      yield {
        type: 'stage-started',
        stage: 'own',
        ...position,
        steps,
        batch: rows,
        trainable,
        parts: ['all'],
      }
      const stream = d.batchesOf(source, rows, from?.place)
      let sum = from?.tailLoss ?? 0
      try {
        for (let step = (from?.step ?? 0) + 1; step <= steps; step++) {
          const { value } = await stream.next()
          if (value === undefined) throw new Error('the data ended')
          const learningRate = 1e-3 * step
          const made = await t.update(session, objective.collate(value.examples), learningRate)
          sum += made.loss
          const counts = {
            samples: step * rows,
            tokens: made.weight,
            seconds: 1,
            dataSeconds: 0,
            computeSeconds: 1,
          }
          const { loss, gradientNorm } = made
          yield { type: 'step', stage: 'own', step, steps, loss, learningRate, gradientNorm, ...counts }
          if (checkpoint !== undefined && step % checkpoint.every === 0 && step < steps)
            yield await checkpoint.save({ step, seconds: 1, tailLoss: sum, place: value.next })
        }
      } finally {
        await stream.return(undefined)
      }
      return { loss: sum / steps, samples: steps * rows, seconds: 1 }
    },
  }
  return t.experiment(
    pipe(
      t.begin({ name: 'survivor', seed, model, start: t.fromScratch, now: 'm' }),
      t.next(holding(plain)),
      t.next(
        holding(
          t.supervised({
            ...{ ...common, name: 'packed', objective: t.packedNextToken(model, processor, sizes) },
            source: d.packed(source, { ...sizes, buffer: 6 }),
          }),
        ),
      ),
      t.next(
        holding(t.supervised({ ...common, name: 'accumulated', accumulate: 2, ema: 0.9, objective, source })),
      ),
      t.next(
        holding(
          t.supervised({
            ...{ ...common, name: 'lora', objective, source, train: [loraKeys] },
            transforms: [
              t.withLora({ rank: 2, alpha: 4, on: keys('q and v', '**.q_proj.weight', '**.v_proj.weight') }),
            ],
          }),
        ),
      ),
      t.next(
        holding(
          t.supervised({
            ...{
              ...common,
              name: 'searched',
              objective,
              source,
              train: [adapter, language],
              steps: 2 * steps,
            },
            ...{
              schedule: { kind: 'constant' },
              learningRate: 3e-2,
              adaLrs: { window: 4, search: [0, 1], error: 0 },
            },
          }),
        ),
      ),
      t.next(holding(own)),
    ),
    t.unmeasured,
    { checkpointEvery: 3 },
  )
}

export default file
