/**
 * Weights that are stored in bfloat16 stay in 16 bits. The runtime's products on a processor take float32 alone, and of the
 * short formats it converts float16 quickly; so a weight is held as float16, 2⁸ times its number, and each product converts
 * what it takes and forgets it. bfloat16 has 8 bits of a number and float16 11, so that what is held is exact; only below 2⁻²⁵
 * numbers are rounded, to multiples of 2⁻³².
 */
import { present } from '../../settings/internal.ts'
import {
  type GraphProto,
  type NodeProto,
  onnxNode,
  onnxTensor,
  onnxValue,
  type ValueInfoProto,
} from '../proto/onnx.ts'
import { readInside } from './emitter.ts'

const scale = 256

/** Elements that a product converts at a time, where it can: about what lies in a processor's cache. */
const most = 2 ** 22

const toEven = (x: number): number => {
  const below = Math.floor(x)
  const over = x - below
  return over > 0.5 || (over === 0.5 && below % 2 === 1) ? below + 1 : below
}

/** By bfloat16 pattern the float16 pattern of 2⁸ times the number, where that has one. */
const held = (): Uint16Array => {
  const numbers = new Float32Array(Uint32Array.from({ length: 2 ** 16 }, (_, i) => i << 16).buffer)
  return Uint16Array.from(numbers, (number, i) => {
    const size = Math.abs(number) * scale
    const sign = i & 0x8000
    // exponents count from −127 there and from −15 here, mantissas have 7 bits and 10
    if (size >= 2 ** -14) return sign | (((i & 0x7fff) - ((127 - 15 - 8) << 7)) << 3)
    return sign | toEven(size * 2 ** 24)
  })
}

/** By float16 pattern a 2⁸th of the number. */
const numbers = (): Float32Array =>
  Float32Array.from({ length: 2 ** 16 }, (_, i) => {
    const [exponent, mantissa] = [(i >> 10) & 31, i & 1023]
    const size = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15)
    return ((i & 0x8000) === 0 ? size : -size) / scale
  })

const once = <A>(make: () => A): (() => A) => {
  let made: A | undefined
  return () => {
    made ??= make()
    return made
  }
}

const heldOf = once(held)
const numberOf = once(numbers)

/** The bfloat16 pattern of 2⁸ − 1: from 255.9 on float16 has no place for 2⁸ times a number. */
const largest = 0x437f

/**
 * bfloat16 patterns become those that are held, in place. False, and nothing is changed, where a number is too large, infinite
 * or none.
 */
export const halve = (patterns: Uint16Array): boolean => {
  for (let i = 0; i < patterns.length; i++) if ((patterns[i]! & 0x7fff) > largest) return false
  const to = heldOf()
  for (let i = 0; i < patterns.length; i++) patterns[i] = to[patterns[i]!]!
  return true
}

/** The numbers of what is held. */
export const wholeOf = (patterns: Uint16Array): Float32Array => {
  const of = numberOf()
  const floats = new Float32Array(patterns.length)
  for (let i = 0; i < floats.length; i++) floats[i] = of[patterns[i]!]!
  return floats
}

/** Whether numbers are, bit for bit, those of what is held. */
export const isHeld = (patterns: Uint16Array, given: ArrayLike<number>): boolean => {
  const of = numberOf()
  return patterns.every((p, i) => Object.is(of[p], given[i]))
}

/** Rows of a weight that a graph takes as an input of their own. */
export interface Rows {
  /** The graph's name of the weight. */
  readonly of: string
  readonly start: number
  readonly count: number
}

/** A graph whose weights are held in 16 bits, and its inputs that are parts of one. */
interface Halved {
  readonly graph: GraphProto
  readonly rows: ReadonlyMap<string, Rows>
}

const flag = (n: NodeProto, name: string): number => n.attribute?.find((a) => a.name === name)?.i ?? 0

const products: ReadonlySet<string> = new Set(['MatMul', 'Gemm', 'FusedMatMul'])

/** The node with other inputs, those of graphs inside it included. */
const renamed = (n: NodeProto, names: ReadonlyMap<string, string>): NodeProto => {
  const to = (name: string): string => names.get(name) ?? name
  const inside = (g: GraphProto): GraphProto => ({
    ...g,
    node: g.node.map((m) => renamed(m, names)),
    output: g.output.map((o) => ({ ...o, name: to(o.name) })),
  })
  const input = n.input.map(to)
  if (n.attribute === undefined) return { ...n, input }
  return {
    ...n,
    input,
    attribute: n.attribute.map((a) => (a.g === undefined ? a : { ...a, g: inside(a.g) })),
  }
}

/** The declaration of an input of float16. */
const halfInput = (name: string, shape: readonly number[]): ValueInfoProto =>
  onnxValue(name, 'float16', shape)

/**
 * The graph over weights in 16 bits.
 *
 * @param halves the graph's inputs that are
 */
export const withHalves = (graph: GraphProto, halves: ReadonlySet<string>): Halved => {
  const rows = new Map<string, Rows>()
  if (halves.size === 0) return { graph, rows }
  const taken = new Set([...graph.node.flatMap((n) => n.output), ...graph.input.map((i) => i.name)])
  for (const i of graph.initializer ?? []) taken.add(i.name ?? '')
  const unique = (wanted: string): string => {
    let name = wanted
    for (let i = 1; taken.has(name); i++) name = `${wanted}.${i}`
    taken.add(name)
    return name
  }
  const factor = unique('half_factor')
  const node: NodeProto[] = []
  const added: ValueInfoProto[] = []
  const dims = new Map<string, readonly number[]>()
  /**
   * What reads weights alone. It stands before all others: of what a node reads the runtime computes last what stands first. So
   * a weight is converted just before its product, and not all of them before the first.
   */
  const first: NodeProto[] = []
  const emit = (into: NodeProto[], opType: string, inputs: readonly string[], to?: number): string => {
    const name = unique(`half_${opType}`)
    into.push(onnxNode(opType, inputs, [name], to === undefined ? {} : { to }, { name }))
    return name
  }
  const converted = (name: string): string => emit(first, 'Cast', [name], 1)
  const input = graph.input.map((v) => {
    if (!halves.has(v.name)) return v
    const shape = v.type!.tensorType.shape!.dim.map((d) => d.dimValue!)
    dims.set(v.name, shape)
    return halfInput(v.name, shape)
  })
  const whole = (name: string): string => emit(first, 'Mul', [converted(name), factor])
  const scaled = new Map<string, string>()
  const scaledOf = (x: string): string => {
    const had = scaled.get(x) ?? emit(node, 'Mul', [x, factor])
    scaled.set(x, had)
    return had
  }
  const parts = new Map<string, readonly string[]>()
  /** The rows of a matrix in parts that are converted one by one. */
  const partsOf = (name: string): readonly string[] => {
    const had = parts.get(name)
    if (had !== undefined) return had
    const [count, width] = dims.get(name) as readonly [number, number]
    const each = Math.max(1, Math.floor(most / width))
    const made: string[] = []
    for (let start = 0; start < count; start += each) {
      const part = unique(`${name} rows ${start}`)
      const size = Math.min(each, count - start)
      rows.set(part, { of: name, start, count: size })
      added.push(halfInput(part, [size, width]))
      made.push(part)
    }
    parts.set(name, made)
    return made
  }
  /** A large matrix whose rows lie along the result's last axis: each part gives its columns. */
  const productInParts = (n: NodeProto, x: string, weight: string): void => {
    const pieces = partsOf(weight).map((part) => {
      const y = unique(`${n.output[0]} ${part}`)
      node.push({ ...n, name: y, input: [x, converted(part)], output: [y] })
      return y
    })
    node.push(onnxNode('Concat', pieces, n.output, { axis: -1 }, present({ name: n.name })))
  }
  const product = (n: NodeProto): void => {
    const [a, b] = n.input as [string, string]
    const shape = dims.get(b)
    if (shape?.length === 2 && flag(n, 'transB') === 1 && shape[0]! * shape[1]! > 2 * most)
      productInParts(n, scaledOf(a), b)
    else node.push({ ...n, input: n.input.map((x) => (halves.has(x) ? converted(x) : scaledOf(x))) })
  }
  /** Of what a table gives alone is converted. */
  const gather = (n: NodeProto): void => {
    const found = unique(`${n.output[0]} half`)
    node.push({ ...n, output: [found] })
    const floats = emit(node, 'Cast', [found], 1)
    node.push(onnxNode('Mul', [floats, factor], n.output, {}, { name: unique('half_Mul') }))
  }
  for (const n of graph.node) {
    const inside = new Set(readInside(n).filter((name) => halves.has(name)))
    const [a, b] = n.input
    const isProduct =
      products.has(n.opType) && n.input.length === 2 && halves.has(a!) !== halves.has(b!) && inside.size === 0
    if (isProduct) product(n)
    else if (n.opType === 'Gather' && halves.has(a!) && n.output.length === 1) gather(n)
    else {
      const read = [...n.input, ...inside].filter((name) => halves.has(name))
      const names = new Map(read.map((name) => [name, whole(name)] as const))
      node.push(names.size === 0 ? n : renamed(n, names))
    }
  }
  return {
    graph: {
      ...graph,
      node: [...first, ...node],
      input: [...input, ...added],
      initializer: [
        ...(graph.initializer ?? []),
        onnxTensor(factor, 'float32', [], Float32Array.of(1 / scale)),
      ],
    },
    rows,
  }
}
