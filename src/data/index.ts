/**
 * Data of any model: conversations, the processor that lays them out, sources, batches.
 *
 * @since 0.1.0
 */
export * from './collate.ts'
export * from './conversation.ts'
export * from './image.ts'
export * from './processor.ts'
export type { Question } from './question.ts'
export * from './source.ts'
export * from './tokenizer.ts'
