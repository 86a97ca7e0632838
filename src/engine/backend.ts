/**
 * A session around a native library: what both engines do alike before and after anything native is called.
 *
 * Everything goes through one queue, whose every turn ends as a value: a library that throws, a value of no kind, a
 * shortage of memory become an {@link EngineError}, and no promise rejects.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type IndexCheck, indexCheck, madeFor, type Program, type Variant } from '../dsl/index.ts'
import { rootsOf } from '../dsl/internal.ts'
import { type EngineError, engineError, messageOf } from './error.ts'
import { heldStates, type StateStore } from './held-states.ts'
import { outOfMemory } from './out-of-memory.ts'
import type { EngineName, LoadOptions, Precision, Session, TensorValue } from './session.ts'
import { type Chosen, checkSnapshot, checkStates, chooseVariant, statesOf } from './values.ts'

export type { Values } from './held-states.ts'

/** What a function gives, or why it gives nothing. */
export type Called = Either<EngineError, Readonly<Record<string, TensorValue>>>

/** What a native library does. Methods are called one at a time with what was checked; they may throw anything. */
export interface Backend extends StateStore {
  readonly name: EngineName
  readonly call: (name: string, chosen: Chosen) => Promise<Called>
  /**
   * The same in two steps, where a device computes beside this thread: what is asked next may be started as soon as this is
   * under way. Closing waits for what was started.
   */
  readonly start?: (name: string, chosen: Chosen) => Promise<Either<EngineError, () => Promise<Called>>>
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
  /** The states that no function of the program replaces, where the engine does something else with those. */
  readonly lasting?: ReadonlySet<string>
  /** A folder for temporary files, which whoever gives it takes away. */
  readonly scratch?: string
}

const checks = new WeakMap<Variant, IndexCheck>()

/** The check of a variant's indices, made once. */
const checkOf = (v: Variant): IndexCheck => {
  const check = checks.get(v) ?? indexCheck(rootsOf(v))
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
    const states = heldStates(backend, seed)
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

    /** Starts a call; the answer gives what it gives. */
    const start = async (
      name: string,
      chosen: Chosen,
    ): Promise<Either<EngineError, () => Promise<Called>>> => {
      const { outputs, next } = chosen.variant
      // TensorFlow refuses a call of which nothing is wanted
      if (Object.keys(outputs).length === 0 && next.size === 0) return right(async () => right({}))
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
          const settled = await states.settle(variant.states.keys())
          if (isLeft(settled)) return settled
          states.forget()
          const given = await start(name, chosen)
          if (given._tag === 'Right') filled = states.filled(variant.next.keys())
          return given
        },
        () => chosen,
      )
      return async () => {
        const given = await started()
        if (isLeft(given)) return given
        const got = await guarded(what, given.right, () => chosen)
        if (isLeft(got)) states.lost(filled)
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
          return isLeft(specs) ? specs : states.read(specs.right)
        }),
      write: (values) => inTurn('write', async () => states.write(checkStates(program, values))),
      snapshot: () =>
        inTurn('snapshot', async () => {
          const all = await states.read([...program.states.values()])
          return isLeft(all) ? all : right({ states: all.right })
        }),
      restore: (snapshot) => inTurn('restore', async () => states.write(checkSnapshot(program, snapshot))),
      close: () => () => {
        const turn = queue.then(async (): Promise<Either<EngineError, void>> => {
          if (closed) return right(undefined)
          closed = true
          states.forget()
          return guarded('close', async () => right(await backend.close()))
        })
        queue = turn
        return turn
      },
    }

    const filled = await guarded(`loading program '${program.name}'`, () =>
      states.fill({ values, weights }, last),
    )
    if (isLeft(filled)) {
      await session.close()()
      return filled
    }
    return right(session)
  }
