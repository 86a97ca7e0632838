/** An engine that computes in another precision than it does by itself. */
import { type Either, isLeft, right } from 'fp-ts/lib/Either.js'
import type { EngineError } from './error.ts'
import { checkOptions } from './options.ts'
import type { Engine, Precision } from './session.ts'

/**
 * The engine with a precision for every program that it loads, unless loading says another. Fails with `BadOption` where
 * the engine does not have it.
 *
 * @category engines
 */
export const inPrecision = (engine: Engine, precision: Precision): Either<EngineError, Engine> => {
  const checked = checkOptions(engine.name, { precision })
  if (isLeft(checked)) return checked
  return right({
    ...engine,
    precision,
    load: (program, options = {}) => engine.load(program, { precision, ...options }),
  })
}
