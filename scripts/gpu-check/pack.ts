/**
 * Packs what a bare machine with a GPU lacks into a folder that git ignores: Node, the build, the packages that are needed.
 *
 *     npm run gpu-check [-- --out .gpu] [--onnx] [--level 6]
 *
 * There, beside the repository's tracked files, one command unpacks it and checks and measures: `bash .gpu/run`. What has
 * not changed since it was packed is not packed again. `--onnx` packs ONNX Runtime too, into a folder beside
 * it: together they may be more than is let through at a time.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: '.gpu' },
    level: { type: 'string', default: '6' },
    onnx: { type: 'boolean' },
  },
})
const out = join(root, values.out)

/** Development packages that run the tests and TypeScript there. */
const tools = ['tsx', 'uvu', 'fast-check', 'typescript']
/** Needed for building alone. */
const unneeded = new Set(['typescript'])

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Every package that is needed there, by the lock: those that a package depends on, theirs, and so on. */
const packages = (): readonly string[] => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  const found = new Set<string>()
  const visit = (from: string, name: string): void => {
    // the nearest one, from the inside out
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`
      const one = lock.packages[path]
      if (one !== undefined) {
        if (found.has(path) || unneeded.has(name) || !existsSync(join(root, path))) return
        found.add(path)
        for (const next of Object.keys({ ...one.dependencies, ...one.optionalDependencies }))
          visit(path, next)
        return
      }
      if (at === '') return
    }
  }
  for (const name of [
    ...Object.keys({ ...lock.packages['']!.dependencies, ...lock.packages['']!.optionalDependencies }),
    ...tools,
  ])
    visit('', name)
  return [...found]
}

/** Files by what is in them and not by when. */
const stamp = (paths: readonly string[]): string => {
  const hash = createHash('sha256')
  const add = (path: string): void => {
    const s = statSync(join(root, path))
    if (!s.isDirectory()) hash.update(`${path} ${s.size} ${Math.round(s.mtimeMs)}\n`)
    else for (const name of readdirSync(join(root, path)).sort()) add(join(path, name))
  }
  for (const path of paths) add(path)
  return hash.digest('hex')
}

const run = (command: string): void => {
  const ended = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (ended.status !== 0) throw new Error(`${command.slice(0, 200)}: it ended with ${ended.status}`)
}

/** Machine code is smaller behind the filter for it. */
const compress = (paths: string, file: string): void =>
  run(
    `tar -cf - --owner=0 --group=0 ${paths} | xz -T0 --x86 --lzma2=preset=${values.level} > ${file}.new && mv ${file}.new ${file}`,
  )

/** An archive of paths below the repository's folder, unless it is there already. */
const archive = (name: string, paths: readonly string[], folder = out): void => {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.tar.xz`)
  const mark = join(folder, `.${name}`)
  const now = stamp(paths)
  if (existsSync(file) && existsSync(mark) && readFileSync(mark, 'utf8') === now) return
  const list = join(folder, `.${name}.list`)
  writeFileSync(list, paths.join('\n'))
  compress(`${unread.map((p) => `--exclude='${p}'`).join(' ')} -T ${list}`, file)
  writeFileSync(mark, now)
}

const runtimeFiles = (): readonly string[] =>
  readdirSync(join(root, 'vendor/onnxruntime-node'))
    .filter((name) => name !== 'bin')
    .map((name) => join('vendor/onnxruntime-node', name))

/** What no program reads: types, sources' maps, letters that nothing draws. */
const unread = [
  ...['*.d.ts', '*.d.cts', '*.d.mts', '*.map', '*.md', 'sbom.cdx.json', 'node_modules/rxjs/src'],
  ...[
    'node_modules/rxjs/dist/bundles',
    'node_modules/fp-ts/es6',
    '*.woff',
    '*-italic.woff2',
    '*-ext-*.woff2',
  ],
  ...['*-cyrillic-*', '*-greek-*', '*-vietnamese-*', '*-hebrew-*', '*-math-*', '*-symbols-*', '.tsbuildinfo'],
]

/** Whether a package is machine code. */
const isNative = (path: string): boolean => /@(img|napi-rs|esbuild|koromix)\/.*linux/.test(path)

mkdirSync(join(out, 'bin'), { recursive: true })
const node = join(out, 'node.tar.xz')
if (!existsSync(node)) {
  cpSync(process.execPath, join(out, 'bin', 'node'), { dereference: true })
  // without its symbols
  spawnSync('strip', [join(out, 'bin', 'node')])
  compress(`-C ${out} bin`, node)
}
rmSync(join(out, 'bin'), { recursive: true })
const all = packages().filter((p) => p.lastIndexOf('node_modules/') === 0)
for (const native of ['@koromix/koffi-linux-x64', '@napi-rs/canvas-linux-x64-gnu', '@img/sharp-linux-x64'])
  if (!all.includes(`node_modules/${native}`))
    throw new Error(`${native} is not installed here, and without it nothing runs there; run npm ci first`)
archive('natives', all.filter(isNative))
archive(
  'packages',
  all.filter((p) => !isNative(p)),
)
archive('build', ['dist'])
if (values.onnx)
  archive('runtime', ['vendor/onnxruntime-node/bin/napi-v6/linux/x64', ...runtimeFiles()], `${out}-onnx`)
cpSync(join(root, 'scripts', 'gpu-check', 'run.sh'), join(out, 'run'))

const bytes = readdirSync(out, { recursive: true, encoding: 'utf8' })
  .map((f) => statSync(join(out, f)))
  .reduce((n, s) => n + (s.isFile() ? s.size : 0), 0)
const tracked = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 })
  .stdout.split('\0')
  .filter((f) => f !== '' && existsSync(join(root, f)))
  .reduce((n, f) => n + statSync(join(root, f)).size, 0)
const mebibytes = (n: number): string => `${(n / 2 ** 20).toFixed(1)} MiB`
process.stdout.write(
  `${values.out}: ${mebibytes(bytes)}; tracked files: ${mebibytes(tracked)}; together ${mebibytes(bytes + tracked)}\nthere, in the repository's folder: bash ${values.out}/run\n`,
)
