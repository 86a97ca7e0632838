/** Every adjoint against central differences in float64, on random shapes, axis orders and broadcasts. */
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { adjoints } from '../../src/dsl/adjoints.ts'
import { type Axis, axis, elements } from '../../src/dsl/axis.ts'
import { contractChosenOf, outerChosenOf } from '../../src/dsl/chosen.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import {
  binaryOf,
  castTo,
  compareOf,
  mul,
  selectOf,
  square,
  stopGradient,
  unaryOf,
} from '../../src/dsl/elementwise.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { gradient } from '../../src/dsl/gradient.ts'
import {
  type BinaryFn,
  type Dtype,
  findAxis,
  node,
  type Tensor,
  topological,
  type UnaryFn,
} from '../../src/dsl/graph.ts'
import { gatherOf, scatterAddOf } from '../../src/dsl/indexing.ts'
import { gelu, geluTanh, silu } from '../../src/dsl/layers/activation.ts'
import { attend, causal, selfAttention } from '../../src/dsl/layers/attention.ts'
import { embedding, head, linear } from '../../src/dsl/layers/linear.ts'
import { mlp, swiGlu } from '../../src/dsl/layers/mlp.ts'
import { layerNorm, rmsNorm } from '../../src/dsl/layers/norm.ts'
import { rotate, rotations } from '../../src/dsl/layers/rotary.ts'
import { learnedPositions, patchify, pixelShuffle } from '../../src/dsl/layers/vision.ts'
import { constant, input, iota } from '../../src/dsl/leaves.ts'
import { crossEntropy } from '../../src/dsl/loss.ts'
import { optimise } from '../../src/dsl/passes/index.ts'
import { reduceOf, total } from '../../src/dsl/reduce.ts'
import { broadcasted, concat, pad, renamed, reshaped, slice, transposed } from '../../src/dsl/shape.ts'
import { numbers, random, shuffled } from '../support/graphs.ts'

const site = { line: '' }
type Next = () => number

/** A function to differentiate: it declares its leaves through `x` (values in a range) and gives its result. */
interface Case {
  /** A float32 leaf under these axes; its values lie in [low, high]. */
  readonly leaf: (axes: readonly Axis[], low?: number, high?: number) => Tensor
  /** An int32 leaf with values 0 … below−1. */
  readonly whole: (axes: readonly Axis[], below: number) => Tensor
  /** A bool leaf. */
  readonly bools: (axes: readonly Axis[]) => Tensor
  readonly next: Next
}

interface Values {
  readonly inputs: Record<string, number[]>
  readonly states: Record<string, number[]>
}

const h = 1e-5

/** The largest error of the gradient of Σ r·f over all leaves, relative to 1 + |gradient|, and the graph's operations. */
const worstError = (f: (c: Case) => Tensor, seed: number): number => {
  const next = random(seed)
  const values: Values = { inputs: {}, states: {} }
  const wrt: Tensor[] = []
  const declare = (axes: readonly Axis[], dtype: Dtype, v: number[]): Tensor => {
    const name = `x${Object.keys(values.inputs).length}`
    values.inputs[name] = v
    return input(name, axes, dtype)
  }
  const y = f({
    next,
    leaf: (axes, low = -2, high = 2) => {
      const t = declare(
        axes,
        'float32',
        Array.from({ length: elements(axes) }, () => low + next() * (high - low)),
      )
      wrt.push(t)
      return t
    },
    whole: (axes, below) =>
      declare(
        axes,
        'int32',
        Array.from({ length: elements(axes) }, () => Math.floor(next() * below)),
      ),
    bools: (axes) =>
      declare(
        axes,
        'bool',
        Array.from({ length: elements(axes) }, () => (next() < 0.5 ? 1 : 0)),
      ),
  })
  for (const t of topological([y]))
    if (t.op.op === 'state' && values.states[t.op.key] === undefined) {
      values.states[t.op.key] = numbers(elements(t.axes), next)
      wrt.push(t)
    }
  const weights = constant(Float32Array.from(numbers(elements(y.axes), next)), y.axes)
  const loss = total(binaryOf('mul', y, weights, site))
  const gradients = gradient(loss, wrt)
  const got = evaluate(gradients, values)
  const fast = evaluate(optimise(gradients), values)
  const at = (list: number[], i: number, v: number): number => {
    const kept = list[i]!
    list[i] = v
    const out = evaluate([loss], values)[0]![0]!
    list[i] = kept
    return out
  }
  let worst = 0
  wrt.forEach((t, k) => {
    assert.equal(gradients[k]!.axes, t.axes, 'a gradient has the axes of what it is taken of')
    assert.is(gradients[k]!.dtype, 'float32')
    const list =
      t.op.op === 'state' ? values.states[t.op.key]! : values.inputs[(t.op as { name: string }).name]!
    list.forEach((v, i) => {
      const slope = (at(list, i, v + h) - at(list, i, v - h)) / (2 * h)
      for (const g of [got[k]![i]!, fast[k]![i]!]) {
        const error = Math.abs(g - slope) / (1 + Math.abs(slope))
        if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
      }
    })
  })
  for (const t of topological(gradients))
    if (['binary', 'compare', 'logic', 'select', 'broadcast'].includes(t.op.op))
      for (const u of t.inputs)
        assert.equal(
          t.names.filter((n) => u.names.includes(n)),
          u.names,
          `${t.op.op} in a gradient: operands follow the node's order of axes`,
        )
  return worst
}

/** Registers a test over several seeds. */
const agrees = (name: string, f: (c: Case) => Tensor, seeds = 6): void =>
  test(name, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const error = worstError(f, seed * 7919)
      assert.ok(error < 1e-6, `seed ${seed}: relative error ${error.toExponential(2)}`)
    }
  })

/** Axes a, b, c of sizes 1 to 4. */
const abc = (next: Next): readonly [Axis, Axis, Axis] => {
  const one = (name: string): Axis => axis(name, 1 + Math.floor(next() * 4))
  return [one('a'), one('b'), one('c')]
}

const subset = (axes: readonly Axis[], next: Next): Axis[] =>
  shuffled(
    axes.filter(() => next() < 0.6),
    next,
  )

const ranges: Readonly<Record<Exclude<UnaryFn, 'not' | 'floor'>, readonly [number, number]>> = {
  neg: [-2, 2],
  exp: [-2, 2],
  log: [0.3, 3],
  sqrt: [0.3, 3],
  rsqrt: [0.3, 3],
  tanh: [-2, 2],
  erf: [-2, 2],
  sigmoid: [-2, 2],
  sin: [-2, 2],
  cos: [-2, 2],
  abs: [0.1, 2],
}

for (const [fn, [low, high]] of Object.entries(ranges))
  agrees(`unary ${fn}`, ({ leaf, next }) => {
    const x = leaf(abc(next), low, high)
    return unaryOf(fn as UnaryFn, fn === 'abs' && next() < 0.5 ? unaryOf('neg', x, site) : x, site)
  })

for (const fn of ['add', 'sub', 'mul', 'div', 'max', 'min', 'pow'] as const satisfies readonly BinaryFn[]) {
  const low = fn === 'pow' || fn === 'div' ? 0.4 : -2
  agrees(
    `binary ${fn}, broadcast by name in any order`,
    ({ leaf, next }) => {
      const axes = abc(next)
      return binaryOf(fn, leaf(subset(axes, next), low, 2), leaf(subset(axes, next), low, 2), site)
    },
    12,
  )
}

agrees('one operand twice', ({ leaf, next }) => {
  const x = leaf(abc(next))
  return binaryOf('sub', square(x), mul(x, x), site)
})

agrees('a node with many readers', ({ leaf, next }) => {
  const x = unaryOf('tanh', leaf(abc(next)), site)
  return binaryOf('add', unaryOf('exp', x, site), binaryOf('mul', x, unaryOf('sin', x, site), site), site)
})

agrees(
  'select, all three broadcast',
  ({ leaf, bools, next }) => {
    const axes = abc(next)
    return selectOf(bools(subset(axes, next)), leaf(subset(axes, next)), leaf(subset(axes, next)), site)
  },
  12,
)

agrees(
  'where nothing flows: comparisons, casts, floor, stopGradient, argmax',
  ({ leaf, next }) => {
    const [a, b] = abc(next)
    const x = leaf([a, b])
    const parts = [
      castTo(compareOf('less', x, 0.0137, site), 'float32', site),
      castTo(castTo(x, 'int32', site), 'float32', site),
      unaryOf('floor', x, site),
      stopGradientOf(x),
      castTo(node({ op: 'argmax', over: 'b' }, [x], [a], 'int32', site), 'float32', site),
    ]
    return parts.reduce((sum, p) => binaryOf('add', sum, p, site), square(x))
  },
  3,
)

/** x − x₀ with x₀ held: its slope by differences is 0 only if the value does not move, so it enters as a constant 0. */
function stopGradientOf(x: Tensor): Tensor {
  return binaryOf('mul', stopGradient(x), 0, site)
}

test('stopGradient: the other factor still counts', () => {
  const x = input('x', [axis('a', 2)])
  const [g] = gradient(total(mul(x, stopGradient(x))), [x])
  assert.equal([...evaluate([g!], { inputs: { x: [3, 5] } })[0]!], [3, 5])
})

for (const fn of ['sum', 'max'] as const)
  agrees(
    `reduce ${fn} over any axes`,
    ({ leaf, next }) => {
      const x = leaf(abc(next))
      return reduceOf(
        fn,
        x,
        subset(x.axes, next).map((a) => a.name),
        site,
      )
    },
    10,
  )

test('reduce max: a tie shares the gradient in equal parts', () => {
  const x = input('x', [axis('a', 2), axis('b', 3)])
  const [g] = gradient(total(reduceOf('max', x, ['b'], site)), [x])
  assert.equal(
    [...evaluate([g!], { inputs: { x: [1, 4, 4, 2, 2, 2] } })[0]!],
    [0, 0.5, 0.5, 1 / 3, 1 / 3, 1 / 3],
  )
})

for (const op of ['softmax', 'logSoftmax'] as const)
  agrees(op, ({ leaf, next }) => {
    const x = leaf(shuffled(abc(next), next))
    return node({ op, over: shuffled(x.names, next)[0]! }, [x], x.axes, 'float32', site)
  })

agrees(
  'contract: batch, free and summed axes, several or none of each, any order',
  ({ leaf, next }) => {
    const name = (n: string): Axis => axis(n, 1 + Math.floor(next() * 3))
    const pick = (names: readonly string[]): Axis[] => names.filter(() => next() < 0.6).map(name)
    const [batch, sum] = [pick(['p', 'q']), pick(['k', 'l'])]
    const a = leaf(shuffled([...batch, ...sum, ...pick(['m', 'n'])], next))
    const b = leaf(shuffled([...batch, ...sum, ...pick(['r', 's'])], next))
    const over = sum.map((x) => x.name)
    const names = [...new Set([...a.names, ...b.names])].filter((n) => !over.includes(n))
    return contractOf(a, b, over, site, shuffled(names, next))
  },
  40,
)

agrees('contract of a tensor with itself', ({ leaf, next }) => {
  const [a, b, c] = abc(next)
  const x = leaf([a, b, c])
  return contractOf(x, renamed(x, { a: 'other' }, site), ['c'], site)
})

agrees('reshape, transpose, rename', ({ leaf, next }) => {
  const x = leaf(abc(next))
  const flat = reshaped(transposed(x, shuffled(x.names, next), site), [axis('n', elements(x.axes))], site)
  return unaryOf('sin', renamed(flat, { n: 'm' }, site), site)
})

agrees(
  'broadcast to new axes anywhere',
  ({ leaf, next }) => {
    const axes = abc(next)
    return broadcasted(leaf(subset(axes, next)), shuffled(axes, next), site)
  },
  10,
)

agrees('slice', ({ leaf, next }) => {
  const x = leaf(abc(next).map((a) => axis(a.name, a.size + 1)))
  const a = shuffled(x.axes, next)[0]!
  const start = Math.floor(next() * a.size)
  return slice(x, a.name, start, 1 + Math.floor(next() * (a.size - start)))
})

agrees('pad', ({ leaf, next }) => {
  const x = leaf(abc(next))
  return pad(x, shuffled(x.names, next)[0]!, Math.floor(next() * 3), Math.floor(next() * 3))
})

agrees('concat, one part twice', ({ leaf, next }) => {
  const [a, b, c] = abc(next)
  const along = shuffled([a, b, c], next)[0]!
  const other = leaf([a, b, c].map((x) => (x === along ? axis(x.name, 2) : x)))
  const x = leaf([a, b, c])
  return concat([x, other, unaryOf('tanh', x, site), x], along.name)
})

agrees('gather: equal indices add up', ({ leaf, whole, next }) => {
  const [a, b, c] = abc(next)
  const index = whole(subset([axis('i', 3), axis('j', 2)], next), a.size)
  return gatherOf(leaf([a, b, c]), index, site)
})

agrees('scatterAdd', ({ leaf, whole, next }) => {
  const [a, b] = abc(next)
  const axes = [axis('i', 3), axis('j', 2)].slice(Math.floor(next() * 2))
  return scatterAddOf(whole(axes, 4), leaf([...axes, a, b]), axis('into', 4), site)
})

agrees('contractChosen: matrices that many choose, and none', ({ leaf, whole, next }) => {
  const index = whole([axis('i', 3), axis('j', 2)].slice(Math.floor(next() * 3)), 3)
  const shape = shuffled([axis('in', 3), axis('out', 2)], next)
  const matrices = [0, 1, 2].map(() => leaf(shape))
  return contractChosenOf(leaf([...index.axes, axis('in', 3)]), index, matrices, 'in', site)
})

agrees('outerChosen', ({ leaf, whole, next }) => {
  const index = whole([axis('i', 3), axis('j', 2)].slice(Math.floor(next() * 3)), 2)
  const [a, b] = [axis('a', 3), axis('b', 2)]
  const to = shuffled(['a', 'b'], next)
  return outerChosenOf(leaf([...index.axes, a]), leaf([...index.axes, b]), index, 1, 2, to, site)
})

const [Token, Embed, Hidden] = [axis('token', 3), axis('embed', 4), axis('hidden', 5)]
const Batch = axis('batch', 2)

agrees(
  'gelu, geluTanh, silu',
  ({ leaf, next }) => {
    const x = leaf(abc(next))
    return [geluTanh, silu].reduce((y, f) => binaryOf('add', y, f.apply(x), site), gelu.apply(x) as Tensor)
  },
  3,
)
agrees('rmsNorm', ({ leaf }) => rmsNorm(Embed).apply(leaf([Batch, Token, Embed]) as never), 3)
agrees('layerNorm', ({ leaf }) => layerNorm(Embed).apply(leaf([Batch, Token, Embed]) as never), 3)
agrees('linear', ({ leaf }) => linear(Embed, Hidden).apply(leaf([Batch, Token, Embed]) as never), 3)
agrees(
  'linear from an axis to itself',
  ({ leaf }) => linear(Embed, Embed).apply(leaf([Token, Embed]) as never),
  3,
)
agrees(
  'mlp and swiGlu',
  ({ leaf }) => {
    const x = leaf([Token, Embed]) as never
    return binaryOf('add', mlp(Embed, Hidden, Embed).apply(x, 'm'), swiGlu(Embed, Hidden).apply(x, 's'), site)
  },
  3,
)
agrees(
  'an embedding and the head tied to it',
  ({ whole }) => {
    const Vocab = axis('vocab', 5)
    const x = embedding(Vocab, Embed).apply(whole([Batch, Token], 5) as never, 'e')
    return head(Embed, Vocab).apply(unaryOf('tanh', x, site) as never, 'e')
  },
  3,
)
agrees(
  'rotary positions',
  ({ leaf, whole }) => {
    const Dim = axis('headDim', 4)
    const r = rotations(whole([Batch, Token], 50), Dim, 100)
    return rotate(leaf([Batch, Token, axis('head', 2), Dim]), r, 'headDim')
  },
  3,
)
agrees(
  'attention, grouped queries, causal',
  ({ leaf }) => {
    const [H, G, D, K] = [axis('head', 2), axis('group', 2), axis('headDim', 2), axis('key', 3)]
    const q = leaf([Batch, Token, H, G, D])
    return attend(q, leaf([Batch, K, H, D]), leaf([Batch, K, H, D]), 'headDim', causal(Token))
  },
  3,
)
agrees(
  'selfAttention with norms, rotary positions and a mask',
  ({ leaf, whole, bools }) => {
    const rotary = rotations(whole([Batch, Token], 50), axis('headDim', 2), 100)
    const mask = bools([Batch, Token, axis('key', 3)])
    const attention = selfAttention({
      token: Token,
      embed: Embed,
      heads: 2,
      kvHeads: 1,
      qkNorm: 1e-6,
      rotary,
      mask,
    })
    return attention.apply(leaf([Batch, Token, Embed]) as never)
  },
  2,
)
agrees(
  'patchify, positions, pixelShuffle',
  ({ leaf }) => {
    const [channel, height, width] = [axis('channel', 2), axis('height', 4), axis('width', 4)]
    const [patch, out] = [axis('patch', 4), axis('folded', 16)]
    const images = leaf([Batch, channel, height, width])
    const patches = patchify({ channel, height, width, patchSize: 2, patch, embed: Embed }).apply(
      images as never,
      'p',
    )
    const placed = learnedPositions(patch, Embed).apply(patches as never, 'q')
    return pixelShuffle(patch, Embed, axis('visual', 1), out).apply(placed as never)
  },
  2,
)
agrees('cross-entropy, the classes not last, some positions ignored', ({ leaf, bools }) => {
  const Vocab = axis('vocab', 4)
  const logits = leaf([Batch, Vocab, Token])
  const labels = selectOf(bools([Token]), iota(Token), -100, site)
  return crossEntropy(logits, broadcasted(labels, [Batch, Token], site), 'vocab').mean
})

test('second derivatives: the gradient of a gradient', () => {
  const f = ({ leaf }: Case): Tensor => {
    const x = leaf([axis('a', 3)])
    const y = binaryOf('mul', unaryOf('sin', x, site), unaryOf('exp', x, site), site)
    return gradient(total(y), [x])[0]!
  }
  assert.ok(worstError(f, 5) < 1e-6)
})

test('what the loss does not depend on has a gradient of zeros', () => {
  const [x, y] = [input('x', [axis('a', 2)]), input('y', [axis('b', 3)])]
  const g = gradient(total(square(x)), [x, y])
  assert.equal([...evaluate([g[1]!], { inputs: {} })[0]!], [0, 0, 0])
  assert.equal(g[1]!.axes, y.axes)
  assert.ok(findAxis(g[0]!, 'a'))
})

test('README says how many primitives there are', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  assert.match(readme, `, ${Object.keys(adjoints).length} primitives,`)
})

test.run()
