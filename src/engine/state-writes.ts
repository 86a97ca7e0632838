/**
 * States of which a call replaces elements and keeps the others: `next = select(where, value, state)`, as a key-value
 * cache takes in one token, or several such choices one around the other, as it takes in several. Both engines write such
 * states where they lie, each in its own way.
 */
import {
  type Axis,
  bodyRoots,
  findAxis,
  type LoopBody,
  type Tensor,
  topological,
  type Variant,
} from '../dsl/index.ts'
import { rootsOf } from '../dsl/internal.ts'

/** New elements of one state, or of one value that a loop carries. */
export interface StateWrite {
  readonly key: string
  /** The node that is the state's next value once they are written, under the state's axes. */
  readonly next: Tensor
  /** bool: which elements are replaced; under some of the axes. */
  readonly where: Tensor
  /** By what; under some of the axes. */
  readonly value: Tensor
}

/** The choices from the innermost, whose other side is the whole, to the outermost; undefined where there is another side. */
const chain = (
  key: string,
  next: Tensor,
  isWhole: (t: Tensor) => boolean,
): readonly StateWrite[] | undefined => {
  const found: StateWrite[] = []
  for (let t = next; !isWhole(t); ) {
    if (t.op.op !== 'select' || t.axes.length !== next.axes.length) return undefined
    const [where, value, old] = t.inputs as readonly [Tensor, Tensor, Tensor]
    found.unshift({ key, next: t, where, value })
    if (old.axes.length !== next.axes.length) return undefined
    t = old
  }
  return found.length === 0 ? undefined : found
}

/** Those of which what lies between two writes is used by nothing else. */
const sole = (
  all: readonly (readonly StateWrite[])[],
  roots: readonly Tensor[],
): readonly (readonly StateWrite[])[] => {
  if (all.every((writes) => writes.length === 1)) return all
  const uses = new Map<Tensor, number>()
  for (const t of [...topological(roots).flatMap((t) => t.inputs), ...roots])
    uses.set(t, (uses.get(t) ?? 0) + 1)
  return all.filter((writes) => writes.slice(0, -1).every((w) => uses.get(w.next) === 1))
}

/**
 * The writes of each next state of a narrow variant that consists of such; those of one state in their order. What lies
 * between two writes of a state is used by nothing else.
 */
export const stateWrites = (variant: Variant): readonly (readonly StateWrite[])[] =>
  sole(
    [...variant.next].flatMap(([key, next]) => {
      const writes = chain(key, next, (t) => t.op.op === 'state' && t.op.key === key)
      return writes === undefined ? [] : [writes]
    }),
    rootsOf(variant),
  )

/** One place a row: the new elements stand under the axes but the slot's. */
export interface SlotWrite extends StateWrite {
  /** int32: the place along the slot axis, under (some of) the axes before it. */
  readonly place: Tensor
  /** Axes before the slot axis, the slot axis, axes after it. */
  readonly before: readonly Axis[]
  readonly slot: Axis
  readonly after: readonly Axis[]
}

/** 0, 1, 2, …: as it was written, or folded to a constant. */
const isIota = (t: Tensor): boolean =>
  t.axes.length === 1 &&
  t.dtype === 'int32' &&
  (t.op.op === 'iota' || (t.op.op === 'constant' && t.op.data.every((x, i) => x === i)))

/** The place and the slot axis of `equal(place, iota(slot))`, either way round. */
export const placeOf = (where: Tensor): { readonly place: Tensor; readonly slot: Axis } | undefined => {
  if (where.op.op !== 'compare' || where.op.fn !== 'equal') return undefined
  const [a, b] = where.inputs as readonly [Tensor, Tensor]
  for (const [place, slots] of [
    [a, b],
    [b, a],
  ] as const) {
    const slot = slots.axes[0]
    if (isIota(slots) && slot !== undefined && place.dtype === 'int32' && !findAxis(place, slot.name))
      return { place, slot }
  }
  return undefined
}

/** A write of `select(equal(place, iota(slot)), value, …)`; undefined where it is another. */
export const slotWrite = (write: StateWrite): SlotWrite | undefined => {
  const { next, where, value } = write
  const found = placeOf(where)
  if (found === undefined) return undefined
  const at = next.axes.findIndex((a) => a.name === found.slot.name)
  if (at < 0 || findAxis(value, found.slot.name)) return undefined
  const [before, after] = [next.axes.slice(0, at), next.axes.slice(at + 1)]
  if (!found.place.axes.every((a) => before.some((b) => b.name === a.name))) return undefined
  return { ...write, place: found.place, before, slot: found.slot, after }
}

/** Writes of one state as such; undefined where one is another. */
export const slotsOf = (writes: readonly StateWrite[]): readonly SlotWrite[] | undefined => {
  const slots = writes.flatMap((w) => slotWrite(w) ?? [])
  return slots.length === writes.length ? slots : undefined
}

/** The states all of whose writes are of that kind. */
export const slotWrites = (variant: Variant): readonly (readonly SlotWrite[])[] =>
  stateWrites(variant).flatMap((writes) => {
    const slots = slotsOf(writes)
    return slots === undefined ? [] : [slots]
  })

/** The same of what the steps of a loop carry, by their place. */
export const carriedSlotWrites = (body: LoopBody): readonly SlotWrite[] =>
  sole(
    body.results.flatMap((next, i) => {
      const writes = chain(`${i}`, next, (t) => t.op.op === 'argument' && t.op.at === i + 1)
      return writes === undefined ? [] : [writes]
    }),
    bodyRoots(body),
  ).flatMap((writes) => slotsOf(writes) ?? [])

/** Whole rows of another tensor: `select(where, gather(table, index), state)`, under the state's first axis. */
export interface RowWrite extends StateWrite {
  /** int32 `[row]`. */
  readonly index: Tensor
  /** Its first axis is what `index` counts; the others are the state's. */
  readonly table: Tensor
}

/** A write of whole rows; undefined where it is another. */
export const rowWrite = (write: StateWrite): RowWrite | undefined => {
  const { next, where, value } = write
  if (value.op.op !== 'gather' || value.axes.length !== next.axes.length) return undefined
  const [table, index] = value.inputs as readonly [Tensor, Tensor]
  const isRow = (t: Tensor): boolean => t.axes.length === 1 && t.axes[0]!.name === next.axes[0]!.name
  return isRow(where) && isRow(index) ? { ...write, index, table } : undefined
}
