/** Attention in blocks: the definition's values and gradients, whatever the shapes and masks, with no more scores at once than asked for. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  and,
  attend,
  attentionBlocks,
  axis,
  causal,
  constant,
  elements,
  equal,
  evaluate,
  gather,
  gradient,
  input,
  iota,
  less,
  lessEqual,
  maximum,
  mul,
  narrow,
  optimise,
  or,
  rename,
  sameSegment,
  sub,
  type Tensor,
  topological,
  total,
  transpose,
} from '../../src/dsl/index.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

const test = suite('dsl: attention in blocks')

interface Shape {
  readonly batch: number
  readonly token: number
  readonly key: number
  readonly head: number
  readonly group: number
  readonly dim: number
  /** Where samples of a pack begin. */
  readonly begins?: readonly boolean[]
}

type Inputs = Record<string, number[]>

const numbers = (n: number, phase: number): number[] =>
  Array.from({ length: n }, (_, i) => 1.5 * Math.sin(i * 1.7 + phase) + 0.3 * Math.cos(i * 0.31))

/** The sample of each token of a row; where nothing is said, three tokens each. */
const segmentsOf = ({ token, begins }: Shape): number[] => {
  let n = 0
  return Array.from({ length: token }, (_, i) => {
    if (begins === undefined ? i % 3 === 0 : begins[i % begins.length]) n++
    return n
  })
}

/** Masks by what they are, over tokens and keys of one length where they need it. */
const masks: Readonly<Record<string, (s: Shape, inputs: Inputs) => Tensor | undefined>> = {
  none: () => undefined,
  causal: (s) => causal(axis('token', s.token)),
  'causal, of what is no padding': (s, inputs) => {
    inputs.real = Array.from({ length: s.batch * s.key }, (_, i) => (i % s.key < s.key - 2 ? 1 : 0))
    const real = input('real', [axis('batch', s.batch), axis('key', s.key)], 'int32')
    return transpose(and(causal(axis('token', s.token)), equal(real, 1)), ['batch', 'token', 'key'])
  },
  'inside a sample, causal': (s, inputs) => {
    inputs.segment = Array.from({ length: s.batch }, () => segmentsOf(s)).flat()
    const segment = input('segment', [axis('batch', s.batch), axis('token', s.token)], 'int32')
    return and(sameSegment(segment, 'token'), causal(axis('token', s.token)))
  },
  'inside a sample, known': (s) => {
    const segment = constant(Int32Array.from(segmentsOf(s)), [axis('token', s.token)])
    return and(sameSegment(segment, 'token'), causal(axis('token', s.token)))
  },
  'inside a sample, known, to both sides': (s) =>
    sameSegment(constant(Int32Array.from(segmentsOf(s)), [axis('token', s.token)]), 'token'),
  'branches of a prompt': (s, inputs) => {
    inputs.branch = Array.from({ length: s.batch * s.token }, (_, i) =>
      Math.max(0, Math.floor((i % s.token) / 3) - 1),
    )
    const branch = input('branch', [axis('batch', s.batch), axis('token', s.token)], 'int32')
    const keys = rename(branch, 'token', 'key')
    return and(or(equal(branch, keys), equal(keys, 0)), causal(axis('token', s.token)))
  },
  'fed, with rows that see nothing': (s, inputs) => {
    inputs.mask = Array.from({ length: s.token * s.key }, (_, i) =>
      Math.floor(i / s.key) % 3 === 1 ? 0 : (i * 7) % 3 === 0 ? 0 : 1,
    )
    return input('mask', [axis('token', s.token), axis('key', s.key)], 'bool')
  },
  'a window': (s) => {
    const at = iota(axis('token', s.token))
    const keys = rename(at, 'token', 'key')
    return transpose(and(lessEqual(keys, at), less(sub(at, 3), keys)), ['token', 'key'])
  },
  'up to a place that is fed, the first one always': (s, inputs) => {
    inputs.place = Array.from({ length: s.batch * s.token }, (_, i) => ((i * 5) % (s.key + 4)) - 4)
    const place = input('place', [axis('batch', s.batch), axis('token', s.token)], 'int32')
    const shown = lessEqual(iota(axis('key', s.key)), maximum(place, 0))
    return transpose(shown, ['batch', 'token', 'key'])
  },
  'rows picked out of those': (s, inputs) => {
    inputs.place = Array.from({ length: 5 }, (_, i) => ((i * 3) % (s.key + 4)) - 4)
    inputs.row = Array.from({ length: s.token }, (_, i) => (i * 2) % 5)
    const shown = lessEqual(iota(axis('key', s.key)), maximum(input('place', [axis('of', 5)], 'int32'), 0))
    return gather(transpose(shown, ['of', 'key']), input('row', [axis('token', s.token)], 'int32'))
  },
  'keys alone': (s, inputs) => {
    inputs.real = Array.from({ length: s.batch * s.key }, (_, i) => (i % 5 === 0 ? 0 : 1))
    return equal(input('real', [axis('batch', s.batch), axis('key', s.key)], 'int32'), 1)
  },
  'tokens alone': (s, inputs) => {
    inputs.real = Array.from({ length: s.token }, (_, i) => (i % 4 === 0 ? 0 : 1))
    return equal(input('real', [axis('token', s.token)], 'int32'), 1)
  },
}

/** Needs as many keys as tokens. */
const square = new Set([
  'causal',
  'causal, of what is no padding',
  'inside a sample, causal',
  'inside a sample, known',
  'inside a sample, known, to both sides',
  'branches of a prompt',
  'a window',
])

const caseOf = (name: string, s: Shape): { roots: Tensor[]; inputs: Inputs } => {
  const heads = [axis('head', s.head), ...(s.group > 1 ? [axis('group', s.group)] : [])]
  const own = [axis('batch', s.batch), axis('token', s.token), ...heads, axis('headDim', s.dim)]
  const keys = [axis('batch', s.batch), axis('key', s.key), axis('head', s.head), axis('headDim', s.dim)]
  const inputs: Inputs = {
    q: numbers(elements(own), 0),
    k: numbers(elements(keys), 1),
    v: numbers(elements(keys), 2),
    w: numbers(elements(own), 3),
  }
  const [q, w] = [input('q', own), input('w', own)]
  const [k, v] = [input('k', keys), input('v', keys)]
  const y = attend(q, k, v, 'headDim', masks[name]!(s, inputs))
  return { roots: optimise([y, ...gradient(total(mul(y, w)), [q, k, v])]), inputs }
}

const differs = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  Array.from(want, (x, i) => Math.abs(got[i]! - x)).reduce((a, b) => Math.max(a, b), 0)

const close = (
  who: string,
  got: readonly ArrayLike<number>[],
  want: readonly ArrayLike<number>[],
  to: number,
): void => {
  for (const [i, part] of ['y', 'dq', 'dk', 'dv'].entries()) {
    const off = differs(got[i]!, want[i]!)
    assert.ok(off <= to, `${who}: ${part} is off by ${off}`)
  }
}

/** The most elements of a value that has tokens and keys. */
const mostScores = (roots: readonly Tensor[], of: (t: Tensor) => boolean): number =>
  Math.max(
    0,
    ...topological(roots)
      .filter((t) => t.names.includes('token') && t.names.includes('key') && of(t))
      .map((t) => elements(t.axes)),
  )

const shapes = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  token: fc.integer({ min: 5, max: 12 }),
  more: fc.integer({ min: 0, max: 4 }),
  head: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 2 }),
  dim: fc.integer({ min: 1, max: 4 }),
  block: fc.integer({ min: 1, max: 200 }),
  begins: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
})

for (const name of Object.keys(masks))
  test(`values and gradients under a mask: ${name}`, () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), ({ more, block, ...rest }, runs) => {
        const s = { ...rest, key: rest.token + (square.has(name) ? 0 : more) }
        const { roots, inputs } = caseOf(name, s)
        const want = evaluate(roots, { inputs })
        const cut = attentionBlocks({ from: 1, block, runs })(roots)
        close('blocks', evaluate(cut, { inputs }), want, 1e-12)
        const rows = s.batch * s.head * s.group
        const all = rows * s.token * s.key
        const least = rows * s.key
        if (all > Math.max(block, least)) {
          assert.ok(cut.some((t, i) => t !== roots[i]))
          assert.ok(mostScores(cut, (t) => t.dtype === 'float32') <= Math.max(block, least))
        }
      }),
      { numRuns: 40 },
    )
  })

test('keys that no token of a block may see are not multiplied', () => {
  const s = { batch: 1, token: 16, key: 16, head: 1, group: 1, dim: 2 }
  const scores = (name: string): number =>
    topological(attentionBlocks({ from: 1, block: 64, runs: true })(caseOf(name, s).roots.slice(0, 1)))
      .filter((t) => t.op.op === 'unary' && t.op.fn === 'exp')
      .reduce((n, t) => n + elements(t.axes), 0)
  assert.is(scores('none'), 256)
  assert.is(scores('causal'), 4 * 4 + 4 * 8 + 4 * 12 + 4 * 16)
  assert.is(scores('inside a sample, causal'), 160)
  assert.is(scores('a window'), 4 * 4 + 3 * 4 * 8)
})

test('what all tokens of a block see needs no mask', () => {
  const s = { batch: 1, token: 16, key: 16, head: 1, group: 1, dim: 2 }
  const masked = (name: string, begins: readonly boolean[]): number =>
    topological(attentionBlocks({ from: 1, block: 64, runs: true })(caseOf(name, { ...s, begins }).roots))
      .filter((t) => t.op.op === 'select' && t.names.includes('key'))
      .reduce((n, t) => n + elements(t.axes), 0)
  const [one, four] = [[false], Array.from({ length: 16 }, (_, i) => i % 4 === 0)]
  // forward and backward, each block of four among its own keys
  assert.is(masked('causal', one), 2 * 4 * 16)
  assert.is(masked('inside a sample, known', one), 2 * 4 * 16)
  assert.is(masked('inside a sample, known', four), 2 * 4 * 16)
  assert.is(masked('inside a sample, known, to both sides', four), 0)
  assert.is(masked('inside a sample, causal', one), 2 * 160)
})

test('what is seen from a block is cut into runs of eight steps, so that few shapes occur', () => {
  const s = { batch: 1, token: 72, key: 72, head: 1, group: 1, dim: 2 }
  const shapes = (name: string): number[] =>
    topological(attentionBlocks({ from: 1, block: 144, runs: true })(caseOf(name, s).roots))
      .filter((t) => t.op.op === 'unary' && t.op.fn === 'exp')
      .map((t) => elements(t.axes))
  // blocks of two tokens: of 36 steps four runs of eight and one of four
  assert.equal([...new Set(shapes('none'))], [2 * 16, 2 * 8])
  assert.is(new Set(shapes('causal')).size, 8)
})

test('few scores, and a definition whose inside is asked for, stay', () => {
  const s = { batch: 1, token: 16, key: 16, head: 1, group: 1, dim: 2 }
  const { roots } = caseOf('causal', s)
  assert.ok(attentionBlocks({ from: 257, block: 64 })(roots).every((t, i) => t === roots[i]))
  const y = roots[0]!
  const inside = topological([y]).find((t) => t.op.op === 'softmax')!
  assert.is(attentionBlocks({ from: 1, block: 64 })([y, inside])[0], y)
})

const engines = await presentEngines()
test('what else uses a mask, or a number of the definition, does not matter', () => {
  const s = { batch: 1, token: 16, key: 16, head: 1, group: 1, dim: 2 }
  const [y] = caseOf('fed, with rows that see nothing', s).roots as [Tensor]
  const others = topological([y]).filter(
    (t) => t.op.op === 'constant' || t.dtype === 'bool' || t.op.op === 'cast',
  )
  assert.ok(others.length > 2)
  assert.is.not(attentionBlocks({ from: 1, block: 64 })([y, ...others])[0], y)
})

test('on every engine', async () => {
  for (const name of ['none', 'causal', 'branches of a prompt', 'fed, with rows that see nothing'])
    for (const token of [40, 41]) {
      const { roots, inputs } = caseOf(name, { batch: 2, token, key: token, head: 2, group: 2, dim: 8 })
      const want = evaluate(roots, { inputs })
      for (const runs of [false, true]) {
        const cut = narrow(attentionBlocks({ from: 1, block: 2048, runs })(roots))
        for (const e of engines)
          close(`${e.name}, ${name}, ${token}`, await onEngine(e, cut, inputs), want, 2e-5)
      }
    }
})

test.run()
