/**
 * Numbers as a person reads them: in the terminal and in the report alike.
 *
 * @since 0.1.0
 */

/** 12,345,678. */
export const grouped = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',')

/** Three significant digits with a decimal prefix: `1.72 G`. */
export const short = (n: number): string => {
  const units = ['', 'k', 'M', 'G', 'T', 'P', 'E']
  let x = n
  let unit = 0
  while (x >= 999.5 && unit < units.length - 1) {
    x /= 1000
    unit++
  }
  const digits = unit === 0 && Number.isInteger(x) ? String(x) : x.toPrecision(3)
  return units[unit] === '' ? digits : `${digits} ${units[unit]}`
}

/** Three significant digits, never in exponent form between 0.001 and 1,000,000: `0.482`, `12.3`, `1,234`. */
export const significant = (n: number): string => {
  if (!Number.isFinite(n)) return String(n)
  const size = Math.abs(n)
  if (size === 0) return '0'
  if (size < 9.995e-4) return n.toExponential(1)
  if (size >= 999.5) return grouped(n)
  return n.toPrecision(3)
}

/** Bytes with a decimal prefix, to three digits: `27 B`, `1.72 MB`, `7.52 GB`. */
export const byteSize = (bytes: number): string =>
  bytes < 999.5 ? `${Math.round(bytes)} B` : `${short(bytes)}B`

/** A learning rate: `1.0e-3`, `0`. */
export const rate = (n: number): string => (n === 0 ? '0' : n.toExponential(1))

/** `0.42 s`, `12 s`, `2 min 14 s`, `1 h 02 min`. */
export const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 0.995 ? 2 : 1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** `92.5 %` of a share between 0 and 1. */
export const percent = (share: number): string =>
  Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '–'

/** `a, b and 3 more`: the first `most` of some words. */
export const firstOf = (words: readonly string[], most: number): string =>
  `${words.slice(0, most).join(', ')}${words.length > most ? ` and ${words.length - most} more` : ''}`

/** What a stage begins with: `83 weights taken, 4 fresh (mlp1.0.bias, mlp1.0.weight and 2 more)`. */
export const begunWith = (w: {
  readonly taken: number
  readonly fresh: readonly string[]
  readonly unused: readonly string[]
}): string =>
  [
    ...(w.taken > 0 ? [`${grouped(w.taken)} ${w.taken === 1 ? 'weight' : 'weights'} taken`] : []),
    ...(w.fresh.length > 0 ? [`${grouped(w.fresh.length)} fresh (${firstOf(w.fresh, 2)})`] : []),
    ...(w.unused.length > 0 ? [`${grouped(w.unused.length)} not read here (${firstOf(w.unused, 2)})`] : []),
  ].join(', ')

/** What a stage kept of what it made its examples from: `52 of 64 tasks kept (never solved: 12)`. */
export const keptOf = (c: {
  readonly what: string
  readonly of: number
  readonly kept: number
  readonly dropped: Readonly<Record<string, number>>
}): string => {
  const why = Object.entries(c.dropped).flatMap(([reason, n]) => (n > 0 ? [`${reason}: ${grouped(n)}`] : []))
  return `${grouped(c.kept)} of ${grouped(c.of)} ${c.what} kept${why.length === 0 ? '' : ` (${why.join(', ')})`}`
}
