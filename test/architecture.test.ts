/** What ARCHITECTURE.md says of the house: imports only go down, and what is called pure reaches for nothing outside. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const root = fileURLToPath(new URL('../', import.meta.url))
const text = (file: string): string => readFileSync(join(root, file), 'utf8')
const slashed = (path: string): string => path.replaceAll(sep, '/')

/** What each folder of `src` may import, from the lowest up: of those above it in this list, never of one below. */
const floors: Readonly<Record<string, readonly string[]>> = {
  async: [],
  random: [],
  text: [],
  package: [],
  terminal: [],
  settings: ['terminal'],
  dsl: ['random', 'terminal', 'settings'],
  engine: ['async', 'terminal', 'settings', 'dsl'],
  formats: ['async', 'terminal', 'settings'],
  models: ['settings', 'dsl', 'formats'],
  optim: ['settings', 'dsl', 'formats'],
  data: ['random', 'text', 'terminal', 'settings', 'formats'],
  run: ['settings', 'terminal', 'dsl', 'engine', 'formats', 'models', 'optim'],
  train: ['settings', 'random', 'terminal', 'dsl', 'engine', 'formats', 'models', 'optim', 'data', 'run'],
  tasks: ['settings', 'random', 'package', 'dsl', 'formats', 'models', 'optim', 'data', 'run', 'train'],
  generation: ['settings', 'random', 'dsl', 'engine', 'models', 'data', 'run', 'train'],
  eval: ['settings', 'dsl', 'engine', 'models', 'data', 'run', 'train', 'generation'],
  rl: [
    'async',
    'settings',
    'terminal',
    'random',
    'text',
    'package',
    'dsl',
    'engine',
    'formats',
    'models',
    'optim',
    'data',
    'run',
    'train',
    'generation',
  ],
  serve: ['settings', 'random', 'dsl', 'engine', 'formats', 'models', 'data', 'train', 'generation'],
  log: ['run', 'settings', 'train'],
  report: ['terminal', 'data', 'run', 'train'],
  bench: [
    'settings',
    'terminal',
    'random',
    'package',
    'dsl',
    'engine',
    'formats',
    'models',
    'optim',
    'data',
    'run',
    'train',
    'tasks',
  ],
  cli: [
    'settings',
    'terminal',
    'package',
    'dsl',
    'engine',
    'formats',
    'models',
    'optim',
    'data',
    'run',
    'train',
    'tasks',
    'generation',
    'eval',
    'rl',
    'serve',
    'log',
    'report',
    'bench',
  ],
}

/** Modules of the pure floors that may touch files, and why. */
const withFiles: Readonly<Record<string, string>> = {
  'src/dsl/site.ts': "the path of a user's line, from a stack",
  'src/dsl/fingerprint.ts': 'a checksum',
  'src/models/config.ts': 'names config.json',
  'src/models/config-file.ts': 'reads config.json and preprocessor_config.json',
  'src/models/image-processing.ts': 'names preprocessor_config.json',
  'src/models/pretrained.ts': 'reads a published folder',
  'src/optim/lora-adapter.ts': 'reads and writes adapter_config.json',
  'src/optim/soup-files.ts': 'reads and writes checkpoints',
}

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .map((file) => slashed(join('src', file)))
  .filter((file) => file.endsWith('.ts'))
  .sort()

const folderOf = (file: string): string => file.split('/')[1]!

/** The text without the comments that begin a line. */
const code = (file: string): string => text(file).replaceAll(/^\s*\/\*.*?\*\/|^\s*\/\/[^\n]*$/gms, '')

/** The modules that a file names in imports, exports and types, as written. */
const named = (file: string): readonly string[] =>
  [...code(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"\n]+)['"]/g)].map((m) => m[1]!)

const crossing = files
  .filter((file) => file.split('/').length > 2)
  .flatMap((file) =>
    named(file)
      .filter((to) => to.startsWith('.'))
      .map((to) => ({ file, to: slashed(normalize(join(dirname(file), to))) })),
  )
  .filter(({ file, to }) => folderOf(file) !== folderOf(to))

const test = suite('architecture')

test('every folder of src has a floor, and a floor only names lower ones', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((e) => e.isDirectory())
  assert.equal(folders.map((e) => e.name).sort(), Object.keys(floors).sort())
  const names = Object.keys(floors)
  for (const [i, name] of names.entries())
    for (const below of floors[name]!) assert.ok(names.indexOf(below) < i && names.includes(below), name)
})

test('imports only go down', () => {
  assert.ok(crossing.length > 200)
  const up = crossing
    .filter(({ file, to }) => !floors[folderOf(file)]!.includes(folderOf(to)))
    .map(({ file, to }) => `${file} → ${to}`)
  // another one: move what is imported down, or say here what the folder may import
  assert.equal([...new Set(up)].sort(), [])
})

test('each entry of the package is a namespace of its root', () => {
  const { exports } = JSON.parse(text('package.json')) as {
    readonly exports: Readonly<Record<string, unknown>>
  }
  const entries = Object.keys(exports).flatMap((e) => (/^\.\/\w+$/.exec(e) === null ? [] : [e.slice(2)]))
  const namespaces = [...text('src/index.ts').matchAll(/^export \* as (\w+) from '\.\/(\w+)\/index\.ts'$/gm)]
  assert.ok(entries.length > 10)
  assert.equal(
    namespaces.map(([, name, folder]) => `${name} ${folder}`),
    entries.sort().map((e) => `${e} ${e}`),
  )
})

test('a folder is entered through its index.ts, and where it has one its internal.ts', () => {
  const doors = ({ to }: { readonly to: string }) =>
    ['index', 'internal'].map((door) => `src/${folderOf(to)}/${door}.ts`)
  const past = crossing.filter((c) => c.to.split('/').length > 2 && !doors(c).includes(c.to))
  assert.equal(
    past.map(({ file, to }) => `${file} → ${to}`),
    [],
  )
})

test('what is in an internal.ts is used by another floor, and is no export of the package', () => {
  /** The names in braces of a text's lines of one kind that lead to a module. */
  const namesIn = (file: string, lines: RegExp): readonly string[] =>
    [...code(file).matchAll(lines)].flatMap((m) =>
      m[1]!
        .split(',')
        .map((n) => n.trim().replace(/^type /, ''))
        .filter((n) => n !== ''),
    )
  const exported = /^export (?:type )?\{([^}]*)\} from/gm
  for (const door of files.filter((file) => file.endsWith('/internal.ts'))) {
    const names = namesIn(door, exported)
    assert.ok(names.length > 0, door)
    const index = new Set(namesIn(door.replace('internal', 'index'), exported))
    assert.equal(
      names.filter((n) => index.has(n)),
      [],
    )
    const users = crossing.filter(({ to }) => to === door).map(({ file }) => code(file))
    assert.equal(
      names.filter((n) => !users.some((text) => new RegExp(`\\b${n}\\b`).test(text))),
      [],
    )
  }
})

test('no module imports itself by way of others, not even for a type', () => {
  const to = new Map(
    files.map((file) => [
      file,
      named(file)
        .filter((t) => t.startsWith('.'))
        .map((t) => slashed(normalize(join(dirname(file), t)))),
    ]),
  )
  // what imports nothing that is left cannot be on a circle
  const left = new Set(files)
  for (let before = 0; before !== left.size; ) {
    before = left.size
    for (const file of left) if (!to.get(file)!.some((t) => left.has(t))) left.delete(file)
  }
  assert.equal(
    [...left].filter((file) => files.some((f) => left.has(f) && to.get(f)!.includes(file))),
    [],
  )
})

test('dsl, models and optim touch no file but where they say so, no clock and no chance', () => {
  const pure = files.filter((file) => ['random', 'dsl', 'models', 'optim'].includes(folderOf(file)))
  const impure = pure.filter((file) => named(file).some((to) => to.startsWith('node:')))
  assert.equal(
    impure.filter((file) => !(file in withFiles)),
    [],
  )
  for (const file of Object.keys(withFiles)) assert.ok(impure.includes(file), `${file} touches none`)
  for (const file of files) {
    assert.not.match(code(file), /\bMath\.random\(/, file)
    if (pure.includes(file))
      assert.not.match(code(file), /\bDate\.now\(|\bnew Date\(|\bperformance\.now\(/, file)
  }
})

test('ARCHITECTURE.md names every folder, and every file that it names is there', () => {
  const said = text('ARCHITECTURE.md')
  for (const folder of Object.keys(floors)) assert.match(said, `\`src/${folder}\``)
  const paths = [...said.matchAll(/`((?:src|scripts|test|bench|examples)\/[\w./-]+)`/g)].map((m) => m[1]!)
  for (const path of paths) assert.ok(existsSync(join(root, path)), path)
})

test.run()
