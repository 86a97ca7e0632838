/** The client of this machine's plugin. */
import { isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { called } from '../../terminal/index.ts'
import { type EngineError, engineError, messageOf } from '../error.ts'
import { foreign } from '../foreign.ts'
import { type FoundPlugin, findPlugin } from './find.ts'
import { Client, Plugin } from './pjrt/index.ts'

/** Which plugin. */
export interface ClientOptions {
  /** Its file; default: the one that `sailwright engine install xla` laid down, else one that Python has. */
  readonly plugin?: string
  /** How many devices the plugin of a processor makes of it; others have what is there. Default 1. */
  readonly devices?: number
  /** The client that another thread of this process has open, which is then taken: opening one takes a GPU half a second. */
  readonly client?: bigint
}

/** A client, and the plugin that it is of. */
export interface OpenedClient {
  readonly client: Client
  readonly plugin: FoundPlugin
}

const todo = (): string =>
  `install a plugin with '${called()} engine install xla', or name its file with '${called()} engine install xla --plugin <file>'`

/**
 * Opens the plugin, the libraries it needs, and a client over its devices.
 *
 * Fails with `NotInstalled`, which says what was tried, what is missing and what to do; with `BadOption` where there are
 * fewer devices than are asked for.
 */
export const openClient =
  ({
    plugin: named,
    devices = 1,
    client: there,
  }: ClientOptions = {}): TaskEither<EngineError, OpenedClient> =>
  async () => {
    if (!Number.isInteger(devices) || devices < 1)
      return left(engineError('BadOption', `devices must be a whole number from 1, and is ${devices}`))
    const found = findPlugin(named)
    if (isLeft(found))
      return left(
        engineError(
          'NotInstalled',
          `no plugin for XLA is here: ${todo()}. Tried:\n  ${found.left.join('\n  ')}`,
        ),
      )
    const plugin = found.right
    // the plugin's own log goes to standard error, where a display is drawn
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
    try {
      const { open } = foreign()
      for (const path of plugin.libraries) open(path, true)
      const library = new Plugin(plugin.path)
      if (there !== undefined) return right({ client: Client.of(library, there, plugin.flags), plugin })
      let client = await Client.open(library, plugin.options, plugin.flags)
      // a processor is as many devices as it is told to be
      if (client.platform === 'cpu' && client.devices.length < devices) {
        await client.close()
        client = await Client.open(library, { ...plugin.options, cpu_device_count: devices }, plugin.flags)
      }
      if (client.devices.length < devices) {
        const there = client.devices.length
        await client.close()
        return left(
          engineError(
            'BadOption',
            `${devices} devices were asked for, and the plugin ${plugin.path} finds ${there}: ask for at most ${there}`,
          ),
        )
      }
      return right({ client, plugin })
    } catch (e) {
      const missing =
        plugin.missing.length === 0 ? '' : `; beside it there is no ${plugin.missing.join(', no ')}`
      return left(
        engineError(
          'NotInstalled',
          `the plugin ${plugin.path} (${plugin.from}) does not open: ${messageOf(e)}${missing}; ${todo()}`,
          e,
        ),
      )
    }
  }
