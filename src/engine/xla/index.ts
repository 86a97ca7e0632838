/**
 * The xla engine: a program is compiled by XLA for the device of a PJRT plugin, its state lives on the device.
 *
 * @since 0.1.0
 */
import { isLeft, right } from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { clampProgram, optimiseProgram, type Program } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { type Backend, type BackendOptions, openSession } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { loading } from '../loading.ts'
import type { Engine } from '../session.ts'
import { markUsed } from '../used.ts'
import { type OpenedClient, openClient } from './open-client.ts'
import type { DeviceMemory } from './pjrt/index.ts'
import { type XlaSettings, xlaBackend } from './session.ts'
import { deviceCount, type Sharding, shardingOf } from './sharding.ts'

/** Which plugin, and how it compiles. */
export interface XlaOptions {
  /** The plugin's file; default: the one that `sailwright engine install xla` laid down, else one that Python has. */
  readonly plugin?: string
  /** XLA's own flags, by name. */
  readonly flags?: XlaSettings['flags']
  /** `definition` runs attention as it is written where a library has a call for it; default `auto`. */
  readonly attention?: XlaSettings['attention']
  /**
   * How many of the plugin's devices share the work: what has an axis `batch` or `tile` (the images of a batch) is dealt out
   * along it over them, where its size divides by their number, and each has all weights. The plugin of a processor makes as
   * many of it. Default 1.
   *
   * As a record the devices stand in a grid: `{ data: 2, model: 4 }` are eight, and batches go along the first direction. What
   * goes along another is said by `shard`.
   */
  readonly devices?: number | Readonly<Record<string, number>>
  /**
   * By the name of a tensor's axis the direction of the grid along which states, inputs, products and stacks of that axis are
   * dealt out, where its size divides; a direction takes the first axis of a tensor that names it. For a Qwen3
   * `{ query: 'model', kv: 'model', hidden: 'model', vocab: 'model' }` leaves each device along `model` its heads, its part of
   * the feed-forward blocks and of the vocabulary, and `expert: 'model'` its experts' products.
   */
  readonly shard?: Readonly<Record<string, string>>
  /** Whether each device keeps all that an optimizer keeps, or its part. Default `whole`. */
  readonly optimizer?: 'whole' | 'parted'
}

/** What computes. */
export interface XlaDescription {
  /** The plugin's file, and how it was found. */
  readonly plugin: string
  readonly from: string
  /** Version of its API, `0.115`. */
  readonly apiVersion: string
  /** `cuda`, `rocm`, `tpu`, `cpu`. */
  readonly platform: string
  readonly devices: readonly {
    readonly id: number
    /** `NVIDIA H100 80GB HBM3`. */
    readonly kind: string
    /** In bytes, where the plugin says. */
    readonly memory?: DeviceMemory
  }[]
}

/** The clients that this thread opened, by the plugin's file and how many devices were asked for. */
const clients = new Map<string, OpenedClient>()

/** Fails with `NotInstalled`, and `BadOption` where there are fewer devices. */
const clientOf =
  (plugin: string | undefined, devices: number): TE.TaskEither<EngineError, OpenedClient> =>
  async () => {
    const id = JSON.stringify([plugin, devices])
    const had = clients.get(id)
    if (had !== undefined) return right(had)
    markUsed()
    const opened = await openClient({ devices, ...present({ plugin }) })()
    if (isLeft(opened)) return opened
    clients.set(id, opened.right)
    return opened
  }

const settingsOf = (
  { precision = 'float32' }: Pick<BackendOptions, 'precision'>,
  { flags, attention }: Pick<XlaOptions, 'flags' | 'attention'>,
  sharding: Sharding,
): XlaSettings => ({ precision, sharding, ...present({ flags, attention }) })

/**
 * The backend of a program that the passes went over, over a client of its own or the one that is named: closing the one closes
 * the other, where it is its own. Fails with `NotInstalled`.
 */
export const openXla = (
  program: Program,
  options: BackendOptions = {},
): TE.TaskEither<EngineError, Backend> =>
  pipe(
    TE.fromEither(shardingOf(options)),
    TE.bindTo('sharding'),
    TE.bind('opened', ({ sharding }) =>
      openClient({
        devices: deviceCount(sharding),
        ...present({ plugin: options.plugin, client: options.client }),
      }),
    ),
    TE.map(({ sharding, opened }) => {
      const backend = xlaBackend(opened, program, settingsOf(options, options, sharding))
      const close = async (): Promise<void> => {
        await backend.close()
        await opened.client.close()
      }
      return { ...backend, close }
    }),
  )

const engineOn = (opened: OpenedClient, given: XlaOptions, sharding: Sharding): Engine => {
  const { client } = opened
  const about = {
    name: 'xla',
    version: `xla ${versionOf(client.version)} (${client.devices[0]!.kind})`,
    accelerated: client.platform !== 'cpu',
    devices: sharding.mesh[0]![1],
    memory: () => client.devices[0]!.memory(),
    threadOptions: { ...given, plugin: given.plugin ?? opened.plugin.path, client: client.address },
  } as const
  return {
    ...about,
    load: loading(about, (program, options) => {
      const run = clampProgram(optimiseProgram(program))
      return openSession(xlaBackend(opened, run, settingsOf(options, given, sharding)), options)()
    }),
  }
}

/** One line of what a plugin says of itself. */
const versionOf = (version: string): string => version.split('\n')[0]!.trim()

/**
 * The engine over a plugin. Fails with `NotInstalled`, which says what was tried and what to do, and with `BadOption` where
 * there are fewer devices than are asked for or nothing would be dealt out along one of their directions.
 *
 * @category engines
 */
export const xlaEngine = (options: XlaOptions = {}): TE.TaskEither<EngineError, Engine> => {
  onlySettings('xlaEngine', options, ['plugin', 'flags', 'attention', 'devices', 'shard', 'optimizer'])
  return pipe(
    TE.fromEither(shardingOf(options)),
    TE.bindTo('sharding'),
    TE.bind('opened', ({ sharding }) => clientOf(options.plugin, deviceCount(sharding))),
    TE.map(({ sharding, opened }) => engineOn(opened, options, sharding)),
  )
}

/** The plugin that {@link xlaEngine} takes, with its devices and their memory. Fails with `NotInstalled`. */
export const xlaDescription = (
  options: Pick<XlaOptions, 'plugin'> = {},
): TE.TaskEither<EngineError, XlaDescription> => {
  onlySettings('xlaDescription', options, ['plugin'])
  return pipe(
    clientOf(options.plugin, 1),
    TE.map(({ client, plugin }) => ({
      plugin: plugin.path,
      from: plugin.from,
      apiVersion: client.apiVersion,
      platform: client.platform,
      devices: client.devices.map(({ id, kind, memory }) => ({ id, kind, ...present({ memory: memory() }) })),
    })),
  )
}
