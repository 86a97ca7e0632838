/**
 * Protobuf messages described in TypeScript, a field a word: `'3 string*'` is field number 3, repeated.
 */
import protobuf from 'protobufjs/light.js'

/**
 * A field: its number, its type (a protobuf scalar or a message of the same schema), `*` where it repeats;
 * or, for a map from strings, `'5 <AttrValue>'`.
 */
export type FieldSpec = `${number} ${string}`

/** Messages by name, fields by name. */
export type Schema = Readonly<Record<string, Readonly<Record<string, FieldSpec>>>>

/** Writes and reads messages of one type. */
export interface Codec<A> {
  /** The message's bytes; byte fields are copied once, into the result. */
  readonly encode: (message: A) => Uint8Array
  /** The message read back; repeated fields and maps that are absent come as empty ones. */
  readonly decode: (bytes: Uint8Array) => A
}

const packable = new Set(['int32', 'int64', 'uint64', 'float', 'double', 'bool'])

const fieldOf = (spec: FieldSpec): protobuf.IField => {
  const space = spec.indexOf(' ')
  const id = Number(spec.slice(0, space))
  const type = spec.slice(space + 1)
  if (type.startsWith('<')) return { id, keyType: 'string', type: type.slice(1, -1) } as protobuf.IMapField
  if (!type.endsWith('*')) return { id, type }
  const one = type.slice(0, -1)
  return packable.has(one)
    ? { id, type: one, rule: 'repeated', options: { packed: true } }
    : { id, type: one, rule: 'repeated' }
}

/**
 * A reader and writer for one message type of a schema.
 *
 * Numbers of 64 bits are plain numbers here, exact up to 2⁵³.
 *
 * @throws Error where the schema names a type that it does not define
 */
export const codec = <A>(schema: Schema, name: string): Codec<A> => {
  const root = protobuf.Root.fromJSON({
    nested: Object.fromEntries(
      Object.entries(schema).map(([message, fields]) => [
        message,
        { fields: Object.fromEntries(Object.entries(fields).map(([field, spec]) => [field, fieldOf(spec)])) },
      ]),
    ),
  })
  root.resolveAll()
  const type = root.lookupType(name)
  return {
    encode: (message) => type.encode(message as { [k: string]: unknown }).finish(),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number, arrays: true, objects: true }) as A,
  }
}

/** The bytes under a typed array, without a copy. */
export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
