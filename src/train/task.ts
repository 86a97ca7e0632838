/** Tasks inside generators. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'

/** The value of a task, or its error thrown: for the inside of generators, whose own edge is typed again. */
export const orThrow = async <A>(task: TaskEither<unknown, A>): Promise<A> => {
  const result = await task()
  if (E.isRight(result)) return result.right
  throw result.left instanceof Error
    ? result.left
    : Object.assign(new Error(String((result.left as { message?: string }).message ?? result.left)), {
        cause: result.left,
      })
}
