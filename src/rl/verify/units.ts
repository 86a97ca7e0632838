/**
 * Units behind a number.
 *
 * @since 0.1.0
 */

/** A quantity that units measure, and how many of its basic unit one is. */
type Unit = readonly [quantity: string, factor: number]

const families: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  length: {
    m: 1,
    km: 1000,
    dm: 0.1,
    cm: 0.01,
    mm: 0.001,
    nm: 1e-9,
    inch: 0.0254,
    foot: 0.3048,
    yard: 0.9144,
    mile: 1609.344,
  },
  mass: { g: 1, kg: 1000, mg: 0.001, t: 1e6, lb: 453.59237, ounce: 28.349523125 },
  time: { s: 1, ms: 0.001, min: 60, h: 3600, day: 86_400, week: 604_800 },
  volume: { l: 1, ml: 0.001, cl: 0.01, dl: 0.1 },
  money: { dollar: 1, cent: 0.01 },
  angle: { degree: 1 },
}
const aliases: Readonly<Record<string, string>> = {
  ...{
    metre: 'm',
    meter: 'm',
    kilometre: 'km',
    kilometer: 'km',
    centimetre: 'cm',
    centimeter: 'cm',
    millimetre: 'mm',
  },
  ...{
    millimeter: 'mm',
    in: 'inch',
    inches: 'inch',
    ft: 'foot',
    feet: 'foot',
    yd: 'yard',
    mi: 'mile',
    gram: 'g',
  },
  ...{
    kilogram: 'kg',
    milligram: 'mg',
    ton: 't',
    tonne: 't',
    pound: 'lb',
    lbs: 'lb',
    oz: 'ounce',
    sec: 's',
    second: 's',
  },
  ...{
    minute: 'min',
    hr: 'h',
    hour: 'h',
    litre: 'l',
    liter: 'l',
    L: 'l',
    mL: 'ml',
    millilitre: 'ml',
    milliliter: 'ml',
  },
  ...{ usd: 'dollar', deg: 'degree' },
}
const known = new Map<string, Unit>(
  Object.entries(families).flatMap(([quantity, units]) =>
    Object.entries(units).map(([name, factor]) => [name, [quantity, factor]] as const),
  ),
)

const unitOf = (word: string): Unit | undefined => {
  for (const form of [word, word.toLowerCase()])
    for (const name of [form, form.replace(/s$/, '')]) {
      const alias = Object.hasOwn(aliases, name) ? aliases[name]! : name
      const unit = known.get(alias)
      if (unit !== undefined) return unit
    }
  return undefined
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

/** The number and the unit of an answer that ends in one, undefined where it does not. */
export const measured = (text: string): Measured | undefined => {
  const from = Math.max(0, text.length - tail)
  const found = ending.exec(text.slice(from))
  if (found === null) return undefined
  const number = text.slice(0, from + found.index).replace(/(?:\\[,;: ]|~|\s)+$/, '')
  // a unit stands behind a digit or a bracket, or it is a word or a symbol
  if (!/[\d)}\]]$/.test(number)) return undefined
  const word = (found[1] ?? found[2]!).trim()
  // an unknown plain letter is a symbol
  if (found[1] === undefined && word.length < 3 && unitOf(word) === undefined) return undefined
  const power = found[3] ?? (found[4] === '²' ? '2' : found[4] === '³' ? '3' : '1')
  return { number, unit: word.toLowerCase() === 'percent' ? 'percent' : word, power: Number(power) }
}

/** What one unit is in the other, 1 where both are one, undefined where they measure different things. */
export const conversion = (from: Measured, to: Measured): number | undefined => {
  const [a, b] = [unitOf(from.unit), unitOf(to.unit)]
  if (from.power !== to.power) return undefined
  if (a === undefined || b === undefined)
    return from.unit.toLowerCase().replace(/s$/, '') === to.unit.toLowerCase().replace(/s$/, '')
      ? 1
      : undefined
  return a[0] === b[0] ? (a[1] / b[1]) ** from.power : undefined
}
