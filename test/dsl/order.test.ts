/** The order of a result's axes: what the types say is what the graph has, for any axes of the operands. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../src/dsl/index.ts'

const test = suite('dsl: order of axes')

type Names = readonly string[]

// --- the types of names.ts, said again over values ----------------------------------------------------------------

const without = (n: Names, k: Names): Names => n.filter((x) => !k.includes(x))
const inside = (b: Names, a: Names): boolean => b.every((x) => a.includes(x))
const joined = (a: Names, b: Names): Names => (inside(b, a) ? a : inside(a, b) ? b : [...a, ...without(b, a)])
const contracted = (a: Names, b: Names, k: Names): Names => {
  const batch = without(
    a.filter((x) => b.includes(x)),
    k,
  )
  return [...batch, ...without(a, [...b, ...k]), ...without(b, [...a, ...k])]
}

// --- any operands ----------------------------------------------------------------------------------------------

const all = ['a', 'b', 'c', 'd']
const axes: Readonly<Record<string, d.Axis>> = Object.fromEntries(all.map((n, i) => [n, d.axis(n, i + 1)]))
const names = fc.shuffledSubarray(all)
const tensor = (n: Names, dtype: d.Dtype = 'float32', name = 'x'): d.Tensor =>
  d.input(
    name,
    n.map((x) => axes[x]!),
    dtype,
  )

const two = {
  add: d.add,
  sub: d.sub,
  mul: d.mul,
  div: d.div,
  maximum: d.maximum,
  minimum: d.minimum,
  pow: d.pow,
}
const compare = {
  equal: d.equal,
  less: d.less,
  lessEqual: d.lessEqual,
  greater: d.greater,
  greaterEqual: d.greaterEqual,
}

test('elementwise operations and comparisons: Joined', () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      for (const f of [...Object.values(two), ...Object.values(compare)]) {
        assert.equal(f(tensor(a), tensor(b)).names, joined(a, b))
        assert.equal(f(tensor(a), 1).names, a)
        assert.equal(f(1, tensor(a)).names, a)
      }
      for (const f of [d.and, d.or]) assert.equal(f(tensor(a, 'bool'), tensor(b, 'bool')).names, joined(a, b))
    }),
  )
})

test('select: the choices meet, then the condition', () => {
  fc.assert(
    fc.property(names, names, names, (c, a, b) => {
      const t = d.select(tensor(c, 'bool'), tensor(a), tensor(b))
      assert.equal(t.names, joined(joined(a, b), c))
      assert.equal(d.select(tensor(c, 'bool'), tensor(a), 0).names, joined(a, c))
      assert.equal(d.select(tensor(c, 'bool'), 1, 0).names, c)
      // the operands lie in the result's order, as every reader of a graph relies on
      for (const x of t.inputs)
        assert.equal(
          t.names.filter((n) => x.names.includes(n)),
          x.names,
        )
    }),
    { numRuns: 300 },
  )
})

test('what the types say of three operands is what there is', () => {
  const [rows, columns] = [tensor(['a']), tensor(['b'])]
  const turned = tensor(['b', 'a'], 'bool')
  assert.equal(d.select(turned, rows, columns).names, ['a', 'b'])
  assert.equal(d.select(turned, rows, 0).names, ['b', 'a'])
  assert.equal(d.greater(rows, columns).names, ['a', 'b'])
  const inputs = { x: [1, 2] }
  const [A, B] = [d.axis('a', 1), d.axis('b', 2)]
  const greater = d.greater(d.input('y', [A]), d.input('x', [B]))
  assert.equal([...d.evaluate([greater], { inputs: { ...inputs, y: [1.5] } })[0]!], [1, 0])
})

test('contraction: batch, then the first operand’s own, then the second’s', () => {
  fc.assert(
    fc.property(names, names, fc.shuffledSubarray(all), (a, b, k) => {
      const over = k.filter((x) => a.includes(x) && b.includes(x))
      const t = d.contract(tensor(a), tensor(b, 'float32', 'y'), ...(over as never[]))
      assert.equal(t.names, contracted(a, b, over))
    }),
  )
})

test('reductions, gather, shape', () => {
  fc.assert(
    fc.property(names, fc.shuffledSubarray(all), fc.nat(3), (n, k, i) => {
      const x = tensor(n)
      const over = k.filter((y) => n.includes(y))
      for (const f of [d.sum, d.max, d.mean]) assert.equal(f(x, ...(over as never[])).names, without(n, over))
      const one = n[i % Math.max(1, n.length)]
      if (one === undefined) return
      const along = one as never
      assert.equal(d.argmax(x, along).names, without(n, [one]))
      for (const f of [d.softmax, d.logSoftmax, d.standardise]) assert.equal(f(x, along).names, n)
      assert.equal(
        d.rename(x, along, 'z').names,
        n.map((y) => (y === one ? 'z' : y)),
      )
      assert.equal(
        d.splitAxis(x, along, [d.axis('p', 1), d.axis('q', axes[one]!.size)]).names,
        n.flatMap((y) => (y === one ? ['p', 'q'] : [y])),
      )
      assert.equal(d.pad(x, along, 1, 0).names, n)
      assert.equal(d.concat([x, d.transpose(x, [...n].reverse())], along).names, n)
      const index = d.input('index', [d.axis('r', 2), d.axis('s', 2)], 'int32')
      assert.equal(d.gather(x, index).names, ['r', 's', ...n.slice(1)])
    }),
  )
})

test.run()
