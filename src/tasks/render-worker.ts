/**
 * The worker's side of `renderAhead`: answers each request for a chunk with its items, or with what went wrong.
 *
 * @since 0.1.0
 */
import { parentPort, workerData } from 'node:worker_threads'
import { itemAt, type RenderJob, transferable } from './render-job.ts'

/** A request: the chunk's number, its first index, and how many items it has. */
export interface ChunkRequest {
  readonly chunk: number
  readonly from: number
  readonly count: number
}

/** The reply to a {@link ChunkRequest}. */
export type ChunkReply =
  | { readonly chunk: number; readonly items: readonly unknown[] }
  | { readonly chunk: number; readonly index: number; readonly error: unknown }

const port = parentPort
const job = (workerData as { readonly job: RenderJob } | null)?.job
if (port !== null && job !== undefined)
  port.on('message', ({ chunk, from, count }: ChunkRequest) => {
    const items: unknown[] = []
    for (let index = from; index < from + count; index++) {
      try {
        items.push(itemAt(job, index))
      } catch (error) {
        port.postMessage({ chunk, index, error } satisfies ChunkReply)
        return
      }
    }
    port.postMessage({ chunk, items } satisfies ChunkReply, transferable(items))
  })
