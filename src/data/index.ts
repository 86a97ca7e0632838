/**
 * Data of any model: conversations, the processor that lays them out, sources, batches.
 *
 * @since 0.1.0
 */
export * from './any-resolution.ts'
export * from './chained.ts'
export { type Chat, type ChatPart, type ChatTurn, type StillPart, spaced } from './chat.ts'
export { type ChatTokenIds, chatConversation, chatIds, chatImages } from './chat-conversation.ts'
export { type ChatPromptOptions, chatPrompt } from './chat-prompt.ts'
export * from './collate.ts'
export * from './collate-packed.ts'
export * from './conversation.ts'
export * from './conversations.ts'
export {
  boxed,
  type LengthBalance,
  lengthBalanced,
  notRedundant,
  overlap,
  unique,
} from './curation/chains.ts'
export { type Curated, countsOf, curate, type Dropped, type Filter } from './curation/curated.ts'
export { type FreeResponseSettings, freeResponse } from './curation/free-response.ts'
export * from './image.ts'
export * from './image-reading.ts'
export { pngDataUrl } from './image-url.ts'
export * from './mixed.ts'
export * from './pack.ts'
export * from './packing-drawing.ts'
export * from './packing-plan.ts'
export * from './processor.ts'
export * from './prompt.ts'
export * from './published-processor.ts'
export type { Question } from './question.ts'
export * from './read-image.ts'
export * from './resize.ts'
export { chatOf, promptOf } from './row-chat.ts'
export { imagesOfRow, readRowImage } from './row-media.ts'
export { csv } from './rows/csv.ts'
export { imageFolder } from './rows/image-folder.ts'
export { jsonList } from './rows/json-list.ts'
export { jsonl } from './rows/jsonl.ts'
export { parquet } from './rows/parquet.ts'
export * from './rows/row.ts'
export { rowKey } from './rows/row-key.ts'
export { rowsOf } from './rows/rows-of.ts'
export { webDataset } from './rows/web-dataset.ts'
export { keptImages, type SeenImage, seen } from './seen-image.ts'
export * from './shuffled.ts'
export * from './source.ts'
export * from './split.ts'
export * from './tiling.ts'
export * from './tokenizer.ts'
export { isVideo, mostFrames, readVideo, type VideoInput } from './video.ts'
