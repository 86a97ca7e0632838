/**
 * How alike two texts are: ANLS, the soft accuracy of VQA, and whether one has the other.
 *
 * @since 0.1.0
 */
import { asciiWidth } from './text.ts'

/** Insertions, deletions and replacements of code points that turn one text into the other. */
export const levenshtein = (a: string, b: string): number => {
  const [x, y] = [Array.from(a), Array.from(b)]
  let last = y.map((_, j) => j + 1)
  for (const [i, c] of x.entries()) {
    let corner = i
    let left = i + 1
    const row: number[] = []
    for (const [j, d] of y.entries()) {
      const best = Math.min(left + 1, last[j]! + 1, corner + (c === d ? 0 : 1))
      corner = last[j]!
      left = best
      row.push(best)
    }
    last = row
  }
  return last.at(-1) ?? x.length
}

const folded = (text: string): string => text.toLowerCase().trim().split(/\s+/).join(' ')

/** Characters of an answer that are looked at: more is never near. */
const longest = 4_000

/**
 * Average normalised Levenshtein similarity against the nearest of the answers: 1 − distance / longer length, and 0 below
 * `threshold`. Case and spacing do not count (ST-VQA; its similarity of exactly the threshold is kept).
 *
 * @category verifiers
 */
export const anls = (prediction: string, answers: readonly string[], threshold = 0.5): number => {
  const given = folded(prediction.slice(0, 2 * longest))
  const similarities = answers.map((answer) => {
    const truth = folded(answer)
    if (truth.length > 2 * longest) return 0
    // code points, as they are counted in the distance
    const [m, n] = [given, truth].map((text) => Array.from(text).length) as [number, number]
    const length = Math.max(m, n)
    if (length === 0) return 1
    // the distance is at least the difference of lengths, so what is too long need not be measured
    if (length > longest || Math.min(m, n) / length < threshold) return 0
    return 1 - levenshtein(given, truth) / length
  })
  const best = Math.max(0, ...similarities)
  return best >= threshold ? best : 0
}

const contractions: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'aint arent cant couldve couldnt didnt doesnt dont hadnt hasnt havent hed hes howd hows im ive isnt itd itll lets ' +
    'maam mightve mightnt mustve mustnt neednt oclock shant shed shes shouldve shouldnt somebodyd somebodys someones ' +
    'thats thered theres theyd theyre theyve wasnt weve werent whats whens whered wheres whod wholl whos whove whyd ' +
    'whys wont wouldve wouldnt yall youd youll youre youve'
  )
    .split(' ')
    .map((plain) => [plain, apostrophised(plain)]),
)

/** The contraction with its apostrophe. */
function apostrophised(plain: string): string {
  const special: Readonly<Record<string, string>> = {
    oclock: "o'clock",
    maam: "ma'am",
    yall: "y'all",
    lets: "let's",
    aint: "ain't",
  }
  if (Object.hasOwn(special, plain)) return special[plain]!
  const ending = /(?:nt|ve|ll|re|d|s|m)$/.exec(plain)?.[0] ?? ''
  const stem = plain.slice(0, plain.length - ending.length)
  return ending === 'nt' ? `${stem}n't` : `${stem}'${ending}`
}

const numerals: Readonly<Record<string, string>> = {
  ...{ none: '0', zero: '0', one: '1', two: '2', three: '3', four: '4', five: '5' },
  ...{ six: '6', seven: '7', eight: '8', nine: '9', ten: '10' },
}
const articles = new Set(['a', 'an', 'the'])

/** An answer as VQA compares them: without articles and punctuation, numerals as digits, contractions with apostrophes. */
export const vqaNormal = (text: string): string => {
  let plain = text
    .slice(0, longest)
    .replaceAll(/[\n\t]/g, ' ')
    .trim()
  const groups = /\d,\d/.test(plain)
  for (const sign of ';/[]"{}()=+\\_-><@`,?!') {
    const stands = plain.includes(`${sign} `) || plain.includes(` ${sign}`) || groups
    plain = plain.replaceAll(sign, stands ? '' : ' ')
  }
  plain = plain.replaceAll(/(?<!\d)\.(?!\d)/g, '')
  return plain
    .toLowerCase()
    .split(/\s+/)
    .map((word) => (Object.hasOwn(numerals, word) ? numerals[word]! : word))
    .filter((word) => !articles.has(word))
    .map((word) => (Object.hasOwn(contractions, word) ? contractions[word]! : word))
    .join(' ')
    .trim()
}

/**
 * Soft accuracy of VQA: each annotator's answer is left out once, and a prediction that three of the others gave is right.
 *
 * @category verifiers
 */
export const vqaAccuracy = (prediction: string, answers: readonly string[]): number => {
  if (answers.length === 0) return 0
  const given = vqaNormal(prediction)
  const matches = answers.map((answer) => vqaNormal(answer) === given)
  const total = matches.filter((match) => match).length
  const scores = matches.map((match) => Math.min(1, (total - (match ? 1 : 0)) / 3))
  return scores.reduce((a, b) => a + b, 0) / answers.length
}

/**
 * Whether a text has one of the answers in it, as OCRBench asks: case, line breaks and full-width letters do not count; for
 * formulas (`formula`) no space counts, and case and width do.
 *
 * @category verifiers
 */
export const hasAnswer = (prediction: string, answers: readonly string[], formula = false): boolean => {
  const fold = (text: string): string =>
    formula ? text.replaceAll(/\s/g, '') : asciiWidth(text.toLowerCase()).trim().replaceAll('\n', ' ')
  const given = fold(prediction)
  return answers.some((answer) => given.includes(fold(answer)))
}

/**
 * Yes or no, where a text says one of the words and not the other; else null.
 *
 * @category verifiers
 */
export const yesOrNo = (text: string): 'yes' | 'no' | null => {
  const words = new Set(text.toLowerCase().split(/[^\p{L}\p{N}]+/u))
  return words.has('yes') === words.has('no') ? null : words.has('yes') ? 'yes' : 'no'
}
