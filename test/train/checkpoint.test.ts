import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { filter, firstValueFrom, takeWhile, tap, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import {
  type Entries,
  type Entry,
  readSafetensors,
  type Safetensors,
  writeSafetensors,
} from '../../src/formats/safetensors.ts'
import { sailVl2Parts } from '../../src/models/sail-vl2.ts'
import { loadProgress, saveProgress } from '../../src/run/checkpoint.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { advance, emptyRun, withoutRepeats } from '../../src/run/run-state.ts'
import { unmeasured } from '../../src/train/evaluation.ts'
import { defaultCheckpointEvery, type RunContext } from '../../src/train/experiment.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment, type RunOptions } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { orThrow } from '../../src/train/task.ts'
import { saveWeights } from '../../src/train/weights.ts'
import { presentEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  counting,
  drained,
  programOf,
  thrown,
  tinyConversation,
  tinyModel,
  tinyStage,
  watched,
} from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await presentEngines()
const test = suite(`train: going on inside a stage on ${engines.map((e) => e.name).join(' and ')}`)

const { folder, remove } = temporaryFolders('sailwright-checkpoint-')
test.after(remove)

const source = watched((i) => tinyConversation(i))
const recipe = pipe(
  begin({
    name: 'checkpoints',
    seed: 5,
    model: tinyModel,
    start: fromScratch,
    now: 'fresh',
  }),
  next(tinyStage({ name: 'warm', to: 'warm', train: [sailVl2Parts.adapter], steps: 3, rows: 2 })),
  next(tinyStage({ name: 'tune', from: 'warm', steps: 7, rows: 2, source })),
)

const started = (engine: Engine, at: string, earlier: readonly RunEvent[], options: RunOptions) =>
  experiment(recipe, unmeasured, options).run(contextIn(at, engine, earlier))
const whole = (engine: Engine, at: string, earlier: readonly RunEvent[] = [], options: RunOptions = {}) =>
  firstValueFrom(started(engine, at, earlier, options).pipe(toArray()))
/** The events up to the last that `going` lets through and the one after it, as of a process that is then killed. */
const stopped = async (
  engine: Engine,
  at: string,
  going: (e: RunEvent) => boolean,
  earlier: readonly RunEvent[] = [],
): Promise<readonly RunEvent[]> => {
  const counted = counting(engine)
  const events = await firstValueFrom(
    started(counted, at, earlier, { checkpointEvery: 2 }).pipe(takeWhile(going, true), toArray()),
  )
  await until(() => counted.open === 0)
  return events
}

const isStep = (e: RunEvent, step: number): boolean =>
  e.type === 'step' && e.stage === 'tune' && e.step === step
const stepsOf = (events: readonly RunEvent[]): readonly EventOf<'step'>[] =>
  events.flatMap((e) => (e.type === 'step' && e.stage === 'tune' ? [e] : []))
const lossesOf = (events: readonly RunEvent[]) =>
  stepsOf(events).map(({ step, loss, learningRate, gradientNorm, samples }) => [
    ...[step, loss, learningRate, gradientNorm, samples],
  ])
const finalLoss = (events: readonly RunEvent[]) =>
  events.flatMap((e) => (e.type === 'stage-finished' && e.stage === 'tune' ? [e.loss] : []))
const tensorsIn = async (at: string, stage: string): Promise<readonly string[]> =>
  (await readdir(join(at, 'checkpoints', stage))).filter((f) => f.endsWith('.safetensors'))
const weightsFile = (at: string): Promise<Buffer> => readFile(join(at, 'checkpoints/tune/model.safetensors'))
const middle = (at: string, stage = 'tune'): string => join(at, 'checkpoints', stage, 'training.safetensors')

const [engine] = engines as readonly [Engine]
/** A run of the first engine that is not stopped: its folder and its events. */
let alone = ''
let events: readonly RunEvent[] = []
test.before(async () => {
  alone = await folder()
  events = await whole(engine, alone)
})

for (const each of engines)
  test(`${each.name}: stopped anywhere, the run ends with the bits of one that was not`, async () => {
    const first = each === engine
    const there = first ? alone : await folder()
    const told = first ? events : await whole(each, there)
    const want = await weightsFile(there)
    assert.equal(
      told.flatMap((e) => (e.type === 'checkpointed' ? [[e.stage, e.step]] : [])),
      [
        ['warm', 3],
        ['tune', 7],
      ],
      'a stage of few steps has a checkpoint at its end alone',
    )
    const ends = (what: string, at: string, later: readonly RunEvent[], from: number): Promise<void> =>
      weightsFile(at).then((bytes) => {
        assert.ok(bytes.equals(want), `${what}: other weights`)
        assert.equal(lossesOf(later), lossesOf(told).slice(from), what)
        assert.equal(finalLoss(later), finalLoss(told), what)
        assert.not(existsSync(middle(at)), `${what}: nothing is left over`)
      })

    for (const [what, going, from] of [
      ['before the first checkpoint', (e: RunEvent) => !isStep(e, 1), 0],
      ['after a checkpoint', (e: RunEvent) => !(e.type === 'checkpointed' && e.step === 4), 4],
      ['after a step beyond a checkpoint', (e: RunEvent) => !isStep(e, 5), 4],
      [
        'between the last checkpoint and the end',
        (e: RunEvent) => !(e.type === 'checkpointed' && e.step === 7),
        7,
      ],
    ] as const) {
      // the first engine goes through all of it, the others through what asks most of an engine
      if (!first && what !== 'after a step beyond a checkpoint') continue
      const again = await folder()
      const earlier = await stopped(each, again, going)
      source.given.length = 0
      const later = await whole(each, again, earlier, { checkpointEvery: 2 })
      assert.is(source.given[0], from === 7 ? undefined : from * 2, `${what}: the data goes on where it was`)
      await ends(what, again, later, from)
      const all = withoutRepeats([...earlier, ...later])
      assert.equal(lossesOf(all), lossesOf(told), `${what}: each step is told once`)
      const seconds = stepsOf(all).map((e) => e.seconds)
      assert.ok(
        seconds.every((s, i) => i === 0 || s > seconds[i - 1]!),
        `${what}: time goes on: ${seconds}`,
      )
      const { stages } = all.reduce(advance, emptyRun)
      assert.ok(stages[1]!.stepSeconds > 0 && stages[1]!.stepSeconds < seconds.at(-1)!)
    }

    if (!first) return
    const at = await folder()
    const checkpointed = await whole(engine, at, [], { checkpointEvery: 2 })
    await ends('with checkpoints', at, checkpointed, 0)
    assert.equal(
      checkpointed.flatMap((e) => (e.type === 'checkpointed' ? [[e.stage, e.step, e.path]] : [])),
      [
        ['warm', 2, 'checkpoints/warm'],
        ['warm', 3, 'checkpoints/warm'],
        ...[2, 4, 6, 7].map((step) => ['tune', step, 'checkpoints/tune']),
      ],
    )

    const twice = await folder()
    const once = await stopped(engine, twice, (e) => !isStep(e, 3))
    const second = await stopped(engine, twice, (e) => !isStep(e, 6), once)
    assert.is(stepsOf(second)[0]!.step, 3)
    await ends('twice', twice, await whole(engine, twice, [...once, ...second]), 4)
  })

const loadWeightsOf = (file: Safetensors): TE.TaskEither<Error, ReadonlyMap<string, TensorValue>> =>
  pipe(
    TE.traverseArray((key: string) => {
      const { dtype, shape } = file.info(key)!
      return dtype === 'F32'
        ? pipe(
            file.floats(key),
            TE.map((data): [string, TensorValue] => [key, { shape, dtype: 'float32', data }]),
          )
        : pipe(
            file.ints(key),
            TE.map((data): [string, TensorValue] => [key, { shape, dtype: 'int32', data }]),
          )
    })(file.keys),
    TE.map((all) => new Map(all)),
  )
const stored = (values: ReadonlyMap<string, TensorValue>): Entries =>
  new Map(
    [...values].map(([k, { shape, data }]): [string, Entry] => [
      k,
      data instanceof Float32Array
        ? { dtype: 'F32', shape, values: data }
        : { dtype: 'I32', shape, values: Int32Array.from(data) },
    ]),
  )

test('the command line goes before the experiment, and the experiment before the default', async () => {
  const checkpointsOf = (events: readonly RunEvent[]) =>
    events.flatMap((e) => (e.type === 'checkpointed' && e.stage === 'tune' ? [e.step] : []))
  const running = async (options: RunOptions, said: Pick<RunContext, 'checkpointEvery'>, r = recipe) =>
    checkpointsOf(
      await firstValueFrom(
        experiment(r, unmeasured, options)
          .run({ ...contextIn(await folder(), engine), ...said })
          .pipe(toArray()),
      ),
    )
  assert.equal(await running({ checkpointEvery: 2 }, { checkpointEvery: 3 }), [3, 6, 7])
  assert.equal(await running({}, { checkpointEvery: 5 }), [5, 7])
  assert.equal(await running({ checkpointEvery: 2 }, { checkpointEvery: 0 }), [7])
  const long = pipe(
    begin({ ...recipe, now: 'fresh' }),
    next(
      tinyStage({ name: 'tune', train: [sailVl2Parts.adapter], steps: defaultCheckpointEvery + 1, rows: 1 }),
    ),
  )
  assert.equal(await running({}, {}, long), [defaultCheckpointEvery, defaultCheckpointEvery + 1])
  assert.equal(await running({ checkpointEvery: 0 }, {}, long), [defaultCheckpointEvery + 1])
  assert.match(
    (await thrown(() => running({}, { checkpointEvery: 0.5 }))).message,
    /checkpointEvery: it is 0.5; give a whole number from 0/,
  )
})

test('a checkpoint whose event was not written any more counts from the one before, or not at all', async () => {
  for (const [kept, from] of [
    [1, 4],
    [0, 0],
  ] as const) {
    const at = await folder()
    const earlier = await stopped(engine, at, (e) => !isStep(e, 5))
    let tuned = 0
    const cut = earlier.filter((e) => !(e.type === 'checkpointed' && e.stage === 'tune' && ++tuned > kept))
    assert.is(cut.length, earlier.length - (2 - kept))
    const later = await whole(engine, at, cut)
    assert.equal(lossesOf(later), lossesOf(events).slice(from))
    assert.ok((await weightsFile(at)).equals(await weightsFile(alone)))
  }
})

test('where weights stay in 16 bits, a stage that goes on reads them as they are stored before its checkpoint', async () => {
  const at = await folder()
  const earlier = await stopped(engine, at, (e) => !isStep(e, 5))
  for (const stored of [false, true]) {
    const keys: number[] = []
    const told: Engine = {
      ...engine,
      ...(stored ? { weights: 'stored' as const } : {}),
      load: (program, options) => {
        keys.push((options!.values!.keys as readonly string[]).length)
        return engine.load(program, options)
      },
    }
    const going = started(told, at, earlier, { checkpointEvery: 0 })
    const first = await firstValueFrom(going.pipe(filter((e) => e.type === 'step')))
    assert.is(first.step, 5)
    assert.is(keys.length, 1)
    assert.is(keys[0]! > 0, stored)
  }
})

test('a damaged checkpoint is never taken: the one before it is, and it is said; without one it is an error', async () => {
  const at = await folder()
  const earlier = await stopped(engine, at, (e) => !isStep(e, 5))
  const before = join(at, 'checkpoints/tune/training.before.safetensors')
  const [bytes, bytesBefore] = [await readFile(middle(at)), await readFile(before)]
  const good = await orThrow(readSafetensors(middle(at)))
  const states = await orThrow(loadWeightsOf(good))
  const progress = { step: '4', seconds: '1', tailLoss: '0' }
  const some = good.keys.filter((k) => k.startsWith('vision_model')).slice(0, 2)
  const without = new Map([...states].filter(([k]) => !some.includes(k)))
  const reshaped = new Map(states).set(some[0]!, { shape: [1], dtype: 'float32', data: new Float32Array(1) })
  const damages: readonly (readonly [what: () => Promise<unknown>, message: RegExp])[] = [
    [() => writeFile(middle(at), bytes.subarray(0, bytes.length - 4)), /training\.safetensors/],
    [() => writeFile(middle(at), new Uint8Array(0)), /training\.safetensors/],
    [() => orThrow(saveWeights(middle(at), new Map(), {})), /lacks step, seconds or tailLoss/],
    [
      () => orThrow(writeSafetensors(middle(at), stored(without), progress)),
      new RegExp(`lacks 2 of the program's ${states.size} states: vision_model`),
    ],
    [
      () =>
        orThrow(
          writeSafetensors(
            middle(at),
            stored(new Map(states).set('other', reshaped.get(some[0]!)!)),
            progress,
          ),
        ),
      /has 1 that the program has not: other/,
    ],
    [
      () => orThrow(writeSafetensors(middle(at), stored(reshaped), progress)),
      /has 1 of another shape or dtype: .* \(F32 \[1\] there, F32 \[/,
    ],
  ]
  for (const [damage, message] of damages) {
    await damage()
    const told: RunEvent[] = []
    await firstValueFrom(
      started(engine, at, earlier, { checkpointEvery: 0 }).pipe(
        tap((e) => told.push(e)),
        takeWhile((e) => e.type !== 'step', true),
        toArray(),
      ),
    )
    const warned = told.find((e) => e.type === 'warned')
    assert.match(warned?.message ?? '', /stage tune goes on from step 2, the checkpoint before its latest/)
    assert.match(warned?.message ?? '', message)
    assert.is(stepsOf(told)[0]?.step, 3)
  }
  assert.ok((await readFile(before)).equals(bytesBefore), 'reading changes nothing')

  await writeFile(before, bytesBefore.subarray(0, bytesBefore.length - 4))
  const counted = counting(engine)
  const { message } = await thrown(() => whole(counted, at, earlier))
  assert.is(counted.open, 0)
  assert.ok(message.includes(middle(at)) && message.includes(before), message)
  assert.match(message, /delete what is damaged, and the stage begins anew/)

  await rm(middle(at))
  await writeFile(before, bytesBefore)
  const later = await whole(engine, at, earlier)
  assert.is(stepsOf(later)[0]!.step, 3, 'the latest is gone, the one before it is not')
  assert.equal(lossesOf(later), lossesOf(events).slice(2))
  assert.ok((await weightsFile(at)).equals(await weightsFile(alone)))
  assert.equal(await tensorsIn(at, 'tune'), ['model.safetensors'])
})

test('what a process that was killed right after a stage’s end has left is taken away', async () => {
  const at = await folder()
  const ended = await whole(engine, at, [], { checkpointEvery: 2 })
  await writeFile(middle(at), 'left')
  await writeFile(join(at, 'checkpoints/warm/training.before.safetensors'), 'left')
  await whole(engine, at, ended.slice(0, -1))
  for (const stage of ['warm', 'tune']) assert.equal(await tensorsIn(at, stage), ['model.safetensors'])
})

test('what is kept is the model, its moments and the count of steps, with every bit', async () => {
  const stage = tinyStage({ steps: 3, train: [sailVl2Parts.adapter] })
  const open = () => engine.load(programOf(stage), { seed: 2 })
  const [one, other] = [await orThrow(open()), await orThrow(open())]
  await drained(stage.run({ session: one, position: { index: 0, of: 1 }, trainable: 1 }))
  const at = join(await folder(), 'middle.safetensors')
  const progress = { step: 3, samples: 41, seconds: 0.1 + 0.2, tailLoss: 1 / 3 }
  await orThrow(saveProgress(at, one, progress))
  assert.equal(await orThrow(loadProgress(at, other)), progress)
  const [a, b] = [(await orThrow(one.snapshot())).states, (await orThrow(other.snapshot())).states]
  assert.equal(b, a)
  assert.equal([...a.get('optimizer.step')!.data], [3])
  assert.ok(a.get('optimizer.exp_avg.mlp1.1.weight')!.data.some((m) => m !== 0))
  await orThrow(one.close())
  await orThrow(other.close())
})

test('options that cannot be are refused when the experiment is made', async () => {
  for (const checkpointEvery of [-1, 1.5, Number.NaN])
    assert.match(
      (await thrown(() => experiment(recipe, unmeasured, { checkpointEvery }))).message,
      /checkpointEvery: it is .*; give a whole number from 0/,
    )
  const [first] = recipe.stages
  assert.match(
    (await thrown(() => experiment({ ...recipe, stages: [first!, first!] }, unmeasured))).message,
    /stages: two of them are called 'warm'/,
  )
  const data = (options: RunOptions) => experiment(recipe, unmeasured, options).recipe
  assert.equal(data({ checkpointEvery: 2 }), data({}), 'how a run is carried out is no part of what it is')
})

test.run()
