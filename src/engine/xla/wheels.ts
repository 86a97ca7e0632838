/** Which of a folder's wheels make up a plugin: its own, and those of the libraries it calls. */
import { InstallError } from '../install/install-error.ts'

interface Wheel {
  readonly file: string
  /** `jax-cuda13-pjrt`. */
  readonly name: string
  readonly version: readonly number[]
}

const wheelOf = (file: string): Wheel => {
  const [name = '', version = ''] = file.split('-')
  return {
    file,
    name: name.replaceAll(/[-_.]+/g, '-').toLowerCase(),
    version: version.split('.').map(Number),
  }
}

const isPlugin = (name: string): boolean => /^jax-(cuda|rocm)\d+-pjrt$|^libtpu$/.test(name)

/** Whether a library of NVIDIA's is for that version of CUDA; from 13 on, most names do not say. */
const isOf = (cuda: string, name: string): boolean =>
  name.startsWith('nvidia-') && (/-cu(\d+)$/.exec(name)?.[1] ?? 'later') === cuda

const newer = (a: Wheel, b: Wheel): boolean => {
  for (let i = 0; i < Math.max(a.version.length, b.version.length); i++) {
    const [x, y] = [a.version[i] ?? 0, b.version[i] ?? 0]
    if (x !== y) return x > y
  }
  return false
}

/**
 * The files that are unpacked, the newest of each name. Where there are several plugins, `wanted` says which, by what the
 * machine has.
 *
 * @throws InstallError `NoPlugin` where there is none, or no telling which
 */
export const choose = async (
  files: readonly string[],
  wanted: () => Promise<string | undefined>,
): Promise<readonly string[]> => {
  const newest = new Map<string, Wheel>()
  for (const wheel of files.map(wheelOf)) {
    const had = newest.get(wheel.name)
    if (had === undefined || newer(wheel, had)) newest.set(wheel.name, wheel)
  }
  const plugins = [...newest.keys()].filter(isPlugin)
  if (plugins.length === 0)
    throw new InstallError(
      'NoPlugin',
      'none of the wheels holds a plugin: jax_cuda13_pjrt-….whl, jax_cuda12_pjrt-….whl, jax_rocm7_pjrt-….whl or libtpu-….whl is needed, with its libraries nvidia_….whl',
    )
  const plugin = plugins.length === 1 ? plugins[0]! : await wanted()
  if (plugin === undefined || !plugins.includes(plugin))
    throw new InstallError(
      'NoPlugin',
      `the wheels hold several plugins (${plugins.join(', ')}), and ${plugin === undefined ? 'no driver of this machine says which' : `this machine wants ${plugin}`}: leave one there`,
    )
  const cuda = /^jax-cuda(\d+)-/.exec(plugin)?.[1]
  const libraries =
    cuda === undefined
      ? []
      : [...newest.keys()].filter((name) => isOf(cuda, name) || (Number(cuda) >= 13 && isOf('later', name)))
  return [plugin, ...libraries].map((name) => newest.get(name)!.file)
}
