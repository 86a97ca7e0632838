/**
 * One file taken from a {@link Shelf}: in pieces that go on where they ended, checked, and put in its place by rename.
 *
 * @since 0.1.0
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { makeFolder } from '../folder.ts'
import { HubError, hubErrorOf } from './hub-error.ts'
import type { Shelf, ShelfFile } from './shelf.ts'

/** How a file is taken. */
export interface TakeOptions {
  readonly signal: AbortSignal
  /** Told of bytes as they come, those that were there already first. */
  readonly onBytes: (bytes: number) => void
  /** Tries in a row in which nothing comes, before it is given up. */
  readonly tries: number
  /** Milliseconds before the second try; twice as long before each further one. */
  readonly pause: number
  /** Milliseconds without a byte after which a connection counts as cut. */
  readonly stall: number
}

/** Bytes of a file; undefined where there is none. */
export const sizeOf = async (path: string): Promise<number | undefined> =>
  (await stat(path).catch(() => undefined))?.size

const hasherOf = ({ sum, bytes }: ShelfFile): Hash =>
  sum?.kind === 'git' ? createHash('sha1').update(`blob ${bytes}\0`) : createHash('sha256')

const hashed = async (path: string, into: Hash): Promise<Hash> => {
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) into.update(chunk as Buffer)
  return into
}

/** Whether a file is whole: of that size and, where one is told, with that checksum. */
export const isWhole = async (path: string, file: ShelfFile): Promise<boolean> => {
  if ((await sizeOf(path)) !== file.bytes) return false
  return file.sum === undefined || (await hashed(path, hasherOf(file))).digest('hex') === file.sum.hex
}

/** The name under which a file comes: that of another content is another. */
export const partName = (file: ShelfFile): string =>
  `${file.path}.${file.sum?.hex.slice(0, 12) ?? file.bytes}.part`

/** Appends what comes after what is there; gives how much came, and why it ended early. */
const append = async (
  shelf: Shelf,
  file: ShelfFile,
  part: string,
  into: Hash,
  from: number,
  o: TakeOptions,
): Promise<{ readonly at: number; readonly ended?: HubError }> => {
  const stalled = new AbortController()
  const handle = await open(part, 'a')
  let at = from
  let timer = setTimeout(() => stalled.abort(), o.stall)
  try {
    for await (const chunk of shelf.read(file, from, AbortSignal.any([o.signal, stalled.signal]))) {
      clearTimeout(timer)
      timer = setTimeout(() => stalled.abort(), o.stall)
      let written = 0
      while (written < chunk.length) written += (await handle.write(chunk, written)).bytesWritten
      into.update(chunk)
      at += chunk.length
      o.onBytes(chunk.length)
      // no more than was said: what comes is something else
      if (at > file.bytes) break
    }
    await handle.sync()
  } catch (e) {
    if (o.signal.aborted) throw new HubError('Interrupted', `${file.path}: stopped; what has come stays`, e)
    if (stalled.signal.aborted)
      return { at, ended: new HubError('Cut', `${file.path}: nothing came any more`) }
    const error = hubErrorOf(file.path)(e)
    if (error.tag !== 'Cut' && error.tag !== 'BadListing') throw error
    return { at, ended: error }
  } finally {
    clearTimeout(timer)
    await handle.close()
  }
  return { at }
}

/** Takes the whole of a file into its part, or throws. Gives whether it is what it should be. */
const filled = async (shelf: Shelf, file: ShelfFile, part: string, o: TakeOptions): Promise<boolean> => {
  let into = hasherOf(file)
  let at = (await sizeOf(part)) ?? 0
  if (at > file.bytes) {
    await rm(part)
    at = 0
  }
  if (at > 0) await hashed(part, into)
  o.onBytes(at)
  // what comes again after a start from the first byte is no progress
  let most = at
  for (let failures = 0; at < file.bytes; ) {
    const { at: now, ended } = await append(shelf, file, part, into, at, o)
    failures = now > most ? 0 : failures + 1
    most = Math.max(most, now)
    at = now
    if (at >= file.bytes) break
    if (ended?.tag === 'BadListing') {
      // who cannot send a part sends it from the start
      await rm(part, { force: true })
      o.onBytes(-at)
      into = hasherOf(file)
      at = 0
    }
    if (failures >= o.tries)
      throw new HubError(
        'Cut',
        `${ended?.message ?? `${file.path}: the connection was cut`} at byte ${at} of ${file.bytes}, ${o.tries} times without a byte more: start again, it goes on there`,
        ended,
      )
    if (failures > 0) {
      await wait(o.pause * 2 ** (failures - 1), undefined, { signal: o.signal }).catch((e) => {
        throw new HubError('Interrupted', `${file.path}: stopped; what has come stays`, e)
      })
    }
  }
  return at === file.bytes && (file.sum === undefined || into.digest('hex') === file.sum.hex)
}

/**
 * Brings one file into a folder. A file that is there and whole is left alone; a part that an earlier start left is gone on
 * with; what is not what the shelf says is taken once more from its first byte, and is then an error.
 *
 * @returns whether anything had to be taken
 */
export const takeFile = async (
  shelf: Shelf,
  file: ShelfFile,
  folder: string,
  o: TakeOptions,
): Promise<boolean> => {
  const path = join(folder, file.path)
  const part = join(folder, partName(file))
  try {
    await makeFolder(dirname(path))
    if (await isWhole(path, file)) {
      o.onBytes(file.bytes)
      return false
    }
    if (file.bytes === 0) await (await open(part, 'w')).close()
    for (let again = false; !(await filled(shelf, file, part, o)); again = true) {
      const came = (await sizeOf(part)) ?? 0
      await rm(part, { force: true })
      o.onBytes(-came)
      if (again)
        throw new HubError(
          'Checksum',
          `${file.path}: what came is not what ${shelf.name} says it is (${came} bytes, ${file.sum?.kind ?? 'size'} ${file.sum?.hex.slice(0, 12) ?? file.bytes} expected), twice from its first byte on: the mirror or something in between changes it`,
        )
    }
    await rename(part, path)
    return true
  } catch (e) {
    throw hubErrorOf(path)(e)
  }
}
