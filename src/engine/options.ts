/** What loading is told, checked before anything is built. */
import { type Either, isLeft, left, right, tryCatch } from 'fp-ts/lib/Either.js'
import { kindOf, onlySettings, shownValue as show } from '../settings/index.ts'
import { type EngineError, engineError, messageOf } from './error.ts'
import type { EngineName, LoadOptions, Precision } from './session.ts'

const isSource = (x: LoadOptions['values']): boolean => {
  const { keys, read }: { keys?: unknown; read?: unknown } = x ?? {}
  return Array.isArray(keys) && typeof read === 'function'
}

/** What each engine computes in. */
const precisions: Readonly<Record<EngineName, readonly Precision[]>> = {
  tensorflow: ['float32'],
  onnx: ['float32'],
  xla: ['float32', 'tf32', 'bfloat16'],
}

/** Fails with `BadOption` where tensorflow is not to compile by XLA, or another engine is to. */
const checkCompile = (name: EngineName, compile: unknown): Either<EngineError, void> => {
  if (compile === undefined) return right(undefined)
  if (compile !== 'xla')
    return left(
      engineError('BadOption', `compile is ${show(compile)}; it must be 'xla', or left out for no compiler`),
    )
  return name === 'tensorflow'
    ? right(undefined)
    : left(
        engineError(
          'BadOption',
          `compile is 'xla', which is for the engine tensorflow; ${name === 'xla' ? 'xla compiles without it' : `${name} has no compiler`}: leave compile out`,
        ),
      )
}

/** Why no other engine holds weights in 16 bits. */
const float32Alone =
  "weights is 'stored', which holds weights in 16 bits; of the engines onnx on a processor can do so: leave weights out, or take the engine onnx"

/** Fails with `BadOption` where weights are to stay in 16 bits that cannot. */
export const sixteenBits = (can: boolean): Either<EngineError, void> =>
  can ? right(undefined) : left(engineError('BadOption', float32Alone))

const checkWeights = (name: EngineName, weights: unknown): Either<EngineError, void> => {
  if (weights === undefined || weights === 'float32') return right(undefined)
  return weights === 'stored'
    ? sixteenBits(name === 'onnx')
    : left(engineError('BadOption', `weights is ${show(weights)}; it must be 'float32' or 'stored'`))
}

const known: readonly (keyof LoadOptions)[] = ['seed', 'threads', 'precision', 'compile', 'weights', 'values']

/**
 * Fails with `BadOption`: a seed is an integer, a number of threads a positive one, a precision one that the engine has; only
 * tensorflow can be told to compile, and only onnx to hold weights in 16 bits.
 */
export const checkOptions = (name: EngineName, options: LoadOptions): Either<EngineError, LoadOptions> => {
  const only = tryCatch(
    () => onlySettings('load', options, known),
    (e) => engineError('BadOption', messageOf(e)),
  )
  if (isLeft(only)) return only
  const { seed, threads, precision, compile, weights, values } = options
  const compiles = checkCompile(name, compile)
  if (isLeft(compiles)) return compiles
  const held = checkWeights(name, weights)
  if (isLeft(held)) return held
  const has = compile === 'xla' ? precisions.xla : precisions[name]
  if (precision !== undefined && !has.includes(precision))
    return left(
      engineError(
        'BadOption',
        precisions.xla.includes(precision)
          ? `precision is ${show(precision)}; ${name} computes in ${has.join(', ')} alone, ${name === 'tensorflow' ? "compiled (compile: 'xla') in all of them, " : ''}the engine xla in ${precisions.xla.join(', ')}; weights that are stored in bfloat16 are read as float32`
          : `precision is ${show(precision)}; it must be one of ${has.join(', ')}`,
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
  if (values !== undefined && !(values instanceof Map || isSource(values)))
    return left(
      engineError(
        'BadOption',
        `values is ${kindOf(values)}; it must be a Map of values by key, or what has keys and read, as openCheckpoint(…) gives it`,
      ),
    )
  return right(options)
}
