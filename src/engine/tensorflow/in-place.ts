/**
 * States that a call changes where they lie: one place a row, as a key-value cache takes in tokens, or whole rows, as it
 * takes in prompts. The definition would copy all of them, and so would `ResourceScatterNdUpdate`, behind which every read
 * of the variable is a copy.
 *
 * `InplaceUpdate` writes into the memory of the variable's own value. Nothing else may hold that memory, and what reads the
 * old value must have run: `lower.ts` and `saved-model.ts` see to both.
 */
import { bodyOf, elements, type Tensor, topological, type Variant } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import { type RowWrite, rowWrite, type SlotWrite, slotsOf, stateWrites } from '../state-writes.ts'
import type { Builder, Ref } from './builder.ts'
import { isNative } from './node.ts'
import { repeated } from './value.ts'

/** What a call writes into one state. */
export type InPlace =
  | { readonly kind: 'slots'; readonly key: string; readonly writes: readonly SlotWrite[] }
  | { readonly kind: 'rows'; readonly key: string; readonly write: RowWrite }

/**
 * The states of a narrow variant that are changed where they lie: nothing in the call reads what they become. They are
 * float32, because on a GPU the operation takes no int32 and no bool.
 */
export const inPlace = (variant: Variant): readonly InPlace[] => {
  const all = stateWrites(variant)
  if (all.length === 0) return []
  const outputs = Object.values(variant.outputs)
  const nexts = [...variant.next.values()]
  const read = new Set([...topological([...outputs, ...nexts]).flatMap((t) => t.inputs), ...outputs])
  return all.flatMap((writes): readonly InPlace[] => {
    const { key, next } = writes.at(-1)!
    if (next.dtype !== 'float32' || read.has(next) || nexts.filter((t) => t === next).length > 1) return []
    const slots = slotsOf(writes)
    if (slots !== undefined) return [{ kind: 'slots', key, writes: slots }]
    const rows = writes.length === 1 ? rowWrite(writes[0]!) : undefined
    return rows === undefined ? [] : [{ kind: 'rows', key, write: rows }]
  })
}

/** What is computed in the graph for it. */
export const inPlaceRoots = (p: InPlace): readonly Tensor[] =>
  p.kind === 'slots'
    ? p.writes.flatMap((w) => [w.place, w.value])
    : [p.write.where, p.write.index, p.write.table]

const int = attr.type('int32')
const long = attr.type('int64')

/** The places where a vector of bools is true, int64. */
const chosen = (g: Builder, where: Ref): string =>
  g.once(`chosen ${where.name}`, () =>
    g.op('Reshape', [g.op('Where', [where.name], { T: attr.type('bool') }), g.ints([-1])], {
      T: long,
      Tshape: int,
    }),
  )

const gathered = (g: Builder, x: Ref, index: string, type: typeof int = long): string =>
  g.op('GatherV2', [x.name, index, g.int(0)], {
    Tparams: attr.type(x.dtype),
    Tindices: type,
    Taxis: int,
  })

const joined = (g: Builder, xs: readonly Ref[]): Ref => {
  if (xs.length === 1) return xs[0]!
  const { dtype, shape } = xs[0]!
  const names = xs.map((x) => x.name)
  const name = g.once(`joined ${names.join(' ')}`, () =>
    g.op('ConcatV2', [...names, g.int(0)], {
      N: attr.int(xs.length),
      T: attr.type(dtype),
      Tidx: int,
    }),
  )
  return { name, dtype, shape: [xs.reduce((n, x) => n + x.shape[0]!, 0), ...shape.slice(1)] }
}

/** Rows of a matrix, `block` elements each, and the number of each row in the state; later ones of one number win. */
interface Rows {
  /** Which of them there are. */
  readonly where: Ref
  readonly number: Ref
  readonly values: Ref
}

const slotRows = (g: Builder, s: SlotWrite, refOf: (t: Tensor) => Ref): Rows => {
  const rows = elements(s.before)
  const place = refOf(s.place)
  const like = `${place.name} ${s.before.map((a) => `${a.name} ${a.size}`).join(' ')} ${s.slot.size}`
  const as = (dtype: 'int32' | 'bool', name: string): Ref => ({ name, dtype, shape: [rows] })
  const type = { T: int }
  const places = g.once(
    `places ${like}`,
    () => g.reshape(repeated(g, place, s.place.axes, s.before), [rows]).name,
  )
  const inside = g.once(`inside ${like}`, () => {
    const nearest = g.op('Minimum', [places, g.int(s.slot.size - 1)], type)
    return g.op('Equal', [places, g.op('Maximum', [nearest, g.int(0)], type)], type)
  })
  const number = g.once(`number ${like}`, () => {
    const begins = Int32Array.from({ length: rows }, (_, i) => i * s.slot.size)
    return g.op('AddV2', [places, g.constant('int32', [rows], begins).name], type)
  })
  const values = g.reshape(repeated(g, refOf(s.value), s.value.axes, [...s.before, ...s.after]), [
    rows,
    elements(s.after),
  ])
  return { where: as('bool', inside), number: as('int32', number), values }
}

/**
 * Writes into the memory of a state's value and answers the node that does it. A place outside the slots writes nothing, as
 * the definition says.
 *
 * @param whole the state's value, as its variable holds it
 */
export const emitInPlace = (g: Builder, p: InPlace, whole: Ref, refOf: (t: Tensor) => Ref): string => {
  const update = (x: Ref, number: string, values: string): string =>
    g.op('InplaceUpdate', [x.name, number, values], { T: attr.type(x.dtype) }, `in-place/${p.key}`)
  if (p.kind === 'rows') {
    const { where, index, table } = p.write
    const rows = chosen(g, refOf(where))
    const from = gathered(g, refOf(index), rows)
    const number = g.op('Cast', [rows], { SrcT: long, DstT: int })
    return update(whole, number, gathered(g, refOf(table), from, int))
  }
  const all = p.writes.map((s) => slotRows(g, s, refOf))
  const [first] = p.writes as readonly [SlotWrite]
  const rows = chosen(
    g,
    joined(
      g,
      all.map((r) => r.where),
    ),
  )
  const numbers = joined(
    g,
    all.map((r) => r.number),
  )
  const number = g.once(`numbers ${numbers.name} ${rows}`, () => gathered(g, numbers, rows))
  const values = joined(
    g,
    all.map((r) => r.values),
  )
  const view = g.reshape(whole, [elements(first.before) * first.slot.size, elements(first.after)])
  return update(view, number, gathered(g, values, rows))
}

/** The node that computes a value's memory, of which this one may be another view. */
export const sourceOf = (t: Tensor): Tensor => {
  const { op } = t
  if (op.op === 'reshape' || op.op === 'stopGradient') return sourceOf(t.inputs[0]!)
  return op.op === 'composite' && (op.kind === 'after' || !isNative(t)) ? sourceOf(bodyOf(t)) : t
}

/** Whether a node computes its value into memory of its own, which no state, input or constant has. */
export const isOwn = ({ op }: Tensor): boolean =>
  [
    ...['unary', 'binary', 'compare', 'logic', 'select', 'softmax', 'logSoftmax', 'contract', 'gather'],
    'scatterAdd',
  ].includes(op.op)
