/** An engine that computes in another precision than it does by itself, or compiles. */
import { type Either, isLeft, right } from 'fp-ts/lib/Either.js'
import type { EngineError } from './error.ts'
import { checkOptions } from './options.ts'
import type { Engine, LoadOptions, Precision } from './session.ts'

const told = (
  engine: Engine,
  options: Pick<LoadOptions, 'precision' | 'compile'>,
): Either<EngineError, Engine> => {
  const { precision, compile } = engine
  const all = {
    ...(precision === undefined ? {} : { precision }),
    ...(compile === undefined ? {} : { compile }),
    ...options,
  }
  const checked = checkOptions(engine.name, all)
  if (isLeft(checked)) return checked
  return right({
    ...engine,
    ...all,
    load: (program, given = {}) => engine.load(program, { ...options, ...given }),
  })
}

/**
 * The engine with a precision for every program that it loads, unless loading says another. Fails with `BadOption` where
 * the engine does not have it.
 *
 * @category engines
 */
export const inPrecision = (engine: Engine, precision: Precision): Either<EngineError, Engine> =>
  told(engine, { precision })

/**
 * The engine tensorflow, which has XLA compile every program that it loads; a precision comes after it. Fails with
 * `BadOption` for another engine.
 *
 * @category engines
 */
export const compiledByXla = (engine: Engine): Either<EngineError, Engine> => told(engine, { compile: 'xla' })
