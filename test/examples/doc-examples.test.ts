/**
 * The examples in doc comments, in the README and in the pages of docs: each becomes a module, is compiled, and is run.
 *
 * Names of the folder's `index.ts`, of the file itself, and `pipe`, `E`, `TE` are imported for it; it imports any others.
 * A comment that ends the first or last line of a statement is a claim: after an expression its value, written as code;
 * after `const name = …` the type of that name, tuples in it being readonly. Comments on lines of their own, or inside a
 * statement, are prose.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandAt } from '../support/in-process.ts'

const test = suite('doc examples')
const root = fileURLToPath(new URL('../../', import.meta.url))
const text = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Files whose one example is compiled and not run, and why. */
const compiledOnly: ReadonlyMap<string, string> = new Map([
  ['src/engine/tensorflow/install.ts', 'it downloads TensorFlow'],
  ['src/engine/xla/install.ts', 'it unpacks a plugin'],
  ['src/data/rows/row.ts', "it reads a file of the user's"],
])

/** An example, the line on which its code begins, and the name of its module. */
interface Example {
  readonly file: string
  readonly line: number
  readonly code: string
  readonly module: string
}

/** What a pattern's first group matches in a file, without the margin of its lines. */
const examplesIn = (file: string, block: RegExp, margin: RegExp | string): readonly Example[] =>
  [...text(file).matchAll(block)].map((m) => {
    const line = m.input.slice(0, m.index).split('\n').length + 1
    const code = m[1]!.replaceAll(margin, '').trimEnd()
    return { file, line, code, module: `${file.replaceAll('/', '.')}-${line}.ts` }
  })

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `src/${file}`)
  .sort()
const inDocs = sources.flatMap((file) =>
  examplesIn(file, /^ *\* @example\n((?: *\*(?!\/| @).*\n)+)/gm, /^ *\* ?/gm),
)
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((file) => `docs/${file}`)]
const inPages = pages.flatMap((file) => examplesIn(file, /^```ts\n(.*?)^```$/gms, ''))
const examples = [...inDocs, ...inPages]

/** The names that a module of `src` exports. */
const exportsOf = (file: string): readonly string[] => [
  ...[...text(file).matchAll(/^export (?:const|class|interface|type|function) (\w+)/gm)].map((m) => m[1]!),
  ...[...text(file).matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((m) =>
    m[1]!.split(',').flatMap((part) => part.match(/\w+(?=\s*$)/) ?? []),
  ),
  ...[...text(file).matchAll(/^export \* from '(.*)'/gm)].flatMap((m) =>
    exportsOf(join(dirname(file), m[1]!)),
  ),
]

/** Imports of the names that an example uses and neither declares nor imports. */
const prelude = ({ file, code }: Example): string => {
  const left = new Set(code.match(/\b[A-Za-z]\w*/g))
  for (const [, declared] of code.matchAll(/^ *(?:export )?(?:const|import|type|class) ([^=:<\n]*)/gm))
    for (const word of declared!.match(/\w+/g) ?? []) left.delete(word)
  const named = (from: string): string => {
    const taken = exportsOf(from).filter((n) => left.delete(n))
    return taken.length === 0 ? '' : `import { ${taken.join(', ')} } from '${join(root, from)}'; `
  }
  const index = join(...file.split('/').slice(0, 2), 'index.ts')
  return [
    sources.includes(index) ? named(index) : '',
    named(file),
    left.has('pipe') ? "import { pipe } from 'fp-ts/lib/function.js'; " : '',
    left.has('E') ? "import * as E from 'fp-ts/lib/Either.js'; " : '',
    left.has('TE') ? "import * as TE from 'fp-ts/lib/TaskEither.js'; " : '',
  ].join('')
}

/** A statement whose claim, if it has one, is a check on its last line. */
const checked = (statement: readonly string[]): string => {
  const parts = statement.map((line) => line.match(/^(.*?\S)\s+\/\/ (.*)$/))
  const claim = parts.at(-1)?.[2] ?? parts[0]?.[2]
  const code = statement.map((line, i) => parts[i]?.[1] ?? line).join('\n')
  if (claim === undefined || /^(?:import\b|\/\/)/.test(code)) return statement.join('\n')
  const name = /^(?:export )?const (\w+)/.exec(code)?.[1]
  if (name === undefined) return `claim.equal(${code}, ${claim})`
  const type = claim.replaceAll(/(?<!\w|>|\])\[/g, 'readonly [')
  return `${code}; ((it: ${type}): typeof ${name} => it)(${name})`
}

/** The module of an example; its lines have the numbers that they have in the source. */
const moduleOf = (e: Example): string => {
  const statements = e.code.split(/\n(?=[^\s)\]}])/).map((s) => s.split('\n'))
  const names = pages.includes(e.file) ? "import type { Layer } from 'sailwright/dsl'; " : prelude(e)
  return `${'\n'.repeat(e.line - 2)}${names}import * as claim from 'uvu/assert'\n${statements.map(checked).join('\n')}\n`
}

const folder = mkdtempSync(join(tmpdir(), 'sailwright-doc-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const start = promisify(execFile)
/** Runs the modules that its arguments name, one after another, and writes the errors by module. */
const runner = `import { writeFileSync } from 'node:fs'
let errors = ''
for (const m of process.argv.slice(2))
  await import('./' + m).catch((e) => { errors += m + ': ' + (e.stack ?? e) + '\\n' + (e.details ?? '') + '\\n' })
writeFileSync(new URL('errors', import.meta.url), errors)`

test.before(() => {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const compilerOptions = {
    paths: { 'sailwright/*': [join(root, 'src', '*', 'index.ts')] },
    typeRoots: [join(root, 'node_modules', '@types')],
    noUnusedLocals: false,
    noUnusedParameters: false,
    verbatimModuleSyntax: false,
    rewriteRelativeImportExtensions: false,
  }
  const tsconfig = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  writeFileSync(join(folder, 'run.js'), runner)
  for (const e of examples) writeFileSync(join(folder, e.module), moduleOf(e))
})

test('every example is found, and every exception is one', () => {
  assert.ok(inDocs.length > 0 && inPages.length > 0)
  for (const file of pages)
    assert.is(inPages.filter((e) => e.file === file).length, text(file).split('```ts').length - 1, file)
  for (const file of sources)
    assert.is(inDocs.filter((e) => e.file === file).length, text(file).split('@example').length - 1, file)
  for (const file of compiledOnly.keys()) assert.is(inDocs.filter((e) => e.file === file).length, 1, file)
})

test('they compile', async () => {
  const words = ['-p', folder, '--pretty', 'false']
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const { stdout } = await start(tsc, words, { cwd: folder }).catch((e: { readonly stdout: string }) => e)
  assert.is(stdout, '')
})

test('they run, and what they say is so', async () => {
  const modules = examples.filter((e) => !compiledOnly.has(e.file)).map((e) => e.module)
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json'), NO_COLOR: '1' }
  await start(process.execPath, ['--import', 'tsx', join(folder, 'run.js'), ...modules], { cwd: root, env })
  assert.is(readFileSync(join(folder, 'errors'), 'utf8'), '')
})

/** Runs a page's experiment as a file of the user's, in a folder without packages: what it imports is found beside the command. */
const ranQuickly = async (code: string, ...more: readonly string[]) => {
  const own = mkdtempSync(join(tmpdir(), 'sailwright-page-'))
  try {
    writeFileSync(join(own, 'my.ts'), code)
    const words = ['run', 'my.ts', '--quick', '--engine', 'onnx', '--out', 'out', '--json', ...more]
    const { code: ended, out, err } = await commandAt(own)(words)
    assert.is(ended, 0, err)
    const { stages } = JSON.parse(out) as {
      readonly stages: readonly { readonly stage: string; readonly families: readonly { family: string }[] }[]
    }
    return {
      stages: stages.map((s) => [s.stage, s.families.map((f) => f.family)]),
      report: readFileSync(join(own, 'out', 'report.html'), 'utf8'),
    }
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

const experimentsIn = (file: string): readonly string[] =>
  inPages.filter((e) => e.file === file && /^export default/m.test(e.code)).map((e) => e.code)

test("the README's experiment is a file that the command runs, in thirty lines at most", async () => {
  const [code, , ...more] = experimentsIn('README.md')
  assert.is(more.length, 0)
  assert.ok(code!.split('\n').length <= 30)
  const { stages, report } = await ranQuickly(code!, '--set', 'rate=1e-3')
  assert.equal(stages, [['adapt', ['read', 'count', 'chart', 'arithmetic']]])
  assert.match(report, 'reading')
})

test("the README's reinforcement is a file that the command reads, in thirty lines at most", async () => {
  const code = experimentsIn('README.md')[1]!
  assert.ok(code.split('\n').length <= 30)
  const own = mkdtempSync(join(folder, 'reinforcement-'))
  writeFileSync(join(own, 'my.ts'), code)
  const command = commandAt(own)
  assert.match((await command(['summary', 'my.ts'])).out, /language_model/)
  // its weights are looked for before anything is drawn
  const { code: ended, err } = await command(['run', 'my.ts', '--engine', 'onnx'])
  assert.is(ended, 1)
  assert.match(err, /thinker\.safetensors/)
})

test('a loss, a schedule, an optimizer and metrics of one’s own: trained, measured by both weights, logged', async () => {
  const [code, ...more] = experimentsIn('docs/your-own-loss.md')
  assert.is(more.length, 0)
  const { stages, report } = await ranQuickly(code!)
  assert.equal(stages, [['fit', ['close']]])
  assert.match(report, /averaged weights 0\.\d+/)
  assert.match(report, 'huber a point')
})

test('the model of one’s own is trained and asked', async () => {
  const [code, ...more] = experimentsIn('docs/your-own-model.md')
  assert.is(more.length, 0)
  const { stages, report } = await ranQuickly(code!)
  assert.equal(stages, [['learn', ['shown', 'held']]])
  assert.match(report, 'adder')
})

test('images of one’s own are asked about, and bad ones listed', async () => {
  const [code, ...more] = experimentsIn('docs/your-own-data.md')
  assert.is(more.length, 0)
  const images = mkdtempSync(join(tmpdir(), 'sailwright-page-images-'))
  try {
    const lines = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const [answer, background] = i % 2 === 0 ? ['red', '#c00'] : ['blue', '#00c']
        const image = sharp({ create: { width: 20 + i, height: 30, channels: 3, background } })
        if (i !== 7) await image.png().toFile(join(images, `${i}.png`))
        return JSON.stringify({ file_name: `${i}.png`, question: 'Which colour?', answer })
      }),
    )
    writeFileSync(join(images, 'metadata.jsonl'), lines.join('\n'))
    const { stages, report } = await ranQuickly(code!, '--data', images)
    assert.equal(stages, [['tune', ['mine']]])
    assert.match(report, /1 row of the data was\s+set aside[\s\S]*7\.png: there is no such file/)
  } finally {
    rmSync(images, { recursive: true, force: true })
  }
})

test.run()
