import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  elements,
  fill,
  fixed,
  gradient,
  input,
  type Program,
  parametersOf,
  program,
  type Results,
} from '../../src/dsl/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Engine, Session, TensorValue } from '../../src/engine/session.ts'
import { scalarValue } from '../../src/engine/values.ts'
import { adamW, clipByGlobalNorm, isOptimizerKey } from '../../src/optim/index.ts'
import { presentEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import {
  cachedCase,
  continueGreedily,
  greedyCases,
  type ModelCase,
  modelCases,
} from '../support/model-cases.ts'

const engines = await presentEngines()
const test = suite(`models on ${engines.map((e) => e.name).join(' and ')}`)

/** Any two engines that compute one program agree to this, relative to the array's largest magnitude. */
const tolerance = 1e-4

const run = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (got._tag === 'Left') throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

/** Opens a session with these states, and closes it whatever happens. */
const within = async <A>(
  engine: Engine,
  p: Program,
  states: ReadonlyMap<string, TensorValue>,
  use: (s: Session) => Promise<A>,
): Promise<A> => {
  const session = await run(engine.load(p))
  try {
    await run(session.write(states))
    return await use(session)
  } finally {
    await run(session.close())
  }
}

const close = (what: string, got: ArrayLike<number>, want: ArrayLike<number>, to: number): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= to, `${what}: relative error ${error}, more than ${to}`)
}

/** Each engine against each one before it, by name of the array. */
const agree = (
  what: string,
  results: readonly (readonly [engine: string, arrays: Readonly<Record<string, ArrayLike<number>>>])[],
  to: number,
): void =>
  results.forEach(([name, arrays], i) => {
    for (const [other, theirs] of results.slice(0, i)) {
      assert.equal(Object.keys(arrays).sort(), Object.keys(theirs).sort())
      for (const [key, array] of Object.entries(arrays))
        close(`${what}, ${key}, ${name} against ${other}`, array, theirs[key]!, to)
    }
  })

const numbersOf = (
  outputs: Readonly<Record<string, TensorValue>>,
): Readonly<Record<string, TensorValue['data']>> =>
  Object.fromEntries(Object.entries(outputs).map(([n, v]) => [n, v.data]))

test('there is an engine', () => assert.ok(engines.length > 0))

for (const c of modelCases())
  test(`${c.name}: reference numbers, and one engine against another`, async () => {
    const p = program({ name: c.name, functions: { forward: fixed(c.build) } })
    const results: [string, Readonly<Record<string, TensorValue['data']>>][] = []
    for (const engine of engines) {
      const outputs = await within(engine, p, c.states, (s) => run(s.call('forward', c.inputs)))
      assert.equal(Object.keys(outputs).sort(), Object.keys(c.expected).sort())
      for (const [name, v] of Object.entries(outputs))
        close(`${c.name}, ${name}, ${engine.name}`, v.data, c.expected[name]!, c.tolerance)
      results.push([engine.name, numbersOf(outputs)])
    }
    agree(c.name, results, tolerance)
  })

for (const g of greedyCases())
  test(g.name, async () => {
    const p = program({ name: g.name, functions: { next: fixed(g.build) } })
    for (const engine of engines) {
      const ids = await within(engine, p, g.states, (s) =>
        continueGreedily(g, async (inputs) => (await run(s.call('next', inputs))).logits!.data),
      )
      assert.equal(ids, g.expected, engine.name)
    }
  })

const cached = cachedCase()
test(`${cached.name}: the cache lives in the session`, async () => {
  const { prefill, decode } = cached.functions
  const p = program({ name: cached.name, functions: { prefill: fixed(prefill), decode: fixed(decode) } })
  assert.ok(cached.calls.length > 4)
  for (const engine of engines)
    await within(engine, p, cached.states, async (s) => {
      // the second round finds what the first one left in the cache
      for (const round of [1, 2])
        for (const [i, { call, inputs, logits }] of cached.calls.entries()) {
          const out = await run(s.call(call, inputs))
          close(`${engine.name}, round ${round}, ${call} ${i}`, out.logits!.data, logits, cached.tolerance)
        }
    })
})

// --- fifty steps ----------------------------------------------------------------------------------------------

const Steps = 50

/** One update of all weights on the case's own batch: clipped gradients into AdamW. */
const stepOf = (c: ModelCase): Results => {
  const { loss } = c.build().outputs
  const parameters = parametersOf(loss!)
  const clipped = clipByGlobalNorm(gradient(loss!, [...parameters.values()]), 1)
  const { next } = adamW(parameters, clipped.gradients, input('learning_rate', []), { decay: 0.01 })
  return { outputs: { loss: loss!, norm: clipped.norm }, next }
}

const trainable = (c: ModelCase): Program =>
  program({ name: `${c.name}, trained`, functions: { step: fixed(() => stepOf(c)) } })

/** Ten steps up, then down again. */
const rate = (step: number): number => 3e-3 * Math.min((step + 1) / 10, 1 - step / (Steps + 10))

/** The step's inputs: those that the loss reads. */
const feedsOf = (p: Program, c: ModelCase, step: number): Readonly<Record<string, TensorValue>> =>
  Object.fromEntries(
    [...p.functions.get('step')![0]!.inputs.keys()].map((n) => [
      n,
      n === 'learning_rate' ? scalarValue(Math.fround(rate(step))) : c.inputs[n]!,
    ]),
  )

/** Losses, norms, and the weights at the end. */
type Trajectory = Readonly<Record<string, ArrayLike<number>>>

const trajectoryOn = async (engine: Engine, p: Program, c: ModelCase): Promise<Trajectory> =>
  within(engine, p, c.states, async (s) => {
    const losses: number[] = []
    const norms: number[] = []
    for (let step = 0; step < Steps; step++) {
      const out = await run(s.call('step', feedsOf(p, c, step)))
      losses.push(out.loss!.data[0]!)
      norms.push(out.norm!.data[0]!)
    }
    const weights = await run(s.read([...p.states.keys()].filter((k) => !isOptimizerKey(k))))
    return { losses, norms, ...Object.fromEntries([...weights].map(([k, v]) => [k, v.data])) }
  })

/** The same in float64, one evaluation a step. */
const trajectoryInDoubles = (p: Program, c: ModelCase): Trajectory => {
  const { outputs, next } = p.functions.get('step')![0]!
  const keys = [...next.keys()]
  let states = new Map<string, ArrayLike<number>>(
    [...p.states.values()].map((s) => [
      s.key,
      c.states.get(s.key)?.data ?? fill(s.init, elements(s.axes), 0, s.key),
    ]),
  )
  const losses: number[] = []
  const norms: number[] = []
  for (let step = 0; step < Steps; step++) {
    const inputs = Object.fromEntries(Object.entries(feedsOf(p, c, step)).map(([n, v]) => [n, v.data]))
    const [loss, norm, ...values] = evaluate(
      [outputs.loss!, outputs.norm!, ...keys.map((k) => next.get(k)!)],
      { inputs, states },
    )
    losses.push(loss![0]!)
    norms.push(norm![0]!)
    states = new Map([...states, ...keys.map((k, i) => [k, values[i]!] as const)])
  }
  const weights = [...states].filter(([k]) => !isOptimizerKey(k))
  return { losses, norms, ...Object.fromEntries(weights) }
}

const trained = async (name: string, doubles: boolean): Promise<void> => {
  const c = modelCases().find((m) => m.name === name)!
  const p = trainable(c)
  const results: [string, Trajectory][] = []
  if (doubles) results.push(['the float64 evaluator', trajectoryInDoubles(p, c)])
  for (const engine of engines) results.push([engine.name, await trajectoryOn(engine, p, c)])
  agree(`${name}, ${Steps} steps`, results, 1e-3)
  for (const [engine, { losses }] of results)
    assert.ok(losses![Steps - 1]! < losses![0]! / 2, `${engine}: ${losses![0]} → ${losses![Steps - 1]}`)
}

test('fifty steps of AdamW: a language model, engines and the float64 evaluator', () =>
  trained('qwen3-tied', true))

test('fifty steps of AdamW: the joined model, engine against engine', () => trained('sail-vl2', false))

test.run()
