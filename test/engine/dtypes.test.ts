/** Every builder on every dtype: it is built and all agree on its numbers, or it is refused with the user's line. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../src/dsl/index.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

const engines = await presentEngines()
const test = suite('engines: dtypes')

const A = d.axis('a', 4)
const B = d.axis('b', 3)
const dtypes = ['float32', 'int32', 'bool'] as const
type D = (typeof dtypes)[number]
type T = d.Tensor

const numbers: Readonly<Record<D, readonly number[]>> = {
  float32: [0.5, -2, 3.25, 1],
  int32: [2, -3, 0, 7],
  bool: [1, 0, 0, 1],
}
const others: Readonly<Record<D, readonly number[]>> = {
  float32: [0.25, 2, 3, 1],
  int32: [2, 5, -1, 7],
  bool: [1, 1, 0, 0],
}
const positive = [0.5, 2, 3.25, 1]
const index = d.input('index', [B], 'int32')
const square = (t: T): T => d.mul(t, d.input('row', [B]))

/** What a builder takes; `F`, `I` and `B` stand for the dtypes that are not refused. */
const unary: Readonly<Record<string, readonly [string, (x: T) => T]>> = {
  neg: ['FI', d.neg],
  exp: ['F', d.exp],
  log: ['F', d.log],
  sqrt: ['F', d.sqrt],
  rsqrt: ['F', d.rsqrt],
  tanh: ['F', d.tanh],
  erf: ['F', d.erf],
  sigmoid: ['F', d.sigmoid],
  sin: ['F', d.sin],
  cos: ['F', d.cos],
  abs: ['FI', d.abs],
  floor: ['F', d.floor],
  square: ['FI', d.square],
  not: ['B', d.not],
  'cast to float32': ['FIB', (x) => d.cast(x, 'float32')],
  'cast to int32': ['FIB', (x) => d.cast(x, 'int32')],
  'cast to bool': ['FIB', (x) => d.cast(x, 'bool')],
  stopGradient: ['FIB', d.stopGradient],
  sum: ['FI', (x) => d.sum(x, 'a' as never)],
  total: ['FI', d.total],
  max: ['FI', (x) => d.max(x, 'a' as never)],
  mean: ['F', (x) => d.mean(x, 'a' as never)],
  standardise: ['F', (x) => d.standardise(x, 'a' as never)],
  argmax: ['FI', (x) => d.argmax(x, 'a' as never)],
  softmax: ['F', (x) => d.softmax(x, 'a' as never)],
  logSoftmax: ['F', (x) => d.logSoftmax(x, 'a' as never)],
  reshape: ['FIB', (x) => d.reshape(x, [d.axis('p', 2), d.axis('q', 2)])],
  transpose: [
    'FIB',
    (x) =>
      d.transpose(
        d.splitAxis(x as d.Tensor<['a']>, 'a', [d.axis('p', 2), d.axis('q', 2)]) as d.Tensor<['p', 'q']>,
        ['q', 'p'],
      ),
  ],
  rename: ['FIB', (x) => d.rename(x as d.Tensor<['a']>, 'a', 'z')],
  merge: ['FIB', (x) => d.merge(d.broadcast(x, [B, A]), ['a', 'b'], d.axis('ab', 12))],
  broadcast: ['FIB', (x) => d.broadcast(x, [B, A])],
  slice: ['FIB', (x) => d.slice(x as d.Tensor<['a']>, 'a', 1, 2)],
  pad: ['FIB', (x) => d.pad(x as d.Tensor<['a']>, 'a', 1, 2)],
  concat: ['FIB', (x) => d.concat([x, x] as d.Tensor<['a']>[], 'a')],
  'gather, the table': ['FIB', (x) => d.gather(x, index)],
  'gather, the index': ['I', (x) => d.gather(d.input('table', [d.axis('vocab', 9)]), d.maximum(x, 0))],
  'scatterAdd, the rows': ['FI', (x) => d.scatterAdd(d.input('at', [A], 'int32'), x, d.axis('into', 3))],
  'scatterAdd, the index': [
    'I',
    (x) => d.scatterAdd(d.maximum(x, 0), d.input('rows', [A]), d.axis('into', 9)),
  ],
  'contract with itself': ['F', (x) => d.contract(x, x, 'a' as never)],
  'contract with a row': ['F', (x) => d.contract(x, square(d.input('column', [A])), 'a' as never)],
  'select, the condition': ['B', (x) => d.select(x, 1, 0)],
  'crossEntropy, the logits': ['F', (x) => d.crossEntropy(x, d.input('label', [], 'int32'), 'a').mean],
  'crossEntropy, the labels': [
    'I',
    (x) => d.crossEntropy(d.input('logits', [A, d.axis('vocab', 9)]), x, 'vocab').mean,
  ],
  'notPadding of': ['FIB', (x) => d.notPadding(x, 'a')],
  'sameBranch of': ['FIB', (x) => d.sameBranch(x, 'a')],
  'sameSegment of': ['FIB', (x) => d.sameSegment(x, 'a')],
}
const binary: Readonly<Record<string, readonly [string, (x: T, y: T) => T]>> = {
  add: ['FI', d.add],
  sub: ['FI', d.sub],
  mul: ['FI', d.mul],
  div: ['F', d.div],
  maximum: ['FI', d.maximum],
  minimum: ['FI', d.minimum],
  pow: ['F', d.pow],
  equal: ['FIB', d.equal],
  less: ['FI', d.less],
  lessEqual: ['FI', d.lessEqual],
  greater: ['FI', d.greater],
  greaterEqual: ['FI', d.greaterEqual],
  and: ['B', d.and],
  or: ['B', d.or],
  select: ['FIB', (x, y) => d.select(d.input('choice', [A], 'bool'), x, y)],
}
const rest = {
  index: [2, 0, 3],
  table: [1, 2, 3, 4, 5, 6, 7, 8, 9],
  at: [2, 0, 2, 1],
  rows: [1, 2, 3, 4],
  row: [1, -1, 2],
  column: [1, 2, 3, 4],
  label: [2],
  logits: Array.from({ length: 36 }, (_, i) => Math.sin(i)),
  choice: [0, 1, 1, 0],
}

/** The tensor, or the error that refuses it. */
const built = (make: () => T): T | d.GraphError => {
  try {
    return make()
  } catch (e) {
    if (!(e instanceof d.GraphError)) throw e
    return e
  }
}

const refused = (what: string, r: T | d.GraphError): void => {
  assert.ok(r instanceof d.GraphError, `${what} was built`)
  assert.is(r.tag, 'BadDtype', `${what}: ${r.message}`)
  assert.match(r.where, 'dtypes.test.ts', `${what}: ${r.message}`)
}

interface Case {
  readonly what: string
  readonly root: T
  readonly inputs: Readonly<Record<string, readonly number[]>>
}

const agree = async (cases: readonly Case[]): Promise<void> => {
  for (const { what, root, inputs } of cases) {
    const want = d.evaluate([root], { inputs })[0]!
    for (const engine of engines) {
      const got = (await onEngine(engine, [root], inputs))[0]!
      assert.is(got.length, want.length, what)
      want.forEach((w, i) => {
        const same =
          got[i] === w ||
          (Number.isNaN(w) && Number.isNaN(got[i])) ||
          Math.abs(got[i]! - w) <= 2e-6 * Math.max(1, Math.abs(w))
        assert.ok(same, `${what} on ${engine.name}, place ${i}: ${got[i]} for ${w}`)
      })
    }
  }
}

test('of one tensor', async () => {
  const cases: Case[] = []
  for (const [name, [takes, f]] of Object.entries(unary))
    for (const dtype of dtypes) {
      const what = `${name} of ${dtype}`
      const r = built(() => f(d.input('x', [A], dtype)))
      if (!takes.includes(dtype[0]!.toUpperCase())) refused(what, r)
      else {
        assert.not(r instanceof d.GraphError, `${what} was refused: ${String(r)}`)
        const x = /^(log|sqrt|rsqrt)$/.test(name)
          ? positive
          : name === 'crossEntropy, the labels'
            ? [2, -100, 0, 7]
            : numbers[dtype]
        cases.push({ what, root: r as T, inputs: { ...rest, x } })
      }
    }
  await agree(cases)
})

test('of two tensors', async () => {
  const cases: Case[] = []
  for (const [name, [takes, f]] of Object.entries(binary))
    for (const dx of dtypes)
      for (const dy of dtypes) {
        const what = `${name} of ${dx} and ${dy}`
        const r = built(() => f(d.input('x', [A], dx), d.input('y', [A], dy)))
        if (dx !== dy || !takes.includes(dx[0]!.toUpperCase())) refused(what, r)
        else {
          assert.not(r instanceof d.GraphError, `${what} was refused: ${String(r)}`)
          const x = name === 'pow' ? positive : numbers[dx]
          cases.push({ what, root: r as T, inputs: { ...rest, x, y: others[dy] } })
        }
      }
  await agree(cases)
})

test('a number that is none of the dtype which it meets', () => {
  const [i, b] = [d.input('i', [A], 'int32'), d.input('b', [A], 'bool')]
  for (const [what, make] of [
    ['add(int32, 0.5)', () => d.add(i, 0.5)],
    ['less(0.5, int32)', () => d.less(0.5, i)],
    ['mul(int32, 2³¹)', () => d.mul(i, 2 ** 31)],
    ['maximum(int32, NaN)', () => d.maximum(i, Number.NaN)],
    ['equal(bool, 2)', () => d.equal(b, 2)],
    ['select(bool, bool, 0.5)', () => d.select(b, b, 0.5)],
    ['scalar(1.5, int32)', () => d.scalar(1.5, 'int32')],
    ['scalar(-1, bool)', () => d.scalar(-1, 'bool')],
  ] as const)
    refused(what, built(make))
  assert.equal(
    [...d.evaluate([d.add(i, -(2 ** 31))], { inputs: { i: [0, 1, 2, 3] } })[0]!],
    [0, 1, 2, 3].map((n) => n - 2 ** 31),
  )
})

test.run()
