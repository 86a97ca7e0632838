/**
 * Examples that a stage makes for itself before its first step, with the weights that it begins with: problems that are
 * neither trivial nor impossible to them, chains of thought that they wrote and that are right, a list that was curated.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { type Placed, type Source, SourceError } from '../data/index.ts'
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { EventOf } from '../run/index.ts'
import { present } from '../settings/internal.ts'
import { RecipeError } from './setting-checks.ts'

/** What examples are made with. */
export interface Preparing {
  /** The stage's, with the weights that it begins with. */
  readonly session: Session
  /** The run's. */
  readonly seed: number
  readonly stage: string
}

/** Examples that are made when the stage begins, and which a run that goes on finds in its checkpoint. */
export interface Prepared<out E> {
  /** Everything that determines it, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** What it calls in the stage's program; default: nothing. */
  readonly functions?: Readonly<Record<string, FunctionSpec>>
  /** Examples such as will come: what is looked at before the first step. */
  readonly example: Source<E>
  /** Sees before work begins that it can prepare; default: nothing is seen to. */
  readonly preflight?: () => Promise<void>
  /** Chooses or draws; what it gives is plain JSON data, kept in the stage's checkpoints. */
  readonly prepare: (about: Preparing) => AsyncGenerator<EventOf<'curated'> | EventOf<'warned'>, unknown>
  /** The examples themselves. */
  readonly source: (kept: unknown) => Source<E>
}

/** Whether examples are still to be made. */
export const isPrepared = <E>(of: Source<E> | Prepared<E>): of is Prepared<E> =>
  typeof (of as Partial<Prepared<E>> | null)?.prepare === 'function'

/** Examples before any are made: a source itself, or what is like it. */
export const previewOf = <E>(of: Source<E> | Prepared<E>): Source<E> => (isPrepared(of) ? of.example : of)

/** Sees before work begins that what prepares examples can. */
export const preflightOf = async <E>(of: Source<E> | Prepared<E>): Promise<void> => {
  if (isPrepared(of)) await of.preflight?.()
}

/** What is made of a source, made of one that is still to come. @category combinators */
export const afterwards = <A, B>(of: Prepared<A>, make: (source: Source<A>) => Source<B>): Prepared<B> => {
  const example = make(of.example)
  return {
    ...{ config: { kind: 'prepared', of: of.config, source: example.config }, example },
    ...present({ functions: of.functions, preflight: of.preflight }),
    ...{ prepare: of.prepare, source: (kept) => make(of.source(kept)) },
  }
}

const Place = t.intersection([t.type({ kept: t.unknown }), t.partial({ at: t.unknown })])

/** The source that a stage reads, and where it opens it. */
export interface Ready<out E> {
  readonly source: Source<E>
  readonly place: unknown
}

/**
 * The source that a stage reads: it makes what is still to be made, but where a checkpoint has it.
 *
 * @param place where the stage goes on; undefined at its beginning
 */
export async function* ready<E>(
  of: Source<E> | Prepared<E>,
  about: Preparing,
  place: unknown,
): AsyncGenerator<EventOf<'curated'> | EventOf<'warned'>, Ready<E>> {
  if (!isPrepared(of)) return { source: of, place }
  if (place !== undefined && !(Place.is(place) && 'kept' in place))
    throw new SourceError(`prepared examples open at { kept, at }, not at ${JSON.stringify(place)}`)
  const kept: unknown = place === undefined ? yield* of.prepare(about) : place.kept
  const made = of.source(kept)
  const source: Source<E> = {
    config: of.config,
    // every place has what was made, so that a checkpoint has it
    async *open(from): AsyncGenerator<Placed<E>> {
      const { at } = (from ?? {}) as { readonly at?: unknown }
      for await (const { example, next } of made.open(at)) yield { example, next: { kept, at: next } }
    },
  }
  return { source, place: place ?? { kept } }
}

/** Which setting has a function of the name that preparing has, and what to do. */
export interface NamedTwice {
  readonly setting: string
  readonly what: (name: string) => string
}

const inEvaluation: NamedTwice = {
  setting: 'evaluation',
  what: (name) =>
    `it has a function '${name}', which is what the stage makes its examples with; give it another name`,
}

/**
 * What evaluations (or others) call, and what preparing calls.
 *
 * @throws RecipeError where they have another function of one name
 */
export const withPrepared = <E>(
  where: string,
  of: Source<E> | Prepared<E>,
  functions: Readonly<Record<string, FunctionSpec>>,
  { setting, what }: NamedTwice = inEvaluation,
): Readonly<Record<string, FunctionSpec>> => {
  const own = isPrepared(of) ? (of.functions ?? {}) : {}
  const twice = Object.keys(own).find((name) => name in functions && functions[name] !== own[name])
  if (twice === undefined) return { ...own, ...functions }
  throw new RecipeError(where, setting, what(twice))
}
