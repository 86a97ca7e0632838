/**
 * A standard stream that a command writes to, whatever becomes of its reader.
 *
 * @since 0.1.0
 */
import type { TextSink } from '../terminal/index.ts'
import type { Io } from './command.ts'

/** A stream as a {@link TextSink} that never fails. */
export interface Outlet {
  readonly sink: TextSink
  /** Resolves when what was written so far has gone out, or cannot. */
  readonly flushed: () => Promise<void>
  /** Why text was lost, other than that nobody wants to read it any more; undefined where none was. */
  readonly problem: () => Error | undefined
}

/** What a stream says when its reader has gone away: `| head` that has enough, a terminal that was closed. */
const unread = ['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED']

/**
 * Text for a reader that has gone away is dropped, and the command goes on: a run writes down what it does in its folder,
 * and must not end in the middle because nobody looks on. Any other failure, such as that of a full disk that the output
 * was sent to, is kept for {@link Outlet.problem}.
 */
export const outlet = (stream: NodeJS.WriteStream, env: Io['env']): Outlet => {
  let closed = false
  let problem: Error | undefined
  stream.on('error', (e: NodeJS.ErrnoException) => {
    closed = true
    if (!unread.includes(e.code ?? '')) problem ??= e
  })
  return {
    sink: {
      write: (text) => closed || stream.write(text),
      get isTTY() {
        // one that cannot write over what stands on it gets what a file gets
        return stream.isTTY === true && env.TERM !== 'dumb'
      },
      get columns() {
        return stream.columns
      },
    },
    flushed: () =>
      new Promise((done) => {
        if (closed) done()
        // what failed is told of before the next turn
        else stream.write('', () => setImmediate(done))
      }),
    problem: () => problem,
  }
}
