/**
 * A PJRT plugin: a shared library whose `GetPjrtApi` gives a table of functions, each of which takes one struct.
 *
 * A plugin may refuse a struct that is shorter than its own; it says how long its own is, and the call is made again with
 * zeros in the fields that are not known here.
 */
import { type Call, type Foreign, foreign } from '../../foreign.ts'
import { type Fields, Frame, spare } from './frame.ts'
import {
  argumentLayouts,
  type FunctionName,
  firstFunction,
  functionOrder,
  type Layout,
  type StructName,
  structLayouts,
  versionAt,
} from './layout.ts'
import { PjrtError, tooShort } from './pjrt-error.ts'

interface Known {
  readonly call: Call
  /** The error's own functions give nothing; the others an error or null. */
  readonly gives: boolean
  readonly frame: Frame
}

/** A plugin that is open and initialised. */
export class Plugin {
  readonly foreign: Foreign
  /** Of its API. */
  readonly version: { readonly major: number; readonly minor: number }
  readonly #functions = new Map<FunctionName, Known>()
  readonly #arguments = argumentLayouts()
  readonly #structs = structLayouts()

  /** @throws Error where the file is no plugin, or one of another major version; what the loader says */
  constructor(path: string) {
    this.foreign = foreign()
    const library = this.foreign.open(path)
    const api = this.foreign.call(this.foreign.symbol(library, 'GetPjrtApi'))(0n)
    if (BigInt(api) === 0n) throw new Error(`${path}: GetPjrtApi gives null`)
    const start = new DataView(this.foreign.bytes(api, firstFunction).buffer)
    const size = Number(start.getBigUint64(0, true))
    this.version = {
      major: start.getInt32(versionAt.major, true),
      minor: start.getInt32(versionAt.minor, true),
    }
    if (this.version.major !== 0)
      throw new Error(`${path}: its PJRT API has major version ${this.version.major}; 0 is known here`)
    const table = this.foreign.bytes(api, Math.min(size, firstFunction + 8 * functionOrder.length))
    const pointers = new DataView(table.buffer, 0, table.byteLength)
    functionOrder.forEach((name, i) => {
      const at = firstFunction + 8 * i
      if (at + 8 > table.byteLength || !(name in this.#arguments)) return
      const address = pointers.getBigUint64(at, true)
      if (address === 0n) return
      const known = name as FunctionName
      this.#functions.set(known, {
        call: this.foreign.call(address),
        gives: known !== 'Error_Destroy' && known !== 'Error_Message',
        frame: new Frame(this.foreign, this.#arguments[known]),
      })
    })
    this.call('Plugin_Initialize', {})
  }

  /** A new struct that arguments point to. */
  struct(name: StructName, fields: Fields): Frame {
    return new Frame(this.foreign, this.#structs[name]).write(fields)
  }

  /** The layout of such a struct, as this plugin wants it by now. */
  structLayout(name: StructName): Layout {
    return this.#structs[name]
  }

  #known(name: FunctionName): Known {
    const f = this.#functions.get(name)
    if (f === undefined) throw new PjrtError('the plugin has no such function', 12, name)
    return f
  }

  /**
   * Calls a function and answers its struct, with the outputs; it is valid until the function's next call.
   *
   * @throws PjrtError
   */
  call(name: FunctionName, fields: Fields): Frame {
    const f = this.#known(name)
    for (;;) {
      const error = f.call(f.frame.write(fields).address)
      if (!f.gives || BigInt(error) === 0n) return f.frame
      this.#grow(this.#error(BigInt(error), name), fields)
    }
  }

  /** The same on another thread, with a struct of its own; the event loop turns meanwhile. */
  async later(name: FunctionName, fields: Fields): Promise<Frame> {
    const f = this.#known(name)
    for (;;) {
      const frame = new Frame(this.foreign, this.#arguments[name]).write(fields)
      const error = await f.call.later(frame.address)
      if (BigInt(error) === 0n) return frame
      this.#grow(this.#error(BigInt(error), name), fields)
    }
  }

  /** Calls a function whose only argument is one pointer. It is written out: a step does it for every state. */
  release(name: 'Buffer_Destroy' | 'Event_Destroy', pointer: bigint): void {
    const { call, frame } = this.#known(name)
    frame.words[0] = BigInt(frame.layout.size)
    frame.words[1] = 0n
    frame.words[2] = pointer
    const error = BigInt(call(frame.address))
    if (error === 0n) return
    this.#grow(this.#error(error, name), {})
    this.release(name, pointer)
  }

  /** Lengthens the struct that the plugin found too short; throws every other error. */
  #grow(error: PjrtError, fields: Fields): void {
    const short = tooShort(error.message)
    if (short === undefined) throw error
    const shape: Layout | undefined =
      this.#structs[short.name as StructName] ?? this.#arguments[short.name as FunctionName]
    if (shape === undefined || short.size <= shape.size || short.size > shape.bytes + spare) throw error
    shape.size = short.size
    // an array of such structs is laid out anew by whoever made it
    if (short.name === 'NamedValue') throw error
    for (const value of Object.values(fields)) if (value instanceof Frame) value.resize()
  }

  #error(error: bigint, name: FunctionName): PjrtError {
    const message = this.#message(error)
    let code = 2
    const f = this.#functions.get('Error_GetCode')
    // not by `call`, which would come here again
    for (let tries = 0; f !== undefined && tries < 2; tries++) {
      const other = BigInt(f.call(f.frame.write({ error }).address))
      if (other === 0n) {
        code = f.frame.number('code')
        break
      }
      const short = tooShort(this.#message(other))
      this.call('Error_Destroy', { error: other })
      if (short !== undefined && short.size <= f.frame.layout.bytes + spare) f.frame.layout.size = short.size
    }
    this.call('Error_Destroy', { error })
    return new PjrtError(message, code, name)
  }

  #message(error: bigint): string {
    const m = this.call('Error_Message', { error })
    return this.text(m.pointer('message'), m.number('message_size'))
  }

  /** Text at an address. */
  text(address: bigint, size: number): string {
    return size === 0 ? '' : new TextDecoder().decode(this.foreign.bytes(address, size))
  }

  /** Words at an address: pointers, sizes. */
  words(address: bigint, count: number): readonly bigint[] {
    if (count === 0) return []
    return Array.from(new BigUint64Array(this.foreign.bytes(address, 8 * count).buffer, 0, count))
  }
}
