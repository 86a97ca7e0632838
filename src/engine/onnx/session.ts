/**
 * The onnx engine's backend: state in typed arrays that ONNX Runtime reads in place, one native session a variant, made
 * when it is first called.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import {
  arrayOf,
  type Data,
  type Dtype,
  type Program,
  type StateSpec,
  sizes,
  type Variant,
} from '../../dsl/index.ts'
import type { AdamWUpdate } from '../adamw-updates.ts'
import type { Backend, Values } from '../backend.ts'
import { type EngineError, engineError, messageOf, refused } from '../error.ts'
import { encodeModel, onnxTensor } from '../proto/onnx.ts'
import type { TensorValue } from '../session.ts'
import { adamWKernel } from './adamw-kernel.ts'
import { blamed, failed } from './blame.ts'
import { type BoundSession, type CApi, cApi } from './c-api.ts'
import { halve, isHeld, type Rows, wholeOf, withHalves } from './half-weights.ts'
import { type Lowered, lower, type Source } from './lower.ts'
import { overwrite } from './overwrite.ts'
import { mostWeights, partOf, putPart, sessionThreads } from './row-parts.ts'

/** The part of the runtime's module that a session uses. */
export interface Runtime {
  readonly InferenceSession: typeof InferenceSession
  readonly Tensor: new (
    type: Dtype | 'float16',
    data: Data | Uint16Array,
    dims: readonly number[],
  ) => OrtTensor
  /** The file of the library, where it is known: then caches are written where they lie. */
  readonly library?: string
}

/** How native sessions are made. */
export type NativeOptions = InferenceSession.SessionOptions

interface State {
  readonly data: Data
  /** The same memory as the runtime sees it. */
  readonly tensor: OrtTensor
}

/** A weight in 16 bits. */
interface Half {
  readonly patterns: Uint16Array
  readonly tensor: OrtTensor
}

interface Compiled {
  readonly lowered: Lowered
  /** Undefined where nothing has to run. */
  readonly native: InferenceSession | undefined
  /** In its place where results are bound to states: one for each part of the rows. */
  readonly bound?: readonly BoundSession[]
  /** The arrays of states that these are bound to, by the tensor's name. */
  readonly lying: Map<string, Data>
  /** States that such sessions have as constants: they are made anew when one is written. */
  readonly constants?: ReadonlySet<string>
  /** Results that only an update reads: the weight whose gradient each is. */
  readonly gradients?: ReadonlyMap<string, string>
  /** Inputs that are rows of a weight. */
  readonly rows: ReadonlyMap<string, OrtTensor>
}

type Results = Readonly<Record<string, { readonly data: unknown }>>

/** The runtime takes no array over shared memory: those are copied. */
const unshared = (data: Data): Data =>
  data.buffer instanceof SharedArrayBuffer ? (data.slice() as Data) : data

/**
 * With weights that no function of the program changes as constants of the model: the runtime packs those once for its
 * products, and else in each of them, which takes nearly as long as multiplying a few rows.
 */
const withConstants = (
  lowered: Lowered,
  weightOf: (key: string) => Data | undefined,
): { readonly lowered: Lowered; readonly constants: ReadonlySet<string> } => {
  const { model, states, tensors } = lowered
  const found = new Map(
    tensors.inputs.flatMap((t) => {
      const data = states.has(t.name) ? weightOf(states.get(t.name)!) : undefined
      return data === undefined ? [] : [[t.name, { ...t, data }] as const]
    }),
  )
  const others = <T extends { readonly name: string }>(all: readonly T[]): T[] =>
    all.filter((t) => !found.has(t.name))
  const weights = [...found.values()]
  if (weights.reduce((n, w) => n + w.data.length, 0) > mostWeights) return { lowered, constants: new Set() }
  const graph = {
    ...model.graph,
    input: others(model.graph.input),
    initializer: [
      ...(model.graph.initializer ?? []),
      ...weights.map((w) => onnxTensor(w.name, w.dtype, w.shape, w.data)),
    ],
  }
  return {
    lowered: {
      ...lowered,
      model: { ...model, graph },
      tensors: { ...tensors, inputs: others(tensors.inputs) },
      states: new Map([...states].filter(([n]) => !found.has(n))),
    },
    constants: new Set([...found.keys()].map((n) => states.get(n)!)),
  }
}

const compile = async (
  runtime: Runtime,
  name: string,
  variant: Variant,
  options: NativeOptions,
  halves: ReadonlyMap<string, Half>,
  api: CApi | undefined,
  weightOf: (key: string) => Data | undefined,
): Promise<Either<EngineError, Compiled>> => {
  const lowered = lower(name, variant, 'run', new Map(), api !== undefined, options.intraOpNumThreads)
  const rest = { native: undefined, rows: new Map(), lying: new Map<string, Data>() }
  if (lowered.fetches.length === 0 && lowered.written.size === 0) return right({ lowered, ...rest })
  const inputs = [...lowered.states].filter(([, key]) => halves.has(key)).map(([onnxName]) => onnxName)
  const { graph, rows } = withHalves(lowered.model.graph, new Set(inputs))
  const part = ({ of, start, count }: Rows): OrtTensor => {
    const { patterns, tensor } = halves.get(lowered.states.get(of)!)!
    const width = tensor.dims[1]!
    const own = patterns.subarray(start * width, (start + count) * width)
    return new runtime.Tensor('float16', own, [count, width])
  }
  try {
    if (api !== undefined && lowered.written.size > 0) {
      const made = withConstants(lowered, weightOf)
      return right({ ...rest, ...made, bound: boundTo(api, made.lowered, options) })
    }
    // what updates and overwrites read lies in arrays of the session: copies of it would be garbage of many megabytes
    if (api !== undefined && lowered.updates.length + lowered.overwrites.length > 0)
      return right({
        lowered,
        ...rest,
        bound: boundTo(api, lowered, options),
        gradients: gradientsOf(lowered),
      })
    const native = await runtime.InferenceSession.create(encodeModel({ ...lowered.model, graph }), options)
    return right({ ...rest, lowered, native, rows: new Map([...rows].map(([n, r]) => [n, part(r)])) })
  } catch (e) {
    const t = blamed(lowered, messageOf(e))
    return left(
      t === undefined
        ? engineError('Refused', `onnx refuses function '${name}': ${messageOf(e)}`, e)
        : refused('onnx', t, messageOf(e), e),
    )
  }
}

const boundTo = (
  api: CApi,
  { tensors, model, rows }: Lowered,
  options: NativeOptions,
): readonly BoundSession[] => {
  const count = rows?.count ?? 1
  // the parts are run side by side and share what threads are left
  const threads = sessionThreads(options.intraOpNumThreads ?? 1, count)
  const first = api.session(encodeModel(model), tensors.inputs, tensors.outputs, {
    ...options,
    ...(count === 1 ? {} : { intraOpNumThreads: threads }),
  })
  return Array.from({ length: count }, (_, i) => (i === 0 ? first : first.beside()))
}

/** Waits for all, and only then fails with the first that failed: none may still write into states. */
const allEnded = async (running: readonly Promise<void>[]): Promise<void> => {
  for (const end of await Promise.allSettled(running)) if (end.status === 'rejected') throw end.reason
}

/** A result, of all parts together. */
const joined = (name: string, bound: readonly BoundSession[], { rows, tensors }: Lowered): Data => {
  const place = rows?.at.get(name)
  const [first] = bound.map((b) => b.array(name)) as [Data]
  if (place === undefined) return first.slice()
  const { dtype, shape } = tensors.outputs.find((t) => t.name === name)!
  const whole = new arrayOf[dtype](first.length * bound.length)
  const dims = shape.map((n, i) => (i === place ? n * bound.length : n))
  for (const [part, b] of bound.entries()) putPart(whole, dims, place, part, bound.length, b.array(name))
  return whole
}

/** Gradients that nobody but the update of their weight reads, by their name, with the weight's key. */
const gradientsOf = ({ updates, outputs, next, overwrites }: Lowered): ReadonlyMap<string, string> => {
  const others = new Set([
    ...[...outputs.values(), ...next.values(), ...overwrites.flatMap((o) => o.inputs)].map((s) => s.name),
  ])
  return new Map(
    updates.flatMap(({ gradient, parameter }) =>
      gradient.from === 'output' && !others.has(gradient.name) ? [[gradient.name, parameter] as const] : [],
    ),
  )
}

/**
 * The backend of one program; native sessions follow with the first call of each variant.
 *
 * @param lasting the states that no function replaces, which sessions may have as constants; default none. The program does not
 *   say it: in a thread its functions come one by one
 */
export const onnxBackend = (
  runtime: Runtime,
  program: Program,
  options: NativeOptions,
  lasting: ReadonlySet<string> = new Set(),
): Backend => {
  const wrap = (spec: StateSpec, data: Data): OrtTensor =>
    new runtime.Tensor(spec.dtype, data, sizes(spec.axes))
  const api = cApi(runtime.library)
  const states = new Map<string, State>()
  const halves = new Map<string, Half>()
  /** Where the runtime writes gradients, by their weight: all variants use the same arrays. */
  const scratch = new Map<string, Data>()
  const compiled = new Map<Variant, Compiled>()

  /** A state's own numbers; those of a weight in 16 bits are made. */
  const numbers = (key: string): Data => states.get(key)?.data ?? wholeOf(halves.get(key)!.patterns)

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    for (const key of variant.next.keys()) if (halves.has(key)) put(key, numbers(key))
    // a session whose tensors are bound takes no weight in 16 bits
    const boundBy = halves.size === 0 ? api : undefined
    const made = await compile(runtime, name, variant, options, halves, boundBy, (key) =>
      lasting.has(key) ? states.get(key)?.data : undefined,
    )
    if (made._tag === 'Right') compiled.set(variant, made.right)
    return made
  }

  const feed = ({ lowered, rows }: Compiled, inputs: Values): Record<string, OrtTensor> =>
    Object.fromEntries([
      ...[...lowered.inputs].map(([onnxName, input]) => {
        const v = inputs.get(input)!
        return [onnxName, new runtime.Tensor(v.dtype, unshared(v.data), v.shape)] as const
      }),
      ...[...lowered.states].map(
        ([onnxName, key]) => [onnxName, (states.get(key) ?? halves.get(key))!.tensor] as const,
      ),
      ...rows,
    ])

  /** Runs a session whose tensors are bound. */
  const runBound = async (
    bound: readonly BoundSession[],
    { lowered, lying, gradients: given }: Compiled,
    inputs: Values,
  ): Promise<Results> => {
    const gradients = bound.length === 1 ? (given ?? new Map<string, string>()) : new Map<string, string>()
    for (const [onnxName, key] of gradients) bound[0]!.bind(onnxName, scratchOf(key))
    const { count, at } = lowered.rows ?? { count: 1, at: new Map<string, number>() }
    for (const [part, b] of bound.entries()) {
      for (const [onnxName, input] of lowered.inputs) {
        const { data, shape } = inputs.get(input)!
        const place = at.get(onnxName)
        b.array(onnxName).set(place === undefined ? data : partOf(data, shape, place, part, count))
      }
    }
    for (const [onnxName, key] of [...lowered.states, ...lowered.written]) {
      const { data } = states.get(key)!
      if (lying.get(onnxName) === data) continue
      const own = data.length / count
      for (const [part, b] of bound.entries())
        b.bind(onnxName, at.has(onnxName) ? data.subarray(part * own, (part + 1) * own) : data)
      lying.set(onnxName, data)
    }
    if (bound.length === 1) bound[0]!.run()
    else await allEnded(bound.map((b) => b.runLater()))
    const kept = new Set([...lowered.outputs.values(), ...lowered.next.values()].map((s) => s.name))
    const result = (n: string): Data =>
      bound.length === 1 && !kept.has(n) ? bound[0]!.array(n) : joined(n, bound, lowered)
    return Object.fromEntries(lowered.fetches.map((n) => [n, { data: result(n) }]))
  }

  const scratchOf = (key: string): Data => {
    const had = scratch.get(key) ?? new Float32Array(states.get(key)!.data.length)
    scratch.set(key, had)
    return had
  }

  /** Forgets what is compiled; answers the native sessions that are to be released. */
  const forget = (): readonly InferenceSession[] => {
    const all = [...compiled.values()]
    compiled.clear()
    for (const c of all) for (const b of c.bound ?? []) b.release()
    return all.flatMap((c) => c.native ?? [])
  }

  /** A state is written: sessions that have what it was before as a constant go. */
  const outdate = (key: string): void => {
    for (const [variant, { constants, bound }] of compiled) {
      if (constants?.has(key) !== true) continue
      compiled.delete(variant)
      for (const b of bound ?? []) b.release()
    }
  }

  const put = (key: string, data: Data): void => {
    // what was compiled reads it in 16 bits
    if (halves.delete(key)) for (const n of forget()) n.release().catch(() => undefined)
    states.set(key, { data, tensor: wrap(program.states.get(key)!, data) })
  }

  /** Brings results to where they belong; nothing that is handed out shares memory with state or with another result. */
  const deliver = (
    lowered: Lowered,
    results: Results,
    inputs: Values,
  ): Readonly<Record<string, TensorValue>> => {
    const given = new Set<Data>()
    const look = (s: Source): Data => {
      if (s.from === 'constant') return s.data as unknown as Data
      if (s.from === 'output') return results[s.name]!.data as Data
      return s.from === 'input' ? inputs.get(s.name)!.data : numbers(s.name)
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
    const outputs = Object.fromEntries(
      [...lowered.outputs].map(([name, s]) => [name, { shape: [...s.shape], dtype: s.dtype, data: own(s) }]),
    )
    // every result is taken before any state changes: a state may be another's next value
    const next = [...lowered.next].map(([key, s]) => [key, own(s)] as const)
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
        const inputs = o.inputs.map(still)
        return () => overwrite(states.get(o.state)!.data, inputs, o.layout)
      }),
    ]
    for (const run of updates) run()
    for (const [key, data] of next) put(key, data)
    return outputs
  }

  return {
    name: 'onnx',
    program,
    empty: [...program.states.keys()],
    groupBytes: 0,
    call: async (name, { variant, inputs }) => {
      const ready = await compiledOf(name, variant)
      if (isLeft(ready)) return ready
      const { lowered, native, bound } = ready.right
      try {
        const results =
          bound !== undefined
            ? await runBound(bound, ready.right, inputs)
            : native === undefined
              ? {}
              : await native.run(feed(ready.right, inputs))
        return right(deliver(lowered, results, inputs))
      } catch (e) {
        return left(failed(name, lowered, e))
      }
    },
    read: async (specs) =>
      new Map(
        specs.map((s) => [
          s.key,
          { shape: sizes(s.axes), dtype: s.dtype, data: states.get(s.key)?.data.slice() ?? numbers(s.key) },
        ]),
      ),
    write: async (values, given) => {
      for (const [key, v] of values) {
        const half = halves.get(key)
        // a checkpoint has the same numbers: they stay in 16 bits
        if (half !== undefined && isHeld(half.patterns, v.data)) continue
        outdate(key)
        const had = states.get(key)
        if (given || had === undefined) put(key, given ? unshared(v.data) : v.data.slice())
        else had.data.set(v.data)
      }
    },
    keep: async (key, patterns) => {
      if (!halve(patterns)) return false
      const tensor = new runtime.Tensor('float16', patterns, sizes(program.states.get(key)!.axes))
      halves.set(key, { patterns, tensor })
      return true
    },
    close: async () => {
      const all = forget()
      states.clear()
      halves.clear()
      scratch.clear()
      const ends = await Promise.allSettled(all.map(async (n) => n.release()))
      for (const e of ends) if (e.status === 'rejected') throw e.reason
    },
  }
}
