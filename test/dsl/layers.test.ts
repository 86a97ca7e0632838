/** Each layer of the language against its formula, written out in loops over plain arrays. */
import fc from 'fast-check'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  and,
  andThen,
  as,
  at,
  attend,
  axis,
  causal,
  crossEntropy,
  embedding,
  gelu,
  geluTanh,
  gradient,
  head,
  Ignored,
  input,
  iota,
  type Layer,
  layerNorm,
  learnedPositions,
  linear,
  mlp,
  notPadding,
  parametersOf,
  patchify,
  pixelShuffle,
  rmsNorm,
  rotate,
  rotations,
  sameBranch,
  sameSegment,
  selfAttention,
  silu,
  swiGlu,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import { near as nearTo, numbers, value, weights } from '../support/numbers.ts'

const test = suite('dsl: layers against their formulas')

const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const size = fc.integer({ min: 1, max: 5 })
const runs = { numRuns: 25 }

/** Literals of a graph (√½, ε, 1/n) are float32, so formulas in float64 agree to their rounding. */
const near = (got: ArrayLike<number>, want: ArrayLike<number>, what = ''): void =>
  nearTo(got, want, what, 5e-7)

type Row = readonly number[]
type Rows = readonly Row[]

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const dot = (a: Row, b: Row): number => a.reduce((n, x, i) => n + x * b[i]!, 0)
/** Row-major data as rows of length n. */
const rows = (data: ArrayLike<number>, n: number): number[][] =>
  range(data.length / n).map((i) => range(n).map((j) => data[i * n + j]!))
const times = (x: Rows, w: Rows): number[][] => x.map((r) => w.map((column) => dot(r, column)))
const plus = (a: Row, b: Row): number[] => a.map((x, i) => x + b[i]!)

// --- functions of one number ------------------------------------------------------------------------------------

/** The normal distribution function by Simpson's rule: no error function anywhere. */
const phi = (x: number): number => {
  const n = 2000
  const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI)
  const h = x / n
  const sum = range(n + 1).reduce(
    (s, i) => s + density(i * h) * (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2),
    0,
  )
  return 0.5 + (sum * h) / 3
}
const siluOf = (x: number): number => x / (1 + Math.exp(-x))

const pointwise = (name: string, layer: Layer<readonly [], readonly []>, f: (x: number) => number): void =>
  test(name, () => {
    const x = input('x', [axis('n', 13)])
    const xs = range(13).map((i) => i - 6.3)
    near(value(layer.apply(x), 0, { x: xs }), xs.map(f), name)
  })

pointwise('gelu is x times the normal distribution function', gelu, (x) => x * phi(x))
pointwise(
  'geluTanh',
  geluTanh,
  (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
)
pointwise('silu', silu, siluOf)

test('gelu and its tanh form differ by less than 5e-4 anywhere, and by more than 1e-4 somewhere', () => {
  const x = input('x', [axis('n', 201)])
  const xs = range(201).map((i) => (i - 100) / 20)
  const [a, b] = [value(gelu.apply(x), 0, { x: xs }), value(geluTanh.apply(x), 0, { x: xs })]
  const largest = Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))
  assert.ok(largest < 5e-4 && largest > 1e-4, `${largest}`)
})

// --- linear maps ------------------------------------------------------------------------------------------------

test('linear: x Wᵀ + b with W [out, in], also from an axis to itself', () => {
  fc.assert(
    fc.property(size, size, size, seed, (b, i, o, s) => {
      const [From, To] = [axis('from', i), axis('to', o)]
      const x = input('x', [axis('batch', b), From])
      const xs = rows(numbers(b * i, s, 'xs'), i)
      const y = linear(From, To).apply(x)
      const w = weights(s, y)
      const expected = times(xs, rows(w.weight!, i)).map((r) => plus(r, [...w.bias!]))
      near(value(y, s, { x: xs.flat() }), expected.flat())
      const same = linear(From, From, { bias: false, weight: 'projection' }).apply(x, 'here')
      const v = weights(s, same)['here.projection']!
      near(value(same, s, { x: xs.flat() }), times(xs, rows(v, i)).flat())
    }),
    runs,
  )
})

test('embedding takes rows, and a tied head multiplies by them', () => {
  const [Vocab, Embed] = [axis('vocab', 5), axis('embed', 3)]
  const ids = input('ids', [axis('batch', 2), axis('token', 2)], 'int32')
  const e = embedding(Vocab, Embed).apply(ids)
  const table = rows(weights(7, e).weight!, 3)
  const picked = [4, 0, 4, 2]
  near(
    value(e, 7, { ids: picked }),
    picked.flatMap((i) => table[i]!),
  )
  const logits = head(Embed, Vocab).apply(e)
  near(
    value(logits, 7, { ids: picked }),
    picked.flatMap((i) => table.map((r) => dot(r, table[i]!))),
  )
})

// --- norms ------------------------------------------------------------------------------------------------------

test('rmsNorm and layerNorm', () => {
  fc.assert(
    fc.property(
      size,
      fc.integer({ min: 2, max: 6 }),
      seed,
      fc.double({ min: 1e-6, max: 0.5, noNaN: true }),
      (b, n, s, eps) => {
        const Embed = axis('embed', n)
        const x = input('x', [axis('batch', b), Embed])
        const xs = rows(numbers(b * n, s, 'xs'), n)
        const mean = (r: Row): number => r.reduce((a, v) => a + v, 0) / n
        const rms = rmsNorm(Embed, eps).apply(x)
        const g = weights(s, rms).weight!
        near(
          value(rms, s, { x: xs.flat() }),
          xs.flatMap((r) => r.map((v, i) => (v / Math.sqrt(mean(r.map((u) => u * u)) + eps)) * g[i]!)),
        )
        const ln = layerNorm(Embed, eps).apply(x)
        const { weight, bias } = weights(s, ln)
        near(
          value(ln, s, { x: xs.flat() }),
          xs.flatMap((r) => {
            const m = mean(r)
            const spread = Math.sqrt(mean(r.map((v) => (v - m) ** 2)) + eps)
            return r.map((v, i) => ((v - m) / spread) * weight![i]! + bias![i]!)
          }),
        )
      },
    ),
    runs,
  )
})

// --- feed-forward -----------------------------------------------------------------------------------------------

test('swiGlu: down(silu(gate x) · up x), and mlp: fc2(gelu(fc1 x))', () => {
  const [Embed, Hidden, Out] = [axis('embed', 3), axis('hidden', 4), axis('out', 2)]
  const x = input('x', [axis('batch', 5), Embed])
  fc.assert(
    fc.property(seed, (s) => {
      const xs = rows(numbers(15, s, 'xs'), 3)
      const y = swiGlu(Embed, Hidden, { gate: 'w1', up: 'w3', down: 'w2' }).apply(x)
      const w = weights(s, y)
      const gate = times(xs, rows(w['w1.weight']!, 3))
      const up = times(xs, rows(w['w3.weight']!, 3))
      const inner = gate.map((r, i) => r.map((v, j) => siluOf(v) * up[i]![j]!))
      near(value(y, s, { x: xs.flat() }), times(inner, rows(w['w2.weight']!, 4)).flat())
      const z = mlp(Embed, Hidden, Out).apply(x)
      const v = weights(s, z)
      const first = times(xs, rows(v['fc1.weight']!, 3)).map((r) => plus(r, [...v['fc1.bias']!]))
      const second = times(
        first.map((r) => r.map((u) => u * phi(u))),
        rows(v['fc2.weight']!, 4),
      ).map((r) => plus(r, [...v['fc2.bias']!]))
      near(value(z, s, { x: xs.flat() }), second.flat())
    }),
    { numRuns: 5 },
  )
})

// --- images ---------------------------------------------------------------------------------------------------

test('patchify is a convolution whose stride is its kernel, patches row-major', () => {
  fc.assert(
    fc.property(size, size, fc.integer({ min: 1, max: 3 }), size, seed, (across, down, side, e, s) => {
      const [h, w] = [down * side, across * side]
      const channel = axis('channel', 3)
      const [height, width] = [axis('height', h), axis('width', w)]
      const [patch, embed] = [axis('patch', across * down), axis('embed', e)]
      const x = input('x', [channel, height, width])
      const image = numbers(3 * h * w, s, 'image')
      const y = patchify({ channel, height, width, patchSize: side, patch, embed }).apply(x)
      const { weight, bias } = weights(s, y)
      const expected = range(down).flatMap((row) =>
        range(across).flatMap((column) =>
          range(e).map((o) => {
            let sum = bias![o]!
            for (const c of range(3))
              for (const dy of range(side))
                for (const dx of range(side))
                  sum +=
                    image[(c * h + row * side + dy) * w + column * side + dx]! *
                    weight![((o * 3 + c) * side + dy) * side + dx]!
            return sum
          }),
        ),
      )
      near(value(y, s, { x: image }), expected)
    }),
    runs,
  )
})

test('learned positions add one vector a position, stored as [1, position, embed] at the path itself', () => {
  const [Token, Embed] = [axis('token', 3), axis('embed', 2)]
  const x = input('x', [axis('batch', 2), Token, Embed])
  const y = at('pos_embed')(learnedPositions(Token, Embed)).apply(x)
  const leaf = parametersOf(y).get('pos_embed')!
  assert.equal(
    leaf.axes.map((a) => a.size),
    [1, 3, 2],
  )
  const table = weights(3, y).pos_embed!
  const xs = numbers(12, 3, 'xs')
  near(
    value(y, 3, { x: xs }),
    Array.from(xs, (v, i) => v + table[i % 6]!),
  )
})

test('pixel shuffle, both orders, any factor', () => {
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 3 }), size, seed, (out, f, c, s) => {
      const side = out * f
      const [token, channel] = [axis('token', side * side), axis('channel', c)]
      const x = input('x', [token, channel])
      const xs = numbers(side * side * c, s, 'xs')
      for (const order of ['v1', 'v2'] as const) {
        const y = pixelShuffle(
          token,
          channel,
          axis('few', out * out),
          axis('wide', c * f * f),
          f,
          order,
        ).apply(x)
        const expected = range(out * out).flatMap((t) => {
          const [a, b] = [Math.floor(t / out), t % out]
          const [row, column] = order === 'v2' ? [a, b] : [b, a]
          return range(f).flatMap((dr) =>
            range(f).flatMap((dc) =>
              range(c).map((k) => xs[((row * f + dr) * side + column * f + dc) * c + k]!),
            ),
          )
        })
        near(value(y, s, { x: xs }), expected, order)
      }
    }),
    runs,
  )
})

// --- rotary positions -------------------------------------------------------------------------------------------

/** Turns one head's vector by a position: pairs (i, i + d/2), frequency θ^(−2i/d), by complex multiplication. */
const turn = (v: Row, position: number, theta: number): number[] => {
  const half = v.length / 2
  const turned = range(half).map((i) => {
    const angle = position * Math.fround(theta ** ((-2 * i) / v.length))
    return [
      v[i]! * Math.cos(angle) - v[i + half]! * Math.sin(angle),
      v[i + half]! * Math.cos(angle) + v[i]! * Math.sin(angle),
    ] as const
  })
  return [...turned.map(([re]) => re), ...turned.map(([, im]) => im)]
}

test('rotary: each pair turns by its angle, norms stay, and products depend on the distance alone', () => {
  const position = fc.integer({ min: 0, max: 500 })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(position, { minLength: 1, maxLength: 4 }),
      position,
      seed,
      (half, at, shift, s) => {
        const [Token, Dim] = [axis('token', at.length), axis('headDim', 2 * half)]
        const positions = input('positions', [Token], 'int32')
        const x = input('x', [Token, Dim])
        const y = rotate(x, rotations(positions, Dim, 100), 'headDim')
        const xs = rows(numbers(at.length * 2 * half, s, 'xs'), 2 * half)
        const turned = rows(value(y, s, { x: xs.flat(), positions: at }), 2 * half)
        near(
          turned.flat(),
          at.flatMap((p, i) => turn(xs[i]!, p, 100)),
        )
        turned.forEach((r, i) => {
          near([dot(r, r)], [dot(xs[i]!, xs[i]!)], 'norm')
        })
        const moved = rows(value(y, s, { x: xs.flat(), positions: at.map((p) => p + shift) }), 2 * half)
        const products = (r: Rows): number[] => r.flatMap((a) => r.map((b) => dot(a, b)))
        near(products(moved), products(turned), 'products')
      },
    ),
    runs,
  )
})

// --- attention --------------------------------------------------------------------------------------------------

/** Attention of one head: softmax over the keys that `sees` allows. */
const attention = (q: Rows, k: Rows, v: Rows, sees: (i: number, j: number) => boolean): number[][] =>
  q.map((query, i) => {
    const scores = k.map((key, j) => (sees(i, j) ? dot(query, key) / Math.sqrt(query.length) : -Infinity))
    const top = Math.max(...scores)
    const e = scores.map((x) => Math.exp(x - top))
    const sum = e.reduce((a, b) => a + b, 0)
    return v[0]!.map((_, d) => e.reduce((a, p, j) => a + (p / sum) * v[j]![d]!, 0))
  })

const everything = (): boolean => true

interface Shape {
  readonly tokens: number
  readonly kvHeads: number
  readonly group: number
  readonly dim: number
}

const shape: fc.Arbitrary<Shape> = fc.record({
  tokens: fc.integer({ min: 1, max: 5 }),
  kvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 3 }),
  dim: fc.integer({ min: 1, max: 3 }).map((n) => 2 * n),
})

/** The whole of self-attention in loops: projections, norms of queries and keys, rotary, heads, output map. */
const selfAttentionOf = (
  x: Rows,
  w: Readonly<Record<string, Float32Array>>,
  c: Shape,
  o: {
    readonly qkNorm?: number
    readonly theta?: number
    readonly sees: (i: number, j: number) => boolean
  },
): number[][] => {
  const embed = x[0]!.length
  const heads = (name: string): number[][][] =>
    times(x, rows(w[`${name}.weight`]!, embed)).map((r) => rows(r, c.dim))
  const normed = (v: Row, name: string): Row => {
    if (o.qkNorm === undefined) return v
    const scale = Math.sqrt(dot(v, v) / v.length + o.qkNorm)
    return v.map((u, i) => (u / scale) * w[`${name}.weight`]![i]!)
  }
  const placed = (v: Row, position: number): Row => (o.theta === undefined ? v : turn(v, position, o.theta))
  const q = heads('q_proj').map((hs, t) => hs.map((h) => placed(normed(h, 'q_norm'), t)))
  const k = heads('k_proj').map((hs, t) => hs.map((h) => placed(normed(h, 'k_norm'), t)))
  const v = heads('v_proj')
  const perHead = range(c.kvHeads * c.group).map((h) => {
    const kv = Math.floor(h / c.group)
    return attention(
      q.map((t) => t[h]!),
      k.map((t) => t[kv]!),
      v.map((t) => t[kv]!),
      o.sees,
    )
  })
  const side = x.map((_, t) => perHead.flatMap((h) => h[t]!))
  return times(side, rows(w['o_proj.weight']!, c.kvHeads * c.group * c.dim))
}

test('self-attention: grouped queries, QK-norm, rotary and causal mask, written out', () => {
  fc.assert(
    fc.property(
      shape,
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.boolean(),
      seed,
      (c, embed, norm, rope, s) => {
        const [Token, Embed] = [axis('token', c.tokens), axis('embed', embed)]
        const x = input('x', [Token, Embed])
        const y = selfAttention({
          token: Token,
          embed: Embed,
          heads: c.kvHeads * c.group,
          kvHeads: c.kvHeads,
          headDim: c.dim,
          mask: causal(Token),
          ...(norm ? { qkNorm: 1e-3 } : {}),
          ...(rope ? { rotary: rotations(iota(Token), axis('headDim', c.dim), 50) } : {}),
        }).apply(x)
        const xs = rows(numbers(c.tokens * embed, s, 'xs'), embed)
        const expected = selfAttentionOf(xs, weights(s, y), c, {
          ...(norm ? { qkNorm: 1e-3 } : {}),
          ...(rope ? { theta: 50 } : {}),
          sees: (i, j) => j <= i,
        })
        near(value(y, s, { x: xs.flat() }), expected.flat())
      },
    ),
    runs,
  )
})

test('a fused qkv map is the three maps one under the other', () => {
  const [Token, Embed] = [axis('token', 3), axis('embed', 4)]
  const x = input('x', [Token, Embed])
  const c: Shape = { tokens: 3, kvHeads: 2, group: 1, dim: 2 }
  const fused = selfAttention({ token: Token, embed: Embed, heads: 2, fused: 'qkv', output: 'proj' }).apply(x)
  const w = weights(9, fused)
  assert.equal(Object.keys(w).sort(), ['proj.weight', 'qkv.weight'])
  const part = (i: number): Float32Array => w['qkv.weight']!.slice(16 * i, 16 * (i + 1))
  const three = {
    'q_proj.weight': part(0),
    'k_proj.weight': part(1),
    'v_proj.weight': part(2),
    'o_proj.weight': w['proj.weight']!,
  }
  const xs = numbers(12, 9, 'xs')
  near(value(fused, 9, { x: xs }), selfAttentionOf(rows(xs, 4), three, c, { sees: everything }).flat())
})

test('grouped queries are plain heads whose keys and values repeat', () => {
  fc.assert(
    fc.property(shape, seed, (c, s) => {
      const [Token, Embed] = [axis('token', c.tokens), axis('embed', 3)]
      const x = input('x', [Token, Embed])
      const common = { token: Token, embed: Embed, heads: c.kvHeads * c.group, headDim: c.dim }
      const grouped = selfAttention({ ...common, kvHeads: c.kvHeads }).apply(x)
      const plain = selfAttention(common).apply(x)
      const w = weights(s, grouped)
      const repeated = (key: string): number[] =>
        rows(w[key]!, c.dim * 3).flatMap((h) => range(c.group).flatMap(() => h))
      const same = { 'k_proj.weight': repeated('k_proj.weight'), 'v_proj.weight': repeated('v_proj.weight') }
      near(value(grouped, s), value(plain, s, {}, same))
    }),
    runs,
  )
})

// --- masks ------------------------------------------------------------------------------------------------------

const Tokens = axis('token', 6)
const Width = axis('embed', 4)
const rotary = (positions: Tensor) => rotations(positions, axis('headDim', 2), 100)
const masked = (mask: Tensor | undefined, positions: Tensor = iota(Tokens)): Tensor =>
  selfAttention({
    token: Tokens,
    embed: Width,
    heads: 2,
    rotary: rotary(positions),
    ...(mask === undefined ? {} : { mask }),
  }).apply(input('x', [Tokens, Width]))

test('a causal mask lets nothing leak from the future, and everything through from the past', () => {
  const y = masked(causal(Tokens))
  fc.assert(
    fc.property(fc.nat(5), seed, (t, s) => {
      const x = numbers(24, s, 'xs')
      const changed = x.map((v, i) => (Math.floor(i / 4) === t ? v + 1 : v))
      const [a, b] = [value(y, s, { x }), value(y, s, { x: changed })]
      near(a.subarray(0, 4 * t), b.subarray(0, 4 * t), 'before')
      for (const later of range(6 - t).map((i) => i + t))
        assert.ok(
          range(4).some((k) => Math.abs(a[later * 4 + k]! - b[later * 4 + k]!) > 1e-9),
          `token ${later} sees token ${t}`,
        )
    }),
    runs,
  )
})

test('a branch sees the stem and itself, and the stem no branch', () => {
  // a stem of two, two branches of two, and how each token's number says so
  const branch = [0, 0, 1, 1, 2, 2]
  const y = masked(and(sameBranch(input('branch', [Tokens], 'int32'), 'token'), causal(Tokens)))
  fc.assert(
    fc.property(fc.nat(5), seed, (t, s) => {
      const x = numbers(24, s, 'xs')
      const changed = x.map((v, i) => (Math.floor(i / 4) === t ? v + 1 : v))
      const [a, b] = [value(y, s, { x, branch }), value(y, s, { x: changed, branch })]
      for (const other of range(6)) {
        const sees = other >= t && (branch[t] === 0 || branch[t] === branch[other])
        assert.is(
          range(4).some((k) => Math.abs(a[other * 4 + k]! - b[other * 4 + k]!) > 1e-9),
          sees,
          `token ${other} and token ${t}`,
        )
      }
    }),
    runs,
  )
})

test('a block-diagonal mask with restarting positions is each segment on its own', () => {
  const segment = input('segment', [Tokens], 'int32')
  const position = input('position', [Tokens], 'int32')
  const y = masked(and(sameSegment(segment, 'token'), causal(Tokens)), position)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), seed, (cut, s) => {
      const x = numbers(24, s, 'xs')
      const together = value(y, s, {
        x,
        segment: range(6).map((i) => (i < cut ? 0 : 1)),
        position: range(6).map((i) => (i < cut ? i : i - cut)),
      })
      for (const [from, to] of [
        [0, cut],
        [cut, 6],
      ] as const) {
        const Part = axis('token', to - from)
        const alone = selfAttention({
          token: Part,
          embed: Width,
          heads: 2,
          rotary: rotary(iota(Part)),
          mask: causal(Part),
        }).apply(input('x', [Part, Width]))
        near(
          together.subarray(from * 4, to * 4),
          value(alone, s, { x: x.slice(from * 4, to * 4) }),
          `tokens ${from} to ${to}`,
        )
      }
    }),
    runs,
  )
})

test('what stands at padded places changes no real token', () => {
  const real = input('attention_mask', [Tokens], 'int32')
  const y = masked(notPadding(real, 'token'))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), seed, (length, s) => {
      const attention_mask = range(6).map((i) => (i < length ? 1 : 0))
      const x = numbers(24, s, 'xs')
      const other = x.map((v, i) => (i < length * 4 ? v : -7 * v + 100))
      const [a, b] = [value(y, s, { x, attention_mask }), value(y, s, { x: other, attention_mask })]
      near(a.subarray(0, length * 4), b.subarray(0, length * 4))
    }),
    runs,
  )
})

test('a token that may attend to nothing stays finite, and so does its gradient', () => {
  const nobody = input('nobody', [Tokens], 'int32')
  const y = masked(notPadding(nobody, 'token'))
  const parameters = [...parametersOf(y).values()]
  const zeros = range(6).map(() => 0)
  assert.ok(value(y, 5, { nobody: zeros }).every(Number.isFinite))
  for (const g of gradient(total(y), parameters))
    assert.ok(value(g, 5, { nobody: zeros }).every(Number.isFinite))
})

test('attend takes any layout: axes meet by name', () => {
  const [Head, Dim, Query] = [axis('head', 2), axis('headDim', 4), axis('token', 3)]
  const Keys = axis('key', 5)
  const y = attend(
    input('q', [Head, Query, Dim]),
    input('k', [Keys, Head, Dim]),
    input('v', [Head, Keys, Dim]),
    'headDim',
  )
  const [q, k, v] = [numbers(24, 1, 'q'), numbers(40, 1, 'k'), numbers(40, 1, 'v')]
  const expected = range(2).flatMap((h) =>
    attention(
      rows(q.slice(12 * h, 12 * (h + 1)), 4),
      range(5).map((j) => [...k.slice((j * 2 + h) * 4, (j * 2 + h + 1) * 4)]),
      rows(v.slice(20 * h, 20 * (h + 1)), 4),
      everything,
    ).flat(),
  )
  near(value(y, 1, { q, k, v }), expected)
})

// --- losses -----------------------------------------------------------------------------------------------------

test('cross-entropy is the mean over counted positions of −ln softmax, and 0 with gradient 0 where none counts', () => {
  const [Batch, Vocab] = [axis('batch', 4), axis('vocab', 3)]
  const logits = input('logits', [Batch, Vocab])
  const labels = input('labels', [Batch], 'int32')
  const loss = crossEntropy(logits, labels, 'vocab')
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1, 2, Ignored), { minLength: 4, maxLength: 4 }), seed, (l, s) => {
      const x = rows(numbers(12, s, 'logits', 4), 3)
      const each = x.map((r, i) => {
        if (l[i] === Ignored) return 0
        return Math.log(r.reduce((n, v) => n + Math.exp(v), 0)) - r[l[i]!]!
      })
      const count = l.filter((i) => i !== Ignored).length
      const feeds = { logits: x.flat(), labels: l }
      near(value(loss.mean, s, feeds), [each.reduce((a, b) => a + b, 0) / Math.max(count, 1)])
      near(value(loss.count, s, feeds), [count])
      const g = value(gradient(loss.mean, [logits])[0]!, s, feeds)
      const expected = x.flatMap((r, i) => {
        const sum = r.reduce((n, v) => n + Math.exp(v), 0)
        return r.map((v, j) => (l[i] === Ignored ? 0 : (Math.exp(v) / sum - (j === l[i] ? 1 : 0)) / count))
      })
      near(g, expected)
    }),
    { ...runs, examples: [[[Ignored, Ignored, Ignored, Ignored], 1]] },
  )
})

test('a mask over other names than token and key is one over those names', () => {
  const Patch = axis('patch', 3)
  const y = selfAttention({ token: Patch, embed: Width, heads: 1, mask: causal(Patch) }).apply(
    input('x', [Patch, Width]),
  )
  assert.equal(y.names, ['patch', 'embed'])
  const t = causal(as(Patch, 'row'))
  assert.equal([...value(t, 0)], [1, 0, 0, 1, 1, 0, 1, 1, 1])
  const twice = pipe(at('a')(linear(Width, Width)), andThen(at('b')(linear(Width, Width))))
  assert.equal(twice.apply(y).names, ['patch', 'embed'])
})

test.run()
