/**
 * What the machine is.
 *
 * @since 0.1.0
 */
import { execFile } from 'node:child_process'
import { availableParallelism, cpus, freemem, loadavg, totalmem } from 'node:os'
import { promisify } from 'node:util'

/** The machine, as far as speed depends on it. */
export interface Machine {
  readonly node: string
  readonly platform: string
  readonly arch: string
  readonly cpu: string
  /** That this process may use. */
  readonly cores: number
  /** Processes that wanted to run, a mean over the last minute; 0 where the system does not say. */
  readonly load: number
  readonly memoryBytes: number
  readonly freeBytes: number
  /** NVIDIA GPUs as their driver names them; none where there is no driver. */
  readonly gpus: readonly string[]
}

/** Looks. Takes at most three seconds, for the GPU driver's answer. */
export const machine = async (): Promise<Machine> => ({
  node: process.version,
  platform: process.platform,
  arch: process.arch,
  cpu: cpus()[0]?.model.trim() || 'unknown',
  cores: availableParallelism(),
  load: loadavg()[0] ?? 0,
  memoryBytes: totalmem(),
  freeBytes: process.platform === 'linux' ? await availableBytes() : freemem(),
  gpus: await nvidia(),
})

/** Linux counts memory that caches would give back as available, not as free. */
const availableBytes = async (): Promise<number> => {
  try {
    const { readFile } = await import('node:fs/promises')
    const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
    return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024
  } catch {
    return freemem()
  }
}

const nvidia = async (): Promise<readonly string[]> => {
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'],
      { timeout: 3000 },
    )
    return stdout
      .split('\n')
      .map((l) => l.trim())
      .filter((l) => l !== '')
  } catch {
    return []
  }
}
