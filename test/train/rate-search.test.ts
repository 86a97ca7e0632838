import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Engine, Session } from '../../src/engine/session.ts'
import { sailVl2Parts as parts } from '../../src/models/sail-vl2.ts'
import { adaLrsReducer } from '../../src/optim/index.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { decisionLine } from '../../src/run/progress.ts'
import { withoutRepeats } from '../../src/run/run-state.ts'
import { unmeasured } from '../../src/train/evaluation.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  counting,
  drained,
  programOf,
  scripted,
  stepAnswer,
  type TinySettings,
  thrown,
  tinyModel,
  tinyStage,
} from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()
const test = suite(`train: AdaLRS in a stage on ${engines.map((e) => e.name).join(' and ')}`)

const { folder, remove } = temporaryFolders('sailwright-search-')
test.after(remove)

const position = { index: 0, of: 1 }
const adaLrs = { window: 4, search: [0, 1], error: 0 } as const
const schedule = { kind: 'constant' } as const
/** A stage whose rate is so high that trials fail, and so short in its windows that there are many. */
const settings: TinySettings<string, string> = {
  ...{ name: 'search', steps: 60, rows: 2, learningRate: 3e-2, adaLrs, schedule },
  train: [parts.adapter, parts.language],
}
const recipe = pipe(
  begin({ name: 'search', seed: 4, model: tinyModel, start: fromScratch, now: 'fresh' as string }),
  next(tinyStage(settings)),
)

const decisionsOf = (events: readonly RunEvent[]): readonly EventOf<'ada-lrs'>[] =>
  events.flatMap((e) => (e.type === 'ada-lrs' ? [e] : []))
const told = (events: readonly RunEvent[]) =>
  withoutRepeats(events).flatMap((e): unknown[] =>
    e.type === 'step' ? [[e.step, e.loss, e.learningRate]] : e.type === 'ada-lrs' ? [e] : [],
  )
const running = (engine: Engine, at: string, earlier: readonly RunEvent[]) =>
  experiment(recipe, unmeasured, { checkpointEvery: 1 }).run(contextIn(at, engine, earlier))

for (const engine of engines) {
  test(`${engine.name}: killed inside trials, a search ends with the bits of one that was not`, async () => {
    const weights = (at: string) => readFile(join(at, 'checkpoints/search/model.safetensors'))
    const alone = await folder()
    const events = await firstValueFrom(running(engine, alone, []).pipe(toArray()))
    const decisions = decisionsOf(events)
    const tried = decisions.filter((d) => d.decision === 'Tried').map((d) => d.step)
    assert.ok(tried.length >= 3, `there are trials: ${tried}`)
    assert.ok(decisions.some((d) => d.decision === 'RolledBack'))
    assert.ok(decisions.some((d) => d.decision === 'Kept' || d.decision === 'Left'))
    const saved = events.flatMap((e) => (e.type === 'checkpointed' ? [e.step] : []))
    const ends = new Set(decisions.map((d) => d.step))
    assert.ok(
      saved.slice(0, -1).every((step) => ends.has(step)),
      'a checkpoint is where a window ends',
    )

    const at = await folder()
    let earlier: readonly RunEvent[] = []
    for (const step of [tried[0]! + 1, tried[1]! + 3, tried[2]! + 2]) {
      const counted = counting(engine)
      const some = await firstValueFrom(
        running(counted, at, earlier).pipe(
          takeWhile((e) => !(e.type === 'step' && e.step === step), true),
          toArray(),
        ),
      )
      await until(() => counted.open === 0)
      earlier = [...earlier, ...some]
    }
    const later = await firstValueFrom(running(engine, at, earlier).pipe(toArray()))
    assert.ok(later.findIndex((e) => e.type === 'step' && e.step === 1) < 0, 'it goes on from a checkpoint')
    assert.ok((await weights(at)).equals(await weights(alone)))
    assert.equal(told([...earlier, ...later]), told(events))
    const finalLoss = (all: readonly RunEvent[]) =>
      all.flatMap((e) => (e.type === 'stage-finished' ? [e.loss] : []))
    assert.equal(finalLoss(later), finalLoss(events))
  })

  test(`${engine.name}: what is rolled back are weights, moments and the count of steps, to the bit`, async () => {
    const stage = tinyStage({ ...settings, rows: 1, accumulate: 2, ema: 0.9 })
    const session = await orThrow(engine.load(programOf(stage), { seed: 4 }))
    const now = async () => (await orThrow(session.snapshot())).states
    let mark = await now()
    let rolledBack = 0
    let moved = 0
    let last = mark
    for await (const e of stage.run({ session, position, trainable: 1 })) {
      if (e.type === 'step') last = await now()
      if (e.type !== 'ada-lrs') continue
      const states = await now()
      if (e.decision === 'RolledBack') {
        assert.equal(states, mark)
        if (last.get('optimizer.step')!.data[0]! > mark.get('optimizer.step')!.data[0]!) moved++
        rolledBack++
      } else assert.equal(states, last, `${e.decision} changes nothing`)
      if (!(e.decision === 'Watched' && e.velocity! < 0)) mark = states
    }
    assert.ok(rolledBack >= 1)
    assert.is(moved, rolledBack, 'there was something to put back')
    await orThrow(session.close())
  })
}

/** A session whose only state is how often it was told to write. */
const remembering = (session: Session): Session & { reads: number; writes: number } => {
  const r = {
    ...session,
    reads: 0,
    writes: 0,
    read: () =>
      TE.fromIO(() => {
        r.reads++
        return new Map()
      }),
    write: () =>
      TE.fromIO(() => {
        r.writes++
      }),
  }
  return r
}

test('the rate is peak · schedule · scale, and each decision is the reducer’s', async () => {
  const lossAt = (n: number): number => Math.fround(5 * Math.exp(-n / 20))
  const steps = 48
  const linear = { kind: 'linear' } as const
  const stage = tinyStage({ ...settings, steps, schedule: linear, learningRate: 8 })
  const session = remembering(scripted(programOf(stage), (_, n) => stepAnswer(lossAt(n))))
  const [events] = await drained(stage.run({ session, position, trainable: 1 }))
  const search = adaLrsReducer({ ...adaLrs, steps })
  let state = search.start
  const want: unknown[] = []
  let [marks, rollBacks] = [1, 0]
  for (let n = 0; n < steps; n++) {
    want.push(8 * (1 - (n + 1) / steps) * state.scale)
    const { decision, state: after } = search.next(state, lossAt(n))
    if (decision._tag !== 'Wait') want.push([decision._tag, decision.step, decision.scale])
    if (decision.mark) marks++
    if (decision.rollBack) rollBacks++
    state = after
  }
  const got = events.flatMap((e): unknown[] =>
    e.type === 'step' ? [e.learningRate] : e.type === 'ada-lrs' ? [[e.decision, e.step, e.scale]] : [],
  )
  assert.equal(got, want)
  assert.ok(rollBacks > 0 && marks > 3)
  assert.equal([session.reads, session.writes], [marks, rollBacks])
})

test('a loss that is not finite is rolled back at half the rate; of weights as they were marked it ends the stage', async () => {
  const running = async (broken: (n: number) => boolean, norm = 1) => {
    const stage = tinyStage({ ...settings, steps: 40, adaLrs: { ...adaLrs, error: 0.01 } })
    const session = remembering(
      scripted(programOf(stage), (_, n) =>
        broken(n) ? stepAnswer(norm === 1 ? Number.NaN : 1, norm) : stepAnswer(5 - 0.1 * n),
      ),
    )
    return drained(stage.run({ session, position, trainable: 1 }))
  }
  for (const norm of [1, Number.NaN]) {
    const [events, totals] = await running((n) => n === 38, norm)
    const [rolled] = decisionsOf(events).filter((d) => d.decision === 'RolledBack')
    assert.equal([rolled?.step, rolled?.why, rolled?.velocity], [39, 'notFinite', null])
    assert.is(rolled!.scale, rolled!.from! / 2)
    assert.ok(
      Math.abs(totals.loss - (5 - (0.1 * (36 + 37 + 39)) / 3)) < 1e-6,
      `the mean is of finite losses: ${totals.loss}`,
    )
  }
  const { message } = await thrown(() => running((n) => n === 38 || n === 39))
  assert.match(message, /^stage 'search': at step 40 of 40 the loss is NaN/)
})

test('settings of a search are checked when the stage is made, and are part of its identity', async () => {
  const refused = async (some: TinySettings<string, string>['adaLrs']): Promise<string> =>
    (await thrown(() => tinyStage({ ...settings, ...(some === undefined ? {} : { adaLrs: some }) }))).message
  assert.match(await refused({ alpha: 1 }), /^stage 'search', adaLrs\.alpha: it is 1; give a factor above 1/)
  assert.match(await refused({ window: 30 }), /^stage 'search', adaLrs\.window: it is 30/)
  const { adaLrs: config } = tinyStage(settings).config as { adaLrs: unknown }
  assert.equal(config, { steps: 60, alpha: 3, beta: 2, lambda: 0.99, ...adaLrs })
  assert.not('adaLrs' in (tinyStage({}).config as object))
})

test('a decision on a line', () => {
  const base = { type: 'ada-lrs', stage: 's', step: 40, scale: 3, velocity: 0.0012 } as const
  assert.is(
    decisionLine({ ...base, decision: 'Tried', from: 1, against: 0.002 }),
    'step 40: AdaLRS tries × 3.00 after × 1.00 (loss falls 1.2e-3 a step, before 2.0e-3)',
  )
  assert.is(
    decisionLine({ ...base, decision: 'RolledBack', velocity: null, from: 6, why: 'notFinite' }),
    'step 40: AdaLRS rolls back the weights, to × 3.00 after × 6.00 (notFinite)',
  )
})

test.run()
