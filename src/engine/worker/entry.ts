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
    return right({
      empty: opened.empty,
      groupBytes: opened.groupBytes,
      keeps: opened.keep !== undefined,
      fills: opened.fill !== undefined,
    })
  },
  call: async (question, reply) => (await calling(question, reply))(),
  prepare: async ({ functions }) => {
    await backend().prepare?.(functions.map(([name, graph]) => [name, unflatten(graph)[0]!] as const))
    return undefined
  },
  read: async ({ keys }, reply) => {
    const { program, read } = backend()
    return packed(await read(keys.map((k) => program.states.get(k)!)), reply.give)
  },
  fill: async ({ keys }) => {
    const { program, fill } = backend()
    return fill!(keys.map((k) => program.states.get(k)!))
  },
  // what arrives here is this thread's own
  write: async ({ values }) => {
    await backend().write(new Map(values), true)
    return undefined
  },
  keep: async ({ key, patterns }) => backend().keep!(key, patterns),
  close: async () => {
    const closed = backend()
    // another session may follow
    opened = undefined
    variants.clear()
    await closed.close()
    return undefined
  },
}

/** Starts a call as soon as the engine may; the answer waits for what it gives. */
const calling = async (
  { name, index, graph, inputs }: Question<'call'>,
  reply: Parcel,
): Promise<() => Promise<Answer<'call'>>> => {
  const known = variants.get(name)!
  if (graph !== undefined) known[index] = unflatten(graph)[0]!
  const { call, start } = backend()
  const given = { variant: known[index]!, index, inputs: new Map(inputs) }
  const started = start === undefined ? undefined : await start(name, given)
  return async () => {
    const got =
      started === undefined ? await call(name, given) : isLeft(started) ? started : await started.right()
    return isLeft(got)
      ? left(plainEngineError(got.left))
      : right(packed(Object.entries(got.right), reply.give))
  }
}

type Reply = readonly [Replied, Parcel]

const told = async (reply: Parcel, answer: () => Promise<unknown>): Promise<Reply> => {
  try {
    return [{ answer: await answer() }, reply]
  } catch (e) {
    return [{ thrown: plainError(e) }, parcel()]
  }
}

/** Begins to answer; what comes next may be begun once this resolves, to what waits for the answer. */
const begun = async ({ kind, question }: Asked): Promise<() => Promise<Reply>> => {
  const reply = parcel()
  if (kind === 'call' && opened?.start !== undefined) {
    const waiting = await calling(question as Question<'call'>, reply).catch((e) => async () => {
      throw e
    })
    return () => told(reply, waiting)
  }
  const answer = answers[kind] as (q: typeof question, reply: Parcel) => Promise<unknown>
  const answered = await told(reply, () => answer(question, reply))
  return async () => answered
}

/** What was asked is begun in order, and answered in order. */
let [beginning, answering]: [Promise<unknown>, Promise<unknown>] = [Promise.resolve(), Promise.resolve()]

if (!isMainThread)
  parentPort!.on('message', (asked: Asked) => {
    const begin = beginning.then(() => begun(asked))
    beginning = begin
    answering = answering.then(async () => {
      const [replied, { moved }] = await (await begin)()
      parentPort!.postMessage(replied, [...moved])
    })
  })
