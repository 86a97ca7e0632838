/** A source's first batch, tried before work begins. */
import { batchesOf, type Source } from '../data/index.ts'
import type { Objective } from './objective.ts'
import { RecipeError } from './setting-checks.ts'

/**
 * The first batch of a source, smaller where the source has no more; undefined where it has no example. The source is closed.
 *
 * @param where what errors of the source begin with
 */
export const firstBatch = async <E>(source: Source<E>, size: number, where?: string) => {
  for await (const first of batchesOf(source, size, undefined, where)) return first
  return undefined
}

/**
 * Reads the first batch of a source and has the objective collate it. Rejects with a {@link RecipeError} where there is no
 * example, and with what the source or `collate` throws.
 */
export const tryFirstBatch = async <E>(
  where: string,
  source: Source<E>,
  objective: Pick<Objective<E>, 'batch' | 'collate'>,
): Promise<void> => {
  const first = await firstBatch(source, objective.batch, where)
  if (first === undefined) throw new RecipeError(where, 'source', 'it has no example; give at least one')
  objective.collate(first.examples)
}
