/**
 * Where examples come from: a stream that can be opened again at any place that it has told, so that a run that was stopped
 * goes on with what it would have seen.
 *
 * @since 0.1.0
 */

/** An example, and the place behind it. */
export interface Placed<out E> {
  readonly example: E
  /** Where the source goes on after it: plain JSON data, kept in checkpoints. */
  readonly next: unknown
}

/** A stream of examples. */
export interface Source<out E> {
  /** What it is, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /**
   * Examples from a place on, from the beginning where none is given. The same place gives the same examples. Ending the
   * iteration frees what it holds.
   */
  readonly open: (place?: unknown) => AsyncIterableIterator<Placed<E>>
}

/** A source that cannot be opened at a place. */
export class SourceError extends Error {
  readonly tag = 'BadPlace'
  constructor(message: string) {
    super(message)
    this.name = 'SourceError'
  }
}

/**
 * A source whose i-th example is a function of i alone.
 *
 * @param from the examples from an index on, endless or not
 * @category constructors
 */
export const indexed = <E>(
  config: unknown,
  from: (index: number) => AsyncIterable<E> | Iterable<E>,
): Source<E> => ({
  config,
  async *open(place = 0) {
    if (!Number.isSafeInteger(place) || (place as number) < 0)
      throw new SourceError(
        `a source by index opens at a whole number from 0, not at ${JSON.stringify(place)}`,
      )
    let index = place as number
    for await (const example of from(index)) yield { example, next: ++index }
  },
})

/**
 * The examples of a list, once.
 *
 * @category constructors
 */
export const listed = <E>(config: unknown, examples: readonly E[]): Source<E> =>
  indexed(config, (index) => examples.slice(index))

/**
 * The same source again and again without end.
 *
 * @throws SourceError where it is empty
 * @category combinators
 */
export const repeated = <E>(source: Source<E>): Source<E> => ({
  config: { kind: 'repeated', source: source.config },
  async *open(place) {
    let at = place
    for (;;) {
      let some = at !== undefined
      for await (const placed of source.open(at)) {
        some = true
        yield placed
      }
      if (!some) throw new SourceError('a source that is to be repeated has no example')
      at = undefined
    }
  },
})

/** Examples taken together, and the place behind them. */
export interface ExampleBatch<out E> {
  readonly examples: readonly E[]
  readonly next: unknown
}

/**
 * Examples in batches of `size`, from a place on. What is left over at a source's end is given as a smaller batch.
 * Ending the iteration ends the source's.
 */
export async function* batchesOf<E>(
  source: Source<E>,
  size: number,
  place?: unknown,
): AsyncGenerator<ExampleBatch<E>> {
  const stream = source.open(place)
  try {
    let next = place
    for (;;) {
      const examples: E[] = []
      while (examples.length < size) {
        const { value, done } = await stream.next()
        if (done) {
          if (examples.length > 0) yield { examples, next }
          return
        }
        examples.push(value.example)
        next = value.next
      }
      yield { examples, next }
    }
  } finally {
    await stream.return?.()
  }
}
