/**
 * Files of a tar archive, one after the other, as a stream.
 *
 * @since 0.1.0
 */
import { blocksOf } from './blocks.ts'
import { RowsError } from './row.ts'

/** A file of an archive. */
export interface TarFile {
  readonly name: string
  readonly bytes: Buffer
  /** The byte at which its headers begin, and the one behind its content: where a reading can begin. */
  readonly begin: number
  readonly end: number
}

const block = 512
const padded = (size: number): number => Math.ceil(size / block) * block

/** Files are read whole; a larger one is no sample. */
const largest = 2 ** 30

const text = (b: Buffer): string => b.toString('utf8').replace(/\0.*$/s, '')

/** A number in octal digits, or where it is too large for those in binary. */
const numberOf = (b: Buffer): number =>
  (b[0]! & 0x80) === 0
    ? Number.parseInt(text(b).trim() || '0', 8)
    : b.subarray(1).reduce((n, byte) => n * 256 + byte, b[0]! & 0x7f)

/** A header's sum is that of its bytes, with spaces in place of the sum itself. */
const isHeader = (h: Buffer): boolean => {
  let sum = 8 * 32
  for (let i = 0; i < block; i++) if (i < 148 || i >= 156) sum += h[i]!
  return numberOf(h.subarray(148, 156)) === sum
}

/** What an extended header (POSIX pax) says of the next file: records of `length key=value` and a newline. */
const extended = (b: Buffer): ReadonlyMap<string, string> => {
  const said = new Map<string, string>()
  for (let at = 0; at < b.length; ) {
    const length = Number.parseInt(b.toString('latin1', at, at + 20), 10)
    if (!(length > 0)) break
    const record = b.toString('utf8', b.indexOf(32, at) + 1, at + length - 1)
    const equals = record.indexOf('=')
    said.set(record.slice(0, equals), record.slice(equals + 1))
    at += length
  }
  return said
}

const nameOf = (h: Buffer): string => {
  const prefix = h.toString('latin1', 257, 262) === 'ustar' && h[263] === 48 ? text(h.subarray(345, 500)) : ''
  const name = text(h.subarray(0, 100))
  return prefix === '' ? name : `${prefix}/${name}`
}

/**
 * The files of an archive, perhaps compressed by gzip (ustar, with POSIX's and GNU's long names) from a byte on; folders and links are passed over.
 *
 * @throws RowsError where it is no archive, or ends in the middle
 */
export async function* tarFiles(file: string, from = 0): AsyncGenerator<TarFile> {
  const broken = (what: string): RowsError => new RowsError('BadFile', file, what)
  let have: Buffer = Buffer.alloc(0)
  let at = from
  const blocks = blocksOf(file, from)
  /** The next bytes; fewer at the archive's end. */
  const take = async (n: number): Promise<Buffer> => {
    const parts = [have]
    let length = have.length
    while (length < n) {
      const { value, done } = await blocks.next()
      if (done) break
      parts.push(value)
      length += value.length
    }
    const all = parts.length === 1 ? have : Buffer.concat(parts)
    have = all.subarray(n)
    const taken = all.subarray(0, n)
    at += taken.length
    return taken
  }
  try {
    let begin = at
    let said: ReadonlyMap<string, string> = new Map()
    let empty = 0
    while (empty < 2) {
      const header = await take(block)
      if (header.length === 0 && empty > 0) return
      if (header.length === 0) throw broken('it ends without an end mark; is it whole?')
      if (header.length < block) throw broken(`it ends in the middle of a header, at byte ${at}`)
      if (header.every((b) => b === 0)) {
        empty++
        continue
      }
      empty = 0
      if (!isHeader(header)) throw broken(`there is no tar header at byte ${at - block}; is it an archive?`)
      const size = said.has('size') ? Number(said.get('size')) : numberOf(header.subarray(124, 136))
      if (!(size >= 0 && size <= largest))
        throw broken(`the file at byte ${begin} has ${size} bytes; at most ${largest} are read`)
      const content = await take(padded(size))
      if (content.length < padded(size)) throw broken(`it ends in the middle of the file at byte ${begin}`)
      const bytes = content.subarray(0, size)
      const kind = String.fromCharCode(header[156]!)
      if (kind === 'x') said = new Map([...said, ...extended(bytes)])
      else if (kind === 'L') said = new Map([...said, ['path', text(bytes)]])
      else if (kind !== 'g') {
        if (kind === '0' || kind === '\0')
          yield { name: said.get('path') ?? nameOf(header), bytes, begin, end: at }
        said = new Map()
        begin = at
      }
    }
  } finally {
    await blocks.return(undefined)
  }
}
