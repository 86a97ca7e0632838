/**
 * A program running in TensorFlow: weights in its variables, functions as signatures of one native session.
 *
 * The folder that TensorFlow loads is a temporary one. Once the graph is in, its file shrinks to the one signature that
 * is opened next, because tfjs-node parses the whole file again for every signature.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { forEngine, type Program, sizes, type Tensor } from '../../dsl/index.ts'
import { called } from '../../terminal/index.ts'
import { type Backend, type BackendOptions, openSession } from '../backend.ts'
import { type EngineError, engineError, messageOf, refused } from '../error.ts'
import { grouped, stateBytes } from '../held-states.ts'
import { encodeSavedModel, type FunctionDef, type NodeDef, type SavedModel } from '../proto/tensorflow.ts'
import type { LoadOptions, Session, TensorValue } from '../session.ts'
import type { Ref } from './builder.ts'
import type { Compilation } from './compiled.ts'
import type { Tensorflow } from './load.ts'
import {
  doneName,
  type LoweredProgram,
  lowerProgram,
  savedModel,
  signature,
  tag,
  withInit,
} from './saved-model.ts'
import { removeFolder, temporaryFolder } from './temporary-folder.ts'
import type { TfjsSavedModel, TfjsTensor } from './tfjs.ts'

/** What a session is told beside what every engine is told. */
export interface SessionOptions extends LoadOptions {
  /**
   * States are read and written in groups of at most this many bytes, so that a large model is not copied all at once;
   * default a tenth of them, and at least 2²⁶: TensorFlow takes as long to prepare for a group as for a function.
   */
  readonly groupBytes?: number
}

/** TensorFlow's words about a node, `{{node step.0/MatMul_3}}` or `Node 'step.0/MatMul_3'`. */
const nodeIn = (message: string): string | undefined =>
  /\{\{node ([^}\s]+)\}\}/.exec(message)?.[1] ?? /[Nn]ode[: ]+'?([A-Za-z0-9.][\w./-]*)/.exec(message)?.[1]

/** A function that XLA does not compile, or not where it is called first, as an error that names the user's node. */
const notCompiled = (name: string, blamed: Tensor | undefined, cause: unknown): EngineError => {
  const why = `function '${name}' is not compiled: ${messageOf(cause)}`
  return blamed === undefined
    ? engineError('Refused', `tensorflow refuses it; ${why}`, cause)
    : refused('tensorflow', blamed, why, cause)
}

/** What the compiler says before anything runs. */
const compiling =
  /Cannot deserialize computation|tf2xla conversion failed|XlaCallModule|UNIMPLEMENTED|unsupported/i

/** TensorFlow's failure as an error that names the user's node. */
const failure = (tag: 'Refused' | 'Failed', lowered: LoweredProgram, cause: unknown): EngineError => {
  const message = messageOf(cause)
  const node = nodeIn(message)
  const owner = node === undefined ? undefined : lowered.ownerOf(node)
  if (owner === undefined) return engineError(tag, `tensorflow: ${message}`, cause)
  const error = refused('tensorflow', owner, message, cause)
  return tag === 'Refused'
    ? error
    : { ...error, _tag: tag, message: error.message.replace('tensorflow refuses', 'tensorflow failed in') }
}

/** What is fed, or fetched, by name: the tensors of the graph. */
type Refs = ReadonlyMap<string, Ref>

/** A signature that is open, and the names of its inputs and outputs in order. */
interface Opened {
  readonly model: TfjsSavedModel
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/** tfjs-node keeps names in plain objects, where some (`__proto__`) are lost: places take their stead. */
const placed = (refs: Refs): (readonly [string, Ref])[] => [...refs.values()].map((r, i) => [`p${i}`, r])

/** The native session: signatures opened on demand, run one at a time. */
class Native {
  readonly #tensorflow: Tensorflow
  readonly #folder: string
  readonly #open = new Map<string, Opened>()
  readonly #tf32: boolean
  constructor(tensorflow: Tensorflow, folder: string, tf32: boolean) {
    this.#tensorflow = tensorflow
    this.#folder = folder
    this.#tf32 = tf32
  }
  /** Loads the graph, whose nodes these are, and runs its initialiser. */
  load(nodes: readonly NodeDef[], init: string, library: readonly FunctionDef[]): Promise<Opened> {
    const none = new Map()
    return this.#openIn(
      'load',
      none,
      none,
      savedModel([...nodes], withInit(init, { call: signature([], []) }), library),
    )
  }
  /** Opens a signature of the graph that is loaded. */
  async open(key: string, inputs: Refs, outputs: Refs): Promise<Opened> {
    const had = this.#open.get(key)
    if (had !== undefined) return had
    const call = signature(placed(inputs), placed(outputs))
    return this.#openIn(key, inputs, outputs, savedModel([], { call }))
  }
  async #openIn(key: string, inputs: Refs, outputs: Refs, model: SavedModel): Promise<Opened> {
    await writeFile(join(this.#folder, 'saved_model.pb'), encodeSavedModel(model))
    const opened: Opened = {
      model: await this.#tensorflow.tf.node.loadSavedModel(this.#folder, [tag], 'call'),
      inputs: [...inputs.keys()],
      outputs: [...outputs.keys()],
    }
    this.#open.set(key, opened)
    return opened
  }
  /** Runs an opened signature; every native tensor is freed again. */
  run(opened: Opened, inputs: ReadonlyMap<string, TensorValue>): ReadonlyMap<string, TensorValue['data']> {
    const { tf, tf32 } = this.#tensorflow
    // the process has one switch, which another session may have turned
    tf32?.(this.#tf32)
    const fed: Record<string, TfjsTensor> = {}
    let fetched: Record<string, TfjsTensor> = {}
    try {
      opened.inputs.forEach((name, i) => {
        const v = inputs.get(name)!
        fed[`p${i}`] = tf.tensor(v.data, v.shape, v.dtype)
      })
      fetched = opened.model.predict(fed)
      return new Map(opened.outputs.map((name, i) => [name, fetched[`p${i}`]!.dataSync()]))
    } finally {
      for (const x of [...Object.values(fed), ...Object.values(fetched)]) x.dispose()
    }
  }
  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    try {
      for (const { model } of open) model.dispose()
    } finally {
      await removeFolder(this.#folder)
    }
  }
}

/** The backend of a graph that is loaded. */
const backendOf = (
  program: Program,
  lowered: LoweredProgram,
  native: Native,
  groupBytes: number,
): Backend => {
  /** A part of a table, in the order of the keys. */
  const part = <A>(keys: readonly string[], of: (key: string) => A): ReadonlyMap<string, A> =>
    new Map(keys.map((k) => [k, of(k)]))
  return {
    name: 'tensorflow',
    program,
    empty: lowered.seeded,
    groupBytes,
    copies: true,
    call: async (name, { variant, index, inputs }) => {
      const v = lowered.functions.get(name)![index]!
      let opened: Opened
      try {
        const outputs = v.done === undefined ? v.outputs : new Map([...v.outputs, [doneName, v.done]])
        opened = await native.open(`call ${name} ${index}`, v.inputs, outputs)
      } catch (e) {
        return E.left(failure('Refused', lowered, e))
      }
      try {
        const data = native.run(opened, inputs)
        return E.right(
          Object.fromEntries(
            Object.entries(variant.outputs).map(([n, t]) => [
              n,
              { shape: sizes(t.axes), dtype: t.dtype, data: data.get(n)! },
            ]),
          ),
        )
      } catch (e) {
        const blamedIn = lowered.compiled.get(name)?.[index]?.blamedIn
        return E.left(
          blamedIn !== undefined && compiling.test(messageOf(e))
            ? notCompiled(name, blamedIn(messageOf(e)), e)
            : failure('Failed', lowered, e),
        )
      }
    },
    read: async (specs) => {
      const found = new Map<string, TensorValue>()
      const keys = specs.map((s) => s.key)
      for (const group of grouped(program, keys, groupBytes)) {
        const refs = part(group, (k) => lowered.reads.get(k)!)
        const data = native.run(
          await native.open(`read ${JSON.stringify(group)}`, new Map(), refs),
          new Map(),
        )
        for (const k of group) {
          const spec = program.states.get(k)!
          found.set(k, { shape: sizes(spec.axes), dtype: spec.dtype, data: data.get(k)! })
        }
      }
      return found
    },
    write: async (values) => {
      for (const keys of grouped(program, values.keys(), groupBytes)) {
        const to = part(keys, (k) => lowered.writes.get(k)!.value)
        const done = part(keys, (k) => lowered.writes.get(k)!.done)
        native.run(await native.open(`write ${JSON.stringify(keys)}`, to, done), values)
      }
    },
    close: () => native.close(),
  }
}

/** A tenth of a program's states in bytes, and at least 2²⁶. */
const tenthOf = (program: Program): number =>
  Math.max(2 ** 26, Math.ceil([...program.states.values()].reduce((n, s) => n + stateBytes(s), 0) / 10))

/**
 * The backend of a program that the passes went over: its graph is in TensorFlow.
 *
 * Fails with `BadOption`, and with `Refused` where TensorFlow does not take the graph.
 */
export const openGraph =
  (
    tensorflow: Tensorflow,
    program: Program,
    { scratch, groupBytes, ...options }: BackendOptions & Pick<SessionOptions, 'groupBytes'> = {},
  ): TaskEither<EngineError, Backend> =>
  async () => {
    const checked = checkThreads(tensorflow, options)
    if (E.isLeft(checked)) return checked
    const compilation = compilationOf(tensorflow, options)
    if (E.isLeft(compilation)) return compilation
    const lowered = lowerProgram(forEngine(program, 'tensorflow'), compilation.right)
    const native = new Native(
      tensorflow,
      scratch ?? temporaryFolder(),
      compilation.right?.precision === 'tf32',
    )
    const library = [...lowered.compiled.values()].flatMap((vs) => vs.map((v) => v.definition))
    try {
      await native.load(lowered.builder.nodes(), lowered.init, library)
    } catch (e) {
      await native.close().catch(() => undefined)
      return E.left(failure('Refused', lowered, e))
    }
    return E.right(backendOf(program, lowered, native, groupBytes ?? tenthOf(program)))
  }

/**
 * Loads a program that the passes went over into TensorFlow, with options that were checked.
 *
 * Fails with `BadOption`, and with `Refused` where TensorFlow does not take the graph.
 */
export const loadSession =
  (
    tensorflow: Tensorflow,
    program: Program,
    options: SessionOptions = {},
  ): TaskEither<EngineError, Session> =>
  async () => {
    const backend = await openGraph(tensorflow, program, options)()
    return E.isLeft(backend) ? backend : openSession(backend.right, options)()
  }

/** The first TensorFlow whose XLA takes our modules. */
const compiles = [2, 13] as const

/** How a program is compiled, where it is; fails with `BadOption` where this TensorFlow is too old. */
const compilationOf = (
  { tensorflow, gpu }: Tensorflow,
  { compile, precision = 'float32' }: Pick<LoadOptions, 'compile' | 'precision'>,
): E.Either<EngineError, Compilation | undefined> => {
  if (compile === undefined) return E.right(undefined)
  const [major = 0, minor = 0] = tensorflow.split('.').map(Number)
  return major > compiles[0] || (major === compiles[0] && minor >= compiles[1])
    ? E.right({ precision, platform: gpu ? 'cuda' : 'cpu' })
    : E.left(
        engineError(
          'BadOption',
          `compile is 'xla', which needs TensorFlow ${compiles.join('.')} or later, and this is ${tensorflow}; '${called()} engine install tensorflow' builds a newer one, or leave compile out`,
        ),
      )
}

/** TensorFlow has one number of threads a process, fixed when it is loaded. */
const checkThreads = (
  { threads }: Tensorflow,
  options: Pick<LoadOptions, 'threads'>,
): E.Either<EngineError, void> =>
  options.threads === undefined || options.threads === threads
    ? E.right(undefined)
    : E.left(
        engineError(
          'BadOption',
          `threads is ${options.threads}, and TensorFlow was loaded with ${threads}, which holds for the whole process; load it with tensorflowEngine({ threads: ${options.threads} }), or start the process with TF_NUM_INTRAOP_THREADS=${options.threads} in its environment`,
        ),
      )
