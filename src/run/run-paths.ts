/** How a run's folder and the files in it are called. */
import { createHash } from 'node:crypto'
import { isAbsolute, relative, resolve, sep } from 'node:path'

export const eventsFile = 'events.jsonl'

/**
 * `runs/<name>-<yyyymmdd-hhmmss>` in local time; characters that file names dislike become hyphens.
 *
 * @example
 * defaultRunFolder('recipe nano', new Date(2026, 10, 23, 9, 5, 7)) // 'runs/recipe-nano-20261123-090507'
 */
export const defaultRunFolder = (name: string, at: Date): string => {
  const two = (n: number): string => String(n).padStart(2, '0')
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`
  const time = `${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
  return `runs/${fileName(name) || 'run'}-${day}-${time}`
}

const fileName = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')

/** Names that a system keeps for itself, and those that look as if they had a checksum already. */
const unusable = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|-[0-9a-f]{16}$/

/**
 * A file name for any text, another one for another text, also where a system does not tell capitals from small letters: a
 * short text of small letters, digits and `._-` as it is, any other with a checksum of 64 bits at its end.
 */
export const ownFileName = (text: string): string => {
  const plain = fileName(text).toLowerCase().slice(0, 80)
  if (plain === text && text !== '' && !unusable.test(text)) return text
  // as JSON, halves of surrogate pairs differ too
  const sum = createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 16)
  return `${plain || 'image'}-${sum}`
}

/**
 * A path inside a folder.
 *
 * @throws RangeError where it would lead out of the folder
 */
export const within = (root: string, parts: readonly string[]): string => {
  const path = resolve(root, ...parts)
  const from = relative(root, path)
  if (from === '..' || from.startsWith(`..${sep}`) || isAbsolute(from))
    throw new RangeError(`${parts.join('/')} leads out of the run folder ${root}; name a path inside it`)
  return path
}
