/** Whole numbers, checked where they are given: those by which images are cut, and those of places in sources. */
import * as t from 'io-ts'

/** A whole number from 0. */
export const Whole = t.refinement(t.number, (n) => Number.isSafeInteger(n) && n >= 0)

/** A whole number from 1. @throws RangeError */
export const wholeNumber = (where: string, what: string, value: number | undefined): number => {
  if (value !== undefined && Number.isSafeInteger(value) && value >= 1) return value
  throw new RangeError(`${where}: ${what} is ${value}; give a whole number from 1 on`)
}

/** Two of them, the first not above the second. @throws RangeError */
export const leastToMost = (where: string, least: number, most: number) => {
  if (wholeNumber(where, 'least', least) > wholeNumber(where, 'most', most))
    throw new RangeError(`${where}: least is ${least} and most is ${most}; make most as large`)
  return { least, most }
}
