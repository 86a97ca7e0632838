/**
 * `--devices`: the engine that shares a batch over several devices.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Picked } from '../engine/index.ts'
import { attempt, type CliError, noEngine, usage } from './command.ts'

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
