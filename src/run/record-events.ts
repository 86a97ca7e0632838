/** Events that pass on their way to the run folder. */
import * as E from 'fp-ts/lib/Either.js'
import { type MonoTypeOperatorFunction, map } from 'rxjs'
import { RunEvent } from './events.ts'
import { decodeAt, encodeLine } from './files.ts'
import type { RunFolder } from './run-folder.ts'

/** What is wrong with something that a stage or an evaluation of one's own said. */
const notEvent = (said: unknown): Error => {
  const type = (said as { readonly type?: unknown } | null)?.type
  const about = decodeAt(
    { file: typeof type === 'string' ? `'${type}'` : 'it' },
    'BadLine',
    encodeLine(said) ?? 'null',
    RunEvent,
  )
  return new Error(
    `the run said something that is no event${E.isLeft(about) ? `: ${about.left.message}` : ''}; RunEvent of 'sailwright/run' says which there are`,
  )
}

/**
 * Passes every event on once it is written to the run folder, in order. A write that fails is an error of the stream
 * (its value is the `FileError`). Since writing is synchronous nothing queues up: when the stream completes, or is
 * unsubscribed from, everything that came through is in the file.
 *
 * ```text
 * source:  ---a---b--|
 * output:  ---a---b--|      each after its line is in events.jsonl
 * ```
 *
 * @category operators
 */
export const recordEvents = (run: Pick<RunFolder, 'record'>): MonoTypeOperatorFunction<RunEvent> =>
  map((event) => {
    // what is no event would make the whole file unreadable
    if (!RunEvent.is(event)) throw notEvent(event)
    const written = run.record(event)()
    if (E.isLeft(written)) throw written.left
    return event
  })
