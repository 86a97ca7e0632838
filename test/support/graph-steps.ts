/** The steps by which random graphs grow: each primitive, each composite, operands that repeat. */
import { type Axis, axis, elements } from '../../src/dsl/axis.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { binaryOf, castTo, compareOf, selectOf, stopGradient, unaryOf } from '../../src/dsl/elementwise.ts'
import { findAxis, node, type Tensor } from '../../src/dsl/graph.ts'
import {
  attend,
  causal,
  crossEntropy,
  gelu,
  geluTanh,
  Key,
  layerNorm,
  rmsNorm,
  rotate,
  rotations,
  silu,
} from '../../src/dsl/index.ts'
import { gatherOf, scatterAddOf } from '../../src/dsl/indexing.ts'
import { applyTo, at, type Layer } from '../../src/dsl/layer.ts'
import { constant, iota } from '../../src/dsl/leaves.ts'
import { reduceOf } from '../../src/dsl/reduce.ts'
import { broadcasted, renamed, reshaped, transposed } from '../../src/dsl/shape.ts'
import { shuffled } from './random.ts'

const site = { line: '' }

const elementwise: ReadonlySet<string> = new Set(['binary', 'compare', 'logic', 'select'])

const under = (axes: readonly Axis[]) => ({ axes, names: axes.map((a) => a.name) })

/** Bounds what a function like exp sees, so that long chains stay finite. */
const tame = (x: Tensor): Tensor => unaryOf('tanh', x, site)

/** A node over some of the pool, or undefined where none fits. May throw GraphError where axes clash. */
export type Grow = (pool: readonly Tensor[], next: () => number) => Tensor | undefined

const ofDtype = (pool: readonly Tensor[], dtype: string, next: () => number): Tensor | undefined => {
  const fit = pool.filter((t) => t.dtype === dtype)
  // later nodes are likelier, so that graphs grow deep
  return fit[Math.floor(Math.sqrt(next()) * fit.length)]
}

/** A tensor of any dtype, float32 where the draw says so. */
const any = (pool: readonly Tensor[], next: () => number): Tensor =>
  next() < 0.6 ? float(pool, next) : ofDtype(pool, next() < 0.6 ? 'int32' : 'bool', next)!

const float = (pool: readonly Tensor[], next: () => number): Tensor => ofDtype(pool, 'float32', next)!

const states = (pool: readonly Tensor[]): Tensor[] =>
  pool.filter((t) => t.op.op === 'state' && t.axes.length > 1)

const some = <T>(items: readonly T[], next: () => number): T[] => items.filter(() => next() < 0.5)

const oneOf = <T>(items: readonly T[], next: () => number): T => items[Math.floor(next() * items.length)]!

/** Whether a graph's node is small enough to evaluate thousands of times. */
export const fits = (t: Tensor): boolean => elements(t.axes) <= 400 && t.axes.length <= 6

/** The axes with another somewhere among them. */
const inserted = (axes: readonly Axis[], a: Axis, next: () => number): readonly Axis[] => {
  const at = Math.floor(next() * (axes.length + 1))
  return [...axes.slice(0, at), a, ...axes.slice(at)]
}

/** The tensor with one axis last. */
const last = (x: Tensor, name: string): Tensor =>
  transposed(x, [...x.names.filter((n) => n !== name), name], site)

/** The tensor under other names of its axes: a state that only such tensors share. */
const weight = (kind: string, a: Axis): string => `${kind} ${a.name} ${a.size}`

/** An elementwise node whose operands lack one of its axes. */
const wider: Grow = (p, r) => {
  const name = oneOf(['kept', 'again'], r)
  const wide = p.filter((t) => t.inputs.length > 1 && elementwise.has(t.op.op))
  const t = oneOf(wide, r)
  if (t === undefined || findAxis(t, name)) return undefined
  return { ...t, ...under(inserted(t.axes, axis(name, 2), r)) }
}

/** Two operands that repeat along the same axis. */
const bothWide: Grow = (p, r) => {
  const name = oneOf(['kept', 'again'], r)
  const [x, y] = [tame(float(p, r)), tame(float(p, r))]
  if (findAxis(x, name) || findAxis(y, name)) return undefined
  const wide = (t: Tensor): Tensor => broadcasted(t, inserted(t.axes, axis(name, 2), r), site)
  return binaryOf(oneOf(['add', 'mul', 'max'] as const, r), wide(x), wide(y), site)
}

/** One way to grow each primitive and each composite. */
export const steps: readonly Grow[] = [
  (p, r) =>
    unaryOf(
      oneOf(['neg', 'exp', 'tanh', 'erf', 'sigmoid', 'sin', 'cos', 'abs'] as const, r),
      tame(float(p, r)),
      site,
    ),
  (p, r) => {
    const x = float(p, r)
    return unaryOf(
      oneOf(['log', 'sqrt', 'rsqrt'] as const, r),
      binaryOf('add', binaryOf('mul', x, x, site), 1, site),
      site,
    )
  },
  (p, r) =>
    binaryOf(oneOf(['add', 'sub', 'mul', 'max', 'min'] as const, r), tame(float(p, r)), float(p, r), site),
  (p, r) =>
    binaryOf(
      oneOf(['add', 'sub', 'mul', 'div', 'pow'] as const, r),
      float(p, r),
      oneOf([0, 1, 0.5, -1], r),
      site,
    ),
  (p, r) => {
    const i = ofDtype(p, 'int32', r)!
    const other = r() < 0.5 ? oneOf([0, 1, 3], r) : ofDtype(p, 'int32', r)!
    return binaryOf(oneOf(['add', 'sub', 'mul', 'max', 'min'] as const, r), i, other, site)
  },
  (p, r) => {
    // an odd shift keeps comparisons away from ties
    const y = binaryOf('add', float(p, r), 0.0137, site)
    return compareOf(oneOf(['less', 'lessEqual'] as const, r), float(p, r), y, site)
  },
  (p, r) => unaryOf(oneOf(['neg', 'abs'] as const, r), ofDtype(p, 'int32', r)!, site),
  (p, r) => unaryOf('not', ofDtype(p, 'bool', r)!, site),
  // away from whole numbers at 0, which tame values often are
  (p, r) =>
    unaryOf('floor', binaryOf('add', binaryOf('mul', tame(float(p, r)), 3, site), 0.4137, site), site),
  (p, r) => castTo(binaryOf('add', binaryOf('mul', tame(float(p, r)), 3, site), 0.4137, site), 'int32', site),
  (p, r) => castTo(ofDtype(p, r() < 0.5 ? 'int32' : 'bool', r)!, r() < 0.5 ? 'bool' : 'int32', site),
  (p, r) =>
    compareOf(
      oneOf(['equal', 'less', 'lessEqual'] as const, r),
      ofDtype(p, 'int32', r)!,
      ofDtype(p, 'int32', r)!,
      site,
    ),
  (p, r) => compareOf('equal', ofDtype(p, 'int32', r)!, ofDtype(p, 'int32', r)!, site),
  (p, r) => selectOf(ofDtype(p, 'bool', r)!, float(p, r), float(p, r), site),
  (p, r) => {
    const dtype = r() < 0.5 ? 'int32' : 'bool'
    return selectOf(ofDtype(p, 'bool', r)!, ofDtype(p, dtype, r)!, ofDtype(p, dtype, r)!, site)
  },
  wider,
  wider,
  bothWide,
  bothWide,
  bothWide,
  (p, r) => {
    const [a, b] = [ofDtype(p, 'bool', r)!, ofDtype(p, 'bool', r)!]
    const axes = selectOf(a, castTo(a, 'float32', site), castTo(b, 'float32', site), site).axes
    const under = (t: Tensor): Tensor => broadcasted(t, axes, site)
    return node(
      { op: 'logic', fn: oneOf(['and', 'or'] as const, r) },
      [under(a), under(b)],
      axes,
      'bool',
      site,
    )
  },
  (p, r) =>
    castTo(
      oneOf(
        p.filter((t) => t.dtype !== 'float32'),
        r,
      ),
      'float32',
      site,
    ),
  (p, r) => stopGradient(float(p, r)),
  (p, r) => {
    const x = r() < 0.7 ? float(p, r) : ofDtype(p, 'int32', r)!
    return reduceOf(oneOf(['sum', 'max'] as const, r), x, some(x.names, r), site)
  },
  (p, r) => {
    const x = float(p, r)
    return reduceOf('sum', binaryOf('mul', x, x, site), x.names, site)
  },
  (p, r) => {
    const x = ofDtype(p, 'int32', r)!
    const over = oneOf(x.names, r)
    const axes = x.axes.filter((a) => a.name !== over)
    return over === undefined ? undefined : node({ op: 'argmax', over }, [x], axes, 'int32', site)
  },
  (p, r) => {
    const x = float(p, r)
    const over = oneOf(x.names, r)
    if (over === undefined) return undefined
    const op = oneOf(['softmax', 'logSoftmax', 'argmax'] as const, r)
    return op === 'argmax'
      ? node(
          { op, over },
          [x],
          x.axes.filter((a) => a.name !== over),
          'int32',
          site,
        )
      : node({ op, over }, [x], x.axes, 'float32', site)
  },
  (p, r) => {
    const turned = (t: Tensor): Tensor => transposed(t, r() < 0.5 ? t.names : shuffled(t.names, r), site)
    const [a, b] = [turned(tame(float(p, r))), turned(tame(float(p, r)))]
    const shared = a.names.filter((n) => findAxis(b, n))
    if (shared.length === 0) return undefined
    const over = [oneOf(shared, r), ...some(shared, r)]
    const axes = [...a.axes, ...b.axes.filter((x) => !findAxis(a, x.name))].filter(
      (x) => !over.includes(x.name),
    )
    return contractOf(
      a,
      b,
      [...new Set(over)],
      site,
      shuffled(axes, r).map((x) => x.name),
    )
  },
  (p, r) => {
    // two projections of one tensor, as q and k are
    const [w, v] = shuffled(states(p), r)
    const x = float(p, r)
    if (!findAxis(x, 'c') || findAxis(x, 'out')) return undefined
    const product = (t: Tensor): Tensor => contractOf(x, renamed(t, { b: 'out' }, site), ['c'], site)
    return binaryOf('mul', product(w!), unaryOf('sigmoid', product(v!), site), site)
  },
  (p, r) => {
    const x = any(p, r)
    return transposed(x, shuffled(x.names, r), site)
  },
  (p, r) => {
    const x = any(p, r)
    const from = oneOf(x.names, r)
    return from === undefined || findAxis(x, `${from}'`)
      ? undefined
      : renamed(x, { [from]: `${from}'` }, site)
  },
  (p, r) => {
    const x = any(p, r)
    return reshaped(x, [axis('flat', elements(x.axes))], site)
  },
  (p, r) => {
    const x = any(p, r)
    return findAxis(x, 'more') ? undefined : broadcasted(x, shuffled([...x.axes, axis('more', 2)], r), site)
  },
  (p, r) => {
    const x = any(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const start = Math.floor(r() * a.size)
    const size = 1 + Math.floor(r() * (a.size - start))
    // the name says what was cut, so that one name keeps one size
    const cut = axis(`${a.name}:${start}+${size}`, size)
    const part = node(
      { op: 'slice', along: a.name, start },
      [x],
      x.axes.map((b) => (b === a ? axis(a.name, size) : b)),
      x.dtype,
      site,
    )
    return findAxis(x, cut.name) ? undefined : renamed(part, { [a.name]: cut.name }, site)
  },
  (p, r) => {
    const x = any(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined || findAxis(x, `${a.name}~`)) return undefined
    const [before, after] = [Math.floor(r() * 3), Math.floor(r() * 3)]
    const wide = axis(a.name, before + a.size + after)
    const out = x.axes.map((b) => (b === a ? wide : b))
    const name = `${a.name}~${wide.size}`
    return findAxis(x, name)
      ? undefined
      : renamed(
          node({ op: 'pad', along: a.name, before, after }, [x], out, x.dtype, site),
          { [a.name]: name },
          site,
        )
  },
  (p, r) => {
    const x = any(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const turned = x.dtype === 'bool' ? unaryOf('not', x, site) : unaryOf('neg', x, site)
    const parts = [x, turned, x].slice(0, 1 + Math.floor(r() * 3))
    const wide = axis(a.name, a.size * parts.length)
    const out = x.axes.map((b) => (b === a ? wide : b))
    const name = `${a.name}*${parts.length}`
    return findAxis(x, name)
      ? undefined
      : renamed(node({ op: 'concat', along: a.name }, parts, out, x.dtype, site), { [a.name]: name }, site)
  },
  (p, r) => {
    const x = any(p, r)
    const [first] = x.axes
    if (first === undefined || findAxis(x, 'pick')) return undefined
    const pick = axis('pick', 3)
    const index = constant(
      Int32Array.from({ length: 3 }, () => Math.floor(r() * first.size)),
      [pick],
    )
    if (r() < 0.5) return gatherOf(x, index, site)
    if (x.dtype === 'bool') return undefined
    const rows = broadcasted(x, [pick, ...x.axes], site)
    return findAxis(x, 'into') ? undefined : scatterAddOf(index, rows, axis('into', first.size), site)
  },
  (p, r) => {
    // pieces of one tensor put side by side again, as the gradient of slices is
    const x = any(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined || a.size < 2 || x.dtype === 'bool') return undefined
    const cut = 1 + Math.floor(r() * (a.size - 1))
    const piece = (start: number, size: number): Tensor => {
      const axes = x.axes.map((b) => (b === a ? axis(a.name, size) : b))
      const part = node({ op: 'slice', along: a.name, start }, [x], axes, x.dtype, site)
      const op = { op: 'pad', along: a.name, before: start, after: a.size - start - size } as const
      return node(op, [unaryOf('neg', part, site)], x.axes, x.dtype, site)
    }
    const pieces = shuffled([piece(0, cut), piece(cut, a.size - cut)], r)
    return binaryOf('add', pieces[0]!, pieces[1]!, site)
  },
  (p, r) => {
    const x = tame(float(p, r))
    return applyTo(oneOf<Layer<readonly [], readonly []>>([gelu, geluTanh, silu], r), x)
  },
  (p, r) => {
    const x = float(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const [kind, norm] =
      r() < 0.5 ? (['rms', rmsNorm(a, 1e-2)] as const) : (['layer', layerNorm(a, 1e-2)] as const)
    return applyTo(at(weight(kind, a))(norm as never), last(x, a.name))
  },
  (p, r) => {
    const x = float(p, r)
    const [dim, token] = shuffled(x.axes, r)
    if (token === undefined || dim!.size % 2 !== 0) return undefined
    return rotate(last(x, dim!.name), rotations(iota(token), dim!, 10), dim!.name)
  },
  (p, r) => {
    // attention of a tensor to itself, or to another of its axes
    const x = tame(float(p, r))
    const [dim, token] = shuffled(x.axes, r)
    if (token === undefined || findAxis(x, Key)) return undefined
    const other = oneOf([x, unaryOf('sin', x, site)], r)
    const k = renamed(other, { [token.name]: Key }, site)
    const masks = [
      undefined,
      causal(token),
      p.find((t) => t.dtype === 'bool' && t.axes.length > 0 && findAxis(t, token.name)),
    ]
    return attend(x, k, unaryOf('neg', k, site), dim!.name, oneOf(masks, r) as Tensor | undefined)
  },
  (p, r) => {
    const x = float(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const rest = x.axes.filter((b) => b !== a)
    const label = (_: unknown, i: number): number => (i % 3 === 2 ? -100 : Math.floor(r() * a.size))
    const labels = constant(Int32Array.from({ length: elements(rest) }, label), rest)
    return crossEntropy(last(x, a.name), labels, a.name).mean
  },
]
