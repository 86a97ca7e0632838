/** A part of a mask, computed from the parts of what it is made of; and whether it can be true anywhere. */
import { type Axis, elements, sizes } from '../axis.ts'
import { evaluate } from '../evaluate.ts'
import { isFixed, node, type Tensor, withInputs } from '../graph.ts'
import { sliceOf } from '../shape.ts'

/** Where a part begins along an axis, and its length. */
export type Range = readonly [start: number, length: number]

/** The part of a tensor: ranges by axis name; the other axes are whole. */
export type Ranges = Readonly<Record<string, Range>>

const rangeOf = (a: Axis, ranges: Ranges): Range => ranges[a.name] ?? [0, a.size]

const isWhole = (a: Axis, ranges: Ranges): boolean => rangeOf(a, ranges)[1] === a.size

/** The same range under the names that a reshape gives, where it only gives names. */
const renamedRanges = (t: Tensor, ranges: Ranges): Ranges | undefined => {
  const [from, to] = [t.inputs[0]!.axes, t.axes]
  if (sizes(from).join() !== sizes(to).join()) return undefined
  return Object.fromEntries(from.map((a, i) => [a.name, rangeOf(to[i]!, ranges)]))
}

const keyOf = (t: Tensor, ranges: Ranges): string =>
  t.axes.map((a) => (isWhole(a, ranges) ? '' : rangeOf(a, ranges).join('+'))).join()

/** Slices of tensors, each computed once; elementwise operations are computed of the slices of their operands. */
export const parts = (): ((t: Tensor, ranges: Ranges) => Tensor) => {
  const made = new Map<Tensor, Map<string, Tensor>>()

  const sliced = (t: Tensor, ranges: Ranges): Tensor =>
    t.axes.reduce((x, a) => sliceOf(x, a.name, ...rangeOf(a, ranges), x.site), t)

  const make = (t: Tensor, ranges: Ranges): Tensor => {
    const axes = t.axes.map((a) => ({ name: a.name, size: rangeOf(a, ranges)[1] }))
    switch (t.op.op) {
      case 'unary':
      case 'binary':
      case 'compare':
      case 'logic':
      case 'select':
      case 'cast':
      case 'broadcast':
      case 'transpose':
        return {
          ...withInputs(
            t,
            t.inputs.map((x) => part(x, ranges)),
          ),
          axes,
        }
      case 'reshape': {
        const from = renamedRanges(t, ranges)
        return from === undefined ? sliced(t, ranges) : { ...t, axes, inputs: [part(t.inputs[0]!, from)] }
      }
      case 'iota': {
        const [start, size] = rangeOf(t.axes[0]!, ranges)
        const data = Int32Array.from({ length: size }, (_, i) => start + i)
        return node({ op: 'constant', data }, [], axes, t.dtype, t.site)
      }
      default:
        return sliced(t, ranges)
    }
  }
  const part = (t: Tensor, ranges: Ranges): Tensor => {
    if (t.axes.every((a) => isWhole(a, ranges))) return t
    const forms = made.get(t) ?? new Map<string, Tensor>()
    made.set(t, forms)
    const key = keyOf(t, ranges)
    const had = forms.get(key) ?? make(t, ranges)
    forms.set(key, had)
    return had
  }
  return part
}

/** The least and the largest number of a part. */
type Bounds = readonly [least: number, largest: number]

/** Literals of more elements are not looked at. */
const most = 1 << 20

/**
 * Whether a bool can be true, or false, anywhere in a part, whatever is fed. False is certain; true may be too careful. Where
 * literals of one axis are compared, each side's bounds decide.
 */
export const possibility = (): ((t: Tensor, ranges: Ranges, value?: boolean) => boolean) => {
  const literal = new Map<Tensor, Float64Array | undefined>()
  const valuesOf = (t: Tensor): Float64Array | undefined => {
    if (literal.has(t)) return literal.get(t)
    const known = elements(t.axes) <= most && (t.axes.length < 2 || t.op.op === 'constant') && isFixed(t)
    const values = known ? evaluate([t])[0] : undefined
    literal.set(t, values)
    return values
  }
  const bounds = (t: Tensor, ranges: Ranges): Bounds | undefined => {
    const values = valuesOf(t)
    if (values === undefined) return undefined
    let [least, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    const strides = t.axes.map((_, i) => elements(t.axes.slice(i + 1)))
    const walk = (i: number, at: number): void => {
      if (i === t.axes.length) {
        least = Math.min(least, values[at]!)
        largest = Math.max(largest, values[at]!)
        return
      }
      const [start, size] = rangeOf(t.axes[i]!, ranges)
      for (let k = start; k < start + size; k++) walk(i + 1, at + k * strides[i]!)
    }
    walk(0, 0)
    return Number.isNaN(least) ? undefined : [least, largest]
  }
  const may = (t: Tensor, ranges: Ranges, value = true): boolean => {
    const { op } = t
    switch (op.op) {
      case 'logic': {
        const [a, b] = t.inputs.map((x) => may(x, ranges, value)) as [boolean, boolean]
        return (op.fn === 'and') === value ? a && b : a || b
      }
      case 'compare': {
        // of broadcast operands what they repeat is compared
        const [a, b] = t.inputs.map((x) => {
          let y = x
          while (y.op.op === 'broadcast') y = y.inputs[0]!
          return bounds(y, ranges)
        })
        if (a === undefined || b === undefined) return true
        if (op.fn === 'less') return value ? a[0] < b[1] : a[1] >= b[0]
        if (op.fn === 'lessEqual') return value ? a[0] <= b[1] : a[1] > b[0]
        return value ? a[0] <= b[1] && b[0] <= a[1] : a[0] < b[1] || b[0] < a[1]
      }
      case 'broadcast':
      case 'transpose':
        return may(t.inputs[0]!, ranges, value)
      case 'reshape': {
        const from = renamedRanges(t, ranges)
        return from === undefined || may(t.inputs[0]!, from, value)
      }
      case 'constant': {
        const [least, largest] = bounds(t, ranges) ?? [0, 1]
        return value ? largest !== 0 : least === 0
      }
      default:
        return true
    }
  }
  return may
}
