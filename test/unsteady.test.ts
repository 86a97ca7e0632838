/** What `npm test` makes of files that fail: each is run once more, alone. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolders } from './support/temporary-folders.ts'

const test = suite('npm test')
const root = fileURLToPath(new URL('../', import.meta.url))

/** A file with one test. */
const file = (
  name: string,
  body: string,
  outside = '',
) => `import { existsSync, writeFileSync } from 'node:fs'
import { suite } from 'uvu'
const test = suite('${name}')
test('${name}', () => { ${body} })
${outside}
test.run()
`
/** Runs once: what it does the first time, a second process finds on the disk. */
const first = (name: string, then: string) =>
  `if (!existsSync('${name}')) { writeFileSync('${name}', ''); ${then} }`

const { folder, remove } = temporaryFolders('sailwright-unsteady-')
test.after(remove)

/** All that is said of test files, and the exit code. */
const ran = async (files: Readonly<Record<string, string>>) => {
  const at = await folder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, 'test', name)), { recursive: true })
    writeFileSync(join(at, 'test', name), text)
  }
  mkdirSync(join(at, 'scripts'))
  mkdirSync(join(at, 'examples'))
  for (const script of ['test', 'test-file', 'compiled-tests'])
    cpSync(join(root, 'scripts', `${script}.ts`), join(at, 'scripts', `${script}.ts`))
  writeFileSync(join(at, 'package.json'), '{ "type": "module" }')
  symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'), 'junction')
  const run = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/test.ts'], { cwd: at })
  return { said: `${run.stdout}${run.stderr}`, code: run.status }
}

test('a file that fails beside others and passes alone is passed, and named', async () => {
  const { said, code } = await ran({
    'random/good.test.ts': file('good', ''),
    'random/unsteady.test.ts': file('unsteady', first('once', "throw new Error('the first time')")),
    'cli/breaks.test.ts': file('breaks', first('broken', 'process.exit(3)')),
  })
  assert.is(code, 0, said)
  assert.match(said, /the first time/)
  for (const name of ['random/unsteady', 'cli/breaks'])
    assert.match(said, `  Unsteady:  ${name}.test.ts failed beside others and passed alone\n`)
  assert.not.match(said, 'Failed in')
  assert.match(said, /Total: {5}3\n {2}Passed: {4}3\n/)
})

test('one that fails twice is failed; of those whose process does not end well, the one that does so alone', async () => {
  const { said, code } = await ran({
    'random/good.test.ts': file('good', ''),
    'random/ends-badly.test.ts': file('badly', '', "process.on('exit', () => { process.exitCode = 1 })"),
    'random/last.test.ts': file('last', ''),
    'cli/fails.test.ts': file('fails', "throw new Error('each time')"),
  })
  assert.is(code, 1, said)
  assert.is(said.split('each time').length > 2, true)
  assert.match(said, / {2}Failed in: .*cli\/fails\.test\.ts/)
  assert.match(said, / {2}Failed in: .*random\/ends-badly\.test\.ts/)
  assert.not.match(said, / {2}Failed in: .*(good|last)\.test\.ts/)
})

test('what a file leaves behind is its own failure, and not of the one that runs by then', async () => {
  const slow = 'return new Promise((go) => setTimeout(go, 900))'
  const { said, code } = await ran({
    'random/a-leaves.test.ts': file('leaves', '', "setTimeout(() => { throw new Error('late') }, 400)"),
    // as many as there may be processes: one follows in the process of the first
    ...Object.fromEntries([1, 2, 3, 4].map((i) => [`random/b${i}.test.ts`, file(`b${i}`, slow)])),
  })
  assert.is(code, 1, said)
  assert.match(said, / {2}Failed in: random\/a-leaves\.test\.ts\n/)
})

test('those that passed before one breaks off are not called unsteady', async () => {
  const { said, code } = await ran({
    // as many as there may be processes have passed by the time that one breaks off
    ...Object.fromEntries([1, 2, 3, 4].map((i) => [`random/a${i}.test.ts`, file(`a${i}`, '')])),
    'random/breaks.test.ts': file('breaks', first('broken', 'process.exit(3)')),
  })
  assert.is(code, 0, said)
  assert.match(said, /once more, alone: random\/a/)
  assert.equal(said.match(/ {2}Unsteady: .*/g), [
    '  Unsteady:  random/breaks.test.ts failed beside others and passed alone',
  ])
})

test('a process that ends badly, of which no file does so alone, is named with its files', async () => {
  const { said, code } = await ran({
    'random/a.test.ts': file('a', '', first('once', "process.on('exit', () => { process.exitCode = 1 })")),
  })
  assert.is(code, 0, said)
  assert.equal(said.match(/ {2}Unsteady: .*/g), [
    '  Unsteady:  the process that ran random/a.test.ts did not end well; alone each of them passed',
  ])
})

test.run()
