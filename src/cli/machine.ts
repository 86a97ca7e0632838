/**
 * What the machine is.
 *
 * @since 0.1.0
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { freemem, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Machine, thisMachine } from '../bench/index.ts'

/** The machine, as far as speed depends on it. */
export interface MachineNow extends Machine {
  /** Processes that wanted to run, a mean over the last minute; 0 where the system does not say. */
  readonly load: number
  readonly memoryBytes: number
  readonly freeBytes: number
  /** NVIDIA GPUs as their driver names them; none where there is no driver. */
  readonly gpus: readonly string[]
}

/** Looks. Takes at most three seconds, for the GPU driver's answer. */
export const machineNow = async (): Promise<MachineNow> => ({
  ...thisMachine(),
  load: loadavg()[0] ?? 0,
  memoryBytes: totalmem(),
  freeBytes: await availableBytes(),
  gpus: await nvidia(),
})

/** Linux counts memory that caches would give back as available, not as free; other systems say only what is free. */
const availableBytes = async (): Promise<number> => {
  try {
    const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
    return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024
  } catch {
    return freemem()
  }
}

/**
 * Whether it is worth asking for a GPU by Vulkan: on Linux the loader must be there, whose absence the runtime tells on
 * standard error; other systems bring what is needed.
 */
export const mayHaveVulkan = async (
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<boolean> => {
  if (process.platform !== 'linux') return true
  const folders = (env.LD_LIBRARY_PATH ?? '').split(':').filter((f) => f !== '')
  if (folders.some((f) => existsSync(join(f, 'libvulkan.so.1')))) return true
  try {
    const { stdout } = await promisify(execFile)('/sbin/ldconfig', ['-p'], { timeout: 3000 })
    return stdout.includes('libvulkan.so.1')
  } catch {
    return false
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
