/**
 * The files that a run reads its data from, and their checksums: what a run's identity says of data.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'

/** A file of data as it was when a run began. */
export interface DataFile {
  readonly file: string
  readonly bytes: number
  /** Bytes of it that the checksum is of: all of them, or as many in blocks that lie all over it. */
  readonly read: number
  readonly sha256: string
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

/** Undefined where it cannot be read: what a user's own source names so may be no file. */
const checksum = (file: string, bytes: number, read: number): string | undefined => {
  try {
    return checksumOf(file, bytes, read)
  } catch {
    return undefined
  }
}

const checksumOf = (file: string, bytes: number, read: number): string => {
  const hash = createHash('sha256')
  const room = Buffer.alloc(block)
  const opened = openSync(file, 'r')
  try {
    for (const [from, length] of places(bytes, read))
      hash.update(room.subarray(0, readSync(opened, room, 0, length, from)))
  } finally {
    closeSync(opened)
  }
  return hash.digest('hex')
}

/**
 * The files of a recipe's data with a checksum of what is in them, in the order of their names: of all that they hold up to
 * 256 MiB together, of more of blocks that lie all over each file.
 */
export const dataFiles = (recipe: unknown): readonly DataFile[] => {
  const all = [...new Map(filesIn(recipe))].sort(([a], [b]) => (a < b ? -1 : 1))
  const whole = all.reduce((n, [, bytes]) => n + bytes, 0) <= readable
  return all.flatMap(([file, bytes]) => {
    const read = whole ? bytes : Math.min(bytes, Math.floor(readable / all.length))
    const sha256 = checksum(file, bytes, read)
    return sha256 === undefined ? [] : [{ file, bytes, read, sha256 }]
  })
}

/** Whether a file holds what it held. How much was read of it depends on the files beside it: as much is read again. */
const isSame = (then: DataFile, now: DataFile): boolean =>
  then.bytes === now.bytes &&
  then.sha256 === (then.read === now.read ? now.sha256 : checksum(now.file, now.bytes, then.read))

/**
 * Files that hold something else than they did, each a line for a reader; one that is new or gone is another setting.
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
    const { file, bytes } = before
    const found = asked?.has(file) === false ? undefined : here.get(file)
    if (found === undefined || isSame(before, found)) return []
    return [`${file}: ${bytes} bytes then, ${bytes === found.bytes ? 'as many others' : found.bytes} now`]
  })
}
