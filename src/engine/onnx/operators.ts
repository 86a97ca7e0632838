/**
 * The table: each primitive operation as ONNX nodes.
 *
 * A row gets the node with the operands that its plan chose for it (plan.ts) and the emitter, and answers the name of the
 * value. The graph is narrow (`dsl/passes/narrow.ts`): the operands of an elementwise node together have all its axes.
 */
import {
  type BinaryFn,
  byRow,
  type ContractionPlan,
  contractionPlan,
  elements,
  findAxis,
  isWithin,
  type Op,
  type OperandPlan,
  type OpName,
  sizes,
  type Tensor,
  type UnaryFn,
} from '../../dsl/index.ts'
import { arrayOf } from '../../dsl/internal.ts'
import type { Tabled } from '../lowering.ts'
import type { AttributeValue } from '../proto/onnx.ts'
import { contractChosen, outerChosen } from './chosen.ts'
import { type Emitter, runtimeDomain } from './emitter.ts'

/** The name under which a graph node's value was emitted. */
export type ValueOf = (t: Tensor) => string

type Row<K extends OpName> = (t: Tensor, op: Extract<Op, { op: K }>, e: Emitter, value: ValueOf) => string

const unaryOps: Readonly<Record<UnaryFn, string>> = {
  neg: 'Neg',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  rsqrt: 'Sqrt',
  tanh: 'Tanh',
  erf: 'Erf',
  sigmoid: 'Sigmoid',
  sin: 'Sin',
  cos: 'Cos',
  abs: 'Abs',
  floor: 'Floor',
  not: 'Not',
}

const binaryOps: Readonly<Record<BinaryFn, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  max: 'Max',
  min: 'Min',
  pow: 'Pow',
}

const compareOps = { equal: 'Equal', less: 'Less', lessEqual: 'LessOrEqual' } as const

const place = (t: Tensor, name: string): number => t.axes.findIndex((a) => a.name === name)

/**
 * Up to this many rows a scatter-add runs as one-hot × matrix; above, element by element. At 512 rows both took about the
 * same, at 2,048 the product took ten times as long.
 */
const oneHotLimit = 256

/**
 * An operand as a node of these axes broadcasts it: ONNX aligns shapes from the right, so size-1 dimensions go where
 * axes are missing, and leading ones are left out.
 */
const aligned = (x: Tensor, t: Tensor, e: Emitter, value: ValueOf): string => {
  const from = sizes(x.axes)
  if (x.axes.length === 0) return value(x)
  const full = t.axes.map((a) => findAxis(x, a.name)?.size ?? 1)
  const first = t.axes.findIndex((a) => a.name === x.axes[0]!.name)
  return e.reshape(value(x), from, full.slice(first))
}

const operands = (t: Tensor, e: Emitter, value: ValueOf): string[] =>
  t.inputs.map((x) => aligned(x, t, e, value))

/**
 * An operand that must be moved keeps its innermost axis innermost, because that moves whole rows; the product's own flag says
 * which way round the matrix lies.
 */
const inRows = (o: OperandPlan, batch: number, last: number): OperandPlan => {
  const { perm, view, tensor, transposed } = o
  const innermost = tensor.axes.length - 1
  if (perm === undefined || last === 0 || perm.at(-1) === innermost) return o
  const [lead, first, second] = [perm.slice(0, batch), perm.slice(batch, -last), perm.slice(-last)]
  if (first.at(-1) !== innermost) return o
  const turned = [...view.slice(0, -2), view.at(-1)!, view.at(-2)!]
  return { tensor, perm: [...lead, ...second, ...first], view: turned, transposed: !transposed }
}

/** How a product runs on the CPU, where flags say which way round its matrices lie. */
const planInRows = (t: Tensor): ContractionPlan => {
  const plan = contractionPlan(t)
  const { left, right } = plan
  const over = t.op.op === 'contract' ? t.op.over : []
  const batch = left.tensor.names.filter((n) => !over.includes(n) && right.tensor.names.includes(n)).length
  const free = (o: OperandPlan): number => o.tensor.axes.length - batch - over.length
  // the left matrix has the sum last unless it is transposed, the right one if it is
  return {
    ...plan,
    left: inRows(left, batch, left.transposed ? free(left) : over.length),
    right: inRows(right, batch, right.transposed ? over.length : free(right)),
  }
}

/** One side of a product: transposed where the plan says so, then under the product's shape. */
const side = (o: OperandPlan, e: Emitter, value: ValueOf): string => {
  const dims = sizes(o.tensor.axes)
  if (o.perm === undefined) return e.reshape(value(o.tensor), dims, o.view)
  return e.reshape(
    e.transpose(value(o.tensor), dims, o.perm),
    o.perm.map((p) => dims[p]!),
    o.view,
  )
}

const flipped = (name: string, view: readonly number[], e: Emitter): string =>
  e.transpose(name, view, view.length === 2 ? [1, 0] : [0, 2, 1])

/** A number that a product is multiplied with, as the runtime's own products take it. */
type Alpha = { readonly alpha: AttributeValue } | undefined

/**
 * A product whose right side is a matrix, as the runtime takes it without a view of its own: the left side's dimensions
 * before the summed one stay as they are. Undefined where the left side does not lie so.
 */
const byMatrix = (plan: ContractionPlan, e: Emitter, value: ValueOf, alpha: Alpha): string | undefined => {
  const { left, right } = plan
  const dims = sizes(left.tensor.axes)
  if (plan.batched || dims.length < 3 || left.perm !== undefined || left.transposed) return undefined
  if (dims.at(-1) !== plan.k || (right.transposed && e.mode !== 'run')) return undefined
  const inputs = [value(left.tensor), side(right, e, value)]
  const out =
    right.transposed || alpha !== undefined
      ? e.node(
          'FusedMatMul',
          inputs,
          { transB: right.transposed ? 1 : 0, ...alpha },
          { domain: runtimeDomain },
        )
      : e.node('MatMul', inputs)
  return e.reshape(out, [...dims.slice(0, -1), plan.n], sizes(plan.produced))
}

/** A product with a vector as the runtime takes it, of rank 1. Undefined where neither side is one, or the other does not lie so. */
const byVector = (plan: ContractionPlan, e: Emitter, value: ValueOf): string | undefined => {
  const { left, right, batched, m, n, k } = plan
  if (batched || e.mode === 'webgpu' || left.perm !== undefined || right.perm !== undefined) return undefined
  const vector = (o: OperandPlan): string => e.reshape(value(o.tensor), sizes(o.tensor.axes), [k])
  const dims = sizes(left.tensor.axes)
  if (n === 1 && m > 1 && !left.transposed && dims.at(-1) === k) {
    const out = e.node('MatMul', [value(left.tensor), vector(right)])
    return e.reshape(out, dims.slice(0, -1), sizes(plan.produced))
  }
  if (m !== 1 || n === 1 || right.transposed) return undefined
  const out = e.node('MatMul', [vector(left), side(right, e, value)])
  return e.reshape(out, [n], sizes(plan.produced))
}

/**
 * Σ over k of two operands of rank 2, or of rank 3 with one batch dimension.
 *
 * @param factor what the product is multiplied with; only on the CPU another than 1
 */
export const product = (t: Tensor, e: Emitter, value: ValueOf, factor = 1): string => {
  const plan = e.mode === 'run' ? planInRows(t) : contractionPlan(t)
  const alpha = factor === 1 ? undefined : { alpha: { float: factor } }
  const simple = alpha === undefined ? byVector(plan, e, value) : undefined
  const whole = simple ?? byMatrix(plan, e, value, alpha)
  if (whole !== undefined)
    return plan.perm === undefined ? whole : e.transpose(whole, sizes(plan.produced), plan.perm)
  const [ta, tb] = [plan.left.transposed, plan.right.transposed]
  const rows = e.mode === 'run' && !ta && byRow(plan)
  const seen = (o: OperandPlan, at: number): string => {
    const name = side(o, e, value)
    return rows ? e.reshape(name, o.view, [...o.view.slice(0, at), 1, ...o.view.slice(at)]) : name
  }
  const [a, b] = [seen(plan.left, 2), seen(plan.right, 1)]
  const flags = { transA: ta ? 1 : 0, transB: tb ? 1 : 0 }
  const out =
    !ta && !tb && alpha === undefined
      ? e.node('MatMul', [a, b])
      : !plan.batched
        ? e.node('Gemm', [a, b], { ...flags, ...alpha })
        : e.mode === 'run'
          ? e.node('FusedMatMul', [a, b], { ...flags, ...alpha }, { domain: runtimeDomain })
          : e.node('MatMul', [
              ta ? flipped(a, plan.left.view, e) : a,
              tb ? flipped(b, plan.right.view, e) : b,
            ])
  const shape = [...(plan.batched ? [plan.batch] : []), plan.m, ...(rows ? [1] : []), plan.n]
  const produced = sizes(plan.produced)
  const full = e.reshape(out, shape, produced)
  return plan.perm === undefined ? full : e.transpose(full, produced, plan.perm)
}

/** Indices as the runtime takes them: it counts negative ones from the end, here they are out of range as any other. */
export const indices = (index: Tensor, size: number, e: Emitter, value: ValueOf): string => {
  const name = value(index)
  if (isWithin(index, size)) return name
  const scalar = (n: number): string => e.constant('int32', [], Int32Array.of(n))
  return e.node('Where', [e.node('Less', [name, scalar(0)]), scalar(size), name])
}

/** Or; WebGPU has none. */
const either = (a: string, b: string, e: Emitter): string =>
  e.mode === 'webgpu'
    ? e.node('Not', [e.node('And', [e.node('Not', [a]), e.node('Not', [b])])])
    : e.node('Or', [a, b])

/** x − ln Σ exp x along a dimension; WebGPU has no operation for it. */
export const logProbabilities = (x: string, axis: number, e: Emitter): string => {
  if (e.mode !== 'webgpu') return e.node('LogSoftmax', [x], { axis })
  const along = e.ints([axis])
  const below = e.node('Sub', [x, e.node('ReduceMax', [x, along], { keepdims: 1 })])
  const sum = e.node('ReduceSum', [e.node('Exp', [below]), along], { keepdims: 1 })
  return e.node('Sub', [below, e.node('Log', [sum])])
}

/** Rows added to the places that their indices name. */
const scatterAdd = (t: Tensor, e: Emitter, value: ValueOf): string => {
  const [index, rows] = t.inputs as readonly [Tensor, Tensor]
  const into = t.axes[0]!.size
  const count = elements(index.axes)
  const width = elements(t.axes.slice(1))
  const flat = e.reshape(value(rows), sizes(rows.axes), [count, width])
  const given = indices(index, into, e, value)
  const oneHot = into <= oneHotLimit && t.dtype === 'float32'
  // OneHot gives no row for an index that is out of range; Gather refuses it
  const range = Int32Array.from({ length: into }, (_, i) => i)
  const known = oneHot ? e.node('Gather', [e.constant('int32', [into], range), given], { axis: 0 }) : given
  const places = e.node('Cast', [e.reshape(known, sizes(index.axes), [count, 1])], { to: 7 })
  const ones = (): string =>
    e.mode === 'webgpu'
      ? e.node(
          'Cast',
          [
            e.node('Equal', [
              e.constant('int32', [into, 1], range),
              e.reshape(known, sizes(index.axes), [1, count]),
            ]),
          ],
          { to: 1 },
        )
      : e.node(
          'OneHot',
          [
            e.reshape(places, [count, 1], [count]),
            e.ints([into]),
            e.constant('float32', [2], Float32Array.of(0, 1)),
          ],
          { axis: 0 },
        )
  return e.reshape(
    oneHot
      ? e.node('MatMul', [ones(), flat])
      : // not ScatterND: with more than one thread the runtime loses additions to one place (seen in 1.30)
        e.node(
          'ScatterElements',
          [
            e.node('Expand', [e.constant(t.dtype, [1, 1], new arrayOf[t.dtype](1)), e.ints([into, width])]),
            e.node('Expand', [places, e.ints([count, width])]),
            flat,
          ],
          { axis: 0, reduction: 'add' },
        ),
    [into, width],
    sizes(t.axes),
  )
}

/** The operations of {@link Tabled}, one row each. */
export const operators: { readonly [K in Tabled]: Row<K> } = {
  constant: (t, { data }, e) => e.constant(t.dtype, sizes(t.axes), data),
  iota: (t, _op, e) =>
    e.constant(
      'int32',
      sizes(t.axes),
      Int32Array.from({ length: t.axes[0]!.size }, (_, i) => i),
    ),

  unary: (t, { fn }, e, value) => {
    const y = e.node(unaryOps[fn], [value(t.inputs[0]!)])
    return fn === 'rsqrt' ? e.node('Reciprocal', [y]) : y
  },
  binary: (t, { fn }, e, value) => e.node(binaryOps[fn], operands(t, e, value)),
  compare: (t, { fn }, e, value) => e.node(compareOps[fn], operands(t, e, value)),
  logic: (t, { fn }, e, value) => {
    const [a, b] = operands(t, e, value) as [string, string]
    return fn === 'and' ? e.node('And', [a, b]) : either(a, b, e)
  },
  select: (t, _op, e, value) => {
    const [c, a, b] = operands(t, e, value) as [string, string, string]
    return t.dtype === 'bool'
      ? either(e.node('And', [c, a]), e.node('And', [e.node('Not', [c]), b]), e)
      : e.node('Where', [c, a, b])
  },
  cast: (t, _op, e, value) =>
    e.node('Cast', [value(t.inputs[0]!)], { to: { float32: 1, int32: 6, bool: 9 }[t.dtype] }),
  stopGradient: (t, _op, _e, value) => value(t.inputs[0]!),

  reduce: (t, { fn, over }, e, value) => {
    const x = t.inputs[0]!
    const places = over.map((n) => place(x, n)).sort((a, b) => a - b)
    const kind = fn === 'sum' ? 'ReduceSum' : 'ReduceMax'
    if (fn === 'max' || t.dtype === 'float32')
      return e.node(kind, [value(x), e.ints(places)], { keepdims: 0 })
    // the runtime's own sum of int32 stops at 2³¹ − 1 and does not wrap around
    const wide = e.node('Cast', [value(x)], { to: 7 })
    return e.node('Cast', [e.node('ReduceSum', [wide, e.ints(places)], { keepdims: 0 })], { to: 6 })
  },
  argmax: (t, { over }, e, value) => {
    const x = t.inputs[0]!
    return e.node('Cast', [e.node('ArgMax', [value(x)], { axis: place(x, over), keepdims: 0 })], { to: 6 })
  },
  softmax: (t, { over }, e, value) => e.node('Softmax', [value(t.inputs[0]!)], { axis: place(t, over) }),
  logSoftmax: (t, { over }, e, value) => logProbabilities(value(t.inputs[0]!), place(t, over), e),

  contract: (t, _op, e, value) => product(t, e, value),

  reshape: (t, _op, e, value) => {
    const x = t.inputs[0]!
    return e.reshape(value(x), sizes(x.axes), sizes(t.axes))
  },
  transpose: (t, _op, e, value) => {
    const x = t.inputs[0]!
    return e.transpose(
      value(x),
      sizes(x.axes),
      t.axes.map((a) => place(x, a.name)),
    )
  },
  broadcast: (t, _op, e, value) => {
    const x = t.inputs[0]!
    return elements(x.axes) === elements(t.axes)
      ? e.reshape(value(x), sizes(x.axes), sizes(t.axes))
      : e.node('Expand', [aligned(x, t, e, value), e.ints(sizes(t.axes))])
  },
  slice: (t, { along, start }, e, value) =>
    e.node('Slice', [
      value(t.inputs[0]!),
      e.ints([start]),
      e.ints([start + findAxis(t, along)!.size]),
      e.ints([place(t, along)]),
    ]),
  // every dimension named: the runtime moves transposes past a Pad of some axes wrongly (seen in 1.30)
  pad: (t, { along, before, after }, e, value) => {
    const around = (n: number): number[] => t.axes.map((a) => (a.name === along ? n : 0))
    return e.node('Pad', [value(t.inputs[0]!), e.ints([...around(before), ...around(after)])])
  },
  concat: (t, { along }, e, value) => e.node('Concat', t.inputs.map(value), { axis: place(t, along) }),
  gather: (t, _op, e, value) => {
    const [table, index] = t.inputs as readonly [Tensor, Tensor]
    return e.node('Gather', [value(table), indices(index, table.axes[0]!.size, e, value)], { axis: 0 })
  },
  scatterAdd: (t, _op, e, value) => scatterAdd(t, e, value),

  contractChosen: (t, { over }, e, value) => contractChosen(t, over, e, value),
  outerChosen: (t, { choice, of }, e, value) => outerChosen(t, choice, of, e, value),
}
