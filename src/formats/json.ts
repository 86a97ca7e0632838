/**
 * JSON texts as other programs write them: perhaps with a byte-order mark, perhaps with Python's words for numbers that
 * JSON does not have.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'

/** A text without the byte-order mark that some editors put before it. */
export const withoutMark = (text: string): string => (text.startsWith('\ufeff') ? text.slice(1) : text)

/** How what Git LFS leaves in a file's place begins, where it did not bring the file. */
export const lfsPointer = 'version https://git-lfs'

/** What is said of such a file. */
export const isLfsPointer = "it is a pointer of Git LFS and not the file itself; 'git lfs pull' brings it"

/** What a parser said of a file, without most of a long text that it quotes. */
export const cutShort = (message: string): string =>
  message.length <= 160 ? message : `${message.slice(0, 157)}...`

/** Where a text has NaN or Infinity outside of its strings: line and column from 1, and the word. */
const pythonNumber = (text: string): string | undefined => {
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g)) {
    if (match[0].startsWith('"')) continue
    const before = text.slice(0, match.index).split('\n')
    return `line ${before.length}, column ${before.at(-1)!.length + 1} has ${match[0]}, which JSON does not have`
  }
  return undefined
}

/** The value of a JSON text, or a sentence that says why it has none. A byte-order mark before it is passed over. */
export const parseJson = (text: string): E.Either<string, unknown> => {
  const json = withoutMark(text)
  try {
    return E.right(JSON.parse(json))
  } catch (e) {
    const { message } = e as Error
    if (json.startsWith(lfsPointer)) return E.left(isLfsPointer)
    return E.left(pythonNumber(json) ?? cutShort(message))
  }
}
