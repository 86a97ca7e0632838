/** The laws of layers, on numbers: random layers, random sizes, random weights, in float64. */
import fc from 'fast-check'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  add,
  andThen,
  applyTo,
  at,
  axis,
  causal,
  elements,
  embedding,
  evaluate,
  fanout,
  GraphError,
  gelu,
  geluTanh,
  gradient,
  head,
  identity,
  input,
  iota,
  type Layer,
  layer,
  layerNorm,
  learnedPositions,
  linear,
  merged,
  mlp,
  mul,
  named,
  parallel,
  parametersOf,
  patchify,
  pixelShuffle,
  preNorm,
  repeat,
  residual,
  rmsNorm,
  rotations,
  selfAttention,
  silu,
  sub,
  swiGlu,
  type Tensor,
  topological,
  total,
} from '../../src/dsl/index.ts'
import { adapter } from '../../src/models/adapter.ts'
import { sailVit, vitAxes } from '../../src/models/sail-vit.ts'
import { near, numbers, same, value, weights } from '../support/numbers.ts'

const test = suite('dsl: laws of layers')

const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const size = fc.integer({ min: 1, max: 5 })

type E = readonly ['embed']

/** Layers from `embed` to itself that differ in kind, in parameters and in how they are composed. */
const endo = (e: Axis<'embed'>): fc.Arbitrary<Layer<E, E>> => {
  const hidden = axis('hidden', 3)
  return fc.letrec<{ layer: Layer<E, E> }>((tie) => ({
    layer: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom<Layer<E, E>>(
        linear(e, e),
        rmsNorm(e),
        layerNorm(e),
        swiGlu(e, hidden),
        mlp(e, hidden, e),
        pipe(linear(e, hidden), andThen(silu), andThen(at('back')(linear(hidden, e)))),
        pipe(identity, andThen(at('norm')(rmsNorm(e)))),
      ),
      tie('layer').map((f) => residual(at('inner')(f))),
      fc.tuple(tie('layer'), tie('layer')).map(([f, g]) => pipe(at('first')(f), andThen(at('second')(g)))),
      tie('layer').map((f) => named('part')(repeat(2, f))),
    ),
  })).layer
}

/** Runs a law for random endomorphisms f, g, h (under their own scopes), an input and a seed. */
const law = (
  name: string,
  holds: (
    f: Layer<E, E>,
    g: Layer<E, E>,
    h: Layer<E, E>,
    x: Tensor<readonly ['batch', 'embed']>,
    seed: number,
  ) => void,
): void =>
  test(name, () => {
    const setting = fc
      .tuple(size, size)
      .map(([b, e]) => ({ batch: axis('batch', b), embed: axis('embed', e) }))
      .chain(({ batch, embed }) =>
        fc.tuple(
          fc.constant(input('x', [batch, embed])),
          endo(embed).map(at('f')),
          endo(embed).map(at('g')),
          endo(embed).map(at('h')),
          seed,
        ),
      )
    fc.assert(
      fc.property(setting, ([x, f, g, h, s]) => holds(f, g, h, x, s)),
      { numRuns: 40 },
    )
  })

// --- the category -----------------------------------------------------------------------------------------------

law('identity on either side changes nothing', (f, _g, _h, x, s) => {
  same(pipe(identity, andThen(f)).apply(x), f.apply(x), s)
  same(pipe(f, andThen(identity)).apply(x), f.apply(x), s)
  assert.is(identity.apply(x), x)
})

law('composition is associative', (f, g, h, x, s) => {
  same(pipe(f, andThen(pipe(g, andThen(h)))).apply(x), pipe(pipe(f, andThen(g)), andThen(h)).apply(x), s)
})

law('then is application one after the other', (f, g, _h, x, s) => {
  same(pipe(f, andThen(g)).apply(x), g.apply(f.apply(x)), s)
})

law('residual adds its input, and is a fork of identity and layer', (f, _g, _h, x, s) => {
  same(residual(f).apply(x), add(x, f.apply(x)), s)
  same(residual(f).apply(x), pipe(fanout(identity, f), merged(add)).apply(x), s)
})

law('a pre-norm sublayer is a residual of norm, then layer', (f, g, _h, x, s) => {
  same(preNorm(f, g).apply(x), residual(pipe(f, andThen(g))).apply(x), s)
})

// --- forks ------------------------------------------------------------------------------------------------------

law('interchange: parallel(f, g) after fanout(h, k) is fanout(f after h, g after k)', (f, g, h, x, s) => {
  const k = at('k')(pipe(f, andThen(g)))
  const [a, b] = pipe(fanout(h, k), parallel(f, g)).apply(x)
  const [c, d] = fanout(pipe(h, andThen(f)), pipe(k, andThen(g))).apply(x)
  same(a, c, s)
  same(b, d, s)
})

law('parallel keeps identity and composition', (f, g, h, x, s) => {
  const both = fanout(f, g)
  const [a, b] = pipe(both, parallel(identity, identity)).apply(x)
  same(a, f.apply(x), s)
  same(b, g.apply(x), s)
  const [c, d] = pipe(both, parallel(at('u')(f), h), parallel(h, at('u')(g))).apply(x)
  const [e, i] = pipe(both, parallel(pipe(at('u')(f), andThen(h)), pipe(h, andThen(at('u')(g))))).apply(x)
  same(c, e, s)
  same(d, i, s)
})

law('merged takes both sides in order; a projection takes one', (f, g, _h, x, s) => {
  same(pipe(fanout(f, g), merged(sub)).apply(x), sub(f.apply(x), g.apply(x)), s)
  same(pipe(fanout(f, g), merged(mul)).apply(x), pipe(fanout(g, f), merged(mul)).apply(x), s)
  near(
    value(
      pipe(
        fanout(f, g),
        merged((_a, b) => b),
      ).apply(x),
      s,
    ),
    value(g.apply(x), s),
  )
})

// --- scopes -----------------------------------------------------------------------------------------------------

law('scopes compose, distribute over composition, and the empty one is none', (f, g, _h, x, s) => {
  same(pipe(f, at('b'), at('a')).apply(x), at('a.b')(f).apply(x), s)
  same(at('')(f).apply(x), f.apply(x), s)
  same(at('a')(pipe(f, andThen(g))).apply(x), pipe(at('a')(f), andThen(at('a')(g))).apply(x), s)
  same(at('a')(residual(f)).apply(x), residual(at('a')(f)).apply(x), s)
  same(at('a')(f).apply(x, 'root'), at('root.a')(f).apply(x), s)
  assert.ok([...parametersOf(at('a')(f).apply(x)).keys()].every((k) => k.startsWith('a.f.')))
})

law('a name changes no number and no key, and marks the output', (f, _g, _h, x, s) => {
  const y = at('here')(named('thing')(f)).apply(x)
  same(y, at('here')(f).apply(x), s)
  const marks = y.marks.map((m) => [m.path, m.layer])
  assert.equal(marks.at(-1), ['here', 'thing'])
})

// --- repetition -------------------------------------------------------------------------------------------------

test('repeat n + m is repeat n and then repeat m, under shifted keys', () => {
  const embed = axis('embed', 3)
  const x = input('x', [axis('batch', 2), embed])
  fc.assert(
    fc.property(endo(embed), fc.nat(3), fc.nat(3), seed, (g, n, m, s) => {
      // normed: SwiGLU on SwiGLU leaves the range of float64 in a few turns
      const f = pipe(g, andThen(at('bounded')(rmsNorm(embed))))
      const whole = at('w')(repeat(n + m, f)).apply(x)
      const parts = pipe(at('a')(repeat(n, f)), andThen(at('b')(repeat(m, f)))).apply(x)
      const w = weights(s, whole)
      const shifted = Object.fromEntries(
        Object.entries(w).map(([key, v]) => {
          const [, i, rest] = /^w\.(\d+)\.(.*)$/.exec(key)!
          return [Number(i) < n ? `a.${i}.${rest}` : `b.${Number(i) - n}.${rest}`, v]
        }),
      )
      assert.equal(Object.keys(shifted).sort(), [...parametersOf(parts).keys()].sort())
      near(value(whole, s, {}, w), value(parts, s, {}, shifted))
    }),
    { numRuns: 40 },
  )
})

test('repeat none is identity, repeat once is the block under 0, and the function sees its place', () => {
  const embed = axis('embed', 3)
  const x = input('x', [embed])
  assert.is(repeat(0, linear(embed, embed)).apply(x), x)
  same(repeat(1, linear(embed, embed)).apply(x), at('0')(linear(embed, embed)).apply(x), 1)
  const row = repeat(3, (i) => (i === 1 ? rmsNorm(embed) : linear(embed, embed, { bias: false })))
  assert.equal(
    [...parametersOf(row.apply(x))].map(([k, t]) => `${k}:${elements(t.axes)}`),
    ['0.weight:9', '1.weight:3', '2.weight:9'],
  )
  for (const times of [-1, 1.5])
    assert.throws(
      () => repeat(times, linear(embed, embed)),
      (e: unknown) => e instanceof GraphError && e.tag === 'BadArgument',
    )
})

// --- leading axes -----------------------------------------------------------------------------------------------

const nothing = (): readonly Axis[] => []
const Embed = axis('embed', 8)
const Token = axis('token', 4)
const tiny = {
  imageSize: 8,
  patchSize: 2,
  hiddenSize: 8,
  intermediateSize: 6,
  layers: 1,
  heads: 2,
  epsilon: 1e-5,
}
const { channel, height, width, patch, vision } = vitAxes(tiny)

/** Every layer of the language with the axes it takes; ids where it takes ids. */
const layers: readonly {
  readonly name: string
  readonly layer: { readonly kind: string }
  readonly takes: readonly Axis[]
  readonly ids?: number
}[] = [
  { name: 'linear', layer: linear(Embed, axis('hidden', 3)), takes: [Embed] },
  { name: 'embedding', layer: embedding(axis('vocab', 7), Embed), takes: nothing(), ids: 7 },
  { name: 'head', layer: head(Embed, axis('vocab', 7)), takes: [Embed] },
  { name: 'rmsNorm', layer: rmsNorm(Embed), takes: [Embed] },
  { name: 'layerNorm', layer: layerNorm(Embed), takes: [Embed] },
  { name: 'gelu', layer: gelu, takes: nothing() },
  { name: 'geluTanh', layer: geluTanh, takes: nothing() },
  { name: 'silu', layer: silu, takes: nothing() },
  { name: 'swiGlu', layer: swiGlu(Embed, axis('hidden', 3)), takes: [Embed] },
  { name: 'mlp', layer: mlp(Embed, axis('hidden', 3), axis('out', 2)), takes: [Embed] },
  {
    name: 'selfAttention',
    layer: selfAttention({
      token: Token,
      embed: Embed,
      heads: 4,
      kvHeads: 2,
      qkNorm: 1e-6,
      mask: causal(Token),
      rotary: rotations(iota(Token), axis('headDim', 2), 100),
    }),
    takes: [Token, Embed],
  },
  { name: 'learnedPositions', layer: at('positions')(learnedPositions(Token, Embed)), takes: [Token, Embed] },
  {
    name: 'pixelShuffle',
    layer: pixelShuffle(Token, Embed, axis('visual', 1), axis('folded', 32)),
    takes: [Token, Embed],
  },
  {
    name: 'patchify',
    layer: patchify({ channel, height, width, patchSize: 2, patch, embed: vision }),
    takes: [channel, height, width],
  },
  { name: 'sailVit', layer: sailVit(tiny), takes: [channel, height, width] },
  { name: 'adapter', layer: adapter({ patches: 16, visionSize: 8, embedSize: 5 }), takes: [patch, vision] },
]

for (const { name, layer, takes, ids } of layers)
  test(`leading axes ride along: ${name}`, () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 3 }), seed, (rows, groups, s) => {
        const lead = [axis('group', rows), axis('side', groups)]
        const all = [...lead, ...takes]
        const dtype = ids === undefined ? 'float32' : 'int32'
        const x: Tensor = input('x', all, dtype)
        const data = numbers(elements(all), s, 'data', 2)
        const given = ids === undefined ? data : data.map((v) => Math.abs(Math.trunc(v * 1e4)) % ids)
        const y = applyTo(layer, x)
        assert.equal(y.axes.slice(0, 2), lead)
        const together = value(y, s, { x: given })
        const one: Tensor = input('x', takes, dtype)
        const alone = applyTo(layer, one)
        assert.equal(y.axes.slice(2), alone.axes)
        const [n, m] = [elements(takes), elements(alone.axes)]
        for (let i = 0; i < rows * groups; i++)
          near(
            together.subarray(i * m, (i + 1) * m),
            value(alone, s, { x: given.slice(i * n, (i + 1) * n) }),
            `${name}, row ${i}`,
          )
      }),
      { numRuns: 6 },
    )
  })

test('a layer marks its output with its path and kind', () => {
  const y = at('a.b')(rmsNorm(Embed)).apply(input('x', [Embed]))
  assert.equal(
    topological([y]).flatMap((t) => t.marks.map((m) => `${m.path}:${m.layer}`)),
    ['a.b:rmsNorm'],
  )
})

test('what a layer hands out of its inside is what the graph holds: its gradient is there', () => {
  const inner: Tensor[] = []
  const tap = layer('tap', [Embed], (x) => {
    const y = mul(x, 3)
    inner.push(y)
    return y
  })
  const x = input('x', [Embed])
  const y = pipe(at('a')(tap), andThen(named('outer')(at('b')(tap)))).apply(x)
  assert.is(y, inner[1])
  const loss = total(mul(y, y))
  const slopes = evaluate(gradient(loss, [...inner, x]), { inputs: { x: [1, 2, 3, 4, 5, 6, 7, 8] } })
  assert.is(slopes[1]![0], 2 * 9)
  assert.is(slopes[0]![0], 3 * 2 * 9)
  assert.is(slopes[2]![0], 9 * 2 * 9)
  assert.equal(
    y.marks.map((m) => `${m.path} ${m.layer}`),
    ['b tap', ' outer'],
  )
})

test.run()
