/**
 * Where a plugin lies, and what must be loaded before it.
 *
 * A maker's wheel puts the plugin into `jax_plugins/<name>` of a Python folder, NVIDIA's libraries lie in `nvidia/…` of the
 * same folder. They are loaded by path, each with its symbols for those after it, so that no variable of the environment
 * needs to name them.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { xlaHome } from './home.ts'
import type { Flag } from './pjrt/compile-options.ts'
import type { NamedValue } from './pjrt/named-values.ts'

/** A plugin that was found. */
export interface FoundPlugin {
  /** The shared library. */
  readonly path: string
  /** Its bytes; with its version they identify it. */
  readonly bytes: number
  /** How it was found, `in the Python folder …`. */
  readonly from: string
  /** Libraries to load before it, in this order. */
  readonly libraries: readonly string[]
  /** Libraries that should lie beside it and do not, `libcudnn.so`; a system may have them elsewhere. */
  readonly missing: readonly string[]
  /** What making its client is told. */
  readonly options: Readonly<Record<string, NamedValue>>
  /** Flags of XLA for every program. */
  readonly flags: Readonly<Record<string, Flag>>
}

/** What a wheel's plugin is called. */
const pluginFile =
  /^(xla_cuda_plugin|xla_rocm_plugin|pjrt_c_api_gpu_plugin|libtpu|pjrt_plugin_metal.*)\.(so|dylib)$/

/** NVIDIA's libraries in the order in which they need each other; the version stands behind `.so.`. */
const cudaLibraries = [
  'cudart',
  'nvrtc',
  'nvJitLink',
  'cublasLt',
  'cublas',
  'nccl',
  'cupti',
  'cusparse',
  'cusolver',
  'cufft',
  'nvshmem_host',
  'cudnn',
] as const

const entries = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/** NVIDIA's folders of a Python folder for one version of CUDA: that version's own first, those of others left out. */
const nvidiaFolders = (site: string, cuda: string): readonly string[] => {
  const parts = entries(join(site, 'nvidia'))
  return [...parts.filter((p) => p === `cu${cuda}`), ...parts.filter((p) => !/^cu\d+$/.test(p))].map((part) =>
    join(site, 'nvidia', part),
  )
}

/** NVIDIA's libraries of a Python folder for one version of CUDA, and the names of those that it lacks. */
const librariesIn = (
  site: string,
  cuda: string,
): { readonly found: readonly string[]; readonly missing: readonly string[] } => {
  const files = nvidiaFolders(site, cuda).flatMap((folder) =>
    entries(join(folder, 'lib')).map((name) => ({ name, path: join(folder, 'lib', name) })),
  )
  const each = cudaLibraries.map((name) => {
    const wanted = new RegExp(`^lib${name}\\.so\\.\\d+$`)
    return { name: `lib${name}.so`, path: files.find((f) => wanted.test(f.name))?.path }
  })
  return {
    found: each.flatMap(({ path }) => (path === undefined ? [] : [path])),
    missing: each.flatMap(({ name, path }) => (path === undefined ? [name] : [])),
  }
}

/** The folder with `bin/ptxas` and `nvvm/libdevice`, of a Python folder. */
const cudaDataIn = (site: string, cuda: string): string | undefined =>
  nvidiaFolders(site, cuda).find(
    (folder) => existsSync(join(folder, 'nvvm', 'libdevice')) && existsSync(join(folder, 'bin', 'ptxas')),
  )

/** Describes a plugin's file: what it needs is looked for around it. */
export const describePlugin = (path: string, from: string): FoundPlugin => {
  const cuda = /\/jax_plugins\/xla_cuda(\d+)\/[^/]+$/.exec(path)
  const site = cuda === null ? undefined : path.slice(0, cuda.index)
  const libraries = site === undefined ? { found: [], missing: [] } : librariesIn(site, cuda![1]!)
  const data = site === undefined ? undefined : cudaDataIn(site, cuda![1]!)
  const platform = /cuda|rocm/.exec(basename(path))?.[0]
  return {
    path,
    bytes: statSync(path).size,
    from,
    libraries: libraries.found,
    missing: libraries.missing,
    options:
      platform === undefined
        ? {}
        : {
            platform_name: platform,
            allocator: 'bfc',
            preallocate: false,
            memory_fraction: { float: 0.9 },
          },
    flags: data === undefined ? {} : { xla_gpu_cuda_data_dir: data },
  }
}

/** The plugin in a Python folder (`site-packages`, or what pip's `--target` filled). */
export const pluginIn = (site: string): string | undefined =>
  [...entries(join(site, 'jax_plugins')).map((name) => join(site, 'jax_plugins', name)), join(site, 'libtpu')]
    .flatMap((folder) =>
      entries(folder)
        .filter((file) => pluginFile.test(file))
        .map((file) => join(folder, file)),
    )
    .at(0)

/** What Pythons said; starting one takes a tenth of a second. */
const told = new Map<string, readonly string[]>()

/** The folders in which a Python keeps its packages; it is asked once a process. */
export const siteFolders = (python: string): readonly string[] => {
  const had = told.get(python)
  if (had !== undefined) return had
  const asked = spawnSync(
    python,
    [
      '-c',
      'import site, sys, sysconfig; print("\\n".join([sysconfig.get_path("purelib"), *site.getsitepackages(), *sys.path]))',
    ],
    { encoding: 'utf8', timeout: 20_000 },
  )
  // one that is not here may come
  if (asked.status !== 0) return []
  const folders = [...new Set(asked.stdout.split('\n').filter((f) => f !== '' && existsSync(f)))]
  told.set(python, folders)
  return folders
}

/** The Python that is in use: the one that is named, that of an active environment, else the system's. */
export const pythonsOf = (env: Readonly<Record<string, string | undefined>>): readonly string[] =>
  env.PYTHON
    ? [env.PYTHON]
    : [...(env.VIRTUAL_ENV ? [join(env.VIRTUAL_ENV, 'bin', 'python3')] : []), 'python3']

/** What `engine install xla` wrote. */
export const InstalledPlugin = t.type({ plugin: t.string, from: t.string })

/**
 * The plugin that is named, else the one that was installed, else one in the Python that is in use. What was tried stands
 * on the left.
 */
export const findPlugin = (
  named?: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Either<readonly string[], FoundPlugin> => {
  const given = named ?? (env.SAILWRIGHT_XLA_PLUGIN || undefined)
  if (given !== undefined)
    return existsSync(given) ? right(describePlugin(given, 'named')) : left([`there is no file ${given}`])
  const tried: string[] = []
  const { record } = xlaHome(env)
  if (existsSync(record)) {
    try {
      const decoded = InstalledPlugin.decode(JSON.parse(readFileSync(record, 'utf8')))
      if (decoded._tag === 'Right' && existsSync(decoded.right.plugin))
        return right(describePlugin(decoded.right.plugin, 'installed'))
      tried.push(
        decoded._tag === 'Right'
          ? `${decoded.right.plugin}, which was installed, is gone`
          : `${record} does not name a plugin`,
      )
    } catch {
      tried.push(`${record} is damaged`)
    }
  } else tried.push(`nothing was installed (${record})`)
  for (const python of pythonsOf(env)) {
    const sites = siteFolders(python)
    for (const site of sites) {
      const path = pluginIn(site)
      if (path !== undefined) return right(describePlugin(path, `in ${site}`))
    }
    tried.push(
      sites.length === 0
        ? `'${python}' is not here, or does not say where its packages are`
        : `'${python}' has no plugin (jax_plugins/…/xla_cuda_plugin.so, libtpu/libtpu.so)`,
    )
  }
  return left(tried)
}
