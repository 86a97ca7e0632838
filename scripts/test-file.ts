/**
 * Runs test files in this process, one after another: the program of the processes that `scripts/test.ts` starts. Its word is
 * the folder of the compiled tests; the files in it come as lines of stdin. What became of a file is a line of JSON on the
 * stream 3, once all its tests have ended.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

/** What became of a file's tests: how many there were, and what they took. */
export interface FileRun {
  readonly total: number
  readonly passed: number
  readonly skipped: number
  readonly seconds: number
  /** Seconds that processors gave to the file, with all that it started and that ended; 0 where the system does not tell. */
  readonly processor: number
}

/** What a process tells of a file: also the memory that it has by then, in MiB. */
export interface ToldFile extends FileRun {
  readonly memory: number
}

/** A suite: gives the failures as a text, `true` where there is none, and how many tests passed, were skipped, were there. */
type Suite = () => Promise<readonly [failures: string | true, passed: number, skipped: number, total: number]>

/** uvu's own: the suites of each file, behind its name. */
declare global {
  var UVU_DEFER: number | undefined
  var UVU_QUEUE: unknown[][]
}

const processor = (): number => {
  try {
    const counts = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ').slice(11, 15)
    return counts.reduce((sum, ticks) => sum + Number(ticks), 0) / 100
  } catch {
    return 0
  }
}

const folder = process.argv[2]!
// uvu runs nothing by itself then
globalThis.UVU_DEFER = 1

const ran = async (file: string, began: number, before: number): Promise<ToldFile> => {
  const suites: Suite[] = []
  globalThis.UVU_QUEUE = [suites]
  await import(pathToFileURL(join(folder, file)).href)
  process.stdout.write(`\u001b[1m${file.replace(/js$/, 'ts')}\u001b[22m\n`)
  let [total, passed, skipped] = [0, 0, 0]
  for (const suite of suites) {
    const [failures, good, left, all] = await suite()
    total += all
    passed += good
    skipped += left
    if (failures !== true) process.stdout.write(`\n${failures}\n`)
  }
  const seconds = (performance.now() - began) / 1000
  const memory = process.memoryUsage.rss() / 2 ** 20
  return { total, passed, skipped, seconds, processor: processor() - before, memory }
}

let [began, before] = [0, 0]
for await (const file of createInterface({ input: process.stdin })) {
  const [env, cwd] = [{ ...process.env }, process.cwd()]
  const told = await ran(file, began, before)
  // what one file sets is not there in the next
  for (const key of Object.keys(process.env)) if (!(key in env)) delete process.env[key]
  Object.assign(process.env, env)
  process.chdir(cwd)
  writeSync(3, `${JSON.stringify(told)}\n`)
  ;[began, before] = [performance.now(), processor()]
}
process.exitCode = 0
