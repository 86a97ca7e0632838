/** Commands in messages are those that can be typed here: after npx, pnpm, yarn, bun, or as `sailwright`. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commands } from '../../src/cli/main.ts'
import { asCalled, called } from '../../src/terminal/index.ts'

const test = suite('commands as they are called')
const root = mkdtempSync(join(tmpdir(), 'sailwright-called-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

test('a package manager is named as it says, and the PATH decides without one', () => {
  const npm = { npm_command: 'exec', npm_config_user_agent: 'npm/10.8.2 node/v20.20.2 linux x64' }
  assert.is(called({ ...npm, PATH: root }), 'npx sailwright')
  assert.is(called({ npm_lifecycle_event: 'start' }), 'npx sailwright')
  assert.is(called({ npm_config_user_agent: 'pnpm/9.1.0 npm/? node/v20' }), 'pnpm exec sailwright')
  assert.is(called({ npm_config_user_agent: 'yarn/4.1.0' }), 'yarn sailwright')
  assert.is(called({ npm_config_user_agent: 'bun/1.1.0' }), 'bunx sailwright')
  assert.is(called({}), 'npx sailwright')
  assert.is(called({ PATH: `:${root}` }), 'npx sailwright')
  writeFileSync(join(root, 'sailwright'), '')
  assert.is(called({ PATH: `/nowhere:${root}` }), 'sailwright')
  assert.is(asCalled('a sailwright run'), 'a sailwright run')
  assert.is(asCalled('sailwright run my.ts'), `${called()} run my.ts`)
})

test('no message of the source spells a command out', () => {
  const words = commands.map((c) => c.name.split(' ')[0]).join('|')
  const spelt = new RegExp(`\\bsailwright (${words})\\b`)
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'))
  const found = files.flatMap((f) =>
    readFileSync(join('src', f), 'utf8')
      .split('\n')
      .flatMap((line, i) => (spelt.test(line) ? [`${f}:${i + 1}: ${line.trim()}`] : [])),
  )
  const left = found.filter(
    (line) =>
      // comments, examples, which the help shows as they are called, and what is written into files
      !/: (\*|\/\/|\/\*)/.test(line) &&
      !/^cli[\\/]commands[\\/][\w-]+\.ts:\d+: (examples: )?\[*['"]sailwright /.test(line) &&
      !/^cli[\\/](sample-data|load-file)\.ts:/.test(line),
  )
  assert.equal(left, [])
})

/** The program as npx calls it. */
const byNpx = (words: readonly string[], cwd: string) =>
  new Promise<{ out: string; err: string }>((done) => {
    const env = {
      ...process.env,
      NO_COLOR: '1',
      FORCE_COLOR: undefined,
      npm_command: 'exec',
      npm_config_user_agent: 'npm/10.8.2 node/v20',
    }
    execFile(process.execPath, [resolve('bin/sailwright.js'), ...words], { cwd, env }, (_, out, err) =>
      done({ out, err }),
    )
  })

test('after npx: what new says and writes, a refusal, and the help', async () => {
  const made = await byNpx(['new', 'rl'], root)
  assert.match(made.err, 'To begin: npx sailwright run rl.ts --quick')
  const file = readFileSync(join(root, 'rl.ts'), 'utf8')
  assert.match(file, ' *     npx sailwright run rl.ts --quick ')
  assert.not.match(file, / {5}sailwright /)
  assert.match((await byNpx(['ru'], root)).err, "'npx sailwright --help' says what they do")
  const help = (await byNpx(['run', '--help'], root)).out
  assert.match(help, '  npx sailwright run <file.ts> [options]')
  assert.match(help, '  npx sailwright run examples/recipe.ts --quick')
  assert.not.match(help, /^ +sailwright/m)
})

test.run()
