import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  buckets,
  constant,
  contract,
  fingerprint,
  fixed,
  input,
  mul,
  normal,
  type Program,
  parameter,
  program,
  softmax,
  state,
  type Tensor,
  tanh,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'

const test = suite('fingerprint of a program')

interface Rules {
  readonly rate: number
  readonly size: number
  readonly name: string
  readonly dtype: 'float32' | 'int32'
  readonly key: string
  readonly std: number
  readonly table: readonly number[]
  readonly f: (t: Tensor) => Tensor
  readonly sizes: readonly number[]
  readonly output: string
  readonly functionName: string
  readonly program: string
}
const rules: Rules = {
  rate: 0.1,
  size: 3,
  name: 'in',
  dtype: 'float32',
  key: 'w',
  std: 0.02,
  table: [1, 2, 3],
  f: tanh,
  sizes: [4, 8],
  output: 'y',
  functionName: 'step',
  program: 'p',
}

const built = (some: Partial<Rules> = {}): Program => {
  const r = { ...rules, ...some }
  const step = buckets(r.sizes, (n) => {
    const from = axis('from', r.size)
    const to = axis(r.name, 2)
    const w = parameter(r.key, [to, from], normal(r.std))
    const x = input('x', [axis('row', n), from])
    const ids = input('ids', [axis('row', n)], r.dtype)
    const count = state('count', [], zeros)
    const y = r.f(contract(mul(x, constant(Float32Array.from(r.table.slice(0, r.size)), [from])), w, 'from'))
    return {
      outputs: { [r.output]: y, ids },
      next: new Map([['count', add(count, r.rate)]]),
    }
  })
  return program({ name: r.program, functions: { [r.functionName]: step } })
}

test('a program that is built again has the same fingerprint, and a short one', () => {
  assert.is(fingerprint(built()), fingerprint(built()))
  assert.match(fingerprint(built()), /^[0-9a-f]{64}$/)
})

test('whatever is computed otherwise gives another', () => {
  const others: Readonly<Record<string, Partial<Rules>>> = {
    'a number': { rate: 0.2 },
    'a number by its last bit': { rate: 0.1 + 2 ** -27 },
    'the sign of nothing': { rate: -0 },
    nothing: { rate: 0 },
    'an infinity': { rate: Number.POSITIVE_INFINITY },
    'no number': { rate: Number.NaN },
    'a table': { table: [1, 2, 4] },
    'an axis’s size': { size: 2 },
    'an axis’s name': { name: 'out' },
    'a dtype': { dtype: 'int32' },
    'an operation': { f: (t) => softmax(t, t.names.at(-1)!) },
    'no operation': { f: (t) => t },
    'the order of axes': { f: (t) => transpose(tanh(t), [...t.names].reverse()) },
    'a key': { key: 'v' },
    'an initialiser’s number': { std: 0.01 },
    'the order of sizes': { sizes: [8, 4] },
    'fewer sizes': { sizes: [4] },
    'an output’s name': { output: 'z' },
    'a function’s name': { functionName: 'train' },
  }
  const seen = new Map([[fingerprint(built()), 'the first']])
  for (const [what, some] of Object.entries(others)) {
    const print = fingerprint(built(some))
    assert.is(seen.get(print), undefined, `${what} and ${seen.get(print)}`)
    seen.set(print, what)
  }
})

test('names of programs, the order of functions and shared nodes do not count', () => {
  assert.is(fingerprint(built({ program: 'q' })), fingerprint(built()))
  const x = () => input('x', [axis('a', 2)])
  const [one, two] = [
    () => fixed(() => ({ outputs: { y: tanh(x()) } })),
    () => fixed(() => ({ outputs: { y: x() } })),
  ]
  const ordered = (functions: Parameters<typeof program>[0]['functions']) =>
    fingerprint(program({ name: 'p', functions }))
  assert.is(ordered({ one: one(), two: two() }), ordered({ two: two(), one: one() }))
  assert.is.not(ordered({ one: one(), two: two() }), ordered({ two: one(), one: two() }))
  const shared = fixed(() => {
    const t = tanh(x())
    return { outputs: { y: add(t, t) } }
  })
  const apart = fixed(() => ({ outputs: { y: add(tanh(x()), tanh(x())) } }))
  assert.is(ordered({ f: shared }), ordered({ f: apart }))
})

test.run()
