/**
 * A text that comes token by token: what can be shown of it already, and where it must stop.
 *
 * @since 0.1.0
 */
import type { TextTokenizer } from '../data/index.ts'

/** A text on its way. */
interface TextStream {
  /**
   * What a further token makes readable. Held back is what is half a character, and what may be the beginning of a text
   * at which the answer stops.
   */
  readonly push: (id: number) => string
  /** What was held back; nothing may be pushed after it. */
  readonly end: () => string
  /** Whether a text was met at which the answer stops; neither it nor what is behind it is given. */
  readonly stopped: () => boolean
}

/** How much of the end of a text may become one of these. */
const begun = (text: string, stops: readonly string[]): number =>
  Math.max(
    0,
    ...stops.map((stop) => {
      let n = Math.min(stop.length - 1, text.length)
      while (n > 0 && !text.endsWith(stop.slice(0, n))) n--
      return n
    }),
  )

/** Begins a text. What it gives, joined, is the text of the tokens but `hidden` ones, up to the first of `stops`. */
export const textStream = (
  tokenizer: TextTokenizer,
  stops: readonly string[] = [],
  hidden: ReadonlySet<number> = new Set(),
): TextStream => {
  /** Tokens from the last ones that were read on; those before `read` are there for what they change in what follows. */
  let ids: number[] = []
  let read = 0
  let held = ''
  let stopped = false
  const decode = (some: readonly number[]): string => (some.length === 0 ? '' : tokenizer.decode(some))

  const readable = (last: boolean): string => {
    const text = decode(ids)
    // a token may end inside a character, which the next one completes
    if (!last && text.endsWith('\ufffd')) return ''
    const more = text.slice(decode(ids.slice(0, read)).length)
    ids = ids.slice(read)
    read = ids.length
    return more
  }
  const given = (more: string, last: boolean): string => {
    held += more
    const found = stops.map((s) => held.indexOf(s)).filter((at) => at >= 0)
    if (found.length > 0) {
      stopped = true
      return held.slice(0, Math.min(...found))
    }
    const kept = last ? 0 : begun(held, stops)
    const out = held.slice(0, held.length - kept)
    held = held.slice(held.length - kept)
    return out
  }
  return {
    push: (id) => {
      if (stopped || hidden.has(id)) return ''
      ids.push(id)
      return given(readable(false), false)
    },
    end: () => (stopped ? '' : given(readable(true), true)),
    stopped: () => stopped,
  }
}
