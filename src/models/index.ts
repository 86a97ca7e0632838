/**
 * The models: SAIL-ViT, the adapter, Qwen3 and SAIL-VL2 joined from them; presets; configurations and checkpoint files as
 * they are published; tokenizer and chat template; generation with a cache.
 *
 * @since 0.1.0
 */
export * from './adapter.ts'
export * from './chat-template.ts'
export * from './config.ts'
export type { FloatDtype, StorageDtype } from './dtype.ts'
export * from './generate.ts'
export * from './presets.ts'
export * from './qwen3.ts'
export {
  decode as decodeSafetensors,
  type Entries,
  type Entry,
  encode as encodeSafetensors,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  type SafetensorsErrorTag,
  type StoredTensor,
  storedFloats,
  storedInts,
  type TensorInfo,
  writeSafetensors,
} from './safetensors.ts'
export {
  type Checkpoint,
  type CheckpointOptions,
  openCheckpoint,
  planShards,
  writeCheckpoint,
} from './safetensors-index.ts'
export * from './sail-vit.ts'
export * from './sail-vl2.ts'
export * from './tokenizer.ts'
