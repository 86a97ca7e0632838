/** Collects the operations of one StableHLO function as text: each operation once, with the user's line behind it. */
import { type Data, type Dtype, settledSite, type Tensor } from '../../dsl/index.ts'

/** Element types inside a program. */
export type Element = Dtype | 'bfloat16' | 'float64' | 'uint8'

/** A value of the function: its name (`%12`), element type and shape. */
export interface Value {
  readonly name: string
  readonly type: Element
  readonly shape: readonly number[]
}

const elementNames: Readonly<Record<Element, string>> = {
  float32: 'f32',
  float64: 'f64',
  bfloat16: 'bf16',
  int32: 'i32',
  bool: 'i1',
  uint8: 'ui8',
}

/** `tensor<2x3xf32>`. */
export const typeOf = (type: Element, shape: readonly number[]): string =>
  `tensor<${[...shape, elementNames[type]].join('x')}>`

/** The type of a value, `tensor<2x3xf32>`. */
export const typeOfValue = (v: Value): string => typeOf(v.type, v.shape)

/** The types of operands and result, as most operations end: `(tensor<2xf32>) -> tensor<2xi32>`. */
export const signature = (operands: readonly Value[], result: string): string =>
  `(${operands.map(typeOfValue).join(', ')}) -> ${result}`

/** What collects the operations; `blame` says which of the user's nodes the following ones stand for. */
export interface Builder {
  /** Adds an operation, all that stands right of `=`; the same operation on the same operands is one. */
  readonly op: (text: string, type: Element, shape: readonly number[]) => Value
  /** Adds an operation of several results, each named `%12#0`, `%12#1`. */
  readonly ops: (
    text: string,
    results: readonly { readonly type: Element; readonly shape: readonly number[] }[],
  ) => readonly Value[]
  /** A literal. */
  readonly constant: (type: Dtype, shape: readonly number[], data: Data) => Value
  /** A number of rank 0. */
  readonly scalar: (type: Element, value: number) => Value
  /**
   * A region of an operation: what `build` gives from values of these types, as text. What was made before can be read in
   * it; what is made in it can be read nowhere else, but for what only lays out anew or rounds values from outside: that is
   * made there, once.
   */
  readonly region: (
    given: readonly { readonly type: Element; readonly shape: readonly number[] }[],
    build: (values: readonly Value[]) => readonly Value[],
  ) => string
  /** An argument of the function; `attributes` is text such as `tf.aliasing_output = 0 : i32`. */
  readonly argument: (type: Element, shape: readonly number[], attributes?: string) => Value
  readonly blame: (t: Tensor | undefined) => void
  /** The module whose function `main` gives these values; `attributes` of each, where it has some. */
  readonly module: (
    name: string,
    results: readonly Value[],
    attributes?: readonly (string | undefined)[],
  ) => string
  /** The user's node that a message of the compiler is about: it names a location, or a line of the module. */
  readonly blamedIn: (message: string) => Tensor | undefined
}

const bits = new DataView(new ArrayBuffer(8))
const hex = (n: number | bigint, digits: number): string => n.toString(16).toUpperCase().padStart(digits, '0')

/** A number as MLIR writes it; floats by their bits, so that none is rounded and none is special. */
const literal = (type: Element, value: number): string => {
  if (type === 'bool') return value === 0 ? 'false' : 'true'
  if (type === 'int32') return String(value)
  if (type === 'float64') {
    bits.setFloat64(0, value)
    return `0x${hex(bits.getBigUint64(0), 16)}`
  }
  bits.setFloat32(0, value)
  const word = bits.getUint32(0)
  if (type === 'float32') return `0x${hex(word, 8)}`
  // rounded to the nearest even, as a conversion would
  return `0x${hex(Number.isNaN(value) ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16, 4)}`
}

/** Row-major bytes in hexadecimal. */
const hexOf = (data: Data): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex').toUpperCase()

/** A string literal of MLIR: quotes, backslashes and what is no letter by their number. */
export const quoted = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  `"${text.replace(/[\u0000-\u001f"\\]/g, (c) => `\\${hexByte(c)}`)}"`

const hexByte = (c: string): string => hex(c.charCodeAt(0), 2)

/**
 * A module's text without the places in the user's files, which make no other program: what is compiled of the one is what is
 * compiled of the other, and the names of operations, by which messages find their nodes, are the same.
 */
export const withoutPlaces = (text: string): string =>
  text.replace(/^(#loc\d+ = loc\("[^"]*")\(.*\)\)$/gm, '$1)')

/** The function, or a region of one of its operations that is being built. */
interface Scope {
  /** An operation with a body takes several. */
  readonly lines: string[]
  /** The node behind each line. */
  readonly owners: (Tensor | undefined)[]
  /** What can be read, by the text that made it. */
  readonly made: Map<string, readonly Value[]>
  /** The names that it gave. */
  readonly names: Set<string>
}

const emptyScope = (names: readonly string[] = []): Scope => ({
  ...{ lines: [], owners: [], made: new Map(), names: new Set(names) },
})

/** An operation that lays values out anew, or rounds them, and makes nothing larger. */
const prepares = (text: string, type: Element): boolean =>
  /^stablehlo\.(concatenate|reduce_precision|reshape|transpose) /.test(text) ||
  (type === 'bfloat16' && text.startsWith('stablehlo.convert '))

/** An empty function. */
export const builder = (): Builder => {
  /** The function, and each region that is being built inside the one before. */
  const scopes = [emptyScope()]
  const readable = (text: string) => scopes.map((s) => s.made.get(text)).find((v) => v !== undefined)
  /** Where an operation is put: what only prepares values from outside of a region is done there, once. */
  const scopeOf = (text: string, type: Element): Scope => {
    if (scopes.length === 1 || !prepares(text, type)) return scopes.at(-1)!
    const read = text.match(/%\w+/g) ?? []
    return scopes.findLast((s) => read.some((name) => s.names.has(name))) ?? scopes[0]!
  }
  const args: string[] = []
  const locations: string[] = []
  const known = new Map<Tensor, number>()
  const owners = new Map<string, Tensor>()
  let blamed: Tensor | undefined
  let place = 'loc(unknown)'
  let count = 0
  let regions = 0

  const located = (t: Tensor): string => {
    const had = known.get(t)
    if (had !== undefined) return `loc(#loc${had})`
    const n = locations.length
    const name = `${'fn' in t.op ? t.op.fn : 'kind' in t.op ? t.op.kind : t.op.op}.${n}`
    const at = /^(.*):(\d+):(\d+)$/.exec(settledSite(t.site).line)
    const file = at === null ? 'unknown' : `${quoted(at[1]!)}:${at[2]}:${at[3]}`
    known.set(t, n)
    owners.set(name, t)
    locations.push(`#loc${n} = loc(${quoted(name)}(${file}))`)
    return `loc(#loc${n})`
  }

  const ops: Builder['ops'] = (text, results) => {
    const had = readable(text)
    if (had !== undefined) return had
    const name = `%${count++}`
    const line = `${name}${results.length > 1 ? `:${results.length}` : ''} = ${text} ${place}`
    const scope = scopeOf(text, results[0]!.type)
    for (const part of line.split('\n')) {
      scope.lines.push(part)
      scope.owners.push(blamed)
    }
    const values = results.map((r, i) => ({ ...r, name: results.length > 1 ? `${name}#${i}` : name }))
    scope.made.set(text, values)
    scope.names.add(name)
    return values
  }
  const op: Builder['op'] = (text, type, shape) => ops(text, [{ type, shape }])[0]!

  const scalar: Builder['scalar'] = (type, value) =>
    op(`stablehlo.constant dense<${literal(type, value)}> : ${typeOf(type, [])}`, type, [])

  return {
    op,
    ops,
    scalar,
    constant: (type, shape, data) => {
      const first = data[0]!
      if (data.every((x) => Object.is(x, first)))
        return op(`stablehlo.constant dense<${literal(type, first)}> : ${typeOf(type, shape)}`, type, shape)
      if (type !== 'bool')
        return op(`stablehlo.constant dense<"0x${hexOf(data)}"> : ${typeOf(type, shape)}`, type, shape)
      // bits would be packed: bytes are written and converted
      const bytes = `tensor<${[...shape, 'i8'].join('x')}>`
      const held = op(`stablehlo.constant dense<"0x${hexOf(data)}"> : ${bytes}`, type, shape)
      return op(`stablehlo.convert ${held.name} : (${bytes}) -> ${typeOf(type, shape)}`, type, shape)
    },
    region: (given, build) => {
      const values = given.map((v): Value => ({ ...v, name: `%r${regions++}` }))
      scopes.push(emptyScope(values.map((v) => v.name)))
      const results = build(values)
      const { lines: inside } = scopes.pop()!
      return [
        '{',
        `^bb0(${values.map((v) => `${v.name}: ${typeOfValue(v)}`).join(', ')}):`,
        ...inside,
        `stablehlo.return ${results.map((r) => r.name).join(', ')} : ${results.map(typeOfValue).join(', ')}`,
        '}',
      ].join('\n')
    },
    argument: (type, shape, attributes = '') => {
      const name = `%arg${args.length}`
      args.push(`${name}: ${typeOf(type, shape)}${attributes === '' ? '' : ` {${attributes}}`}`)
      return { name, type, shape }
    },
    blame: (t) => {
      blamed = t
      place = t === undefined ? 'loc(unknown)' : located(t)
    },
    module: (name, results, attributes = []) => {
      const types = results.map(typeOfValue)
      const given = types.map((type, i) =>
        attributes[i] === undefined ? type : `${type} {${attributes[i]}}`,
      )
      return [
        `module @${quoted(name)} {`,
        `func.func public @main(${args.join(', ')}) -> (${given.join(', ')}) {`,
        ...scopes[0]!.lines,
        results.length === 0
          ? 'return'
          : `return ${results.map((r) => r.name).join(', ')} : ${types.join(', ')}`,
        '}',
        '}',
        ...locations,
        '',
      ].join('\n')
    },
    blamedIn: (message) => {
      const { lines, owners: lineOwners } = scopes[0]!
      // what cannot be read is named by its line, of which two come before the function's own
      const line = /(?:^|\s)-:(\d+):\d+: error/.exec(message)
      if (line !== null) return lineOwners[Number(line[1]) - 3]
      const named = (message.match(/[A-Za-z]\w*\.\d+/g) ?? []).flatMap((n) => owners.get(n) ?? [])
      if (named.length > 0) return named[0]
      // what is read and no operation is named by the user's line and the operation
      const [, at, op] = /(\S+:\d+:\d+): error: '(\S+)' op/.exec(message) ?? []
      const places = lines.flatMap((text, i) => (text.includes(op ?? '') ? (lineOwners[i] ?? []) : []))
      return places.find((t) => settledSite(t.site).line === at)
    },
  }
}
