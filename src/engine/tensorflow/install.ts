/**
 * Builds the TensorFlow engine in a side folder: the npm package's own binding, compiled against a TensorFlow that is
 * here or that pip fetches. Nothing of it touches the user's project.
 *
 * @since 0.1.0
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as t from 'io-ts'
import type { Observable } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import { type Ended, runCommand } from '../install/command.ts'
import { InstallError } from '../install/install-error.ts'
import { installing, writeRecord } from '../install/installing.ts'
import { sourceOf } from '../install/source.ts'
import { compileBinding, nodeHeaders } from './binding.ts'
import { type EngineHome, engineHome, tfjsVersion } from './home.ts'
import { type Installed, installed } from './installed.ts'
import { findLibrary, provideLibrary } from './library.ts'

/** How to install. */
export interface InstallOptions {
  /** A folder, a wheel or libtensorflow archive, or a pip requirement; default `tensorflow-cpu`. */
  readonly from?: string
  /** The side folder; default {@link engineHome}. */
  readonly home?: EngineHome
  /** The C++ compiler; default `$CXX`, else `g++`, else `clang++`. */
  readonly compiler?: string
}

/** The parts of an installation, in order. */
export type InstallStep = 'compiler' | 'package' | 'library' | 'binding' | 'check'

/** What an installation says while it goes on. */
export type InstallEvent =
  | { readonly type: 'step'; readonly step: InstallStep; readonly message: string }
  /** A line that npm, pip or the compiler wrote. */
  | { readonly type: 'line'; readonly step: InstallStep; readonly line: string }
  | { readonly type: 'installed'; readonly installed: Installed }

type Tell = (event: InstallEvent) => void

const findCompiler = async (wanted: string | undefined, signal: AbortSignal): Promise<string> => {
  const candidates =
    wanted !== undefined ? [wanted] : [process.env.CXX ?? '', 'g++', 'clang++'].filter((c) => c !== '')
  for (const c of candidates) if ((await runCommand(c, ['--version'], { signal })).status === 0) return c
  throw new InstallError(
    'NoCompiler',
    `no C++ compiler (tried ${candidates.join(', ')}): install one (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++), or name it in CXX`,
  )
}

const npmFailed = (ended: Ended): InstallError =>
  ended.status === 127
    ? new InstallError('NoNpm', 'npm is not on the PATH; it comes with Node.js', ended.output)
    : new InstallError(
        'NotFetched',
        `npm could not fetch @tensorflow/tfjs-node@${tfjsVersion}: check the network and the registry (npm config get registry)`,
        ended.output,
      )

const providePackage = async (home: EngineHome, tell: Tell, signal: AbortSignal): Promise<void> => {
  const have = (): boolean => {
    try {
      const found: unknown = JSON.parse(readFileSync(join(home.tfjs, 'package.json'), 'utf8')).version
      return found === tfjsVersion && nodeHeaders(home) !== undefined
    } catch {
      return false
    }
  }
  if (have()) return
  const dependencies = { '@tensorflow/tfjs-node': tfjsVersion, 'node-api-headers': '^1.5.0' }
  await writeFile(
    join(home.root, 'package.json'),
    `${JSON.stringify({ name: 'sailwright-tensorflow', private: true, dependencies }, null, 2)}\n`,
  )
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const ended = await runCommand('npm', args, {
    cwd: home.root,
    signal,
    onLine: (line) => tell({ type: 'line', step: 'package', line }),
  })
  if (ended.status !== 0 || !have()) throw npmFailed(ended)
}

const CheckCodec = t.type({ tensorflow: t.string, gpu: t.boolean, product: t.number })

/** Loads the binding in a process of its own and multiplies two matrices with it. */
const check = async (
  home: EngineHome,
  signal: AbortSignal,
): Promise<{ tensorflow: string; gpu: boolean }> => {
  const loader = fileURLToPath(
    new URL(`./load${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
  )
  const tsx = loader.endsWith('.ts') ? ['--import', 'tsx'] : []
  const script = [
    `import { loadTensorflow } from ${JSON.stringify(loader)}`,
    'const found = loadTensorflow()',
    "if (found._tag === 'Left') { console.error(found.left.message); process.exit(1) }",
    'const { tf, tensorflow, gpu } = found.right',
    'const product = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync()[0]',
    "console.log('check ' + JSON.stringify({ tensorflow, gpu, product }))",
  ].join('\n')
  const ended = await runCommand(process.execPath, [...tsx, '--input-type=module', '-e', script], {
    cwd: dirname(loader),
    env: { ...process.env, SAILWRIGHT_HOME: dirname(home.root) },
    signal,
  })
  const line = /^check (.*)$/m.exec(ended.output)?.[1]
  const told: unknown = line === undefined ? undefined : JSON.parse(line)
  if (ended.status !== 0 || !CheckCodec.is(told) || told.product !== 11)
    throw new InstallError(
      'CheckFailed',
      'the binding was compiled, but it does not load or does not compute: is this TensorFlow for this processor, and are its own libraries (CUDA) here?',
      ended.output,
    )
  return told
}

const steps = async (options: InstallOptions, tell: Tell, signal: AbortSignal): Promise<void> => {
  const step = (name: InstallStep, message: string): void => tell({ type: 'step', step: name, message })
  const home = options.home ?? engineHome()
  const from = options.from ?? 'tensorflow-cpu'
  if (process.platform !== 'linux')
    throw new InstallError(
      'UnsupportedPlatform',
      `the engine is built on Linux only, and this is ${process.platform}: install @tensorflow/tfjs-node in your project instead, or use WSL 2`,
    )
  const source = sourceOf(from)
  // what needs no network is looked at first
  const given = source.kind === 'folder' ? await provideLibrary(source, home.library, { signal }) : undefined
  const compiler = await findCompiler(options.compiler, signal)
  step('compiler', `compiler: ${compiler}`)
  await mkdir(home.root, { recursive: true }).catch((e: unknown) => {
    throw new InstallError(
      'NotWritable',
      `cannot create ${home.root} (${String(e)}); set SAILWRIGHT_HOME to a folder of yours`,
    )
  })
  step('package', `@tensorflow/tfjs-node ${tfjsVersion} in ${home.root}`)
  await providePackage(home, tell, signal)
  const kept =
    source.kind === 'requirement' && installed(home)?.from === from
      ? await findLibrary(home.library)
      : undefined
  step(
    'library',
    kept !== undefined
      ? `TensorFlow: ${from}, fetched before`
      : source.kind === 'requirement'
        ? `TensorFlow: pip fetches ${source.requirement}`
        : `TensorFlow: ${source.kind} ${source.path}`,
  )
  const library =
    given ??
    kept ??
    (await provideLibrary(source, home.library, {
      signal,
      onLine: (line) => tell({ type: 'line', step: 'library', line }),
    }))
  step('binding', `compiling the binding against ${library.files[0]}`)
  await compileBinding(home, compiler, library, {
    signal,
    onLine: (line) => tell({ type: 'line', step: 'binding', line }),
  })
  step('check', 'loading it')
  const checked = await check(home, signal)
  const record: Installed = {
    from: source.kind === 'requirement' ? from : resolve(from),
    tfjs: tfjsVersion,
    tensorflow: checked.tensorflow,
    gpu: checked.gpu,
    library: library.files[0]!,
    binding: home.binding,
  }
  await writeRecord(home.record, record)
  tell({ type: 'installed', installed: record })
}

/**
 * Installs the engine; the last event is `installed`. Takes about half a minute and 1.6 GB with `tensorflow-cpu`.
 * Unsubscribing stops it, and what was finished stays for the next try. Fails with an {@link InstallError}.
 *
 * @example
 * installTensorflow({ from: 'tensorflow[and-cuda]' }).subscribe({ next: console.log, error: (e) => console.error(e.message) })
 */
export const installTensorflow = (options: InstallOptions = {}): Observable<InstallEvent> => {
  onlySettings('installTensorflow', options, ['from', 'home', 'compiler'])
  return installing((tell, signal) => steps(options, tell, signal))
}
