/**
 * Multiple choice as free response (SAIL-VL2 §4.2.3), so that a guess among four is not right one time in four.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { onlySettings } from '../../settings/index.ts'
import { boxesIn } from '../../text/index.ts'
import type { Exchange } from '../conversation.ts'
import type { Curated } from './curated.ts'
import { type Asked, askedOf } from './options.ts'

/** Settings of {@link freeResponse}. */
export interface FreeResponseSettings {
  /** Words that an answer may have, of which anything is expected to be written the same way; default 6. */
  readonly mostWords?: number
}

/** What is asked and what is right. */
type Asking = Pick<Exchange, 'request' | 'thought' | 'answer'>

/** Sentences that say how to choose: they go with the options. */
const instruction =
  /\b(?:letters?|options?|choices?|choose|select|pick)\b|^\s*hint\s*:|^\s*(?:answers?|选项)\s*[:：]?\s*$|选项|选择/i

/** A stem's text without its instructions. `Question:` before the stem goes too. */
const withoutInstructions = (text: string): string =>
  text
    .split('\n')
    .map((line) =>
      line
        .split(/(?<=[.!?。？！:：])\s+/)
        .filter((sentence) => !(instruction.test(sentence) && !/[?？]/.test(sentence)))
        .join(' '),
    )
    .filter((line, i, all) => line.trim() !== '' || (i > 0 && all[i - 1]!.trim() !== ''))
    .join('\n')
    .replace(/^\s*question\s*:\s*/i, '')
    .trim()

/** Questions that only their options make one: each with what it says of them. */
const needing: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:the|these|those)\s+following\b|\bfollowing\s+(?:is|are|statements?|options?)\b|以下|下列/i,
    'the following',
  ],
  [/\b(?:which|what|one|any|none|all|each)\s+of\s+(?:these|those|them|the)\b/i, 'one of them'],
  [
    /\bwhich\s+(?:one|is|are|was|were|does|do|can|could|would|will|has|have|best|most|list|set|pair)\b/i,
    'which',
  ],
  [
    /\bwhich\s+(?:statements?|sentences?|expressions?|equations?|functions?|figures?|graphs?|diagrams?|tables?|pictures?|images?|numbers?|values?|terms?|words?|phrases?|propert(?:y|ies)|conclusions?|inequalit(?:y|ies)|choices?|options?|answers?)\b/i,
    'which',
  ],
  [/\b(?:options?|choices?|alternatives?)\b/i, 'options'],
  [
    /\b(?:closest|nearest)\s+to\b|\b(?:best|most\s+likely|most\s+closely|approximately|about\s+how)\b/i,
    'the nearest',
  ],
  [
    /\bexcept\b|\bNOT\b|\b(?:could|can|might|may)\s+be\b|\bis\s+(?:true|false|correct|incorrect|possible)\b/,
    'what may be',
  ],
]

/** Texts that speak of other options, or of an image. */
const about: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:all|none|any|both|neither|either|some|two|one)\s+(?:of\s+)?(?:the\s+)?(?:above|below|these|those|options?|choices?|others?|answers?)\b|以上/i,
    'speaks of other options',
  ],
  [
    /^(?:both|neither|either|only)?\s*\(?[A-J]\)?\s*(?:and|or|nor|&|,|\/)\s*\(?[A-J]\)?$/i,
    'speaks of other options',
  ],
  [/^(?:both|neither|none|all|either|other)$/i, 'speaks of other options'],
  [
    /\b(?:cannot|can't|can not|could not|impossible)\b|\bnot\s+(?:enough|sufficient|possible|given|determined)\b|\binsufficient\b/i,
    'says that there is none',
  ],
  [
    /<\s*image[^>]*>|!\[|^(?:the\s+)?(?:image|picture|figure|graph|diagram|option|choice)\s+\S+$/i,
    'is an image or a mark',
  ],
]

/** Letters and figures without what may stand around them: `\text{(B)}` is B. */
const unwrapped = (text: string): string =>
  text.replaceAll(/\\(?:text(?:bf|rm|it)?|math(?:rm|bf|it)|boxed)\b|[^\p{L}\p{N}]/gu, '')

const isLetter = (text: string): boolean => /^[A-J]$/i.test(unwrapped(text))

/** The option that an answer names by its letter, with or without its text, or by its text alone. */
const letterOf = (answer: string, options: Asked['options']): string | undefined => {
  const text = answer.trim()
  const alone = unwrapped(text).toUpperCase()
  const letters = Object.keys(options)
  if (letters.includes(alone)) return alone
  const said =
    /^(?:the\s+)?(?:correct\s+)?(?:answer|option|choice)\s*(?:is|:)?\s*\(?([A-Ja-j])\)?[.:]?$/i.exec(
      text,
    )?.[1]
  if (said !== undefined && letters.includes(said.toUpperCase())) return said.toUpperCase()
  const before = /^\(?([A-Ja-j])\s?[).:：、]\s*(.+)$/s.exec(text)
  const same = (a: string, b: string): boolean => cleanCase(a) === cleanCase(b)
  const named = before?.[1]?.toUpperCase()
  if (named !== undefined && letters.includes(named) && same(before![2]!, options[named]!)) return named
  const exact = letters.filter((letter) => same(options[letter]!, text))
  return exact.length === 1 ? exact[0] : undefined
}

const cleanCase = (text: string): string =>
  text.trim().replace(/\.$/, '').replaceAll(/\s+/g, ' ').toLowerCase()

/** Why a text is no answer that can be given without the options. */
const unfree = (text: string, mostWords: number): string | undefined => {
  if (text === '') return 'its answer is empty'
  if (isLetter(text)) return 'its answer is a letter'
  const spoken = about.find(([pattern]) => pattern.test(text.trim().replace(/\.$/, '')))
  if (spoken !== undefined) return `its answer ${spoken[1]}`
  const words = text.split(/\s+/).length
  // what is written without spaces has as many words as it has characters
  const cjk = text.match(/\p{Script=Han}/gu)?.length ?? 0
  const length = Math.max(words, Math.ceil(cjk / 2))
  return length > mostWords ? `its answer has ${length} words, and ${mostWords} can be asked for` : undefined
}

/** One question of multiple choice as free response; one without options as it is; on the left why it cannot be one. */
const freed = <A extends Asking>(asking: A, mostWords: number): E.Either<string, A> => {
  const asked = askedOf(asking.request)
  if (asked === undefined)
    return isLetter(asking.answer)
      ? E.left('its answer is a letter, and it has no options that can be read')
      : E.right(asking)
  const request = withoutInstructions(asked.stem)
  if (request === '') return E.left('nothing is asked before its options')
  if (askedOf(request) !== undefined) return E.left('its question has options before its options')
  if (withoutInstructions(asked.after) !== '') return E.left('more stands after its options')
  const need = needing.find(([pattern]) => pattern.test(request))
  if (need !== undefined) return E.left(`it asks for ${need[1]} (“${pattern(need[0], request)}”)`)
  const boxes = boxesIn(asking.answer)
  const box = boxes.length === 1 && boxes[0]!.closed ? boxes[0] : undefined
  const given = box === undefined ? asking.answer : asking.answer.slice(box.from, box.to)
  const letter = letterOf(given, asked.options)
  if (letter === undefined) return E.left('its answer names none of its options')
  const text = asked.options[letter]!
  const twin = Object.keys(asked.options).find(
    (other) => other !== letter && cleanCase(asked.options[other]!) === cleanCase(text),
  )
  if (twin !== undefined) return E.left(`its options ${letter} and ${twin} are the same`)
  const why = unfree(text, mostWords)
  if (why !== undefined) return E.left(why)
  if (/\(\s*[A-J]\s*\)|\b(?:option|choice|answer)\b[^.\n]{0,12}\b[A-J]\b/i.test(asking.thought ?? ''))
    return E.left('its thought speaks of an option')
  return E.right({ ...asking, request, answer: box === undefined ? text : `\\boxed{${text}}` })
}

const pattern = (sought: RegExp, text: string): string => sought.exec(text)![0]

/**
 * Questions of multiple choice as free response: the question without its options, and their right one's text, boxed where
 * the letter was, as the answer. Examples without options are kept as they are, but where a letter
 * is their answer. What can only be answered with the options
 * before one's eyes ("which of the following", "closest to", "all of the above", a long text, an image, a letter) is dropped,
 * with the reason; {@link countsOf} counts it as `freeResponse`. It looks for words and errs towards dropping.
 *
 * @example
 * const [free] = freeResponse([{ request: 'What is 2 + 2?\n(A) 3\n(B) 4', answer: 'B' }]).kept
 * free!.request // 'What is 2 + 2?'
 * free!.answer // '4'
 *
 * @throws RangeError where `mostWords` is no whole number from 1
 * @category curation
 */
export const freeResponse = <A extends Asking>(
  examples: readonly A[],
  settings: FreeResponseSettings = {},
): Curated<A> => {
  const { mostWords = 6 } = onlySettings('freeResponse', settings, ['mostWords'])
  if (!(Number.isInteger(mostWords) && mostWords > 0))
    throw new RangeError(`freeResponse, mostWords: it is ${mostWords}; give a whole number from 1`)
  const made = examples.map((example) => ({ example, free: freed(example, mostWords) }))
  return {
    kept: made.flatMap(({ free }) => (E.isRight(free) ? [free.right] : [])),
    dropped: made.flatMap(({ example, free }) =>
      E.isLeft(free) ? [{ example, by: 'freeResponse', why: free.left }] : [],
    ),
  }
}
