/**
 * Where a plugin lies, and what must be loaded before it.
 *
 * A maker's wheel puts the plugin into `jax_plugins/<name>` of a Python folder, NVIDIA's libraries lie in `nvidia/…` of the
 * same folder. They are loaded by path, each with its symbols for those after it, so that no variable of the environment
 * needs to name them.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
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

/** NVIDIA's libraries of a Python folder, and the names of those that it lacks. */
export const librariesIn = (
  site: string,
): { readonly found: readonly string[]; readonly missing: readonly string[] } => {
  const folders = entries(join(site, 'nvidia')).map((part) => join(site, 'nvidia', part, 'lib'))
  const found: string[] = []
  const missing: string[] = []
  for (const name of cudaLibraries) {
    const wanted = new RegExp(`^lib${name}\\.so\\.\\d+$`)
    const file = folders
      .flatMap((f) =>
        entries(f)
          .filter((e) => wanted.test(e))
          .map((e) => join(f, e)),
      )
      .at(0)
    if (file === undefined) missing.push(`lib${name}.so`)
    else found.push(file)
  }
  return { found, missing }
}

/** The folder with `bin/ptxas` and `nvvm/libdevice`, of a Python folder. */
export const cudaDataIn = (site: string): string | undefined =>
  entries(join(site, 'nvidia'))
    .map((part) => join(site, 'nvidia', part))
    .find(
      (folder) => existsSync(join(folder, 'nvvm', 'libdevice')) && existsSync(join(folder, 'bin', 'ptxas')),
    )

/** Describes a plugin's file: what it needs is looked for around it. */
export const describePlugin = (path: string, from: string): FoundPlugin => {
  const site = dirname(dirname(dirname(path)))
  const cuda = /cuda/.test(path)
  const data = cuda ? cudaDataIn(site) : undefined
  return {
    path,
    bytes: statSync(path).size,
    from,
    libraries: cuda ? librariesIn(site).found : [],
    options: /cuda|rocm/.test(path)
      ? {
          platform_name: cuda ? 'cuda' : 'rocm',
          allocator: 'bfc',
          preallocate: false,
          memory_fraction: { float: 0.9 },
        }
      : {},
    flags: data === undefined ? {} : { xla_gpu_cuda_data_dir: data },
  }
}

/** The plugin in a Python folder (`site-packages`, or what pip's `--target` filled). */
export const pluginIn = (site: string): string | undefined =>
  entries(join(site, 'jax_plugins'))
    .flatMap((name) => {
      const folder = join(site, 'jax_plugins', name)
      return entries(folder)
        .filter((file) => pluginFile.test(file))
        .map((file) => join(folder, file))
    })
    .at(0)

/** The folders in which a Python keeps its packages. */
export const siteFolders = (python: string): readonly string[] => {
  const asked = spawnSync(
    python,
    [
      '-c',
      'import site, sys, sysconfig; print("\\n".join([sysconfig.get_path("purelib"), *site.getsitepackages(), *sys.path]))',
    ],
    { encoding: 'utf8', timeout: 20_000 },
  )
  if (asked.status !== 0) return []
  return [...new Set(asked.stdout.split('\n').filter((f) => f !== '' && existsSync(f)))]
}

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
  const python = env.PYTHON || 'python3'
  const sites = siteFolders(python)
  for (const site of sites) {
    const path = pluginIn(site)
    if (path !== undefined) return right(describePlugin(path, `in ${site}`))
  }
  tried.push(
    sites.length === 0
      ? `'${python}' is not here, or does not say where its packages are`
      : `'${python}' has no jax_plugins/…/xla_cuda_plugin.so`,
  )
  return left(tried)
}
