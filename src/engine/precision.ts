/** An engine that computes in another precision than it does by itself, compiles, or holds weights in 16 bits. */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { kindOf } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { type EngineError, engineError } from './error.ts'
import { engineFault } from './loading.ts'
import { checkOptions } from './options.ts'
import type { Engine, LoadOptions, Precision } from './session.ts'

type Settings = Pick<LoadOptions, 'precision' | 'compile' | 'weights'>

/** What an engine does with every program, unless loading says another. */
export const settingsOf = ({ precision, compile, weights }: Engine): Settings =>
  present({ precision, compile, weights })

/** Loading with what an engine does unless it is told another; what is no record of options is left to loading, which refuses it. */
export const toldAs =
  (own: Settings, load: Engine['load']): Engine['load'] =>
  (program, given = {}) =>
    load(program, kindOf(given) === 'a record' ? { ...own, ...present(given) } : given)

const told = (where: string, engine: Engine, options: Settings): Either<EngineError, Engine> => {
  const fault = engineFault(engine)
  if (fault !== undefined) return left(engineError('BadInput', `${where}, engine: ${fault}`))
  const all = { ...settingsOf(engine), ...options }
  const checked = checkOptions(engine.name, all)
  if (isLeft(checked)) return checked
  const { compileAhead } = engine
  return right({
    ...engine,
    ...all,
    ...(compileAhead === undefined
      ? {}
      : {
          compileAhead: (programs, given = {}) => compileAhead(programs, { ...options, ...present(given) }),
        }),
    load: toldAs(options, engine.load),
  })
}

/**
 * The engine with a precision for every program that it loads, unless loading says another. Fails with `BadOption` where
 * the engine does not have it.
 *
 * @category engines
 */
export const inPrecision = (engine: Engine, precision: Precision): Either<EngineError, Engine> =>
  told('inPrecision', engine, { precision })

/**
 * The engine tensorflow, which has XLA compile every program that it loads; a precision comes after it. Fails with
 * `BadOption` for another engine.
 *
 * @category engines
 */
export const compiledByXla = (engine: Engine): Either<EngineError, Engine> =>
  told('compiledByXla', engine, { compile: 'xla' })

/**
 * The engine onnx, in which weights that are stored in bfloat16 and never change stay in 16 bits. Fails with `BadOption` for
 * another engine.
 *
 * @category engines
 */
export const weightsAsStored = (engine: Engine): Either<EngineError, Engine> =>
  told('weightsAsStored', engine, { weights: 'stored' })
