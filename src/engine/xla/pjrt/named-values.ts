/** Options by name, as a plugin takes them when a client is made. */
import type { Plugin } from './plugin.ts'

/** A text, a whole number, a truth value, or a fraction. */
export type NamedValue = string | number | boolean | { readonly float: number }

/** Values by name in an array of structs. */
interface NamedValues {
  readonly array: Uint8Array<ArrayBuffer>
  readonly count: number
}

/** What an array of structs points to lives as long as the array does. */
const pointedTo = new WeakMap<ArrayBufferView, readonly ArrayBufferView[]>()

const utf8 = new TextEncoder()

/** Values laid out as this plugin wants them. */
export const namedValues = (plugin: Plugin, values: Readonly<Record<string, NamedValue>>): NamedValues => {
  const { fields, size } = plugin.structLayout('NamedValue')
  const entries = Object.entries(values)
  const stride = Math.ceil(size / 8) * 8
  const array = new Uint8Array(new ArrayBuffer(Math.max(64, stride * entries.length)))
  const kept: ArrayBufferView[] = []
  entries.forEach(([name, value], i) => {
    const view = new DataView(array.buffer, i * stride)
    const at = (field: string): number => fields.get(field)!.at
    const point = (field: string, bytes: ArrayBufferView): void => {
      kept.push(bytes)
      view.setBigUint64(at(field), BigInt(plugin.foreign.address(bytes)), true)
    }
    /** Bytes of a text; never none, so that there is an address. */
    const text = (s: string): Uint8Array => (s === '' ? new Uint8Array(1) : utf8.encode(s))
    const typed = (type: number, count = 1): void => {
      view.setInt32(at('type'), type, true)
      view.setBigUint64(at('value_size'), BigInt(count), true)
    }
    view.setBigUint64(0, BigInt(size), true)
    point('name', text(name))
    view.setBigUint64(at('name_size'), BigInt(utf8.encode(name).length), true)
    if (typeof value === 'string') {
      typed(0, utf8.encode(value).length)
      point('value', text(value))
    } else if (typeof value === 'number') {
      typed(1)
      view.setBigInt64(at('value'), BigInt(value), true)
    } else if (typeof value === 'boolean') {
      typed(4)
      view.setUint8(at('value'), value ? 1 : 0)
    } else {
      typed(3)
      view.setFloat32(at('value'), value.float, true)
    }
  })
  pointedTo.set(array, kept)
  return { array, count: entries.length }
}
