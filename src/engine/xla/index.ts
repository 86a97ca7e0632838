/**
 * The xla engine: a program is compiled by XLA for the device of a PJRT plugin, its state lives on the device.
 *
 * @since 0.2.0
 */
import { isLeft, right } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { clampProgram, optimiseProgram, type Program } from '../../dsl/index.ts'
import { type Backend, type BackendOptions, guarded, openSession } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { checkOptions } from '../options.ts'
import type { Engine } from '../session.ts'
import { type Client, openClient } from './pjrt/index.ts'
import { xlaBackend } from './session.ts'

/** Which plugin. */
export interface XlaOptions {
  /** The plugin's file; default: the one that `sailwright engine install xla` laid down. */
  readonly plugin?: string
}

/** The client of each plugin that this thread opened: a process has one of a device. */
const clients = new Map<string, Promise<Client>>()

/** Fails with `NotInstalled`. */
const clientOf =
  ({ plugin }: XlaOptions): TE.TaskEither<EngineError, Client> =>
  async () => {
    const id = plugin ?? ''
    const had = clients.get(id)
    if (had !== undefined) return right(await had)
    const opened = await openClient(plugin === undefined ? {} : { plugin })()
    if (isLeft(opened)) return opened
    clients.set(id, Promise.resolve(opened.right))
    return opened
  }

/** The backend of a program that the passes went over. Fails with `NotInstalled`. */
export const openXla = (
  program: Program,
  { precision = 'float32', plugin }: BackendOptions = {},
): TE.TaskEither<EngineError, Backend> =>
  pipe(
    clientOf(plugin === undefined ? {} : { plugin }),
    TE.map((client) => xlaBackend(client, program, { precision })),
  )

/** The engine over a client. */
export const engineOn = (client: Client): Engine => ({
  name: 'xla',
  version: `xla ${client.version} (${client.devices[0]?.kind ?? client.platform})`,
  accelerated: client.platform !== 'cpu',
  load:
    (program, options = {}) =>
    async () => {
      const checked = checkOptions('xla', options)
      if (isLeft(checked)) return checked
      const { precision = 'float32' } = options
      return guarded(`loading program '${program.name}'`, () =>
        openSession(xlaBackend(client, clampProgram(optimiseProgram(program)), { precision }), options)(),
      )
    },
})

/** The engine over a plugin. Fails with `NotInstalled`, which says what was tried and what to do. */
export const xlaEngine = (options: XlaOptions = {}): TE.TaskEither<EngineError, Engine> =>
  pipe(clientOf(options), TE.map(engineOn))
