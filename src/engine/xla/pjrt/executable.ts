/** A compiled program. */
import { type Alive, DeviceArray } from './device-array.ts'
import { type ElementType, typeOfCode } from './element-types.ts'
import type { Frame } from './frame.ts'
import type { Plugin } from './plugin.ts'

interface Output {
  readonly type: ElementType
  readonly shape: readonly number[]
}

const addresses = (count: number): BigUint64Array =>
  new BigUint64Array(new ArrayBuffer(8 * Math.max(count, 8)))

/** Asks about the program; what is asked is let go. */
const described = <A>(plugin: Plugin, loaded: bigint, ask: (executable: bigint) => A): A => {
  const executable = plugin
    .call('LoadedExecutable_GetExecutable', { loaded_executable: loaded })
    .pointer('executable')
  try {
    return ask(executable)
  } finally {
    plugin.call('Executable_Destroy', { executable })
  }
}

/** What a buffer holds. */
const outputOf = (plugin: Plugin, buffer: bigint): Output => {
  const code = plugin.call('Buffer_ElementType', { buffer }).number('type')
  const type = typeOfCode(code)
  if (type === undefined) throw new Error(`an output of the program has PJRT's element type ${code}`)
  const dims = plugin.call('Buffer_Dimensions', { buffer })
  return { type, shape: plugin.words(dims.pointer('dims'), dims.number('num_dims')).map(Number) }
}

/** A compiled program, for one device or for several that share the work of each call. */
export class Executable {
  /** How many devices a call takes. */
  readonly devices: number
  readonly #plugin: Plugin
  readonly #alive: Alive
  readonly #options: Frame
  readonly #results: readonly BigUint64Array[]
  readonly #resultLists: BigUint64Array
  readonly #argumentLists: BigUint64Array
  /** The arguments of each device in turn. */
  #arguments = addresses(0)
  #room = 0
  /** What its outputs are and which arguments it takes over: known after its first run. */
  #outputs: readonly Output[] | undefined
  #donated: readonly number[] | undefined
  #pointer: bigint

  constructor(plugin: Plugin, alive: Alive, pointer: bigint, devices: number) {
    this.#plugin = plugin
    this.#alive = alive
    this.#pointer = pointer
    this.devices = devices
    const outputs = described(plugin, pointer, (executable) =>
      plugin.call('Executable_NumOutputs', { executable }).number('num_outputs'),
    )
    this.#options = plugin.struct('ExecuteOptions', {})
    this.#results = Array.from({ length: devices }, () => addresses(outputs).subarray(0, outputs))
    this.#resultLists = addresses(devices)
    this.#results.forEach((results, d) => {
      this.#resultLists[d] = plugin.foreign.address(results)
    })
    this.#argumentLists = addresses(devices)
    this.#makeRoom(0)
  }

  #makeRoom(count: number): void {
    this.#room = count
    this.#arguments = addresses(this.devices * count)
    const at = this.#plugin.foreign.address(this.#arguments)
    for (let d = 0; d < this.devices; d++) this.#argumentLists[d] = at + BigInt(8 * d * count)
  }

  /**
   * Starts a program for one device. Its results may be passed on or read before it ends; the arguments that it takes over
   * (`tf.aliasing_output` in its text) are closed.
   *
   * @throws PjrtError, and Error where it is for several devices
   */
  execute(args: readonly DeviceArray[]): readonly DeviceArray[] {
    return this.executeOn([args])[0]!
  }

  /**
   * Starts a program on all of its devices at once: a list of arguments for each, which lie there, and as many lists of
   * results. What is sharded has the shape of the device's part.
   *
   * @throws PjrtError, and Error where the lists are not as many as the devices
   */
  executeOn(lists: readonly (readonly DeviceArray[])[]): readonly (readonly DeviceArray[])[] {
    if (lists.length !== this.devices)
      throw new Error(`a program for ${this.devices} devices was given arguments for ${lists.length}`)
    const count = lists[0]!.length
    if (lists.some((args) => args.length !== count))
      throw new Error('every device takes as many arguments as the others')
    if (count > this.#room) this.#makeRoom(count)
    for (let d = 0; d < lists.length; d++) {
      const args = lists[d]!
      for (let i = 0; i < count; i++) this.#arguments[d * this.#room + i] = args[i]!.pointer
    }
    this.#plugin.call('LoadedExecutable_Execute', {
      executable: this.#pointer,
      options: this.#options,
      argument_lists: this.#argumentLists,
      num_devices: this.devices,
      num_args: count,
      output_lists: this.#resultLists,
    })
    this.#donated ??= lists[0]!.flatMap((a, i) => (a.donated ? [i] : []))
    for (const args of lists) for (const i of this.#donated) args[i]!.close()
    this.#outputs ??= Array.from(this.#results[0]!, (buffer) => outputOf(this.#plugin, buffer))
    return this.#results.map((results) =>
      this.#outputs!.map(
        ({ type, shape }, i) => new DeviceArray(this.#plugin, this.#alive, results[i]!, type, shape),
      ),
    )
  }

  /** Waits until all these arrays hold their values; rejects with the device's error. */
  async ready(outputs: readonly DeviceArray[]): Promise<void> {
    for (const a of outputs) await a.ready()
  }

  /** The program as bytes, for the same plugin and kind of device. */
  serialize(): Uint8Array<ArrayBuffer> {
    const plugin = this.#plugin
    return described(plugin, this.#pointer, (executable) => {
      const f = plugin.call('Executable_Serialize', { executable })
      const bytes = plugin.foreign.bytes(f.pointer('serialized_bytes'), f.number('serialized_bytes_size'))
      plugin.foreign.call(f.pointer('serialized_executable_deleter'))(f.pointer('serialized_executable'))
      return bytes
    })
  }

  /** Frees it. Calling it twice is harmless. */
  close(): void {
    if (this.#pointer === 0n) return
    this.#plugin.call('LoadedExecutable_Destroy', { executable: this.#pointer })
    this.#pointer = 0n
  }
}
