/**
 * Runs the test files, compiled, in as many processes at a time as there are cores (at most four); a process's output comes
 * whole, when it ends. Ends with the totals of all, and what the longest files took: seconds, and of those of the processors.
 *
 *     npm test                        all of them
 *     npm test -- 'engine/|dsl/laws'  those whose path matches
 *
 * A file that breaks off before its tests are counted, or runs for twenty minutes, is one failed test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { compiledTests } from './compiled-tests.ts'
import type { FileRun } from './test-file.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const longest = 20 * 60 * 1000

/** Files that take long begin first, so that none of them is left alone at the end: here, where no earlier run says which. */
const long = [
  'examples/examples',
  'cli/',
  'package/',
  'examples/',
  'train/',
  'rl/',
  'engine/',
  'run/',
  'bench/',
]

const timesPath = join(root, '.cache', 'test-times.json')

/** What files took when they were run last, by file. */
type Times = Readonly<Record<string, FileRun>>

const times = (): Times => (existsSync(timesPath) ? JSON.parse(readFileSync(timesPath, 'utf8')) : {})

/** A file that ended, or broke off before its tests were counted. */
interface Ended {
  readonly file: string
  readonly run: FileRun
  readonly fine: boolean
}

const writeTimes = (ended: readonly Ended[]): void => {
  const now = Object.fromEntries(ended.map(({ file, run }) => [file, run]))
  writeFileSync(timesPath, JSON.stringify({ ...times(), ...now }, null, 1))
}

/** The test files whose path below `test` matches, in the order in which they begin. */
const testFiles = (pattern = ''): readonly string[] => {
  const last = times()
  const secondsOf = (file: string): number => last[file]?.seconds ?? 0
  const rank = (file: string): number => {
    const at = long.findIndex((l) => file.startsWith(l))
    return at < 0 ? long.length : at
  }
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(sep, '/'))
    .filter((file) => file.endsWith('.test.ts') && new RegExp(pattern).test(file))
    .sort((a, b) => secondsOf(b) - secondsOf(a) || rank(a) - rank(b) || (a < b ? -1 : 1))
}

/** The processes that run tests now: they end with this one. */
const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.exit(130)
  })

const runFile = (folder: string, file: string): Promise<Ended> =>
  new Promise((done) => {
    const began = performance.now()
    const words = [join(folder, 'scripts', 'test-file.js'), join(folder, 'test'), file.replace(/ts$/, 'js')]
    const child = spawn(process.execPath, words, {
      cwd: root,
      env: { ...process.env, FORCE_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    running.add(child)
    let [out, result] = ['', '']
    for (const i of [1, 2, 3])
      (child.stdio[i] as Readable).setEncoding('utf8').on('data', (text: string) => {
        if (i === 3) result += text
        else out += text
      })
    const late = setTimeout(() => child.kill('SIGKILL'), longest)
    child.on('close', (code, signal) => {
      clearTimeout(late)
      running.delete(child)
      process.stdout.write(out.trimEnd().concat('\n'))
      const seconds = (performance.now() - began) / 1000
      const none = { total: 0, passed: 0, skipped: 0, seconds, processor: 0 }
      const run: FileRun = result === '' ? none : JSON.parse(result)
      const whole = code === 0 && run.total + run.skipped > 0
      if (whole) return done({ file, run, fine: run.passed === run.total })
      // what broke off, or failed outside of a test, is one failure more
      process.stdout.write(`  ${file} broke off: ${signal ?? `exit code ${code}`}\n`)
      done({ file, run: { ...run, total: run.total + 1 }, fine: false })
    })
  })

const main = async (): Promise<void> => {
  const folder = compiledTests(join(root, '.cache', 'tests'))
  const files = testFiles(process.argv[2])
  const began = performance.now()
  const ended: Ended[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < files.length) {
      ended.push(await runFile(folder, files[next++]!))
      writeTimes(ended)
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker))
  const sum = (of: (run: FileRun) => number): number => ended.reduce((n, e) => n + of(e.run), 0)
  const bad = ended.filter((e) => !e.fine)
  const slow = ended.toSorted((a, b) => b.run.seconds - a.run.seconds).slice(0, 15)
  const took = (seconds: number, processor: number): string =>
    `${seconds.toFixed(0)} s (${processor.toFixed(0)} s of the processors)`
  process.stdout.write(
    `
  Longest:   ${slow.map(({ file, run }) => `${file} ${took(run.seconds, run.processor)}`).join('\n             ')}
${bad.length === 0 ? '' : `  Failed in: ${bad.map((e) => e.file).join(', ')}\n`}
  Total:     ${sum((r) => r.total)}
  Passed:    ${sum((r) => r.passed)}
  Skipped:   ${sum((r) => r.skipped)}
  Duration:  ${took(
    (performance.now() - began) / 1000,
    sum((r) => r.processor),
  )} in ${files.length} files
`,
  )
  process.exitCode = files.length > 0 && bad.length === 0 ? 0 : 1
}

await main()
