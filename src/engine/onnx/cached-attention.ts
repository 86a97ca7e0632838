/**
 * Attention over a cache that is written in the same call: the new keys and values go into the memory of the state, by
 * operations whose results are bound to the states that they read. Over a long cache it is the runtime's own operation, in
 * which a row reads no more than it has filled; over a short one it is two products with all of it, since memory without
 * gaps is read two to three times as fast.
 */
import { elements, operandsOf, sizes, type Tensor, topological, type Variant } from '../../dsl/index.ts'
import { rootsOf } from '../../dsl/internal.ts'
import { onnxType } from '../proto/onnx.ts'
import { type SlotWrite, slotsOf, stateWrites } from '../state-writes.ts'
import { type Emitter, runtimeDomain } from './emitter.ts'
import type { ValueOf } from './operators.ts'

/** The nodes of a variant that run so, and the states that they write. */
export interface CachedAttentions {
  readonly nodes: ReadonlySet<Tensor>
  readonly states: ReadonlySet<string>
}

/** Where no node does. */
export const noAttentions: CachedAttentions = { nodes: new Set(), states: new Set() }

interface Parts {
  readonly query: Tensor
  readonly place: Tensor
  /** Keys and values: those of the call, one after another, and the cache. */
  readonly sides: readonly (readonly [own: readonly Tensor[], cache: Tensor])[]
}

const along = (t: Tensor, name: string): number => t.axes.findIndex((a) => a.name === name)

/** What lies behind reshapes, and transposes that only move axes of one element. */
const core = (t: Tensor): Tensor => {
  const { op } = t
  if (op.op === 'reshape') return core(t.inputs[0]!)
  if (op.op !== 'transpose') return t
  const large = (x: Tensor): string => x.axes.flatMap((a) => (a.size === 1 ? [] : [a.name])).join('\u0001')
  return large(t) === large(t.inputs[0]!) ? core(t.inputs[0]!) : t
}

/** The pieces of the call's own keys, or of its values: one token each. */
const pieces = (t: Tensor, key: string): readonly Tensor[] =>
  t.op.op === 'concat' && t.op.along === key ? t.inputs : [t]

/** Its parts, where a node has the axes that the operation takes: the cache `[row, head, key, dim]`, one query a row. */
const partsOf = (t: Tensor): Parts | undefined => {
  if (t.op.op !== 'composite' || t.op.kind !== 'cachedAttention') return undefined
  const [query, keys, values, cachedKeys, cachedValues, place] = operandsOf(t) as readonly Tensor[]
  const [row, head, key, dim] = cachedKeys!.axes
  if (dim === undefined || cachedKeys!.axes.length !== 4 || dim.name !== t.op.settings.axis) return undefined
  // one query a row: between row and dimension stand the heads, and the groups of each
  const inside = query!.axes.slice(1, -1).filter((a) => a.size > 1)
  const fits =
    cachedKeys!.names.join() === cachedValues!.names.join() &&
    query!.names.join() === t.names.join() &&
    query!.axes[0]!.name === row!.name &&
    query!.axes.at(-1)!.name === dim.name &&
    (head!.size === 1 ? inside.length <= 1 : inside[0]?.name === head!.name && inside.length <= 2) &&
    key!.size > 1 &&
    dim.size % 8 === 0 &&
    place!.dtype === 'int32' &&
    place!.names.join() === row!.name
  if (!fits) return undefined
  const sides = [
    [pieces(keys!, key!.name), cachedKeys!],
    [pieces(values!, key!.name), cachedValues!],
  ] as const
  const single = sides.every(([own, cache]) =>
    own.every(
      (p) =>
        elements(p.axes) === row!.size * head!.size * dim.size &&
        p.axes[0]!.name === row!.name &&
        along(p, head!.name) < along(p, dim.name) &&
        cache.op.op === 'state',
    ),
  )
  return single ? { query: query!, place: place!, sides } : undefined
}

/** Whether a write puts this piece where the place says. */
const puts = (w: SlotWrite, piece: Tensor, cache: Tensor): boolean =>
  core(w.value) === core(piece) &&
  w.slot.name === cache.names[2] &&
  w.next.names.join() === cache.names.join() &&
  w.place.names.join() === cache.names[0]

/**
 * Those of a narrow variant: each writes one token into each of its two states, in the order in which the states take them,
 * and nothing else reads them. All of a variant or none.
 */
export const cachedAttentions = (variant: Variant): CachedAttentions => {
  const found = new Map(
    topological(rootsOf(variant)).flatMap((t) => {
      const p = partsOf(t)
      return p === undefined ? [] : [[t, p] as const]
    }),
  )
  if (found.size === 0) return noAttentions
  const writes = new Map(
    stateWrites(variant).flatMap((all) => {
      const slots = slotsOf(all)
      return slots === undefined ? [] : [[slots[0]!.key, slots] as const]
    }),
  )
  /** For each state the nodes over it, by how many tokens it has when they have run. */
  const over = new Map<string, Map<number, Tensor>>()
  for (const [t, { sides, place }] of found)
    for (const [own, cache] of sides) {
      const key = cache.op.op === 'state' ? cache.op.key : ''
      const all = writes.get(key)
      const last = all?.[own.length - 1]
      const had = over.get(key) ?? new Map<number, Tensor>()
      if (
        all === undefined ||
        last?.place !== place ||
        had.has(own.length) ||
        !own.every((p, i) => puts(all[i]!, p, cache))
      )
        return noAttentions
      over.set(key, had.set(own.length, t))
    }
  const used = (t: Tensor): readonly Tensor[] => (found.has(t) ? operandsOf(t) : t.inputs)
  const roots = rootsOf({ ...variant, next: new Map([...variant.next].filter(([key]) => !over.has(key))) })
  const all = topological(roots, used)
  // every write is some node's, and each node's value is needed by the next
  for (const [key, nodes] of over) {
    const count = writes.get(key)!.length
    for (let i = 1; i <= count; i++) {
      const [before, node] = [nodes.get(i - 1), nodes.get(i)]
      if (node === undefined || !all.includes(node)) return noAttentions
      if (before !== undefined && !topological([found.get(node)!.query], used).includes(before))
        return noAttentions
    }
  }
  const reads = all.some(
    (t) => !found.has(t) && used(t).some((x) => x.op.op === 'state' && over.has(x.op.key)),
  )
  const given = roots.some((t) => t.op.op === 'state' && over.has(t.op.key))
  return reads || given ? noAttentions : { nodes: new Set(found.keys()), states: new Set(over.keys()) }
}

/** A result that is bound to a state. */
export type Written = readonly [result: string, key: string]

/** What one gives: its value, and the keys and values with what it wrote. */
interface Emitted {
  readonly name: string
  readonly caches: readonly string[]
}

/** Most slots of a cache that is read whole: where rows fill less than a third of it the operation would be faster. */
const mostSlots = 192

/** Whether a cache is read whole: it is short, and no two queries share a matrix, which they would multiply one by one. */
const isReadWhole = ({ query, sides }: Parts): boolean => {
  const { axes } = sides[0]![1]
  return axes[2]!.size <= mostSlots && elements(query.axes) === axes[0]!.size * axes[1]!.size * axes[3]!.size
}

/** Products with the whole cache, each a row times a matrix: those the runtime multiplies as they lie. */
const overAll = (t: Tensor, { query, sides }: Parts, inside: string, e: Emitter, value: ValueOf): Emitted => {
  const [row, head, slots, dim] = sizes(sides[0]![1].axes) as [number, number, number, number]
  const rowsAndHeads = BigInt64Array.from({ length: row * head * 2 }, (_, i) => {
    const at = Math.floor(i / 2)
    return BigInt(i % 2 === 0 ? Math.floor(at / head) : at % head)
  })
  const place = e.node('Expand', [
    e.reshape(e.node('Cast', [inside], { to: onnxType.int64 }), [row], [row, 1, 1, 1]),
    e.ints([row, head, 1, 1]),
  ])
  const at = e.node('Concat', [e.constant('int64', [row, head, 1, 2], rowsAndHeads), place], { axis: 3 })
  const caches = sides.map(([own, cache]) => {
    const one = own.at(-1)!
    const lying = [value(cache), at, e.reshape(value(one), sizes(one.axes), [row, head, 1, dim])]
    return e.node('ScatterND', lying, {}, { once: false })
  })
  const slot = e.constant(
    'int32',
    [slots],
    Int32Array.from({ length: slots }, (_, i) => i),
  )
  const filled = e.node('Where', [
    e.node('LessOrEqual', [slot, e.reshape(inside, [row], [row, 1, 1, 1])]),
    e.float(0),
    e.float(Number.NEGATIVE_INFINITY),
  ])
  // a factor of the product would keep it from being multiplied as it lies
  const queries = e.node('Mul', [
    e.reshape(value(query), sizes(query.axes), [row, head, 1, dim]),
    e.float(scaleOf(t)),
  ])
  const scores = e.node('FusedMatMul', [queries, caches[0]!], { transB: 1 }, { domain: runtimeDomain })
  const shares = e.node('Softmax', [e.node('Add', [scores, filled])], { axis: -1 })
  const mixed = e.node('FusedMatMul', [shares, caches[1]!], {}, { domain: runtimeDomain })
  return { name: e.reshape(mixed, [row, head, 1, dim], sizes(t.axes)), caches }
}

/** The runtime's own operation, which reads what is filled. */
const overFilled = (
  t: Tensor,
  { query, sides }: Parts,
  inside: string,
  e: Emitter,
  value: ValueOf,
): Emitted => {
  const [row, head, slots, dim] = sizes(sides[0]![1].axes) as [number, number, number, number]
  const heads = elements(query.axes) / row / dim
  const flat = (x: Tensor, count: number): string => e.reshape(value(x), sizes(x.axes), [row, 1, count * dim])
  const [name, ...caches] = e.nodes(
    'GroupQueryAttention',
    [
      flat(query, heads),
      ...sides.map(([own]) => flat(own.at(-1)!, head)),
      ...sides.map(([, cache]) => value(cache)),
      inside,
      e.constant('int32', [1], Int32Array.of(slots)),
    ],
    { num_heads: heads, kv_num_heads: head, scale: { float: scaleOf(t) } },
    { domain: runtimeDomain, outputs: 3, once: false },
  )
  return { name: e.reshape(name!, [row, 1, heads * dim], sizes(t.axes)), caches }
}

const scaleOf = (t: Tensor): number => Number(t.op.op === 'composite' ? t.op.settings.scale : 0)

/** Emits one, and answers its value and what it writes. */
export const emitCachedAttention = (
  t: Tensor,
  e: Emitter,
  value: ValueOf,
): { readonly name: string; readonly written: readonly Written[] } => {
  const parts = partsOf(t)!
  const slots = parts.sides[0]![1].axes[2]!.size
  const scalar = (n: number): string => e.constant('int32', [], Int32Array.of(n))
  // no operation looks at the place: one outside would be another's memory
  const inside = e.node('Max', [e.node('Min', [value(parts.place), scalar(slots - 1)]), scalar(0)])
  const { name, caches } = (isReadWhole(parts) ? overAll : overFilled)(t, parts, inside, e, value)
  return {
    name,
    written: parts.sides.map(([, cache], i) => [caches[i]!, cache.op.op === 'state' ? cache.op.key : '']),
  }
}

/** What is computed for one: its query, the last of its own tokens, and where that stands. */
export const cachedAttentionUses = (t: Tensor): readonly Tensor[] => {
  const { query, place, sides } = partsOf(t)!
  return [query, ...sides.map(([own]) => own.at(-1)!), ...sides.map(([, cache]) => cache), place]
}
