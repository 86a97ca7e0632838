/**
 * Serving: a model's answers to requests that come at any time, as OpenAI's protocol has them.
 *
 * @since 0.1.0
 */
export type { Offered } from './ask.ts'
export { type Batch, type Batching, type BatchingSizes, batching, type Job, type Token } from './batch.ts'
export { type ServeError, type ServerOptions, type Serving, serve } from './server.ts'
export { type Piece, type WrittenOptions, written } from './written.ts'
