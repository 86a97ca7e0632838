/**
 * The states that a session holds: each is drawn when it is first needed, written in groups, and read ahead where states are
 * read one after another.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { elements, type Program, type StateSpec, sizes } from '../dsl/index.ts'
import { type EngineError, engineError, messageOf } from './error.ts'
import { sixteenBits } from './options.ts'
import { type Room, room } from './room.ts'
import type { LoadOptions, TensorValue, WeightSource } from './session.ts'
import { checkStates, freshState } from './values.ts'

/** Values by name or key. */
export type Values = ReadonlyMap<string, TensorValue>

/** Where the states of a program lie: in the host's memory or a device's. Methods are called one at a time. */
export interface StateStore {
  readonly program: Program
  /** The states that hold nothing until they are written. */
  readonly empty: readonly string[]
  /** Values are read and written in groups of at most this many bytes. */
  readonly groupBytes: number
  /** Whether `write` has copied all values when it ends: they may then lie in memory that is used again. */
  readonly copies?: boolean
  /** Copies of states. */
  readonly read: (specs: readonly StateSpec[]) => Promise<Values>
  /**
   * Fills states with what they begin with where they lie, and answers which: those are not made and written. Undefined where
   * they lie in the host's memory.
   */
  readonly fill?: (specs: readonly StateSpec[]) => Promise<readonly string[]>
  /** Takes values in; the arrays of `given` ones it may keep, others it copies. */
  readonly write: (values: Values, given: boolean) => Promise<void>
  /**
   * Takes a weight as its bfloat16 patterns, in an array that becomes the backend's; false where a number is too large for it.
   * Numbers below 2⁻²⁵ may be rounded. Undefined where the backend holds float32 alone.
   */
  readonly keep?: (key: string, patterns: Uint16Array) => Promise<boolean>
}

/** The states of a session. */
interface HeldStates {
  /** Fills those of some states that still hold nothing. */
  readonly settle: (keys: Iterable<string>) => Promise<Either<EngineError, void>>
  readonly read: (specs: readonly StateSpec[]) => Promise<Either<EngineError, Values>>
  /** Takes values over, where they are of the states' shapes and dtypes. */
  readonly write: (checked: Either<EngineError, Values>) => Promise<Either<EngineError, void>>
  /** Fills what is there at once, when the session is opened; of `last` weights may lie as they are stored. */
  readonly fill: (
    from: Pick<LoadOptions, 'values' | 'weights'>,
    last: ReadonlySet<string>,
  ) => Promise<Either<EngineError, void>>
  /** Forgets what was read ahead: something is about to change states. */
  readonly forget: () => void
  /** Some states hold something from now on; which of them held nothing before. */
  readonly filled: (keys: Iterable<string>) => readonly string[]
  /** Some states hold nothing after all. */
  readonly lost: (keys: Iterable<string>) => void
}

/** Bytes that are read ahead at most. */
const mostAhead = 2 ** 26

/** Bytes of a state. */
export const stateBytes = ({ axes }: StateSpec): number => elements(axes) * 4

/** Keys in groups whose states together take at most so many bytes; a larger state has a group of its own. */
export const grouped = (
  { states }: Program,
  keys: Iterable<string>,
  most: number,
): readonly (readonly string[])[] => {
  const groups: string[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const key of keys) {
    const size = stateBytes(states.get(key)!)
    if (bytes + size > most) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(key)
    bytes += size
  }
  return groups
}

/** The states of a program where they lie, of which none is filled yet; `seed` draws what nothing else is said of. */
export const heldStates = (store: StateStore, seed: number): HeldStates => {
  const { program } = store
  const empty = new Set(store.empty)

  /** Writes values that come one by one, in groups; each belongs to the session. */
  const take = async (
    keys: Iterable<string>,
    make: (key: string, lent: Room) => Promise<Either<EngineError, TensorValue>>,
  ): Promise<Either<EngineError, void>> => {
    const { groupBytes, copies = false } = store
    const sizeOf = (key: string): number => stateBytes(program.states.get(key)!)
    const writeAll = async (
      groups: readonly (readonly string[])[],
      lent: Room,
    ): Promise<Either<EngineError, void>> => {
      for (const group of groups) {
        const values = new Map<string, TensorValue>()
        for (const key of group) {
          const value = await make(key, lent)
          if (isLeft(value)) return value
          values.set(key, value.right)
        }
        await store.write(values, true)
        for (const key of group) empty.delete(key)
        lent.empty()
      }
      return right(undefined)
    }
    const all = [...keys]
    // one that is copied as a whole goes first, while little else is in memory
    const large = copies ? all.filter((key) => sizeOf(key) > groupBytes) : []
    large.sort((a, b) => sizeOf(b) - sizeOf(a))
    const written = await writeAll(
      large.map((key) => [key]),
      room(large.length === 0 ? 0 : sizeOf(large[0]!)),
    )
    if (isLeft(written)) return written
    const alone = new Set(large)
    const others = all.filter((key) => !alone.has(key))
    return writeAll(grouped(program, others, groupBytes), room(copies ? groupBytes : 0))
  }

  /** Fills those of the states that still hold nothing. */
  const settle: HeldStates['settle'] = async (keys) => {
    const wanted = [...keys].filter((k) => empty.has(k)).map((k) => program.states.get(k)!)
    const made = wanted.length === 0 ? undefined : await store.fill?.(wanted)
    for (const key of made ?? []) empty.delete(key)
    return take(
      wanted.flatMap(({ key }) => (empty.has(key) ? [key] : [])),
      async (key) => {
        const spec = program.states.get(key)!
        return right({ shape: sizes(spec.axes), dtype: spec.dtype, data: freshState(spec, seed) })
      },
    )
  }

  const order = [...program.states.values()]
  const places = new Map(order.map(({ key }, place) => [key, place]))
  /** What was read ahead and not asked for yet, and the place of the state that was asked for last, where that was one alone. */
  let ahead = new Map<string, TensorValue>()
  let last = Number.POSITIVE_INFINITY
  const forget = (): void => {
    ahead = new Map()
    last = Number.POSITIVE_INFINITY
  }

  /** The states that stand behind one, as many as are read ahead with it. */
  const behind = (spec: StateSpec): readonly StateSpec[] => {
    const found: StateSpec[] = []
    let bytes = stateBytes(spec)
    for (const next of order.slice(places.get(spec.key)! + 1)) {
      bytes += stateBytes(next)
      if (bytes > Math.min(store.groupBytes, mostAhead) || empty.has(next.key)) break
      found.push(next)
    }
    return found
  }

  const read: HeldStates['read'] = async (specs) => {
    const [one] = specs
    const alone = specs.length === 1 && one !== undefined
    const place = alone ? places.get(one.key)! : Number.POSITIVE_INFINITY
    // in another order most of what is read ahead would be dropped
    const goesOn = place > last
    last = place
    const had = alone ? ahead.get(one.key) : undefined
    if (alone && had !== undefined) {
      // whoever asked may change it
      ahead.delete(one.key)
      return right(new Map([[one.key, had]]))
    }
    const settled = await settle(specs.map((s) => s.key))
    if (isLeft(settled)) return settled
    // an engine that reads in groups prepares for each: states that are read one after another are read together
    const more = alone && goesOn ? behind(one) : []
    // one of those may be lost, or too much: what was asked for is read by itself then
    const group = more.length === 0 ? undefined : await store.read([...specs, ...more]).catch(() => undefined)
    if (group === undefined) return right(await store.read(specs))
    ahead = new Map(more.map(({ key }) => [key, group.get(key)!]))
    return right(new Map([[one!.key, group.get(one!.key)!]]))
  }

  const write: HeldStates['write'] = async (checked) => {
    if (isLeft(checked)) return checked
    forget()
    await store.write(checked.right, false)
    for (const key of checked.right.keys()) empty.delete(key)
    return right(undefined)
  }

  const known = (keys: Iterable<string>): readonly string[] =>
    [...new Set(keys)].filter((k) => program.states.has(k))
  const fill: HeldStates['fill'] = async ({ values, weights }, last) => {
    const can = sixteenBits(weights !== 'stored' || store.keep !== undefined)
    if (isLeft(can)) return can
    if (values === undefined) return right(undefined)
    if (values instanceof Map)
      return write(checkStates(program, new Map(known(values.keys()).map((k) => [k, values.get(k)!]))))
    const source = values as WeightSource
    const bad = (key: string, e: Error) =>
      left(engineError('BadInput', `state '${key}' cannot be read: ${messageOf(e)}`, e))
    const others: string[] = []
    for (const key of known(source.keys)) {
      const { dtype, axes } = program.states.get(key)!
      const may = weights === 'stored' && last.has(key) && dtype === 'float32' && axes.length > 1
      const reading = may ? source.bfloat16?.(key) : undefined
      const patterns = reading === undefined ? undefined : await reading()
      if (patterns !== undefined && isLeft(patterns)) return bad(key, patterns.left)
      const fits = patterns?.right.length === elements(axes)
      if (patterns !== undefined && fits && (await store.keep!(key, patterns.right))) empty.delete(key)
      else others.push(key)
    }
    return take(others, async (key, lent) => {
      const { dtype, axes } = program.states.get(key)!
      const place = dtype === 'float32' ? lent.floats(elements(axes)) : undefined
      const value = await source.read(key, place)()
      if (isLeft(value)) return bad(key, value.left)
      const checked = checkStates(program, new Map([[key, value.right]]))
      return isLeft(checked) ? checked : value
    })
  }
  return {
    settle,
    read,
    write,
    fill,
    forget,
    filled: (keys) => [...keys].filter((key) => empty.delete(key)),
    lost: (keys) => {
      for (const key of keys) empty.add(key)
    },
  }
}
