/** What loading is told, checked before anything is built. */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { type EngineError, engineError } from './error.ts'
import type { EngineName, LoadOptions, Precision } from './session.ts'

const show = (x: unknown): string => (typeof x === 'string' ? `'${x}'` : String(x))

/** What each engine computes in. */
const precisions: Readonly<Record<EngineName, readonly Precision[]>> = {
  tensorflow: ['float32'],
  onnx: ['float32'],
  xla: ['float32', 'tf32', 'bfloat16'],
}

/** Fails with `BadOption`: a seed is an integer, a number of threads a positive one, a precision one that the engine has. */
export const checkOptions = (name: EngineName, options: LoadOptions): Either<EngineError, LoadOptions> => {
  const { seed, threads, precision } = options
  if (precision !== undefined && !precisions[name].includes(precision))
    return left(
      engineError(
        'BadOption',
        precisions.xla.includes(precision)
          ? `precision is ${show(precision)}; ${name} computes in ${precisions[name].join(', ')} alone, the engine xla in ${precisions.xla.join(', ')}; weights that are stored in bfloat16 are read as float32`
          : `precision is ${show(precision)}; it must be one of ${precisions[name].join(', ')}`,
      ),
    )
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
