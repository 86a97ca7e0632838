/**
 * What a stage gained over the stage before it that measured the same.
 *
 * @since 0.1.0
 */
import type { Measurement } from '../run/index.ts'
import { significant } from '../terminal/index.ts'
import { type Html, html } from './html.ts'
import { wilsonDifference } from './wilson.ts'

/** A difference: of shares in points of a hundred, of means in their unit. */
export interface Gain {
  readonly by: number
  /** Of shares: whether the 95 % interval of the difference is without 0. */
  readonly sure: boolean
}

/** What came after over what was before; undefined where they are not of one kind. */
export const gainOf = (before: Measurement | undefined, after: Measurement): Gain | undefined => {
  if (before?.type === 'measured' && after.type === 'measured')
    return before.unit === after.unit ? { by: after.value - before.value, sure: false } : undefined
  if (before?.type !== 'evaluated' || after.type !== 'evaluated') return undefined
  const { difference, low, high } = wilsonDifference(before, after)
  return { by: 100 * difference, sure: low > 0 || high < 0 }
}

/** `▲ 12.5 points`, in colour where it is beyond chance. */
export const gainMark = (gain: Gain | undefined, kind: Measurement['type']): Html | false => {
  if (gain === undefined) return false
  const size = kind === 'evaluated' ? Math.abs(gain.by).toFixed(1) : significant(Math.abs(gain.by))
  const text =
    Number(size) === 0
      ? '= as before'
      : `${gain.by > 0 ? '▲' : '▼'} ${size}${kind === 'evaluated' ? ' points' : ''}`
  return gain.sure
    ? html`<small class="gain ${gain.by > 0 ? 'right' : 'wrong'}">${text}</small>`
    : html`<small class="gain">${text}</small>`
}
