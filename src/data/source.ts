/**
 * Where examples come from: a stream that can be opened again at any place that it has told, so that a run that was stopped
 * goes on with what it would have seen.
 *
 * @since 0.1.0
 */
import { kindOf } from '../settings/index.ts'
import { givenFunction, givenList, givenSource } from './given.ts'

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

/** A source that cannot be opened at a place, that gives no stream of examples, or a side of a split without one. */
export class SourceError extends Error {
  readonly tag: 'BadPlace' | 'BadStream' | 'EmptySide'
  constructor(message: string, tag: SourceError['tag'] = 'BadPlace') {
    super(message)
    this.name = 'SourceError'
    this.tag = tag
  }
}

const badStream = (what: string): SourceError =>
  new SourceError(
    `a source's open ${what}; it is 'async *open(place) { yield { example, next } }'`,
    'BadStream',
  )

/** Sees that what a source yielded is an example with the place behind it. */
const placedOf = <E>(x: Placed<E>): Placed<E> => {
  if (typeof x !== 'object' || x === null || !('example' in x) || x.example === undefined)
    throw badStream('yields something without an example')
  if (x.next === undefined)
    throw badStream('yields an example without next, the place behind it, at which it could go on')
  if (typeof (x.example as { readonly then?: unknown } | null)?.then === 'function')
    throw badStream('yields a promise as example: await it first')
  return x
}

const isIterable = (x: unknown): boolean =>
  typeof x === 'object' && x !== null && (Symbol.asyncIterator in x || Symbol.iterator in x)

/**
 * A source whose i-th example is a function of i alone.
 *
 * @param from the examples from an index on, endless or not
 * @category constructors
 */
export const indexed = <E>(
  config: unknown,
  from: (index: number) => AsyncIterable<E> | Iterable<E>,
): Source<E> => {
  givenFunction('indexed', 'from', from)
  return {
    config,
    async *open(place = 0) {
      if (!Number.isSafeInteger(place) || (place as number) < 0)
        throw new SourceError(
          `a source by index opens at a whole number from 0, not at ${JSON.stringify(place)}`,
        )
      let index = place as number
      const examples: unknown = from(index)
      if (!isIterable(examples))
        throw new SourceError(
          `indexed, from: it gives ${kindOf(examples)}; give the examples from an index on, as function* (index) { … }`,
          'BadStream',
        )
      for await (const example of examples as AsyncIterable<E>) yield { example, next: ++index }
    },
  }
}

/**
 * The examples of a list, once.
 *
 * @category constructors
 */
export const listed = <E>(config: unknown, examples: readonly E[]): Source<E> => {
  givenList('listed', 'examples', examples)
  return indexed(config, (index) => examples.slice(index))
}

/** What a source is, in a line. */
const brief = (config: unknown): string => {
  const text = JSON.stringify(config) ?? 'it says of itself nothing'
  return text.length > 300 ? `${text.slice(0, 300)} …` : text
}

/**
 * The same source again and again without end.
 *
 * @throws SourceError where it is empty
 * @category combinators
 */
export const repeated = <E>(source: Source<E>): Source<E> => {
  const { config } = givenSource('repeated', 'source', source)
  return {
    config: { kind: 'repeated', source: config },
    async *open(place) {
      let at = place
      for (;;) {
        let some = at !== undefined
        for await (const placed of source.open(at)) {
          some = true
          yield placed
        }
        if (!some) throw new SourceError(`a source that is to be repeated has no example: ${brief(config)}`)
        at = undefined
      }
    },
  }
}

/** Examples taken together, and the place behind them. */
export interface ExampleBatch<out E> {
  readonly examples: readonly E[]
  readonly next: unknown
}

/** An error that says first what the source is for; the user's own line stays in its stack. */
const named = (where: string | undefined, e: unknown): unknown => {
  if (where === undefined) return e
  const made = new Error(`${where}, source: ${e instanceof Error ? e.message : String(e)}`, { cause: e })
  if (e instanceof Error && e.stack !== undefined) made.stack = e.stack
  return made
}

/**
 * Examples in batches of `size`, from a place on. What is left over at a source's end is given as a smaller batch.
 * Ending the iteration ends the source's.
 *
 * @param where what the source is for, such as the name of a stage: its errors begin with it
 * @throws SourceError `BadStream` where the source gives no iteration, or an item that is no example with its place; with
 *   `where` an Error whose cause is that, or what the source threw
 */
export async function* batchesOf<E>(
  source: Source<E>,
  size: number,
  place?: unknown,
  where?: string,
): AsyncGenerator<ExampleBatch<E>> {
  const tried = async <A>(act: () => A | Promise<A>): Promise<A> => {
    try {
      return await act()
    } catch (e) {
      throw named(where, e)
    }
  }
  const { stream } = await tried(() => {
    const stream = source.open(place)
    if (typeof stream?.next !== 'function')
      throw badStream('gives no iterator: is it async, or does it return a list?')
    return { stream }
  })
  try {
    let next = place
    for (;;) {
      const examples: E[] = []
      while (examples.length < size) {
        const placed = await tried(async () => {
          const { value, done } = await stream.next()
          return done ? undefined : placedOf(value)
        })
        if (placed === undefined) {
          if (examples.length > 0) yield { examples, next }
          return
        }
        examples.push(placed.example)
        next = placed.next
      }
      yield { examples, next }
    }
  } finally {
    await stream.return?.()
  }
}
