/** The thread's side: an engine's backend, which answers the main thread's questions. */
import { isMainThread, parentPort } from 'node:worker_threads'
import { isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Program, Variant } from '../../dsl/index.ts'
import type { Backend, BackendOptions } from '../backend.ts'
import type { EngineError } from '../error.ts'
import type { EngineName } from '../session.ts'
import { unflatten } from './flat-graph.ts'
import {
  type Answer,
  type Asked,
  type Kind,
  plainEngineError,
  plainError,
  type Question,
  type Replied,
} from './protocol.ts'
import { type Parcel, packed, parcel } from './transfer.ts'

type Open = (program: Program, options: BackendOptions) => TaskEither<EngineError, Backend>

/** The engines; a thread loads the modules of its own one. */
const engines: Readonly<Record<EngineName, () => Promise<Open>>> = {
  onnx: async () => (await import('../onnx/index.ts')).openOnnx,
  tensorflow: async () => (await import('../tensorflow/index.ts')).openTensorflow,
  xla: async () => (await import('../xla/index.ts')).openXla,
}

let opened: Backend | undefined
const variants = new Map<string, Variant[]>()

const backend = (): Backend => {
  if (opened === undefined) throw new Error('no program was opened in this thread')
  return opened
}

const answers: {
  readonly [K in Kind]: (question: Question<K>, reply: Parcel) => Promise<Answer<K>>
} = {
  open: async ({ engine, name, states, functions, graph, options }) => {
    const all = graph === undefined ? [] : [...unflatten(graph)]
    for (const [f, count] of functions) variants.set(f, all.splice(0, count))
    const program = { name, states: new Map(states.map((s) => [s.key, s])), functions: variants }
    const open = await engines[engine]()
    const made = await open(program, options)()
    if (isLeft(made)) return left(plainEngineError(made.left))
    opened = made.right
    return right({ empty: opened.empty, groupBytes: opened.groupBytes })
  },
  call: async ({ name, index, graph, inputs }, reply) => {
    const known = variants.get(name)!
    if (graph !== undefined) known[index] = unflatten(graph)[0]!
    const given = { variant: known[index]!, index, inputs: new Map(inputs) }
    const got = await backend().call(name, given)
    return isLeft(got)
      ? left(plainEngineError(got.left))
      : right(packed(Object.entries(got.right), reply.give))
  },
  read: async ({ keys }, reply) => {
    const { program, read } = backend()
    return packed(await read(keys.map((k) => program.states.get(k)!)), reply.give)
  },
  // what arrives here is this thread's own
  write: async ({ values }) => {
    await backend().write(new Map(values), true)
    return undefined
  },
  close: async () => {
    await backend().close()
    return undefined
  },
}

const answered = async ({ kind, question }: Asked): Promise<readonly [Replied, Parcel]> => {
  const reply = parcel()
  try {
    const answer = await (answers[kind] as (q: typeof question, reply: Parcel) => Promise<unknown>)(
      question,
      reply,
    )
    return [{ answer }, reply]
  } catch (e) {
    return [{ thrown: plainError(e) }, parcel()]
  }
}

if (!isMainThread)
  parentPort!.on('message', async (asked: Asked) => {
    const [replied, { moved }] = await answered(asked)
    parentPort!.postMessage(replied, [...moved])
  })
