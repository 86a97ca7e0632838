/** What a mask hides has no part in attention, however large the scores are; a token that sees nothing gets zeros. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  and,
  as,
  attend,
  axis,
  causal,
  equal,
  evaluate,
  type GraphError,
  gather,
  gradient,
  input,
  less,
  mul,
  notPadding,
  optimise,
  rename,
  reshape,
  sameSegment,
  type Tensor,
  topological,
  total,
} from '../../src/dsl/index.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

const engines = await presentEngines()
const test = suite('engines: masks of attention')

const [Batch, Token, Keys, Head, Dim] = [
  axis('batch', 2),
  axis('token', 3),
  axis('key', 4),
  axis('head', 2),
  axis('headDim', 2),
]

const q = input('q', [Batch, Token, Head, Dim])
const k = input('k', [Batch, Keys, Head, Dim])
const v = input('v', [Batch, Keys, Head, Dim])
const mask = input('mask', [Batch, Token, Keys], 'bool')

/** Attention in plain numbers: the mean of the values that are allowed, weighed; zeros where none is. */
const plain = (x: Readonly<Record<string, readonly number[]>>): number[] => {
  const out: number[] = []
  const at = (name: string, b: number, place: number, h: number, d: number, places: number): number =>
    x[name]![((b * places + place) * 2 + h) * 2 + d]!
  for (let b = 0; b < 2; b++)
    for (let t = 0; t < 3; t++)
      for (let h = 0; h < 2; h++) {
        const seen = [0, 1, 2, 3].filter((n) => x.mask![(b * 3 + t) * 4 + n] !== 0)
        const scores = seen.map((n) =>
          [0, 1].reduce(
            (s, d) => s + at('q', b, t, h, d, 3) * Math.fround(1 / Math.SQRT2) * at('k', b, n, h, d, 4),
            0,
          ),
        )
        const top = Math.max(...scores)
        const e = scores.map((s) => Math.exp(s - top))
        const sum = e.reduce((s, w) => s + w, 0)
        for (const d of [0, 1])
          out.push(seen.reduce((s, n, j) => s + (e[j]! / sum) * at('v', b, n, h, d, 4), 0))
      }
  return out
}

const numbers = (n: number, scale: number, phase: number): number[] =>
  Array.from({ length: n }, (_, i) => scale * Math.sin(i * 1.7 + phase))

/** The second row of the first sample and the first of the second see nothing. */
const hidden = [1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]

const weights = input('w', [Batch, Token, Head, Dim])
const y = attend(q, k, v, 'headDim', mask)
const slopes = gradient(total(mul(y, weights)), [q, k, v])

const close = (who: string, got: ArrayLike<number>, want: ArrayLike<number>, to: number): void => {
  assert.is(got.length, want.length)
  for (let i = 0; i < want.length; i++)
    assert.ok(
      Math.abs(got[i]! - want[i]!) <= to * Math.max(1, Math.abs(want[i]!)),
      `${who}[${i}]: ${got[i]} for ${want[i]}`,
    )
}

for (const scale of [1, 30, 1e4, 1e20])
  test(`scores of about ${scale}`, async () => {
    const inputs = {
      q: numbers(24, Math.sqrt(scale), 0),
      k: numbers(32, Math.sqrt(scale), 1),
      v: numbers(32, 1, 2),
      w: numbers(24, 1, 3),
      mask: hidden,
    }
    const want = plain(inputs)
    assert.ok(want.slice(4, 8).every((x) => x === 0))
    const reference = evaluate([y, ...slopes], { inputs })
    close('evaluator', reference[0]!, want, 1e-12)
    const seen = await Promise.all(
      engines.map(async (e) => [e.name, await onEngine(e, [y, ...slopes], inputs)] as const),
    )
    for (const [who, got] of [['evaluator', reference.map((r) => [...r])] as const, ...seen]) {
      // scores of 1e4 are known to 1e-3 in float32: only what the softmax leaves of them is compared
      if (scale < 1e4) {
        for (const [i, g] of got.entries()) close(`${who} ${i}`, g, reference[i]!, 1e-4)
      }
      assert.ok(got.flat().every(Number.isFinite), who)
      for (const i of [...[4, 5, 6, 7], ...[12, 13, 14, 15]]) {
        assert.ok(got[0]![i] === 0, `${who}: a token that sees nothing gives ${got[0]![i]}`)
        assert.ok(got[1]![i] === 0, `${who}: the gradient of its query is ${got[1]![i]}`)
      }
    }
  })

test('a mask of keys alone, of tokens alone, and one that hides all', async () => {
  const inputs = { q: numbers(24, 1, 0), k: numbers(32, 1, 1), v: numbers(32, 1, 2) }
  const cases: readonly (readonly [Tensor, readonly number[], readonly number[]])[] = [
    [input('m', [Keys], 'bool'), [1, 0, 0, 1], Array.from({ length: 24 }, (_, i) => [1, 0, 0, 1][i % 4]!)],
    [
      input('m', [Token], 'bool'),
      [1, 0, 1],
      Array.from({ length: 24 }, (_, i) => [1, 0, 1][Math.floor(i / 4) % 3]!),
    ],
    [input('m', [Keys], 'bool'), [0, 0, 0, 0], new Array(24).fill(0)],
    [
      input('m', [Batch, Keys], 'bool'),
      [1, 0, 0, 1, 0, 0, 0, 0],
      [...Array.from({ length: 12 }, (_, i) => [1, 0, 0, 1][i % 4]!), ...new Array(12).fill(0)],
    ],
  ]
  for (const [m, given, whole] of cases) {
    const masked = attend(q, k, v, 'headDim', m)
    assert.equal(masked.names, q.names)
    const want = plain({ ...inputs, mask: whole })
    close('evaluator', evaluate([masked], { inputs: { ...inputs, m: given } })[0]!, want, 1e-12)
    for (const e of engines)
      close(e.name, (await onEngine(e, [masked], { ...inputs, m: given }))[0]!, want, 1e-5)
  }
})

test('a causal mask hides no row, and costs no test for one', () => {
  const own = input('k', [Batch, axis('key', 3), Head, Dim])
  const body = optimise([attend(q, own, own, 'headDim', causal(Token)).inputs[0]!])
  const selects = topological(body).filter((t) => t.op.op === 'select')
  assert.equal(
    selects.map((t) => t.names),
    [['batch', 'head', 'token', 'key']],
  )
})

test('where tokens see themselves no row is tested, and no flow is masked again, at any length', () => {
  const Long = axis('token', 300)
  const of = (name: string): Tensor => input(name, [Batch, Long], 'int32')
  const [queries, keys] = [
    input('q', [Batch, Long, Head, Dim]),
    input('k', [Batch, as(Long, 'key'), Head, Dim]),
  ]
  const packs = and(sameSegment(of('segment'), 'token'), causal(Long))
  const rows = gather(reshape(packs, [axis('place', 600), as(Long, 'key')]), of('places'))
  const selects = (m: Tensor): number => {
    const out = attend(queries, keys, mul(keys, 2), 'headDim', m)
    return topological(gradient(total(out), [queries])).filter((t) => t.op.op === 'select').length
  }
  for (const m of [causal(Long), packs, rows, sameSegment(of('segment'), 'token')]) assert.is(selects(m), 1)
  // keys may be hidden from all: padding, another's segment, and what comes strictly before
  const own = rename(of('segment'), 'token', 'key')
  for (const m of [
    notPadding(of('attention'), 'token'),
    and(causal(Long), notPadding(of('attention'), 'token')),
    equal(of('other'), own),
    less(own, of('segment')),
  ])
    assert.ok(selects(m) > 1)
})

test('scores of hidden keys that are infinite or not a number', async () => {
  const usual = { q: numbers(24, 1, 0), k: numbers(32, 1, 1), v: numbers(32, 1, 2), w: numbers(24, 1, 3) }
  // the last key of each sample
  const mask = Array.from({ length: 24 }, (_, i) => (i % 4 === 3 ? 0 : 1))
  const want = evaluate([y, ...slopes], { inputs: { ...usual, mask } })
  for (const odd of [3e38, -3e38, Number.POSITIVE_INFINITY, Number.NaN]) {
    const spoilt = usual.k.map((x, i) => (i % 16 < 12 ? x : i % 2 === 0 ? odd : -odd))
    const inputs = { ...usual, k: spoilt, mask }
    const all = [
      ['evaluator', evaluate([y, ...slopes], { inputs }).map((r) => [...r])] as const,
      ...(await Promise.all(
        engines.map(async (e) => [e.name, await onEngine(e, [y, ...slopes], inputs)] as const),
      )),
    ]
    // the query's own gradient is a product with k, where 0 times what is not finite is NaN
    for (const [who, got] of all)
      for (const i of Number.isFinite(odd) ? [0, 1, 2, 3] : [0, 2, 3])
        close(`${who}, ${odd}, ${i}`, got[i]!, want[i]!, 1e-5)
  }
})

test('a mask that is no bool is refused', () => {
  try {
    attend(q, k, v, 'headDim', input('m', [Token, Keys]))
  } catch (e) {
    assert.is((e as GraphError).tag, 'BadDtype')
    assert.match((e as GraphError).message, /attend: the mask is float32/)
    assert.match((e as GraphError).where, 'attention-mask.test.ts')
    return
  }
  throw new Error('it was not refused')
})

test.run()
