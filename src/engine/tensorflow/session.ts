/**
 * A program running in TensorFlow: weights in its variables, functions as signatures of one native session.
 *
 * The folder that TensorFlow loads is a temporary one. Once the graph is in, its file shrinks to the one signature that
 * is opened next, because tfjs-node parses the whole file again for every signature.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { elements, sizes } from '../../dsl/axis.ts'
import type { Program } from '../../dsl/program.ts'
import { type EngineError, engineError, refused } from '../error.ts'
import { encodeSavedModel, type NodeDef, type SavedModel, type SignatureDef } from '../proto/tensorflow.ts'
import type { LoadOptions, Session, TensorValue } from '../session.ts'
import { checkStates, chooseVariant, freshState, statesOf } from '../values.ts'
import type { Tensorflow } from './load.ts'
import {
  type LoweredProgram,
  lowerProgram,
  savedModel,
  signature,
  tag,
  variantSignature,
  withInit,
} from './saved-model.ts'
import type { TfjsSavedModel, TfjsTensor } from './tfjs.ts'

/** What a session is told beside what every engine is told. */
export interface SessionOptions extends LoadOptions {
  /**
   * States are read and written in groups of at most this many bytes, so that a large model is not copied all at once;
   * default 2²⁸.
   */
  readonly groupBytes?: number
}

const folders = new Set<string>()
let cleaning = false
/** A temporary folder that is gone with the process, however that ends. */
const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), `sailwright-tf-${process.pid}-`))
  folders.add(folder)
  if (!cleaning) {
    cleaning = true
    process.once('exit', () => {
      for (const f of folders) rmSync(f, { recursive: true, force: true })
    })
  }
  return folder
}

/** TensorFlow's words about a node, `{{node step.0/MatMul_3}}` or `Node 'step.0/MatMul_3'`. */
const nodeIn = (message: string): string | undefined =>
  /\{\{node ([^}\s]+)\}\}/.exec(message)?.[1] ?? /[Nn]ode[: ]+'?([A-Za-z0-9.][\w./-]*)/.exec(message)?.[1]

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e))

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

type Values = Readonly<Record<string, TensorValue>>

/** The native session: signatures opened on demand, run one at a time. */
class Native {
  readonly #tensorflow: Tensorflow
  readonly #folder: string
  readonly #open = new Map<string, TfjsSavedModel>()
  constructor(tensorflow: Tensorflow, folder: string) {
    this.#tensorflow = tensorflow
    this.#folder = folder
  }
  /** Loads the graph, whose nodes these are, and runs its initialiser. */
  load(nodes: readonly NodeDef[], init: string): Promise<TfjsSavedModel> {
    return this.#openIn('load', savedModel([...nodes], withInit(init, { call: signature([], []) })))
  }
  /** Opens a signature of the graph that is loaded. */
  async open(key: string, make: () => SignatureDef): Promise<TfjsSavedModel> {
    return this.#open.get(key) ?? this.#openIn(key, savedModel([], { call: make() }))
  }
  async #openIn(key: string, model: SavedModel): Promise<TfjsSavedModel> {
    await writeFile(join(this.#folder, 'saved_model.pb'), encodeSavedModel(model))
    const opened = await this.#tensorflow.tf.node.loadSavedModel(this.#folder, [tag], 'call')
    this.#open.set(key, opened)
    return opened
  }
  /** Runs an opened signature; every native tensor is freed again. */
  run(model: TfjsSavedModel, inputs: Values): Record<string, TensorValue['data']> {
    const { tf } = this.#tensorflow
    const fed: Record<string, TfjsTensor> = {}
    let fetched: Record<string, TfjsTensor> = {}
    try {
      for (const [name, v] of Object.entries(inputs)) fed[name] = tf.tensor(v.data, v.shape, v.dtype)
      fetched = model.predict(fed)
      return Object.fromEntries(Object.entries(fetched).map(([name, x]) => [name, x.dataSync()]))
    } finally {
      for (const x of [...Object.values(fed), ...Object.values(fetched)]) x.dispose()
    }
  }
  async close(): Promise<void> {
    for (const model of this.#open.values()) model.dispose()
    this.#open.clear()
    folders.delete(this.#folder)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Keys in groups whose states together take at most `groupBytes`; a larger state has a group of its own. */
const grouped = (
  program: Program,
  keys: readonly string[],
  groupBytes: number,
): readonly (readonly string[])[] => {
  const groups: string[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const key of keys) {
    const size = elements(program.states.get(key)!.axes) * 4
    if (bytes + size > groupBytes) {
      groups.push([])
      bytes = 0
    }
    groups[groups.length - 1]!.push(key)
    bytes += size
  }
  return groups
}

/**
 * Loads a program into TensorFlow and fills its state from the initialisers.
 *
 * Fails with `Refused` where TensorFlow does not take the graph.
 */
export const loadSession =
  (
    tensorflow: Tensorflow,
    program: Program,
    options: SessionOptions = {},
  ): TaskEither<EngineError, Session> =>
  async () => {
    const { groupBytes = 2 ** 28 } = options
    const lowered = lowerProgram(program)
    const native = new Native(tensorflow, temporaryFolder())
    let closed = false
    let last: Promise<unknown> = Promise.resolve()

    /** Everything runs in the order in which it was started. */
    const queued =
      <A>(run: () => Promise<E.Either<EngineError, A>>): TaskEither<EngineError, A> =>
      () => {
        const result = last.then(() =>
          closed ? E.left(engineError('Closed', `the session of '${program.name}' is closed`)) : run(),
        )
        last = result.catch(() => undefined)
        return result
      }
    const attempt = async <A>(
      tag: 'Refused' | 'Failed',
      f: () => Promise<A>,
    ): Promise<E.Either<EngineError, A>> => {
      try {
        return E.right(await f())
      } catch (e) {
        return E.left(failure(tag, lowered, e))
      }
    }

    const writeAll = async (values: ReadonlyMap<string, TensorValue>): Promise<void> => {
      for (const keys of grouped(program, [...values.keys()], groupBytes)) {
        const model = await native.open(`write ${JSON.stringify(keys)}`, () =>
          signature(
            keys.map((k) => [k, lowered.writes.get(k)!.value]),
            keys.map((k) => [k, lowered.writes.get(k)!.done]),
          ),
        )
        native.run(model, Object.fromEntries(keys.map((k) => [k, values.get(k)!])))
      }
    }
    const readAll = async (keys: readonly string[]): Promise<ReadonlyMap<string, TensorValue>> => {
      const found = new Map<string, TensorValue>()
      for (const group of grouped(program, keys, groupBytes)) {
        const model = await native.open(`read ${JSON.stringify(group)}`, () =>
          signature(
            [],
            group.map((k) => [k, lowered.reads.get(k)!]),
          ),
        )
        const data = native.run(model, {})
        for (const k of group) {
          const spec = program.states.get(k)!
          found.set(k, { shape: sizes(spec.axes), dtype: spec.dtype, data: data[k]! })
        }
      }
      return found
    }
    const fill = async (): Promise<void> => {
      for (const keys of grouped(program, lowered.seeded, groupBytes)) {
        const values = keys.map((k) => {
          const spec = program.states.get(k)!
          const data = freshState(spec, options.seed ?? 0)
          return [k, { shape: sizes(spec.axes), dtype: spec.dtype, data }] as const
        })
        await writeAll(new Map(values))
      }
    }

    const call: Session['call'] = (name, inputs) =>
      queued(async () => {
        const chosen = chooseVariant(program, name, inputs)
        if (chosen._tag === 'Left') return chosen
        const { index, variant } = chosen.right
        const v = lowered.functions.get(name)![index]!
        const key = `call ${name} ${index}`
        const opened = await attempt('Refused', () => native.open(key, () => variantSignature(v)))
        if (opened._tag === 'Left') return opened
        return attempt('Failed', async () => {
          const fed = Object.fromEntries([...v.inputs.keys()].map((n) => [n, inputs[n]!]))
          const data = native.run(opened.right, fed)
          return Object.fromEntries(
            Object.entries(variant.outputs).map(([n, t]) => [
              n,
              { shape: sizes(t.axes), dtype: t.dtype, data: data[n]! },
            ]),
          )
        })
      })

    const session: Session = {
      engine: 'tensorflow',
      program,
      call,
      read: (keys) =>
        queued(async () => {
          const specs = statesOf(program, keys)
          if (specs._tag === 'Left') return specs
          return attempt('Failed', () => readAll(specs.right.map((s) => s.key)))
        }),
      write: (values) =>
        queued(async () => {
          const checked = checkStates(program, values)
          return checked._tag === 'Left' ? checked : attempt('Failed', () => writeAll(checked.right))
        }),
      snapshot: () =>
        queued(() => attempt('Failed', async () => ({ states: await readAll([...program.states.keys()]) }))),
      restore: (snapshot) =>
        queued(async () => {
          const checked = checkStates(program, snapshot.states)
          return checked._tag === 'Left' ? checked : attempt('Failed', () => writeAll(checked.right))
        }),
      close: () => async () => {
        await last
        if (closed) return E.right(undefined)
        closed = true
        return attempt('Failed', () => native.close())
      },
    }

    const loaded = await attempt('Refused', async () => {
      await native.load(lowered.builder.nodes(), lowered.init)
      await fill()
    })
    if (loaded._tag === 'Left') {
      await native.close().catch(() => undefined)
      return loaded
    }
    return E.right(session)
  }
