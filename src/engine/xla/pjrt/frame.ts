/** One struct in memory that does not move. */
import type { Foreign } from '../../foreign.ts'
import type { Layout } from './layout.ts'

/** What a field may be given: a number, a truth value, an address, an array or a struct, whose address is taken. */
export type FieldValue = number | bigint | boolean | ArrayBufferView | Frame

/** Fields by name. */
export type Fields = Readonly<Record<string, FieldValue>>

/** Spare bytes behind every struct, for a plugin whose own is longer. */
export const spare = 256

/** A struct; what its pointers point to is kept until it is written anew. */
export class Frame {
  readonly layout: Layout
  readonly words: BigUint64Array
  readonly address: number
  readonly #foreign: Foreign
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #kept: unknown[] = []

  constructor(foreign: Foreign, layout: Layout) {
    const memory = new ArrayBuffer(layout.bytes + spare)
    this.layout = layout
    this.words = new BigUint64Array(memory)
    this.#foreign = foreign
    this.#bytes = new Uint8Array(memory)
    this.#view = new DataView(memory)
    this.address = Number(foreign.address(this.#bytes))
  }

  /** Zero but for the size and these fields. */
  write(fields: Fields): this {
    this.#bytes.fill(0)
    this.#kept = []
    this.resize()
    for (const name in fields) this.set(name, fields[name]!)
    return this
  }

  /** Writes the size that the layout has by now. */
  resize(): void {
    this.#view.setBigUint64(0, BigInt(this.layout.size), true)
  }

  set(name: string, value: FieldValue): void {
    const { at, kind } = this.layout.fields.get(name)!
    if (value instanceof Frame || ArrayBuffer.isView(value)) {
      this.#kept.push(value)
      const address = value instanceof Frame ? BigInt(value.address) : this.#foreign.address(value)
      this.#view.setBigUint64(at, BigInt(address), true)
    } else if (kind === 'i32') this.#view.setInt32(at, Number(value), true)
    else if (kind === 'f32') this.#view.setFloat32(at, Number(value), true)
    else if (kind === 'bool') this.#view.setUint8(at, value ? 1 : 0)
    else this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true)
  }

  /** An address. */
  pointer(name: string): bigint {
    return this.#view.getBigUint64(this.layout.fields.get(name)!.at, true)
  }

  /** A number. */
  number(name: string): number {
    const { at, kind } = this.layout.fields.get(name)!
    if (kind === 'i32') return this.#view.getInt32(at, true)
    if (kind === 'f32') return this.#view.getFloat32(at, true)
    return Number(this.#view.getBigInt64(at, true))
  }

  /** A truth value. */
  flag(name: string): boolean {
    return this.#view.getUint8(this.layout.fields.get(name)!.at) !== 0
  }
}
