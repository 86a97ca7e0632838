/**
 * A session of the onnx engine: state in typed arrays that ONNX Runtime reads in place, one native session a variant,
 * made when it is first called.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import { sizes } from '../../dsl/axis.ts'
import type { Dtype } from '../../dsl/graph.ts'
import type { Program, StateSpec, Variant } from '../../dsl/program.ts'
import { type EngineError, engineError, refused, showNode } from '../error.ts'
import { encodeModel } from '../proto/onnx.ts'
import type { LoadOptions, Session, Snapshot, TensorValue } from '../session.ts'
import { checkStates, chooseVariant, type Data, freshState, statesOf } from '../values.ts'
import type { AdamWUpdate } from './adamw.ts'
import { adamWKernel } from './adamw-kernel.ts'
import { type Lowered, lower, type Source } from './lower.ts'
import { overwrite } from './overwrite.ts'

/** The part of the runtime's module that a session uses. */
export interface Runtime {
  readonly InferenceSession: typeof InferenceSession
  readonly Tensor: new (type: Dtype, data: Data, dims: readonly number[]) => OrtTensor
}

/** How native sessions are made. */
export type NativeOptions = InferenceSession.SessionOptions

interface State {
  readonly spec: StateSpec
  data: Data
  /** The same memory as the runtime sees it. */
  tensor: OrtTensor
}

interface Compiled {
  readonly lowered: Lowered
  readonly native: InferenceSession | undefined
}

type Results = InferenceSession.OnnxValueMapType

/** The graph node that the runtime's message names, if it names one. */
const blamed = (lowered: Lowered, message: string) => {
  for (const word of message.match(/[\w.]+/g) ?? []) {
    const t = lowered.ownerOf(word)
    if (t !== undefined) return t
  }
  return undefined
}

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e))

const compile = async (
  runtime: Runtime,
  name: string,
  variant: Variant,
  options: NativeOptions,
): Promise<Either<EngineError, Compiled>> => {
  const lowered = lower(name, variant)
  if (lowered.fetches.length === 0) return right({ lowered, native: undefined })
  try {
    const native = await runtime.InferenceSession.create(encodeModel(lowered.model), options)
    return right({ lowered, native })
  } catch (e) {
    const t = blamed(lowered, messageOf(e))
    return left(
      t === undefined
        ? engineError('Refused', `onnx refuses function '${name}': ${messageOf(e)}`, e)
        : refused('onnx', t, messageOf(e), e),
    )
  }
}

const failed = (name: string, lowered: Lowered, e: unknown): EngineError => {
  const t = blamed(lowered, messageOf(e))
  const at = t === undefined ? '' : ` at ${showNode(t)}`
  const line = t?.site.line ?? ''
  return {
    ...engineError(
      'Failed',
      `function '${name}' failed${at}: ${messageOf(e)}${line === '' ? '' : `\n  built at ${line}`}`,
      e,
    ),
    ...(line === '' ? {} : { where: line }),
  }
}

/** Opens a session over fresh state; native sessions follow with the first call of each variant. */
export const openSession = (
  runtime: Runtime,
  program: Program,
  load: LoadOptions,
  options: NativeOptions,
): Session => {
  const wrap = (spec: StateSpec, data: Data): OrtTensor =>
    new runtime.Tensor(spec.dtype, data, sizes(spec.axes))
  const states = new Map<string, State>()
  for (const spec of program.states.values()) {
    const data = freshState(spec, load.seed ?? 0)
    states.set(spec.key, { spec, data, tensor: wrap(spec, data) })
  }
  const compiled = new Map<Variant, Compiled>()
  let closed = false
  let queue: Promise<unknown> = Promise.resolve()

  /** Runs tasks one after another; after closing they fail. */
  const inTurn =
    <A>(what: string, task: () => Promise<Either<EngineError, A>>): TaskEither<EngineError, A> =>
    () => {
      const turn = queue.then(() =>
        closed
          ? left(engineError('Closed', `${what}: the session of program '${program.name}' is closed`))
          : task(),
      )
      queue = turn.catch(() => undefined)
      return turn
    }

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    const made = await compile(runtime, name, variant, options)
    if (made._tag === 'Right') compiled.set(variant, made.right)
    return made
  }

  const feed = (
    lowered: Lowered,
    inputs: Readonly<Record<string, TensorValue>>,
  ): Record<string, OrtTensor> => {
    const feeds: Record<string, OrtTensor> = {}
    for (const [onnxName, input] of lowered.inputs) {
      const v = inputs[input]!
      feeds[onnxName] = new runtime.Tensor(v.dtype, v.data, v.shape)
    }
    for (const [onnxName, key] of lowered.states) feeds[onnxName] = states.get(key)!.tensor
    return feeds
  }

  const replace = (s: State, data: Data): void => {
    s.data = data
    s.tensor = wrap(s.spec, data)
  }

  /** Brings results to where they belong; nothing that is handed out shares memory with state or with another result. */
  const deliver = (
    lowered: Lowered,
    results: Results,
    inputs: Readonly<Record<string, TensorValue>>,
  ): Record<string, TensorValue> => {
    const given = new Set<Data>()
    const look = (s: Source): Data => {
      if (s.from === 'constant') return s.data as unknown as Data
      if (s.from === 'output') return results[s.name]!.data as Data
      return s.from === 'input' ? inputs[s.name]!.data : states.get(s.name)!.data
    }
    const own = (s: Source): Data => {
      const data = look(s)
      if (s.from !== 'output' || given.has(data)) return data.slice()
      given.add(data)
      return data
    }
    /** For reading while states change. */
    const still = (s: Source): Data => (s.from === 'state' ? look(s).slice() : look(s))
    const scalar = (s: Source): number => look(s)[0]!
    const outputs: Record<string, TensorValue> = {}
    for (const [name, s] of lowered.outputs)
      outputs[name] = { shape: [...s.shape], dtype: s.dtype, data: own(s) }
    // every result is taken before any state changes: a state may be another's next value
    const next = [...lowered.next].map(([key, s]) => [states.get(key)!, own(s)] as const)
    const update = (u: AdamWUpdate<Source>): (() => void) => {
      const f32 = (key: string): Float32Array => states.get(key)!.data as Float32Array
      const gradient = still(u.gradient) as Float32Array
      const scalars = {
        learningRate: scalar(u.learningRate),
        factor: u.factor === undefined ? 1 : scalar(u.factor),
        correction1: scalar(u.correction1),
        correction2: scalar(u.correction2),
      }
      return () => adamWKernel(f32(u.parameter), f32(u.first), f32(u.second), gradient, scalars, u.settings)
    }
    const updates = [
      ...lowered.updates.map(update),
      ...lowered.overwrites.map((o) => {
        const [where, value] = [still(o.where), still(o.value)]
        return () => overwrite(states.get(o.state)!.data, where, value, o.layout)
      }),
    ]
    for (const run of updates) run()
    for (const [state, data] of next) replace(state, data)
    return outputs
  }

  const call: Session['call'] = (name, inputs) =>
    inTurn(`function '${name}'`, async () => {
      const chosen = chooseVariant(program, name, inputs)
      if (isLeft(chosen)) return chosen
      const ready = await compiledOf(name, chosen.right.variant)
      if (isLeft(ready)) return ready
      const { lowered, native } = ready.right
      try {
        const results = native === undefined ? {} : await native.run(feed(lowered, inputs))
        return right(deliver(lowered, results, inputs))
      } catch (e) {
        return left(failed(name, lowered, e))
      }
    })

  const copies = (specs: readonly StateSpec[]): ReadonlyMap<string, TensorValue> =>
    new Map(
      specs.map((s) => [
        s.key,
        { shape: sizes(s.axes), dtype: s.dtype, data: states.get(s.key)!.data.slice() },
      ]),
    )

  const put = (values: ReadonlyMap<string, TensorValue>): Either<EngineError, void> => {
    const checked = checkStates(program, values)
    if (isLeft(checked)) return checked
    for (const [key, v] of values) states.get(key)!.data.set(v.data as never)
    return right(undefined)
  }

  const read: Session['read'] = (keys) =>
    inTurn('read', async () => {
      const specs = statesOf(program, keys)
      return isLeft(specs) ? specs : right(copies(specs.right))
    })

  return {
    engine: 'onnx',
    program,
    call,
    read,
    write: (values) => inTurn('write', async () => put(values)),
    snapshot: () => inTurn('snapshot', async () => right({ states: copies([...program.states.values()]) })),
    restore: (snapshot: Snapshot) =>
      inTurn('restore', async () => {
        const absent = [...program.states.keys()].filter((k) => !snapshot.states.has(k))
        return absent.length > 0
          ? left(
              engineError(
                'BadInput',
                `the snapshot has no state '${absent[0]}' (${absent.length} missing); it is of another program`,
              ),
            )
          : put(snapshot.states)
      }),
    close: () => async () => {
      await queue
      if (closed) return right(undefined)
      closed = true
      const natives = [...compiled.values()].flatMap((c) => c.native ?? [])
      compiled.clear()
      states.clear()
      try {
        for (const n of natives) await n.release()
        return right(undefined)
      } catch (e) {
        return left(engineError('Failed', `closing the session failed: ${messageOf(e)}`, e))
      }
    },
  }
}
