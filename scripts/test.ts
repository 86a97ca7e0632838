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
import type { FileRun } from './test-files.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const longest = 20 * 60 * 1000

/** Files that take long begin first, so that none of them is left alone at the end. */
const long = ['cli/cli', 'package/', 'run/', 'train/', 'bench/', 'examples/']

/** The test files whose path below `test` matches, in the order in which they begin. */
const testFiles = (pattern = ''): readonly string[] => {
  const rank = (file: string): number => {
    const at = long.findIndex((l) => file.startsWith(l))
    return at < 0 ? long.length : at
  }
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(sep, '/'))
    .filter((file) => file.endsWith('.test.ts') && new RegExp(pattern).test(file))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

const timesPath = join(root, '.cache', 'test-times.json')

/** What files took when they were run last: seconds of the processors, by file. */
const times = (): Readonly<Record<string, number>> =>
  existsSync(timesPath) ? JSON.parse(readFileSync(timesPath, 'utf8')) : {}

const writeTimes = (ended: readonly Ended[]): void => {
  const now = ended.map((e) => [e.file, Number(e.processor.toFixed(1))] as const)
  writeFileSync(timesPath, JSON.stringify({ ...times(), ...Object.fromEntries(now) }, null, 1))
}

/** The files that share a process, by process. */
const batchesOf = (files: readonly string[]): readonly (readonly string[])[] => files.map((f) => [f])

/** A file that ended, or broke off and why. */
type Ended = FileRun & { readonly broke?: string }

const isFine = (e: Ended): boolean => e.broke === undefined && e.passed === e.total && e.total + e.skipped > 0

/** The processes that run tests now: they end with this one. */
const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.exit(130)
  })

/** Runs files in one process; those behind one that breaks off are run in another. */
const runFiles = (folder: string, files: readonly string[]): Promise<readonly Ended[]> =>
  new Promise((done) => {
    const began = performance.now()
    const words = [join(folder, 'scripts', 'test-files.js'), join(folder, 'test')]
    const child = spawn(process.execPath, [...words, ...files.map((f) => f.replace(/\.ts$/, '.js'))], {
      cwd: root,
      env: { ...process.env, FORCE_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    running.add(child)
    let [out, results] = ['', '']
    for (const i of [1, 2, 3])
      (child.stdio[i] as Readable).setEncoding('utf8').on('data', (text: string) => {
        if (i === 3) results += text
        else out += text
      })
    const late = setTimeout(() => child.kill('SIGKILL'), longest)
    child.on('close', (code, signal) => {
      clearTimeout(late)
      running.delete(child)
      process.stdout.write(out.trimEnd().concat('\n'))
      const ran = results
        .split('\n')
        .slice(0, -1)
        .map((line, i): Ended => ({ ...JSON.parse(line), file: files[i] }))
      if (code === 0 && ran.length === files.length) return done(ran)
      // what broke off, or failed outside of a test, is one failure more
      const broke = signal ?? `exit code ${code}`
      const file = files[Math.min(ran.length, files.length - 1)]!
      process.stdout.write(`  ${file} broke off: ${broke}\n`)
      const seconds = (performance.now() - began) / 1000
      const had =
        ran.length < files.length
          ? { file, total: 0, passed: 0, skipped: 0, seconds, processor: 0 }
          : ran.pop()!
      const all = [...ran, { ...had, total: had.total + 1, broke }]
      const left = files.slice(all.length)
      if (left.length === 0) done(all)
      else runFiles(folder, left).then((others) => done([...all, ...others]))
    })
  })

const main = async (): Promise<void> => {
  const folder = compiledTests(join(root, '.cache', 'tests'))
  const batches = batchesOf(testFiles(process.argv[2]))
  const began = performance.now()
  const ended: Ended[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < batches.length) {
      ended.push(...(await runFiles(folder, batches[next++]!)))
      writeTimes(ended)
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker))
  const sum = (of: (e: Ended) => number): number => ended.reduce((n, e) => n + of(e), 0)
  const bad = ended.filter((e) => !isFine(e))
  const slow = ended.toSorted((a, b) => b.processor - a.processor || b.seconds - a.seconds).slice(0, 15)
  const took = (e: { readonly seconds: number; readonly processor: number }): string =>
    `${e.seconds.toFixed(0)} s (${e.processor.toFixed(0)} s of the processors)`
  process.stdout.write(
    `
  Longest:   ${slow.map((e) => `${e.file} ${took(e)}`).join('\n             ')}
${bad.length === 0 ? '' : `  Failed in: ${bad.map((e) => e.file).join(', ')}\n`}
  Total:     ${sum((e) => e.total)}
  Passed:    ${sum((e) => e.passed)}
  Skipped:   ${sum((e) => e.skipped)}
  Duration:  ${took({ seconds: (performance.now() - began) / 1000, processor: sum((e) => e.processor) })} in ${ended.length} files
`,
  )
  process.exitCode = ended.length > 0 && bad.length === 0 ? 0 : 1
}

await main()
