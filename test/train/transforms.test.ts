import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { buckets, fixed, keys } from '../../src/dsl/index.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { sailVl2Parts as parts } from '../../src/models/sail-vl2.ts'
import { adamWith, loraKeys, readAdapter } from '../../src/optim/index.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { type Evaluation, unmeasured } from '../../src/train/evaluation.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf } from '../../src/train/objective.ts'
import { begin, next, type Recipe } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { orThrow } from '../../src/train/task.ts'
import { type GraphTransform, withLora } from '../../src/train/transform.ts'
import { loadWeights, type Weights } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  counting,
  drained,
  programOf,
  scripted,
  stepAnswer,
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
const test = suite(`train: schedules, adapters and averages on ${engines.map((e) => e.name).join(' and ')}`)

const { folder, remove } = temporaryFolders('sailwright-transforms-')
test.after(remove)

const position = { index: 0, of: 1 }
const bitsOf = (v: TensorValue): Buffer => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength)
const whole = (r: Recipe, engine: Engine, at: string, earlier: readonly RunEvent[] = [], e = unmeasured) =>
  firstValueFrom(
    experiment(r, e, { checkpointEvery: 2 })
      .run(contextIn(at, engine, earlier))
      .pipe(toArray()),
  )
/** The events of a process that is killed after one for which `going` is false. */
const killed = async (r: Recipe, engine: Engine, at: string, going: (e: RunEvent) => boolean) => {
  const counted = counting(engine)
  const events = await firstValueFrom(
    experiment(r, unmeasured, { checkpointEvery: 2 })
      .run(contextIn(at, counted))
      .pipe(takeWhile(going, true), toArray()),
  )
  await until(() => counted.open === 0)
  return events
}
const weightsIn = (at: string, stage: string, file = 'model.safetensors'): Promise<Weights> =>
  orThrow(loadWeights(join(at, 'checkpoints', stage, file)))

// --- a schedule of one's own ------------------------------------------------------------------------------

test('what a stage says of itself has its transforms and averages; what they add and the loss has is its own', () => {
  const adapters = withLora({ rank: 2, alpha: 4, on: keys('projections', '**_proj.weight') })
  const plain = tinyStage()
  const probed = {
    ...nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 44 }),
    own: keys('probe', 'probe.**'),
  }
  const full = tinyStage({ transforms: [adapters], ema: 0.9, objective: probed, train: [loraKeys] })
  const { transforms, ema } = full.config as Readonly<Record<string, unknown>>
  assert.equal(transforms, [adapters.config])
  assert.is(ema, 0.9)
  assert.not('transforms' in (plain.config as object) || 'ema' in (plain.config as object))
  assert.is(plain.own, undefined)
  for (const key of ['layers.0.q_proj.lora_A.weight', 'probe.weight']) assert.ok(full.own?.has(key), key)
  assert.not(full.own?.has('layers.0.q_proj.weight'))
})

test('a schedule of one’s own: its factor of each step, its data in the identity', async () => {
  const schedule = { config: { kind: 'saw', teeth: 2 }, factor: (step: number) => (step % 2 === 0 ? 0.5 : 1) }
  const stage = tinyStage({ schedule, steps: 4, learningRate: 8 })
  const session = scripted(programOf(stage), () => stepAnswer(1))
  const [events] = await drained(stage.run({ session, position, trainable: 1 }))
  assert.equal(
    events.flatMap((e) => (e.type === 'step' ? [e.learningRate] : [])),
    [8, 4, 8, 4],
  )
  assert.equal((stage.config as { schedule: unknown }).schedule, { kind: 'saw', teeth: 2 })
  const asked: (readonly [number, number])[] = []
  tinyStage({ steps: 3, schedule: { config: 'asked', factor: (...of) => asked.push(of) } })
  assert.equal(asked, [
    [1, 3],
    [2, 3],
    [3, 3],
  ])
})

test('one that is none at some step is refused when the stage is made, and so is one without a description', async () => {
  for (const [bad, shown] of [
    [Number.NaN, 'NaN'],
    [-0.1, '-0.1'],
    [Infinity, 'Infinity'],
    [undefined, 'undefined'],
  ] as const) {
    const factor = (step: number): number => (step === 3 ? (bad as number) : 1)
    assert.is(
      (await thrown(() => tinyStage({ steps: 4, schedule: { config: 'own', factor } }))).message,
      `stage 'tiny', schedule.factor: at step 3 of 4 it is ${shown}; give a finite factor from 0 up`,
    )
  }
  const factor = () => 1
  assert.is(
    (await thrown(() => tinyStage({ steps: 1e12, schedule: { config: 'own', factor } }))).message,
    "stage 'tiny', schedule.factor: it is asked for each of 1000000000000 steps before the first; give at most 10000000 steps, or a schedule with a kind",
  )
  assert.match(
    (await thrown(() => tinyStage({ schedule: { config: undefined, factor } }))).message,
    /schedule\.config: it is missing; say what/,
  )
  assert.match(
    (await thrown(() => tinyStage({ schedule: { config: { factor }, factor } }))).message,
    /config\.schedule\.factor: it is a function/,
  )
})

// --- adapters ---------------------------------------------------------------------------------------------

const projections = keys('projections', 'language_model.**_proj.weight')
const transforms = [withLora({ rank: 2, alpha: 6, on: projections })]
const adapted = { train: [loraKeys], transforms, steps: 7, rows: 2, learningRate: 3e-2 }
const stages = pipe(
  begin({ name: 'adapters', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }),
  next(tinyStage({ name: 'warm', to: 'warm', steps: 3, rows: 2 })),
  next(tinyStage({ ...adapted, name: 'adapt', from: 'warm', to: 'adapted', ema: 0.5 })),
  next(tinyStage({ name: 'after', from: 'adapted', train: [parts.adapter], steps: 2, rows: 2 })),
)
const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: tinyLength })
const [batch] = objective.collate([0, 1, 2, 3].map((i) => tinyConversation(i)))
const plainLoss = buckets(objective.buckets, (sizes) => ({
  outputs: { loss: lossOf(objective.terms(sizes)) },
}))
const adaptedLoss = fixed(() => {
  const { sum, weight } = objective.terms(batch!.sizes)
  const [s, w] = transforms[0]!.apply([sum, weight]) as [typeof sum, typeof weight]
  return { outputs: { loss: lossOf({ sum: s, weight: w }) } }
})
/** Measures the loss of the model that a session then has. */
const losses: number[] = []
const measuring: Evaluation = {
  ...{ config: 'loss', families: ['loss'] },
  functions: () => ({ plainLoss }),
  async *run(session) {
    losses.push((await orThrow(session.call('plainLoss', batch!.inputs))).loss!.data[0]!)
  },
}

for (const engine of engines) {
  /** The run that is not killed. */
  let at = ''
  test(`${engine.name}: a stage with LoRA trains the adapters alone, saves them as PEFT does and hands on the merged model`, async () => {
    at = await folder()
    losses.length = 0
    const events = await whole(stages, engine, at, [], measuring)
    const stage = stages.stages[1]!
    const { program, trained } = stage.program({ plainLoss, adaptedLoss })
    assert.is(trained.length, 2 * 7)
    assert.ok(trained.every(loraKeys.has))
    const started = events.find(
      (e): e is EventOf<'stage-started'> => e.type === 'stage-started' && e.stage === 'adapt',
    )
    assert.equal([started?.parts, started?.trainable], [['lora'], 2 * (28 + 22 + 22 + 28 + 3 * 40)])
    const taken = events.find((e) => e.type === 'weights' && e.stage === 'adapt')
    assert.equal(taken?.type === 'weights' && [...taken.fresh].sort(), [...trained].sort())

    const [before, after] = [await weightsIn(at, 'warm'), await weightsIn(at, 'adapt')]
    assert.equal([...after.keys()].sort(), [...before.keys()].sort(), 'no adapter is handed on')
    for (const [key, value] of before)
      assert.is(bitsOf(value).equals(bitsOf(after.get(key)!)), !projections.has(key), key)

    const adapter = await orThrow(readAdapter(join(at, 'checkpoints/adapt/adapter')))
    assert.equal([adapter.rank, adapter.alpha], [2, 6])
    assert.equal([...adapter.tensors.keys()].sort(), [...trained].sort())
    // the adapters over the weights that the stage began with, and the merged model without them
    const session = await orThrow(engine.load(program, { seed: 0 }))
    const lossWith = async (name: string, weights: Weights): Promise<number> => {
      await orThrow(session.write(weights))
      return (await orThrow(session.call(name, batch!.inputs))).loss!.data[0]!
    }
    const tensors = new Map([...adapter.tensors].map(([k, v]) => [k, { ...v, dtype: 'float32' as const }]))
    const base = await lossWith('plainLoss', before)
    const withAdapters = await lossWith('adaptedLoss', new Map([...before, ...tensors]))
    const merged = await lossWith('plainLoss', after)
    assert.ok(Math.abs(withAdapters - base) > 0.01, `the adapters have learnt: ${base}, then ${withAdapters}`)
    assert.ok(Math.abs(merged - withAdapters) < 1e-5 * withAdapters, `${merged} for ${withAdapters}`)
    assert.is(losses[1], merged, 'evaluations see the merged model')
    await orThrow(session.close())
  })

  test(`${engine.name}: a stage with LoRA that was killed ends with the bits of one that was not`, async () => {
    const files = [
      'model.safetensors',
      'ema.safetensors',
      'adapter/adapter_model.safetensors',
      'adapter/adapter_config.json',
    ]
    const read = (there: string) =>
      Promise.all(files.map((f) => readFile(join(there, 'checkpoints/adapt', f))))
    const want = await read(at)
    const last = await readFile(join(at, 'checkpoints/after/model.safetensors'))
    for (const [what, going] of [
      ['inside', (e: RunEvent) => !(e.type === 'step' && e.stage === 'adapt' && e.step === 5)],
      [
        'before it was measured',
        (e: RunEvent) => !(e.type === 'checkpointed' && e.stage === 'adapt' && e.step === 7),
      ],
    ] as const) {
      // what goes on is the same code on each engine
      if (engine !== engines[0] && what !== 'inside') continue
      const there = await folder()
      const earlier = await killed(stages, engine, there, going)
      const middle = join(there, 'checkpoints/adapt/training.safetensors')
      assert.ok(existsSync(middle), what)
      losses.length = 0
      await whole(stages, engine, there, earlier, what === 'inside' ? unmeasured : measuring)
      for (const [i, bytes] of (await read(there)).entries())
        assert.ok(bytes.equals(want[i]!), `${what}: ${files[i]}`)
      assert.ok((await readFile(join(there, 'checkpoints/after/model.safetensors'))).equals(last), what)
    }
  })
}

const [engine] = engines as readonly [Engine]

test('two adapted stages in a row may have other ranks, and parts of the model may learn beside adapters', async () => {
  const at = await folder()
  const wide = [
    withLora({ rank: 1, alpha: 1, on: projections }),
    withLora({ rank: 3, alpha: 3, on: keys('eyes', 'vision_model.**.qkv.weight') }),
  ]
  const recipe = pipe(
    begin({ name: 'ranks', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }),
    next(tinyStage({ ...adapted, name: 'one', to: 'one', steps: 2 })),
    next(
      tinyStage({
        ...{ ...adapted, name: 'two', from: 'one', steps: 2, rows: 1, accumulate: 2 },
        train: [loraKeys, parts.adapter],
        transforms: wide,
      }),
    ),
  )
  await whole(recipe, engine, at)
  const [one, two] = [await weightsIn(at, 'one'), await weightsIn(at, 'two')]
  assert.equal([...two.keys()].sort(), [...one.keys()].sort())
  for (const [key, value] of one) {
    const moves = projections.has(key) || parts.adapter.has(key) || key.endsWith('qkv.weight')
    assert.is(bitsOf(value).equals(bitsOf(two.get(key)!)), !moves, key)
  }
})

test('what does not fit is refused, and the stage is named', async () => {
  const refused = async (some: Parameters<typeof tinyStage>[0]): Promise<string> =>
    (await thrown(() => programOf(tinyStage(some)))).message
  assert.match(
    await refused({ ...adapted, transforms: [withLora({ rank: 2, alpha: 2, on: keys('none', 'no') })] }),
    /^stage 'tiny', transforms\[0\]: lora, on: it names none of the graph's/,
  )
  assert.match(
    await refused({ ...adapted, train: [parts.adapter] }),
    /^stage 'tiny', train: it is adapter, and nothing that transforms\[0\] adds would learn/,
  )
  assert.match(await refused({ transforms: [{} as GraphTransform] }), /transforms\[0\]: it is .*withLora/)
  assert.match(await refused({ transforms: {} as readonly GraphTransform[] }), /transforms: .*give a list/)
  for (const ema of [1, -0.5, Number.NaN]) assert.match(await refused({ ema }), /^stage 'tiny', ema: it is/)
})

// --- averages ---------------------------------------------------------------------------------------------

test('averages are those of the weights after each update, saved beside them as a whole model', async () => {
  const at = await folder()
  const stage = tinyStage({
    ...{ name: 'mean', train: [parts.adapter], steps: 5, rows: 2, learningRate: 3e-2, ema: 0.6 },
    optimizer: adamWith({ weightDecay: 0 }),
    source: watched((i) => tinyConversation(i)),
  })
  const session = await orThrow(engine.load(programOf(stage), { seed: 3 }))
  const key = 'mlp1.3.weight'
  const read = async (): Promise<readonly number[]> => [
    ...(await orThrow(session.read([key]))).get(key)!.data,
  ]
  let mean = await read()
  let updates = 0
  for await (const e of stage.run({ session, position, trainable: 1 }))
    if (e.type === 'step') {
      const decay = Math.min(0.6, (1 + updates) / (10 + updates))
      updates++
      const moved = await read()
      mean = mean.map((m, i) => decay * m + (1 - decay) * moved[i]!)
    }
  await orThrow(session.close())
  await whole(
    pipe(begin({ name: 'mean', seed: 3, model: tinyModel, start: fromScratch, now: 'fresh' }), next(stage)),
    engine,
    at,
  )
  const [raw, averaged] = [await weightsIn(at, 'mean'), await weightsIn(at, 'mean', 'ema.safetensors')]
  assert.equal([...averaged.keys()].sort(), [...raw.keys()].sort())
  averaged.get(key)!.data.forEach((x, i) => {
    assert.ok(Math.abs(x - mean[i]!) < 1e-6, `${x} for ${mean[i]}`)
  })
  for (const [k, v] of raw) assert.is(bitsOf(v).equals(bitsOf(averaged.get(k)!)), !parts.adapter.has(k), k)
})

test.run()
