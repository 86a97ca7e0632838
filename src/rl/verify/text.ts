/**
 * Answers as text: what surrounds them taken away, and how two are compared word by word.
 *
 * @since 0.1.0
 */

/** Characters of Unicode's decimal digits begin at a multiple of 16, or 6 after one. */
const digitOf = (c: string): string => {
  const code = c.codePointAt(0)!
  // the mathematical digits stand in five styles one after the other
  if (code >= 0x1d7ce && code <= 0x1d7ff) return String((code - 0x1d7ce) % 10)
  const low = code & 15
  return String(low >= 6 && !/\p{Nd}/u.test(String.fromCodePoint(code & ~15)) ? low - 6 : low)
}

/** The text with every decimal digit of Unicode as one of ASCII. */
export const asciiDigits = (text: string): string => text.replaceAll(/[^\P{Nd}0-9]/gu, digitOf)

/** Full-width letters, digits and signs as those of ASCII. */
export const asciiWidth = (text: string): string =>
  text
    .replaceAll(/[\uff01-\uff5e]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replaceAll('\u3000', ' ')

/** Pairs of signs that stand around a formula. */
const around: readonly (readonly [string, string])[] = [
  ['$$', '$$'],
  ['$', '$'],
  ['\\(', '\\)'],
  ['\\[', '\\]'],
  ['**', '**'],
]

/** What ends a sentence; `\\right.` ends none, and `…` is no end. */
const period = /(?<![.。\\]|\\(?:left|right|[bB]igg?[lr]?)\s{0,3})(?:\.|。)$/

const allText = /^\\(?:text|textbf|textit|textrm|mbox)\s*\{([^{}]+)\}$/

/** The answer without space, end tokens, a sentence's period, and the signs of a formula around it. */
export const bare = (text: string): string => {
  let left = text.split('<|im_end|>')[0]!.replaceAll('{:}', ':').trim()
  for (let peeled = true; peeled; ) {
    peeled = false
    if (period.test(left)) {
      left = left.slice(0, -1).trimEnd()
      peeled = true
    }
    const inside = allText.exec(left)?.[1]
    if (inside !== undefined) {
      left = inside.trim()
      peeled = true
    }
    for (const [open, close] of around) {
      const inside = left.slice(open.length, left.length - close.length)
      if (left.length <= open.length + close.length || inside.includes('$')) continue
      if (left.startsWith(open) && left.endsWith(close) && !inside.includes(open)) {
        left = inside.trim()
        peeled = true
      }
    }
  }
  return left
}

const macro = /\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|operatorname|rm|bf)\s*\{([^{}]*)\}/g

/** The text in small letters, without commands of type, without outer signs, with single spaces. */
export const plainWords = (text: string): string =>
  asciiWidth(bare(text))
    .normalize('NFC')
    .replaceAll(macro, '$1')
    .replaceAll(/\\(?:left|right|displaystyle|quad|qquad|[,;:! ])|~/g, ' ')
    .replaceAll(/(?<=\d)\s*([ap])\.?m\b\.?/gi, ' $1m')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/^["'“”‘’]+|(?<!["'“”‘’.,;:])["'“”‘’.,;:]+$|(?<=\p{L})[!?]+$/gu, '')
    .trim()
    .toLowerCase()
