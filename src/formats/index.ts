/**
 * Files of the field: safetensors, tokenizers, chat templates. No graph and no model.
 *
 * @since 0.1.0
 */
export {
  ChatError,
  type ChatPiece,
  encodeChat,
  imageMark,
  type Message,
  type MessagePart,
  specialIn,
} from './chat-message.ts'
export * from './chat-sail-vl2.ts'
export * from './chat-template.ts'
export type { FloatDtype, StorageDtype } from './dtype.ts'
export { isFloatDtype } from './dtype.ts'
export { makeFolder } from './folder.ts'
export * from './hub/index.ts'
export { parseJson } from './json.ts'
export { isTemporary, replaceFile, temporaryOf } from './replace-file.ts'
export {
  decode as decodeSafetensors,
  type Entries,
  type Entry,
  encode as encodeSafetensors,
  type FileOptions,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  type SafetensorsErrorTag,
  type StoredTensor,
  storedFloats,
  storedInts,
  streamSafetensors,
  type TensorHead,
  type TensorInfo,
  writeSafetensors,
} from './safetensors.ts'
export { quote } from './safetensors-error.ts'
export {
  type Checkpoint,
  type CheckpointOptions,
  type CheckpointTensor,
  openCheckpoint,
  planShards,
  singleName,
  writeCheckpoint,
} from './safetensors-index.ts'
export * from './tokenizer.ts'
