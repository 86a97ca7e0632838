/**
 * Runs a test file in this process: the program of the processes that `scripts/test.ts` starts. Its words are the folder of the
 * compiled tests and the file in it. What became of the file is JSON on the stream 3, once all its tests have ended.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
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

const [folder, file] = process.argv.slice(2) as [string, string]
const began = performance.now()
// uvu runs nothing by itself then
globalThis.UVU_DEFER = 1
await import('uvu')
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
process.exitCode = 0
const seconds = (performance.now() - began) / 1000
writeSync(3, JSON.stringify({ total, passed, skipped, seconds, processor: processor() } satisfies FileRun))
