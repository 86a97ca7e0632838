/** Graphs that engines once computed otherwise than their definition says, on each engine that is here. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../src/dsl/index.ts'
import { scatterAddOf } from '../../src/dsl/indexing.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adamW } from '../../src/optim/adamw.ts'
import { disagreement, expected } from '../support/agreement.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

type Arrays = Readonly<Record<string, ArrayLike<number>>>

const opened = async (engine: Engine, build: () => d.Results) => {
  const p = d.program({ name: 'lowering', functions: { f: d.fixed(build) } })
  const got = await engine.load(p)()
  if (isLeft(got)) throw new Error(got.left.message)
  return got.right
}

const fed = (t: d.Tensor, data: ArrayLike<number>): TensorValue =>
  tensorValue(t.dtype, d.sizes(t.axes), Array.from(data))

/** One call: outputs and next states against the evaluator, on each engine. */
const holds = async (
  what: string,
  build: () => d.Results,
  inputs: Arrays,
  states: Arrays = {},
): Promise<void> => {
  for (const engine of await presentEngines()) {
    const { outputs, next = new Map<string, d.Tensor>() } = build()
    const want = expected([...Object.values(outputs), ...next.values()], { inputs, states })
    const session = await opened(engine, build)
    const variant = session.program.functions.get('f')![0]!
    const written = [...session.program.states].flatMap(([k, s]) =>
      states[k] === undefined
        ? []
        : [[k, tensorValue(s.dtype, d.sizes(s.axes), Array.from(states[k]!))] as const],
    )
    await session.write(new Map(written))()
    const got = await session.call(
      'f',
      Object.fromEntries([...variant.inputs].map(([n, t]) => [n, fed(t, inputs[n]!)])),
    )()
    if (isLeft(got)) throw new Error(`${engine.name}, ${what}: ${got.left.message}`)
    const after = await session.read([...next.keys()])()
    if (isLeft(after)) throw new Error(after.left.message)
    const results = [
      ...Object.keys(outputs).map((n) => got.right[n]!.data),
      ...[...next.keys()].map((k) => after.right.get(k)!.data),
    ]
    results.forEach((data, i) => {
      assert.is(disagreement(want[i]!, data), undefined, `${engine.name}, ${what}, result ${i}`)
    })
    await session.close()()
  }
}

const [N, M, B, C] = [d.axis('n', 5), d.axis('m', 3), d.axis('b', 4), d.axis('c', 2)]
const x = d.input('x', [N])
const y = d.input('y', [N])
const wide = (t: d.Tensor): d.Tensor => d.broadcast(t, [M, N])
const numbers = { x: [1, 2, 3, 4, 5], y: [10, 20, 30, 40, 50], i: [2, 0] }

const lowering = suite('engines: what repeats, moves and adds')

const repeating: Readonly<Record<string, () => d.Tensor>> = {
  'the sum of two': () => d.add(wide(x), wide(y)),
  'a sum over it': () => d.sum(d.tanh(d.add(wide(x), wide(y))), 'm'),
  'a mean over a mean': () => d.mean(d.mean(d.broadcast(x, [N, B, C]), 'c'), 'b'),
  'one tensor twice': () => d.mul(wide(x), wide(x)),
  'its square in the norm': () => d.total(d.square(wide(x))),
  argmax: () => d.argmax(d.add(wide(x), wide(y)), 'm'),
  softmax: () => d.softmax(d.add(wide(x), wide(y)), 'm'),
  'compare and select': () => d.select(d.less(wide(x), wide(y)), wide(x), wide(y)),
  transpose: () => d.transpose(d.add(wide(x), wide(y)), ['n', 'm']),
  gather: () => d.gather(d.add(wide(x), wide(y)), d.input('i', [d.axis('k', 2)], 'int32')),
  reshape: () => d.reshape(d.add(wide(x), wide(y)), [d.axis('f', 15)]),
  concat: () => d.concat([wide(x), wide(d.neg(y))], 'm'),
  pad: () => d.pad(d.add(wide(x), wide(y)), 'm', 1, 2),
  slice: () => d.slice(d.add(wide(x), wide(y)), 'm', 1, 2),
  'int32 sum': () => d.sum(d.broadcast(d.input('i', [d.axis('k', 2)], 'int32'), [d.axis('k', 2), M]), 'm'),
  gelu: () => d.applyTo(d.gelu, wide(x)),
  rmsNorm: () => d.applyTo(d.rmsNorm(N), wide(x)),
}

lowering('operands that all repeat along an axis', async () => {
  for (const [what, make] of Object.entries(repeating))
    await holds(what, () => ({ outputs: { z: make() } }), numbers, { weight: [1, 2, 3, 4, 5] })
})

const products: Readonly<Record<string, () => d.Tensor>> = {
  'a number before a product': () => d.contract(d.mul(u, 0.3), v, 'c') as d.Tensor,
  'two numbers before a product': () =>
    d.contract(d.mul(d.transpose(d.mul(u, 0.3), ['b', 'c', 'n']), 5), v, 'c') as d.Tensor,
  'a number on each side and behind': () =>
    d.mul(d.contract(d.mul(u, 0.3), d.mul(2, d.transpose(v, ['m', 'c', 'b'])), 'c') as d.Tensor, 0.7),
  'a number before a product that is needed itself': () => {
    const y = d.contract(u, v, 'c') as d.Tensor
    return d.add(d.mul(y, 3), y)
  },
  'a matrix and a vector': () => d.contract(u, d.input('k', [C]), 'c') as d.Tensor,
  'a vector and a matrix': () => d.contract(d.input('x', [N]), u, 'n') as d.Tensor,
  'a vector and a matrix that lies the other way': () =>
    d.contract(d.input('x', [N]), d.transpose(u, ['b', 'c', 'n']), 'n') as d.Tensor,
  'two vectors': () => d.contract(d.input('x', [N]), d.input('y', [N]), 'n') as d.Tensor,
  'a batch whose rows lie apart': () => d.contract(u, d.transpose(v, ['c', 'm', 'b']), 'c') as d.Tensor,
}
const u = d.input('u', [N, B, C])
const v = d.input('v', [B, M, C])

lowering('products with numbers, of vectors, and of what lies otherwise', async () => {
  const wave = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i))
  for (const [what, make] of Object.entries(products))
    await holds(what, () => ({ outputs: { z: make() } }), {
      ...numbers,
      u: wave(40),
      v: wave(24),
      k: [2, -1],
    })
})

lowering('a state whose next value repeats, and one that is the gradient of such a product', async () => {
  const s = d.state('s', [M, N], d.zeros)
  const W = d.parameter('W', [M, N], d.zeros)
  await holds(
    'next',
    () => ({ outputs: { t: d.total(s) }, next: new Map<string, d.Tensor>([['s', d.mul(wide(x), wide(x))]]) }),
    numbers,
    { s: new Float32Array(15) },
  )
  const loss = d.total(
    d.select(d.less(d.input('h', [B]), 0), d.contract(d.broadcast(x, [B, N]), W, 'n') as d.Tensor, 0),
  )
  const slopes = d.gradient(loss, [W])
  const rate = d.scalar(0.01)
  const moments = {
    'optimizer.exp_avg.W': new Float32Array(15),
    'optimizer.exp_avg_sq.W': new Float32Array(15),
  }
  await holds(
    'gradient and update',
    () => ({ outputs: { loss, slope: slopes[0]! }, next: adamW(new Map([['W', W]]), slopes, rate).next }),
    { ...numbers, h: [-1, 1, -1, 1] },
    { W: Float32Array.from({ length: 15 }, (_, i) => i / 7), 'optimizer.step': [3], ...moments },
  )
})

lowering('pads between transposes', async () => {
  const axes = [d.axis('c', 3), d.axis('h', 4), d.axis('k', 2)] as const
  const z = d.input('z', axes)
  const turned = d.transpose(z, ['h', 'c', 'k'])
  const back = (t: d.Tensor): d.Tensor => d.transpose(t, ['c', 'h', 'k'] as never)
  const cases: Readonly<Record<string, () => d.Tensor>> = {
    one: () => back(d.pad(turned, 'h', 1, 2)),
    'something between': () => back(d.tanh(d.pad(turned, 'h', 1, 0))),
    two: () => back(d.pad(d.pad(turned, 'h', 1, 0), 'c', 0, 1)),
    int32: () => back(d.pad(d.cast(turned, 'int32'), 'h', 1, 0)),
    bool: () => back(d.pad(d.less(turned, 9), 'h', 1, 0)),
    'the gradient of a slice': () => d.gradient(d.total(d.square(back(d.slice(turned, 'h', 0, 2)))), [z])[0]!,
  }
  for (const [what, make] of Object.entries(cases))
    await holds(what, () => ({ outputs: { z: make() } }), { z: Array.from({ length: 24 }, (_, i) => i) })
})

lowering('one value that replaces places of two states', async () => {
  const [row, slot, width] = [d.axis('row', 2), d.axis('slot', 6), d.axis('width', 3)]
  const [p, q] = [d.state('p', [row, slot, width], d.zeros), d.state('q', [row, slot, width], d.zeros)]
  const here = d.equal(d.input('place', [row], 'int32'), d.iota(slot))
  const full = d.select(here, d.input('new', [row, width]), p) as d.Tensor
  await holds(
    'both',
    () => ({
      outputs: { sum: d.add(full, q), old: p },
      next: new Map([
        ['p', full],
        ['q', full],
      ]),
    }),
    { place: [4, 1], new: [1, 2, 3, 4, 5, 6] },
    { p: Float32Array.from({ length: 36 }, (_, i) => i), q: new Float32Array(36).fill(7) },
  )
})

lowering('sums of millions of numbers are right to 1e-6', async () => {
  // a square, a prime, few long rows, many short ones
  for (const [rows, columns] of [
    [2048, 2048],
    [1, 2_000_003],
    [3, 1_000_003],
    [700_000, 3],
  ] as const) {
    const [R, K] = [d.axis('r', rows), d.axis('k', columns)]
    const data = Float32Array.from({ length: rows * columns }, (_, i) => Math.fround(Math.sin(i * 1.7) + 0.6))
    const byRow = new Float64Array(rows)
    let squares = 0
    data.forEach((v, i) => {
      squares += v * v
      byRow[Math.floor(i / columns)]! += v
    })
    const want = { squares: [squares], total: [byRow.reduce((a, b) => a + b)], byRow }
    const z = d.input('z', [R, K])
    const build = () => ({
      outputs: { squares: d.total(d.square(z)), total: d.total(z), byRow: d.sum(z, 'k') },
    })
    for (const engine of await presentEngines()) {
      const session = await opened(engine, build)
      const got = await session.call('f', { z: { shape: [rows, columns], dtype: 'float32', data } })()
      if (isLeft(got)) throw new Error(got.left.message)
      for (const [name, right] of Object.entries(want))
        Array.from(right).forEach((v, i) => {
          const off = Math.abs(got.right[name]!.data[i]! - v) / Math.abs(v)
          assert.ok(off < 1e-6, `${engine.name}: ${name} of ${rows} × ${columns} is off by ${off}`)
        })
      await session.close()()
    }
  }
})

lowering('long sums of products, and over dimensions that lie apart, are right to 2e-6', async () => {
  // [batch, first, kept, last]: a vector by a vector, by a matrix, in a batch; a length without divisors
  for (const [batch, first, kept, last] of [
    [1, 1_000_000, 1, 1],
    [1, 100_003, 2, 1],
    [2, 70_000, 2, 1],
    [1, 1024, 4, 1024],
  ] as const) {
    const axes = [d.axis('batch', batch), d.axis('a', first), d.axis('b', kept), d.axis('c', last)]
    const shape = axes.map((a) => a.size)
    const data = Float32Array.from({ length: d.elements(axes) }, (_, i) =>
      Math.fround(Math.sin(i * 1.7) + 1.6),
    )
    const x = d.input('x', axes)
    const vector = d.slice(x, 'b', 0, 1)
    const outputs = {
      apart: d.sum(x, 'a', 'c'),
      dot: d.contract(x, d.reshape(vector, [axes[0]!, axes[1]!, axes[3]!]), 'a', 'c'),
    } as Record<string, d.Tensor>
    const want = d.evaluate(Object.values(outputs), { inputs: { x: data } })
    // xla adds in its own order: its processor client is off by 2e-4 here
    for (const engine of (await presentEngines()).filter((e) => e.name !== 'xla')) {
      const session = await opened(engine, () => ({ outputs }))
      const got = await session.call('f', { x: { shape, dtype: 'float32', data } })()
      if (isLeft(got)) throw new Error(got.left.message)
      Object.keys(outputs).forEach((name, k) => {
        want[k]!.forEach((v, i) => {
          const off = Math.abs(got.right[name]!.data[i]! - v) / Math.abs(v)
          assert.ok(off < 2e-6, `${engine.name}: ${name} of ${shape.join(' × ')} is off by ${off}`)
        })
      })
      await session.close()()
    }
  }
})

lowering('an index out of range fails, on either side', async () => {
  const site = { line: '' }
  const K = d.axis('k', 1)
  // few and many rows, where engines change their way
  for (const size of [4, 300]) {
    const R = d.axis('row', size)
    const i = d.input('i', [K], 'int32')
    const build = {
      gather: () => d.gather(d.input('t', [R, C]), i),
      scatterAdd: () => scatterAddOf(i, d.input('u', [K, C]), R, site),
      crossEntropy: () => d.crossEntropy(d.input('l', [K, R]), i, 'row').mean,
      contractChosen: () => {
        const matrices = Array.from({ length: size }, (_, n) =>
          d.constant(Float32Array.of(n), [d.axis('out', 1), d.axis('c', 1)]),
        )
        return d.contractChosen(d.slice(d.input('u', [K, C]), 'c', 0, 1), i, matrices, 'c')
      },
    }
    const inputs = {
      t: tensorValue(
        'float32',
        [size, 2],
        Array.from({ length: size * 2 }, (_, n) => n),
      ),
      u: tensorValue('float32', [1, 2], [1, 1]),
      l: tensorValue(
        'float32',
        [1, size],
        Array.from({ length: size }, (_, n) => n),
      ),
    }
    for (const engine of await presentEngines())
      for (const [what, make] of Object.entries(build)) {
        const session = await opened(engine, () => ({ outputs: { z: make() } }))
        const names = [...session.program.functions.get('f')![0]!.inputs.keys()]
        for (const index of [-1, -size, -size - 1, size, 0, size - 1]) {
          const all = { ...inputs, i: tensorValue('int32', [1], [index]) } as Record<string, TensorValue>
          const got = await session.call('f', Object.fromEntries(names.map((n) => [n, all[n]!])))()
          const inRange = index >= 0 && index < size
          assert.is(isLeft(got), !inRange, `${engine.name}: ${what} of ${index} among ${size}`)
        }
        await session.close()()
      }
  }
})

lowering('a sum of int32 wraps around', async () => {
  const n = d.input('n', [M, d.axis('k', 2)], 'int32')
  const roots = [d.sum(n, 'm'), d.sum(n, 'k'), d.total(n)]
  const inputs = { n: [2147483647, 16777217, 5, 2, -2147483648, -1] }
  const want = [[4, 16777218], [-2130706432, 7, 2147483647], [16777222]]
  assert.equal(
    d.evaluate(roots, { inputs }).map((v) => [...v]),
    want,
  )
  for (const e of await presentEngines()) assert.equal(await onEngine(e, roots, inputs), want, e.name)
})

lowering('a state whose next value is many views of a tensor that meet again', async () => {
  const Row = d.axis('row', 2)
  const s = d.state('s', [Row], d.zeros)
  let v: d.Tensor = d.neg(d.input('x', [Row]))
  // two ways at each of 60 steps; the pieces lie across the seam, so that no pass sees through them
  for (let i = 0; i < 60; i++) v = d.slice(d.concat([v, v], 'row'), 'row', 1, 2)
  for (const engine of await presentEngines()) {
    const next = new Map<string, d.Tensor>([['s', v]])
    const session = await opened(engine, () => ({ outputs: { t: d.mul(s, 1) }, next }))
    for (const want of [
      [0, 0],
      [-3, -4],
    ]) {
      const got = await session.call('f', { x: tensorValue('float32', [2], [3, 4]) })()
      if (isLeft(got)) throw new Error(got.left.message)
      assert.equal([...got.right.t!.data], want, engine.name)
    }
    await session.close()()
  }
})

lowering.run()
