/**
 * How much do the tests notice? Plants one bug after the other in a copy of the tree, runs the tests that should notice
 * it, and names the bugs that survive.
 *
 *     npm run mutants                       all of them
 *     npm run mutants -- optim clip         those whose file or name has one of these words
 *     npm run mutants -- --list             names them and runs nothing
 *     npm run mutants -- --limit 60         seconds that a test file may take with a bug, and at least ten times what it takes
 *                                           without; default 120
 *
 * Ends with 0 where at least nine in ten are noticed and each bug could be planted.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { transformSync } from '@swc/wasm-typescript'
import { compiledTests } from './compiled-tests.ts'
import { all, faultOf } from './mutants/index.ts'
import type { Mutant } from './mutants/mutant.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean', default: false }, limit: { type: 'string', default: '120' } },
})
const limit = Number(options.limit)
if (!(limit > 0)) throw new RangeError(`--limit is ${options.limit}; give a number of seconds`)
/** Share of the bugs that the tests must notice. */
const wanted = 0.9

const chosen = all.filter(
  (m) => words.length === 0 || words.some((w) => m.file.includes(w) || m.name.includes(w)),
)

// --- the copy -------------------------------------------------------------------------------------------------

const copied = [
  'ARCHITECTURE.md',
  'README.md',
  'assets',
  'docs',
  'examples',
  'src',
  'test',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
]
const linked = ['node_modules', 'vendor', 'bin', 'dist']
const folder = await mkdtemp(join(tmpdir(), 'sailwright-mutants-'))
let running: ChildProcess | undefined
/** Ends the tests with all that they started. */
const kill = (): void => {
  if (running?.pid !== undefined) process.kill(-running.pid, 'SIGKILL')
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    kill()
    rm(folder, { recursive: true, force: true }).finally(() => process.exit(130))
  })

type Outcome = 'passed' | 'failed' | 'time limit' | 'no program'

/** Whether all tests of a file passed, by its own count: uvu ends with 0 too where what a test throws is no error. */
const arePassed = (output: string): boolean => {
  const [total, passed] = ['Total', 'Passed'].map((of) => new RegExp(`${of}: +(\\d+)`).exec(output)?.[1])
  return total !== undefined && total === passed
}

/** Runs a test file in the copy, in a process of its own: what one sets is not there in another. */
const run = (test: string, seconds: number): Promise<{ outcome: Outcome; output: string }> =>
  new Promise((resolve) => {
    const pattern = `^${test}\\.test\\.js$`
    const child = spawn(
      process.execPath,
      // most of their code runs seldom
      ['--interrupt-budget=1000000', 'node_modules/uvu/bin.js', 'test', pattern, '--bail'],
      { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    running = child
    let output = ''
    let late = false
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
    const timer = setTimeout(() => {
      late = true
      kill()
    }, seconds * 1000)
    child.once('close', (code) => {
      clearTimeout(timer)
      running = undefined
      const outcome = late
        ? 'time limit'
        : code === 0 && arePassed(output)
          ? 'passed'
          : /does not provide an export/.test(output)
            ? 'no program'
            : 'failed'
      resolve({ outcome, output })
    })
  })

/** A module with a bug as JavaScript; undefined where it is none. */
const compiled = (source: string, file: string): string | undefined => {
  try {
    const { code } = transformSync(source, { mode: 'strip-only', module: true, filename: file })
    return code.replaceAll(/'(\.{1,2}\/[^']*)\.ts'/g, (all, to: string) =>
      existsSync(resolve(dirname(join(folder, file)), `${to}.js`)) ? `'${to}.js'` : all,
    )
  } catch {
    return undefined
  }
}

// --- planting -------------------------------------------------------------------------------------------------

const label = (m: Mutant): string => `${m.file.replace(/^src\//, '')}: ${m.name}`
const verdicts: Readonly<Record<Outcome, string>> = {
  passed: 'SURVIVED',
  failed: 'noticed ',
  'time limit': 'too long',
  'no program': 'broken  ',
}
const say = (text: string): boolean => process.stdout.write(text)

const faults: string[] = []
const sound: Mutant[] = []
for (const m of chosen) {
  const why = faultOf(m)
  if (why === undefined) sound.push(m)
  else faults.push(`${label(m)} (${why})`)
}

const survivors: string[] = []
const late: string[] = []
let noticed = 0
const started = performance.now()
const since = (t: number): string => `${((performance.now() - t) / 1000).toFixed(1)} s`
try {
  if (options.list) for (const m of sound) say(`${label(m)}  [${m.tests.join(', ')}]\n`)
  else if (sound.length > 0) {
    for (const name of copied) await cp(join(root, name), join(folder, name), { recursive: true })
    // what runs is JavaScript: no test waits for a compiler
    await cp(join(root, 'dist', 'src'), join(folder, 'src'), { recursive: true })
    compiledTests(folder)
    // only read: packages, the runtime that the package carries, the package as built
    for (const name of linked)
      if (existsSync(join(root, name))) await symlink(join(root, name), join(folder, name))
    /** What each test file takes without a bug, where it passes then: what fails without one notices nothing. */
    const takes = new Map<string, number>()
    const skipped = new Set<string>()
    for (const test of new Set(sound.flatMap((m) => m.tests))) {
      const from = performance.now()
      const { outcome, output } = await run(test, 600)
      if (outcome === 'passed') takes.set(test, (performance.now() - from) / 1000)
      else {
        faults.push(`${test} (its tests fail without a bug)`)
        say(`${output.trim().split('\n').slice(-30).join('\n')}\n`)
      }
      // a test that is skipped notices nothing
      for (const line of output.split('\n')) if (/tests? (?:is|are) skipped/.test(line)) skipped.add(line)
    }
    const fit = sound.filter((m) => m.tests.every((t) => takes.has(t)))
    say(`${fit.length} bugs; their tests pass without them (${since(started)})\n`)
    for (const line of skipped) say(`${line}\n`)
    /** Runs a bug's tests, up to the first file that notices it. */
    const outcomeOf = async (m: Mutant): Promise<Outcome> => {
      for (const test of m.tests) {
        const { outcome } = await run(test, Math.max(limit, 10 * takes.get(test)!))
        if (outcome !== 'passed') return outcome
      }
      return 'passed'
    }
    for (const m of fit) {
      const from = performance.now()
      const path = join(folder, m.file.replace(/ts$/, 'js'))
      const text = await readFile(path, 'utf8')
      const source = await readFile(join(folder, m.file), 'utf8')
      const bug = compiled(
        source.replace(m.from, () => m.to),
        m.file,
      )
      if (bug !== undefined) await writeFile(path, bug)
      const outcome = bug === undefined ? 'no program' : await outcomeOf(m)
      await writeFile(path, text)
      if (outcome === 'passed') survivors.push(label(m))
      else if (outcome === 'no program') faults.push(`${label(m)} (with its text there is no program)`)
      else noticed++
      if (outcome === 'time limit') late.push(label(m))
      say(`${verdicts[outcome]}${since(from).padStart(8)}  ${label(m)}\n`)
    }
    const planted = noticed + survivors.length
    const share = noticed / Math.max(1, planted)
    say(`\n${noticed} of ${planted} noticed, ${(100 * share).toFixed(0)} %, in ${since(started)}\n`)
    if (survivors.length > 0) say(`survived:\n${survivors.map((s) => `  ${s}\n`).join('')}`)
    if (late.length > 0)
      say(`noticed by nothing but the time limit:\n${late.map((s) => `  ${s}\n`).join('')}`)
    if (share < wanted) process.exitCode = 1
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
if (faults.length > 0) {
  say(`stale, correct them in scripts/mutants:\n${faults.map((s) => `  ${s}\n`).join('')}`)
  process.exitCode = 1
}
if (chosen.length === 0) {
  say(`no bug's file or name has one of: ${words.join(', ')}\n`)
  process.exitCode = 1
}
