/**
 * Lays down what the xla engine needs: the plugin that an accelerator's maker ships in a wheel, with the libraries it
 * calls. What is here already is used where it lies. Nothing of it touches the user's project or Python.
 *
 * @since 0.1.0
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as t from 'io-ts'
import type { Observable } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import { runCommand } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'
import { installing, writeRecord } from '../install/installing.ts'
import { fetchByPip, type PipOptions, sourceOf, unpack } from '../install/source.ts'
import { findAccelerator, withLibraries } from './accelerator.ts'
import { describePlugin, type FoundPlugin, pluginIn, pythonsOf, siteFolders } from './find.ts'
import { type XlaHome, xlaHome } from './home.ts'
import { choose } from './wheels.ts'

/** How to install: at most one of `plugin`, `python` and `from`. */
export interface InstallXlaOptions {
  /** A plugin's file, used where it lies. */
  readonly plugin?: string
  /** A Python whose packages are used where they lie. */
  readonly python?: string
  /**
   * A folder of wheels or one wheel, which are unpacked; a folder in which a plugin lies, which is used where it is; or
   * pip's requirement.
   */
  readonly from?: string
  /** The side folder; default {@link xlaHome}. */
  readonly home?: XlaHome
}

/** The parts of an installation, in order. */
export type XlaInstallStep = 'accelerator' | 'plugin' | 'check'

/** What an installation says while it goes on. */
export type InstallXlaEvent =
  | { readonly type: 'step'; readonly step: XlaInstallStep; readonly message: string }
  /** A line that pip wrote. */
  | { readonly type: 'line'; readonly step: XlaInstallStep; readonly line: string }
  | { readonly type: 'installed'; readonly installed: InstalledXla }

const Checked = t.type({
  platform: t.string,
  apiVersion: t.string,
  devices: t.array(t.string),
  sum: t.number,
})

/** What an installation left behind. */
export interface InstalledXla {
  /** The plugin's file. */
  readonly plugin: string
  /** What it was installed from. */
  readonly from: string
  /** `cuda`, `rocm`, `tpu`, `cpu`. */
  readonly platform: string
  /** Of the plugin's API, `0.115`. */
  readonly apiVersion: string
  /** The devices' names. */
  readonly devices: readonly string[]
}

type Tell = (event: InstallXlaEvent) => void

/** The folders of a folder in which a plugin may lie: itself, and those of a Python environment. */
const sitesOf = (folder: string): readonly string[] => {
  const lib = ['lib', 'lib64'].map((name) => join(folder, name)).filter((f) => existsSync(f))
  return [
    folder,
    ...lib.flatMap((f) => readdirSync(f).map((name) => join(f, name, 'site-packages'))),
    join(folder, 'Lib', 'site-packages'),
  ]
}

const pluginUnder = (sites: readonly string[]): string | undefined =>
  sites.map(pluginIn).find((path) => path !== undefined)

const lookedFor = 'jax_plugins/…/xla_cuda_plugin.so, xla_rocm_plugin.so, libtpu/libtpu.so'

/** What an unpacked wheel has to run lost its bit if Python unpacked it. */
const runnable = async (site: string): Promise<void> => {
  for (const part of await readdir(join(site, 'nvidia')).catch(() => [])) {
    const bin = join(site, 'nvidia', part, 'bin')
    for (const file of await readdir(bin).catch(() => [])) await chmod(join(bin, file), 0o755)
  }
}

/** Opens a plugin in a process of its own and adds two numbers on its device. */
const check = async (plugin: FoundPlugin, signal: AbortSignal): Promise<t.TypeOf<typeof Checked>> => {
  const ext = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const opener = fileURLToPath(new URL(`./open-client${ext}`, import.meta.url))
  const tsx = ext === '.ts' ? ['--import', 'tsx'] : []
  const script = [
    `import { openClient } from ${JSON.stringify(opener)}`,
    `const opened = await openClient({ plugin: ${JSON.stringify(plugin.path)} })()`,
    "if (opened._tag === 'Left') { console.error(opened.left.message); process.exit(1) }",
    'const { client } = opened.right',
    "const text = 'module { func.func public @main(%a: tensor<f32>) -> tensor<f32> { %b = stablehlo.add %a, %a : tensor<f32> return %b : tensor<f32> } }'",
    'const program = await client.compile(text)',
    "const [sum] = await program.execute([client.upload(Float32Array.of(21), 'float32', [])])[0].read()",
    'const { platform, apiVersion } = client',
    "console.log('check ' + JSON.stringify({ platform, apiVersion, devices: client.devices.map((d) => d.kind), sum }))",
    'process.exit(0)',
  ].join('\n')
  const ended = await runCommand(process.execPath, [...tsx, '--input-type=module', '-e', script], {
    cwd: dirname(opener),
    signal,
  })
  const line = /^check (.*)$/m.exec(ended.output)?.[1]
  const told: unknown = line === undefined ? undefined : JSON.parse(line)
  if (ended.status !== 0 || !Checked.is(told) || told.sum !== 42)
    throw new InstallError(
      'CheckFailed',
      `${plugin.path} does not open, or does not compute: is it for this machine's accelerator, and its driver here?${plugin.missing.length === 0 ? '' : ` Beside it there is no ${plugin.missing.join(', no ')}.`}`,
      ended.output,
    )
  return told
}

/** A plugin that is ready to be checked; `settle` puts it where it stays and gives its last path. */
interface Provided {
  readonly path: string
  readonly from: string
  readonly settle?: () => Promise<string>
}

/** Fills a new folder beside the old one, which stays until the new one is whole and checked. */
const filled = async (
  { library }: XlaHome,
  from: string,
  fill: (fresh: string) => Promise<void>,
): Promise<Provided> => {
  const fresh = `${library}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true }).catch((e: unknown) => {
    throw new InstallError(
      'NotWritable',
      `cannot create ${fresh} (${String(e)}); set SAILWRIGHT_HOME to a folder of yours`,
    )
  })
  await fill(fresh)
  const path = pluginIn(fresh)
  if (path === undefined)
    throw new InstallError('NoPlugin', `${from} holds no plugin: looked for ${lookedFor}`)
  const settle = async (): Promise<string> => {
    await rm(library, { recursive: true, force: true })
    await rename(fresh, library)
    return pluginIn(library)!
  }
  return { path, from, settle }
}

const inPlace = (path: string, from: string): Provided => ({ path, from })

const ofPython = (python: string): Provided => {
  const sites = siteFolders(python)
  if (sites.length === 0)
    throw new InstallError('NoPython', `'${python}' is not here, or does not say where its packages are`)
  const path = pluginUnder(sites)
  if (path === undefined)
    throw new InstallError(
      'NoPlugin',
      `'${python}' has no plugin: looked for ${lookedFor} in ${sites.join(', ')}; its pip installs one: ${python} -m pip install jax-cuda13-pjrt`,
    )
  return inPlace(path, `the packages of ${python}`)
}

const ofPip = (requirements: readonly string[], home: XlaHome, options: PipOptions): Promise<Provided> =>
  filled(home, requirements[0]!, (fresh) =>
    // these wheels hold libraries alone, for any Python
    fetchByPip(requirements, fresh, {
      ...options,
      flags: ['--only-binary', ':all:', '--ignore-requires-python'],
    }),
  )

const ofPath = async (path: string, home: XlaHome, signal: AbortSignal): Promise<Provided> => {
  if (!statSync(path).isDirectory()) {
    if (!path.endsWith('.whl')) return inPlace(path, path)
    return filled(home, path, async (fresh) => {
      await unpack(path, fresh, { signal })
      await runnable(fresh)
    })
  }
  const lies = pluginUnder(sitesOf(path))
  if (lies !== undefined) return inPlace(lies, path)
  const names = (await readdir(path)).filter((name) => name.endsWith('.whl'))
  if (names.length === 0)
    throw new InstallError('NoPlugin', `${path} holds neither wheels nor a plugin (${lookedFor})`)
  const wheels = await choose(names, async () => (await findAccelerator())?.wheels[0])
  return filled(home, path, async (fresh) => {
    for (const wheel of wheels) await unpack(join(path, wheel), fresh, { signal })
    await runnable(fresh)
  })
}

/** What is here in a Python that is in use, whole. */
const lying = (): Provided | undefined => {
  for (const python of pythonsOf(process.env)) {
    const path = pluginUnder(siteFolders(python))
    if (path !== undefined && describePlugin(path, '').missing.length === 0)
      return inPlace(path, `the packages of ${python}`)
  }
  return undefined
}

const provide = async (
  { plugin, python, from }: InstallXlaOptions,
  home: XlaHome,
  tell: Tell,
  signal: AbortSignal,
): Promise<Provided> => {
  const step = (name: XlaInstallStep, message: string): void => tell({ type: 'step', step: name, message })
  const pip = (requirements: readonly string[]): Promise<Provided> => {
    step('plugin', `pip fetches ${requirements.join(', ')}`)
    return ofPip(requirements, home, {
      signal,
      onLine: (line) => tell({ type: 'line', step: 'plugin', line }),
    })
  }
  if ([plugin, python, from].filter((x) => x !== undefined).length > 1)
    throw new InstallError('NoSuchSource', '--plugin, --python and --from exclude each other; give one')
  if (plugin !== undefined) {
    const path = resolve(plugin)
    if (!existsSync(path)) throw new InstallError('NoSuchSource', `there is no file ${path}`)
    return inPlace(path, path)
  }
  if (from !== undefined) {
    const source = sourceOf(from)
    return source.kind === 'requirement'
      ? pip(withLibraries(source.requirement))
      : ofPath(source.path, home, signal)
  }
  if (python !== undefined) return ofPython(python)
  const here = lying()
  if (here !== undefined) return here
  const accelerator = await findAccelerator()
  if (accelerator === undefined)
    throw new InstallError(
      'NoDevice',
      "no driver of a GPU or TPU is here (looked for NVIDIA's by nvidia-smi and /proc/driver/nvidia, AMD's /dev/kfd, a TPU on the PCI bus): the xla engine is for those; name a plugin with --plugin <file>, or its wheels with --from",
    )
  step('accelerator', accelerator.name)
  return pip(accelerator.wheels)
}

const steps = async (options: InstallXlaOptions, tell: Tell, signal: AbortSignal): Promise<void> => {
  const step = (name: XlaInstallStep, message: string): void => tell({ type: 'step', step: name, message })
  const home = options.home ?? xlaHome()
  try {
    const provided = await provide(options, home, tell, signal)
    const plugin = describePlugin(provided.path, provided.from)
    step('plugin', `${plugin.path}${provided.settle === undefined ? ', used where it is' : ''}`)
    if (plugin.missing.length > 0) step('plugin', `beside it there is no ${plugin.missing.join(', no ')}`)
    step('check', 'opening it')
    const { platform, apiVersion, devices } = await check(plugin, signal)
    const path = (await provided.settle?.()) ?? provided.path
    const record: InstalledXla = { plugin: path, from: provided.from, platform, apiVersion, devices }
    await writeRecord(home.record, record)
    tell({ type: 'installed', installed: record })
  } finally {
    await rm(`${home.library}.new`, { recursive: true, force: true })
  }
}

/**
 * Installs the engine; the last event is `installed`. Without options: a plugin that a Python in use has, else what the
 * driver that is here wants, by pip (for an NVIDIA GPU some 2 GB). Unsubscribing stops it; what was installed before stays
 * until its successor computes. Fails with an {@link InstallError}.
 *
 * @example
 * installXla({ from: './wheels' }).subscribe({ next: console.log, error: (e) => console.error(e.message) })
 */
export const installXla = (options: InstallXlaOptions = {}): Observable<InstallXlaEvent> => {
  onlySettings('installXla', options, ['plugin', 'python', 'from', 'home'])
  return installing((tell, signal) => steps(options, tell, signal))
}
