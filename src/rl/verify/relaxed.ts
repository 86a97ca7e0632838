/**
 * Numbers read from charts, with a tolerance.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { asciiDigits } from './text.ts'

const numeral = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/
const grouped = /^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?$/

/** The number that a text is, a percent sign dividing by 100; undefined where it is none. */
const numberOf = (text: string, groups: boolean): number | undefined => {
  if (text.length > 400) return undefined
  let plain = asciiDigits(text.trim())
  const percent = plain.endsWith('%')
  if (percent) plain = plain.replace(/%+$/, '')
  if (groups && grouped.test(plain)) plain = plain.replaceAll(',', '')
  if (!numeral.test(plain)) return undefined
  const value = Number(plain) / (percent ? 100 : 1)
  return Number.isFinite(value) ? value : undefined
}

/** Settings of {@link relaxedMatch}. */
export interface RelaxedOptions {
  /** How far a number may be from the true one, as a share of it; default 0.05. */
  readonly tolerance?: number
  /** Whether `1,000` is a number; default true. */
  readonly groups?: boolean
}

/**
 * ChartQA's relaxed accuracy: a number within 5 % of a true number that is not 0, else the same text but for case. A percent
 * sign divides by 100.
 *
 * @category verifiers
 */
export const relaxedMatch = (prediction: string, target: string, options: RelaxedOptions = {}): boolean => {
  onlySettings('relaxedMatch', options, ['tolerance', 'groups'])
  const groups = options.groups ?? true
  const [given, truth] = [numberOf(prediction, groups), numberOf(target, groups)]
  if (given !== undefined && truth !== undefined && truth !== 0)
    return Math.abs(given - truth) / Math.abs(truth) <= (options.tolerance ?? 0.05)
  if (given !== undefined && truth !== undefined) return given === truth
  const texts = [prediction, target].map((text) => text.slice(0, 10_000).trim().toLowerCase())
  // what is no finite number is none, so a text that names one is no answer
  return texts[0] === texts[1] && !/^[+-]?(?:inf(?:inity)?|nan)$/.test(texts[0]!)
}
