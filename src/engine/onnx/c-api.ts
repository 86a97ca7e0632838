/**
 * ONNX Runtime by its C functions: native sessions over memory that is given once. The binding for Node copies every result
 * out; here a result may be written into the array of a state, which is read by the same call.
 */
import type { InferenceSession } from 'onnxruntime-common'
import type { Data, Dtype } from '../../dsl/index.ts'
import { arrayOf } from '../../dsl/internal.ts'
import { type Foreign, foreign, type Words } from '../foreign.ts'
import type { OnnxTensor } from './lower.ts'

/** Places in the table `OrtApi`, to which versions only add; and how many words each takes. */
const table = {
  GetErrorMessage: [2, 1],
  CreateEnv: [3, 3],
  CreateSessionFromArray: [8, 5],
  Run: [9, 8],
  CreateSessionOptions: [10, 1],
  EnableProfiling: [14, 2],
  DisableMemPattern: [17, 1],
  SetSessionLogSeverityLevel: [22, 2],
  SetSessionGraphOptimizationLevel: [23, 2],
  SetIntraOpNumThreads: [24, 2],
  SetInterOpNumThreads: [25, 2],
  CreateTensorWithDataAsOrtValue: [49, 7],
  CreateCpuMemoryInfo: [69, 3],
  ReleaseStatus: [93, 1],
  ReleaseSession: [95, 1],
  ReleaseValue: [96, 1],
  ReleaseSessionOptions: [100, 1],
  AddSessionConfigEntry: [130, 3],
} as const

type Name = keyof typeof table

/** The version of the table that holds all of them. */
const version = 22

const elementType: Readonly<Record<Dtype, number>> = { float32: 1, int32: 6, bool: 9 }

/** A native session whose tensors stay bound from call to call. */
export interface BoundSession {
  /** Binds an array in place of the one before; it must stay what it is until another is bound. */
  readonly bind: (name: string, data: Data) => void
  /** The array that is bound. */
  readonly array: (name: string) => Data
  /** @throws Error with the runtime's message */
  readonly run: () => void
  /** On another thread, where others of the same session may run at once. Rejects with the runtime's message. */
  readonly runLater: () => Promise<void>
  /** The same session over arrays of its own. */
  readonly beside: () => BoundSession
  /** The session goes with the last that is released. */
  readonly release: () => void
  /** What the runtime reads in every call: it must not be collected. */
  readonly memory: readonly unknown[]
}

/** The runtime. */
export interface CApi {
  /**
   * Makes a session; what no array is bound to has one of its own.
   *
   * @throws Error with the runtime's message
   */
  readonly session: (
    model: Uint8Array,
    inputs: readonly OnnxTensor[],
    outputs: readonly OnnxTensor[],
    options: InferenceSession.SessionOptions,
  ) => BoundSession
}

/** Text that ends in a zero, aligned as arrays are. */
const text = (s: string): Uint8Array => new Uint8Array([...new TextEncoder().encode(s), 0])

const opened = (f: Foreign, library: string): CApi => {
  const base = f.words(f.symbol(f.open(library), 'OrtGetApiBase'), 0)()
  const at = (address: number | bigint, index: number): bigint =>
    new DataView(f.bytes(BigInt(address) + 8n * BigInt(index), 8).buffer).getBigUint64(0, true)
  const api = f.words(at(base, 0), 1)(version)
  if (BigInt(api) === 0n) throw new Error(`${library} has no interface of version ${version}`)
  const functions = new Map<Name, Words>(
    Object.entries(table).map(([name, [index, count]]) => [name as Name, f.words(at(api, index), count)]),
  )
  const message = (status: number | bigint): string => {
    const start = BigInt(functions.get('GetErrorMessage')!(status))
    const bytes: number[] = []
    for (let i = 0n; bytes.length < 2000; i++) {
      const [b] = f.bytes(start + i, 1) as unknown as readonly [number]
      if (b === 0) break
      bytes.push(b)
    }
    return new TextDecoder().decode(Uint8Array.from(bytes))
  }
  /** What the last call was given: the collector sees no use in an address, so arrays are held until the next call. */
  const held: { given: readonly unknown[] } = { given: [] }
  /** @throws Error with what a status says, where it is one */
  const checked = (status: number | bigint): void => {
    if (BigInt(status) === 0n) return
    const said = message(status)
    functions.get('ReleaseStatus')!(status)
    throw new Error(said)
  }
  const call = (name: Name, ...given: readonly (number | bigint | ArrayBufferView)[]): void => {
    held.given = given
    checked(functions.get(name)!(...given.map((x) => (typeof x === 'object' ? f.address(x) : x))))
  }
  const release = (name: Name, what: bigint): void => {
    functions.get(name)!(what)
  }
  /** What a function makes, which writes it to its last argument. */
  const made = (name: Name, ...given: readonly (number | bigint | ArrayBufferView)[]): bigint => {
    const out = new BigUint64Array(1)
    call(name, ...given, out)
    return out[0]!
  }
  // the library keeps one environment a process: the one that its binding for Node made, if it has
  const environment = made('CreateEnv', 4, text('sailwright'))
  const memory = made('CreateCpuMemoryInfo', 1, 0)

  const tensor = (b: OnnxTensor, data: Data): bigint => {
    const dims = BigInt64Array.from(b.shape, BigInt)
    return made(
      'CreateTensorWithDataAsOrtValue',
      ...[memory, data, data.byteLength, dims, dims.length, elementType[b.dtype]],
    )
  }

  let profiles = 0
  const configure = (options: bigint, o: InferenceSession.SessionOptions): void => {
    call('DisableMemPattern', options)
    call('SetSessionLogSeverityLevel', options, o.logSeverityLevel ?? 2)
    call('SetSessionGraphOptimizationLevel', options, o.graphOptimizationLevel === 'disabled' ? 0 : 99)
    call('SetIntraOpNumThreads', options, o.intraOpNumThreads ?? 0)
    call('SetInterOpNumThreads', options, o.interOpNumThreads ?? 0)
    // sessions of the same second would write to one file
    if (o.enableProfiling === true)
      call('EnableProfiling', options, text(`${o.profileFilePrefix ?? 'profile'}-bound${profiles++}`))
    for (const [key, value] of entries(o.extra ?? {}))
      call('AddSessionConfigEntry', options, text(key), text(value))
  }

  const native = (model: Uint8Array, o: InferenceSession.SessionOptions): bigint => {
    const options = made('CreateSessionOptions')
    try {
      configure(options, o)
      return made('CreateSessionFromArray', environment, model, model.length, options)
    } finally {
      release('ReleaseSessionOptions', options)
    }
  }

  /** A session over arrays of its own; `uses` counts those that share it. */
  const bound = (
    session: bigint,
    uses: { count: number },
    inputs: readonly OnnxTensor[],
    outputs: readonly OnnxTensor[],
  ): BoundSession => {
    uses.count++
    const all = [...inputs, ...outputs]
    const names = all.map((b) => text(b.name))
    const nameAt = BigUint64Array.from(names, (n) => BigInt(f.address(n)))
    const data = all.map((b) => new arrayOf[b.dtype](b.shape.reduce((n, s) => n * s, 1)))
    const values = new BigUint64Array(all.length)
    const end = (): void => {
      for (const v of values) if (v !== 0n) release('ReleaseValue', v)
      if (--uses.count === 0) release('ReleaseSession', session)
    }
    try {
      for (const [i, b] of all.entries()) values[i] = tensor(b, data[i]!)
    } catch (e) {
      end()
      throw e
    }
    const places = new Map(all.map((b, i) => [b.name, i]))
    const place = (name: string): number => {
      const i = places.get(name)
      if (i === undefined) throw new Error(`there is no tensor '${name}'`)
      return i
    }
    const behind = 8n * BigInt(inputs.length)
    const nameList = BigInt(f.address(nameAt))
    const valueList = BigInt(f.address(values))
    const words = [
      ...[session, 0, nameList, valueList, inputs.length],
      ...[nameList + behind, outputs.length, valueList + behind],
    ]
    return {
      bind: (name, given) => {
        const i = place(name)
        if (sameMemory(data[i]!, given)) return
        const value = tensor(all[i]!, given)
        release('ReleaseValue', values[i]!)
        values[i] = value
        data[i] = given
      },
      array: (name) => data[place(name)]!,
      run: () => {
        call('Run', ...words)
      },
      runLater: async () => checked(await functions.get('Run')!.later(...words)),
      beside: () => bound(session, uses, inputs, outputs),
      release: end,
      memory: [names, nameAt, values],
    }
  }

  return {
    session: (model, inputs, outputs, o) => bound(native(model, o), { count: 0 }, inputs, outputs),
  }
}

const sameMemory = (a: Data, b: Data): boolean =>
  a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.length === b.length

/** Settings as the runtime names them: `a.b` for what lies in groups. */
const entries = (x: Readonly<Record<string, unknown>>, before = ''): readonly (readonly [string, string])[] =>
  Object.entries(x).flatMap(([k, v]) =>
    typeof v === 'object' && v !== null
      ? entries(v as Record<string, unknown>, `${before}${k}.`)
      : [[`${before}${k}`, String(v)] as const],
  )

const known = new Map<string, CApi | undefined>()

/** The runtime in a library that its binding for Node has loaded; undefined where C functions cannot be called here. */
export const cApi = (library: string | undefined): CApi | undefined => {
  if (library === undefined) return undefined
  if (!known.has(library)) {
    let api: CApi | undefined
    try {
      api = opened(foreign(), library)
    } catch {
      // npm has no addon for this platform, or the library is another: the call is made by the binding
    }
    known.set(library, api)
  }
  return known.get(library)
}
