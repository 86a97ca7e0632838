/**
 * What `--set key=value` says, read as what an experiment needs it to be.
 *
 * @since 0.1.0
 */
import { numberIn } from '../terminal/index.ts'

/** A setting that is not what the experiment needs: the message says which, what it is and what it may be. */
export class SettingError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'SettingError'
  }
}

/** The least and the greatest value that a number may have, both included. */
export interface Range {
  readonly from?: number
  readonly to?: number
}

/**
 * Reads settings. Each function gives `otherwise` where the setting is not given, and throws a {@link SettingError} where it
 * is not of its kind.
 */
export interface SettingReader {
  /** A finite number: `setting.number('scale', 1)` reads `--set scale=0.5`. */
  readonly number: (key: string, otherwise: number, range?: Range) => number
  /** A whole number. */
  readonly integer: (key: string, otherwise: number, range?: Range) => number
  /** One of a few words. */
  readonly choice: <const C extends string>(key: string, choices: readonly C[], otherwise: NoInfer<C>) => C
  /** A text, not empty. */
  readonly text: (key: string, otherwise: string) => string
  /** `true` or `false`. */
  readonly flag: (key: string, otherwise: boolean) => boolean
}

const rangeWords = ({ from, to }: Range): string => {
  if (from !== undefined && to !== undefined) return ` from ${from} to ${to}`
  if (from !== undefined) return ` from ${from} on`
  return to === undefined ? '' : ` up to ${to}`
}

/**
 * A reader of settings.
 *
 * @example
 * const setting = settingReader({ scale: '0.5' })
 * setting.number('scale', 1) // 0.5
 * setting.integer('steps', 100, { from: 1 }) // 100
 */
export const settingReader = (settings: Readonly<Record<string, string | undefined>>): SettingReader => {
  const read = <A>(key: string, wanted: string, otherwise: A, parse: (text: string) => A | undefined): A => {
    const text = settings[key]
    if (text === undefined) return otherwise
    const value = parse(text)
    if (value === undefined) throw new SettingError(`--set ${key} is ${wanted}, and not '${text}'`)
    return value
  }
  const numeric =
    (what: string, is: (n: number) => boolean): SettingReader['number'] =>
    (key, otherwise, range = {}) =>
      read(key, `${what}${rangeWords(range)}`, otherwise, (text) => {
        const n = numberIn(text)
        const inside = n >= (range.from ?? -Infinity) && n <= (range.to ?? Infinity)
        return is(n) && inside ? n : undefined
      })
  return {
    number: numeric('a number', Number.isFinite),
    integer: numeric('a whole number', Number.isSafeInteger),
    choice: (key, choices, otherwise) =>
      read(key, `one of ${choices.join(', ')}`, otherwise as (typeof choices)[number], (text) =>
        choices.find((c) => c === text),
      ),
    text: (key, otherwise) =>
      read(key, 'a text', otherwise, (text) => (text.trim() === '' ? undefined : text)),
    flag: (key, otherwise) =>
      read(key, 'true or false', otherwise, (text) => ({ true: true, false: false })[text]),
  }
}
