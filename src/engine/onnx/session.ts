/**
 * The onnx engine's backend: state in typed arrays that ONNX Runtime reads in place, one native session a variant, made
 * when it is first called.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import { type Data, type Dtype, type Program, type StateSpec, sizes, type Variant } from '../../dsl/index.ts'
import { present } from '../../settings/internal.ts'
import type { AdamWUpdate } from '../adamw-updates.ts'
import type { Backend, Values } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { encodeModel } from '../proto/onnx.ts'
import type { TensorValue } from '../session.ts'
import { adamWKernel } from './adamw-kernel.ts'
import { failed, refusedBy } from './blame.ts'
import { boundTo, gradientsOf, type Results, type Runnable, withConstants } from './bound.ts'
import { cApi } from './c-api.ts'
import { halve, isHeld, wholeOf, withHalves } from './half-weights.ts'
import { type Lowered, lower, type Source } from './lower.ts'
import { overwrite } from './overwrite.ts'

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

interface Compiled extends Runnable {
  readonly lowered: Lowered
  /** States that it has as constants: it is made anew when one is written. */
  readonly constants: ReadonlySet<string>
}

/** The runtime takes no array over shared memory: those are copied. */
const unshared = (data: Data): Data =>
  data.buffer instanceof SharedArrayBuffer ? (data.slice() as Data) : data

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

  const memory = {
    stateOf: (key: string): Data => states.get(key)!.data,
    gradientOf: (key: string): Data => {
      const had = scratch.get(key) ?? new Float32Array(states.get(key)!.data.length)
      scratch.set(key, had)
      return had
    },
  }

  /** A session of the runtime's binding, which takes weights in 16 bits. */
  const nativeOf = async ({ model, inputs, states: read }: Lowered): Promise<Runnable> => {
    const inHalves = [...read].filter(([, key]) => halves.has(key)).map(([onnxName]) => onnxName)
    const { graph, rows } = withHalves(model.graph, new Set(inHalves))
    const native = await runtime.InferenceSession.create(encodeModel({ ...model, graph }), options)
    const parts = [...rows].map(([onnxName, { of, start, count }]) => {
      const { patterns, tensor } = halves.get(read.get(of)!)!
      const width = tensor.dims[1]!
      const own = patterns.subarray(start * width, (start + count) * width)
      return [onnxName, new runtime.Tensor('float16', own, [count, width])] as const
    })
    return {
      run: async (given) => {
        const fed = [...inputs].map(([onnxName, input]) => {
          const v = given.get(input)!
          return [onnxName, new runtime.Tensor(v.dtype, unshared(v.data), v.shape)] as const
        })
        const held = [...read].map(
          ([onnxName, key]) => [onnxName, (states.get(key) ?? halves.get(key))!.tensor] as const,
        )
        const results = await native.run(Object.fromEntries([...fed, ...held, ...parts]))
        return Object.fromEntries(Object.entries(results).map(([n, { data }]) => [n, data as Data]))
      },
      release: () => native.release(),
    }
  }

  const compile = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    // a session whose tensors are bound takes no weight in 16 bits
    const bind = halves.size === 0 ? api : undefined
    const lowered = lower(name, variant, {
      bound: bind !== undefined,
      ...present({ threads: options.intraOpNumThreads }),
    })
    const { fetches, written, updates, overwrites } = lowered
    const constants: ReadonlySet<string> = new Set()
    if (fetches.length === 0 && written.size === 0)
      return right({ lowered, constants, run: async () => ({}), release: async () => undefined })
    try {
      if (bind !== undefined && written.size > 0) {
        const made = withConstants(lowered, (key) => (lasting.has(key) ? states.get(key)?.data : undefined))
        return right({ ...made, ...boundTo(bind, made.lowered, options, memory) })
      }
      // what updates and overwrites read lies in arrays of the session: copies of it would be garbage of many megabytes
      if (bind !== undefined && updates.length + overwrites.length > 0)
        return right({ lowered, constants, ...boundTo(bind, lowered, options, memory, gradientsOf(lowered)) })
      return right({ lowered, constants, ...(await nativeOf(lowered)) })
    } catch (e) {
      return left(refusedBy('onnx', name, lowered, e))
    }
  }

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    for (const key of variant.next.keys()) if (halves.has(key)) put(key, numbers(key))
    const made = await compile(name, variant)
    if (made._tag === 'Right') compiled.set(variant, made.right)
    return made
  }

  /** Forgets what is compiled; answers what is to be released. */
  const forget = (): readonly Compiled[] => {
    const all = [...compiled.values()]
    compiled.clear()
    return all
  }

  /** A state is written: sessions that have what it was before as a constant go. */
  const outdate = async (key: string): Promise<void> => {
    for (const [variant, { constants, release }] of compiled) {
      if (!constants.has(key)) continue
      compiled.delete(variant)
      await release()
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
      if (s.from === 'output') return results[s.name]!
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
      const { lowered, run } = ready.right
      try {
        return right(deliver(lowered, await run(inputs), inputs))
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
        await outdate(key)
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
