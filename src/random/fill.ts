/**
 * Arrays of random numbers. Element `i` is a function of the key and `i`, so any slice can be drawn alone, by any worker.
 *
 * @since 0.1.0
 */
import { normalOf, truncatedOf } from './normal.ts'
import { type RandomKey, wordsFrom } from './threefry.ts'

/** Words drawn at a time: few enough to stay in the processor's nearest cache. */
const chunk = 2048
const words = new Int32Array(chunk)

/** Writes draws of the words from `first` on into `out` from `at` on; `scale` is what the draws are multiplied by. */
type Convert = (first: number, out: Float32Array, at: number, count: number, scale: number) => void

const toUniform: Convert = (first, out, at, count, scale) => {
  for (let i = 0; i < count; i++) out[at + i] = (words[first + i]! + 0.5) * scale
}
const toNormal: Convert = (first, out, at, count, scale) => {
  for (let i = 0; i < count; i++) out[at + i] = normalOf(words[first + i]!) * scale
}
const toTruncatedNormal: Convert = (first, out, at, count, scale) => {
  for (let i = 0; i < count; i++) out[at + i] = truncatedOf(words[first + i]!) * scale
}

const fillBy = (convert: Convert, out: Float32Array, scale: number, key: RandomKey, from: number): void => {
  if (!(Number.isSafeInteger(from) && from >= 0 && Number.isSafeInteger(from + out.length)))
    throw new RangeError(`the first element is ${from}; give a whole number from 0 on`)
  for (let at = 0; at < out.length; ) {
    const first = (from + at) % 4
    const count = Math.min(chunk - first, out.length - at)
    const blocks = Math.ceil((first + count) / 4)
    wordsFrom(key, Math.floor((from + at) / 4), words.subarray(0, 4 * blocks))
    convert(first, out, at, count, scale)
    at += count
  }
}

/** Fills with uniform draws between −`limit` and `limit`; `out[0]` is the key's element `from`. */
export const fillUniform = (out: Float32Array, limit: number, key: RandomKey, from = 0): void =>
  fillBy(toUniform, out, limit / 2 ** 31, key, from)

/** Fills with normal draws of mean 0; `out[0]` is the key's element `from`. */
export const fillNormal = (out: Float32Array, std: number, key: RandomKey, from = 0): void =>
  fillBy(toNormal, out, std, key, from)

/** Fills with normal draws of mean 0, cut at two standard deviations; `out[0]` is the key's element `from`. */
export const fillTruncatedNormal = (out: Float32Array, std: number, key: RandomKey, from = 0): void =>
  fillBy(toTruncatedNormal, out, std, key, from)
