/**
 * Which machine measured: what a reader of the numbers needs, and nothing that names the machine.
 *
 * @since 0.1.0
 */
import { availableParallelism, cpus, release, totalmem } from 'node:os'

/** Facts of a machine. */
export interface Machine {
  /** The processor's name as the system tells it. */
  readonly cpu: string
  /** Cores that this process may use. */
  readonly cores: number
  /** GiB, rounded. */
  readonly memory: number
  /** `linux x64, kernel 6.1.0`. */
  readonly system: string
  readonly node: string
}

/** This machine. */
export const thisMachine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memory: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${process.arch}, kernel ${release()}`,
  node: process.version,
})
