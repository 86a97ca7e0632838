/**
 * Plain data, such as configurations, as a person reads it.
 *
 * @since 0.1.0
 */
import { html, type Part } from './html.ts'

/** Whether plain data is a record. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `weightDecay` and `weight_decay` as `weight decay`. */
export const words = (key: string): string =>
  key.replace(/([a-z0-9])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`).replace(/_/g, ' ')

/** Plain data in a cell of its own: a line for each setting. */
export const inLines = (value: unknown): Part => {
  if (Array.isArray(value) && value.some(isObject))
    return value.map((v, i) => html`${i > 0 && html`<br>`}${inLines(v)}`)
  if (!isObject(value)) return inWords(value)
  if (Object.keys(value).length === 0) return 'as by default'
  return settings(value).map((s, i) => html`${i > 0 && html`<br>`}${s}`)
}

/** Whether plain data has settings of its own inside. */
const isDeep = (v: unknown): boolean => isObject(v) || (Array.isArray(v) && v.some(isObject))

/** The settings of a record that lie on its surface, and those that have others inside. */
const levels = (value: Record<string, unknown>) => {
  const entries = Object.entries(value)
  return {
    flat: Object.fromEntries(entries.filter(([, v]) => !isDeep(v))),
    deep: entries.filter(([, v]) => isDeep(v)),
  }
}

const foldedAway = (summary: Part, deep: readonly (readonly [string, unknown])[]): Part =>
  html`<details><summary>${summary}</summary><dl class="facts">${deep.map(([k, v]) => html`<dt>${words(k)}</dt><dd>${folded(v)}</dd>`)}</dl></details>`

const names = (deep: readonly (readonly [string, unknown])[]): string =>
  deep.map(([k]) => words(k)).join(', ')

/** Plain data in a line, with what lies deeper folded away under it. */
export const folded = (value: unknown): Part => {
  if (Array.isArray(value) && value.some(isObject)) return value.map((v) => html`<div>${folded(v)}</div>`)
  if (!isObject(value)) return inWords(value)
  const { flat, deep } = levels(value)
  const line = inWords(flat)
  return deep.length === 0 ? line : foldedAway(line === '' ? names(deep) : line, deep)
}

/**
 * Plain data in a cell of its own: a line for each setting on its surface, and what lies deeper folded away under them. What has
 * a name and others inside, such as a stage within a stage, is its name alone.
 */
export const foldedLines = (value: unknown): Part => {
  if (Array.isArray(value) && value.some(isObject))
    return value.map((v) => html`<div>${foldedLines(v)}</div>`)
  if (!isObject(value)) return inWords(value)
  const { flat, deep } = levels(value)
  if (deep.length === 0) return inLines(value)
  const { name, ...rest } = value
  return typeof name === 'string'
    ? foldedAway(name, Object.entries(rest))
    : [Object.keys(flat).length > 0 && inLines(flat), foldedAway(names(deep), deep)]
}

/** Plain data in running text: lists and settings with commas. */
export const inWords = (value: unknown): string => {
  if (value === undefined || value === null) return '–'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(inWords).join(', ')
  return isObject(value) ? settings(value).join(', ') : String(value)
}

/** `kind` alone, everything else as `name value`; lists and settings inside settings in brackets. */
const settings = (value: Record<string, unknown>): readonly string[] =>
  Object.entries(value).map(([k, v]) =>
    k === 'kind' && typeof v === 'string' ? v : `${words(k)} ${bracketed(v)}`,
  )

const bracketed = (value: unknown): string =>
  isObject(value)
    ? `(${inWords(value)})`
    : Array.isArray(value) && value.length > 1
      ? `[${inWords(value)}]`
      : inWords(value)
