/**
 * The package as a user gets it: packed, installed into an empty folder from the registry alone, and used there on a file of
 * the user's own. Skipped, with the reason on stderr, where the registry cannot be reached or the package manager is not here.
 */
import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('package')
const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sailwright-package-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a program as a user would: nothing that the npm around this test was told reaches it. */
const run = (file: string, words: readonly string[], cwd: string, seconds = 600): Promise<Ended> =>
  new Promise((done) => {
    const told = /^(npm_(?!config_(cache|registry)$)|NODE_OPTIONS|ONNXRUNTIME_|SAILWRIGHT_)/i
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !told.test(key)))
    const cache = join(folder, 'cache')
    const options = { cwd, timeout: seconds * 1000, env: { ...env, NO_COLOR: '1', XDG_CACHE_HOME: cache } }
    execFile(file, words, options, (e, out, err) =>
      done({ code: e === null ? 0 : typeof e.code === 'number' ? e.code : -1, out, err }),
    )
  })

/** What a user writes: TypeScript that trains nothing, but computes with the engine that it is given. */
const experiment = `import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { defer } from 'rxjs'
import { axis, fixed, input, mul, program } from 'sailwright/dsl'
import { tensorValue, type Engine } from 'sailwright/engine'
import { nanoModel } from 'sailwright/tasks'
import type { ExperimentFile } from 'sailwright/train'

const double = program({
  name: 'doubling',
  functions: { double: fixed(() => ({ outputs: { y: mul(input('x', [axis('row', 2)]), 2) } })) },
})
const doubled = (engine: Engine) =>
  pipe(
    engine.load(double),
    TE.chain((session) => session.call('double', { x: tensorValue('float32', [2], [1, 2]) })),
    TE.getOrElse((e): never => {
      throw new Error(e.message)
    }),
  )
const file: ExperimentFile = ({ seed }) => ({
  name: 'mine',
  seed,
  model: nanoModel,
  families: [],
  recipe: {},
  run: ({ engine }) =>
    defer(async () => {
      console.log('doubled', [...(await doubled(engine)()).y!.data].join())
      return { type: 'run-finished' as const, seconds: 0 }
    }),
})
export default file
`

let reached: Promise<Ended> | undefined
/** Why a package manager cannot be tried here, if it cannot. */
const hindrance = async (manager: string): Promise<string | undefined> => {
  const { code } = await run(manager, ['--version'], folder, 60)
  if (code !== 0) return `${manager} is not here`
  reached ??= run('npm', ['view', 'fp-ts', 'version', '--fetch-retries=0'], folder, 60)
  return (await reached).code === 0 ? undefined : 'the npm registry cannot be reached'
}

/** Packs a copy: packing changes package.json meanwhile, which other tests read. */
const pack = async (): Promise<string> => {
  const copy = join(folder, 'copy')
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] }
  const needed = ['package.json', 'LICENSE', 'tsconfig.json', 'tsconfig.build.json', 'scripts']
  for (const part of [...files.filter((f) => !f.startsWith('!')), ...needed])
    cpSync(join(root, part), join(copy, part), { recursive: true, preserveTimestamps: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const { code, err } = await run('npm', ['pack', '--pack-destination', folder], copy)
  assert.is(code, 0, err)
  return join(folder, readdirSync(folder).find((f) => f.endsWith('.tgz'))!)
}

let packed: Promise<string> | undefined
/** The tarball, made once. */
const tarball = (): Promise<string> => {
  packed ??= pack()
  return packed
}

const managers = [
  {
    name: 'npm',
    install: (file: string) => ['install', '--prefer-offline', '--no-audit', '--no-fund', file],
  },
  { name: 'pnpm', install: (file: string) => ['add', '--prefer-offline', file] },
] as const

for (const { name, install } of managers) {
  const why = await hindrance(name)
  if (why !== undefined) {
    process.stderr.write(`the package is not tried with ${name}: ${why}\n`)
    test.skip(`installs with ${name}: ${why}`)
    continue
  }
  test(`installs with ${name} into an empty folder, and runs a user's file there on the engine it brought`, async () => {
    const file = await tarball()
    const project = join(folder, name)
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
    const installed = await run(name, install(file), project)
    assert.is(installed.code, 0, installed.out + installed.err)
    assert.not.match(
      installed.out + installed.err,
      /install scripts|build scripts|EBADENGINE|Unsupported engine/,
    )

    const own = join(project, 'node_modules', 'sailwright')
    const manifest = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
    assert.equal([manifest.scripts, manifest.devDependencies], [undefined, undefined])
    assert.not.ok(existsSync(join(own, 'dist', '.tsbuildinfo')))
    const lock = join(project, 'node_modules', '.package-lock.json')
    if (name === 'npm') {
      const { packages } = JSON.parse(readFileSync(lock, 'utf8')) as {
        readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>
      }
      const scripted = Object.entries(packages).filter(([, p]) => p.hasInstallScript)
      assert.equal(scripted, [], 'a package that runs a script when it is installed')
    }

    writeFileSync(join(project, 'my.ts'), experiment)
    const command = join(project, 'node_modules', '.bin', 'sailwright')
    const ran = await run(command, ['run', 'my.ts', '--engine', 'onnx', '--out', 'out'], project)
    assert.is(ran.code, 0, ran.err)
    assert.match(ran.out, 'doubled 2,4')
    assert.match(ran.out, join('out', 'report.html'))
    assert.ok(existsSync(join(project, 'out', 'report.html')))
  })
}

test('no dependency runs a script when it is installed', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<
      Record<string, { readonly hasInstallScript?: boolean; readonly dev?: boolean }>
    >
  }
  const scripted = Object.entries(packages).filter(([, p]) => p.hasInstallScript && p.dev !== true)
  assert.equal(scripted, [])
})

test.run()
