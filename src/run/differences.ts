/**
 * Where two pieces of plain data differ, in words.
 *
 * @since 0.1.0
 */
import { isDeepStrictEqual } from 'node:util'

/** One place at which two pieces of data differ; a side that has nothing there is undefined. */
export interface Difference {
  /** `stages[2].learningRate`; `''` for the data as a whole. */
  readonly path: string
  readonly then: unknown
  readonly now: unknown
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const below = (path: string, key: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(key)
    ? `${path === '' ? '' : `${path}.`}${key}`
    : `${path}[${JSON.stringify(key)}]`

/**
 * Every place at which two pieces of plain JSON data differ, as deep as it lies, in the order of the first one's keys. A
 * key whose value is undefined counts as missing.
 */
export const differences = (then: unknown, now: unknown, path = ''): readonly Difference[] => {
  if (isRecord(then) && isRecord(now))
    return [...new Set([...Object.keys(then), ...Object.keys(now)])].flatMap((k) =>
      differences(
        Object.hasOwn(then, k) ? then[k] : undefined,
        Object.hasOwn(now, k) ? now[k] : undefined,
        below(path, k),
      ),
    )
  if (Array.isArray(then) && Array.isArray(now))
    return Array.from({ length: Math.max(then.length, now.length) }, (_, i) =>
      differences(then[i], now[i], `${path}[${i}]`),
    ).flat()
  return isDeepStrictEqual(then, now) ? [] : [{ path, then, now }]
}

const shown = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

/** `stages[2].learningRate: 0.002 then, 0.004 now`. */
export const showDifference = ({ path, then, now }: Difference): string =>
  `${path === '' ? 'all of it' : path}: ${shown(then)} then, ${shown(now)} now`
