/**
 * The settings of recipes, stages, objectives and evaluations, which are checked before work begins.
 *
 * @since 0.1.0
 */
import { kindOf, SettingsError, shownValue as shown } from '../settings/index.ts'

/** What recipes, stages, objectives and evaluations throw of their settings. */
export { SettingsError as RecipeError }

/** A whole number from `least`. @throws SettingsError */
export const wholeSetting = (where: string, setting: string, n: unknown, least: number): number => {
  if (typeof n === 'number' && Number.isSafeInteger(n) && n >= least) return n
  throw new SettingsError(where, setting, `it is ${shown(n)}; give a whole number from ${least}`)
}

/** Most tokens of a batch: its ids are one array. */
const mostTokens = 2 ** 31 - 1

/** Sees that a batch's rows of tokens can be one array. @throws SettingsError, before memory is asked for in vain */
export const batchSetting = (where: string, rows: number, tokens: number): void => {
  if (rows * tokens > mostTokens)
    throw new SettingsError(
      where,
      'rows',
      `${rows} rows of ${tokens} tokens are more than the ${mostTokens} tokens that a batch can hold; take fewer rows, and accumulate in the stage`,
    )
}

/** A finite number from 0, or above it. @throws SettingsError */
export const numberSetting = (where: string, setting: string, x: unknown, above = false): number => {
  if (typeof x === 'number' && Number.isFinite(x) && (above ? x > 0 : x >= 0)) return x
  throw new SettingsError(
    where,
    setting,
    `it is ${shown(x)}; give a finite number ${above ? 'above' : 'from'} 0`,
  )
}

/** Text that is not empty. @throws SettingsError */
export const textSetting = (where: string, setting: string, s: unknown): string => {
  if (typeof s === 'string' && s !== '') return s
  throw new SettingsError(where, setting, `it is ${shown(s)}; give a name`)
}

/** One of some words; undefined is none of them, and lets a default stand. @throws SettingsError */
export const wordSetting = (where: string, setting: string, x: unknown, words: readonly string[]): void => {
  if (x !== undefined && !words.includes(x as string))
    throw new SettingsError(
      where,
      setting,
      `it is ${kindOf(x)}; give ${words.map((w) => `'${w}'`).join(' or ')}`,
    )
}

/** True or false; undefined lets a default stand. @throws SettingsError */
export const flagSetting = (where: string, setting: string, x: unknown): void => {
  if (x !== undefined && typeof x !== 'boolean')
    throw new SettingsError(where, setting, `it is ${kindOf(x)}; give true or false`)
}

/** A list, also where a file is not type-checked. @throws SettingsError */
export const listSetting = <A>(where: string, setting: string, x: readonly A[]): readonly A[] => {
  if (Array.isArray(x)) return x
  throw new SettingsError(where, setting, `it is ${kindOf(x)}; give a list`)
}

/** Sees that a part of a stage, a recipe or an evaluation says what determines it. @throws SettingsError */
export const configSetting = (
  where: string,
  part: string,
  { config }: { readonly config: unknown },
): void => {
  if (config === undefined)
    throw new SettingsError(
      where,
      `${part}.config`,
      'it is undefined; say as plain JSON data what determines it',
    )
}

/**
 * Sees that a setting is a value of its kind, also where a file is not type-checked.
 *
 * @param methods what such a value has, as functions
 * @throws SettingsError
 */
export const valueSetting = (
  where: string,
  setting: string,
  x: unknown,
  methods: readonly string[],
  what: string,
): void => {
  const lacks =
    typeof x === 'object' && x !== null
      ? methods.filter((m) => typeof (x as Record<string, unknown>)[m] !== 'function')
      : methods
  if (typeof x === 'object' && x !== null && lacks.length === 0) return
  const without =
    lacks.length < methods.length || kindOf(x) === 'a record' ? ` without ${lacks.join(', ')}` : ''
  throw new SettingsError(where, setting, `it is ${kindOf(x)}${without}; give ${what}`)
}

/**
 * Sees that a name can be a folder's, so that no two names share one and none leads out of the run folder.
 *
 * @throws SettingsError
 */
export const folderSetting = (where: string, setting: string, name: unknown): string => {
  const s = textSetting(where, setting, name)
  const wrong = /[/\\\p{Cc}]/u.exec(s)?.[0] ?? (/^\.+$/.test(s) ? s : undefined)
  if (wrong !== undefined)
    throw new SettingsError(
      where,
      setting,
      `it is ${JSON.stringify(s)}, and a folder is called by it; leave ${JSON.stringify(wrong)} out`,
    )
  if (Buffer.byteLength(s) > 200)
    throw new SettingsError(where, setting, `it has ${Buffer.byteLength(s)} bytes; give at most 200`)
  return s
}

/** How messages call a stage whose settings are given: by its name, or by what makes it where these are no record. @throws SettingsError */
export const stageName = (maker: string, s: { readonly name: string }): string =>
  kindOf(s) === 'a record' ? `stage '${folderSetting('stage', 'name', s.name)}'` : maker

/** An async iteration. @throws SettingsError where it is something else, such as what an async function gives */
export const iterationSetting = <T>(where: string, setting: string, x: T): T => {
  if (
    typeof (x as { readonly [Symbol.asyncIterator]?: unknown } | null)?.[Symbol.asyncIterator] === 'function'
  )
    return x
  throw new SettingsError(
    where,
    setting,
    `it gives ${kindOf(x)}; write it as 'async *${setting}(…) { yield … }'`,
  )
}

/**
 * Sees that something is plain JSON data: what is not would be missing from the run's identity.
 *
 * @throws SettingsError, which names the place
 */
export const jsonSetting = (where: string, setting: string, x: unknown): void => {
  const seen = new Set<unknown>()
  const walk = (at: string, v: unknown): void => {
    const refuse = (what: string): SettingsError =>
      new SettingsError(
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

/**
 * What a stage trains: parts of a model, at least one.
 *
 * @param example how such a list may look
 * @throws SettingsError
 */
export const trainSetting = (where: string, train: unknown, example: string): void => {
  if (!Array.isArray(train) || train.length === 0)
    throw new SettingsError(
      where,
      'train',
      `it is ${kindOf(train)}; give a list of parts, such as ${example}`,
    )
  train.forEach((k, i) => {
    valueSetting(where, `train[${i}]`, k, ['has'], "a part of the model, or keys('head', 'head.**')")
  })
}

/**
 * What another function says of one of its settings, as said of a setting that holds it: `schedule.warmup`.
 *
 * @param note what is said behind it
 */
export const settingWithin = (
  where: string,
  name: string,
  e: Error & { readonly setting?: string },
  note = '',
): SettingsError => {
  const { setting, message } = e
  const named = `, ${setting}: `
  const at = setting === undefined ? -1 : message.indexOf(named)
  return at < 0
    ? new SettingsError(where, name, `${message}${note}`, e)
    : new SettingsError(where, `${name}.${setting}`, `${message.slice(at + named.length)}${note}`, e)
}

/**
 * Names the stage in what was thrown while it was made or run, where that names none: losses, rewards and sources may be the
 * user's, and do not know where they stand. Kind and stack stay, since these tell what and on which line.
 */
export const ofStage = (name: string, thrown: unknown): unknown => {
  if (thrown instanceof Error && !/^(stage|recipe) '/.test(thrown.message))
    thrown.message = `stage '${name}': ${thrown.message}`
  return thrown
}
