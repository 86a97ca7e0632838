import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  axis,
  constant,
  evaluate,
  fixed,
  input,
  ones,
  parameter,
  program,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import {
  adamWith,
  firstMomentKey,
  type MuonSettings,
  momentumKey,
  muon,
  OptimizerError,
  orthogonalised,
  StepKey,
} from '../../src/optim/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'

const engines = await hostEngines()

// --- the reference trajectory -----------------------------------------------------------------------------

const reference = suite(`muon: torch's, in float64 and on ${engines.map((e) => e.name).join(' and ')}`)

const c = loadCase('muon')
const { lr, weight_decay: weightDecay, momentum, eps: smallest, ns_steps: iterations } = c.case.settings
const variants: Readonly<Record<string, MuonSettings>> = {
  original: { scale: 'aspect' },
  match_rms_adamw: { scale: 'rms' },
  plain_momentum: { scale: 'aspect', nesterov: false },
}

for (const name of ['wide', 'tall'])
  for (const [variant, some] of Object.entries(variants)) {
    const [rows, columns] = c.shape(`${name}.start`) as [number, number]
    const size = rows * columns
    const updates = c.shape(`${name}.gradients`)[0]!
    const at = (key: string, i: number): Float32Array => c.floats(key).subarray(i * size, (i + 1) * size)
    const near = (i: number, got: ArrayLike<number>): void => {
      const error = maxRelativeError(got, at(`${name}.${variant}`, i))
      assert.ok(error <= c.case.relative_tolerance, `update ${i}: relative error ${error}`)
    }
    const update = () => {
      const axes = [axis('out', rows), axis('in', columns)] as const
      const { next } = muon({ weightDecay, momentum, smallest, iterations, ...some }).update(
        new Map([['w', parameter('w', axes, zeros) as Tensor]]),
        new Map([['w', input('gradient', axes) as Tensor]]),
        input('rate', []),
      )
      return { outputs: {}, next }
    }

    reference(`${name}, ${variant}, in float64`, () => {
      const { next } = update()
      const keys = [...next.keys()]
      assert.equal(keys, ['w', momentumKey('w')])
      let states: Record<string, ArrayLike<number>> = {
        w: c.floats(`${name}.start`),
        [momentumKey('w')]: new Float64Array(size),
      }
      for (let i = 0; i < updates; i++) {
        const values = evaluate([...next.values()], {
          inputs: { gradient: at(`${name}.gradients`, i), rate: [lr] },
          states,
        })
        states = Object.fromEntries(keys.map((k, j) => [k, values[j]!]))
        near(i, states.w!)
      }
    })

    for (const engine of engines)
      reference(`${name}, ${variant}, on ${engine.name}`, async () => {
        const p = program({ name: 'muon', functions: { update: fixed(update) } })
        const session = await orThrow(engine.load(p))
        await orThrow(
          session.write(new Map([['w', tensorValue('float32', [rows, columns], c.floats(`${name}.start`))]])),
        )
        for (let i = 0; i < updates; i++) {
          const gradient = tensorValue('float32', [rows, columns], at(`${name}.gradients`, i))
          await orThrow(session.call('update', { gradient, rate: scalarValue(lr) }))
          near(i, (await orThrow(session.read(['w']))).get('w')!.data)
        }
        await orThrow(session.close())
      })
  }

reference.run()

// --- what it is made of -----------------------------------------------------------------------------------

const test = suite('muon')

test('of a diagonal matrix the singular values come close to 1, and nothing else appears', () => {
  for (const [rows, columns] of [
    [4, 6],
    [6, 4],
  ] as const) {
    const data = new Float32Array(rows * columns)
    for (const [i, x] of [3, 1, 0.4, 0.1].entries()) data[i * columns + i] = x
    const [x] = evaluate([orthogonalised(constant(data, [axis('row', rows), axis('column', columns)]))])
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const v = x![i * columns + j]!
        if (i === j && i < 4) assert.ok(v > 0.5 && v < 1.5, `${v}`)
        else assert.ok(Math.abs(v) < 1e-12)
      }
  }
})

test('a gradient of zero moves nothing and gives no NaN', () => {
  const [x] = evaluate([orthogonalised(constant(new Float32Array(6), [axis('row', 2), axis('column', 3)]))])
  assert.ok(x!.every((v) => v === 0))
})

const [Row, Column] = [axis('row', 3), axis('column', 2)]

/** One update of some parameters of ones from gradients of i + 1: next values by key. */
const updated = (axes: Readonly<Record<string, readonly Axis[]>>, settings: MuonSettings) => {
  const parameters = new Map(Object.entries(axes).map(([k, a]) => [k, parameter(k, a, ones) as Tensor]))
  const gradients = new Map([...parameters].map(([k, t]) => [k, input(`g.${k}`, t.axes) as Tensor]))
  const run = (optimizer: ReturnType<typeof muon>) => {
    const { next } = optimizer.update(parameters, gradients, input('rate', []))
    const inputs: Record<string, ArrayLike<number>> = { rate: [0.1] }
    const states: Record<string, ArrayLike<number>> = { [StepKey]: [0] }
    for (const [key, t] of parameters) {
      const n = t.axes.reduce((m, a) => m * a.size, 1)
      inputs[`g.${key}`] = Array.from({ length: n }, (_, i) => i + 1)
      states[key] = Array(n).fill(1)
      for (const k of [momentumKey(key), firstMomentKey(key), `optimizer.exp_avg_sq.${key}`])
        states[k] = Array(n).fill(0)
    }
    const values = evaluate([...next.values()], { inputs, states })
    return new Map([...next.keys()].map((k, i) => [k, [...values[i]!]]))
  }
  return { muon: run(muon(settings)), adamW: run(adamWith({ weightDecay: settings.weightDecay ?? 0.1 })) }
}

test('what is no inner matrix is left to AdamW, as it would do it alone', () => {
  const axes = {
    'layer.weight': [Row, Column],
    'layer.bias': [Row],
    'row.weight': [axis('one', 1), Row],
    'model.embed_tokens.weight': [Row, Column],
    'lm_head.weight': [Row, Column],
    'patch.weight': [Row, axis('channel', 2), axis('y', 2)],
    pos_embed: [axis('one', 1), Row, Column],
  }
  const got = updated(axes, { weightDecay: 0.3 })
  for (const key of Object.keys(axes)) {
    const inner = key === 'layer.weight'
    assert.is(got.muon.has(momentumKey(key)), inner, key)
    assert.is(got.muon.has(firstMomentKey(key)), !inner, key)
    if (!inner) assert.equal(got.muon.get(key), got.adamW.get(key), key)
  }
  assert.equal(got.muon.get(StepKey), [1])
  const all = updated(axes, { rest: ['**'] })
  assert.equal(
    [...all.muon.keys()].filter((k) => k.startsWith('optimizer.momentum_buffer')),
    [],
  )
})

test('the decay is 0.1 unless it is said', () => {
  const axes = { 'layer.weight': [Row, Column], 'embed_tokens.weight': [Row, Column] }
  const [unsaid, said, none] = [{}, { weightDecay: 0.1 }, { weightDecay: 0 }].map(
    (s) => updated(axes, s).muon,
  )
  for (const key of Object.keys(axes)) {
    assert.equal(unsaid!.get(key), said!.get(key), key)
    assert.not.equal(unsaid!.get(key), none!.get(key), key)
  }
})

test('groups hold for matrices: the factor on the rate, the decay', () => {
  const axes = { 'a.weight': [Row, Column], 'b.weight': [Row, Column] }
  const step = (settings: MuonSettings, key: string) => updated(axes, settings).muon.get(key)!
  const plain = step({ weightDecay: 0 }, 'a.weight').map((x) => 1 - x)
  const groups = [{ match: 'a.**', learningRateMultiplier: 3, weightDecay: 0.5 }]
  const got = step({ weightDecay: 0, groups }, 'a.weight')
  // decay 0.5 at rate 0.3, then three times the step
  for (const [i, x] of got.entries()) assert.ok(Math.abs(x - (0.85 - 3 * plain[i]!)) < 1e-6)
  for (const [i, x] of step({ weightDecay: 0, groups }, 'b.weight').entries())
    assert.ok(Math.abs(x - (1 - plain[i]!)) < 1e-6)
})

test('a gradient that is missing or left over is an error, as AdamW says it', () => {
  const w = parameter('w', [Row, Column], zeros) as Tensor
  const rate = input('rate', [])
  assert.throws(() => muon().update(new Map([['w', w]]), new Map(), rate), /'w' has no gradient/)
  assert.throws(() => muon().update(new Map(), new Map([['w', w]]), rate), /'w' has no parameter/)
})

for (const [settings, setting] of [
  [{ momentum: 1 }, 'momentum'],
  [{ iterations: 0 }, 'iterations'],
  [{ iterations: 2.5 }, 'iterations'],
  [{ coefficients: [1, 2] }, 'coefficients'],
  [{ smallest: 0 }, 'smallest'],
  [{ scale: 'none' }, 'scale'],
  [{ rest: [1] }, 'rest'],
  [{ weightDecay: -1 }, 'weightDecay'],
] as const)
  test(`refuses ${JSON.stringify(settings)}`, () => {
    assert.throws(
      () => muon(settings as unknown as MuonSettings),
      (e: unknown) => e instanceof OptimizerError && e.setting === setting && /give /.test(e.message),
    )
  })

test('what it is, as data', () => {
  const { config } = muon({ scale: 'aspect', beta2: 0.9 })
  assert.equal(JSON.parse(JSON.stringify(config)), {
    kind: 'muon',
    momentum: 0.95,
    nesterov: true,
    iterations: 5,
    coefficients: [3.4445, -4.775, 2.0315],
    smallest: 1e-7,
    scale: 'aspect',
    rest: ['**embed_tokens.weight', '**lm_head.weight', '**pos_embed'],
    beta2: 0.9,
  })
})

test.run()
