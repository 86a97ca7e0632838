/** What a recipe begins from: weights in memory, weights elsewhere, or none. */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { everyKey, type Keys } from '../dsl/index.ts'
import { kindOf } from '../settings/index.ts'
import { RecipeError } from './setting-checks.ts'
import { orThrow } from './task.ts'
import { inMemory, type StoredWeights, type Weights } from './weights.ts'

/** Weights to begin from. */
export interface Start {
  /** What they are, as plain JSON data. */
  readonly config: unknown
  /**
   * In memory, or somewhere else by key, such as `openCheckpoint(folder)` or the `source` of `pretrained(folder)`: those are
   * read one by one, straight into the session, and are never all in memory beside it.
   */
  readonly weights: TE.TaskEither<Error, Weights | StoredWeights> | StoredWeights
  /** Keys that the weights may lack: those begin as their initialisers say. Default: none. */
  readonly fresh?: Keys
}

/** Begins with no weights at all: every key as its initialiser says. @category starts */
export const fromScratch: Start = { config: 'fresh', weights: TE.right(new Map()), fresh: everyKey }

/** Whether something is a source of weights, read by key. */
export const isStored = (x: unknown): x is StoredWeights =>
  typeof x === 'object' &&
  x !== null &&
  ['read', 'shape'].every((k) => typeof (x as Record<string, unknown>)[k] === 'function')

/**
 * The weights of a start; of those that are somewhere else, nothing is read yet.
 *
 * @param setting what they are called in errors
 * @throws RecipeError where they are none
 */
export const startingWeights = async (
  where: string,
  { weights }: Pick<Start, 'weights'>,
  setting = 'start.weights',
): Promise<StoredWeights> => {
  const refused = (what: string): RecipeError => new RecipeError(where, setting, what)
  const taken = async (task: Exclude<typeof weights, StoredWeights>): Promise<unknown> => {
    const made = await task()
    if (made?._tag !== 'Left' && made?._tag !== 'Right')
      throw refused(`its task gives ${kindOf(made)}; it gives an Either, such as TE.right(weights) does`)
    return orThrow(TE.fromEither(made))
  }
  const given = typeof weights === 'function' ? await taken(weights) : weights
  if (given instanceof Map) return inMemory(given)
  if (isStored(given)) return given
  throw refused(`it gives ${kindOf(given)}; give a Map by key, or a source with keys, shape and read`)
}
