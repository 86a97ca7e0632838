/**
 * What tells rows apart where they are split.
 *
 * @since 0.4.0
 */
import { createHash } from 'node:crypto'
import type { Row } from './row.ts'

/** A path as it is written, bytes by their checksum, Hugging Face's struct by its bytes where it has some. */
const named = (medium: unknown): string => {
  if (typeof medium === 'string') return medium
  if (medium instanceof Uint8Array) return createHash('sha256').update(medium).digest('hex')
  if (Array.isArray(medium)) return medium.map(named).join('\n')
  const { bytes, path } = (medium ?? {}) as { readonly bytes?: unknown; readonly path?: unknown }
  return bytes == null ? String(path) : named(bytes)
}

/**
 * The key of a row for `split`: its images and videos where it has columns of them (`image`, `images`, `video`, `videos`), so that
 * all rows of one image are on one side; else all that its columns say.
 *
 * @example
 * const row = { columns: { image: 'shelf.png', question: 'How many?' }, file: 'rows.jsonl', line: 1 }
 * rowKey(row) // 'shelf.png'
 *
 * @category reading
 */
export const rowKey = ({ columns }: Row): string => {
  const { images, image, videos, video } = columns
  const media = [images ?? image, videos ?? video].filter((m) => m != null)
  return media.length === 0 ? JSON.stringify(columns) : media.map(named).join('\n')
}
