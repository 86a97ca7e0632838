/** An engine that computes in another precision than it does by itself, compiles, or holds weights in 16 bits. */
import { type Either, isLeft, right } from 'fp-ts/lib/Either.js'
import type { EngineError } from './error.ts'
import { checkOptions } from './options.ts'
import type { Engine, LoadOptions, Precision } from './session.ts'

type Settings = Pick<LoadOptions, 'precision' | 'compile' | 'weights'>

/** What an engine does with every program, unless loading says another. */
export const settingsOf = ({ precision, compile, weights }: Engine): Settings => ({
  ...(precision === undefined ? {} : { precision }),
  ...(compile === undefined ? {} : { compile }),
  ...(weights === undefined ? {} : { weights }),
})

const told = (engine: Engine, options: Settings): Either<EngineError, Engine> => {
  const all = { ...settingsOf(engine), ...options }
  const checked = checkOptions(engine.name, all)
  if (isLeft(checked)) return checked
  const { compileAhead } = engine
  return right({
    ...engine,
    ...all,
    ...(compileAhead === undefined
      ? {}
      : { compileAhead: (programs, given = {}) => compileAhead(programs, { ...options, ...given }) }),
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

/**
 * The engine onnx, in which weights that are stored in bfloat16 and never change stay in 16 bits. Fails with `BadOption` for
 * another engine.
 *
 * @category engines
 */
export const weightsAsStored = (engine: Engine): Either<EngineError, Engine> =>
  told(engine, { weights: 'stored' })
