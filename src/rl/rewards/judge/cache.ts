/**
 * Replies by what was asked, in memory and, where a file is named, on disk.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { appendFile, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../../../formats/index.ts'

/** Replies by content. */
interface ReplyCache {
  /** Why its file can keep nothing; undefined where it can, or where none is named. */
  readonly unusable: () => Promise<string | undefined>
  readonly get: (key: string) => Promise<string | undefined>
  /** Whether it is kept for the next run as well. Never rejects: a reply that cannot be written is asked for again there. */
  readonly put: (key: string, reply: string) => Promise<boolean>
}

/** The key of what is asked: a checksum of all that determines the reply. */
export const contentKey = (asked: unknown): string =>
  createHash('sha256').update(JSON.stringify(asked)).digest('hex')

/** A reply and its key; undefined of a line that a killed process left half written. */
const replyIn = (line: string): readonly [key: string, reply: string] | undefined => {
  try {
    const { key, reply } = JSON.parse(line) as { readonly key: unknown; readonly reply: unknown }
    return typeof key === 'string' && typeof reply === 'string' ? [key, reply] : undefined
  } catch {
    return undefined
  }
}

/** Reads a file's replies, line by line, and gives what is to be written before the next one. */
const readInto = async (known: Map<string, string>, file: string): Promise<string> => {
  await makeFolder(dirname(file))
  // also sees that it can be written
  const opened = await open(file, 'a+')
  try {
    for await (const line of opened.readLines({ autoClose: false, start: 0 })) {
      const kept = replyIn(line)
      if (kept !== undefined) known.set(...kept)
    }
    const { size } = await opened.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await opened.read(last, 0, 1, size - 1)
    // what was cut off must not swallow the next line
    return size === 0 || last.toString() === '\n' ? '' : '\n'
  } finally {
    await opened.close()
  }
}

/** A cache in memory; with a file, one that outlives the process: a line of JSON a reply, of which broken ones are passed over. */
export const replyCache = (file?: string): ReplyCache => {
  const known = new Map<string, string>()
  let before = ''
  let reading: Promise<string | undefined> | undefined
  let writing: Promise<boolean> = Promise.resolve(true)
  const unusable = (): Promise<string | undefined> => {
    reading ??= (async () => {
      if (file === undefined) return undefined
      try {
        before = await readInto(known, file)
        return undefined
      } catch (e) {
        return `cacheFile ${file} can keep no replies: ${(e as Error).message}`
      }
    })()
    return reading
  }
  return {
    unusable,
    get: async (key) => {
      await unusable()
      return known.get(key)
    },
    put: async (key, reply) => {
      known.set(key, reply)
      if (file === undefined) return true
      writing = writing.then(async () => {
        try {
          await appendFile(file, `${before}${JSON.stringify({ key, reply })}\n`)
          before = ''
          return true
        } catch {
          return false
        }
      })
      return writing
    },
  }
}
