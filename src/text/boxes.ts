/**
 * What stands in `\boxed{…}`, found in one pass, however deep the braces are.
 *
 * @since 0.1.0
 */

/** A box in a text, by the places of its characters. */
export interface BoxedText {
  /** Where its content begins. */
  readonly from: number
  /** Where its content ends. */
  readonly to: number
  readonly start: number
  readonly end: number
  /** False where its brace is open to the end of the text. */
  readonly closed: boolean
}

const word = 'boxed'

/**
 * All boxes, in the order in which they begin, those in a box and those that are never closed too. Braces after a backslash are
 * text.
 *
 * @category text
 */
export const boxesIn = (text: string): readonly BoxedText[] => {
  const boxes: BoxedText[] = []
  /** Where each open brace's box begins; -1 where the brace opens none. */
  const starts: number[] = []
  const insides: number[] = []
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '\\') {
      if (!text.startsWith(word, i + 1)) {
        // a backslash hides the next character, unless that is the backslash of a box
        if (!text.startsWith(`\\${word}`, i + 1)) i++
        continue
      }
      let at = i + 1 + word.length
      while (text[at] === ' ') at++
      if (text[at] === '{') {
        starts.push(i)
        insides.push(at + 1)
        i = at
        continue
      }
      const from = at
      while (at < text.length && !/[\s$\\{}]/.test(text[at]!)) at++
      if (at > from && !/[A-Za-z]/.test(text[i + 1 + word.length]!))
        boxes.push({ from, to: at, start: i, end: at, closed: true })
      i = at - 1
    } else if (c === '{') {
      starts.push(-1)
      insides.push(i + 1)
    } else if (c === '}' && starts.length > 0) {
      const start = starts.pop()!
      const from = insides.pop()!
      if (start >= 0) boxes.push({ from, to: i, start, end: i + 1, closed: true })
    }
  }
  const end = text.length
  for (const [i, start] of starts.entries())
    if (start >= 0) boxes.push({ from: insides[i]!, to: end, start, end, closed: false })
  return boxes.sort((a, b) => a.start - b.start)
}

const closedIn = (text: string): readonly BoxedText[] => boxesIn(text).filter((box) => box.closed)

/**
 * The content of the last `\boxed{…}` that is closed; the inner one of a box in a box. Null where there is none.
 *
 * @example
 * lastBoxed('so \\boxed{1} or \\boxed{\\frac{1}{2}}') // '\\frac{1}{2}'
 * lastBoxed('\\boxed{1') // null
 *
 * @category verifiers
 */
export const lastBoxed = (text: string): string | null => {
  const last = closedIn(text).at(-1)
  return last === undefined ? null : text.slice(last.from, last.to)
}

const between = /\\text\s*\{\s*(?:and|or)\s*\}|\\q?quad|\\[,;: ]|\b(?:and|or)\b|[\s$,;]/g

/**
 * The contents of the last box and of the ones before it that nothing but commas, `and`, `or` and space separates: several
 * answers in boxes of their own. Empty where there is none.
 *
 * @category verifiers
 */
export const lastBoxes = (text: string): readonly string[] => {
  const boxes = closedIn(text).filter((box, i, all) => {
    const next = all[i + 1]
    return next === undefined || next.start >= box.end
  })
  const taken: string[] = []
  for (let i = boxes.length - 1; i >= 0; i--) {
    const after = boxes[i + 1]
    if (after !== undefined) {
      const gap = text.slice(boxes[i]!.end, after.start)
      if (gap.length > 80 || gap.replaceAll(between, '') !== '') break
    }
    taken.unshift(text.slice(boxes[i]!.from, boxes[i]!.to))
  }
  return taken
}
