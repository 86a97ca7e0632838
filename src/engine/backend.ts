/**
 * A session around a native library: what both engines do alike before and after anything native is called.
 *
 * Everything goes through one queue, whose every turn ends as a value: a library that throws, a value of no kind, a
 * shortage of memory become an {@link EngineError}, and no promise rejects.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import {
  elements,
  type IndexCheck,
  indexCheck,
  madeFor,
  type Program,
  type StateSpec,
  sizes,
  type Variant,
} from '../dsl/index.ts'
import { type EngineError, engineError, messageOf } from './error.ts'
import { sixteenBits } from './options.ts'
import { outOfMemory } from './out-of-memory.ts'
import { type Room, room } from './room.ts'
import type { EngineName, LoadOptions, Precision, Session, TensorValue, WeightSource } from './session.ts'
import { type Chosen, checkSnapshot, checkStates, chooseVariant, freshState, statesOf } from './values.ts'

/** Values by name or key. */
export type Values = ReadonlyMap<string, TensorValue>

/** What a function gives, or why it gives nothing. */
export type Called = Either<EngineError, Readonly<Record<string, TensorValue>>>

/** What a native library does. Methods are called one at a time with what was checked; they may throw anything. */
export interface Backend {
  readonly name: EngineName
  readonly program: Program
  /** The states that hold nothing until they are written. */
  readonly empty: readonly string[]
  /** Values are read and written in groups of at most this many bytes. */
  readonly groupBytes: number
  /** Whether `write` has copied all values when it ends: they may then lie in memory that is used again. */
  readonly copies?: boolean
  readonly call: (name: string, chosen: Chosen) => Promise<Called>
  /**
   * The same in two steps, where a device computes beside this thread: what is asked next may be started as soon as this is
   * under way. Closing waits for what was started.
   */
  readonly start?: (name: string, chosen: Chosen) => Promise<Either<EngineError, () => Promise<Called>>>
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
  /**
   * Compiles what a later backend of these functions finds compiled, and runs nothing. Undefined where nothing is kept of a
   * program.
   */
  readonly prepare?: (functions: readonly (readonly [name: string, variant: Variant])[]) => Promise<void>
  readonly close: () => Promise<void>
}

/** What making a backend is told, wherever it is made. */
export interface BackendOptions {
  /** Threads of the native library. */
  readonly threads?: number
  /** Default `float32`. */
  readonly precision?: Precision
  /** What compiles, where the engine runs node by node else. */
  readonly compile?: 'xla'
  /** The plugin's file and its flags, where the engine has plugins; its client, where another thread has it open. */
  readonly plugin?: string
  readonly client?: bigint
  readonly flags?: Readonly<Record<string, string | number | boolean>>
  readonly attention?: 'auto' | 'definition'
  /** Where onnx computes. */
  readonly device?: 'cpu' | 'webgpu'
  /** How many of the plugin's devices share the work, and how. */
  readonly devices?: number | Readonly<Record<string, number>>
  readonly shard?: Readonly<Record<string, string>>
  readonly optimizer?: 'whole' | 'parted'
  /** A folder for temporary files, which whoever gives it takes away. */
  readonly scratch?: string
}

/** Bytes that are read ahead at most. */
const mostAhead = 2 ** 26

const bytesOf = ({ axes }: StateSpec): number => elements(axes) * 4

const checks = new WeakMap<Variant, IndexCheck>()

/** The check of a variant's indices, made once. */
const checkOf = (v: Variant): IndexCheck => {
  const check = checks.get(v) ?? indexCheck([...Object.values(v.outputs), ...v.next.values()])
  checks.set(v, check)
  return check
}

const badIndex = (name: string, message: string, where: string): EngineError => ({
  ...engineError('BadInput', `function '${name}': ${message}${where === '' ? '' : `\n  built at ${where}`}`),
  ...(where === '' ? {} : { where }),
})

/** A turn of the event loop, in which timers run and signals are heard: promises alone never let it turn. */
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Runs a task; whatever it throws is an error that says what was being done. */
export const guarded = async <A>(
  what: string,
  task: () => Promise<Either<EngineError, A>>,
  call: () => Chosen | undefined = () => undefined,
): Promise<Either<EngineError, A>> => {
  const short = (cause: unknown): EngineError | undefined => outOfMemory(what, cause, call())
  try {
    const result = await task()
    return isLeft(result) && result.left.cause !== undefined
      ? left(short(result.left.cause) ?? result.left)
      : result
  } catch (e) {
    return left(short(e) ?? engineError('Failed', `${what} failed: ${messageOf(e)}`, e))
  }
}

/** The states that no function of a program replaces. The program is as it was built: passes are not run for it. */
export const lasting = (program: Program): ReadonlySet<string> => {
  const replaced = new Set(
    [...program.functions.values()].flatMap((vs) => vs.flatMap((v) => [...v.next.keys()])),
  )
  return new Set([...program.states.keys()].filter((key) => !replaced.has(key)))
}

/**
 * Opens a session over a native library; the state is filled from `values` at once, and else when it is needed.
 *
 * @param last the states that may lie as they are stored, where that is asked for
 */
export const openSession =
  (
    backend: Backend,
    { seed = 0, values, weights }: LoadOptions = {},
    last: ReadonlySet<string> = new Set(),
  ): TaskEither<EngineError, Session> =>
  async () => {
    const { program } = backend
    const empty = new Set(backend.empty)
    let closed = false
    let queue: Promise<unknown> = Promise.resolve()

    /** Runs tasks one after another, each in a turn of the event loop; after closing they fail. */
    const inTurn =
      <A>(
        what: string,
        task: () => Promise<Either<EngineError, A>>,
        call?: () => Chosen | undefined,
      ): TaskEither<EngineError, A> =>
      () => {
        const turn = queue.then(async (): Promise<Either<EngineError, A>> => {
          if (closed)
            return left(engineError('Closed', `${what}: the session of program '${program.name}' is closed`))
          await turnOfTheLoop()
          return guarded(what, task, call)
        })
        queue = turn
        return turn
      }

    /** Writes values that come one by one, in groups; each belongs to the session. */
    const take = async (
      keys: Iterable<string>,
      make: (key: string, lent: Room) => Promise<Either<EngineError, TensorValue>>,
    ): Promise<Either<EngineError, void>> => {
      const { groupBytes, copies = false } = backend
      const sizeOf = (key: string): number => bytesOf(program.states.get(key)!)
      const all = [...keys]
      // one that is copied as a whole goes first, while little else is in memory
      const large = copies ? all.filter((key) => sizeOf(key) > groupBytes) : []
      const alone = new Set(large)
      large.sort((a, b) => sizeOf(b) - sizeOf(a))
      let lent = room(large.length === 0 ? 0 : sizeOf(large[0]!))
      let group = new Map<string, TensorValue>()
      let bytes = 0
      const flush = async (): Promise<void> => {
        if (group.size === 0) return
        await backend.write(group, true)
        for (const key of group.keys()) empty.delete(key)
        group = new Map()
        bytes = 0
        lent.empty()
      }
      const add = async (key: string): Promise<Either<EngineError, void>> => {
        if (bytes + sizeOf(key) > groupBytes) await flush()
        const value = await make(key, lent)
        if (isLeft(value)) return value
        group.set(key, value.right)
        bytes += sizeOf(key)
        return right(undefined)
      }
      for (const key of large) {
        const added = await add(key)
        if (isLeft(added)) return added
      }
      await flush()
      lent = room(copies ? groupBytes : 0)
      for (const key of all) {
        const added = alone.has(key) ? right(undefined) : await add(key)
        if (isLeft(added)) return added
      }
      await flush()
      return right(undefined)
    }

    /** Fills those of the states that still hold nothing. */
    const settle = async (keys: Iterable<string>): Promise<Either<EngineError, void>> => {
      const wanted = [...keys].filter((k) => empty.has(k)).map((k) => program.states.get(k)!)
      const made = wanted.length === 0 ? undefined : await backend.fill?.(wanted)
      for (const key of made ?? []) empty.delete(key)
      return take(
        wanted.flatMap(({ key }) => (empty.has(key) ? [key] : [])),
        async (key) => {
          const spec = program.states.get(key)!
          return right({ shape: sizes(spec.axes), dtype: spec.dtype, data: freshState(spec, seed) })
        },
      )
    }

    /** What was read ahead and not asked for yet, and whether one state alone was asked for last. */
    let ahead = new Map<string, TensorValue>()
    let oneByOne = false
    const forget = (): void => {
      ahead = new Map()
      oneByOne = false
    }

    /** The states that stand behind one, as many as are read ahead with it. */
    const behind = (spec: StateSpec): readonly StateSpec[] => {
      const all = [...program.states.values()]
      const found: StateSpec[] = []
      let bytes = bytesOf(spec)
      for (const next of all.slice(all.findIndex(({ key }) => key === spec.key) + 1)) {
        bytes += bytesOf(next)
        if (bytes > Math.min(backend.groupBytes, mostAhead) || empty.has(next.key)) break
        found.push(next)
      }
      return found
    }

    const readAll = async (specs: readonly StateSpec[]): Promise<Either<EngineError, Values>> => {
      const [one] = specs
      const alone = specs.length === 1 && one !== undefined
      const had = alone ? ahead.get(one.key) : undefined
      if (alone && had !== undefined) {
        // whoever asked may change it
        ahead.delete(one.key)
        return right(new Map([[one.key, had]]))
      }
      const settled = await settle(specs.map((s) => s.key))
      if (isLeft(settled)) return settled
      // an engine that reads in groups prepares for each: states that are read one after another are read together
      const more = alone && oneByOne ? behind(one) : []
      oneByOne = alone
      // one of those may be lost, or too much: what was asked for is read by itself then
      const group =
        more.length === 0 ? undefined : await backend.read([...specs, ...more]).catch(() => undefined)
      if (group === undefined) return right(await backend.read(specs))
      ahead = new Map(more.map(({ key }) => [key, group.get(key)!]))
      return right(new Map([[one!.key, group.get(one!.key)!]]))
    }

    const writeAll = async (checked: Either<EngineError, Values>): Promise<Either<EngineError, void>> => {
      if (isLeft(checked)) return checked
      forget()
      await backend.write(checked.right, false)
      for (const key of checked.right.keys()) empty.delete(key)
      return right(undefined)
    }

    /** Starts a call; the answer gives what it gives. */
    const start = async (
      name: string,
      chosen: Chosen,
    ): Promise<Either<EngineError, () => Promise<Called>>> => {
      if (backend.start !== undefined) return backend.start(name, chosen)
      const called = await backend.call(name, chosen)
      return isLeft(called) ? called : right(async () => called)
    }

    const call: Session['call'] = (name, inputs) => {
      let chosen: Chosen | undefined
      let filled: readonly string[] = []
      const what = `function '${String(name)}'`
      const started = inTurn(
        what,
        async () => {
          if (!madeFor(program, name, backend.name))
            return left(
              engineError(
                'BadInput',
                `${what} is made for ${program.engines!.get(name)!.join(' and ')}, and this session is ${backend.name}'s; call another function, or load the program with such an engine`,
              ),
            )
          const choice = chooseVariant(program, name, inputs)
          if (isLeft(choice)) return choice
          chosen = choice.right
          const { variant, inputs: fed } = chosen
          const wrong = checkOf(variant)((input) => fed.get(input)!.data)
          if (wrong !== undefined) return left(badIndex(name, wrong.message, wrong.use.by.site.line))
          const settled = await settle(variant.states.keys())
          if (isLeft(settled)) return settled
          forget()
          const given = await start(name, chosen)
          if (given._tag === 'Right') {
            filled = [...variant.next.keys()].filter((key) => empty.delete(key))
          }
          return given
        },
        () => chosen,
      )
      return async () => {
        const given = await started()
        if (isLeft(given)) return given
        const got = await guarded(what, given.right, () => chosen)
        if (isLeft(got)) for (const key of filled) empty.add(key)
        return got
      }
    }

    const session: Session = {
      engine: backend.name,
      program,
      call,
      read: (keys) =>
        inTurn('read', async () => {
          const specs = statesOf(program, keys)
          return isLeft(specs) ? specs : readAll(specs.right)
        }),
      write: (values) => inTurn('write', async () => writeAll(checkStates(program, values))),
      snapshot: () =>
        inTurn('snapshot', async () => {
          const states = await readAll([...program.states.values()])
          return isLeft(states) ? states : right({ states: states.right })
        }),
      restore: (snapshot) => inTurn('restore', async () => writeAll(checkSnapshot(program, snapshot))),
      close: () => () => {
        const turn = queue.then(async (): Promise<Either<EngineError, void>> => {
          if (closed) return right(undefined)
          closed = true
          forget()
          return guarded('close', async () => right(await backend.close()))
        })
        queue = turn
        return turn
      },
    }

    const known = (keys: Iterable<string>): readonly string[] =>
      [...new Set(keys)].filter((k) => program.states.has(k))
    const fill = async (): Promise<Either<EngineError, void>> => {
      const can = sixteenBits(weights !== 'stored' || backend.keep !== undefined)
      if (isLeft(can)) return can
      if (values === undefined) return right(undefined)
      if (values instanceof Map)
        return writeAll(checkStates(program, new Map(known(values.keys()).map((k) => [k, values.get(k)!]))))
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
        if (patterns !== undefined && fits && (await backend.keep!(key, patterns.right))) empty.delete(key)
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
    const filled = await guarded(`loading program '${program.name}'`, fill)
    if (isLeft(filled)) {
      await session.close()()
      return filled
    }
    return right(session)
  }
