/** What loading is told, checked before anything is built. */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { type EngineError, engineError } from './error.ts'
import type { LoadOptions } from './session.ts'

const show = (x: unknown): string => (typeof x === 'string' ? `'${x}'` : String(x))

/** Fails with `BadOption`: a seed is an integer, a number of threads a positive one. */
export const checkOptions = (options: LoadOptions): Either<EngineError, LoadOptions> => {
  const { seed, threads } = options
  if (seed !== undefined && !Number.isSafeInteger(seed))
    return left(engineError('BadOption', `seed is ${show(seed)}; it must be an integer`))
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0))
    return left(
      engineError(
        'BadOption',
        `threads is ${show(threads)}; it must be a positive integer, or left out for one thread a core`,
      ),
    )
  return right(options)
}
