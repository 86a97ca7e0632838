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
import { markUsed } from '../used.ts'
import { describe, type XlaDescription } from './description.ts'
import { type OpenedClient, openClient } from './open-client.ts'
import { type XlaSettings, xlaBackend } from './session.ts'

/** Which plugin, and how it compiles. */
export interface XlaOptions {
  /** The plugin's file; default: the one that `sailwright engine install xla` laid down, else one that Python has. */
  readonly plugin?: string
  /** XLA's own flags, by name. */
  readonly flags?: XlaSettings['flags']
  /** `definition` runs attention as it is written where a library has a call for it; default `auto`. */
  readonly attention?: XlaSettings['attention']
  /**
   * How many of the plugin's devices share the work: inputs whose first axis is `batch` are dealt out over them, where its
   * size divides by their number, and each has all weights. The plugin of a processor makes as many of it. Default 1.
   */
  readonly devices?: number
  /** Whether each device keeps all that an optimizer keeps, or its part. Default `whole`. */
  readonly optimizer?: 'whole' | 'parted'
}

/** The clients that this thread opened, by the plugin's file and the devices asked for. */
const clients = new Map<string, OpenedClient>()

/** What finding a client takes of the options. */
const wanted = ({ plugin, devices }: Pick<XlaOptions, 'plugin' | 'devices'>) => ({
  ...(plugin === undefined ? {} : { plugin }),
  ...(devices === undefined ? {} : { devices }),
})

/** Fails with `NotInstalled`, and `BadOption` where there are fewer devices. */
const clientOf =
  (options: Pick<XlaOptions, 'plugin' | 'devices'>): TE.TaskEither<EngineError, OpenedClient> =>
  async () => {
    const id = JSON.stringify([options.plugin, options.devices ?? 1])
    const had = clients.get(id)
    if (had !== undefined) return right(had)
    markUsed()
    const opened = await openClient(wanted(options))()
    if (isLeft(opened)) return opened
    clients.set(id, opened.right)
    return opened
  }

const settingsOf = (
  { precision = 'float32' }: Pick<BackendOptions, 'precision'>,
  { flags, attention, devices = 1, optimizer = 'whole' }: Omit<XlaOptions, 'plugin'>,
): XlaSettings => ({
  precision,
  sharding: { devices, axis: 'batch', optimizer },
  ...(flags === undefined ? {} : { flags }),
  ...(attention === undefined ? {} : { attention }),
})

/**
 * The backend of a program that the passes went over, over a client of its own: closing the one closes the other. Fails
 * with `NotInstalled`.
 */
export const openXla = (
  program: Program,
  options: BackendOptions = {},
): TE.TaskEither<EngineError, Backend> =>
  pipe(
    openClient(wanted(options)),
    TE.map((opened) => {
      const backend = xlaBackend(opened, program, settingsOf(options, options))
      const close = async (): Promise<void> => {
        await backend.close()
        await opened.client.close()
      }
      return { ...backend, close }
    }),
  )

const engineOn = (opened: OpenedClient, given: XlaOptions): Engine => {
  const { client } = opened
  return {
    name: 'xla',
    version: `xla ${versionOf(client.version)} (${client.devices[0]!.kind})`,
    accelerated: client.platform !== 'cpu',
    memory: () => client.devices[0]!.memory(),
    threadOptions: { ...given, plugin: given.plugin ?? opened.plugin.path },
    load:
      (program, options = {}) =>
      async () => {
        const checked = checkOptions('xla', options)
        if (isLeft(checked)) return checked
        const run = clampProgram(optimiseProgram(program))
        return guarded(`loading program '${program.name}'`, () =>
          openSession(xlaBackend(opened, run, settingsOf(options, given)), options)(),
        )
      },
  }
}

/** One line of what a plugin says of itself. */
const versionOf = (version: string): string => version.split('\n')[0]!.trim()

/**
 * The engine over a plugin. Fails with `NotInstalled`, which says what was tried and what to do.
 *
 * @category engines
 */
export const xlaEngine = (options: XlaOptions = {}): TE.TaskEither<EngineError, Engine> =>
  pipe(
    clientOf(options),
    TE.map((opened) => engineOn(opened, options)),
  )

/** The plugin that {@link xlaEngine} takes, with its devices and their memory. Fails with `NotInstalled`. */
export const xlaDescription = (
  options: Pick<XlaOptions, 'plugin'> = {},
): TE.TaskEither<EngineError, XlaDescription> => pipe(clientOf(options), TE.map(describe))

export type { XlaDescription } from './description.ts'
