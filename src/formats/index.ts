/**
 * Files of the field: safetensors, tokenizers, chat templates. No graph and no model.
 *
 * @since 0.2.0
 */
export {
  ChatError,
  type ChatPiece,
  encodeChat,
  imageMark,
  type Message,
  type MessagePart,
} from './chat-message.ts'
export * from './chat-sail-vl2.ts'
export * from './chat-template.ts'
export type { FloatDtype, StorageDtype } from './dtype.ts'
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
export {
  type Checkpoint,
  type CheckpointOptions,
  type CheckpointTensor,
  openCheckpoint,
  planShards,
  writeCheckpoint,
} from './safetensors-index.ts'
export * from './tokenizer.ts'
