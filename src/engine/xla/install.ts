/**
 * Puts a plugin where the xla engine finds it: one that is named, one that a Python has, one in a folder of wheels, or what
 * pip fetches for the device of this machine. Nothing of it touches the user's project.
 *
 * @since 0.2.0
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as t from 'io-ts'
import { Observable } from 'rxjs'
import { type CommandOptions, runCommand } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'
import { fetchByPip, sourceOf, unpack } from '../install/source.ts'
import { librariesIn, pluginIn, siteFolders } from './find.ts'
import { type XlaHome, xlaHome } from './home.ts'

/** What to install; one of the three, or nothing for what fits this machine's device. */
export interface InstallXlaOptions {
  /** A plugin's file, which stays where it is. */
  readonly plugin?: string
  /** A Python that has a plugin; it is used where it is. */
  readonly python?: string
  /** A folder with `jax_plugins` in it, a folder of wheels, a wheel, or a pip requirement. */
  readonly from?: string
  /** The side folder; default {@link xlaHome}. */
  readonly home?: XlaHome
}

/** What an installation says while it goes on. */
export type InstallXlaEvent =
  | { readonly type: 'step'; readonly step: 'plugin' | 'check'; readonly message: string }
  /** A line that pip wrote. */
  | { readonly type: 'line'; readonly line: string }
  | { readonly type: 'installed'; readonly installed: InstalledXla }

const InstalledCodec = t.type({
  /** The plugin's file. */
  plugin: t.string,
  /** What was installed from: a path or a requirement. */
  from: t.string,
  platform: t.string,
  devices: t.array(t.string),
})
/** What an installation left behind, as `installed.json` records it. */
export type InstalledXla = t.TypeOf<typeof InstalledCodec>

/** The driver's version, as NVIDIA's kernel module gives it. */
const nvidiaDriver = (): number | undefined => {
  try {
    const found = /Kernel Module(?: for \S+)?\s+(\d+)\./.exec(
      readFileSync('/proc/driver/nvidia/version', 'utf8'),
    )
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

/**
 * What pip is asked for, by the device: CUDA 13 needs a driver of at least 580.
 *
 * @throws InstallError `NoDevice`
 */
export const requirementFor = (
  driver: number | undefined = nvidiaDriver(),
  amd = existsSync('/dev/kfd'),
): string => {
  if (driver !== undefined)
    return driver >= 580 ? 'jax-cuda13-plugin[with-cuda]' : 'jax-cuda12-plugin[with-cuda]'
  if (amd) return 'jax-rocm7-pjrt'
  throw new InstallError(
    'NoDevice',
    'no NVIDIA driver (/proc/driver/nvidia/version) and no AMD GPU (/dev/kfd) is here, so that no plugin fits by itself; name one with --from (a pip requirement, a wheel, a folder of wheels) or --plugin (its file)',
  )
}

/** What `--from` may be, for a message. */
const noPlugin = (where: string): InstallError =>
  new InstallError(
    'NoPlugin',
    `no plugin in ${where}: looked for jax_plugins/<name>/xla_cuda_plugin.so and the like, which the wheels jax-cuda13-pjrt, jax-cuda12-pjrt and jax-rocm7-pjrt have`,
  )

/** Fills the library's folder anew, and gives the plugin in it. */
const filled = async (
  home: XlaHome,
  what: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> => {
  // what is there stays until its successor is whole
  const fresh = `${home.library}.new`
  await rm(fresh, { recursive: true, force: true })
  try {
    await mkdir(fresh, { recursive: true }).catch((e: unknown) => {
      throw new InstallError(
        'NotWritable',
        `cannot create ${fresh} (${String(e)}); set SAILWRIGHT_HOME to a folder of yours`,
      )
    })
    await fill(fresh)
    if (pluginIn(fresh) === undefined) throw noPlugin(what)
    await rm(home.library, { recursive: true, force: true })
    await rename(fresh, home.library)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  return pluginIn(home.library)!
}

/** The plugin's file, and what it is installed from. */
const provided = async (
  { plugin, python, from }: InstallXlaOptions,
  home: XlaHome,
  options: CommandOptions,
): Promise<readonly [plugin: string, from: string]> => {
  if ([plugin, python, from].filter((x) => x !== undefined).length > 1)
    throw new InstallError('NoSuchSource', '--plugin, --python and --from exclude each other; give one')
  if (plugin !== undefined) {
    const path = resolve(plugin)
    if (!existsSync(path)) throw new InstallError('NoSuchSource', `there is no file ${path}`)
    return [path, path]
  }
  if (python !== undefined) {
    const sites = siteFolders(python)
    const found = sites.map(pluginIn).find((p) => p !== undefined)
    if (found !== undefined) return [found, python]
    throw sites.length === 0
      ? new InstallError('NoPython', `'${python}' is not here, or does not say where its packages are`)
      : noPlugin(sites.join(', '))
  }
  const source = sourceOf(from ?? requirementFor())
  if (source.kind === 'requirement') {
    const { requirement } = source
    return [
      await filled(home, `what pip fetched for '${requirement}'`, (f) => fetchByPip(requirement, f, options)),
      requirement,
    ]
  }
  if (source.kind === 'file')
    return [await filled(home, source.path, (f) => unpack(source.path, f, options)), source.path]
  const there = pluginIn(source.path)
  if (there !== undefined) return [there, source.path]
  const wheels = readdirSync(source.path).filter((f) => f.endsWith('.whl'))
  if (wheels.length === 0) throw noPlugin(source.path)
  const path = await filled(home, source.path, async (folder) => {
    for (const wheel of wheels) await unpack(join(source.path, wheel), folder, options)
  })
  return [path, source.path]
}

const CheckCodec = t.type({ platform: t.string, devices: t.array(t.string), product: t.number })

/** Opens the plugin in a process of its own and multiplies two matrices on its device. */
const check = async (plugin: string, signal: AbortSignal): Promise<t.TypeOf<typeof CheckCodec>> => {
  const at = (name: string): string =>
    fileURLToPath(new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
  const opener = at('open-client')
  const tsx = opener.endsWith('.ts') ? ['--import', 'tsx'] : []
  const script = `import { openClient } from ${JSON.stringify(opener)}
const opened = await openClient({ plugin: ${JSON.stringify(plugin)} })()
if (opened._tag === 'Left') { console.error(opened.left.message); process.exit(1) }
const { client } = opened.right
const program = await client.compile('module { func.func public @main(%a: tensor<1x2xf32>, %b: tensor<2x1xf32>) -> tensor<1x1xf32> { %c = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<1x2xf32>, tensor<2x1xf32>) -> tensor<1x1xf32> return %c : tensor<1x1xf32> } }')
const [c] = program.execute([client.upload(Float32Array.of(1, 2), 'float32', [1, 2]), client.upload(Float32Array.of(3, 4), 'float32', [2, 1])])
console.log('check ' + JSON.stringify({ platform: client.platform, devices: client.devices.map((d) => d.kind), product: (await c.read())[0] }))`
  const ended = await runCommand(process.execPath, [...tsx, '--input-type=module', '-e', script], {
    cwd: dirname(opener),
    signal,
  })
  const line = /^check (.*)$/m.exec(ended.output)?.[1]
  const told: unknown = line === undefined ? undefined : JSON.parse(line)
  if (ended.status === 0 && CheckCodec.is(told) && told.product === 11) return told
  const site = plugin.includes('/jax_plugins/') ? plugin.slice(0, plugin.indexOf('/jax_plugins/')) : undefined
  const missing = site === undefined || !plugin.includes('cuda') ? [] : librariesIn(site).missing
  throw new InstallError(
    'CheckFailed',
    `the plugin ${plugin} does not open or does not compute${missing.length === 0 ? '' : `: beside it there is no ${missing.join(', no ')}`}; is there a device for it, and its driver?`,
    ended.output,
  )
}

const steps = async (
  options: InstallXlaOptions,
  tell: (event: InstallXlaEvent) => void,
  signal: AbortSignal,
): Promise<void> => {
  const home = options.home ?? xlaHome()
  const asked = options.plugin ?? options.python ?? options.from ?? requirementFor()
  tell({ type: 'step', step: 'plugin', message: asked })
  const [plugin, from] = await provided(options, home, {
    signal,
    onLine: (line) => tell({ type: 'line', line }),
  })
  tell({ type: 'step', step: 'check', message: `opening ${plugin}` })
  const { platform, devices } = await check(plugin, signal)
  const installed: InstalledXla = { plugin, from, platform, devices }
  await mkdir(home.root, { recursive: true })
  await writeFile(`${home.record}.tmp`, `${JSON.stringify(installed, null, 2)}\n`)
  await rename(`${home.record}.tmp`, home.record)
  tell({ type: 'installed', installed })
}

/**
 * Installs the plugin; the last event is `installed`. What pip fetches for CUDA takes about 3 GB. Unsubscribing stops it;
 * what was there before stays. Fails with an {@link InstallError}.
 *
 * @example
 * installXla({ from: 'jax-cuda13-plugin[with-cuda]' }).subscribe({ next: console.log, error: (e) => console.error(e.message) })
 */
export const installXla = (options: InstallXlaOptions = {}): Observable<InstallXlaEvent> =>
  new Observable((subscriber) => {
    const abort = new AbortController()
    steps(options, (e) => subscriber.next(e), abort.signal).then(
      () => subscriber.complete(),
      (e: unknown) => {
        if (!abort.signal.aborted) subscriber.error(e)
      },
    )
    return () => abort.abort()
  })
