/**
 * Composites that the runtime computes in one operation. Where a node does not fit the operation its definition is
 * lowered.
 */
import {
  elements,
  firstHalf,
  halvesAgree,
  operandsOf,
  type Settings,
  sizes,
  type Tensor,
} from '../../dsl/index.ts'
import { insideOf } from '../../dsl/internal.ts'
import { type Emitter, type Mode, runtimeDomain } from './emitter.ts'
import { indices, logProbabilities, type ValueOf } from './operators.ts'

/** How one kind of composite runs natively. */
export interface Native {
  /** Whether this node fits the operation. */
  readonly fits: (t: Tensor, settings: Settings, mode: Mode) => boolean
  readonly emit: (t: Tensor, settings: Settings, e: Emitter, value: ValueOf) => string
  /** What it is computed from; default its operands. */
  readonly uses?: (t: Tensor) => readonly Tensor[]
  /**
   * Nodes inside the definition that the operation gives as well. An operation that has some is used even where a
   * gradient needs the inside of the definition; another is not, since the definition is then computed anyway.
   */
  readonly parts?: (t: Tensor) => readonly Part[]
}

/** A node inside a composite's definition, and how its value comes out of the operation. */
export interface Part {
  readonly node: Tensor
  readonly emit: (e: Emitter, value: ValueOf) => string
}

const lastIs = (t: Tensor, axis: unknown): boolean => t.axes.at(-1)?.name === axis

const always = (): boolean => true

/** The class axis comes last, and the target has the axes before it, in order. */
const fitsTarget = (t: Tensor, s: Settings): boolean => {
  const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
  return (
    lastIs(logits, s.axis) &&
    target.axes.length === logits.axes.length - 1 &&
    target.axes.every((a, i) => a.name === logits.axes[i]!.name)
  )
}

/** The norm, and 1 / √(mean x² + ε) of each row. */
const rmsNorm = (t: Tensor, s: Settings, e: Emitter, value: ValueOf): readonly [string, string] => {
  const [x, weight] = operandsOf(t) as readonly [Tensor, Tensor]
  const given = sizes(x.axes)
  // heads that are cut out of a product lie as rotary positions and attention take them: nothing moves, and one reshape does
  const dims =
    x.op.op === 'reshape' && given.length > 2
      ? [elements(x.axes.slice(0, -2)), given.at(-2)!, 1, given.at(-1)!]
      : given
  const [norm, inverse] = e.nodes(
    'SimplifiedLayerNormalization',
    [e.reshape(value(x), given, dims), value(weight)],
    { axis: -1, epsilon: { float: Number(s.epsilon) } },
    { outputs: 2 },
  ) as readonly [string, string]
  const rows = (sized: readonly number[]): readonly number[] => [...sized.slice(0, -1), 1]
  return [e.reshape(norm, dims, given), e.reshape(inverse, rows(dims), rows(given))]
}

const inverseRms = (t: Tensor, node: Tensor): Part => ({
  node,
  emit: (e, value) => {
    const settings = t.op.op === 'composite' ? t.op.settings : {}
    const rows = sizes(operandsOf(t)[0]!.axes.slice(0, -1))
    return e.reshape(rmsNorm(t, settings, e, value)[1]!, [...rows, 1], sizes(node.axes))
  },
})

/**
 * How many axes of x come before those of its positions, where the cosines and sines have the axes `positions, axis` and
 * x has `lead, positions, heads, axis`, and where both halves of the angles are the same by construction.
 */
const rotaryLead = (t: Tensor, s: Settings): number | undefined => {
  const [x, cos, sin] = operandsOf(t) as readonly [Tensor, Tensor, Tensor]
  const positions = cos.axes.slice(0, -1)
  if (![x, cos, sin, t].every((v) => lastIs(v, s.axis)) || sizes(cos.axes).join() !== sizes(sin.axes).join())
    return undefined
  const lead = positions.length === 0 ? -1 : x.axes.findIndex((a) => a.name === positions[0]!.name)
  const fits =
    lead >= 0 &&
    positions.every((a, i) => x.axes[lead + i]?.name === a.name && sin.axes[i]!.name === a.name) &&
    lead + positions.length < x.axes.length &&
    t.names.join() === x.names.join()
  return fits && halvesAgree(cos) && halvesAgree(sin) ? lead : undefined
}

/** The turned halves of the last axis, in one operation over a table of angles with one row a position. */
function rotary(t: Tensor, s: Settings, e: Emitter, value: ValueOf): string {
  const [x, cos, sin] = operandsOf(t) as readonly [Tensor, Tensor, Tensor]
  const lead = rotaryLead(t, s)!
  const count = elements(cos.axes.slice(0, -1))
  const dim = x.axes.at(-1)!.size
  const before = elements(x.axes.slice(0, lead))
  const width = elements(x.axes) / before / count
  // where nothing lies before the positions each is a row of its own, as attention over a cache takes them
  const [dims, places] =
    before === 1
      ? [
          [count, width / dim, 1, dim],
          e.constant(
            'int64',
            [count, 1],
            BigInt64Array.from({ length: count }, (_, i) => BigInt(i)),
          ),
        ]
      : [[before, count, width], e.ints([0])]
  const half = (angles: Tensor): string => {
    const first = firstHalf(angles)
    return e.reshape(value(first), sizes(first.axes), [count, dim / 2])
  }
  const turned = e.node(
    'RotaryEmbedding',
    [e.reshape(value(x), sizes(x.axes), dims), places, half(cos), half(sin)],
    {},
    { domain: runtimeDomain },
  )
  return e.reshape(turned, dims, sizes(t.axes))
}

const nevers = new WeakMap<Emitter, Map<string, string>>()

/** A bool that is false, and known once these values are. */
const neverOf = (values: readonly Tensor[], e: Emitter, value: ValueOf): string => {
  const made = nevers.get(e) ?? new Map<string, string>()
  nevers.set(e, made)
  const key = values.map(value).join('\u0001')
  const had = made.get(key)
  if (had !== undefined) return had
  const never = values
    .map((t) => {
      const first = e.node('Gather', [
        e.reshape(value(t), sizes(t.axes), [elements(t.axes)]),
        e.constant('int64', [], BigInt64Array.of(0n)),
      ])
      return e.node('Less', [first, first])
    })
    .reduce((a, b) => e.node('Or', [a, b]))
  made.set(key, never)
  return never
}

const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b))

/**
 * A slice of what an `after` gives: which rows it takes is known late, and nothing else is copied. Rows are gathered in as
 * large pieces as divide the slice, because the runtime gathers on all threads and slices on one.
 */
export const lateSlice = (
  t: Tensor,
  { along, start }: { readonly along: string; readonly start: number },
  e: Emitter,
  value: ValueOf,
): string => {
  const [x, ...before] = operandsOf(t.inputs[0]!) as readonly [Tensor, ...Tensor[]]
  const axis = t.names.indexOf(along)
  const [whole, size] = [x.axes[axis]!.size, t.axes[axis]!.size]
  const piece = common(common(whole, start), size)
  const [lead, rest] = [sizes(t.axes.slice(0, axis)), elements(t.axes.slice(axis + 1))]
  const places = e.constant(
    'int32',
    [size / piece],
    Int32Array.from({ length: size / piece }, (_, i) => start / piece + i),
  )
  const rows = e.reshape(value(x), sizes(x.axes), [...lead, whole / piece, piece * rest])
  const out = e.node('Gather', [rows, e.node('Where', [neverOf(before, e, value), places, places])], { axis })
  return e.reshape(out, [...lead, size / piece, piece * rest], sizes(t.axes))
}

/** The composites by kind. */
export const natives: Readonly<Record<string, Native>> = {
  // the runtime knows no order but that of values
  after: {
    fits: (t, _s, mode) => mode === 'run' && operandsOf(t).every((x) => x.dtype === 'float32'),
    emit: (t, _s, e, value) => {
      const [x, ...before] = operandsOf(t) as readonly [Tensor, ...Tensor[]]
      return e.node('Where', [neverOf(before, e, value), value(x), value(x)])
    },
  },
  gelu: { fits: always, emit: (t, _s, e, value) => e.node('Gelu', operandsOf(t).map(value)) },
  geluTanh: {
    fits: always,
    emit: (t, _s, e, value) => e.node('Gelu', operandsOf(t).map(value), { approximate: 'tanh' }),
  },
  silu: {
    fits: (_t, _s, mode) => mode === 'run',
    emit: (t, _s, e, value) =>
      e.node('QuickGelu', operandsOf(t).map(value), { alpha: { float: 1 } }, { domain: runtimeDomain }),
  },
  rmsNorm: {
    fits: (t, s, mode) => mode === 'run' && lastIs(operandsOf(t)[0]!, s.axis) && lastIs(t, s.axis),
    emit: (t, s, e, value) => rmsNorm(t, s, e, value)[0]!,
    parts: (t) => {
      const rows = elements(operandsOf(t)[0]!.axes.slice(0, -1))
      const inverse = insideOf(t).filter((x) => x.op.op === 'unary' && x.op.fn === 'rsqrt')
      // one number a row; a definition over repeated rows has fewer
      return inverse.length === 1 && elements(inverse[0]!.axes) === rows ? [inverseRms(t, inverse[0]!)] : []
    },
  },
  rotary: {
    fits: (t, s, mode) => mode === 'run' && rotaryLead(t, s) !== undefined,
    uses: (t) => {
      const [x, ...angles] = operandsOf(t) as readonly [Tensor, ...Tensor[]]
      return [x, ...angles.map(firstHalf)]
    },
    emit: rotary,
  },
  layerNorm: {
    fits: (t, s) => lastIs(operandsOf(t)[0]!, s.axis) && lastIs(t, s.axis),
    emit: (t, s, e, value) =>
      e.node('LayerNormalization', operandsOf(t).map(value), {
        axis: -1,
        epsilon: { float: Number(s.epsilon) },
      }),
  },
  crossEntropy: {
    fits: fitsTarget,
    emit: (t, _s, e, value) => {
      const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
      const index = targetIndex(logits, target, e, value)
      const picked = e.node(
        'GatherElements',
        [logProbabilities(value(logits), logits.axes.length - 1, e), index],
        { axis: -1 },
      )
      const dims = [...sizes(logits.axes.slice(0, -1)), 1]
      return e.node('Neg', [e.reshape(picked, dims, sizes(t.axes))])
    },
  },
  crossEntropyGradient: {
    fits: fitsTarget,
    emit: (t, _s, e, value) => {
      const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
      const dims = [...sizes(logits.axes.slice(0, -1)), 1]
      const count = dims.reduce((n, d) => n * d, 1)
      return e.node(
        'ScatterElements',
        [
          e.node('Exp', [logProbabilities(value(logits), logits.axes.length - 1, e)]),
          targetIndex(logits, target, e, value),
          e.constant('float32', dims, new Float32Array(count).fill(-1)),
        ],
        { axis: -1, reduction: 'add' },
      )
    },
  },
}

const targetIndex = (logits: Tensor, target: Tensor, e: Emitter, value: ValueOf): string =>
  e.reshape(indices(target, logits.axes.at(-1)!.size, e, value), sizes(target.axes), [
    ...sizes(logits.axes.slice(0, -1)),
    1,
  ])
