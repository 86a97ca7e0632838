/** Equal numbers have exactly no advantage over each other, on the evaluator and on every engine. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  div,
  evaluate,
  type GraphError,
  gradient,
  input,
  mean,
  mul,
  type StandardiseOptions,
  sqrt,
  square,
  standardise,
  sub,
  total,
} from '../../src/dsl/index.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

const engines = await presentEngines()
const test = suite('engines: standardise')

const values = [0.1, 1 / 3, 1, 7.3, 1e-3, 1e6, -0.7, 1e-30, 3e38, 0, 16777217, Math.PI]
const row = axis('row', values.length)

test('groups of 2 to 64 equal numbers: exactly 0', async () => {
  const sizes = Array.from({ length: 63 }, (_, k) => k + 2)
  const leaves = sizes.map((n) => input(`x${n}`, [row, axis('sample', n)]))
  const roots = leaves.flatMap((x) => [
    standardise(x, 'sample'),
    standardise(x, 'sample', { epsilon: 0, correction: 1 }),
  ])
  const inputs = Object.fromEntries(
    sizes.map((n) => [
      `x${n}`,
      Float32Array.from({ length: n * values.length }, (_, k) => values[Math.floor(k / n)]!),
    ]),
  )
  const all = [
    ['evaluator', evaluate(roots, { inputs })] as const,
    ...(await Promise.all(engines.map(async (e) => [e.name, await onEngine(e, roots, inputs)] as const))),
  ]
  for (const [who, got] of all)
    got.forEach((v, k) => {
      assert.ok(
        Array.from(v).every((x) => x === 0),
        `${who}, ${sizes[k >> 1]} numbers: ${Array.from(v).find((x) => x !== 0)}`,
      )
    })
})

test('the formula, along any axis, with either correction', async () => {
  const x = input('x', [axis('sample', 3), axis('other', 2)])
  const numbers = [1, 10, 2, -20, 6, 0]
  const columns = [0, 1].map((c) => [0, 1, 2].map((r) => numbers[2 * r + c]!))
  for (const correction of [0, 1] as const) {
    const want = [0, 1, 2].flatMap((r) =>
      columns.map((column) => {
        const m = column.reduce((a, b) => a + b) / 3
        const variance = column.reduce((s, v) => s + (v - m) ** 2, 0) / (3 - correction)
        return (column[r]! - m) / (Math.sqrt(variance) + 0.01)
      }),
    )
    const y = standardise(x, 'sample', { epsilon: 0.01, correction })
    assert.equal(y.names, x.names)
    const all = [evaluate([y], { inputs: { x: numbers } })[0]!]
    for (const e of engines) all.push(Float64Array.from((await onEngine(e, [y], { x: numbers }))[0]!))
    for (const got of all)
      want.forEach((w, k) => {
        assert.ok(Math.abs(got[k]! - w) < 1e-5, `${got[k]} for ${w}`)
      })
  }
})

test('its gradient is that of central differences, and finite where all are equal', () => {
  const x = input('x', [axis('sample', 4)])
  const weights = input('w', [axis('sample', 4)])
  const loss = total(mul(standardise(x, 'sample', { epsilon: 0.1 }), weights))
  const [slope] = gradient(loss, [x])
  const at = (xs: readonly number[]): number =>
    evaluate([loss], { inputs: { x: xs, w: [1, 2, -3, 5] } })[0]![0]!
  const xs = [0.3, -1, 2, 0.5]
  const got = evaluate([slope!], { inputs: { x: xs, w: [1, 2, -3, 5] } })[0]!
  xs.forEach((_, i) => {
    const moved = (d: number): number[] => xs.map((v, k) => (k === i ? v + d : v))
    const want = (at(moved(1e-5)) - at(moved(-1e-5))) / 2e-5
    assert.ok(Math.abs(got[i]! - want) < 1e-6, `${got[i]} for ${want}`)
  })
  const flat = evaluate([slope!], { inputs: { x: [2, 2, 2, 2], w: [1, 2, -3, 5] } })[0]!
  assert.ok(flat.every(Number.isFinite))
})

test('a mean is the sum divided by the number of its terms', async () => {
  const x = input('x', [axis('i', 3)])
  const y = mean(x, 'i')
  assert.is(evaluate([y], { inputs: { x: [1, 1, 5] } })[0]![0], 7 / 3)
  for (const e of engines) assert.is((await onEngine(e, [y], { x: [1, 1, 5] }))[0]![0], Math.fround(7 / 3))
})

test('the mean of equal numbers is that number, and what is written with it is exactly 0', async () => {
  const sizes = [...Array.from({ length: 64 }, (_, k) => k + 1), 1000, 2048]
  const given = values.filter((v) => Math.abs(v) < 1e34)
  const rows = axis('row', given.length)
  const leaves = sizes.map((n) => input(`x${n}`, [rows, axis('sample', n)]))
  const roots = leaves.flatMap((x) => {
    const centred = sub(x, mean(x, 'sample'))
    const deviation = sqrt(mean(square(centred), 'sample'))
    return [mean(x, 'sample'), div(centred, add(deviation, 1e-8))]
  })
  const inputs = Object.fromEntries(
    sizes.map((n) => [
      `x${n}`,
      Float32Array.from({ length: n * given.length }, (_, k) => given[Math.floor(k / n)]!),
    ]),
  )
  const all = [
    ['evaluator', evaluate(roots, { inputs }).map((v) => [...v])] as const,
    ...(await Promise.all(engines.map(async (e) => [e.name, await onEngine(e, roots, inputs)] as const))),
  ]
  for (const [who, got] of all)
    sizes.forEach((n, k) => {
      assert.equal(got[2 * k], [...Float32Array.from(given)], `${who}, ${n} numbers`)
      assert.ok(
        got[2 * k + 1]!.every((x) => x === 0),
        `${who}, ${n} numbers: advantages`,
      )
    })
})

test('a mean of what is infinite is as a sum is, and its gradient 1 / n', async () => {
  const x = input('x', [axis('i', 4)])
  const roots = [mean(x, 'i'), ...gradient(mul(mean(x, 'i'), 3), [x])]
  const cases: readonly (readonly [readonly number[], number])[] = [
    [[1, Number.POSITIVE_INFINITY, 0, 0], Number.POSITIVE_INFINITY],
    [[1, Number.NEGATIVE_INFINITY, 0, 0], Number.NEGATIVE_INFINITY],
    [[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0], Number.NaN],
    [[1, Number.NaN, 0, 0], Number.NaN],
    [[1, 2, 4, 9], 4],
  ]
  for (const [xs, want] of cases) {
    const all = [evaluate(roots, { inputs: { x: xs } }).map((v) => [...v])]
    for (const e of engines) all.push(await onEngine(e, roots, { x: xs }))
    for (const got of all) assert.equal(got, [[want], [0.75, 0.75, 0.75, 0.75]])
  }
})

test('what it refuses', () => {
  const x = input('x', [axis('i', 1)])
  const refused = (f: () => unknown): GraphError => {
    try {
      f()
    } catch (e) {
      assert.match((e as GraphError).where, 'standardise.test.ts')
      return e as GraphError
    }
    throw new Error('nothing was refused')
  }
  for (const options of [{ correction: 1 }, { correction: 2 }, { epsilon: -1 }, { epsilon: Number.NaN }])
    assert.is(refused(() => standardise(x, 'i', options as StandardiseOptions)).tag, 'BadArgument')
  assert.is(refused(() => standardise(x, 'j' as never)).tag, 'UnknownAxis')
  assert.is(refused(() => standardise(input('n', [axis('i', 2)], 'int32'), 'i')).tag, 'BadDtype')
  assert.match(refused(() => mean(input('n', [axis('i', 2)], 'int32'), 'i')).message, /^mean: int32/)
})

test.run()
