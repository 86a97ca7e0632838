/** Pages of a library's file that its loading alone needed, given back to the system. */
import { readFileSync } from 'node:fs'
import { foreign } from '../foreign.ts'

/** A range of addresses that shows a file, of which nothing was ever written. */
interface Mapping {
  readonly begin: bigint
  readonly end: bigint
  /** Bytes of it that are in memory now. */
  readonly resident: number
}

/** The first line of a mapping in `/proc/self/smaps`: addresses, permissions, and the file's path last. */
const head = /^([0-9a-f]+)-([0-9a-f]+) ([-rwxps]{4}) \S+ \S+ \S+ +(\/.*)$/

const kilobytes = (lines: string, what: string): number =>
  Number(new RegExp(`^${what}: +(\\d+) kB$`, 'm').exec(lines)?.[1] ?? Number.NaN)

/** The mappings of files with such a path that hold what the file holds: none is writable, and no page of one is a copy. */
export const fileMappings = (
  path: RegExp,
  smaps: string = readFileSync('/proc/self/smaps', 'utf8'),
): readonly Mapping[] =>
  smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((lines) => {
    const found = head.exec(lines.split('\n', 1)[0]!)
    if (found === null) return []
    const [, begin, end, allowed, file] = found as unknown as [string, string, string, string, string]
    if (!path.test(file) || allowed.includes('w') || kilobytes(lines, 'Anonymous') !== 0) return []
    return [
      { begin: BigInt(`0x${begin}`), end: BigInt(`0x${end}`), resident: kilobytes(lines, 'Rss') * 1024 },
    ]
  })

/** Linux's number for "these pages are not needed"; what is read there again comes from the file. */
const dontNeed = 4

/**
 * Takes the pages of these files out of the process. A library of many operations registers each while it is loaded,
 * and Linux maps 64 KiB around every byte that is touched: of TensorFlow 250 MiB, of which a training step reads 70.
 * Does nothing where the system is not Linux or C functions cannot be called.
 */
export const releasePages = (path: RegExp): void => {
  if (process.platform !== 'linux') return
  try {
    const f = foreign()
    const madvise = f.words(f.symbol(f.open('libc.so.6'), 'madvise'), 3)
    for (const { begin, end, resident } of fileMappings(path))
      if (resident > 0) madvise(begin, end - begin, dontNeed)
  } catch {
    // it is a saving alone
  }
}
