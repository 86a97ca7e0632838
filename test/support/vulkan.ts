/** A Vulkan driver in which WebGPU can be tried: this machine's, else the one on the processor that Chromium brings. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome']

/** The environment in which a process finds a Vulkan driver; undefined where there is none. */
export const vulkanEnvironment = (): Readonly<Record<string, string>> | undefined => {
  if (process.env.SAILWRIGHT_TEST_VULKAN === '1') return {}
  const folder = folders.find(
    (f) => existsSync(join(f, 'libvk_swiftshader.so')) && existsSync(join(f, 'libvulkan.so.1')),
  )
  if (folder === undefined) return undefined
  const icd = join(folder, 'vk_swiftshader_icd.json')
  return { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd }
}
