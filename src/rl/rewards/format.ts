/**
 * Whether a completion has the shape that was asked for. Each rule is one pass over the text.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import type { Reward } from '../reward.ts'
import { lastBoxed } from '../verify/index.ts'
import { scored } from './judgement.ts'

/** What stands behind the thinking: a box with something in it, an `<answer>` tag, or anything. */
export type Then = 'box' | 'answer' | 'anything'

const open = '<think>'
const close = '</think>'

const timesIn = (text: string, part: string): number => text.split(part).length - 1

/** What is wrong with the shape of a text; undefined where nothing is. */
const fault = (text: string, then: Then): string | undefined => {
  const plain = text.split('<|im_end|>')[0]!
  if (!plain.startsWith(open)) return `it does not begin with ${open}`
  if (timesIn(plain, open) > 1) return `${open} stands there twice`
  if (!plain.includes(close)) return `there is no ${close}`
  if (then === 'anything') return undefined
  if (timesIn(plain, close) > 1) return `${close} stands there twice`
  const behind = plain.slice(plain.indexOf(close) + close.length)
  if (then === 'box') {
    const boxed = lastBoxed(behind)
    return boxed === null
      ? `no closed \\boxed{} behind ${close}`
      : boxed.trim() === ''
        ? 'the box is empty'
        : undefined
  }
  const [begin, end] = [behind.indexOf('<answer>'), behind.lastIndexOf('</answer>')]
  if (timesIn(behind, '<answer>') !== 1 || timesIn(behind, '</answer>') !== 1 || end < begin)
    return 'no <answer>…</answer>'
  return behind.slice(0, begin).trim() === '' && behind.slice(end + '</answer>'.length).trim() === ''
    ? undefined
    : 'there is more than the answer tag'
}

const shaped = (name: string, then: Then): Reward => ({
  name,
  config: { kind: 'format', name, then },
  score:
    ({ completion }) =>
    async () => {
      const wrong = fault(completion.text, then)
      return scored(wrong === undefined ? 1 : 0, wrong === undefined ? {} : { why: wrong })
    },
})

/**
 * 1 where a completion begins with one `<think>…</think>`, and a `\boxed{…}` that is closed and not empty stands behind it
 * (SAIL-VL2, section 4.2.3); else 0. `then` asks for an `<answer>` tag alone or anything in place of the box.
 *
 * @category rewards
 */
export const format = (options: { readonly then?: Then } = {}): Reward => {
  onlySettings('format', options, ['then'])
  return shaped('format', options.then ?? 'box')
}

/**
 * 1 where a completion begins with `<think>`, has no other, and a `</think>`, as TRL's think format asks; else 0.
 *
 * @category rewards
 */
export const think = (): Reward => shaped('think', 'anything')
