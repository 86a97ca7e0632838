import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRight } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, fixed, input } from '../../src/dsl/index.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { RunEvent } from '../../src/train/events.ts'
import { textToken } from '../../src/train/objective.ts'
import { allOf, begin, type Evaluation, experiment, next } from '../../src/train/recipe.ts'
import { orThrow } from '../../src/train/run-stage.ts'
import { texts } from '../../src/train/source.ts'
import { stageProgram } from '../../src/train/stage.ts'
import { loadWeights, readWeights, saveWeights, type Weights, weightKeys } from '../../src/train/weights.ts'
import { presentEngines } from '../support/engines.ts'
import {
  contextIn,
  counting,
  thrown,
  tiny,
  tinyConversation,
  tinyStage,
  unmeasured,
  until,
  watched,
} from '../support/tiny.ts'

const engines = await presentEngines()

const bitsOf = (v: TensorValue): Buffer => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength)

/** The same keys, shapes and bits. */
const same = (got: Weights, want: Weights): void => {
  assert.equal([...got.keys()].sort(), [...want.keys()].sort())
  for (const [key, v] of want) {
    assert.equal(got.get(key)!.shape, v.shape, key)
    assert.ok(bitsOf(got.get(key)!).equals(bitsOf(v)), `${key} is another`)
  }
}

const folders: string[] = []
const folder = async (): Promise<string> => {
  folders.push(await mkdtemp(join(tmpdir(), 'sailwright-recipe-')))
  return folders.at(-1)!
}
const weightsIn = (at: string, stage: string): Promise<Weights> =>
  orThrow(loadWeights(join(at, 'checkpoints', stage, 'model.safetensors')))

const warm = tinyStage({ name: 'warm', to: 'warm', train: ['adapter'], steps: 2 })
const tune = tinyStage({
  name: 'tune',
  from: 'warm',
  steps: 3,
  source: watched((i) => tinyConversation(i + 50)),
})

const start = begin({
  name: 'two stages',
  seed: 3,
  model: { name: 'tiny', config: tiny },
  start: { describe: 'fresh', weights: TE.right(new Map()) },
  now: 'fresh',
})
const recipe = pipe(start, next(warm), next(tune))

// --- types ------------------------------------------------------------------------------------------------

const types = suite('train: what chains')

types('stages chain in the order of what they hand over', () => {
  assert.equal(
    recipe.stages.map((s) => s.name),
    ['warm', 'tune'],
  )
  assert.is(recipe.now, 'tuned')
  const now: 'tuned' = recipe.now
  // @ts-expect-error the recipe has arrived at 'tuned' and at nothing else
  const other: 'warm' = recipe.now
  assert.is(now, other as string)
  // @ts-expect-error 'tune' begins from warm weights, and these are fresh
  const skipped = pipe(start, next(tune))
  // @ts-expect-error 'warm' begins from fresh weights, and these are tuned
  const backwards = pipe(start, next(warm), next(tune), next(warm))
  // @ts-expect-error the same stage twice: its second time begins from warm weights
  const twice = pipe(start, next(warm), next(warm))
  assert.equal(
    [skipped, backwards, twice].map((r) => r.stages.length),
    [1, 3, 2],
  )
})

types('a source of other examples than the objective takes does not compile', () => {
  const numbers = watched((i) => i)
  // @ts-expect-error the objective takes conversations, the source gives numbers
  const odd = pipe(start, next({ ...warm, source: numbers }))
  assert.is(odd.stages.length, 1)
})

types('an experiment says as data what determines it', () => {
  const e = experiment(recipe, unmeasured)
  assert.equal([e.name, e.seed, e.families], ['two stages', 3, []])
  const told = JSON.parse(JSON.stringify(e.recipe))
  assert.equal(told.stages[0], {
    ...{ name: 'warm', train: ['adapter'], objective: 'nextToken', steps: 2, batch: 4, length: 32 },
    ...{
      learningRate: 0.01,
      schedule: { kind: 'cosine', warmup: 0.1, minRatio: 0.1 },
      optimizer: {},
      clip: 1,
    },
    data: { kind: 'watched' },
  })
  assert.equal([told.start, told.evaluation], ['fresh', 'nothing'])
})

types.run()

// --- evaluations ------------------------------------------------------------------------------------------

const evaluations = suite('train: evaluations together')

const measuring = (family: string, name: string): Evaluation => ({
  describe: family,
  families: [family],
  functions: () => ({
    [name]: fixed(() => ({ outputs: { y: input('x', [axis('place', 1)]) } })),
  }),
  async *run(_session, stage) {
    yield { type: 'evaluated', stage: stage.name, family, correct: 1, total: 2, seconds: 0 }
  },
})

evaluations('all of them, in order, with all their functions', async () => {
  const both = allOf(measuring('a', 'one'), measuring('b', 'two'))
  assert.equal(both.families, ['a', 'b'])
  assert.equal(both.describe, ['a', 'b'])
  assert.equal(Object.keys(both.functions(tiny, 's')), ['one', 'two'])
  const got: string[] = []
  for await (const e of both.run(undefined as never, { name: 's', last: true }, undefined as never))
    got.push(e.family)
  assert.equal(got, ['a', 'b'])
  assert.equal(Object.keys(allOf().functions(tiny, 's')), [])
})

evaluations('two functions of one name are an error that names it', async () => {
  const error = await thrown(() => allOf(measuring('a', 'one'), measuring('b', 'one')).functions(tiny, 'sft'))
  assert.match(error.message, /two evaluations of stage 'sft' have a function 'one'/)
})

evaluations.run()

// --- runs -------------------------------------------------------------------------------------------------

const runs = suite(`train: a recipe on ${engines.map((e) => e.name).join(' and ')}`)
runs.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

/** An evaluation that keeps the weights that it finds, by stage. */
const watching = (found: Map<string, Weights>): Evaluation => ({
  ...unmeasured,
  families: ['read'],
  async *run(session, stage) {
    found.set(stage.name, await orThrow(readWeights(session)))
    yield {
      type: 'evaluated',
      stage: stage.name,
      family: 'read',
      correct: Number(stage.last),
      total: 1,
      seconds: 0,
    }
  },
})

const ran = (engine: Engine, at: string, earlier: readonly RunEvent[] = [], evaluation = unmeasured) =>
  firstValueFrom(
    experiment(recipe, evaluation)
      .run(contextIn(at, engine, earlier))
      .pipe(toArray()),
  )

for (const engine of engines) {
  runs(
    `${engine.name}: the events of a whole run; its checkpoints hold the weights bit for bit`,
    async () => {
      const at = await folder()
      const counted = counting(engine)
      const found = new Map<string, Weights>()
      const events = await ran(counted, at, [], watching(found))
      assert.is(counted.open, 0)
      const stage = (name: string, steps: number): string[] => [
        `stage-started ${name}`,
        ...Array(steps).fill(`step ${name}`),
        `evaluated ${name}`,
        `checkpointed ${name}`,
        `stage-finished ${name}`,
      ]
      assert.equal(
        events.map((e) => ('stage' in e ? `${e.type} ${e.stage}` : e.type)),
        [...stage('warm', 2), ...stage('tune', 3), 'run-finished'],
      )
      for (const e of events) assert.ok(isRight(RunEvent.decode(JSON.parse(JSON.stringify(e)))), e.type)
      assert.equal(
        events.flatMap((e) => (e.type === 'evaluated' ? [e.correct] : [])),
        [0, 1],
        'the evaluation is told which stage is the last',
      )
      assert.equal(
        events.flatMap((e) => (e.type === 'stage-finished' ? [[e.index, e.samples]] : [])),
        [
          [0, 8],
          [1, 12],
        ],
      )
      for (const name of ['warm', 'tune']) same(await weightsIn(at, name), found.get(name)!)
      const keys = [...found.get('tune')!.keys()]
      assert.ok(keys.includes('language_model.model.layers.0.self_attn.q_proj.weight'))
      assert.ok(keys.every((k) => /^(vision_model|mlp1|language_model)\./.test(k)))
      // a session that is given them holds the same bits
      const session = await orThrow(engine.load(stageProgram(tiny, tune), { seed: 99 }))
      await orThrow(session.write(found.get('tune')!))
      same(await orThrow(readWeights(session)), found.get('tune')!)
      await orThrow(session.close())
    },
  )

  runs(
    `${engine.name}: stopped in or after a stage and started again, it ends with the same bits`,
    async () => {
      const whole = await folder()
      await ran(engine, whole)
      const want = await weightsIn(whole, 'tune')
      for (const [what, going] of [
        ['in the first stage', (e: RunEvent) => !(e.type === 'step' && e.step === 1)],
        ['after the first stage', (e: RunEvent) => e.type !== 'stage-finished'],
        ['between its checkpoint and its end', (e: RunEvent) => e.type !== 'checkpointed'],
        ['in the second stage', (e: RunEvent) => !(e.type === 'step' && e.stage === 'tune' && e.step === 2)],
      ] as const) {
        // where it stops is the recipe's affair: the first engine goes through all of it
        if (engine !== engines[0] && what !== 'in the second stage') continue
        const at = await folder()
        const counted = counting(engine)
        const earlier = await firstValueFrom(
          experiment(recipe, unmeasured).run(contextIn(at, counted)).pipe(takeWhile(going, true), toArray()),
        )
        await until(() => counted.open === 0)
        assert.not(existsSync(join(at, 'checkpoints', 'tune')), what)
        const later = await ran(engine, at, earlier)
        const finished = earlier.some((e) => e.type === 'stage-finished')
        assert.equal(
          later.flatMap((e) => (e.type === 'stage-started' ? [e.stage] : [])),
          finished ? ['tune'] : ['warm', 'tune'],
          what,
        )
        same(await weightsIn(at, 'tune'), want)
      }
    },
  )
}

const [anEngine] = engines as readonly [Engine]
runs('a run that was finished trains nothing again', async () => {
  const at = await folder()
  const events = await ran(anEngine, at)
  const counted = counting(anEngine)
  const again = await ran(counted, at, events)
  assert.equal(
    again.map((e) => e.type),
    ['run-finished'],
  )
})

runs('unsubscribing stops after the step in progress and closes the session', async () => {
  const at = await folder()
  const counted = counting(anEngine)
  const seen: RunEvent[] = []
  const subscription = experiment(recipe, unmeasured)
    .run(contextIn(at, counted))
    .subscribe((e) => {
      seen.push(e)
      if (e.type === 'step') subscription.unsubscribe()
    })
  await until(() => seen.length === 2 && counted.open === 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(
    seen.map((e) => e.type),
    ['stage-started', 'step'],
  )
  assert.not(existsSync(join(at, 'checkpoints')))
})

runs(
  'an error of an evaluation or of the starting weights is the stream’s, and no session stays open',
  async () => {
    const counted = counting(anEngine)
    const at = await folder()
    const broken: Evaluation = {
      ...unmeasured,
      async *run() {
        throw new Error('this evaluation fails')
      },
    }
    assert.is((await thrown(() => ran(counted, at, [], broken))).message, 'this evaluation fails')
    assert.is(counted.open, 0)
    const missing = { ...recipe, start: { describe: '', weights: TE.left(new Error('no bases here')) } }
    const error = await thrown(() =>
      firstValueFrom(experiment(missing, unmeasured).run(contextIn(at, counted)).pipe(toArray())),
    )
    assert.is(error.message, 'no bases here')
    assert.is(counted.open, 0)
  },
)

runs(
  'weights that a stage does not read are handed on; those that it is given are where it begins',
  async () => {
    const at = await folder()
    const words = {
      ...tinyStage({ name: 'words', steps: 1, length: 96, batch: 2, learningRate: 0 }),
      train: ['language'] as const,
      objective: textToken,
      source: texts('words'),
    }
    const shape = [tiny.language.hiddenSize]
    const given: Weights = new Map([
      ['vision_model.kept', tensorValue('float32', [2], [0.1, -3])],
      ['language_model.model.norm.weight', tensorValue('float32', shape, Array(shape[0]!).fill(7))],
    ])
    const r = pipe({ ...start, start: { describe: 'given', weights: TE.right(given) } }, next(words))
    await firstValueFrom(experiment(r, unmeasured).run(contextIn(at, anEngine)).pipe(toArray()))
    const got = await weightsIn(at, 'words')
    for (const [key, v] of given) assert.ok(bitsOf(got.get(key)!).equals(bitsOf(v)), key)
    assert.equal(
      [...got.keys()].sort(),
      [...new Set([...given.keys(), ...weightKeys(stageProgram(tiny, words))])].sort(),
    )
  },
)

runs.run()

// --- files ------------------------------------------------------------------------------------------------

const files = suite('train: weights in files')
files.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

files('F32 keeps every bit, F16 rounds to nearest', async () => {
  const at = join(await folder(), 'w.safetensors')
  const numbers = [0, -0, 1e-40, Math.fround(0.1), -65504, 3.4e38, 2 ** -149]
  const weights: Weights = new Map([['w', tensorValue('float32', [7], numbers)]])
  await orThrow(saveWeights(at, weights, { stage: 'x' }))
  same(await orThrow(loadWeights(at)), weights)
  const small: Weights = new Map([['w', tensorValue('float32', [3], [0.1, 1 / 3, 2])]])
  await orThrow(saveWeights(at, small, {}, 'F16'))
  assert.equal([...(await orThrow(loadWeights(at))).get('w')!.data], [0.0999755859375, 0.333251953125, 2])
})

files('a missing file is named', async () => {
  const at = join(await folder(), 'none.safetensors')
  const error = await thrown(() => orThrow(loadWeights(at)))
  assert.ok(error.message.includes(at) && /no such file/.test(error.message))
})

files.run()
