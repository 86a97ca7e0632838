/**
 * Replies by what was asked, in memory and, where a file is named, on disk.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { appendFile, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../../../formats/index.ts'

/** Replies by content. */
interface ReplyCache {
  readonly get: (key: string) => Promise<string | undefined>
  /** Never rejects: a reply that cannot be written is asked for again by the next run. */
  readonly put: (key: string, reply: string) => Promise<void>
}

/** The key of what is asked: a checksum of all that determines the reply. */
export const contentKey = (asked: unknown): string =>
  createHash('sha256').update(JSON.stringify(asked)).digest('hex')

/** A cache in memory; with a file, one that outlives the process: a line of JSON a reply, of which broken ones are passed over. */
export const replyCache = (file?: string): ReplyCache => {
  const known = new Map<string, string>()
  let opened: Promise<void> | undefined
  let writing: Promise<void> = Promise.resolve()
  const open = async (): Promise<void> => {
    if (file === undefined) return
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const line of text.split('\n')) {
      try {
        const { key, reply } = JSON.parse(line) as { readonly key: unknown; readonly reply: unknown }
        if (typeof key === 'string' && typeof reply === 'string') known.set(key, reply)
      } catch {
        // a line that a killed process left half written
      }
    }
    // what was cut off must not swallow the next line
    if (text !== '' && !text.endsWith('\n')) await appendFile(file, '\n').catch(() => {})
  }
  return {
    get: async (key) => {
      opened ??= open()
      await opened
      return known.get(key)
    },
    put: async (key, reply) => {
      known.set(key, reply)
      if (file === undefined) return
      writing = writing
        .then(async () => {
          await makeFolder(dirname(file))
          await appendFile(file, `${JSON.stringify({ key, reply })}\n`)
        })
        .catch(() => {})
      await writing
    },
  }
}
