/** The GPUs that WebGPU may compute on, as their drivers name them. */
import { release } from 'node:os'
import { type Foreign, foreign } from '../foreign.ts'

/** A device of Vulkan. */
export interface GraphicsDevice {
  readonly name: string
  /** The driver's version, as its maker writes it. */
  readonly driver: string
  /** Whether it is a program on the processor, such as SwiftShader or llvmpipe. */
  readonly software: boolean
}

/** `VkPhysicalDeviceType` of a device that is the processor. */
const processor = 4
const nvidia = 0x10de

/** NVIDIA packs four numbers into a version, everybody else three. */
const versionOf = (word: number, vendor: number): string =>
  vendor === nvidia
    ? `${word >>> 22}.${(word >>> 14) & 0xff}.${(word >>> 6) & 0xff}`
    : `${word >>> 22}.${(word >>> 12) & 0x3ff}.${word & 0xfff}`

/** `VkPhysicalDeviceProperties` in its first 276 bytes: five words, then the name. */
export const deviceOf = (properties: Uint8Array): GraphicsDevice => {
  const words = new DataView(properties.buffer, properties.byteOffset)
  const word = (i: number): number => words.getUint32(4 * i, true)
  const name = properties.subarray(20, 276)
  const end = name.indexOf(0)
  return {
    name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
    driver: versionOf(word(1), word(2)),
    software: word(4) === processor,
  }
}

const listed = (native: Foreign): readonly GraphicsDevice[] => {
  const vulkan = native.open('libvulkan.so.1')
  const call = (name: string, ...given: readonly (number | bigint)[]): number =>
    Number(native.words(native.symbol(vulkan, name), given.length)(...given)) | 0
  // VkInstanceCreateInfo: its type, and no more; zeros are no layers, no extensions
  const create = new BigUint64Array(8)
  create[0] = 1n
  const instance = new BigUint64Array(1)
  if (call('vkCreateInstance', native.address(create), 0, native.address(instance)) !== 0) return []
  const made = instance[0]!
  try {
    const count = new Uint32Array(2)
    call('vkEnumeratePhysicalDevices', made, native.address(count), 0)
    const devices = new BigUint64Array(Math.max(1, count[0]!))
    call('vkEnumeratePhysicalDevices', made, native.address(count), native.address(devices))
    return [...devices.subarray(0, count[0]!)].map((device) => {
      const properties = new Uint8Array(2048)
      call('vkGetPhysicalDeviceProperties', device, native.address(properties))
      return deviceOf(properties)
    })
  } finally {
    call('vkDestroyInstance', made, 0)
  }
}

/** The devices of Vulkan on Linux; none where there is no loader or no driver, and on other systems. */
export const graphicsDevices = (): readonly GraphicsDevice[] => {
  if (process.platform !== 'linux') return []
  try {
    return listed(foreign())
  } catch {
    return []
  }
}

/**
 * On what a measurement of WebGPU depends besides the engine: devices and drivers, else the system's release, which brings
 * Metal and Direct3D.
 */
export const graphicsHere = (devices: readonly GraphicsDevice[] = graphicsDevices()): string =>
  devices.length === 0
    ? `${process.platform} ${release()}`
    : devices
        .map((d) => `${d.name} (driver ${d.driver}${d.software ? ', a program on the processor' : ''})`)
        .sort()
        .join(', ')
