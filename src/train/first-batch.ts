/** A source's first batch, tried before work begins. */
import { batchesOf, type Source } from '../data/index.ts'
import type { Objective } from './objective.ts'
import { RecipeError } from './recipe-error.ts'

/**
 * Reads the first batch of a source and has the objective collate it. Rejects with a {@link RecipeError} where there is no
 * example, and with what the source or `collate` throws.
 */
export const tryFirstBatch = async <E>(
  where: string,
  source: Source<E>,
  objective: Pick<Objective<E>, 'batch' | 'collate'>,
): Promise<void> => {
  const stream = batchesOf(source, objective.batch, undefined, where)
  try {
    const { value: first, done } = await stream.next()
    if (done) throw new RecipeError(where, 'source', 'it has no example; give at least one')
    objective.collate(first.examples)
  } finally {
    await stream.return(undefined)
  }
}
