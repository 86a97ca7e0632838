/**
 * Settings, of whatever is given some: the one check of their names, the error, and what a value is in its words.
 *
 * @since 0.1.0
 */
import { unknownName } from '../terminal/index.ts'

/** A setting that cannot be: `where` and `setting` name it, the message says what it is and what it may be. */
export class SettingsError extends Error {
  readonly tag = 'BadSetting'
  /** What is given the settings: a function, a stage, an objective, a recipe. */
  readonly where: string
  readonly setting: string
  constructor(where: string, setting: string, what: string, cause?: unknown) {
    super(`${where}, ${setting}: ${what}`, { cause })
    this.name = 'SettingsError'
    this.where = where
    this.setting = setting
  }
}

/** How a value is shown in a message: what it is, where it is none that can be written in a word. */
export const shownValue = (x: unknown): string =>
  typeof x === 'string'
    ? `'${x}'`
    : typeof x === 'function'
      ? 'a function'
      : typeof x === 'object'
        ? kindOf(x)
        : String(x)

/** Whether it is an Observable, or an iteration that runs already. */
const isStream = (x: object): boolean =>
  Symbol.asyncIterator in x || typeof (x as { readonly subscribe?: unknown }).subscribe === 'function'

/** What a value is, where it is not what it should be. */
export const kindOf = (x: unknown): string =>
  x === undefined
    ? 'undefined'
    : x === null
      ? 'null'
      : typeof x === 'function'
        ? 'a function; is it to be called first?'
        : Array.isArray(x)
          ? `a list of ${x.length}`
          : typeof x === 'object' && typeof (x as { then?: unknown }).then === 'function'
            ? 'a promise; await it first'
            : x instanceof Object && '_tag' in x && (x._tag === 'Left' || x._tag === 'Right')
              ? 'an Either; take what is on its right side'
              : typeof x === 'object'
                ? isStream(x)
                  ? 'a stream'
                  : 'a record'
                : shownValue(x)

/** The name of a setting, after that of the setting within which it stands, where it does: `sizes.rows`. */
export const settingName = (name: string, within?: string): string =>
  within === undefined ? name : `${within}.${name}`

/**
 * Sees that settings are a record that has no names but these: one that is misspelt would do nothing and say nothing, and so
 * would one that belongs to another function, also where the compiler takes the wider record. What takes settings calls it
 * before all else.
 *
 * @param where what is given the settings, as the message names it
 * @param within the setting that they are the value of, where they are: `sizes`, of which one is named `sizes.rows`
 * @throws SettingsError
 */
export const onlySettings = <S extends object>(
  where: string,
  given: S,
  known: readonly string[],
  within?: string,
): S => {
  const kind = kindOf(given)
  if (kind !== 'a record')
    throw new SettingsError(
      where,
      within ?? 'settings',
      `it is ${kind}; give a record of settings: ${known.join(', ')}`,
    )
  const odd = unknownName(given, known)
  if (odd !== undefined) throw new SettingsError(where, settingName(odd.name, within), odd.what)
  return given
}

/** A seed: a text, or a number that is one. @throws SettingsError */
export const seedSetting = <S>(where: string, seed: S): S => {
  if (typeof seed === 'string' || (typeof seed === 'number' && Number.isFinite(seed))) return seed
  throw new SettingsError(where, 'seed', `it is ${kindOf(seed)}; give a number or a text`)
}

/** A function, or nothing. @throws SettingsError */
export const functionSetting = <F>(where: string, setting: string, f: F): F => {
  if (f === undefined || typeof f === 'function') return f
  throw new SettingsError(where, setting, `it is ${kindOf(f)}; give a function`)
}

/** Members that may be undefined as members that may be absent. */
type Present<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The members of a record that are not undefined. */
export const present = <T extends object>(members: T): Present<T> =>
  Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined)) as Present<T>
