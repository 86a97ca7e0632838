/**
 * Conversations about samples: either a sample is to be described, or its question is to be answered.
 *
 * @since 0.1.0
 */
import {
  type Conversation,
  conversation,
  conversationOf,
  type Exchange,
  type Processor,
  promptIds,
} from '../data/index.ts'
import { random } from '../random/index.ts'
import { onlySettings, shownValue } from '../settings/index.ts'
import { checkedMixture, type Mixture, MixtureError, sampleAt } from './mixture.ts'
import { nanoProcessor } from './nano.ts'
import type { Described, PatchLabels, Sample } from './sample.ts'
import { captionRequest, directRequest, type TextExample, thoughtRequest } from './text.ts'

/**
 * What a conversation about a sample is to be:
 *
 * - `caption`: the image's description.
 * - `answer`: the steps in plain sight and the result after them, `7+8=15, 4+3+1=8, so 85`.
 * - `thought`: the steps as a thought, the result in a box (SAIL-VL2's LongCoT format): `<think>…</think>\\boxed{85}`.
 * - `direct`: asked for one word, the result alone.
 * - `hasty`: asked as for a thought, the boxed result without one: `\\boxed{85}`. What answers both ways has a choice.
 */
export type Reply = 'caption' | 'answer' | 'thought' | 'direct' | 'hasty'

/** A conversation about a scene that is not drawn: the labels of its patches stand for the image. */
export interface SceneConversation extends Conversation {
  /** What the patches of the one image would show; undefined where there is no scene. */
  readonly scene?: PatchLabels
}

/**
 * A question without its closing mark, as it stands before a thought: `<think>` takes the mark's place, so that the steps
 * behind it stand as far from the image and the question as in a plain answer. The nano model finds them by that distance.
 */
const withoutMark = (question: string): string => question.replace(/[?.]$/, '')

const exchangeOf = (d: Described, kind: Reply): Omit<Exchange, 'id'> => {
  const request = d.question
  const thinking = { system: thoughtRequest, request: withoutMark(request) }
  switch (kind) {
    case 'caption':
      return { request: captionRequest, answer: d.caption }
    case 'answer':
      return { request, answer: d.answer }
    case 'direct':
      return { system: directRequest, request, answer: d.final }
    case 'thought':
      return { ...thinking, thought: d.steps, answer: `\\boxed{${d.final}}` }
    case 'hasty':
      return { ...thinking, answer: `\\boxed{${d.final}}` }
  }
}

/** A sample as a conversation with its image. */
export const sampleConversation = (
  sample: Sample,
  kind: Reply,
  processor: Processor = nanoProcessor(),
): Conversation =>
  conversation(processor, { id: sample.id, ...exchangeOf(sample, kind), images: [sample.image] })

/** A described sample as a conversation about its scene, with the tokens of an image that was not drawn. */
export const sceneConversation = (
  described: Described,
  scene: PatchLabels,
  kind: Reply,
  processor: Processor = nanoProcessor(),
): SceneConversation => {
  const asked = exchangeOf(described, kind)
  return { ...conversationOf(processor, described.id, promptIds(processor, asked, 1), asked), scene }
}

/** A mixture, and what its conversations are to be; the rest of them are answers. Shares are 0 to 1, at most 1 together. */
export interface Captioned {
  readonly mixture: Mixture
  /** Share that is to be described. */
  readonly captions: number
  /** Share that is to be thought about; default none. */
  readonly thoughts?: number
  /** Share that is to be answered by the result alone; default none. */
  readonly direct?: number
  /** Share that is asked as for a thought and answered without one; default none. */
  readonly hasty?: number
}

const shares = ['captions', 'thoughts', 'direct', 'hasty'] as const

/** Shares of a whole, of which all but one may be left out. @throws MixtureError where one is no number from 0 to 1, or they are more than 1 together */
export const checkedShares = (
  where: string,
  given: Readonly<Record<string, unknown>>,
  needed: string,
): void => {
  let all = 0
  for (const [name, share] of Object.entries(given)) {
    if (share === undefined && name !== needed) continue
    if (!(typeof share === 'number' && share >= 0 && share <= 1))
      throw new MixtureError(`${where}, ${name}: it is ${shownValue(share)}; give a share from 0 to 1`)
    all += share
  }
  if (all > 1 + 1e-9)
    throw new MixtureError(`${where}: ${Object.keys(given).join(', ')} are ${all} together; give at most 1`)
}

/** @throws MixtureError for a mixture or shares that cannot be, SettingsError for a setting that is none */
export const checkedCaptioned = (where: string, c: Captioned): Captioned => {
  const { mixture, captions, thoughts, direct, hasty } = onlySettings(where, c, ['mixture', ...shares])
  checkedMixture(mixture)
  checkedShares(where, { captions, thoughts, direct, hasty }, 'captions')
  return c
}

/** What the i-th conversation of a seed is to be. */
export const replyAt = (seed: string | number, of: Omit<Captioned, 'mixture'>, i: number): Reply => {
  const { captions, thoughts = 0, direct = 0, hasty = 0 } = onlySettings('replyAt', of, shares)
  const point = random(seed, 'reply', i).next()
  if (point < captions) return 'caption'
  if (point < captions + thoughts) return 'thought'
  if (point < captions + thoughts + direct) return 'direct'
  return point < captions + thoughts + direct + hasty ? 'hasty' : 'answer'
}

/** The i-th conversation of a mixture: a pure function of both. */
export const conversationAt = (
  captioned: Captioned,
  i: number,
  processor: Processor = nanoProcessor(),
): Conversation => {
  const { mixture, ...of } = checkedCaptioned('conversationAt', captioned)
  return sampleConversation(sampleAt(mixture, i), replyAt(mixture.seed, of, i), processor)
}

/**
 * The i-th sample of a mixture as a chain of thought with its image (SAIL-VL2's LongCoT format), not laid out yet: what
 * curation reads.
 */
export const chainAt = (mixture: Mixture, i: number): Exchange => {
  const sample = sampleAt(mixture, i)
  return { id: sample.id, ...exchangeOf(sample, 'thought'), images: [sample.image] }
}

/** A text example as a conversation without an image. */
export const textConversation = (
  id: string,
  { prompt, answer }: TextExample,
  processor: Processor = nanoProcessor(),
): Conversation => conversation(processor, { id, request: prompt, answer })
