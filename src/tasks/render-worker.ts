/**
 * The worker's side of `renderAhead`: answers each request for a chunk with its items, or with what went wrong.
 *
 * @since 0.1.0
 */
import { parentPort } from 'node:worker_threads'
import { itemAt, type RenderJob, transferable } from './render-job.ts'

/** A request of a stream: its job, the chunk's number, its first index, and how many items it has. */
export interface ChunkRequest {
  readonly stream: number
  readonly job: RenderJob
  readonly chunk: number
  readonly from: number
  readonly count: number
  /** Shared: 1 when nobody takes the stream's items any more. */
  readonly ended: Int32Array
}

/** The reply to a {@link ChunkRequest}. */
export type ChunkReply = { readonly stream: number; readonly chunk: number } & (
  | { readonly items: readonly unknown[] }
  | { readonly index: number; readonly error: unknown }
)

const port = parentPort
port?.on('message', ({ stream, job, chunk, from, count, ended }: ChunkRequest) => {
  const items: unknown[] = []
  for (let index = from; index < from + count; index++) {
    if (Atomics.load(ended, 0) === 1) return
    try {
      items.push(itemAt(job, index))
    } catch (error) {
      port.postMessage({ stream, chunk, index, error } satisfies ChunkReply)
      return
    }
  }
  port.postMessage({ stream, chunk, items } satisfies ChunkReply, transferable(items))
})
