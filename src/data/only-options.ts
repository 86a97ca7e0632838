/** Options that are misspelt would do nothing and say nothing: they are refused by name. */
import { unknownName } from '../terminal/index.ts'

/** Sees that a record has no options but these. @throws RangeError */
export const onlyOptions = (where: string, x: object, known: readonly string[]): void => {
  const odd = unknownName(x, known)
  if (odd !== undefined) throw new RangeError(`${where}, ${odd.name}: ${odd.what}`)
}
