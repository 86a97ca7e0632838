/**
 * Rows of one JSON list, read as a stream: no more than an element and a block of the file are in memory.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Source } from '../source.ts'
import { blocksOf, startOf } from './blocks.ts'
import { fileRows } from './file-rows.ts'
import { type Row, RowError, type RowOptions, RowsError } from './row.ts'
import { columnsOf, textOf } from './row-of-json.ts'

/** An element of a list, and the byte behind it. */
interface Element {
  readonly bytes: Buffer
  readonly end: number
}

/** A row of more bytes is none, and is not gathered in memory. */
const longestRow = 2 ** 28

const [quote, backslash, comma, open, close] = [...'"\\,[]'].map((c) => c.charCodeAt(0))
const opening = new Set([...'[{'].map((c) => c.charCodeAt(0)))
const closing = new Set([...']}'].map((c) => c.charCodeAt(0)))
/** Whitespace of JSON, and the bytes of a mark that says UTF-8. */
const blank = new Set([0x20, 0x0a, 0x0d, 0x09, 0xef, 0xbb, 0xbf])

/**
 * The elements of a file's list: from its beginning, or from the byte behind one of them on, of which `row` are before it.
 * Brackets and quotes are counted; what stands between them is not looked at.
 */
async function* elementsOf(file: string, byte: number, row: number): AsyncGenerator<Element> {
  const bad = (what: string): RowsError => new RowsError('BadFile', file, what)
  let where: 'before' | 'behind an element' | 'in an element' | 'behind' =
    byte === 0 ? 'before' : 'behind an element'
  let parts: Buffer[] = []
  let [length, depth, inText, escaped] = [0, 0, false, false]
  let begin = byte
  for await (const block of blocksOf(file, byte)) {
    let from = 0
    for (let at = 0; at < block.length; at++) {
      const c = block[at]!
      if (escaped) escaped = false
      else if (inText) {
        if (c === backslash) escaped = true
        else if (c === quote) inText = false
      } else if (where === 'in an element') {
        if (c === quote) inText = true
        else if (opening.has(c)) depth++
        else if (depth > 0 && closing.has(c)) depth--
        else if (depth === 0 && (c === comma || c === close)) {
          const bytes = Buffer.concat([...parts, block.subarray(from, at)])
          parts = []
          length = 0
          row++
          where = c === comma ? 'in an element' : 'behind'
          from = at + 1
          // an empty list has no element
          if (row > 1 || c === comma || !bytes.every((b) => blank.has(b))) yield { bytes, end: begin + at }
        }
      } else if (!blank.has(c)) {
        if (where === 'behind')
          throw bad(`something follows the list's end at byte ${begin + at}; give one list of rows`)
        if (c !== (where === 'before' ? open : comma) && !(where === 'behind an element' && c === close))
          throw bad(
            where === 'before'
              ? 'it begins no JSON list; give [{ … }, { … }], or write one row a line as .jsonl'
              : `it has no comma at byte ${begin + at}, where a row ended; has it changed?`,
          )
        where = c === close ? 'behind' : 'in an element'
        from = at + 1
      }
    }
    begin += block.length
    if (where !== 'in an element' || from === block.length) continue
    parts.push(block.subarray(from))
    length += block.length - from
    if (length > longestRow)
      throw bad(`row ${row + 1} is longer than ${longestRow} bytes; is a quote or a bracket missing?`)
  }
  if (where === 'before') throw bad('it is empty; give a list of rows')
  if (where !== 'behind')
    throw bad(`it ends inside row ${row + 1}: a quote or a bracket is missing there, or the file is cut off`)
}

/** Whether a file, perhaps compressed, begins a JSON list. */
export const beginsList = (file: string): boolean => startOf(file).find((c) => !blank.has(c)) === open

/**
 * The rows of a JSON file that is one list of objects, perhaps compressed by gzip, once: the format of LLaVA's, Alpaca's and
 * ShareGPT's files. A row's line is its number from 1; an element that is no object is a bad row. A place is the byte behind
 * the last row and the rows before it. The run's identity has the file's path and size, and a checksum of what it holds.
 *
 * @throws RowsError where there is no such file; while it is read, where it is no list or is cut off
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const jsonList = (file: string, options: RowOptions = {}): Source<Row> =>
  fileRows('jsonList', file, options, 'row', async function* (place = { byte: 0, row: 0 }) {
    let { row } = place
    for await (const { bytes, end } of elementsOf(file, place.byte, row)) {
      row++
      yield pipe(
        textOf(bytes),
        E.chain((text) => columnsOf(text.trim())),
        E.bimap(
          (reason) => new RowError({ file, line: row }, reason),
          (columns) => ({ example: { columns, file, line: row }, next: { byte: end, row } }),
        ),
      )
    }
  })
