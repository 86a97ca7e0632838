/**
 * The messages of an ONNX model file that Sailwright writes.
 * Field numbers: onnx.proto3 of ONNX (IR version 10 and later read these unchanged).
 */
import { bytesOf, type Schema, writerOf } from './descriptor.ts'

/** The fields that are written. */
export const onnxSchema: Schema = {
  ModelProto: {
    irVersion: '1 int64',
    opsetImport: '8 OperatorSetIdProto*',
    producerName: '2 string',
    graph: '7 GraphProto',
  },
  OperatorSetIdProto: { domain: '1 string', version: '2 int64' },
  GraphProto: {
    node: '1 NodeProto*',
    name: '2 string',
    initializer: '5 TensorProto*',
    input: '11 ValueInfoProto*',
    output: '12 ValueInfoProto*',
  },
  NodeProto: {
    input: '1 string*',
    output: '2 string*',
    name: '3 string',
    opType: '4 string',
    attribute: '5 AttributeProto*',
    domain: '7 string',
  },
  AttributeProto: {
    name: '1 string',
    f: '2 float',
    i: '3 int64',
    s: '4 bytes',
    g: '6 GraphProto',
    ints: '8 int64*',
    type: '20 int32',
  },
  TensorProto: {
    dims: '1 int64*',
    dataType: '2 int32',
    name: '8 string',
    rawData: '9 bytes',
    externalData: '13 StringStringEntryProto*',
    dataLocation: '14 int32',
  },
  ValueInfoProto: { name: '1 string', type: '2 TypeProto', docString: '3 string' },
  TypeProto: { tensorType: '1 TensorTypeProto' },
  TensorTypeProto: { elemType: '1 int32', shape: '2 TensorShapeProto' },
  TensorShapeProto: { dim: '1 Dimension*' },
  Dimension: { dimValue: '1 int64', dimParam: '2 string' },
  StringStringEntryProto: { key: '1 string', value: '2 string' },
}

/** `TensorProto.DataType`. */
export const onnxType = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
} as const
/** The element types that {@link onnxTensor} and {@link onnxValue} take. */
export type OnnxType = keyof typeof onnxType

/** A constant: raw little-endian bytes here, or in a file beside the model (`dataLocation` 1). */
export interface TensorProto {
  dims?: number[]
  dataType: number
  name?: string
  rawData?: Uint8Array
  /** The place in that file: `location`, `offset`, `length`. */
  externalData?: { key: string; value: string }[]
  dataLocation?: 0 | 1
}
/** One attribute of a node; exactly one value field is set, and `type` says which. */
interface AttributeProto {
  name: string
  type: number
  f?: number
  i?: number
  s?: Uint8Array
  g?: GraphProto
  ints?: number[]
}
/** One operation. */
export interface NodeProto {
  input: string[]
  output: string[]
  name?: string
  opType: string
  domain?: string
  attribute?: AttributeProto[]
}
/** One dimension: a size, or the name of a size that may vary. */
interface Dimension {
  dimValue?: number
  dimParam?: string
}
/** A graph's input, output or intermediate value with its type. */
export interface ValueInfoProto {
  name: string
  type?: { tensorType: { elemType: number; shape?: { dim: Dimension[] } } }
  docString?: string
}
/** A graph: nodes in an order in which every input is defined before it is used. */
export interface GraphProto {
  name: string
  node: NodeProto[]
  initializer?: TensorProto[]
  input: ValueInfoProto[]
  output: ValueInfoProto[]
}
/** A whole ONNX file. */
export interface ModelProto {
  irVersion: number
  opsetImport: { domain: string; version: number }[]
  producerName?: string
  graph: GraphProto
}

/** An attribute's value as TypeScript holds it; a whole number in `{ float: 1 }` stays a float. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly graph: GraphProto }

const utf8 = new TextEncoder()

const requireInt = (name: string, v: number): number => {
  if (!Number.isSafeInteger(v))
    throw new RangeError(`attribute '${name}': ${v} is not a whole number; write { float: ${v} } for a float`)
  return v
}

/**
 * An attribute, with the number of its type. A bare number is an int and a list of numbers one of ints; a float is said aloud:
 * `{ float: 1e-6 }`.
 *
 * @throws RangeError where a bare number is not whole
 */
const onnxAttribute = (name: string, value: AttributeValue): AttributeProto => {
  if (typeof value === 'number') return { name, type: 2, i: requireInt(name, value) }
  if (typeof value === 'string') return { name, type: 3, s: utf8.encode(value) }
  if ('float' in value) return { name, type: 1, f: value.float }
  if ('graph' in value) return { name, type: 5, g: value.graph }
  return { name, type: 7, ints: value.map((v) => requireInt(name, v)) }
}

/** A node; attributes as `{ axis: 1, epsilon: { float: 1e-6 } }`. */
export const onnxNode = (
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  more: { readonly name?: string; readonly domain?: string } = {},
): NodeProto => ({
  opType,
  input: [...input],
  output: [...output],
  attribute: Object.entries(attributes).map(([name, value]) => onnxAttribute(name, value)),
  ...more,
})

/** A constant whose bytes are `data`'s own (no copy before the file is encoded). */
export const onnxTensor = (
  name: string,
  type: OnnxType,
  dims: readonly number[],
  data: ArrayBufferView,
): TensorProto => ({ name, dataType: onnxType[type], dims: [...dims], rawData: bytesOf(data) })

/** An input's or output's declaration; a string among the dimensions is a size that may vary. */
export const onnxValue = (
  name: string,
  type: OnnxType,
  dims: readonly (number | string)[],
): ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType: onnxType[type],
      shape: { dim: dims.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })) },
    },
  },
})

/** The bytes of an ONNX file. Raw data is copied once; the whole must stay under protobuf's 2 GB. */
export const encodeModel: (m: ModelProto) => Uint8Array = writerOf(onnxSchema, 'ModelProto')
