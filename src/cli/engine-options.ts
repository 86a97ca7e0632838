/** What the command line says of an engine besides its name: its devices, its precision, its compiler, in what weights lie. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Engine, EngineError, EngineName, Picked } from '../engine/index.ts'
import { attempt, type CliError, noEngine, usage } from './command.ts'

/** The engine that was picked, told so. Fails with `Usage` where it cannot be. */
export const toldTo = (
  picked: Picked,
  told: (engines: typeof import('../engine/index.ts')) => E.Either<EngineError, Engine>,
): TE.TaskEither<CliError, Picked> =>
  pipe(
    attempt(() => import('../engine/index.ts')),
    TE.chainEitherK((engines) =>
      pipe(
        told(engines),
        E.bimap(
          (e): CliError => usage(e.message),
          (engine) => ({ ...picked, engine }),
        ),
      ),
    ),
  )

/** Which engine to ask for where none is named: one has a compiler to be told of, and one holds weights in 16 bits. */
export const askedFor = (
  wanted: 'auto' | EngineName,
  { compiles = false, stored = false }: { readonly compiles?: boolean; readonly stored?: boolean },
): 'auto' | EngineName => (wanted !== 'auto' ? wanted : compiles ? 'tensorflow' : stored ? 'onnx' : wanted)

/** The engine that was picked; with `--weights stored` as one that holds weights in 16 bits. Fails with `Usage` where it cannot. */
export const holding = (picked: Picked, stored: boolean): TE.TaskEither<CliError, Picked> =>
  stored ? toldTo(picked, (e) => e.weightsAsStored(picked.engine)) : TE.right(picked)

/** xla over so many devices. Fails with `Usage` where another engine was asked for. */
export const overDevices = (wanted: string, devices: number): TE.TaskEither<CliError, Picked> =>
  wanted === 'auto' || wanted === 'xla'
    ? pipe(
        attempt(async () => (await import('../engine/index.ts')).xlaEngine({ devices })),
        TE.chain(
          TE.mapLeft((e) => (e._tag === 'BadOption' ? usage(`--devices: ${e.message}`) : noEngine(e))),
        ),
        TE.map((engine): Picked => ({ engine, why: `${devices} devices were asked for` })),
      )
    : TE.left(
        usage(`--devices ${devices} is for the engine xla, and --engine is ${wanted}; leave --engine out`),
      )
