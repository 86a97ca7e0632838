/** Messages that the engines write, read back by protobufjs. */
import protobuf from 'protobufjs/light.js'
import { parse, type Schema } from '../../src/engine/proto/descriptor.ts'
import { type ModelProto, onnxSchema } from '../../src/engine/proto/onnx.ts'
import { type SavedModel, savedModelSchema } from '../../src/engine/proto/tensorflow.ts'

const fieldJson = (spec: Schema[string][string]): protobuf.IField | protobuf.IMapField => {
  const { id, type, kind } = parse(spec)
  if (kind === 'map') return { id, keyType: 'string', type }
  if (kind === 'one') return { id, type }
  return { id, type, rule: 'repeated', ...(kind === 'packed' ? { options: { packed: true } } : {}) }
}

/** A message of one type of a schema; repeated fields and maps that are absent come as empty ones. */
export const decoded = (schema: Schema, name: string, bytes: Uint8Array): unknown => {
  const nested = Object.fromEntries(
    Object.entries(schema).map(([message, fields]) => [
      message,
      // edition 2023: a field that was written is there, also where it holds its default
      {
        edition: '2023',
        fields: Object.fromEntries(Object.entries(fields).map(([f, spec]) => [f, fieldJson(spec)])),
      },
    ]),
  )
  const type = protobuf.Root.fromJSON({ nested }).resolveAll().lookupType(name)
  return type.toObject(type.decode(bytes), { longs: Number, arrays: true, objects: true })
}

/** An ONNX file. */
export const decodeModel = (bytes: Uint8Array): ModelProto =>
  decoded(onnxSchema, 'ModelProto', bytes) as ModelProto

/** A `saved_model.pb`. */
export const decodeSavedModel = (bytes: Uint8Array): SavedModel =>
  decoded(savedModelSchema, 'SavedModel', bytes) as SavedModel
