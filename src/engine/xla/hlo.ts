/** The operations of StableHLO that the lowering writes, on values whose shapes are known. */
import { sameShape } from '../values.ts'
import { type Builder, type Element, signature, typeOf, typeOfValue, type Value } from './builder.ts'

const list = (values: readonly number[]): string => `[${values.join(', ')}]`

/** An elementwise operation whose operands and result have one type. */
export const pointwise = (g: Builder, name: string, ...operands: readonly Value[]): Value => {
  const { type, shape } = operands[0]!
  const names = operands.map((x) => x.name).join(', ')
  return g.op(`${name} ${names} : ${namedType(name, operands[0]!)}`, type, shape)
}

/** CHLO writes the result's type as well. */
const namedType = (name: string, x: Value): string =>
  name.startsWith('chlo.') ? `${typeOfValue(x)} -> ${typeOfValue(x)}` : typeOfValue(x)

/** A comparison of two values of one type: `EQ`, `NE`, `LT`, `LE`, `GT`. */
export const compare = (g: Builder, direction: string, a: Value, b: Value): Value => {
  const kind = a.type === 'bool' ? 'UNSIGNED' : a.type === 'int32' ? 'SIGNED' : 'FLOAT'
  const result = typeOf('bool', a.shape)
  return g.op(
    `stablehlo.compare ${direction}, ${a.name}, ${b.name}, ${kind} : ${signature([a, b], result)}`,
    'bool',
    a.shape,
  )
}

/** An elementwise choice. */
export const choose = (g: Builder, condition: Value, yes: Value, no: Value): Value =>
  g.op(
    `stablehlo.select ${condition.name}, ${yes.name}, ${no.name} : ${typeOfValue(condition)}, ${typeOfValue(yes)}`,
    yes.type,
    yes.shape,
  )

/** The same numbers in another type; a number becomes true where it is not 0. */
export const convert = (g: Builder, x: Value, type: Element): Value => {
  if (x.type === type) return x
  if (type === 'bool') return compare(g, 'NE', x, broadcast(g, g.scalar(x.type, 0), x.shape, []))
  return g.op(`stablehlo.convert ${x.name} : ${signature([x], typeOf(type, x.shape))}`, type, x.shape)
}

/** Float32 rounded to the numbers that bfloat16 has. */
export const rounded = (g: Builder, x: Value): Value =>
  g.op(`stablehlo.reduce_precision ${x.name}, format = e8m7 : ${typeOfValue(x)}`, x.type, x.shape)

/** The same elements in the same order under another shape. */
export const reshape = (g: Builder, x: Value, shape: readonly number[]): Value =>
  sameShape(x.shape, shape)
    ? x
    : g.op(`stablehlo.reshape ${x.name} : ${signature([x], typeOf(x.type, shape))}`, x.type, shape)

/** A value repeated: its axis `i` is axis `places[i]` of the result. */
export const broadcast = (
  g: Builder,
  x: Value,
  shape: readonly number[],
  places: readonly number[],
): Value =>
  sameShape(x.shape, shape)
    ? x
    : g.op(
        `stablehlo.broadcast_in_dim ${x.name}, dims = ${list(places)} : ${signature([x], typeOf(x.type, shape))}`,
        x.type,
        shape,
      )

/** A number everywhere. */
export const filled = (g: Builder, type: Element, shape: readonly number[], value: number): Value =>
  broadcast(g, g.scalar(type, value), shape, [])

/** The same value, with what the partitioner is told of it. */
export const annotated = (g: Builder, x: Value, attributes: string): Value =>
  g.op(
    `stablehlo.custom_call @Sharding(${x.name}) ${attributes} : ${signature([x], typeOfValue(x))}`,
    x.type,
    x.shape,
  )

/** The axes in another order: axis `i` of the result is axis `perm[i]`. */
export const transpose = (g: Builder, x: Value, perm: readonly number[]): Value => {
  if (perm.every((p, i) => p === i)) return x
  const shape = perm.map((p) => x.shape[p]!)
  return g.op(
    `stablehlo.transpose ${x.name}, dims = ${list(perm)} : ${signature([x], typeOf(x.type, shape))}`,
    x.type,
    shape,
  )
}

/** `0, 1, 2, …` along one axis of the shape. */
export const iota = (g: Builder, shape: readonly number[], along: number): Value =>
  g.op(`stablehlo.iota dim = ${along} : ${typeOf('int32', shape)}`, 'int32', shape)

/** The elements from `start` up to `start + shape`. */
export const slice = (g: Builder, x: Value, start: readonly number[], shape: readonly number[]): Value =>
  sameShape(x.shape, shape)
    ? x
    : g.op(
        `stablehlo.slice ${x.name} [${start.map((s, i) => `${s}:${s + shape[i]!}`).join(', ')}] : ${signature([x], typeOf(x.type, shape))}`,
        x.type,
        shape,
      )

/** Zeros before and after. */
export const pad = (g: Builder, x: Value, before: readonly number[], after: readonly number[]): Value => {
  const zero = g.scalar(x.type, 0)
  const shape = x.shape.map((n, i) => n + before[i]! + after[i]!)
  const none = list(x.shape.map(() => 0))
  return g.op(
    `stablehlo.pad ${x.name}, ${zero.name}, low = ${list(before)}, high = ${list(after)}, interior = ${none} : ${signature([x, zero], typeOf(x.type, shape))}`,
    x.type,
    shape,
  )
}

/** Values side by side along one axis. */
export const concatenate = (g: Builder, parts: readonly Value[], along: number): Value => {
  if (parts.length === 1) return parts[0]!
  const size = parts.reduce((n, p) => n + p.shape[along]!, 0)
  const { type, shape: first } = parts[0]!
  const shape = first.map((n, i) => (i === along ? size : n))
  return g.op(
    `stablehlo.concatenate ${parts.map((p) => p.name).join(', ')}, dim = ${along} : ${signature(parts, typeOf(type, shape))}`,
    type,
    shape,
  )
}

/** The number that changes nothing. */
const neutral = (fn: 'sum' | 'max', type: Element): number =>
  fn === 'sum' ? 0 : type === 'int32' ? -(2 ** 31) : Number.NEGATIVE_INFINITY

/** The sum or the largest element over some axes. */
export const reduce = (g: Builder, fn: 'sum' | 'max', x: Value, over: readonly number[]): Value => {
  const shape = x.shape.filter((_, i) => !over.includes(i))
  const start = g.scalar(x.type, neutral(fn, x.type))
  return g.op(
    `stablehlo.reduce(${x.name} init: ${start.name}) applies stablehlo.${fn === 'sum' ? 'add' : 'maximum'} across dimensions = ${list(over)} : ${signature([x, start], typeOf(x.type, shape))}`,
    x.type,
    shape,
  )
}

/** The first place of the largest element along one axis. */
export const argmax = (g: Builder, x: Value, along: number): Value => {
  const places = iota(g, x.shape, along)
  const [lowest, none] = [g.scalar(x.type, neutral('max', x.type)), g.scalar('int32', 2 ** 31 - 1)]
  const shape = x.shape.filter((_, i) => i !== along)
  const number = typeOf(x.type, [])
  const kind = x.type === 'int32' ? 'SIGNED' : 'FLOAT'
  const same = `(${number}, ${number}) -> tensor<i1>`
  const body = [
    `reducer(%a: ${number}, %c: ${number}) (%b: tensor<i32>, %d: tensor<i32>) {`,
    `%larger = stablehlo.compare GT, %a, %c, ${kind} : ${same}`,
    `%equal = stablehlo.compare EQ, %a, %c, ${kind} : ${same}`,
    '%before = stablehlo.compare LT, %b, %d, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>',
    '%first = stablehlo.and %equal, %before : tensor<i1>',
    '%left = stablehlo.or %larger, %first : tensor<i1>',
    `%top = stablehlo.select %left, %a, %c : tensor<i1>, ${number}`,
    '%at = stablehlo.select %left, %b, %d : tensor<i1>, tensor<i32>',
    `stablehlo.return %top, %at : ${number}, tensor<i32>`,
    '}',
  ].join('\n')
  const operands = [x, places, lowest, none]
  const results = [
    { type: x.type, shape },
    { type: 'int32' as const, shape },
  ]
  const types = `(${operands.map(typeOfValue).join(', ')}) -> (${results.map((r) => typeOf(r.type, r.shape)).join(', ')})`
  return g.ops(
    `stablehlo.reduce(${x.name} init: ${lowest.name}), (${places.name} init: ${none.name}) across dimensions = ${list([along])} : ${types}\n${body}`,
    results,
  )[1]!
}

/** Which axes of two operands are summed over and which go side by side. */
export interface Meeting {
  readonly batch: readonly [left: readonly number[], right: readonly number[]]
  readonly over: readonly [left: readonly number[], right: readonly number[]]
}

/** How exactly float32 is multiplied: as it is, or with the mantissa that tensor cores take. */
export type ProductPrecision = 'HIGHEST' | 'DEFAULT'

/** A product: the axes of the result are batch, the left one's others, the right one's others. */
export const dot = (
  g: Builder,
  a: Value,
  b: Value,
  { batch, over }: Meeting,
  type: Element,
  precision: ProductPrecision,
): Value => {
  const rest = (x: Value, side: 0 | 1): readonly number[] =>
    x.shape.filter((_, i) => !batch[side].includes(i) && !over[side].includes(i))
  const shape = [...batch[0].map((i) => a.shape[i]!), ...rest(a, 0), ...rest(b, 1)]
  const together = batch[0].length === 0 ? '' : `batching_dims = ${list(batch[0])} x ${list(batch[1])}, `
  return g.op(
    `stablehlo.dot_general ${a.name}, ${b.name}, ${together}contracting_dims = ${list(over[0])} x ${list(over[1])}, precision = [${precision}, ${precision}] : ${signature([a, b], typeOf(type, shape))}`,
    type,
    shape,
  )
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

/** Rows of the table's first axis: the index's axes, then the table's others. */
export const gatherRows = (g: Builder, table: Value, index: Value): Value => {
  const rest = table.shape.slice(1)
  const rank = index.shape.length
  const shape = [...index.shape, ...rest]
  return g.op(
    `"stablehlo.gather"(${table.name}, ${index.name}) <{dimension_numbers = #stablehlo.gather<offset_dims = ${list(range(rank, rank + rest.length))}, collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = ${rank}>, indices_are_sorted = false, slice_sizes = array<i64: ${[1, ...rest].join(', ')}>}> : ${signature([table, index], typeOf(table.type, shape))}`,
    table.type,
    shape,
  )
}

/** How a scatter finds its places. */
export interface Places {
  /** Axes of the updates that are axes of what is written to. */
  readonly window: readonly number[]
  /** Axes of what is written to that one index names. */
  readonly named: readonly number[]
  /** Whether no place is written twice. */
  readonly unique: boolean
  /** Which axis of the indices holds the numbers of one place. */
  readonly vector: number
}

/** Writes or adds updates at places; places outside are left alone. */
export const scatter = (
  g: Builder,
  fn: 'add' | 'replace',
  onto: Value,
  places: Value,
  updates: Value,
  p: Places,
): Value => {
  const number = typeOf(onto.type, [])
  const body =
    fn === 'add'
      ? `%sum = stablehlo.add %old, %new : ${number}\nstablehlo.return %sum : ${number}`
      : `stablehlo.return %new : ${number}`
  return g.op(
    `"stablehlo.scatter"(${onto.name}, ${places.name}, ${updates.name}) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = ${list(p.window)}, inserted_window_dims = ${list(p.named)}, scatter_dims_to_operand_dims = ${list(p.named)}, index_vector_dim = ${p.vector}>, unique_indices = ${p.unique}}> ({\n^bb0(%old: ${number}, %new: ${number}):\n${body}\n}) : ${signature([onto, places, updates], typeOfValue(onto))}`,
    onto.type,
    onto.shape,
  )
}

/** Adds rows up by their number among `size`. */
export const scatterRows = (g: Builder, size: number, index: Value, rows: Value): Value => {
  const rank = index.shape.length
  const rest = rows.shape.slice(rank)
  return scatter(g, 'add', filled(g, rows.type, [size, ...rest], 0), index, rows, {
    window: range(rank, rank + rest.length),
    named: [0],
    unique: false,
    vector: rank,
  })
}
