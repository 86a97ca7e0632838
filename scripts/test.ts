/**
 * Runs the test files, compiled, in as many processes at a time as there are cores (at most four). A process runs one file after
 * another, so that what they import and the engines are loaded once; a file's output comes whole, when it has ended. Ends with
 * the totals of all, and what the longest files took: seconds, and of those of the processors. A file that failed is run once
 * more, alone, after all others: where it passes then, it counts as passed, and the end names it as unsteady.
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
import type { FileRun, ToldFile } from './test-file.ts'

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

/** A file that ended, or broke off before its tests were counted; `suspect`: it passed, and its process did not end well. */
interface Ended {
  readonly file: string
  readonly run: FileRun
  readonly fine: boolean
  readonly suspect?: true
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

/** Files that share a process with others; the others are let alone, since they count or change what a process has, or start some. */
const shares =
  /^(async|random|dsl|data(?!\/large)|formats|models|optim|report|log|tasks|eval|generation|train(?!\/step-memory)|rl(?!\/(kills|standstill|reward-weights|rewards\/own|verify\/pool)))\//
/** MiB; a process that has more runs no other file. */
const most = 1500

/** They run most of their code seldom: V8 optimises what has run eight times as often as it waits for otherwise. */
const seldom = ['--interrupt-budget=1000000']

/** A process that runs test files, one after another. */
interface Runner {
  readonly run: (file: string) => Promise<Ended>
  /** Tells it that there is no other; false where it does not end by itself then, or broke off before. */
  readonly end: () => Promise<boolean>
  /** Whether it takes another file. */
  readonly takes: () => boolean
  /** The files that it ran. */
  readonly files: readonly string[]
}

const startRunner = (folder: string): Runner => {
  const words = [...seldom, join(folder, 'scripts', 'test-file.js'), join(folder, 'test')]
  const child = spawn(process.execPath, words, {
    cwd: root,
    env: { ...process.env, FORCE_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  })
  running.add(child)
  let [out, result, open, memory] = ['', '', true, 0]
  const files: string[] = []
  let told: (result: string) => void = () => undefined
  for (const i of [1, 2, 3])
    (child.stdio[i] as Readable).setEncoding('utf8').on('data', (text: string) => {
      if (i !== 3) out += text
      else result += text
      if (result.endsWith('\n')) told(result)
    })
  let how = ''
  const gone = new Promise<boolean>((done) => {
    child.on('close', (code, signal) => {
      running.delete(child)
      how = `${signal ?? `exit code ${code}`}`
      open = false
      told('')
      done(code === 0)
    })
  })
  child.stdin!.on('error', () => undefined)
  return {
    run: async (file) => {
      const began = performance.now()
      files.push(file)
      result = ''
      const answered = new Promise<string>((done) => {
        told = done
      })
      child.stdin!.write(`${file.replace(/ts$/, 'js')}\n`)
      const late = setTimeout(() => child.kill('SIGKILL'), longest)
      const said = open ? await answered : ''
      clearTimeout(late)
      told = () => undefined
      // what it wrote before it told of the file
      await new Promise((go) => setImmediate(go))
      process.stdout.write(out.trimEnd().concat('\n'))
      out = ''
      if (said !== '') {
        const { memory: taken, ...run } = JSON.parse(said) as ToldFile
        memory = taken
        if (run.total + run.skipped > 0) return { file, run, fine: run.passed === run.total }
      }
      process.stdout.write(`  ${file} broke off: ${how || 'it has no tests'}\n`)
      const seconds = (performance.now() - began) / 1000
      return { file, run: { total: 1, passed: 0, skipped: 0, seconds, processor: 0 }, fine: false }
    },
    end: async () => {
      child.stdin!.end()
      const late = setTimeout(() => child.kill('SIGKILL'), 60_000)
      const ended = await gone
      clearTimeout(late)
      if (out.trim() !== '') process.stdout.write(out)
      return ended
    },
    takes: () => open && memory < most,
    files,
  }
}

const main = async (): Promise<void> => {
  const folder = compiledTests(join(root, '.cache', 'tests'))
  const files = testFiles(process.argv[2])
  const began = performance.now()
  let ended: readonly Ended[] = []
  let next = 0
  /** The files of processes that did not end well although all of them had passed. */
  const badly: (readonly string[])[] = []
  /** Ends a process; where it does not end by itself, or broke off, each of its files may be why, and has failed. */
  const finish = async (runner: Runner | undefined): Promise<void> => {
    if (runner === undefined || (await runner.end())) return
    const own = ended.filter((e) => runner.files.includes(e.file))
    const suspects = own.filter((e) => e.fine)
    if (suspects.length === own.length) badly.push(runner.files)
    if (suspects.length === 0) return
    process.stdout.write(
      `  the process that ran ${suspects.map((e) => e.file).join(', ')} did not end well\n`,
    )
    ended = ended.map((e) => (suspects.includes(e) ? { ...e, fine: false, suspect: true } : e))
  }
  const worker = async (): Promise<void> => {
    let runner: Runner | undefined
    while (next < files.length) {
      const file = files[next++]!
      if (runner !== undefined && (!shares.test(file) || !runner.takes())) {
        await finish(runner)
        runner = undefined
      }
      runner ??= startRunner(folder)
      const run = await runner.run(file)
      ended = [...ended, run]
      writeTimes(ended)
      if (!shares.test(file)) {
        await finish(runner)
        runner = undefined
      }
    }
    await finish(runner)
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker))
  const failed = ended.filter((e) => !e.fine)
  for (const { file } of failed) {
    process.stdout.write(`\n  once more, alone: ${file}\n`)
    const alone = startRunner(folder)
    const run = await alone.run(file)
    ended = ended.map((e) => (e.file === file ? run : e))
    await finish(alone)
  }
  const passes = (file: string): boolean => ended.some((e) => e.fine && e.file === file)
  const unsteady = [
    ...failed
      .filter((e) => e.suspect !== true && passes(e.file))
      .map(({ file }) => `${file} failed beside others and passed alone`),
    ...badly
      .filter((files) => files.every(passes))
      .map((files) => `the process that ran ${files.join(', ')} did not end well; alone each of them passed`),
  ]
  const sum = (of: (run: FileRun) => number): number => ended.reduce((n, e) => n + of(e.run), 0)
  const bad = ended.filter((e) => !e.fine)
  const slow = ended.toSorted((a, b) => b.run.seconds - a.run.seconds).slice(0, 15)
  const took = (seconds: number, processor: number): string =>
    `${seconds.toFixed(0)} s (${processor.toFixed(0)} s of the processors)`
  process.stdout.write(
    `
  Longest:   ${slow.map(({ file, run }) => `${file} ${took(run.seconds, run.processor)}`).join('\n             ')}
${unsteady.map((what) => `  Unsteady:  ${what}\n`).join('')}${bad.length === 0 ? '' : `  Failed in: ${bad.map((e) => e.file).join(', ')}\n`}
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
