/**
 * The settings of recipes, stages, objectives and evaluations, which are checked before work begins.
 *
 * @since 0.2.0
 */

/** A setting that cannot be: `where` and `setting` name it, the message says what it is and what it may be. */
export class RecipeError extends Error {
  readonly tag = 'BadSetting'
  /** The stage, objective or recipe. */
  readonly where: string
  readonly setting: string
  constructor(where: string, setting: string, what: string, cause?: unknown) {
    super(`${where}, ${setting}: ${what}`, { cause })
    this.name = 'RecipeError'
    this.where = where
    this.setting = setting
  }
}

/** How a value is shown in a message. */
const shown = (x: unknown): string =>
  typeof x === 'string' ? `'${x}'` : typeof x === 'function' ? 'a function' : String(x)

/** A whole number from `least`. @throws RecipeError */
export const wholeSetting = (where: string, setting: string, n: unknown, least: number): number => {
  if (typeof n === 'number' && Number.isSafeInteger(n) && n >= least) return n
  throw new RecipeError(where, setting, `it is ${shown(n)}; give a whole number from ${least}`)
}

/** A finite number from 0, or above it. @throws RecipeError */
export const numberSetting = (where: string, setting: string, x: unknown, above = false): number => {
  if (typeof x === 'number' && Number.isFinite(x) && (above ? x > 0 : x >= 0)) return x
  throw new RecipeError(
    where,
    setting,
    `it is ${shown(x)}; give a finite number ${above ? 'above' : 'from'} 0`,
  )
}

/** Text that is not empty. @throws RecipeError */
export const textSetting = (where: string, setting: string, s: unknown): string => {
  if (typeof s === 'string' && s !== '') return s
  throw new RecipeError(where, setting, `it is ${shown(s)}; give a name`)
}

/**
 * Sees that something is plain JSON data: what is not would be missing from the run's identity.
 *
 * @throws RecipeError, which names the place
 */
export const jsonSetting = (where: string, setting: string, x: unknown): void => {
  const seen = new Set<unknown>()
  const walk = (at: string, v: unknown): void => {
    const refuse = (what: string): RecipeError =>
      new RecipeError(
        where,
        at,
        `it is ${what}; what determines a run is recorded as plain JSON data: numbers, text, lists, records`,
      )
    if (v === null || v === undefined || typeof v === 'string' || typeof v === 'boolean') return
    if (typeof v === 'number') {
      if (!Number.isFinite(v)) throw refuse(String(v))
      return
    }
    if (typeof v !== 'object') throw refuse(typeof v === 'function' ? 'a function' : `a ${typeof v}`)
    if (seen.has(v)) throw refuse('part of itself')
    seen.add(v)
    if (Array.isArray(v)) for (const [i, e] of v.entries()) walk(`${at}[${i}]`, e)
    else if ([Object.prototype, null].includes(Object.getPrototypeOf(v)))
      for (const [k, e] of Object.entries(v)) walk(`${at}.${k}`, e)
    else throw refuse(`a ${(v as object).constructor?.name ?? 'value of a class'}`)
    seen.delete(v)
  }
  walk(setting, x)
}
