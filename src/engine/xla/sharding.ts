/**
 * How several devices share a program. They stand in a grid whose directions have names, and a tensor's axis is dealt out
 * along one of them by its own name: the rows of a batch, the columns of a weight, experts. XLA's partitioner puts in what
 * devices tell each other. What a program computes does not depend on it.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import type { Axis, StateSpec } from '../../dsl/index.ts'
import { type EngineError, engineError } from '../error.ts'
import type { TensorValue } from '../session.ts'
import type { HostArray } from './pjrt/index.ts'

/** The devices, and what of a program each has. */
export interface Sharding {
  /** The grid: the size of each direction, the last of which changes fastest from device to device. */
  readonly mesh: readonly (readonly [direction: string, size: number])[]
  /** By the name of a tensor's axis the direction that it is dealt out along, where its size divides. */
  readonly along: ReadonlyMap<string, string>
  /** Names of axes that products and stacks inside a program are dealt out along as well. */
  readonly inner: ReadonlySet<string>
  /** Whether states that begin as zeros, which is what an optimizer keeps, are dealt out along the first direction too. */
  readonly optimizer: 'whole' | 'parted'
}

/** What {@link Sharding} is made of. */
export interface ShardingOptions {
  readonly devices?: number | Readonly<Record<string, number>>
  readonly shard?: Readonly<Record<string, string>>
  readonly optimizer?: 'whole' | 'parted'
}

/** Rows of a batch and the images of its rows go along the first direction. */
const rows = ['batch', 'tile'] as const

const wrong = (what: string): Either<EngineError, never> => left(engineError('BadOption', what))

/** Checks how devices are to share a program. Fails with `BadOption`, which names what is wrong. */
export const shardingOf = ({
  devices = 1,
  shard = {},
  optimizer = 'whole',
}: ShardingOptions): Either<EngineError, Sharding> => {
  const mesh = typeof devices === 'number' ? [['data', devices] as const] : Object.entries(devices)
  if (mesh.length === 0) return wrong('devices has no direction; give a number, or { data: 2, model: 4 }')
  for (const [name, size] of mesh)
    if (!Number.isInteger(size) || size < 1)
      return wrong(
        typeof devices === 'number'
          ? `devices must be a whole number from 1, and is ${size}`
          : `devices.${name} must be a whole number from 1, and is ${size}`,
      )
  const directions = mesh.map(([name]) => name)
  for (const [name, direction] of Object.entries(shard))
    if (!directions.includes(direction))
      return wrong(
        `shard.${name} is '${direction}', and the devices stand along ${directions.join(', ')}; give one of these`,
      )
  const idle = directions
    .slice(1)
    .find((d) => mesh.some(([n, size]) => n === d && size > 1) && !Object.values(shard).includes(d))
  if (idle !== undefined)
    return wrong(
      `nothing is dealt out along devices.${idle}, so that its devices would do the same work; name an axis, such as shard: { hidden: '${idle}' }`,
    )
  const along = new Map([...rows.map((name) => [name, directions[0]!] as const), ...Object.entries(shard)])
  return right({ mesh, along, inner: new Set(Object.keys(shard)), optimizer })
}

/** All of a program on one device. */
export const oneDevice: Sharding = {
  ...{ mesh: [['data', 1]], along: new Map(), inner: new Set() },
  optimizer: 'whole',
}

/** How many devices there are. */
export const deviceCount = ({ mesh }: Sharding): number => mesh.reduce((n, [, size]) => n * size, 1)

/** For each axis of a tensor the direction that it is dealt out along, undefined where it is whole on each. */
export type Cut = readonly (string | undefined)[]

const sizeOf = ({ mesh }: Sharding, direction: string | undefined): number =>
  mesh.find(([name]) => name === direction)?.[1] ?? 1

/** By the names of its axes. No direction cuts twice: the first axis takes it. */
export const cutOf = (s: Sharding, axes: readonly Axis[]): Cut => {
  const taken = new Set<string>()
  return axes.map(({ name, size }) => {
    const direction = s.along.get(name)
    if (direction === undefined || taken.has(direction)) return undefined
    const parts = sizeOf(s, direction)
    if (parts === 1 || size % parts !== 0) return undefined
    taken.add(direction)
    return direction
  })
}

/** Of a state: the same in every function of a program. */
export const stateCut = (s: Sharding, { axes, init }: Pick<StateSpec, 'axes' | 'init'>): Cut => {
  const cut = cutOf(s, axes)
  const [[first, parts]] = s.mesh as readonly [readonly [string, number]]
  if (s.optimizer === 'whole' || init.kind !== 'zeros') return cut
  if (parts === 1 || cut.includes(first)) return cut
  const at = axes.findIndex(({ size }, i) => cut[i] === undefined && size % parts === 0)
  return cut.map((c, i) => (i === at ? first : c))
}

/** Whether anything is dealt out. */
export const isCut = (cut: Cut): boolean => cut.some((c) => c !== undefined)

/** The partitioner's word for a cut. */
const told = (s: Sharding, cut: Cut): string => {
  if (!isCut(cut)) return '{replicated}'
  const used = cut.flatMap((c) => c ?? [])
  const directions = s.mesh.map(([name]) => name)
  const order = [...used, ...directions.filter((d) => !used.includes(d))].map((d) => directions.indexOf(d))
  const whole = deviceCount(s) / used.reduce((n, d) => n * sizeOf(s, d), 1)
  const tiles = [...cut.map((c) => sizeOf(s, c)), ...(whole > 1 ? [whole] : [])].join(',')
  const grid = order.every((o, i) => o === i)
    ? `[${deviceCount(s)}]`
    : `[${s.mesh.map(([, size]) => size).join(',')}]T(${order.join(',')})`
  return `{devices=[${tiles}]<=${grid}${whole > 1 ? ' last_tile_dim_replicate' : ''}}`
}

/** What an argument or a result of the text says of itself; nothing where there is one device. */
export const annotation = (s: Sharding, cut: Cut): string | undefined =>
  deviceCount(s) === 1 ? undefined : `mhlo.sharding = "${told(s, cut)}"`

/**
 * What a value inside a program is told, where its axes say so: an operation's attributes. The axes that are not dealt out
 * the partitioner does with as it likes.
 */
export const innerAnnotation = (s: Sharding, axes: readonly Axis[]): string | undefined => {
  if (!axes.some(({ name }) => s.inner.has(name))) return undefined
  const cut = cutOf(s, axes)
  if (!axes.some(({ name }, i) => s.inner.has(name) && cut[i] !== undefined)) return undefined
  const open = cut.flatMap((c, i) => (c === undefined ? [i] : []))
  return `{backend_config = "${open.length === 0 ? '' : `unspecified_dims=[${open.join(',')}]`}", ${annotation(s, cut)}}`
}

/** Where a device stands in each direction. */
const placeOf = ({ mesh }: Sharding, device: number): ReadonlyMap<string, number> => {
  const places = new Map<string, number>()
  let left = device
  for (const [name, size] of [...mesh].reverse()) {
    places.set(name, left % size)
    left = Math.floor(left / size)
  }
  return places
}

/** The shape of what one device has of a tensor. */
export const partShape = (s: Sharding, cut: Cut, shape: readonly number[]): readonly number[] =>
  shape.map((n, i) => n / sizeOf(s, cut[i]))

/** One of each part of a tensor: the devices of which each has another. */
export const holders = (s: Sharding, cut: Cut): readonly number[] =>
  Array.from({ length: deviceCount(s) }, (_, d) => d).filter((d) =>
    [...placeOf(s, d)].every(([name, at]) => at === 0 || cut.includes(name)),
  )

/** Stretches that lie together in the whole and in a device's part. */
const stretches = function* (
  s: Sharding,
  cut: Cut,
  shape: readonly number[],
  device: number,
): Generator<{ readonly whole: number; readonly part: number; readonly length: number }> {
  const own = partShape(s, cut, shape)
  const places = placeOf(s, device)
  const last = cut.findLastIndex((c) => c !== undefined)
  const stride = shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1))
  const length = own[last]! * stride[last]!
  const start = cut.reduce((n, c, i) => n + (c === undefined ? 0 : places.get(c)! * own[i]! * stride[i]!), 0)
  const outer = own.slice(0, last)
  const count = outer.reduce((n, d) => n * d, 1)
  for (let k = 0; k < count; k++) {
    let [whole, left] = [start, k]
    for (let i = last - 1; i >= 0; i--) {
      whole += (left % outer[i]!) * stride[i]!
      left = Math.floor(left / outer[i]!)
    }
    yield { whole, part: k * length, length }
  }
}

/** What a device has of row-major values. */
export const partOf = (
  s: Sharding,
  cut: Cut,
  data: TensorValue['data'],
  shape: readonly number[],
  device: number,
): TensorValue['data'] => {
  if (!isCut(cut)) return data
  const all = [...stretches(s, cut, shape, device)]
  const [first] = all
  if (all.length === 1) return data.subarray(first!.whole, first!.whole + first!.length)
  const own = data.slice(0, all.length * first!.length)
  for (const { whole, part, length } of all) own.set(data.subarray(whole, whole + length), part)
  return own
}

/** Row-major values of the parts that {@link holders} have, in their order. */
export const joined = (
  s: Sharding,
  cut: Cut,
  parts: readonly HostArray[],
  shape: readonly number[],
): HostArray => {
  const [first] = parts
  if (!isCut(cut)) return first!
  const count = shape.reduce((n, d) => n * d, 1)
  const all = new (first!.constructor as new (count: number) => HostArray)(count)
  holders(s, cut).forEach((device, i) => {
    for (const { whole, part, length } of stretches(s, cut, shape, device))
      all.set(parts[i]!.subarray(part, part + length) as never, whole)
  })
  return all
}
