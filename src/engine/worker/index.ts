/**
 * An engine behind a thread: while it computes, the main thread's timers, signals and streams go on.
 *
 * @since 0.1.0
 */

import { type Either, isLeft, right } from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import {
  clampProgram,
  forEngine,
  optimiseProgram,
  type Program,
  type StateSpec,
  type Variant,
} from '../../dsl/index.ts'
import { kindOf, onlySettings, SettingsError } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import type { Compiling } from '../../terminal/index.ts'
import { type Backend, type BackendOptions, type Called, lasting, openSession } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { grouped } from '../held-states.ts'
import { engineFault, loading } from '../loading.ts'
import { settingsOf, toldAs } from '../precision.ts'
import type { Engine, EngineName, LoadOptions } from '../session.ts'
import { removeFolder, temporaryFolder } from '../tensorflow/temporary-folder.ts'
import type { Chosen } from '../values.ts'
import { flatten } from './flat-graph.ts'
import { startThread, type Thread } from './thread.ts'
import { callMemory, packed, parcel } from './transfer.ts'

export type { Compiling } from '../../terminal/index.ts'
export { threadsAtRest } from './thread.ts'

/** States that their owner keeps are copied and sent in groups of about this many bytes. */
const copiedBytes = 2 ** 26

/** Calls that are on their way to the thread or under way there, at most. */
const ahead = 4

/** What may be heard of a thread. */
export interface ThreadOptions {
  /**
   * Hears what is compiled for longer than `every`, at that pace and at its end. The first call of a function is counted with
   * it, since both are one answer of the thread.
   */
  readonly onCompiling?: (c: Compiling) => void
  /** Milliseconds between two words of it; default 1000. */
  readonly every?: number
  /**
   * Milliseconds for which a thread of xla waits for the next session when its own was closed, so that stages which follow one
   * another pay once for modules and warm code; default 10 000.
   */
  readonly rest?: number
}

/** Threads for sessions that follow one another: one that was closed waits a while for the next. */
const threadsOf = (engine: EngineName, rest = 10_000) => {
  let waiting: { readonly thread: Thread; readonly clock: NodeJS.Timeout } | undefined
  const taken = (): Thread | undefined => {
    const found = waiting
    waiting = undefined
    clearTimeout(found?.clock)
    return found?.thread.ended() === false ? found.thread : undefined
  }
  return {
    take: (): Thread => taken() ?? startThread(),
    /** Gives a thread back whose backend is closed. */
    give: async (thread: Thread): Promise<void> => {
      if (engine !== 'xla' || rest === 0 || waiting !== undefined || thread.ended()) return thread.end()
      const clock = setTimeout(() => taken()?.end(), rest)
      // it keeps no process alive
      clock.unref()
      waiting = { thread, clock }
    },
  }
}

/** Tells of what takes long until it is there. */
const told = async <A>(
  what: string,
  { onCompiling, every = 1000 }: ThreadOptions,
  asked: Promise<A>,
): Promise<A> => {
  if (onCompiling === undefined) return asked
  const began = performance.now()
  const tell = (done: boolean) => onCompiling({ what, seconds: (performance.now() - began) / 1000, done })
  let times = 0
  const clock = setInterval(() => {
    times++
    tell(false)
  }, every)
  try {
    return await asked
  } finally {
    clearInterval(clock)
    if (times > 0) tell(true)
  }
}

/** A backend that lives in a thread. Its graphs are lowered and compiled there as well. */
const backendIn =
  (
    thread: Thread,
    { name: engine, threadOptions }: Engine,
    program: Program,
    { threads, precision, compile, lasting }: LoadOptions & Pick<BackendOptions, 'lasting'>,
    scratch: string | undefined,
    heard: ThreadOptions,
  ): TE.TaskEither<EngineError, Backend> =>
  async () => {
    /** The variants that the thread has, by function and place. */
    const sent = new Set<string>()
    const placeOf = (name: string, index: number): string => `${index} ${name}`
    const compiledOnce = new Set<Variant>()
    const functions = [...forEngine(program, engine).functions]
    const opening = parcel()
    // tensorflow takes a whole program at once; the others compile what is called
    const all = engine === 'tensorflow' ? functions.flatMap(([, variants]) => variants) : []
    if (engine === 'tensorflow')
      for (const [name, variants] of functions) for (const i of variants.keys()) sent.add(placeOf(name, i))
    const asking = thread.ask(
      'open',
      {
        engine,
        name: program.name,
        states: [...program.states.values()],
        functions: functions.map(([name, variants]) => [name, all.length === 0 ? 0 : variants.length]),
        graph: all.length === 0 ? undefined : flatten(all, opening.lend),
        options: {
          ...threadOptions,
          ...present({ threads, precision, compile, lasting, scratch }),
        },
      },
      opening.moved,
    )
    const opened = await told(program.name, heard, asking)
    if (isLeft(opened)) return opened
    // onnxruntime-node takes no shared memory
    const memory = engine === 'onnx' ? undefined : callMemory()
    const asked = async (name: string, { variant, index, inputs }: Chosen): Promise<Called> => {
      const { lend, moved } = parcel()
      const own = memory?.()
      const place = placeOf(name, index)
      const graph = sent.has(place) ? undefined : flatten([variant], lend)
      sent.add(place)
      const given = packed(inputs, (data) => own?.copied(data) ?? lend(data))
      const answering = thread.ask('call', { name, index, graph, inputs: given }, moved)
      const first = graph !== undefined || (compile !== undefined && !compiledOnce.has(variant))
      compiledOnce.add(variant)
      const answer = await (first ? told(name, heard, answering) : answering)
      // of a call that failed something may still be on its way to the device
      if (isLeft(answer)) return answer
      own?.answered()
      return right(Object.fromEntries(answer.right))
    }
    const underWay = new Set<Promise<Called>>()
    const started = async (
      name: string,
      chosen: Chosen,
    ): Promise<Either<EngineError, () => Promise<Called>>> => {
      while (underWay.size >= ahead) await Promise.race([...underWay].map((c) => c.catch(() => undefined)))
      const called = asked(name, chosen)
      underWay.add(called)
      called.catch(() => undefined).finally(() => underWay.delete(called))
      return right(() => called)
    }
    return right({
      name: engine,
      program,
      empty: opened.right.empty,
      groupBytes: opened.right.groupBytes,
      ...(opened.right.keeps
        ? {
            keep: async (key: string, patterns: Uint16Array) => {
              const moved = [patterns.buffer as ArrayBuffer]
              return thread.ask('keep', { key, patterns }, moved)
            },
          }
        : {}),
      ...(opened.right.fills
        ? {
            fill: async (specs: readonly StateSpec[]) =>
              thread.ask('fill', { keys: specs.map((s) => s.key) }),
          }
        : {}),
      call: async (name, chosen) => asked(name, chosen),
      // the thread answers in order, and starts the next call as soon as its engine may
      ...(engine === 'xla' ? { start: async (name: string, chosen: Chosen) => started(name, chosen) } : {}),
      prepare: async (functions) => {
        const { lend, moved } = parcel()
        const graphs = functions.map(([f, variant]) => [f, flatten([variant], lend)] as const)
        await thread.ask('prepare', { functions: graphs }, moved)
      },
      read: async (specs) => new Map(await thread.ask('read', { keys: specs.map((s) => s.key) })),
      write: async (values, given) => {
        for (const keys of given ? [[...values.keys()]] : grouped(program, values.keys(), copiedBytes)) {
          const { lend, give, moved } = parcel()
          const group = keys.map((key) => [key, values.get(key)!] as const)
          await thread.ask('write', { values: packed(group, given ? give : lend) }, moved)
        }
      },
      close: async () => {
        try {
          await thread.ask('close', {})
        } catch (e) {
          // one that has ended holds nothing any more
          if (!thread.ended()) throw e
        }
      },
    })
  }

/** Compiles programs beside what runs, in a thread for all of them; a function that several have is compiled once. */
export const compileAhead =
  (engine: Engine): NonNullable<Engine['compileAhead']> =>
  (programs, options = {}) => {
    if (typeof programs?.[Symbol.iterator] !== 'function')
      throw new SettingsError(
        'compileAhead',
        'programs',
        `it is ${kindOf(programs)}; give a list of programs`,
      )
    onlySettings('compileAhead', options, ['precision'])
    const seen = new Set<Variant>()
    const threads = threadsOf(engine.name)
    let working: Thread | undefined
    let ended = false
    const one = async (program: Program): Promise<void> => {
      const own = [...forEngine(program, engine.name).functions].map(
        ([name, variants]) => [name, variants.filter((v) => !seen.has(v))] as const,
      )
      for (const [, variants] of own) for (const v of variants) seen.add(v)
      const fresh = { ...program, functions: new Map(own.filter(([, variants]) => variants.length > 0)) }
      if (fresh.functions.size === 0) return
      const run = clampProgram(optimiseProgram(fresh))
      const thread = threads.take()
      working = thread
      try {
        const made = await backendIn(
          thread,
          engine,
          run,
          { ...settingsOf(engine), ...present(options) },
          undefined,
          {},
        )()
        if (isLeft(made)) return await thread.end()
        const functions = [...run.functions].flatMap(([name, vs]) => vs.map((v) => [name, v] as const))
        await made.right.prepare!(functions)
        await made.right.close()
        await threads.give(thread)
      } catch (e) {
        await thread.end()
        throw e
      }
    }
    const all = async (): Promise<void> => {
      for (const program of programs) {
        if (ended) return
        // what fails here says so when it is loaded
        await one(program).catch(() => undefined)
      }
    }
    const done = all()
    const end = async (): Promise<void> => {
      ended = true
      await working?.end()
      await done
    }
    return { done, end }
  }

/**
 * The engine in a thread of its own for each session. A session does the same and gives the same bits; what it is asked
 * goes to the thread as messages.
 *
 * - Inputs and written states stay the caller's: they are copied once, when they are sent, and the copy is moved, or lies in
 *   memory that the session uses again for later calls. What lies in a `SharedArrayBuffer` is not copied, and has to stay as
 *   it is until the call has ended; onnxruntime-node takes no such memory, and there the thread copies it.
 * - The arrays that a `WeightSource` gives are moved, and empty afterwards: they are the session's.
 * - Results are moved out of the thread.
 * - Closing ends the thread, or leaves it to the session that is loaded next. One that ends by itself is a `Failed` of every
 *   call that waits and every later one.
 * - A thread keeps the process alive only while it owes an answer.
 *
 * @category engines
 */
export const inWorker = (engine: Engine, heard: ThreadOptions = {}): Engine => {
  onlySettings('inWorker', heard, ['onCompiling', 'every', 'rest'])
  const fault = engineFault(engine)
  if (fault !== undefined) throw new SettingsError('inWorker', 'engine', fault)
  const threads = threadsOf(engine.name, heard.rest)
  const load = loading(engine, async (program, options) => {
    // a thread that is stopped takes no folder away
    const scratch = engine.name === 'tensorflow' ? temporaryFolder() : undefined
    const thread = threads.take()
    const end = async (leave = thread.end): Promise<void> => {
      await leave()
      if (scratch !== undefined) await removeFolder(scratch)
    }
    try {
      const last = lasting(program)
      const run = clampProgram(optimiseProgram(program))
      const made = await backendIn(thread, engine, run, { ...options, lasting: last }, scratch, heard)()
      if (isLeft(made)) {
        await end()
        return made
      }
      const close = async (): Promise<void> => {
        try {
          await made.right.close()
        } catch (e) {
          await end()
          throw e
        }
        await end(() => threads.give(thread))
      }
      return await openSession({ ...made.right, close }, options, last)()
    } catch (e) {
      await end()
      throw e
    }
  })
  return {
    name: engine.name,
    version: engine.version,
    ...settingsOf(engine),
    ...present({ accelerated: engine.accelerated, devices: engine.devices }),
    // on a processor compilers would take what training computes on
    ...(engine.name === 'xla' && engine.accelerated === true ? { compileAhead: compileAhead(engine) } : {}),
    load: toldAs(settingsOf(engine), load),
  }
}
