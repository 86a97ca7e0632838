/**
 * The files that a run reads its data from, and their checksums: what a run's identity says of data.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'

/** A file of data as it was when a run began. */
export interface DataFile {
  readonly file: string
  readonly bytes: number
  /** Bytes of it that the checksum is of: all of them, or as many in blocks that lie all over it. */
  readonly read: number
  readonly sha256: string
  /** Of JSON and tables: bytes of the images and videos that what was read names, in the order in which it does; null where there is none. */
  readonly named?: readonly (number | null)[] | undefined
}

/** Bytes that are read of all files together: as much takes less than a second. */
const readable = 2 ** 28
/** Bytes of a block, where a file is not read whole. */
const block = 2 ** 16

/** The sources of files in plain data: whatever names a file and its bytes. */
const filesIn = (config: unknown): readonly (readonly [file: string, bytes: number])[] => {
  if (typeof config !== 'object' || config === null) return []
  const { file, bytes } = config as { readonly file?: unknown; readonly bytes?: unknown }
  const own = typeof file === 'string' && typeof bytes === 'number' ? [[file, bytes] as const] : []
  return [...own, ...Object.values(config).flatMap(filesIn)]
}

/** Where to read: all of it, or blocks at equal distances, of which one is the first and one the last. */
const places = (bytes: number, read: number): readonly (readonly [from: number, length: number])[] => {
  const count = bytes === read ? Math.ceil(bytes / block) : Math.max(2, Math.floor(read / block))
  return Array.from({ length: count }, (_, i) => {
    const from = bytes === read ? i * block : Math.floor((i * (bytes - block)) / (count - 1))
    return [from, Math.min(block, bytes - from)] as const
  })
}

/** What is at a place of an opened file; less where the file ends. One read may give a part of it. */
const readAt = (opened: number, from: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  let at = 0
  for (let n = -1; at < length && n !== 0; at += n) n = readSync(opened, bytes, at, length - at, from + at)
  return bytes.subarray(0, at)
}

/** The ends of names of images and videos. */
const ends = 'png|jpe?g|webp|gif|tiff?|bmp|avif|mp4|m4v|mov|mkv|webm|avi'
/** The end of a text in JSON that names an image or a video. */
const mediumEnd = new RegExp(`\\.(?:${ends})"`, 'gi')
/** The end of a value in a table that names one. */
const mediumValueEnd = new RegExp(`\\.(?:${ends})(?=[",\\t\\r\\n])`, 'gi')
/** Letters of the longest name that is looked for. */
const longestName = 2 ** 12
/** Bytes of a file in which names are looked for: of more in every second, third, … block. */
const searched = 2 ** 25
/** Images and videos of a file that are looked at: of more every second, third, … one. */
const mostNamed = 10_000

/** The names of images and videos in JSON that may begin and end anywhere, its bytes as letters. */
const namesInJson = (text: string): readonly string[] =>
  [...text.matchAll(mediumEnd)].flatMap(({ index, 0: { length } }) => {
    const begin = text.lastIndexOf('"', index)
    if (begin < 0 || index - begin > longestName) return []
    try {
      return [JSON.parse(Buffer.from(text.slice(begin, index + length), 'latin1').toString()) as string]
    } catch {
      return []
    }
  })

/** The same in a table. */
const namesInTable = (text: string): readonly string[] =>
  [...text.matchAll(mediumValueEnd)].map(({ index, 0: end }) => {
    const before = text.slice(Math.max(0, index - longestName), index)
    const begin = Math.max(...[...'",\t\r\n'].map((c) => before.lastIndexOf(c))) + 1
    return Buffer.from(before.slice(begin) + end, 'latin1').toString()
  })

/** How a file tells names, by its own; undefined where it is not looked for any. */
const namesOf = (file: string): ((text: string) => readonly string[]) | undefined =>
  /\.(jsonl?|ndjson)$/i.test(file) ? namesInJson : /\.(csv|tsv)$/i.test(file) ? namesInTable : undefined

/** Null where there is no such file, or none that may be seen. */
const sizeOf = (path: string): number | null => {
  try {
    return statSync(path).size
  } catch {
    return null
  }
}

/** Those that a file names of which the size is taken, as paths. */
const chosen = (file: string, names: ReadonlySet<string>): readonly string[] => {
  const every = Math.ceil(names.size / mostNamed)
  return [...names]
    .filter((_, i) => i % every === 0)
    .map((name) => (isAbsolute(name) ? name : join(dirname(file), name)))
}

/** What is seen of a file. */
interface Seen {
  readonly sha256: string
  readonly named: readonly string[]
}

const seenOf = (file: string, bytes: number, read: number): Seen => {
  const hash = createHash('sha256')
  const names = new Set<string>()
  const namesIn = namesOf(file)
  const every = Math.ceil(read / searched)
  const opened = openSync(file, 'r')
  let end = 0
  let tail = ''
  try {
    for (const [i, [from, length]] of places(bytes, read).entries()) {
      const part = readAt(opened, from, length)
      hash.update(part)
      if (namesIn === undefined || i % every !== 0) continue
      // a name may stand across two blocks
      const text = (from === end ? tail : '') + part.toString('latin1')
      for (const name of namesIn(text)) names.add(name)
      end = from + length
      tail = text.slice(-longestName)
    }
  } finally {
    closeSync(opened)
  }
  return { sha256: hash.digest('hex'), named: chosen(file, names) }
}

/** Undefined where it cannot be read: what a user's own source names so may be no file. */
const seen = (file: string, bytes: number, read: number): Seen | undefined => {
  try {
    return seenOf(file, bytes, read)
  } catch {
    return undefined
  }
}

/**
 * The files of a recipe's data with a checksum of what is in them, in the order of their names: of all that they hold up to
 * 256 MiB together, of more of blocks that lie all over each file. Of the images and videos that JSON and tables name there the
 * size is taken, of at most ten thousand a file.
 */
export const dataFiles = (recipe: unknown): readonly DataFile[] => {
  const all = [...new Map(filesIn(recipe))].sort(([a], [b]) => (a < b ? -1 : 1))
  const whole = all.reduce((n, [, bytes]) => n + bytes, 0) <= readable
  return all.flatMap(([file, bytes]) => {
    // a block at least: less of a file is none that could be read
    const read = whole ? bytes : Math.min(bytes, Math.max(block, Math.floor(readable / all.length)))
    const found = seen(file, bytes, read)
    if (found === undefined) return []
    const named = found.named.length === 0 ? undefined : found.named.map(sizeOf)
    return [{ file, bytes, read, sha256: found.sha256, named }]
  })
}

const shownBytes = (bytes: number | null): string => (bytes === null ? 'missing' : `${bytes} bytes`)

/** What a file held and holds, a line for each thing that is another. How much was read of it depends on the files beside it: as much is read again. */
const changesOf = (then: DataFile, now: DataFile): readonly string[] => {
  const other = (now: string): readonly string[] => [`${then.file}: ${then.bytes} bytes then, ${now} now`]
  if (then.bytes !== now.bytes) return other(`${now.bytes}`)
  const isSame = then.named === undefined || then.named.join() === now.named?.join()
  if (isSame && then.read === now.read && then.sha256 === now.sha256) return []
  const found = seen(now.file, now.bytes, then.read)
  if (found === undefined) return other('not to be read')
  if (found.sha256 !== then.sha256) return other('as many others')
  return (then.named ?? []).flatMap((before, i) => {
    const path = found.named[i]!
    const size = sizeOf(path)
    return before === size
      ? []
      : [`${path}, which ${then.file} names: ${shownBytes(before)} then, ${shownBytes(size)} now`]
  })
}

/**
 * Files that hold something else than they did, and images and videos of theirs that are others, each a line for a reader; a
 * file that is new or gone is another setting.
 *
 * @param of plain data that names files, such as a stage's; default: all
 */
export const changedData = (
  then: readonly DataFile[] = [],
  now: readonly DataFile[] = [],
  of?: unknown,
): readonly string[] => {
  const here = new Map(now.map((f) => [f.file, f]))
  const asked = of === undefined ? undefined : new Map(filesIn(of))
  return then.flatMap((before) => {
    const found = asked?.has(before.file) === false ? undefined : here.get(before.file)
    return found === undefined ? [] : changesOf(before, found)
  })
}
