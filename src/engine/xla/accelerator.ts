/** Which accelerator is here, by its driver, and in which wheels its maker ships the plugin. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ended, runCommand } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'

/** An accelerator whose driver is here. */
export interface Accelerator {
  /** In words, `NVIDIA H100 80GB HBM3, driver 580.95`. */
  readonly name: string
  /** Pip's requirements, the plugin's first. */
  readonly wheels: readonly string[]
}

/** What is looked at; tests look elsewhere. */
export interface Surroundings {
  readonly root: string
  readonly run: (command: string, args: readonly string[]) => Promise<Ended>
}

/** The least driver, and the least compute capability, of each version of CUDA, the newest first. */
const cudas = [
  { version: 13, driver: 580, capability: 7.5 },
  { version: 12, driver: 525, capability: 5.2 },
] as const

/** The wheels of CUDA's libraries that the plugin calls, by CUDA's version. */
const cudaWheels: Readonly<Record<number, readonly string[]>> = {
  13: [
    'nvidia-cuda-runtime<14',
    'nvidia-cuda-nvrtc<14',
    'nvidia-nvjitlink<14',
    'nvidia-cublas<14',
    'nvidia-nccl-cu13',
    'nvidia-cuda-cupti<14',
    'nvidia-cusparse<13',
    'nvidia-cusolver<13',
    'nvidia-cufft<13',
    'nvidia-nvshmem-cu13',
    'nvidia-cudnn-cu13<10',
    // ptxas and libdevice
    'nvidia-cuda-nvcc<14',
    'nvidia-nvvm<14',
  ],
  12: [
    'nvidia-cuda-runtime-cu12',
    'nvidia-cuda-nvrtc-cu12',
    'nvidia-nvjitlink-cu12',
    'nvidia-cublas-cu12',
    'nvidia-nccl-cu12',
    'nvidia-cuda-cupti-cu12',
    'nvidia-cusparse-cu12',
    'nvidia-cusolver-cu12',
    'nvidia-cufft-cu12',
    'nvidia-nvshmem-cu12',
    'nvidia-cudnn-cu12<10',
    // ptxas and libdevice in one
    'nvidia-cuda-nvcc-cu12',
  ],
}

/** A plugin's requirement, and those of the libraries that must lie beside it. */
export const withLibraries = (requirement: string): readonly string[] => {
  const cuda = /^jax[-_]cuda(\d+)[-_]pjrt\b/.exec(requirement)?.[1]
  return [requirement, ...(cuda === undefined ? [] : (cudaWheels[Number(cuda)] ?? []))]
}

const text = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const entries = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

interface NvidiaDriver {
  readonly version: string
  readonly cards: readonly { readonly name: string; readonly capability: number }[]
}

const nvidiaDriver = async ({ root, run }: Surroundings): Promise<NvidiaDriver | undefined> => {
  const asked = await run('nvidia-smi', [
    '--query-gpu=driver_version,compute_cap,name',
    '--format=csv,noheader',
  ])
  const lines = asked.output
    .split('\n')
    .map((line) => /^([\d.]+), ([\d.]+), (.+)$/.exec(line.trim()))
    .filter((m) => m !== null)
  if (asked.status === 0 && lines.length > 0)
    return {
      version: lines[0]![1]!,
      cards: lines.map(([, , capability, name]) => ({ name: name!, capability: Number(capability) })),
    }
  const told = text(join(root, 'proc/driver/nvidia/version'))
  const version = /Kernel Module(?: for \S+)?\s+(\d+\.[\d.]+)/.exec(told)?.[1]
  return version === undefined ? undefined : { version, cards: [] }
}

const nvidia = ({ version, cards }: NvidiaDriver): Accelerator => {
  const name = `${cards[0]?.name ?? 'NVIDIA GPU'}, driver ${version}`
  const least = Math.min(...cards.map((c) => c.capability))
  const cuda = cudas.find((c) => Number.parseInt(version, 10) >= c.driver && least >= c.capability)
  if (cuda === undefined)
    throw new InstallError(
      'NoDevice',
      `${name}: the plugin for CUDA 12 needs driver ${cudas.at(-1)!.driver} or newer and a card of compute capability ${cudas.at(-1)!.capability} or more; update the driver`,
    )
  return { name, wheels: withLibraries(`jax-cuda${cuda.version}-pjrt`) }
}

/** PCI's numbers of makers and, for Google, of its TPUs; Google's other devices stand in all of its machines. */
const pciCards = (root: string): readonly { readonly vendor: string; readonly device: string }[] => {
  const folder = join(root, 'sys/bus/pci/devices')
  return entries(folder)
    .map((id) => ({
      vendor: text(join(folder, id, 'vendor')).trim(),
      device: text(join(folder, id, 'device')).trim(),
      class: text(join(folder, id, 'class')).trim(),
    }))
    .filter((d) => d.vendor === '0x1ae0' || /^0x(03|12)/.test(d.class))
}
const tpus = ['0x0027', '0x005e', '0x0056', '0x0062', '0x0063', '0x006f', '0x0076']

/**
 * The accelerator whose driver is here: an NVIDIA GPU, an AMD GPU with ROCm, a TPU; undefined where there is none.
 *
 * @throws InstallError `NoDevice` where a card is here whose driver is missing or too old
 */
export const findAccelerator = async (
  around: Surroundings = { root: '/', run: (command, args) => runCommand(command, args) },
): Promise<Accelerator | undefined> => {
  const { root } = around
  const driver = await nvidiaDriver(around)
  if (driver !== undefined) return nvidia(driver)
  const cards = pciCards(root)
  if (existsSync(join(root, 'dev/kfd'))) {
    const version = text(join(root, 'opt/rocm/.info/version')).trim()
    const major = /^(\d+)\./.exec(version)?.[1]
    if (major === undefined)
      throw new InstallError(
        'NoDevice',
        "an AMD GPU is here without ROCm's libraries (/opt/rocm/.info/version): install ROCm 6 or newer first",
      )
    // the wheel of ROCm 6 is called 60, those after it by the major version
    return { name: `AMD GPU, ROCm ${version}`, wheels: [`jax-rocm${major === '6' ? '60' : major}-pjrt`] }
  }
  if (cards.some((c) => c.vendor === '0x1ae0' && tpus.includes(c.device)))
    return { name: 'TPU', wheels: ['libtpu'] }
  for (const [vendor, what] of [
    ['0x10de', "an NVIDIA GPU is here and its driver is not: install NVIDIA's driver (580 or newer)"],
    ['0x1002', 'an AMD GPU is here and its driver is not (/dev/kfd): install the amdgpu driver and ROCm'],
  ] as const)
    if (cards.some((c) => c.vendor === vendor)) throw new InstallError('NoDevice', what)
  return undefined
}
