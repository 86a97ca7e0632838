/**
 * Units behind a number.
 *
 * @since 0.1.0
 */

/** Units: what they measure, how many of its basic unit one is, and their names. */
const units: readonly (readonly [quantity: string, factor: number, names: string])[] = [
  ['length', 1, 'm metre meter'],
  ['length', 1000, 'km kilometre kilometer'],
  ['length', 0.1, 'dm'],
  ['length', 0.01, 'cm centimetre centimeter'],
  ['length', 0.001, 'mm millimetre millimeter'],
  ['length', 1e-9, 'nm'],
  ['length', 0.0254, 'inch in inches'],
  ['length', 0.3048, 'foot ft feet'],
  ['length', 0.9144, 'yard yd'],
  ['length', 1609.344, 'mile mi'],
  ['mass', 1, 'g gram'],
  ['mass', 1000, 'kg kilogram'],
  ['mass', 0.001, 'mg milligram'],
  ['mass', 1e6, 't ton tonne'],
  ['mass', 453.59237, 'lb lbs pound'],
  ['mass', 28.349523125, 'ounce oz'],
  ['time', 1, 's sec second'],
  ['time', 0.001, 'ms'],
  ['time', 60, 'min minute'],
  ['time', 3600, 'h hr hour'],
  ['time', 86_400, 'day'],
  ['time', 604_800, 'week'],
  ['volume', 1, 'l L litre liter'],
  ['volume', 0.001, 'ml mL millilitre milliliter'],
  ['volume', 0.01, 'cl'],
  ['volume', 0.1, 'dl'],
  ['money', 1, 'dollar usd'],
  ['money', 0.01, 'cent'],
  ['angle', 1, 'degree deg'],
]
const known = new Map(
  units.flatMap(([quantity, factor, names]) =>
    names.split(' ').map((name) => [name, { quantity, factor }] as const),
  ),
)

/** A unit by its word, in any letters, one or many. */
const unitOf = (word: string) => {
  const small = word.toLowerCase()
  const form = [word, word.replace(/s$/, ''), small, small.replace(/s$/, '')].find((w) => known.has(w))
  return form === undefined ? undefined : known.get(form)
}

/** An answer as a number and what stands behind it. */
export interface Measured {
  readonly number: string
  /** The unit's words, in small letters; `percent` for a hundredth. */
  readonly unit: string
  /** A power of the unit: 2 of an area. */
  readonly power: number
}

// as much of the end of an answer as a unit may take
const tail = 100
const ending =
  /(?:\\(?:text|textbf|textit|textrm|mbox|mathrm|rm)\s*\{\s*([^{}]{1,60}?)\s*\}|(?<![A-Za-z\\])([A-Za-zµ]{1,20}(?:[ /][a-z]{1,15})?))\s*(?:\^\s*\{?\s*([23])\s*\}?|([²³]))?\s*\.?\s*$/u

/** What no unit has: a comma, a number of its own, words that lead to another answer. */
const hedge = /[,;=]|(?<![\p{L}^_\d/-])\d|(?<!\p{L})(?:or|and|nor|not|but|maybe)(?!\p{L})/iu

/** The number and the unit of an answer that ends in one, undefined where it does not. */
export const measured = (text: string): Measured | undefined => {
  const amount = /^\\?\$\s*(\d[\d.,]*)$/.exec(text)?.[1]
  if (amount !== undefined) return { number: amount, unit: 'dollar', power: 1 }
  const from = Math.max(0, text.length - tail)
  const found = ending.exec(text.slice(from))
  if (found === null) return undefined
  const number = text.slice(0, from + found.index).replace(/(?:\\[,;: ]|[~\s$])+$/, '')
  // a unit stands behind a digit or a bracket, or it is a word or a symbol
  if (!/(?:[\d)}\]π]|\\pi)$/.test(number)) return undefined
  const [, square, plain] = /^(sq(?:uare|\.)? )?[\s~]*(.*)$/.exec(
    (found[1] ?? found[2]!).replaceAll('~', ' ').trim(),
  )!
  const word = plain!
  // an unknown plain letter is a symbol, and a small one such as \mathrm{i} always
  const letter = /^[a-z]$/.test(word) || (found[1] === undefined && word.length < 3)
  if (letter && unitOf(word) === undefined) return undefined
  // a second answer is no unit
  if (hedge.test(word)) return undefined
  const power =
    square !== undefined ? '2' : (found[3] ?? (found[4] === '²' ? '2' : found[4] === '³' ? '3' : '1'))
  return { number, unit: word.toLowerCase() === 'percent' ? 'percent' : word, power: Number(power) }
}

/** A factor as a fraction, so that what is converted is compared exactly; each of the table ends before the 12th place. */
const fraction = (factor: number): string => `(${Math.round(factor * 1e12)}/10^{12})`

/** What a number of one unit is multiplied by for the other; empty where both are one, undefined where they measure different things. */
export const conversion = (from: Measured, to: Measured): string | undefined => {
  const [a, b] = [unitOf(from.unit), unitOf(to.unit)]
  if (from.power !== to.power) return undefined
  if (a === undefined || b === undefined)
    return from.unit.toLowerCase().replace(/s$/, '') === to.unit.toLowerCase().replace(/s$/, '')
      ? ''
      : undefined
  if (a.quantity !== b.quantity) return undefined
  return a.factor === b.factor ? '' : `*(${fraction(a.factor)}/${fraction(b.factor)})^${from.power}`
}
