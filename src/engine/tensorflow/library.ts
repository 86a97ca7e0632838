/** TensorFlow's own library: found in a folder, unpacked from a file, or fetched by pip. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { CommandOptions } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'
import { fetchByPip, type Source, unpack } from '../install/source.ts'

/** A TensorFlow that a binding can be linked against. */
export interface Library {
  /** The shared libraries, in the order in which they are linked. */
  readonly files: readonly string[]
  /** The folder that holds `tensorflow/c/c_api.h`. */
  readonly include: string
}

/** The C++ library of a wheel, and the C library of a libtensorflow archive. */
const mainNames = ['libtensorflow_cc.so.2', 'libtensorflow.so.2', 'libtensorflow.so']

const exists = (path: string): string | undefined => (existsSync(path) ? path : undefined)

const libraryAt = (folder: string): Library | undefined => {
  const main = mainNames.map((n) => exists(join(folder, n))).find((p) => p !== undefined)
  if (main === undefined) return undefined
  const include = [join(folder, 'include'), join(dirname(folder), 'include')].find((d) =>
    existsSync(join(d, 'tensorflow', 'c', 'c_api.h')),
  )
  if (include === undefined) return undefined
  const framework = ['libtensorflow_framework.so.2', 'libtensorflow_framework.so']
    .map((n) => exists(join(folder, n)))
    .find((p) => p !== undefined)
  return { files: framework === undefined ? [main] : [main, framework], include }
}

/**
 * Looks for TensorFlow in a folder and up to five levels below: an unpacked wheel (`tensorflow/libtensorflow_cc.so.2`),
 * an unpacked libtensorflow (`lib/libtensorflow.so.2`), or a whole Python environment.
 */
export const findLibrary = async (folder: string): Promise<Library | undefined> => {
  let level = [folder]
  for (let depth = 0; depth <= 5 && level.length > 0; depth++) {
    const below: string[] = []
    for (const dir of level) {
      const found = libraryAt(dir)
      if (found !== undefined) return found
      const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
      for (const e of entries)
        if (e.isDirectory() && e.name !== 'include' && e.name !== 'node_modules' && !e.name.startsWith('.'))
          below.push(join(dir, e.name))
    }
    level = below
  }
  return undefined
}

/** NVIDIA's libraries that pip put beside TensorFlow, linked so that TensorFlow finds them already loaded. */
export const cudaLibraries = async (library: Library): Promise<readonly string[]> => {
  const nvidia = join(dirname(dirname(library.files[0]!)), 'nvidia')
  const wanted = /^lib(cudart|cublas|cublasLt|cufft|cusolver|cusparse|cudnn|nccl|cupti|nvJitLink)\.so\.\d+$/
  const found: string[] = []
  for (const part of await readdir(nvidia).catch(() => []))
    for (const file of await readdir(join(nvidia, part, 'lib')).catch(() => []))
      if (wanted.test(file)) found.push(join(nvidia, part, 'lib', file))
  return found.sort()
}

const notTensorFlow = (path: string): InstallError =>
  new InstallError(
    'NotTensorFlow',
    `no TensorFlow under ${path}: looked for ${mainNames.join(' or ')} with include/tensorflow/c/c_api.h beside it; an unpacked tensorflow or tensorflow-cpu wheel has both, and so has an unpacked libtensorflow archive`,
  )

/**
 * Makes the library available: a folder is used where it is, a file or a requirement is unpacked and takes the place of
 * what was in `into`.
 *
 * @throws InstallError `NotTensorFlow`, `BadArchive`, `NoPython`, `NotFetched`
 */
export const provideLibrary = async (
  source: Source,
  into: string,
  options: CommandOptions = {},
): Promise<Library> => {
  if (source.kind === 'folder') {
    const found = await findLibrary(source.path)
    if (found === undefined) throw notTensorFlow(source.path)
    return found
  }
  // what is there stays until its successor is whole
  const fresh = `${into}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  try {
    if (source.kind === 'file') await unpack(source.path, fresh, options)
    // Python's own packages are not needed to run the library; an extra (`[and-cuda]`) names libraries that are
    else
      await fetchByPip([source.requirement], fresh, {
        ...options,
        flags: source.requirement.includes('[') ? [] : ['--no-deps'],
      })
    if ((await findLibrary(fresh)) === undefined)
      throw notTensorFlow(
        source.kind === 'file' ? source.path : `what pip fetched for '${source.requirement}'`,
      )
    await rm(into, { recursive: true, force: true })
    await rename(fresh, into)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  return (await findLibrary(into))!
}
