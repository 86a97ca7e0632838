/**
 * What tells rows apart where they are split.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import type { Row } from './row.ts'

/**
 * The names of what a column has: a path as it is written, bytes by their checksum, Hugging Face's struct by its bytes where it has
 * some. Data sets fill a column that a row has no use for with null, '' or an empty list: those name nothing.
 */
const names = (medium: unknown): readonly string[] => {
  if (medium == null || medium === '') return []
  if (typeof medium === 'string') return [medium]
  if (medium instanceof Uint8Array) return [createHash('sha256').update(medium).digest('hex')]
  if (Array.isArray(medium)) return medium.flatMap(names)
  const { bytes, path } = medium as { readonly bytes?: unknown; readonly path?: unknown }
  return names(bytes ?? path)
}

/** The names of the first column that has some. */
const first = (...media: readonly unknown[]): readonly string[] =>
  media.map(names).find((n) => n.length > 0) ?? []

/** What parts of messages show themselves, by whatever name a part has it. */
const shown = (messages: unknown): readonly unknown[] => {
  if (!Array.isArray(messages)) return []
  const contents = messages.map((message) => (message as { readonly content?: unknown } | null)?.content)
  return contents.flatMap((content) =>
    Array.isArray(content)
      ? content.flatMap((part) => {
          const { image_url, video_url, image, video } = (part ?? {}) as Readonly<Record<string, unknown>>
          const urls = [image_url, video_url].map((u) => (u as { readonly url?: unknown } | null)?.url ?? u)
          return [...urls, image, video]
        })
      : [],
  )
}

/**
 * The key of a row for `split`: its images and videos where it has some (columns `image`, `images`, `video`, `videos`, and parts of
 * `messages` and `prompt`), so that all rows of one image are on one side; else all that its columns say.
 *
 * @example
 * const row = { columns: { image: 'shelf.png', question: 'How many?' }, file: 'rows.jsonl', line: 1 }
 * rowKey(row) // 'shelf.png'
 *
 * @category reading
 */
export const rowKey = ({ columns }: Row): string => {
  const { images, image, videos, video, messages, prompt } = columns
  const own = [...first(images, image), ...first(videos, video)]
  const media = [...own, ...names([...shown(messages), ...shown(prompt)])]
  return media.length === 0 ? JSON.stringify(columns) : media.join('\n')
}
