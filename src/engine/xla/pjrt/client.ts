/** The devices of a plugin: what is compiled, uploaded and freed there. */
import { compileOptions, type Flag } from './compile-options.ts'
import { type Alive, awaitEvent, DeviceArray } from './device-array.ts'
import { codeOf, type ElementType, hloName } from './element-types.ts'
import { Executable } from './executable.ts'
import { type NamedValue, namedValues } from './named-values.ts'
import type { PjrtError } from './pjrt-error.ts'
import type { Plugin } from './plugin.ts'

/** Bytes of a device's memory; `limit` is what may be used of it. */
export interface DeviceMemory {
  readonly used: number
  readonly peak?: number
  readonly limit?: number
}

/** Where computing is done. */
export interface Device {
  readonly id: number
  /** `NVIDIA H100 80GB HBM3`, `cpu`. */
  readonly kind: string
  /** Undefined where the plugin does not say. */
  readonly memory: () => DeviceMemory | undefined
}

/** How a program is compiled. */
export interface CompileOptions {
  /** XLA's flags by name, `xla_gpu_autotune_level`. */
  readonly flags?: Readonly<Record<string, Flag>>
  /** How many devices share each call; shardings stand in the text (`mhlo.sharding`). Default 1. */
  readonly devices?: number
}

/** From so many bytes on the host's copy of values is worth another thread. */
const large = 2 ** 16

/** Values on their way to a device, which must stay as they are until the event. */
interface Moving {
  readonly event: bigint
  readonly values: ArrayBufferView
}

const utf8 = new TextEncoder()

const memoryOf = (plugin: Plugin, device: bigint): DeviceMemory | undefined => {
  try {
    const f = plugin.call('Device_MemoryStats', { device })
    const optional = <N extends string>(name: N, field: string) =>
      f.flag(`${field}_is_set`) ? ({ [name]: f.number(field) } as Record<N, number>) : {}
    return {
      used: f.number('bytes_in_use'),
      ...optional('peak', 'peak_bytes_in_use'),
      ...optional('limit', 'bytes_limit'),
    }
  } catch {
    return undefined
  }
}

const deviceOf = (plugin: Plugin, device: bigint): Device => {
  const description = plugin.call('Device_GetDescription', { device }).pointer('device_description')
  const kind = plugin.call('DeviceDescription_Kind', { device_description: description })
  return {
    id: plugin.call('DeviceDescription_Id', { device_description: description }).number('id'),
    kind: plugin.text(kind.pointer('device_kind'), kind.number('device_kind_size')),
    memory: () => memoryOf(plugin, device),
  }
}

/** A plugin's client. */
export class Client {
  /** `cuda`, `cpu`, `rocm`, `tpu`. */
  readonly platform: string
  readonly version: string
  /** Version of the plugin's API, `0.115`. */
  readonly apiVersion: string
  readonly devices: readonly Device[]
  readonly #plugin: Plugin
  readonly #alive: Alive = { count: 0 }
  readonly #flags: Readonly<Record<string, Flag>>
  readonly #copies = new Map<string, Promise<Executable>>()
  readonly #devices: readonly bigint[]
  /** In the order in which they were sent. */
  readonly #moving: Moving[] = []
  readonly #own: boolean
  #pointer: bigint

  private constructor(plugin: Plugin, pointer: bigint, flags: Readonly<Record<string, Flag>>, own: boolean) {
    this.#plugin = plugin
    this.#pointer = pointer
    this.#flags = flags
    this.#own = own
    this.apiVersion = `${plugin.version.major}.${plugin.version.minor}`
    const name = plugin.call('Client_PlatformName', { client: pointer })
    this.platform = plugin
      .text(name.pointer('platform_name'), name.number('platform_name_size'))
      .toLowerCase()
    const version = plugin.call('Client_PlatformVersion', { client: pointer })
    this.version = plugin.text(version.pointer('platform_version'), version.number('platform_version_size'))
    const listed = plugin.call('Client_AddressableDevices', { client: pointer })
    const devices = plugin.words(
      listed.pointer('addressable_devices'),
      listed.number('num_addressable_devices'),
    )
    if (devices.length === 0) throw new Error('the plugin finds no device')
    this.#devices = devices
    this.devices = devices.map((d) => deviceOf(plugin, d))
  }

  /**
   * Makes the client, on another thread: a GPU's takes half a second. `flags` hold for every program.
   *
   * @throws PjrtError, and Error where there is no device
   */
  static async open(
    plugin: Plugin,
    options: Readonly<Record<string, NamedValue>> = {},
    flags: Readonly<Record<string, Flag>> = {},
  ): Promise<Client> {
    const create = async (): Promise<Client> => {
      const { array, count } = namedValues(plugin, options)
      const made = await plugin.later('Client_Create', { create_options: array, num_options: count })
      return new Client(plugin, made.pointer('client'), flags, true)
    }
    const { size } = plugin.structLayout('NamedValue')
    try {
      return await create()
    } catch (e) {
      if (plugin.structLayout('NamedValue').size === size) throw e
      return create()
    }
  }

  /**
   * The client that another thread of this process opened, by its address there. It has its own arrays and programs; closing it
   * leaves the client to that thread, which has to keep it open meanwhile.
   */
  static of(plugin: Plugin, address: bigint, flags: Readonly<Record<string, Flag>> = {}): Client {
    return new Client(plugin, address, flags, false)
  }

  /** Where it is in this process's memory. */
  get address(): bigint {
    return this.#pointer
  }

  /** Compiles StableHLO text on another thread. Rejects with a {@link PjrtError}, in which the text's locations stand. */
  async compile(text: string, { flags = {}, devices = 1 }: CompileOptions = {}): Promise<Executable> {
    const code = utf8.encode(text)
    const format = utf8.encode('mlir')
    const options = compileOptions({ ...this.#flags, ...flags }, devices)
    const program = this.#plugin.struct('Program', {
      code,
      code_size: code.length,
      format,
      format_size: format.length,
    })
    const f = await this.#plugin.later('Client_Compile', {
      client: this.#pointer,
      program,
      compile_options: options,
      compile_options_size: options.length,
    })
    return new Executable(this.#plugin, this.#alive, f.pointer('executable'), devices)
  }

  /**
   * A program that `Executable.serialize` wrote, on the same plugin and kind of device, and for as many devices: nothing is
   * compiled.
   */
  async deserialize(bytes: Uint8Array, devices = 1): Promise<Executable> {
    const f = await this.#plugin.later('Executable_DeserializeAndLoad', {
      client: this.#pointer,
      serialized_executable: bytes,
      serialized_executable_size: bytes.length,
    })
    return new Executable(this.#plugin, this.#alive, f.pointer('loaded_executable'), devices)
  }

  /** Lets go what has arrived. */
  #arrived(): void {
    while (this.#moving.length > 0) {
      const { event } = this.#moving[0]!
      if (!this.#plugin.call('Event_IsReady', { event }).flag('is_ready')) return
      this.#moving.shift()
      this.#plugin.release('Event_Destroy', event)
    }
  }

  /**
   * An array on a device, by its place among {@link devices}, of row-major host values, which may change again when this
   * returns; `borrowed` ones when a program that takes the array has ended: many are then copied on another thread.
   *
   * @throws PjrtError, and RangeError where there is no such device
   */
  upload(
    values: ArrayBufferView,
    type: ElementType,
    shape: readonly number[],
    device = 0,
    borrowed = false,
  ): DeviceArray {
    this.#arrived()
    const lent = borrowed && values.byteLength >= large
    const target = this.#devices[device]
    if (target === undefined)
      throw new RangeError(`there is no device ${device} among ${this.#devices.length}`)
    const f = this.#plugin.call('Client_BufferFromHostBuffer', {
      client: this.#pointer,
      // an empty array may have no address
      data: values.byteLength === 0 ? new Uint8Array(8) : values,
      type: codeOf(type),
      dims: BigInt64Array.from(shape.length === 0 ? [0] : shape, BigInt),
      num_dims: shape.length,
      // kImmutableUntilTransferCompletes, kImmutableOnlyDuringCall
      host_buffer_semantics: lent ? 1 : 0,
      device: target,
    })
    const [done, buffer] = [f.pointer('done_with_host_buffer'), f.pointer('buffer')]
    if (done !== 0n && lent) this.#moving.push({ event: done, values })
    else if (done !== 0n) this.#plugin.release('Event_Destroy', done)
    return new DeviceArray(this.#plugin, this.#alive, buffer, type, shape)
  }

  /** Copies of arrays, made on the device. */
  async copy(arrays: readonly DeviceArray[]): Promise<readonly DeviceArray[]> {
    if (arrays.length === 0) return []
    const types = arrays.map((a) => `tensor<${[...a.shape, hloName(a.type)].join('x')}>`)
    const id = types.join(' ')
    let program = this.#copies.get(id)
    if (program === undefined) {
      const args = types.map((t, i) => `%a${i}: ${t}`).join(', ')
      const values = types.map((_, i) => `%a${i}`).join(', ')
      program = this.compile(
        `module @copy { func.func public @main(${args}) -> (${types.join(', ')}) { return ${values} : ${types.join(', ')} } }`,
      )
      this.#copies.set(id, program)
      program.catch(() => this.#copies.delete(id))
    }
    return (await program).execute(arrays)
  }

  /** Arrays that are alive on its devices. */
  get liveArrays(): number {
    return this.#alive.count
  }

  /** Frees the client, if it was opened here; its arrays and programs must be closed before. Calling it twice is harmless. */
  async close(): Promise<void> {
    if (this.#pointer === 0n) return
    const client = this.#pointer
    this.#pointer = 0n
    for (const program of this.#copies.values()) (await program).close()
    this.#copies.clear()
    for (const { event } of this.#moving.splice(0)) await awaitEvent(this.#plugin, event)
    if (this.#own) this.#plugin.call('Client_Destroy', { client })
  }
}
