/** What a stage with moving averages is measured by: its own weights, and their averages beside them. */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Engine } from '../../src/engine/index.ts'
import { exactAnswers, heldOut } from '../../src/eval/index.ts'
import { generator } from '../../src/generation/index.ts'
import type { EventOf, RunEvent } from '../../src/run/index.ts'
import { advance, emptyRun } from '../../src/run/run-state.ts'
import {
  allOf,
  begin,
  experiment,
  fromScratch,
  loadWeights,
  next,
  nextToken,
  orThrow,
} from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  counting,
  tinyConversation,
  tinyModel,
  tinyProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()
const test = suite(`train: averages beside weights on ${engines.map((e) => e.name).join(' and ')}`)
const { folder, remove } = temporaryFolders('sailwright-averages-')
test.after(remove)

const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 32 })
const source = watched((i) => tinyConversation(900 + i), 12)
const loss = heldOut({ family: 'loss', objective, source, batches: 3, metric: 'loss' })
const share = heldOut({ family: 'share', objective, source, batches: 3 })
const answers = exactAnswers({
  generator: generator(tinyModel, tinyProcessor, { rows: 4, prompt: 32, capacity: 40 }),
  questions: {
    asked: {
      config: 'asked',
      async *open() {
        for (let i = 0; i < 4; i++)
          yield {
            example: { conversation: tinyConversation(i), question: `${i}`, expected: 'red' },
            next: i + 1,
          }
      },
    },
  },
  samples: 4,
})
const evaluation = allOf(loss, share, answers)
const recipe = pipe(
  begin({ name: 'mean', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }),
  next(tinyStage({ name: 'mean', to: 'mean', steps: 12, learningRate: 3e-2, ema: 0.9 })),
  next(tinyStage({ name: 'after', from: 'mean', steps: 2, learningRate: 0 })),
)
const running = (engine: Engine, at: string, earlier: readonly RunEvent[]) =>
  experiment(recipe, evaluation).run(contextIn(at, engine, earlier))
type Told = EventOf<'evaluated'> | EventOf<'measured'>
const told = (events: readonly RunEvent[]): readonly Told[] =>
  events.filter((e): e is Told => e.type === 'evaluated' || e.type === 'measured')
const figures = (events: readonly RunEvent[]) =>
  told(events).map((m) => [
    ...[m.stage, m.family, m.weights],
    ...(m.type === 'measured' ? [m.value] : [m.correct, m.total]),
  ])

for (const engine of engines) {
  let alone: readonly RunEvent[] = []
  test(`${engine.name}: both figures are those of the files that are left`, async () => {
    const at = await folder()
    const events = await firstValueFrom(running(engine, at, []).pipe(toArray()))
    assert.equal(
      told(events).map((m) => [m.stage, m.family, m.weights]),
      [
        ...['loss', 'share', 'asked'].map((f) => ['mean', f, undefined]),
        ...['loss', 'share', 'asked'].map((f) => ['mean', f, 'averaged']),
        ...['loss', 'share', 'asked'].map((f) => ['after', f, undefined]),
      ],
    )
    alone = events
    const stage = recipe.stages[0]!
    const session = await orThrow(engine.load(stage.program(evaluation.functions('mean')).program))
    const byHand = async (file: string): Promise<number> => {
      await orThrow(session.write(await orThrow(loadWeights(join(at, 'checkpoints/mean', file)))))
      for await (const m of loss.run(
        session,
        { name: 'mean', last: false, done: new Set() },
        contextIn(at, engine),
      ))
        if (m.type === 'measured') return m.value
      throw new Error('nothing was measured')
    }
    const [own, averaged] = [await byHand('model.safetensors'), await byHand('ema.safetensors')]
    assert.ok(Math.abs(own - averaged) > 1e-3, `${own} and ${averaged}`)
    const losses = told(events).flatMap((m) => (m.type === 'measured' ? [m.value] : []))
    // the next stage went on from the weights, not from their averages
    assert.equal(losses, [own, averaged, own])
    assert.is(events.filter((e) => e.type === 'predicted' && e.stage === 'mean').length, 4)
    await orThrow(session.close())

    const [mean, after] = events.reduce(advance, emptyRun).stages
    assert.equal(
      [mean!.evaluations.map((e) => e.family), mean!.measures.map((e) => e.family)],
      [['share', 'asked'], ['loss']],
    )
    assert.equal(
      mean!.averaged.map((e) => e.family),
      ['loss', 'share', 'asked'],
    )
    assert.is(after!.averaged.length, 0)
  })

  // what goes on is the same code on each engine
  if (engine !== engines[0]) continue
  test(`${engine.name}: stopped between the two, only what is missing is measured, and comes to the same`, async () => {
    for (const until_ of [1, 4]) {
      const at = await folder()
      let seen = 0
      const counted = counting(engine)
      const some = await firstValueFrom(
        running(counted, at, []).pipe(
          takeWhile((e) => !((e.type === 'measured' || e.type === 'evaluated') && ++seen === until_), true),
          toArray(),
        ),
      )
      await until(() => counted.open === 0)
      assert.is(told(some).length, until_)
      const later = await firstValueFrom(running(engine, at, some).pipe(toArray()))
      assert.equal(figures([...some, ...later]), figures(alone))
    }
  })
}

test.run()
