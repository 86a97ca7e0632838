import { existsSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { isRight } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, takeWhile, tap, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, fixed, input, type Keys, keys } from '../../src/dsl/index.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { openCheckpoint } from '../../src/formats/safetensors-index.ts'
import { sailVl2Parts as parts } from '../../src/models/sail-vl2.ts'
import { WeightsError } from '../../src/models/weights-error.ts'
import { RunEvent } from '../../src/run/events.ts'
import { texts } from '../../src/tasks/sources.ts'
import { allOf, type Evaluation, unmeasured } from '../../src/train/evaluation.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch, type Start } from '../../src/train/recipe-start.ts'
import { RecipeError } from '../../src/train/setting-checks.ts'
import type { Stage } from '../../src/train/stage.ts'
import { supervised } from '../../src/train/supervised.ts'
import { orThrow } from '../../src/train/task.ts'
import {
  loadWeights,
  readWeights,
  type StoredWeights,
  saveWeights,
  type Weights,
  weightKeys,
} from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import {
  contextIn,
  counting,
  programOf,
  thrown,
  tiny,
  tinyConversation,
  tinyModel,
  tinyProcessor,
  tinyStage,
  watched,
} from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()

const bitsOf = (v: TensorValue): Buffer => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength)

/** The same keys, shapes and bits. */
const same = (got: Weights, want: Weights): void => {
  assert.equal([...got.keys()].sort(), [...want.keys()].sort())
  for (const [key, v] of want) {
    assert.equal(got.get(key)!.shape, v.shape, key)
    assert.ok(bitsOf(got.get(key)!).equals(bitsOf(v)), `${key} is another`)
  }
}

const { folder, remove } = temporaryFolders('sailwright-recipe-')
const weightsIn = (at: string, stage: string): Promise<Weights> =>
  orThrow(loadWeights(join(at, 'checkpoints', stage, 'model.safetensors')))

const warm = tinyStage({ name: 'warm', to: 'warm', train: [parts.adapter], steps: 2 })
const tune = tinyStage({
  name: 'tune',
  from: 'warm',
  steps: 3,
  source: watched((i) => tinyConversation(i + 50)),
})

const start = begin({
  name: 'two stages',
  seed: 3,
  model: tinyModel,
  start: fromScratch,
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
  const refused = (make: () => unknown, says: RegExp): void => {
    assert.throws(make, (e: Error) => e instanceof RecipeError && says.test(e.message))
  }
  // the same where a file runs without having been type-checked
  refused(
    // @ts-expect-error 'tune' begins from warm weights, and these are fresh
    () => pipe(start, next(tune)),
    /stage 'tune', from: it begins from weights 'warm', and the recipe has arrived at 'fresh'/,
  )
  refused(
    // @ts-expect-error 'warm' begins from fresh weights, and these are tuned
    () => pipe(start, next(warm), next(tune), next(warm)),
    /arrived at 'tuned'/,
  )
  refused(
    // @ts-expect-error the same stage twice: its second time begins from warm weights
    () => pipe(start, next(warm), next(warm)),
    /arrived at 'warm'/,
  )
})

types('a source of other examples than the objective takes does not compile', () => {
  const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 32 })
  const rest = { name: 's', from: 'a', to: 'b', train: [parts.adapter], steps: 1, learningRate: 1 } as const
  // @ts-expect-error the objective takes conversations, the source gives numbers
  const odd = supervised({ ...rest, objective, source: watched((i) => i) })
  assert.is(odd.name, 's')
})

types('an experiment says as data what determines it', () => {
  const e = experiment(recipe, unmeasured)
  assert.equal([e.name, e.seed, e.families], ['two stages', 3, []])
  const told = JSON.parse(JSON.stringify(e.recipe))
  const { objective, ...first } = told.stages[0]
  assert.equal(first, {
    ...{ kind: 'supervised', name: 'warm', from: 'fresh', to: 'warm', train: ['adapter'], steps: 2 },
    ...{ accumulate: 1, learningRate: 0.01, maxGradientNorm: 1 },
    schedule: { kind: 'cosine', warmup: 0.1, minRatio: 0.1 },
    optimizer: { kind: 'adamW' },
    source: { kind: 'watched' },
  })
  assert.equal([objective.kind, objective.rows, objective.tokens], ['nextToken', 4, 32])
  assert.equal(objective.model, JSON.parse(JSON.stringify(tinyModel.config)))
  assert.is(objective.processor.image.tokens, 16)
  assert.equal([told.start, told.evaluation], ['fresh', []])
})

types.run()

// --- evaluations ------------------------------------------------------------------------------------------

const evaluations = suite('train: evaluations together')

const measuring = (family: string, name: string): Evaluation => ({
  config: family,
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
  assert.equal(both.config, ['a', 'b'])
  assert.equal(Object.keys(both.functions('s')), ['one', 'two'])
  const got: string[] = []
  for await (const e of both.run(
    undefined as never,
    { name: 's', last: true, done: new Set() },
    undefined as never,
  ))
    got.push(e.family)
  assert.equal(got, ['a', 'b'])
  assert.equal(Object.keys(allOf().functions('s')), [])
})

evaluations('two functions of one name are an error that names it', async () => {
  const error = await thrown(() => allOf(measuring('a', 'one'), measuring('b', 'one')).functions('sft'))
  assert.match(error.message, /two evaluations of stage 'sft' have a function 'one'/)
})

evaluations.run()

// --- runs -------------------------------------------------------------------------------------------------

const runs = suite(`train: a recipe on ${engines.map((e) => e.name).join(' and ')}`)
runs.after(remove)

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
        `weights ${name}`,
        `stage-started ${name}`,
        ...Array(steps).fill(`step ${name}`),
        `checkpointed ${name}`,
        `evaluated ${name}`,
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
      const session = await orThrow(engine.load(programOf(tune), { seed: 99 }))
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
        const finished = earlier.some((e) => e.type === 'stage-finished' || e.type === 'checkpointed')
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

runs('weights of a finished stage that are damaged or gone are told with what to do', async () => {
  const at = await folder()
  const events = await ran(anEngine, at)
  const first = events.slice(0, events.findIndex((e) => e.type === 'stage-finished') + 1)
  const weights = join(at, 'checkpoints/warm/model.safetensors')
  const said = async (): Promise<string> => (await thrown(() => ran(anEngine, at, first))).message
  truncateSync(weights, 100)
  assert.match(
    await said(),
    /^the weights that an earlier start left cannot be read \(.*100.*\); put the file back, or begin/,
  )
  rmSync(weights)
  assert.match(
    await said(),
    /^the weights that an earlier start left cannot be read \(.*there is no such file/,
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
  await until(() => seen.length === 3 && counted.open === 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(
    seen.map((e) => e.type),
    ['weights', 'stage-started', 'step'],
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
    assert.is(
      (await thrown(() => ran(counted, at, [], broken))).message,
      "stage 'warm': this evaluation fails",
    )
    assert.is(counted.open, 0)
    assert.ok(existsSync(join(at, 'checkpoints', 'warm', 'model.safetensors')), 'saved before it is measured')
    const missing = { ...recipe, start: { config: '', weights: TE.left(new Error('no bases here')) } }
    const error = await thrown(() =>
      firstValueFrom(experiment(missing, unmeasured).run(contextIn(at, counted)).pipe(toArray())),
    )
    assert.is(error.message, 'no bases here')
    assert.is(counted.open, 0)
  },
)

runs('an evaluation that failed is all that is done again, and of it what was not measured', async () => {
  const alone = await folder()
  const found = new Map<string, Weights>()
  const whole = await ran(anEngine, alone, [], watching(found))
  let fails = true
  const asked: string[] = []
  /** Measures one family, and fails at the second the first time. */
  const failing: Evaluation = {
    ...unmeasured,
    families: ['one', 'two'],
    async *run(session, stage) {
      for (const family of ['one', 'two']) {
        if (stage.done.has(family)) continue
        asked.push(`${stage.name} ${family}`)
        if (family === 'two' && fails) throw new Error('the judge is away')
        same(await orThrow(readWeights(session)), found.get(stage.name)!)
        yield { type: 'evaluated', stage: stage.name, family, correct: 1, total: 1, seconds: 0 }
      }
    },
  }
  const at = await folder()
  const first: RunEvent[] = []
  const error = await thrown(() =>
    firstValueFrom(
      experiment(recipe, failing)
        .run(contextIn(at, anEngine))
        .pipe(
          tap((e) => {
            first.push(e)
          }),
          toArray(),
        ),
    ),
  )
  assert.is(error.message, "stage 'warm': the judge is away")
  fails = false
  const later = await ran(anEngine, at, first, failing)
  assert.equal(asked, ['warm one', 'warm two', 'warm two', 'tune one', 'tune two'])
  assert.equal(
    later.flatMap((e) => (e.type === 'step' ? [e.stage] : [])),
    ['tune', 'tune', 'tune'],
    'the first stage is not trained again',
  )
  const ends = (events: readonly RunEvent[]) =>
    events.flatMap((e) => (e.type === 'stage-finished' ? [[e.stage, e.loss, e.samples]] : []))
  assert.equal(ends(later), ends(whole))
  same(await weightsIn(at, 'tune'), await weightsIn(alone, 'tune'))
})

runs('starting weights that fit nothing, or not all, are refused before the first step', async () => {
  const session = await orThrow(anEngine.load(programOf(tune), { seed: 1 }))
  const good = await orThrow(readWeights(session))
  await orThrow(session.close())
  const renamed = (f: (key: string) => string): Weights => new Map([...good].map(([k, v]) => [f(k), v]))
  const begun = async (weights: Weights, fresh?: Keys): Promise<readonly RunEvent[]> => {
    const at = await folder()
    const given = { config: 'given', weights: TE.right(weights), ...(fresh === undefined ? {} : { fresh }) }
    return firstValueFrom(
      experiment(pipe({ ...start, start: given }, next(warm)), unmeasured)
        .run(contextIn(at, anEngine))
        .pipe(toArray()),
    )
  }
  const refused = async (weights: Weights, says: RegExp, fresh?: Keys): Promise<void> => {
    const error = await thrown(() => begun(weights, fresh))
    assert.instance(error, WeightsError)
    assert.match(error.message, says)
  }
  await refused(
    renamed((k) => `model.${k}`),
    /lack \d+ of \d+ keys: .* There is model\./,
  )
  await refused(
    renamed((k) => k.replace('language_model.', '')),
    /language_model\..*There is .*are the keys named otherwise/,
  )
  await refused(new Map(), /say with fresh which keys may begin fresh/)
  const [key, value] = [...good][0]!
  await refused(
    new Map([...good, [key, { ...value, shape: [...value.shape, 1] }]]),
    /has shape \[.*\], and the model wants \[.*\]; is it the checkpoint of another model/,
  )
  const halved = new Map([...good].filter(([k]) => !parts.adapter.has(k)))
  await refused(halved, /mlp1\./)
  await refused(halved, /mlp1\./, parts.vision)
  const events = await begun(new Map([...halved, ['head.weight', value]]), parts.adapter)
  const told = events.find((e) => e.type === 'weights')
  assert.equal(told, {
    ...{ type: 'weights', stage: 'warm', taken: halved.size, unused: ['head.weight'] },
    fresh: [...good.keys()].filter(parts.adapter.has),
  })
})

runs('weights that are somewhere else are read by key, each once and only those that are taken', async () => {
  const at = await folder()
  const session = await orThrow(anEngine.load(programOf(tune), { seed: 1 }))
  const good = await orThrow(readWeights(session))
  await orThrow(session.close())
  const file = join(at, 'start.safetensors')
  const more = tensorValue('int32', [2], [7, -1])
  await orThrow(saveWeights(file, new Map([...good, ['step.count', more]]), {}))
  const given = await orThrow(openCheckpoint(file))
  const run = async (start_: Start): Promise<Weights> => {
    const into = await folder()
    await firstValueFrom(
      experiment(pipe({ ...start, start: start_ }, next(warm), next(tune)), unmeasured)
        .run(contextIn(into, anEngine))
        .pipe(toArray()),
    )
    const kept = await orThrow(openCheckpoint(join(into, 'checkpoints', 'tune', 'model.safetensors')))
    assert.equal((await orThrow(kept.read('step.count'))).data, more.data, 'what nothing reads is handed on')
    const own = [...good.keys()]
    return new Map(await Promise.all(own.map(async (k) => [k, await orThrow(kept.read(k))] as const)))
  }
  const read: string[] = []
  const counted: StoredWeights = {
    ...given,
    read: (key) => {
      read.push(key)
      return given.read(key)
    },
  }
  const whole = new Map([...good, ['step.count', more]])
  const want = await run({ config: 'given', weights: TE.right(whole) })
  same(await run({ config: 'given', weights: counted }), want)
  // once for the session, and what no session holds once for the file
  assert.equal(read.sort(), [...good.keys(), 'step.count'].sort())
  same(await run({ config: 'given', weights: openCheckpoint(file) }), want)

  // strict by what the headers say, and nothing is read
  read.length = 0
  const key = [...good.keys()][0]!
  const refused = async (weights: StoredWeights): Promise<string> => {
    const all = experiment(pipe({ ...start, start: { config: '', weights } }, next(warm)), unmeasured)
    const error = await thrown(async () =>
      firstValueFrom(all.run(contextIn(await folder(), anEngine)).pipe(toArray())),
    )
    assert.instance(error, WeightsError)
    return error.message
  }
  assert.match(await refused({ ...counted, shape: () => [3] }), /has shape \[3\], and the model wants/)
  assert.match(
    await refused({ ...counted, keys: given.keys.filter((k) => k !== key) }),
    /the starting weights lack 1 of/,
  )
  assert.equal(read, [])
})

runs('what is wrong with a later stage is said before the first one trains', async () => {
  const broken = (at: number) =>
    watched((i) => {
      if (i === at) throw new Error(`image ${i} cannot be read`)
      return tinyConversation(i)
    })
  const seen: RunEvent[] = []
  const trying = async (second: Stage<'warm', 'tuned'>): Promise<string> => {
    const r = pipe(start, next(warm), next(second))
    const all = experiment(r, unmeasured).run(contextIn(await folder(), anEngine))
    const error = await thrown(() =>
      firstValueFrom(
        all.pipe(
          tap((e) => void seen.push(e)),
          toArray(),
        ),
      ),
    )
    return error.message
  }
  const about = { name: 'second', from: 'warm', to: 'tuned' } as const
  assert.is(
    await trying(tinyStage({ ...about, source: broken(2) })),
    "stage 'second', source: image 2 cannot be read",
  )
  assert.match(
    await trying(tinyStage({ ...about, tokens: 20 })),
    /sample tiny\/0 has \d+ tokens and a row holds 20/,
  )
  assert.match(
    await trying(tinyStage({ ...about, source: watched(tinyConversation, 3) })),
    /stage 'second', source: it has 3 examples and a step takes 4/,
  )
  assert.match(
    await trying(tinyStage({ ...about, train: [keys('head', 'head.**')] })),
    /stage 'second', train: it is head/,
  )
  assert.equal(seen, [])
})

runs('an evaluation of a stage that there is not, and settings that are no data, are refused', async () => {
  const told = async (make: () => unknown): Promise<string> => (await thrown(make)).message
  assert.match(
    await told(() => experiment(recipe, { ...unmeasured, stages: ['sft'] })),
    /evaluation: it is of a stage 'sft', which there is not; the stages are warm, tune/,
  )
  assert.match(
    await told(() => experiment(recipe, { ...unmeasured, config: { score: () => 1 } })),
    /config.evaluation.score: it is a function; what determines a run is recorded as plain JSON data/,
  )
  assert.match(
    await told(() => experiment({ ...recipe, start: { ...recipe.start, config: new Date() } }, unmeasured)),
    /config.start: it is a Date/,
  )
  assert.match(await told(() => begin({ ...start, seed: -1 })), /recipe 'two stages', seed: it is -1/)
  assert.match(
    await told(() => begin({ ...start, start: { ...start.start, weights: Promise.resolve() as never } })),
    /start.weights: it is no task of weights/,
  )
})

runs(
  'weights that a stage does not read are handed on; those that it is given are where it begins',
  async () => {
    const at = await folder()
    const words = supervised({
      ...{ name: 'words', from: 'fresh', to: 'tuned', steps: 1, learningRate: 0 },
      train: [parts.language],
      objective: nextToken(tinyModel, tinyProcessor, { rows: 2, tokens: 96, images: 0 }),
      source: texts('words'),
    })
    const shape = [tiny.language.hiddenSize]
    const given: Weights = new Map([
      ['vision_model.kept', tensorValue('float32', [2], [0.1, -3])],
      ['language_model.model.norm.weight', tensorValue('float32', shape, Array(shape[0]!).fill(7))],
    ])
    const r = pipe(
      { ...start, start: { config: 'given', weights: TE.right(given), fresh: parts.language } },
      next(words),
    )
    await firstValueFrom(experiment(r, unmeasured).run(contextIn(at, anEngine)).pipe(toArray()))
    const got = await weightsIn(at, 'words')
    for (const [key, v] of given) assert.ok(bitsOf(got.get(key)!).equals(bitsOf(v)), key)
    assert.equal(
      [...got.keys()].sort(),
      [...new Set([...given.keys(), ...weightKeys(programOf(words))])].sort(),
    )
  },
)

runs(
  'the programs of later stages are compiled while earlier ones train, and no longer than the run',
  async () => {
    const said: string[] = []
    const ahead: Engine = {
      ...anEngine,
      compileAhead: (programs) => {
        const all = [...programs]
        said.push(`ahead ${all.map((p) => p.functions.has('step')).join()}`)
        return {
          done: Promise.resolve(),
          end: async () => {
            said.push('end')
          },
        }
      },
      load: (program, options) => {
        said.push('load')
        return anEngine.load(program, options)
      },
    }
    const at = await folder()
    const all = experiment(recipe, unmeasured)
    await firstValueFrom(all.run(contextIn(at, ahead)).pipe(toArray()))
    assert.equal(said, ['ahead true', 'load', 'load', 'end'])
    said.length = 0
    // the last stage has none after it
    const first = experiment(pipe(start, next(warm)), unmeasured)
    await firstValueFrom(first.run(contextIn(await folder(), ahead)).pipe(toArray()))
    assert.equal(said, ['load'])
    // whoever stops listening ends it too
    said.length = 0
    await firstValueFrom(
      all.run(contextIn(await folder(), ahead)).pipe(
        takeWhile((e) => e.type !== 'weights'),
        toArray(),
      ),
    )
    await until(() => said.at(-1) === 'end')
  },
)

runs.run()

// --- files ------------------------------------------------------------------------------------------------

const files = suite('train: weights in files')
files.after(remove)

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
