/** A plugin and its devices in plain data, for a report. */
import type { OpenedClient } from './open-client.ts'
import type { DeviceMemory } from './pjrt/index.ts'

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

/** Asks a client. */
export const describe = ({ client, plugin }: OpenedClient): XlaDescription => ({
  plugin: plugin.path,
  from: plugin.from,
  apiVersion: client.apiVersion,
  platform: client.platform,
  devices: client.devices.map(({ id, kind, memory }) => {
    const now = memory()
    return { id, kind, ...(now === undefined ? {} : { memory: now }) }
  }),
})
