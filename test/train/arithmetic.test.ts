/**
 * Whole runs against plain arithmetic: what a step does with a stage's settings, and what one stage hands to the next. The
 * numbers on the other side are computed here, in float64, from the papers' formulas.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fill, normal, ones, zeros } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adamWith } from '../../src/optim/index.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { unmeasured } from '../../src/train/evaluation.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { supervised } from '../../src/train/supervised.ts'
import type { SupervisedSettings } from '../../src/train/supervised-settings.ts'
import { orThrow } from '../../src/train/task.ts'
import { loadWeights, type Weights } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import {
  type PlainSettings,
  type PlainState,
  plainNorm,
  plainStart,
  plainStep,
} from '../support/plain-adamw.ts'
import {
  byHand,
  type Example,
  exampleAt,
  meanSquare,
  parts,
  regression,
  shapes,
} from '../support/regression.ts'
import { contextIn, watched } from '../support/tiny.ts'

const engines = await hostEngines()

// --- by hand ----------------------------------------------------------------------------------------------------

/** What the fresh model holds: what its initialisers give for a seed. */
const freshly = (seed: number): PlainState =>
  plainStart(
    [...shapes].map(([key, [a = 1, b = 1]]) => {
      const init = key === 'norm.weight' ? ones : key === 'body.bias' ? zeros : normal(0.7)
      return [key, fill(init, a * b, seed, key)]
    }),
  )

/** A stage as plain numbers. */
interface PlainStage {
  /** Examples an update, and the index of the first. */
  readonly batch: number
  readonly from: number
  /** The learning rates of its updates. */
  readonly rates: readonly number[]
  readonly trained: (key: string) => boolean
  readonly settings: Omit<PlainSettings, 'rate'>
}

/** The updates of a stage: what each began with, and the parameters at the end. */
const plainly = (stage: PlainStage, before: PlainState) => {
  // a stage begins with moments of 0
  let state = plainStart([...before].map(([key, { p }]) => [key, p]))
  const updates = stage.rates.map((rate, n) => {
    const first = stage.from + n * stage.batch
    const examples = Array.from({ length: stage.batch }, (_, i) => exampleAt(first + i))
    const { sum, weight, gradients } = byHand(state, examples)
    const mean = new Map(
      [...gradients].flatMap(([key, g]) => (stage.trained(key) ? [[key, g.map((x) => x / weight)]] : [])),
    ) as ReadonlyMap<string, Float64Array>
    const moving = new Map([...state].filter(([key]) => stage.trained(key)))
    state = new Map([...state, ...plainStep(n + 1, moving, mean, { ...stage.settings, rate })])
    return { loss: sum / weight, weight, norm: plainNorm(mean), rate }
  })
  return { updates, state }
}

// --- the stages -------------------------------------------------------------------------------------------------

const rate = 0.07
const common = { beta1: 0.7, beta2: 0.83, epsilon: 3e-2 }

/** Everything unusual: groups, betas, decay, a limit that clips some updates, a course of its own. */
const first: SupervisedSettings<'fresh', 'begun', Example> = {
  ...{ name: 'first', from: 'fresh', to: 'begun', train: [parts.body, parts.head] },
  ...{
    objective: meanSquare(5),
    source: watched(exampleAt),
    steps: 4,
    learningRate: rate,
    maxGradientNorm: 9,
  },
  schedule: { kind: 'wsd', warmup: 1, decay: 2, minRatio: 0.25, shape: 'linear' },
  optimizer: adamWith({
    ...common,
    weightDecay: 0.9,
    groups: [{ match: ['head.**', 'norm.*'], learningRateMultiplier: 3, weightDecay: 0.4 }],
  }),
}
const firstPlain: PlainStage = {
  ...{ batch: 5, from: 0, trained: () => true },
  // the schedule at steps 1 to 4: behind its warm-up of one step, and down to a quarter
  rates: [1, 1, 0.625, 0.25].map((f) => f * rate),
  settings: {
    ...common,
    clip: 9,
    decay: (key) => ({ 'body.weight': 0.9, 'body.bias': 0, 'head.weight': 0.4, 'norm.weight': 0.4 })[key]!,
    factor: (key) => (key.startsWith('body.') ? 1 : 3),
  },
}

/** Everything by default, for the one part: three micro-batches an update. */
const second: SupervisedSettings<'begun', 'done', Example> = {
  ...{ name: 'second', from: 'begun', to: 'done', train: [parts.head] },
  ...{ objective: meanSquare(2), accumulate: 3, source: watched((i) => exampleAt(i + 100)) },
  ...{ steps: 3, learningRate: 0.2 },
}
const secondPlain: PlainStage = {
  ...{ batch: 6, from: 100, trained: (key: string) => !key.startsWith('body.') },
  // warm-up over one step, then half a cosine to a tenth
  rates: [1, 0.55, 0.1].map((f) => f * 0.2),
  settings: {
    ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clip: 1 },
    decay: (key) => (key === 'head.weight' ? 0.1 : 0),
    factor: () => 1,
  },
}

const stepsOf = (events: readonly RunEvent[], stage: string): readonly EventOf<'step'>[] =>
  events.flatMap((e) => (e.type === 'step' && e.stage === stage ? [e] : []))

const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= 2e-5, `${what}: ${Array.from(got)} for ${Array.from(want)}`)
}

const runs = suite(`train: runs against plain arithmetic on ${engines.map((e) => e.name).join(' and ')}`)
const folders: string[] = []
runs.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

/** Runs both stages: their events, and the weights after each. */
const ran = async (engine: Engine, seed: number, start = fromScratch) => {
  const at = await mkdtemp(join(tmpdir(), 'sailwright-arithmetic-'))
  folders.push(at)
  const recipe = pipe(
    begin({ name: 'arithmetic', seed, model: regression, start, now: 'fresh' }),
    next(supervised(first)),
    next(supervised(second)),
  )
  const events = await firstValueFrom(
    experiment(recipe, unmeasured).run(contextIn(at, engine)).pipe(toArray()),
  )
  const after = (stage: string): Promise<Weights> =>
    orThrow(loadWeights(join(at, 'checkpoints', stage, 'model.safetensors')))
  return { events, weights: { first: await after('first'), second: await after('second') } }
}

const agrees = ({ events, weights }: Awaited<ReturnType<typeof ran>>, begun: PlainState): void => {
  const one = plainly(firstPlain, begun)
  const two = plainly(secondPlain, one.state)
  for (const [name, plain, { updates, state }] of [
    ['first', firstPlain, one],
    ['second', secondPlain, two],
  ] as const) {
    const told = stepsOf(events, name)
    assert.is(told.length, updates.length)
    updates.forEach((u, n) => {
      const e = told[n]!
      near(`${name}, loss ${n + 1}`, [e.loss], [u.loss])
      near(`${name}, norm ${n + 1}`, [e.gradientNorm], [u.norm])
      near(`${name}, rate ${n + 1}`, [e.learningRate], [u.rate])
      assert.equal([e.step, e.samples, e.tokens], [n + 1, (n + 1) * plain.batch, u.weight])
    })
    for (const [key, { p }] of state) near(`${name}, ${key} at the end`, weights[name].get(key)!.data, p)
    const finished = events.find((e) => e.type === 'stage-finished' && e.stage === name)
    near(`${name}, its loss`, [(finished as EventOf<'stage-finished'>).loss], [updates.at(-1)!.loss])
  }
  // the second stage trains one part, and hands on the other bit for bit
  for (const key of ['body.weight', 'body.bias'])
    assert.equal(weights.second.get(key)!.data, weights.first.get(key)!.data)
}

runs('the settings are such that each of them shows', () => {
  const one = plainly(firstPlain, freshly(7))
  const over = one.updates.filter((u) => u.norm > 9).length
  assert.ok(over > 0 && over < 4, `of 4 updates ${over} are clipped: ${one.updates.map((u) => u.norm)}`)
  const other = (change: Partial<PlainStage['settings']>): number =>
    maxRelativeError(
      plainly({ ...firstPlain, settings: { ...firstPlain.settings, ...change } }, freshly(7)).state.get(
        'head.weight',
      )!.p,
      one.state.get('head.weight')!.p,
    )
  for (const change of [
    { clip: undefined },
    { beta1: 0.9 },
    { beta2: 0.95 },
    { epsilon: 1e-8 },
    { decay: () => 0.1 },
    { factor: () => 1 },
  ])
    assert.ok(other(change) > 1e-3, `${Object.keys(change)} changes nothing`)
})

for (const engine of engines) {
  runs(`${engine.name}: two stages from scratch, as their formulas say`, async () => {
    agrees(await ran(engine, 7), freshly(7))
  })

  runs(`${engine.name}: from weights that are given, whatever the seed`, async () => {
    const given: Weights = new Map(
      [...shapes].map(([key, shape]) => [
        key,
        tensorValue(
          'float32',
          shape,
          fill(
            normal(1),
            shape.reduce((a, b) => a * b),
            1,
            `given ${key}`,
          ),
        ),
      ]),
    )
    const start = { config: 'given', weights: TE.right(given) }
    agrees(await ran(engine, 8, start), plainStart([...given].map(([key, v]) => [key, v.data])))
  })

  runs(`${engine.name}: another seed begins with other weights`, async () => {
    const [a, b] = [await ran(engine, 1), await ran(engine, 2)]
    assert.not.equal(stepsOf(a.events, 'first')[0]!.loss, stepsOf(b.events, 'first')[0]!.loss)
    agrees(b, freshly(2))
  })
}

runs(
  'weights of another shape are refused before the first step, also where they have as many elements',
  async () => {
    const given = (change: readonly number[]): Weights =>
      new Map(
        [...shapes].map(([key, shape]) => {
          const now = key === 'head.weight' ? change : shape
          const n = now.reduce((a, b) => a * b)
          return [key, tensorValue('float32', now, new Array(n).fill(0.1))]
        }),
      )
    for (const shape of [[4, 3], [12], [3, 5], [3, 4, 1]]) {
      const start = { config: 'given', weights: TE.right(given(shape)) }
      const message = await ran(engines[0]!, 1, start).then(
        () => 'nothing',
        (e: Error) => e.message,
      )
      assert.match(
        message,
        `the weight head.weight has shape [${shape.join(', ')}], and the model wants [3, 4]`,
      )
    }
  },
)

runs.run()
