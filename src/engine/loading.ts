/** What every engine does before it loads a program, and what it says of what is none. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Program } from '../dsl/index.ts'
import { kindOf } from '../settings/index.ts'
import { guarded } from './backend.ts'
import type { EngineError } from './error.ts'
import { checkOptions } from './options.ts'
import { fits, memoryFor } from './out-of-memory.ts'
import type { Engine, LoadOptions, Session } from './session.ts'
import { checkProgram } from './values.ts'

/** What something is that is no engine, and what to give; undefined where it is one. */
export const engineFault = (engine: Engine): string | undefined =>
  typeof engine?.load === 'function'
    ? undefined
    : `it is ${kindOf(engine)}; give what onnxEngine(), tensorflowEngine() or xlaEngine() loads`

/** Loading as every engine does it: program, options and memory are checked first, and whatever is thrown after is a value. */
export const loading =
  (
    engine: Pick<Engine, 'name' | 'accelerated' | 'devices' | 'memory'>,
    load: (program: Program, options: LoadOptions) => Promise<E.Either<EngineError, Session>>,
  ): Engine['load'] =>
  (program, options = {}) =>
  async () => {
    const checked = pipe(
      checkProgram('load', program),
      E.chain(() => checkOptions(engine.name, options)),
      E.chain(() => fits(program, options, memoryFor(engine))),
    )
    return E.isLeft(checked)
      ? checked
      : guarded(`loading program '${program.name}'`, () => load(program, options))
  }
