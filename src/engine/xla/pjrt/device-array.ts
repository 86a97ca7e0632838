/** An array on a device. */
import { bytesOf, type ElementType, type HostArray, hostArray } from './element-types.ts'
import type { Plugin } from './plugin.ts'

/** Arrays that are alive on a client's devices. */
export interface Alive {
  count: number
}

/** Waits for an event, which is then gone, without holding the event loop. Rejects with the device's error. */
export const awaitEvent = async (plugin: Plugin, event: bigint): Promise<void> => {
  if (event === 0n) return
  try {
    // what has ended already needs no other thread
    if (!plugin.call('Event_IsReady', { event }).flag('is_ready'))
      await plugin.later('Event_Await', { event })
    else plugin.call('Event_Await', { event })
  } finally {
    plugin.release('Event_Destroy', event)
  }
}

/** An array on a device. Its memory is freed by `close`, or by a program that it was donated to. */
export class DeviceArray {
  readonly type: ElementType
  readonly shape: readonly number[]
  readonly #plugin: Plugin
  readonly #alive: Alive
  #pointer: bigint

  /** Takes a buffer over; whoever makes one counts it by this. */
  constructor(plugin: Plugin, alive: Alive, pointer: bigint, type: ElementType, shape: readonly number[]) {
    this.type = type
    this.shape = shape
    this.#plugin = plugin
    this.#alive = alive
    this.#pointer = pointer
    alive.count++
  }

  /** Bytes of its elements. */
  get bytes(): number {
    return bytesOf(this.type) * this.shape.reduce((n, d) => n * d, 1)
  }

  get closed(): boolean {
    return this.#pointer === 0n
  }

  /**
   * The buffer, for a call of the plugin.
   *
   * @throws Error where the array is closed
   */
  get pointer(): bigint {
    if (this.#pointer === 0n) throw new Error('an array that was donated or closed holds nothing any more')
    return this.#pointer
  }

  /** Whether a program took its memory. */
  get donated(): boolean {
    return this.#plugin.call('Buffer_IsDeleted', { buffer: this.pointer }).flag('is_deleted')
  }

  /** Waits for the program that makes it. */
  async ready(): Promise<void> {
    const event = this.#plugin.call('Buffer_ReadyEvent', { buffer: this.pointer }).pointer('event')
    await awaitEvent(this.#plugin, event)
  }

  /** A copy in host memory, row-major; waits for the program that makes it. */
  async read(): Promise<HostArray> {
    const values = hostArray(this.type, this.bytes / bytesOf(this.type))
    if (values.byteLength === 0) return values
    const src = this.pointer
    // asked without a target, a plugin says how much it needs: on a device with padded layouts that is more
    const need = this.#plugin.call('Buffer_ToHostBuffer', { src }).number('dst_size')
    if (need > values.byteLength)
      throw new Error(`an array of ${values.byteLength} bytes takes ${need} bytes on the host`)
    const asked = this.#plugin.call('Buffer_ToHostBuffer', { src, dst: values, dst_size: values.byteLength })
    await awaitEvent(this.#plugin, asked.pointer('event'))
    return values
  }

  /** Frees its memory. Calling it twice is harmless. */
  close(): void {
    if (this.#pointer === 0n) return
    this.#plugin.release('Buffer_Destroy', this.#pointer)
    this.#pointer = 0n
    this.#alive.count--
  }
}
