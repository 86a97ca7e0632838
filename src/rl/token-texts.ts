/**
 * What each token of a completion reads as.
 *
 * @since 0.1.0
 */

/** What turns ids into text. */
interface Decodes {
  readonly decode: (ids: ArrayLike<number>) => string
}

const halfACharacter = '\uFFFD'

/** Of a completion: the token that ends the turn, where it has one, is no part of its text and stands alone. Shape [token]. */
export const completionTexts = (
  tokenizer: Decodes,
  ids: readonly number[],
  ended: boolean,
): readonly string[] => {
  const written = ended ? ids.slice(0, -1) : ids
  return [...tokenTexts(tokenizer, written), ...ids.slice(written.length).map((id) => tokenizer.decode([id]))]
}

/**
 * The text of each token; one after the other they are the text of all. A character that several tokens make together is the last
 * one's, and the others read as nothing. Shape [token].
 */
export const tokenTexts = ({ decode }: Decodes, ids: readonly number[]): readonly string[] => {
  const texts: string[] = []
  // a token is read behind those before it, since a tokenizer may put a blank between two
  let [from, read] = [0, 0]
  let before = ''
  for (let i = 0; i < ids.length; i++) {
    const text = decode(ids.slice(from, i + 1))
    const last = i === ids.length - 1
    if (!last && (text.endsWith(halfACharacter) || !text.startsWith(before))) {
      texts.push('')
      continue
    }
    texts.push(text.slice(before.length))
    ;[from, read] = [read, i + 1]
    before = from === read ? '' : decode(ids.slice(from, read))
  }
  return texts
}
