/**
 * The messages of an ONNX model file that Sailwright writes.
 * Field numbers: onnx.proto3 of ONNX (IR version 10 and later read these unchanged).
 */
import { bytesOf, codec, type Schema } from './descriptor.ts'

const schema: Schema = {
  ModelProto: {
    irVersion: '1 int64',
    opsetImport: '8 OperatorSetIdProto*',
    producerName: '2 string',
    producerVersion: '3 string',
    domain: '4 string',
    modelVersion: '5 int64',
    docString: '6 string',
    graph: '7 GraphProto',
    metadataProps: '14 StringStringEntryProto*',
  },
  OperatorSetIdProto: { domain: '1 string', version: '2 int64' },
  GraphProto: {
    node: '1 NodeProto*',
    name: '2 string',
    initializer: '5 TensorProto*',
    docString: '10 string',
    input: '11 ValueInfoProto*',
    output: '12 ValueInfoProto*',
    valueInfo: '13 ValueInfoProto*',
  },
  NodeProto: {
    input: '1 string*',
    output: '2 string*',
    name: '3 string',
    opType: '4 string',
    attribute: '5 AttributeProto*',
    docString: '6 string',
    domain: '7 string',
  },
  AttributeProto: {
    name: '1 string',
    f: '2 float',
    i: '3 int64',
    s: '4 bytes',
    t: '5 TensorProto',
    g: '6 GraphProto',
    floats: '7 float*',
    ints: '8 int64*',
    strings: '9 bytes*',
    tensors: '10 TensorProto*',
    graphs: '11 GraphProto*',
    docString: '13 string',
    type: '20 int32',
  },
  TensorProto: {
    dims: '1 int64*',
    dataType: '2 int32',
    floatData: '4 float*',
    int32Data: '5 int32*',
    int64Data: '7 int64*',
    name: '8 string',
    rawData: '9 bytes',
    docString: '12 string',
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
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const
/** The element types that {@link onnxTensor} and {@link onnxValue} take. */
export type OnnxType = keyof typeof onnxType

/** `AttributeProto.AttributeType`. */
export const attributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const

/** A name and a value: metadata, or a part of an external tensor's place (`location`, `offset`, `length`). */
export interface StringStringEntryProto {
  key: string
  value: string
}
/** A constant: raw little-endian bytes here, or in a file beside the model (`dataLocation` 1). */
export interface TensorProto {
  dims?: number[]
  dataType: number
  name?: string
  rawData?: Uint8Array
  floatData?: number[]
  int32Data?: number[]
  int64Data?: number[]
  docString?: string
  externalData?: StringStringEntryProto[]
  dataLocation?: 0 | 1
}
/** One attribute of a node; exactly one value field is set, and `type` says which. */
export interface AttributeProto {
  name: string
  type: number
  f?: number
  i?: number
  s?: Uint8Array
  t?: TensorProto
  g?: GraphProto
  floats?: number[]
  ints?: number[]
  strings?: Uint8Array[]
}
/** One operation. */
export interface NodeProto {
  input: string[]
  output: string[]
  name?: string
  opType: string
  domain?: string
  attribute?: AttributeProto[]
  docString?: string
}
/** One dimension: a size, or the name of a size that may vary. */
export interface Dimension {
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
  valueInfo?: ValueInfoProto[]
  docString?: string
}
/** A whole ONNX file. */
export interface ModelProto {
  irVersion: number
  opsetImport: { domain: string; version: number }[]
  producerName?: string
  producerVersion?: string
  domain?: string
  modelVersion?: number
  docString?: string
  graph: GraphProto
  metadataProps?: StringStringEntryProto[]
}

/** An attribute's value as TypeScript holds it; a whole number in `float(1)` stays a float. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto }

const utf8 = new TextEncoder()

const requireInt = (name: string, v: number): number => {
  if (!Number.isSafeInteger(v))
    throw new RangeError(`attribute '${name}': ${v} is not a whole number; write { float: ${v} } for a float`)
  return v
}

/**
 * An attribute. A bare number is an int and a bare list of numbers a list of ints; floats are said aloud:
 * `{ float: 1e-6 }`, `{ floats: [0.5, 2] }`.
 *
 * @throws RangeError where a bare number is not whole
 */
export const onnxAttribute = (name: string, value: AttributeValue): AttributeProto => {
  if (typeof value === 'number') return { name, type: attributeType.int, i: requireInt(name, value) }
  if (typeof value === 'string') return { name, type: attributeType.string, s: utf8.encode(value) }
  if (Array.isArray(value)) {
    const list = value as readonly (number | string)[]
    return list.length > 0 && typeof list[0] === 'string'
      ? { name, type: attributeType.strings, strings: list.map((s) => utf8.encode(String(s))) }
      : { name, type: attributeType.ints, ints: list.map((v) => requireInt(name, Number(v))) }
  }
  const v = value as Exclude<AttributeValue, number | string | readonly number[] | readonly string[]>
  if ('float' in v) return { name, type: attributeType.float, f: v.float }
  if ('floats' in v) return { name, type: attributeType.floats, floats: [...v.floats] }
  if ('tensor' in v) return { name, type: attributeType.tensor, t: v.tensor }
  return { name, type: attributeType.graph, g: v.graph }
}

/** A node; attributes as `{ axis: 1, epsilon: { float: 1e-6 } }`. */
export const onnxNode = (
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  more: { readonly name?: string; readonly domain?: string; readonly docString?: string } = {},
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

const model = codec<ModelProto>(schema, 'ModelProto')

/** The bytes of an ONNX file. Raw data is copied once; the whole must stay under protobuf's 2 GB. */
export const encodeModel = (m: ModelProto): Uint8Array => model.encode(m)

/** An ONNX file read back. */
export const decodeModel = (bytes: Uint8Array): ModelProto => model.decode(bytes)
