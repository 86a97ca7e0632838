import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, take, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { batchesOf } from '../../src/data/source.ts'
import { fixed, scalar } from '../../src/dsl/index.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { sailVl2Parts as parts } from '../../src/models/sail-vl2.ts'
import { adamWith, isOptimizerKey } from '../../src/optim/index.ts'
import type { EventOf } from '../../src/run/events.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { LossTerms, Sizes } from '../../src/train/objective.ts'
import { observeStage, type Stage, type StageEvent, type StageTotals } from '../../src/train/stage.ts'
import { orThrow } from '../../src/train/task.ts'
import { readWeights } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import {
  type Answer,
  drained,
  programOf,
  scripted,
  stepAnswer,
  type TinySettings,
  thrown,
  tinyConversation,
  tinyLength,
  tinyModel,
  tinyProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()
const position = { index: 1, of: 3 }

const stepsOf = (events: readonly StageEvent[]): readonly EventOf<'step'>[] =>
  events.flatMap((e) => (e.type === 'step' ? [e] : []))

const adapterProgram = programOf(tinyStage({ train: [parts.adapter] }))

/** Trains a stage whose steps are answered by a function of their number, from 0. */
const answered = (
  stage: Stage,
  answer: (n: number, inputs: Readonly<Record<string, TensorValue>>) => Answer,
) =>
  stage.run({
    session: scripted(adapterProgram, (_, n, inputs) => answer(n, inputs)),
    position,
    trainable: 1234,
  })

// --- its program ------------------------------------------------------------------------------------------

const programs = suite('train: the program of a stage')

programs('its loss is built once at each size, whatever the program is asked to have beside it', () => {
  const sizes = [{ rows: 4 }, { rows: 2 }]
  const whole = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: tinyLength })
  for (const accumulate of [1, 2]) {
    const built: Sizes[] = []
    const terms = (at: Sizes): LossTerms => {
      built.push(at)
      return whole.terms({})
    }
    const stage = tinyStage({ objective: { ...whole, buckets: sizes, terms }, accumulate })
    assert.is(built.length, 0)
    const bare = stage.program({}).program
    const beside = { more: fixed(() => ({ outputs: { one: scalar(1) } })) }
    const { program } = stage.program(beside)
    assert.equal([...program.functions.keys()], [...bare.functions.keys(), 'more'])
    assert.equal(built, sizes)
  }
})

programs.run()

// --- events -----------------------------------------------------------------------------------------------

const events = suite('train: the events of a stage')

events('its start, then each step once, in order; the mean loss of the last tenth at the end', async () => {
  const source = watched(tinyConversation)
  const stage = tinyStage({ train: [parts.adapter], source, steps: 20, rows: 3 })
  const rates: number[] = []
  const [all, totals] = await drained(
    answered(stage, (n, inputs) => {
      rates.push(inputs.learning_rate!.data[0]!)
      return stepAnswer(100 - n, n / 2)
    }),
  )
  const [first, ...steps] = all
  assert.equal(first, {
    ...{ type: 'stage-started', stage: 'tiny', index: 1, of: 3, steps: 20, batch: 3, parts: ['adapter'] },
    ...{ trainable: 1234, unit: 'nats per token' },
  })
  assert.equal(
    stepsOf(steps).map(({ step, steps: of, loss, gradientNorm, samples, tokens, stage: name }) => [
      ...[step, of, loss, gradientNorm, samples, tokens, name],
    ]),
    Array.from({ length: 20 }, (_, n) => [n + 1, 20, 100 - n, n / 2, 3 * (n + 1), 8, 'tiny']),
  )
  assert.is(steps.length, 20)
  const told = stepsOf(steps)
  told.forEach((e, i) => {
    const before = told[i - 1]
    assert.ok(before === undefined || e.seconds >= before.seconds, 'time goes on')
    assert.ok(e.dataSeconds >= 0 && e.computeSeconds >= 0)
    assert.ok(e.dataSeconds + e.computeSeconds <= e.seconds - (before?.seconds ?? 0) + 1e-6)
    assert.is(rates[i], Math.fround(e.learningRate))
  })
  const result: StageTotals = totals
  assert.is(result.loss, (82 + 81) / 2)
  assert.is(result.samples, 60)
  assert.ok(result.seconds >= told.at(-1)!.seconds)
  assert.equal(source.given.slice(0, 60), [...Array(60).keys()])
  assert.ok(source.given.length <= 61)
  assert.equal([source.opened, source.closed], [1, 1])
})

events(
  'the rates are the schedule’s: a warm-up without a lost step, and its last factor at the end',
  async () => {
    const rates = async (stage: Stage): Promise<readonly number[]> =>
      stepsOf((await drained(answered(stage, () => stepAnswer(1))))[0]).map((e) => e.learningRate)
    const near = (got: readonly number[], want: readonly number[]): void => {
      assert.is(got.length, want.length)
      got.forEach((x, i) => {
        assert.ok(Math.abs(x - want[i]!) < 1e-12, `${got} for ${want}`)
      })
    }
    const linear = { kind: 'linear', warmup: 2 } as const
    near(await rates(tinyStage({ schedule: linear, steps: 4, learningRate: 8 })), [4, 8, 4, 0])
    const byDefault = await rates(tinyStage({ steps: 10, learningRate: 1 }))
    near([byDefault[0]!, byDefault.at(-1)!], [1, 0.1])
    assert.equal(await rates(tinyStage({ steps: 1, learningRate: 1 })), [1])
    const error = await thrown(() => tinyStage({ schedule: { kind: 'linear', warmup: 9 }, steps: 4 }))
    assert.match(error.message, /^stage 'tiny', schedule\.warmup: it takes 9 of 4 steps; leave/)
  },
)

events(
  'a stage as an observable: nothing before it is subscribed to, then all of it for each subscriber',
  async () => {
    const source = watched(tinyConversation)
    let calls = 0
    const session = scripted(adapterProgram, () => {
      calls++
      return stepAnswer(1)
    })
    const seen$ = observeStage(tinyStage({ source }), { session, position, trainable: 1 })
    assert.equal([source.opened, calls], [0, 0])
    const seen = await firstValueFrom(seen$.pipe(toArray()))
    assert.equal(
      seen.map((e) => e.type),
      ['stage-started', 'step', 'step', 'step', 'step'],
    )
    await firstValueFrom(seen$.pipe(toArray()))
    assert.equal([source.opened, source.closed, calls], [2, 2, 8])
  },
)

events.run()

// --- endings ----------------------------------------------------------------------------------------------

const endings = suite('train: how a stage ends before its end')

/** Runs a stage to its error, and sees that its source is closed. */
const failing = async (
  some: TinySettings<string, string>,
  answer: (n: number) => Answer,
  at: (i: number) => ReturnType<typeof tinyConversation> = tinyConversation,
  count = Infinity,
): Promise<string> => {
  const source = watched(at, count)
  const error = await thrown(() => drained(answered(tinyStage({ ...some, source }), answer)))
  assert.equal([source.opened, source.closed], [1, 1], 'the source is closed')
  return error.message
}

for (const [what, loss, norm] of [
  ['the loss is NaN', Number.NaN, 1],
  ['the loss is Infinity', Infinity, 1],
  ["the gradient's norm NaN", 1, Number.NaN],
] as const)
  endings(`${what}: the error names stage, step and learning rate`, async () => {
    const message = await failing({ learningRate: 0.5 }, (n) =>
      n < 2 ? stepAnswer(1) : stepAnswer(loss, norm),
    )
    assert.match(message, /^stage 'tiny': at step 3 of 4 the loss is /)
    assert.ok(message.includes(what), message)
    assert.match(message, /\(learning rate 0\.\d+\); lower the learning rate/)
  })

endings('an error of the engine keeps its words', async () => {
  const message = await failing({}, (n) =>
    n < 1 ? stepAnswer(1) : { _tag: 'Failed', message: 'out of memory at this node' },
  )
  assert.is(message, 'out of memory at this node')
})

endings('an example that does not fit is named', async () => {
  const tokens = (i: number): number => tinyConversation(i).ids.length
  const all = Array.from({ length: 30 }, (_, i) => i)
  const [short, long] = [all.find((i) => tokens(i) <= 30)!, all.find((i) => tokens(i) > 30)!]
  const message = await failing(
    { tokens: 30 },
    () => stepAnswer(1),
    (i) => tinyConversation(i === 5 ? long : short),
  )
  assert.ok(message.includes(`sample tiny/${long} has ${tokens(long)} tokens and a row holds 30`), message)
})

endings('data that ends too early, in the middle of a batch or between two', async () => {
  for (const count of [10, 8])
    assert.match(
      await failing({}, () => stepAnswer(1), tinyConversation, count),
      /^stage 'tiny': its data ended at step 3 of 4; make the stage shorter/,
    )
})

endings('an error of the source goes through, with the stage that it is for', async () => {
  const message = await failing(
    {},
    () => stepAnswer(1),
    (i) => {
      if (i === 6) throw new Error('image 6 is broken')
      return tinyConversation(i)
    },
  )
  assert.is(message, "stage 'tiny', source: image 6 is broken")
})

endings('breaking off the iteration closes the source, before the first step too', async () => {
  for (const [after, opened] of [
    [1, 0],
    [3, 1],
  ] as const) {
    const source = watched(tinyConversation)
    let calls = 0
    let seen = 0
    for await (const _ of answered(tinyStage({ source }), () => {
      calls++
      return stepAnswer(1)
    }))
      if (++seen === after) break
    assert.equal([source.opened, source.closed, calls], [opened, opened, after - 1])
  }
})

endings('unsubscribing stops after the step in progress and closes the source', async () => {
  const source = watched(tinyConversation)
  let calls = 0
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const session = scripted(adapterProgram, () => {
    calls++
    return stepAnswer(1)
  })
  const slow = {
    ...session,
    call: (name: string, inputs: Readonly<Record<string, TensorValue>>) =>
      calls < 2
        ? session.call(name, inputs)
        : async () => {
            const answer = await session.call(name, inputs)()
            await held
            return answer
          },
  }
  const seen: StageEvent[] = []
  const subscription = observeStage(tinyStage({ source, steps: 50 }), {
    session: slow,
    position,
    trainable: 1,
  }).subscribe((e) => {
    seen.push(e)
  })
  await until(() => calls >= 3)
  subscription.unsubscribe()
  assert.is(source.closed, 0, 'the step in progress still has its batch')
  release()
  await until(() => source.closed > 0)
  assert.is(calls, 3)
  assert.equal(
    seen.map((e) => (e.type === 'step' ? e.step : 0)),
    [0, 1, 2],
  )
})

endings('so many steps are enough for take', async () => {
  const source = watched(tinyConversation)
  const session = scripted(adapterProgram, () => stepAnswer(1))
  const some = await firstValueFrom(
    observeStage(tinyStage({ source, steps: 50 }), { session, position, trainable: 1 }).pipe(
      take(3),
      toArray(),
    ),
  )
  assert.is(stepsOf(some).length, 2)
  await until(() => source.closed > 0)
  assert.is(source.opened, 1)
})

endings('batches: full ones, and what is left over at the end', async () => {
  const lengths = async (count: number, from: number): Promise<readonly (readonly number[])[]> => {
    const all: (readonly number[])[] = []
    for await (const b of batchesOf(
      watched((i) => i, count),
      3,
      from,
    )) {
      assert.is(b.next, b.examples.at(-1)! + 1)
      all.push(b.examples)
    }
    return all
  }
  assert.equal(await lengths(7, 0), [[0, 1, 2], [3, 4, 5], [6]])
  assert.equal(await lengths(6, 3), [[3, 4, 5]])
  assert.equal(await lengths(2, 2), [])
})

endings.run()

// --- on an engine -----------------------------------------------------------------------------------------

const trained = suite(`train: a stage on ${engines.map((e) => e.name).join(' and ')}`)

/** A stage from fresh weights: its events, and the state before and after it. */
const onEngine = async (engine: Engine, stage: Stage, seed = 1) => {
  const session = await orThrow(engine.load(programOf(stage), { seed }))
  const before = await orThrow(readWeights(session))
  const [seen, totals] = await drained(stage.run({ session, position, trainable: 1 }))
  const after = (await orThrow(session.snapshot())).states
  await orThrow(session.close())
  return { before, seen: stepsOf(seen), totals, after }
}

const bitsOf = (v: TensorValue): Buffer => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength)

for (const engine of engines) {
  trained(`${engine.name}: the same seed gives the same numbers, another seed others`, async () => {
    const told = (r: Awaited<ReturnType<typeof onEngine>>) =>
      r.seen.map(({ loss, gradientNorm, tokens }) => [loss, gradientNorm, tokens])
    const [one, two, other] = [
      await onEngine(engine, tinyStage({})),
      await onEngine(engine, tinyStage({})),
      await onEngine(engine, tinyStage({}), 2),
    ]
    assert.equal(told(one), told(two))
    assert.is(one.totals.loss, two.totals.loss)
    for (const [key, v] of one.after) assert.ok(bitsOf(v).equals(bitsOf(two.after.get(key)!)), key)
    assert.not.equal(told(one), told(other))
  })

  trained(`${engine.name}: frozen parts keep every bit, and each trained parameter moves`, async () => {
    for (const train of [[parts.adapter], [parts.vision, parts.adapter]]) {
      const { before, after } = await onEngine(engine, tinyStage({ train, steps: 3 }))
      for (const [key, was] of before) {
        const same = bitsOf(was).equals(bitsOf(after.get(key)!))
        assert.is(same, !train.some((p) => p.has(key)), `${train.map((p) => p.name).join(' + ')}: ${key}`)
      }
      assert.is([...before.keys()].filter(isOptimizerKey).length, 0)
    }
  })

  trained(
    `${engine.name}: four samples are learnt by heart, and only the image tells them apart`,
    async () => {
      // prompts of one length; the colours are all different
      const four = [...Array(60).keys()].filter((i) => i % 3 === 0).map((i) => tinyConversation(i))
      const distinct = [...new Map(four.map((c) => [c.ids.slice(c.promptLength).join(), c])).values()]
      assert.is(distinct.length, 4)
      const source = watched((i) => distinct[i % 4]!)
      const { seen } = await onEngine(
        engine,
        tinyStage({ source, steps: 120, learningRate: 2e-2, optimizer: adamWith({ weightDecay: 0 }) }),
      )
      const [first, last] = [seen[0]!.loss, seen.at(-1)!.loss]
      assert.ok(first > 5, `the loss begins near ln 475: ${first}`)
      // blind to the image it could not fall below ln 4 on the first of an answer's three tokens: 0.46 in the mean
      assert.ok(last < 0.02, `the loss ends at ${last}`)
    },
  )
}

trained('weights that are read are the model’s: published keys, no moments', async () => {
  const session = scripted(programOf(tinyStage({})), () => stepAnswer(1))
  let asked: readonly string[] = []
  const reading = {
    ...session,
    read: (keys?: readonly string[]) =>
      TE.fromIO(() => {
        asked = keys ?? []
        return new Map<string, TensorValue>()
      }),
  }
  await orThrow(readWeights(reading))
  assert.ok(asked.length > 20 && asked.every((k) => Object.values(parts).some((p) => p.has(k))))
})

trained.run()
