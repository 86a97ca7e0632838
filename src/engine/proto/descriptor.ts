/**
 * Protobuf messages described in TypeScript, a field a word: `'3 string*'` is field number 3, repeated.
 *
 * They are written in two passes (sizes, then bytes), because weights of hundreds of megabytes must be copied once and not
 * once for every message around them.
 */

/**
 * A field: its number, its type (a protobuf scalar or a message of the same schema), `*` where it repeats;
 * or, for a map from strings, `'5 <AttrValue>'`.
 */
type FieldSpec = `${number} ${string}`

/** Messages by name, fields by name. */
export type Schema = Readonly<Record<string, Readonly<Record<string, FieldSpec>>>>

const scalarNames = ['int32', 'int64', 'bool', 'float', 'double', 'string', 'bytes'] as const
type Scalar = (typeof scalarNames)[number]
const scalars: ReadonlySet<string> = new Set(scalarNames)

/** A field made ready for writing. */
interface Field {
  readonly name: string
  readonly number: number
  readonly type: Scalar | Message
  readonly kind: 'one' | 'many' | 'packed' | 'map'
  readonly tag: number
}
interface Message {
  fields: readonly Field[]
}
type Value = Readonly<Record<string, unknown>>

/** A field's number, type and kind. */
export const parse = (spec: FieldSpec): { id: number; type: string; kind: Field['kind'] } => {
  const space = spec.indexOf(' ')
  const id = Number(spec.slice(0, space))
  const type = spec.slice(space + 1)
  if (type.startsWith('<')) return { id, type: type.slice(1, -1), kind: 'map' }
  if (!type.endsWith('*')) return { id, type, kind: 'one' }
  const one = type.slice(0, -1)
  return { id, type: one, kind: scalars.has(one) && one !== 'string' && one !== 'bytes' ? 'packed' : 'many' }
}

const wireType = (type: Scalar | Message): number =>
  type === 'float'
    ? 5
    : type === 'double'
      ? 1
      : type === 'int32' || type === 'int64' || type === 'bool'
        ? 0
        : 2

/** Every message of the schema with its fields resolved. */
const messages = (schema: Schema): Map<string, Message> => {
  const table = new Map<string, Message>(Object.keys(schema).map((name) => [name, { fields: [] }]))
  for (const [name, fields] of Object.entries(schema))
    table.get(name)!.fields = Object.entries(fields).map(([field, spec]) => {
      const { id, type: typeName, kind } = parse(spec)
      const type = scalars.has(typeName) ? (typeName as Scalar) : table.get(typeName)
      if (type === undefined) throw new Error(`${name}.${field}: the schema has no message '${typeName}'`)
      const wire = kind === 'packed' || kind === 'map' ? 2 : wireType(type)
      return { name: field, number: id, type, kind, tag: id * 8 + wire }
    })
  return table
}

const varintSize = (v: number): number => {
  if (v < 0) return 10
  let n = 1
  for (let rest = v; rest >= 128; rest = Math.floor(rest / 128)) n++
  return n
}

/** First pass: sizes of everything that carries its length, in the order in which the second pass asks. */
class Sizer {
  readonly sizes: number[] = []
  message(m: Message, value: Value): number {
    let total = 0
    for (const f of m.fields) {
      const v = value[f.name]
      if (v === undefined || v === null) continue
      if (f.kind === 'one') total += varintSize(f.tag) + this.one(f.type, v)
      else if (f.kind === 'many')
        for (const x of v as unknown[]) total += varintSize(f.tag) + this.one(f.type, x)
      else if (f.kind === 'packed') {
        const list = v as ArrayLike<unknown>
        if (list.length === 0) continue
        const slot = this.sizes.push(0) - 1
        let size = 0
        for (let i = 0; i < list.length; i++) size += this.one(f.type, list[i])
        this.sizes[slot] = size
        total += varintSize(f.tag) + varintSize(size) + size
      } else
        for (const [key, x] of Object.entries(v as Value)) {
          const slot = this.sizes.push(0) - 1
          const size = 1 + this.one('string', key) + 1 + this.one(f.type, x)
          this.sizes[slot] = size
          total += varintSize(f.tag) + varintSize(size) + size
        }
    }
    return total
  }
  one(type: Scalar | Message, v: unknown): number {
    if (type === 'float') return 4
    if (type === 'double') return 8
    if (type === 'bool') return 1
    if (type === 'int32' || type === 'int64') return varintSize(v as number)
    const slot = this.sizes.push(0) - 1
    const size =
      type === 'string'
        ? Buffer.byteLength(v as string)
        : type === 'bytes'
          ? (v as Uint8Array).byteLength
          : this.message(type, v as Value)
    this.sizes[slot] = size
    return varintSize(size) + size
  }
}

/** Second pass: the bytes, into a buffer of exactly the right size. */
class Writer {
  readonly #out: Buffer
  readonly #sizes: readonly number[]
  #slot = 0
  #at = 0
  constructor(size: number, sizes: readonly number[]) {
    this.#out = Buffer.allocUnsafe(size)
    this.#sizes = sizes
  }
  get bytes(): Uint8Array {
    return this.#out
  }
  #varint(v: number): void {
    if (v < 0) {
      this.#varintBig(BigInt.asUintN(64, BigInt(v)))
      return
    }
    let rest = v
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#out[this.#at++] = (rest % 128) | 128
    this.#out[this.#at++] = rest
  }
  #varintBig(v: bigint): void {
    let rest = v
    for (; rest >= 128n; rest >>= 7n) this.#out[this.#at++] = Number(rest & 127n) | 128
    this.#out[this.#at++] = Number(rest)
  }
  #size(): number {
    const size = this.#sizes[this.#slot++]!
    this.#varint(size)
    return size
  }
  message(m: Message, value: Value): void {
    for (const f of m.fields) {
      const v = value[f.name]
      if (v === undefined || v === null) continue
      if (f.kind === 'one') {
        this.#varint(f.tag)
        this.#one(f.type, v)
      } else if (f.kind === 'many')
        for (const x of v as unknown[]) {
          this.#varint(f.tag)
          this.#one(f.type, x)
        }
      else if (f.kind === 'packed') {
        const list = v as ArrayLike<unknown>
        if (list.length === 0) continue
        this.#varint(f.tag)
        this.#size()
        for (let i = 0; i < list.length; i++) this.#one(f.type, list[i])
      } else
        for (const [key, x] of Object.entries(v as Value)) {
          this.#varint(f.tag)
          this.#size()
          this.#varint(8 + 2)
          this.#one('string', key)
          this.#varint(16 + wireType(f.type))
          this.#one(f.type, x)
        }
    }
  }
  #one(type: Scalar | Message, v: unknown): void {
    if (type === 'float') this.#at = this.#out.writeFloatLE(v as number, this.#at)
    else if (type === 'double') this.#at = this.#out.writeDoubleLE(v as number, this.#at)
    else if (type === 'bool') this.#out[this.#at++] = v ? 1 : 0
    else if (type === 'int32' || type === 'int64') this.#varint(v as number)
    else {
      const size = this.#size()
      if (type === 'string') this.#at += this.#out.write(v as string, this.#at, size)
      else if (type === 'bytes') {
        this.#out.set(v as Uint8Array, this.#at)
        this.#at += size
      } else this.message(type, v as Value)
    }
  }
}

/** Protobuf's own limit on a message, in bytes. */
const protobufLimit = 2 ** 31 - 1

/**
 * What writes messages of one type of a schema; byte fields are copied once, into the result.
 *
 * Numbers of 64 bits are plain numbers here, exact up to 2⁵³.
 *
 * @throws Error where the schema names a type that it does not define
 * @throws RangeError from the writer where the message is over protobuf's 2 GB
 */
export const writerOf = <A>(schema: Schema, name: string): ((message: A) => Uint8Array) => {
  const root = messages(schema).get(name)
  if (root === undefined) throw new Error(`the schema has no message '${name}'`)
  return (message) => {
    const sizer = new Sizer()
    const size = sizer.message(root, message as Value)
    if (size > protobufLimit)
      throw new RangeError(
        `${name}: ${size} bytes are over protobuf's limit of ${protobufLimit}; keep large weights out of the graph`,
      )
    const writer = new Writer(size, sizer.sizes)
    writer.message(root, message as Value)
    return writer.bytes
  }
}

/** The bytes under a typed array, without a copy. */
export const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
