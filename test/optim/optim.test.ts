import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  type Axis,
  axis,
  fixed,
  gradient,
  input,
  keys,
  type Program,
  parameter,
  parametersOf,
  program,
  type Results,
  type Tensor,
  topological,
  zeros,
} from '../../src/dsl/index.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { sailVl2Parts as parts } from '../../src/models/sail-vl2.ts'
import {
  type AdamWSettings,
  adamW,
  clipByGlobalNorm,
  decays,
  firstMomentKey,
  globalNorm,
  isOptimizerKey,
  StepKey,
  secondMomentKey,
} from '../../src/optim/index.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf } from '../../src/train/objective.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'
import { thrown, tinyModel, tinyProcessor, tinyStage } from '../support/tiny.ts'

const engines = await presentEngines()

// --- the reference trajectory -----------------------------------------------------------------------------

const reference = suite(`optim: torch's AdamW, in float64 and on ${engines.map((e) => e.name).join(' and ')}`)

const c = loadCase('adamw')
const size = c.shape('start')[0]!
const updates = c.shape('gradients')[0]!
const rowOf = (name: string, i: number): Float32Array => c.floats(name).subarray(i * size, (i + 1) * size)

/** One update of a vector from a gradient that is given. */
const updateOf = (limit: number | undefined): Results => {
  const Place = axis('place', size)
  const { lr: _, ...settings } = c.case.settings
  const clipped = clipByGlobalNorm([input('gradient', [Place])], limit)
  const { next } = adamW(
    new Map([['w', parameter('w', [Place], zeros)]]),
    clipped.gradients,
    input('rate', []),
    {
      beta1: settings.betas[0],
      beta2: settings.betas[1],
      epsilon: settings.eps,
      decay: settings.weight_decay,
      decays: () => true,
    },
  )
  return { outputs: { norm: clipped.norm }, next }
}

for (const [name, limit] of [
  ['trajectory', undefined],
  ['trajectory_clipped', c.case.settings.clip as number],
] as const) {
  const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>): void => {
    const error = maxRelativeError(got, want)
    assert.ok(error <= c.case.relative_tolerance, `${name}, ${what}: relative error ${error}`)
  }

  reference(`${name} in float64`, () => {
    const { outputs, next } = updateOf(limit)
    const keys = [...next!.keys()]
    let states = new Map<string, ArrayLike<number>>(
      keys.map((k) => [k, k === 'w' ? c.floats('start') : new Float64Array(k === StepKey ? 1 : size)]),
    )
    for (let i = 0; i < updates; i++) {
      const [norm, ...values] = evaluate([outputs.norm!, ...next!.values()], {
        inputs: { gradient: rowOf('gradients', i), rate: [c.case.settings.lr] },
        states,
      })
      states = new Map(keys.map((k, j) => [k, values[j]!]))
      near(`update ${i + 1}`, states.get('w')!, rowOf(name, i))
      near(`norm ${i + 1}`, norm!, c.floats('norms').subarray(i, i + 1))
    }
    assert.equal([...(states.get(StepKey) as Float64Array)], [updates])
  })

  for (const engine of engines)
    reference(`${name} on ${engine.name}`, async () => {
      const p = program({ name, functions: { update: fixed(() => updateOf(limit)) } })
      const session = await orThrow(engine.load(p))
      await orThrow(session.write(new Map([['w', tensorValue('float32', [size], c.floats('start'))]])))
      for (let i = 0; i < updates; i++) {
        const gradient = tensorValue('float32', [size], rowOf('gradients', i))
        const rate = scalarValue(c.case.settings.lr)
        const { norm } = await orThrow(session.call('update', { gradient, rate }))
        near(`update ${i + 1}`, (await orThrow(session.read(['w']))).get('w')!.data, rowOf(name, i))
        near(`norm ${i + 1}`, norm!.data, c.floats('norms').subarray(i, i + 1))
      }
      await orThrow(session.close())
    })
}

reference('the case is one that clipping changes', () => {
  assert.ok(c.floats('norms').some((n) => n > c.case.settings.clip))
  assert.ok(maxRelativeError(c.floats('trajectory'), c.floats('trajectory_clipped')) > 1e-3)
})

reference.run()

// --- which parameters decay, at which rate ----------------------------------------------------------------

const groups = suite('optim: groups of parameters')

const stageLoss = () => {
  const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: 32 })
  return lossOf(objective.terms(objective.buckets[0]!))
}
const parameters = parametersOf(stageLoss())

/** One update of those parameters: by key, the value of every next state. */
const updated = (
  of: ReadonlyMap<string, Tensor>,
  gradients: (key: string, i: number) => number,
  rate: number,
  settings: AdamWSettings,
  start: (key: string, i: number) => number = (_, i) => Math.sin(i + 1),
): ReadonlyMap<string, Float64Array> => {
  const grads = [...of].map(([key, p]) => input(`g.${key}`, p.axes))
  const { next } = adamW(of, grads, input('rate', []), settings)
  const filled = (axes: readonly Axis[], at: (i: number) => number): Float64Array =>
    Float64Array.from({ length: axes.reduce((n, a) => n * a.size, 1) }, (_, i) => at(i))
  const inputs: Record<string, ArrayLike<number>> = { rate: [rate] }
  const states: Record<string, ArrayLike<number>> = { [StepKey]: [0] }
  for (const [key, p] of of) {
    inputs[`g.${key}`] = filled(p.axes, (i) => gradients(key, i))
    states[key] = filled(p.axes, (i) => start(key, i))
    states[firstMomentKey(key)] = states[secondMomentKey(key)] = filled(p.axes, () => 0)
  }
  const values = evaluate([...next.values()], { inputs, states })
  return new Map([...next.keys()].map((k, i) => [k, values[i]!]))
}

groups('the decay takes its share of matrices alone: no norms, no biases, no positions', () => {
  const [rate, decay] = [0.01, 0.3]
  const values = updated(parameters, () => 0, rate, { decay })
  const [shrunk, kept]: [string[], string[]] = [[], []]
  for (const key of parameters.keys()) {
    const got = values.get(key)!
    const factor = got[0]! / Math.sin(1)
    ;(factor === 1 ? kept : shrunk).push(key)
    if (factor !== 1) assert.ok(Math.abs(factor - (1 - rate * decay)) < 1e-8, `${key}: factor ${factor}`)
    assert.ok(got.every((x, i) => Math.abs(x - factor * Math.sin(i + 1)) < 1e-12))
  }
  assert.ok(kept.every((k) => /norm|mlp1\.0\.|\.bias$|pos_embed$/.test(k)))
  assert.ok(shrunk.every((k) => k.endsWith('.weight') && !/norm|mlp1\.0\./.test(k)))
  assert.ok(kept.some((k) => k.endsWith('pos_embed')) && kept.some((k) => k.endsWith('.bias')))
  assert.ok(shrunk.includes('language_model.model.embed_tokens.weight'))
  assert.is(shrunk.length + kept.length, parameters.size)
})

groups(
  'a matrix with one row decays like the bias that it may be, and decays says otherwise where told',
  () => {
    const one = parameter('one', [axis('out', 1), axis('in', 4)], zeros)
    assert.not(decays('one', one))
    const all = updated(new Map([['one', one]]), () => 0, 0.1, { decay: 0.5, decays: () => true })
    assert.ok(Math.abs(all.get('one')![0]! - 0.95 * Math.sin(1)) < 1e-8)
  },
)

groups(
  'a group at rate r under η moves as all do under r·η; at rate 0 it stays and its moments go on',
  () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 4, noNaN: true }),
        fc.double({ min: 1e-4, max: 0.1, noNaN: true }),
        (factor, eta) => {
          const two = new Map([...parameters].filter(([k]) => /mlp1\.[13]\.weight$/.test(k)))
          assert.is(two.size, 2)
          const [slow, fast] = [...two.keys()] as [string, string]
          const gradients = (key: string, i: number): number => Math.cos(i * (key === slow ? 2 : 3))
          const mixed = updated(two, gradients, eta, { rate: (key) => (key === slow ? factor : 1) })
          const whole = updated(two, gradients, eta, {})
          const scaled = updated(two, gradients, eta * factor, {})
          // the factor is a float32 constant of the graph
          assert.ok(maxRelativeError(mixed.get(slow)!, scaled.get(slow)!) < 1e-7)
          assert.equal(mixed.get(fast), whole.get(fast))
          assert.equal(mixed.get(firstMomentKey(slow)), whole.get(firstMomentKey(slow)))
          const still = updated(two, gradients, eta, { rate: (key) => (key === slow ? 0 : 1) })
          assert.ok(still.get(slow)!.every((x, i) => x === Math.sin(i + 1)))
          assert.ok(still.get(firstMomentKey(slow))!.some((m) => m !== 0))
        },
      ),
      { numRuns: 10 },
    )
  },
)

groups('the first update goes by the sign of the gradient, whatever its size', () => {
  const w = new Map([['w', parameter('w', [axis('place', 3)], zeros)]])
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.double({ min: -12, max: 12, noNaN: true })), {
        minLength: 3,
        maxLength: 3,
      }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (signed, beta1, beta2) => {
        const g = signed.map(([up, power]) => (up ? 1 : -1) * 10 ** power)
        const values = updated(
          w,
          (_, i) => g[i]!,
          0.25,
          { beta1, beta2, epsilon: 1e-30 },
          () => 0,
        )
        values.get('w')!.forEach((x, i) => {
          assert.ok(Math.abs(x + 0.25 * Math.sign(g[i]!)) < 1e-6, `${x} for a gradient of ${g[i]}`)
        })
      },
    ),
  )
})

groups.run()

// --- clipping ---------------------------------------------------------------------------------------------

const clipping = suite('optim: clipping by the global norm')

const vectors = fc.array(
  fc.array(
    fc.integer({ min: -1e6, max: 1e6 }).map((n) => n / 1e4),
    { minLength: 1, maxLength: 4 },
  ),
  { minLength: 1, maxLength: 3 },
)
const inputsFor = (gs: readonly (readonly number[])[]) => ({
  leaves: gs.map((g, i) => input(`g${i}`, [axis(`place${i}`, g.length)])),
  inputs: Object.fromEntries(gs.map((g, i) => [`g${i}`, g])),
})

clipping('never over the limit, in the same direction, and untouched where it was not over', () => {
  fc.assert(
    fc.property(vectors, fc.double({ min: 1e-3, max: 100, noNaN: true }), (gs, limit) => {
      const { leaves, inputs } = inputsFor(gs)
      const { gradients, norm } = clipByGlobalNorm(leaves, limit)
      const [n, ...values] = evaluate([norm, ...gradients], { inputs })
      const before = Math.hypot(...gs.flat())
      assert.ok(Math.abs(n![0]! - before) <= 1e-12 * before)
      assert.ok(Math.hypot(...values.flatMap((v) => [...v])) <= limit * (1 + 1e-7))
      const factor = Math.min(1, limit / (before + 1e-6))
      values.forEach((v, k) => {
        v.forEach((x, i) => {
          const want = gs[k]![i]! * factor
          assert.ok(Math.abs(x - want) <= 1e-7 * Math.abs(want))
        })
      })
    }),
  )
})

clipping('without a limit the gradients themselves, and their norm', () => {
  const { leaves, inputs } = inputsFor([[3], [0, 4]])
  const { gradients, norm } = clipByGlobalNorm(leaves, undefined)
  assert.ok(gradients.every((g, i) => g === leaves[i]))
  assert.equal([...evaluate([norm], { inputs })[0]!], [5])
  assert.equal([...evaluate([globalNorm([])])[0]!], [0])
})

clipping.run()

// --- frozen parts -----------------------------------------------------------------------------------------

const frozen = suite('optim: what a stage does not train')

type Part = keyof typeof parts
const learnerOf = (train: readonly Part[]) => tinyStage({ train: train.map((p) => parts[p]) }).program({})
const programOf = (train: readonly Part[]): Program => learnerOf(train).program
const stepOf = (p: Program) => p.functions.get('step')![0]!
const keysOf = (part: Part): readonly string[] => [...parameters.keys()].filter((k) => parts[part].has(k))

/** The nodes of a step beyond those of its loss: backward, clipping, update. */
const beyondLoss = (p: Program): readonly Tensor[] => {
  const { outputs, next } = stepOf(p)
  const forward = new Set(topological([outputs.loss!, outputs.weight!]))
  return topological([...Object.values(outputs), ...next.values()]).filter((t) => !forward.has(t))
}

/** Which of these parameters some node beyond the loss has the axes of: their gradients, and nothing else, have them. */
const withGradients = (p: Program, keys: readonly string[]): readonly string[] => {
  const names = (t: Tensor): string =>
    t.axes
      .filter((a) => a.size > 1)
      .map((a) => `${a.name} ${a.size}`)
      .sort()
      .join(' × ')
  const found = new Set(beyondLoss(p).map(names))
  return keys.filter((k) => found.has(names(parameters.get(k)!)))
}

frozen('a part is the parameters under its prefix, and every parameter is of one part', () => {
  for (const part of ['vision', 'adapter', 'language'] as const) {
    assert.ok(keysOf(part).length > 0)
    assert.equal(learnerOf([part]).trained, keysOf(part))
  }
  assert.is(learnerOf(['vision', 'adapter', 'language']).trained.length, parameters.size)
})

for (const train of [
  ['adapter'],
  ['vision', 'adapter'],
  ['language'],
  ['vision', 'adapter', 'language'],
] as const)
  frozen(`${train.join(' + ')}: moments and updates for it alone`, () => {
    const p = programOf(train)
    const chosen = train.flatMap(keysOf)
    const moments = chosen.flatMap((k) => [firstMomentKey(k), secondMomentKey(k)])
    assert.equal([...p.states.keys()].filter(isOptimizerKey).sort(), [StepKey, ...moments].sort())
    assert.equal([...stepOf(p).next.keys()].sort(), [StepKey, ...moments, ...chosen].sort())
    assert.equal([...p.states.keys()].filter((k) => !isOptimizerKey(k)).sort(), [...parameters.keys()].sort())
    assert.equal([...learnerOf(train).trained].sort(), [...chosen].sort())
  })

frozen('the step computes a gradient of what it trains and of nothing else', () => {
  const matrices = (part: Part): readonly string[] =>
    keysOf(part).filter((k) => parameters.get(k)!.axes.filter((a) => a.size > 1).length >= 2)
  const all = programOf(['vision', 'adapter', 'language'])
  for (const part of ['vision', 'adapter', 'language'] as const)
    assert.equal(withGradients(all, matrices(part)), matrices(part), `${part} in a step that trains all`)
  const first = programOf(['adapter'])
  assert.equal(withGradients(first, matrices('adapter')), matrices('adapter'))
  assert.equal(withGradients(first, [...matrices('vision'), ...matrices('language')]), [])
  assert.equal(withGradients(programOf(['language']), [...matrices('vision'), ...matrices('adapter')]), [])
})

frozen('nothing is sent back through what lies before all that is trained', () => {
  const ofVision = (p: Program): number =>
    beyondLoss(p).filter((t) => t.axes.some((a) => a.name === 'vision' || a.name === 'tile')).length
  const [language, adapter, vision] = [
    programOf(['language']),
    programOf(['adapter']),
    programOf(['vision', 'adapter']),
  ] as const
  assert.is(ofVision(language), 0)
  assert.ok(ofVision(vision) > ofVision(adapter))
  const counts = [language, adapter, vision].map((p) => beyondLoss(p).length)
  const whole = beyondLoss(programOf(['vision', 'adapter', 'language'])).length
  assert.ok(
    counts.every((n) => n < whole),
    `${counts} of ${whole}`,
  )
})

frozen('a stage that trains nothing of its loss says so', async () => {
  const probe = keys('probe', 'probe.**')
  const error = await thrown(() => tinyStage({ train: [probe] }).program({}))
  assert.match(error.message, /stage 'tiny', train: it is probe.*parts are vision, adapter, language$/)
  assert.match(
    (await thrown(() => programOf([]))).message,
    /stage 'tiny', train: it is .*give a list of parts/,
  )
})

frozen('of a loss that a parameter does not reach it is none of the gradients', () => {
  const w = parameter('w', [axis('place', 2)], zeros)
  const x = input('x', [axis('place', 2)])
  const [g] = gradient(globalNorm([x]), [w])
  assert.equal([...evaluate([g!], { inputs: { x: [3, 4] } })[0]!], [0, 0])
})

frozen.run()
