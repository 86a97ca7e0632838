/**
 * The messages of a TensorFlow SavedModel that Sailwright writes.
 * Field numbers: tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape,types,versions}.proto
 * and tensorflow/core/protobuf/{saved_model,meta_graph}.proto.
 */
import { bytesOf, type Schema, writerOf } from './descriptor.ts'

/** The fields that are written. */
export const savedModelSchema: Schema = {
  SavedModel: { savedModelSchemaVersion: '1 int64', metaGraphs: '2 MetaGraphDef*' },
  MetaGraphDef: { metaInfoDef: '1 MetaInfoDef', graphDef: '2 GraphDef', signatureDef: '5 <SignatureDef>' },
  MetaInfoDef: { tags: '4 string*', tensorflowVersion: '5 string' },
  SignatureDef: { inputs: '1 <TensorInfo>', outputs: '2 <TensorInfo>', methodName: '3 string' },
  TensorInfo: { name: '1 string', dtype: '2 int32', tensorShape: '3 TensorShapeProto' },
  GraphDef: { node: '1 NodeDef*', versions: '4 VersionDef', library: '2 FunctionDefLibrary' },
  FunctionDefLibrary: { function: '1 FunctionDef*' },
  FunctionDef: {
    signature: '1 OpDef',
    nodeDef: '3 NodeDef*',
    ret: '4 <string>',
    attr: '5 <AttrValue>',
    controlRet: '6 <string>',
  },
  OpDef: {
    name: '1 string',
    inputArg: '2 ArgDef*',
    outputArg: '3 ArgDef*',
    isStateful: '17 bool',
    controlOutput: '20 string*',
  },
  ArgDef: { name: '1 string', type: '3 int32' },
  NameAttrList: { name: '1 string', attr: '2 <AttrValue>' },
  VersionDef: { producer: '1 int32', minConsumer: '2 int32' },
  NodeDef: { name: '1 string', op: '2 string', input: '3 string*', attr: '5 <AttrValue>' },
  AttrValue: {
    list: '1 ListValue',
    s: '2 bytes',
    i: '3 int64',
    b: '5 bool',
    type: '6 int32',
    shape: '7 TensorShapeProto',
    tensor: '8 TensorProto',
    func: '10 NameAttrList',
  },
  ListValue: { s: '2 bytes*', type: '6 int32*', shape: '7 TensorShapeProto*' },
  TensorShapeProto: { dim: '2 Dim*', unknownRank: '3 bool' },
  Dim: { size: '1 int64' },
  TensorProto: { dtype: '1 int32', tensorShape: '2 TensorShapeProto', tensorContent: '4 bytes' },
}

/** `DataType` of types.proto. */
export const tfType = { float32: 1, int32: 3, int64: 9, bool: 10, resource: 20 } as const
/** The element types that the builders take. */
export type TfType = keyof typeof tfType

/** Sizes, outermost first. */
interface TensorShapeProto {
  dim?: { size: number }[]
  unknownRank?: boolean
}
/** A constant: its little-endian bytes. */
interface TensorProto {
  dtype: number
  tensorShape: TensorShapeProto
  tensorContent: Uint8Array
}
/** An attribute's value; exactly one field is set. */
export interface AttrValue {
  list?: { s?: Uint8Array[]; type?: number[]; shape?: TensorShapeProto[] }
  s?: Uint8Array
  i?: number
  b?: boolean
  type?: number
  shape?: TensorShapeProto
  tensor?: TensorProto
  func?: { name: string; attr: Record<string, AttrValue> }
}
/** One operation; `input` names outputs (`node` or `node:1`), and control inputs (`^node`) at the end. */
export interface NodeDef {
  name: string
  op: string
  input: string[]
  attr: Record<string, AttrValue>
}
/** What a function takes or gives: its name in the function's body and its element type. */
interface ArgDef {
  name: string
  type: number
}
/** A function: nodes that name outputs as `node:product:0`, and what it gives, by the name of its output. */
export interface FunctionDef {
  signature: {
    name: string
    inputArg: ArgDef[]
    outputArg: ArgDef[]
    isStateful: boolean
    controlOutput: string[]
  }
  nodeDef: NodeDef[]
  ret: Record<string, string>
  attr: Record<string, AttrValue>
  controlRet: Record<string, string>
}
/** A graph, the functions that its nodes name, and the version of TensorFlow's graph format that it was written for. */
interface GraphDef {
  node: NodeDef[]
  versions: { producer: number; minConsumer: number }
  library?: { function: FunctionDef[] }
}
/** A signature's input or output: the graph's tensor, its element type and shape. */
interface TensorInfo {
  name: string
  dtype: number
  tensorShape: TensorShapeProto
}
/** A named way into the graph. */
export interface SignatureDef {
  inputs: Record<string, TensorInfo>
  outputs: Record<string, TensorInfo>
  methodName: string
}
/** A graph with its tags and signatures. */
interface MetaGraphDef {
  metaInfoDef: { tags: string[]; tensorflowVersion?: string }
  graphDef: GraphDef
  signatureDef: Record<string, SignatureDef>
}
/** The file `saved_model.pb`. */
export interface SavedModel {
  savedModelSchemaVersion: number
  metaGraphs: MetaGraphDef[]
}

const utf8 = new TextEncoder()

/** A shape as the graph writes it. */
export const tfShape = (sizes: readonly number[]): TensorShapeProto => ({
  dim: sizes.map((size) => ({ size })),
})

/** Attribute values by kind. */
export const attr = {
  type: (t: TfType): AttrValue => ({ type: tfType[t] }),
  types: (ts: readonly TfType[]): AttrValue => ({ list: { type: ts.map((t) => tfType[t]) } }),
  bool: (b: boolean): AttrValue => ({ b }),
  int: (i: number): AttrValue => ({ i }),
  string: (s: string): AttrValue => ({ s: utf8.encode(s) }),
  shape: (sizes: readonly number[]): AttrValue => ({ shape: tfShape(sizes) }),
  tensor: (tensor: TensorProto): AttrValue => ({ tensor }),
  func: (name: string): AttrValue => ({ func: { name, attr: {} } }),
}

/** A constant whose bytes are `data`'s own (no copy before the file is encoded). */
export const tfTensor = (type: TfType, sizes: readonly number[], data: ArrayBufferView): TensorProto => ({
  dtype: tfType[type],
  tensorShape: tfShape(sizes),
  tensorContent: bytesOf(data),
})

/** A signature's input or output. */
export const tensorInfo = (name: string, type: TfType, sizes: readonly number[]): TensorInfo => ({
  name,
  dtype: tfType[type],
  tensorShape: tfShape(sizes),
})

/** The bytes of `saved_model.pb`. Constants are copied once; the whole must stay under protobuf's 2 GB. */
export const encodeSavedModel: (m: SavedModel) => Uint8Array = writerOf(savedModelSchema, 'SavedModel')
