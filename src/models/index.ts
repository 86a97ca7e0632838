/**
 * The models: SAIL-ViT, adapter, Qwen3 and SAIL-VL2 joined from them; presets; configurations and checkpoints as they are
 * published; tokenizer and chat template; generation with a cache.
 *
 * @since 0.1.0
 */
export { type AdapterConfig, adapter, visualAxis } from './adapter.ts'
export {
  ChatError,
  type ChatPiece,
  expandImages,
  imageMark,
  type Message,
  type MessagePart,
  type RenderedChat,
  type RenderOptions,
  renderChat,
  type SailVl2Options,
  sailVl2Pieces,
  sailVl2Prompt,
  sailVl2System,
} from './chat-template.ts'
export {
  ConfigError,
  type ConfigErrorTag,
  decodeConfig,
  fromPublished,
  languageConfig,
  type PublishedConfig,
  readConfig,
  toPublished,
  visionConfig,
  visionLanguageConfig,
} from './config.ts'
export type { FloatDtype, StorageDtype } from './dtype.ts'
export { decode, type GenerationSizes, isCacheKey, prefill } from './generate.ts'
export {
  aimv2Huge,
  aimv2Large,
  nano,
  type Preset,
  presets,
  qwen3Large,
  qwen3Medium,
  qwen3Small,
} from './presets.ts'
export {
  embedAxis,
  type Qwen3Config,
  type Qwen3Context,
  qwen3,
  qwen3Decoder,
  qwen3Embedding,
  qwen3Head,
  qwen3Layer,
  vocabAxis,
} from './qwen3.ts'
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
  writeCheckpoint,
} from './safetensors-index.ts'
export { type SailVitConfig, sailVit, type VitAxes, vitAxes, vitBlock, vitPreprocessor } from './sail-vit.ts'
export {
  adapterOf,
  interleave,
  nextLabels,
  nextTokenLoss,
  type SailVl2Config,
  type SailVl2Inputs,
  sailVl2,
  sailVl2Hidden,
  see,
  visualTokens,
} from './sail-vl2.ts'
export { loadTokenizer, type Tokenizer, TokenizerError, tokenizer } from './tokenizer.ts'
