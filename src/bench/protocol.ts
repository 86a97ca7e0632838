/**
 * What is said between the process that measures in turns and the processes that it measures: JSON lines, one request on
 * stdin, one reply on stdout. A process that waits for its turn waits for a line and does nothing else.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'

/** What a participant is asked. */
export type Request =
  /** From the model as a value to the first step done. */
  | { readonly type: 'prepare' }
  /** A block of steps. */
  | { readonly type: 'steps'; readonly count: number }
  /** Tell the peak of memory and end. */
  | { readonly type: 'end' }

const Ready = t.readonly(
  t.type({
    type: t.literal('ready'),
    /** The library and its version. */
    version: t.string,
    /** From the process's first line to the library loaded and the batches read. */
    seconds: t.number,
  }),
)

const Prepared = t.readonly(
  t.type({
    type: t.literal('prepared'),
    seconds: t.number,
    /** Where they went, in order: `build`, `load`, `firstCall`. */
    parts: t.record(t.string, t.number),
    loss: t.number,
    gradientNorm: t.number,
  }),
)

const Stepped = t.readonly(
  t.type({
    type: t.literal('stepped'),
    seconds: t.number,
    /** Processor time of all threads. */
    busySeconds: t.number,
    /** Nats, before each update. */
    losses: t.readonlyArray(t.number),
    /** Before clipping. */
    gradientNorms: t.readonlyArray(t.number),
    /** How long the process waited for this request, and the processor time that it used meanwhile. */
    idle: t.type({ seconds: t.number, busySeconds: t.number }),
  }),
)

const Ended = t.readonly(t.type({ type: t.literal('ended'), peakBytes: t.number }))

const Failed = t.readonly(t.type({ type: t.literal('failed'), message: t.string }))

/** A participant's reply. */
export const Reply = t.union([Ready, Prepared, Stepped, Ended, Failed])
export type Reply = t.TypeOf<typeof Reply>

/** The reply of one type. */
export type ReplyOf<T extends Reply['type']> = Extract<Reply, { readonly type: T }>

/** A line as a reply; undefined for whatever else a library prints. */
export const replyIn = (line: string): Reply | undefined => {
  if (!line.startsWith('{')) return undefined
  try {
    const decoded = Reply.decode(JSON.parse(line))
    return E.isRight(decoded) ? decoded.right : undefined
  } catch {
    return undefined
  }
}
