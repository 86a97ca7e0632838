/**
 * Runs the test files, each in a process of its own, as many at a time as there are cores (at most four); a file's output comes
 * whole, when it ends. Ends with the totals of all, and how long the longest files took.
 *
 *     npm test                        all of them
 *     npm test -- 'engine/|dsl/laws'  those whose path matches
 *
 * A file that breaks off before its tests are counted, or runs for twenty minutes, is one failed test.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const uvu = join('node_modules', 'uvu', 'bin.js')
const longest = 20 * 60 * 1000

/** Files that take long begin first, so that none of them is left alone at the end. */
const long = ['cli/cli', 'package/', 'run/', 'train/', 'bench/', 'examples/']

/** What became of a file's tests. */
interface Ended {
  readonly file: string
  readonly total: number
  readonly passed: number
  readonly skipped: number
  readonly seconds: number
  readonly fine: boolean
}

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

/** What uvu counted, read from what it wrote. */
const counted = (out: string) => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  const plain = out.replaceAll(/\x1b\[[0-9;]*m/g, '')
  const of = (what: string): number | undefined => {
    const found = [...plain.matchAll(new RegExp(`^ *${what}: +(\\d+)`, 'gm'))].at(-1)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  return { total: of('Total'), passed: of('Passed'), skipped: of('Skipped') }
}

/** uvu's counts of one file, left out: they are added up at the end. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
const totals = /^(?:\x1b\[[0-9;]*m)* *(?:\x1b\[[0-9;]*m)*(?:Total|Passed|Skipped|Duration): .*\n/gm

const runFile = (file: string): Promise<Ended> =>
  new Promise((done) => {
    const began = performance.now()
    const words = ['--import', 'tsx', uvu, 'test', `^${file.replaceAll('.', '\\.')}$`]
    const child = spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        out += text
      })
    }
    const late = setTimeout(() => child.kill('SIGKILL'), longest)
    child.on('close', (code, signal) => {
      clearTimeout(late)
      const seconds = (performance.now() - began) / 1000
      const { total = 0, passed = 0, skipped = 0 } = counted(out)
      const all = code === 0 && total + skipped > 0 && passed === total
      // what broke off, or failed outside of a test, is one failure more
      const broken = !all && passed === total ? 1 : 0
      process.stdout.write(out.replaceAll(totals, '').trimEnd().concat('\n'))
      if (broken === 1) process.stdout.write(`  ${file} broke off: ${signal ?? `exit code ${code}`}\n`)
      done({ file, total: total + broken, passed, skipped, seconds, fine: all })
    })
  })

const main = async (): Promise<void> => {
  const files = testFiles(process.argv[2])
  const began = performance.now()
  const ended: Ended[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < files.length) ended.push(await runFile(files[next++]!))
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker))
  const sum = (of: (e: Ended) => number): number => ended.reduce((n, e) => n + of(e), 0)
  const bad = ended.filter((e) => !e.fine)
  const slow = ended.toSorted((a, b) => b.seconds - a.seconds).slice(0, 15)
  process.stdout.write(
    `
  Longest:   ${slow.map((e) => `${e.file} ${e.seconds.toFixed(0)} s`).join('\n             ')}
${bad.length === 0 ? '' : `  Failed in: ${bad.map((e) => e.file).join(', ')}\n`}
  Total:     ${sum((e) => e.total)}
  Passed:    ${sum((e) => e.passed)}
  Skipped:   ${sum((e) => e.skipped)}
  Duration:  ${((performance.now() - began) / 1000).toFixed(0)} s in ${files.length} files
`,
  )
  process.exitCode = files.length > 0 && bad.length === 0 ? 0 : 1
}

await main()
