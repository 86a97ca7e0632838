/** What the xla engine's programs look like, where the numbers would not tell: memory, precision, calls of a library. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../../src/dsl/index.ts'
import { withoutPlaces } from '../../../src/engine/xla/builder.ts'
import { programHash } from '../../../src/engine/xla/kept-programs.ts'
import { type LowerOptions, lower } from '../../../src/engine/xla/lower.ts'

const test = suite('xla: programs as text')

const textOf = (build: () => d.Results, options: LowerOptions = {}) => {
  const p = d.optimiseProgram(d.program({ name: 'p', functions: { f: d.fixed(build) } }))
  return lower('f', p.functions.get('f')![0]!, options)
}

const [Row, Embed, Out] = [d.axis('row', 4), d.axis('embed', 8), d.axis('out', 3)]

test('a state that is replaced is an argument whose memory its next value takes; one that is read stays', () => {
  const [w, count] = [d.parameter('w', [Out, Embed], d.normal(1)), d.state('count', [], d.zeros)]
  const y = d.contract(d.input('x', [Row, Embed]), w, 'embed')
  const {
    text,
    arguments: args,
    next,
  } = textOf(() => ({
    outputs: { y },
    next: new Map([['count', d.add(count, 1)]]),
  }))
  const main = /@main\((.*)\) ->/.exec(text)![1]!
  assert.equal(args.map((a) => (a.from === 'state' ? a.key : a.name)).sort(), ['count', 'w', 'x'])
  assert.equal(next, ['count'])
  assert.match(main, /tensor<f32> \{tf\.aliasing_output = 1 : i32\}/)
  assert.is(main.match(/aliasing/g)!.length, 1)
})

test('operations carry the line that built them', () => {
  const { text } = textOf(() => ({ outputs: { y: d.exp(d.input('x', [Row])) } }))
  assert.match(text, /stablehlo\.exponential .* loc\(#loc\d+\)/)
  assert.match(text, /#loc\d+ = loc\("exp\.\d+"\(".*lowering\.test\.ts":\d+:\d+\)\)/)
})

test('a program is kept under what it computes, not under the lines that it was written on', () => {
  const one = textOf(() => ({ outputs: { y: d.add(d.exp(d.input('x', [Row])), 1) } })).text
  const moved = textOf(() => {
    const x = d.input('x', [Row])
    return { outputs: { y: d.add(d.exp(x), 1) } }
  }).text
  const other = textOf(() => ({ outputs: { y: d.add(d.exp(d.input('x', [Row])), 2) } })).text
  const device = {
    platform: 'cuda',
    version: '1',
    apiVersion: '0.1',
    devices: [{ id: 0, kind: 'a', memory: () => undefined }],
  }
  const hash = (text: string) => programHash(device, 1, text, {})
  assert.is.not(moved, one)
  assert.is(hash(moved), hash(one))
  assert.is.not(hash(other), hash(one))
  // the names by which messages find their nodes are part of it
  assert.is.not(hash(one.replace('"exp.', '"log.')), hash(one))
  assert.not.match(withoutPlaces(one), 'lowering.test')
})

test('one slot a row is a scatter, not a pass over the state', () => {
  const [Batch, Slot] = [d.axis('batch', 2), d.axis('slot', 64)]
  const cache = d.state('cache', [Batch, Slot, Embed], d.zeros)
  const here = d.equal(d.input('place', [Batch], 'int32'), d.iota(Slot))
  const next = d.select(here, d.input('value', [Batch, Embed]), cache)
  const { text } = textOf(() => ({ outputs: {}, next: new Map([['cache', next as d.Tensor]]) }))
  assert.match(text, 'stablehlo.scatter')
  assert.not.match(text, 'stablehlo.select')
})

test('products are as exact as the precision says; the gradient of a weight stays float32', () => {
  const w = d.parameter('w', [Out, Embed], d.normal(1))
  const y = d.contract(d.input('x', [Row, Embed]), w, 'embed')
  const g = d.gradient(d.total(d.square(y)), [w])[0]!
  const build = (): d.Results => ({ outputs: { y, g } })
  const text = (precision: LowerOptions['precision'], platform: string) =>
    textOf(build, { precision: precision!, platform }).text
  assert.match(text('float32', 'cuda'), 'precision = [HIGHEST, HIGHEST]')
  assert.match(text('tf32', 'cuda'), 'precision = [DEFAULT, DEFAULT]')
  assert.not.match(text('tf32', 'cuda'), 'bf16')
  const half = text('bfloat16', 'cuda')
  assert.match(half, /dot_general .*\(tensor<4x8xbf16>, tensor<3x8xbf16>\) -> tensor<4x3xbf16>/)
  assert.match(half, /dot_general .*-> tensor<(3x8|8x3)xf32>/)
  // a processor multiplies the rounded numbers as float32
  assert.match(text('bfloat16', 'cpu'), 'format = e8m7')
  assert.not.match(text('bfloat16', 'cpu'), 'bf16')
})

const attending = (mask: 'none' | 'causal' | 'padded', tokens = 128, same = false): d.Results => {
  const [B, T, H, D] = [d.axis('batch', 2), d.axis('token', tokens), d.axis('head', 2), d.axis('dim', 64)]
  const G = d.axis('group', 3)
  const K = d.as(T, d.Key)
  const q = d.input('q', [B, T, H, G, D])
  const k = d.input('k', [B, K, H, D])
  const v = same ? k : d.input('v', [B, K, H, D])
  const real = d.notPadding(d.input('attention_mask', [B, T], 'int32'), 'token')
  const masks = { none: undefined, causal: d.causal(T), padded: d.and(d.causal(T), real) }
  const y = d.attend(q, k, v, 'dim', masks[mask])
  const [gq, gk, gv] = d.gradient(d.total(d.square(y)), [q, k, v])
  return { outputs: { y, gq: gq!, gk: gk!, gv: gv! } }
}

const calls = (build: () => d.Results, options: LowerOptions): readonly string[] =>
  [...textOf(build, options).text.matchAll(/custom_call @(\S+)\(/g)].map((m) => m[1]!)

test('attention and its gradient are one call each on CUDA in bfloat16, with the mask that there is', () => {
  const cuda: LowerOptions = { precision: 'bfloat16', platform: 'cuda' }
  const causal = textOf(() => attending('causal'), cuda).text
  assert.equal(
    calls(() => attending('causal'), cuda),
    ['__cudnn$fmhaSoftmax', '__cudnn$fmhaSoftmaxBackward'],
  )
  assert.match(causal, '\\22mask_type\\22:\\22CAUSAL\\22')
  assert.not.match(causal, 'dot_general')
  // fewer heads of keys go in as they are
  assert.match(causal, 'tensor<2x128x2x64xbf16>')
  assert.match(textOf(() => attending('none'), cuda).text, '\\22mask_type\\22:\\22NO_MASK\\22')
  assert.equal(
    calls(() => attending('padded'), cuda),
    ['__cudnn$fmhaScaleBiasSoftmax', '__cudnn$fmhaScaleBiasSoftmaxBackward'],
  )
})

test('attention is as it is defined where there is no such call', () => {
  for (const options of [
    { precision: 'bfloat16', platform: 'cpu' },
    { precision: 'float32', platform: 'cuda' },
    { precision: 'bfloat16', platform: 'cuda', attention: 'definition' },
  ] as const)
    assert.equal(
      calls(() => attending('causal'), options),
      [],
    )
  assert.equal(
    calls(() => attending('causal', 100), { precision: 'bfloat16', platform: 'cuda' }),
    [],
  )
})

test('keys that are the values as well have the gradient of both', () => {
  const given = { q: 2 * 4 * 6 * 64, k: 2 * 4 * 2 * 64, v: 2 * 4 * 2 * 64, attention_mask: 8 }
  const inputs = Object.fromEntries(
    Object.entries(given).map(([name, n]) => [name, Array.from({ length: n }, (_, i) => Math.sin(i))]),
  )
  const one = attending('causal', 4, true).outputs
  const two = attending('causal', 4).outputs
  const [both] = d.evaluate([one.gk!], { inputs: { ...inputs, v: inputs.k! } })
  const [k, v] = d.evaluate([two.gk!, two.gv!], { inputs: { ...inputs, v: inputs.k! } })
  both!.forEach((x, i) => {
    assert.ok(Math.abs(x - k![i]! - v![i]!) < 1e-9)
  })
})

/** The text before a loop, and of its condition and step. */
const aroundLoop = (text: string): readonly [before: string, inside: string] => {
  const at = text.indexOf('"stablehlo.while"')
  assert.ok(at > 0)
  return [text.slice(0, at), text.slice(at, text.indexOf('}) : (tensor<i32>, tensor<i1>', at))]
}

const attendingLoop = (): d.Results => {
  const [Batch, Slot] = [d.axis('batch', 2), d.axis('slot', 64)]
  const [own, other] = ['own', 'other'].map((name) => d.parameter(name, [Out, Embed], d.normal(1)))
  const cache: d.Tensor = d.state('cache', [Batch, Slot, Embed], d.zeros)
  const { x, kept, sum } = d.loop<{ x: d.Tensor; kept: d.Tensor; sum: d.Tensor }>({
    times: 3,
    carried: { x: d.input('x', [Batch, Embed]), kept: cache, sum: d.scalar(0) },
    step: (now, i) => {
      const here = d.equal(d.add(d.input('place', [Batch], 'int32'), i), d.iota(Slot))
      const next: d.Tensor = d.select(here, now.x, now.kept)
      const scores = d.contract(now.x, next, 'embed')
      const [a, b] = [own!, other!].map((w) => d.contract(now.x, w, 'embed'))
      const grown = d.add(now.x, d.add(d.total(scores), d.total(d.mul(a!, b!))))
      return { next: { x: grown, kept: next, sum: d.add(now.sum, d.total(now.x)) } }
    },
  })
  return { outputs: { x, sum }, next: new Map([['cache', kept]]) }
}

test('a loop has its weights joined and rounded once, before its first step, and writes a slot where it lies', () => {
  const [before, inside] = aroundLoop(textOf(attendingLoop, { precision: 'bfloat16', platform: 'cuda' }).text)
  assert.match(before, /concatenate .* -> tensor<6x8xf32>/)
  assert.match(before, /convert .*\(tensor<6x8xf32>\) -> tensor<6x8xbf16>/)
  assert.not.match(inside, 'concatenate %arg')
  assert.not.match(inside, /convert %arg/)
  // one product with both weights, one with the cache
  assert.is(inside.match(/dot_general/g)!.length, 2)
  assert.is(inside.match(/"stablehlo\.scatter"/g)!.length, 1)
  assert.not.match(inside, 'stablehlo.select')
})

test('what nothing but products reads goes around a loop as they take it; what is added up does not', () => {
  const text = (precision: 'float32' | 'bfloat16', platform: string): string =>
    aroundLoop(textOf(attendingLoop, { precision, platform }).text)[1]
  const half = text('bfloat16', 'cuda')
  assert.match(half, /: tensor<2x64x8xbf16>/)
  assert.not.match(half, 'tensor<2x64x8xf32>')
  // scores are no product with a weight
  assert.match(half, /dot_general .*tensor<2x64x8xbf16>\) -> tensor<2x64xf32>/)
  // the sum, and x, which is added to
  assert.match(half, /: tensor<2x8xf32>/)
  assert.match(half, /: tensor<f32>/)
  assert.not.match(text('float32', 'cuda'), 'bf16')
  assert.not.match(text('bfloat16', 'cpu'), 'bf16')
})

test('a state that goes around a loop is no weight there: products with it are kept as float32', () => {
  const text = textOf(
    () => {
      const { y } = d.loop<{ y: d.Tensor; m: d.Tensor }>({
        times: 2,
        carried: { y: d.input('y', [Row, Out]), m: d.state('m', [Out, Embed], d.zeros) },
        step: ({ y, m }) => ({
          next: { y: d.add(y, d.contract(d.input('x', [Row, Embed]), m, 'embed')), m: d.mul(m, 0.5) },
        }),
      })
      return { outputs: { y } }
    },
    { precision: 'bfloat16', platform: 'cuda' },
  ).text
  assert.match(text, /dot_general .* -> tensor<4x3xf32>/)
})

test('what is multiplied by literals is added up as it is: cumulative sums are not rounded', () => {
  const text = textOf(
    () => {
      const ones = d.constant(new Float32Array(24).fill(1), [Embed, Out])
      return { outputs: { y: d.contract(d.input('x', [Row, Embed]), ones, 'embed') } }
    },
    { precision: 'bfloat16', platform: 'cuda' },
  ).text
  assert.not.match(text, 'bf16')
  assert.match(text, 'precision = [HIGHEST, HIGHEST]')
})

/** What cuDNN is told of a mask of 64 tokens. */
const maskType = (mask: d.Tensor): string => {
  const [T, Head, Group, Dim] = [d.axis('token', 64), d.axis('head', 2), d.axis('group', 2), d.axis('dim', 8)]
  const K = d.as(T, d.Key)
  const build = (): d.Results => {
    const [k, v] = [d.input('k', [Row, K, Head, Dim]), d.input('v', [Row, K, Head, Dim])]
    return { outputs: { y: d.attend(d.input('q', [Row, T, Head, Group, Dim]), k, v, 'dim', mask) } }
  }
  const { text } = textOf(build, { precision: 'bfloat16', platform: 'cuda' })
  return /\\22mask_type\\22:\\22(\w+)\\22/.exec(text)?.[1] ?? ''
}

test('a mask is causal to the library where it is, however it is put together', () => {
  const T = d.axis('token', 64)
  const K = d.as(T, d.Key)
  const [token, key] = [d.iota(T), d.iota(K)]
  const triangle = Uint8Array.from({ length: 64 * 64 }, (_, i) => Number(i % 64 <= Math.floor(i / 64)))
  const causal: Readonly<Record<string, d.Tensor>> = {
    'as the layer makes it': d.causal(T),
    'keys first': d.transpose(d.causal(T), [K.name, T.name]),
    'by other numbers': d.lessEqual(d.mul(key, 3), d.mul(token, 3)),
    'by a strict comparison': d.less(key, d.add(token, 1)),
    'both of two': d.and(d.causal(T), d.lessEqual(key, d.add(token, 5))),
    'a literal': d.cast(d.constant(triangle, [T, K]), 'bool'),
  }
  for (const [how, mask] of Object.entries(causal)) assert.is(maskType(mask), 'CAUSAL', how)
  const others: Readonly<Record<string, d.Tensor>> = {
    'what comes after': d.lessEqual(token, key),
    'one more': d.lessEqual(key, d.add(token, 1)),
    'not itself': d.less(key, token),
    'by places that come twice': d.lessEqual(d.minimum(key, 40), d.minimum(token, 40)),
    'one hole': d.and(d.causal(T), d.not(d.and(d.equal(token, 9), d.equal(key, 3)))),
  }
  for (const [how, mask] of Object.entries(others)) assert.is(maskType(mask), 'NO_MASK', how)
})

test.run()
