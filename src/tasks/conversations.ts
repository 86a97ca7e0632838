/**
 * Conversations about samples: either a sample is to be described, or its question is to be answered.
 *
 * @since 0.1.0
 */
import { type Conversation, conversation, conversationOf, type Processor, promptIds } from '../data/index.ts'
import { random } from '../random/index.ts'
import { type Mixture, sampleAt } from './mixture.ts'
import { nanoProcessor } from './nano.ts'
import type { Described, PatchLabels, Sample } from './sample.ts'
import { captionRequest, type TextExample } from './text.ts'

/** What a conversation about a sample is to be: its description (`caption`), or the answer to its question. */
export type Reply = 'caption' | 'answer'

/** A conversation about a scene that is not drawn: the labels of its patches stand for the image. */
export interface SceneConversation extends Conversation {
  /** What the patches of the one image would show; undefined where there is no scene. */
  readonly scene?: PatchLabels
}

const requestOf = (d: Described, kind: Reply): { readonly request: string; readonly answer: string } =>
  kind === 'caption'
    ? { request: captionRequest, answer: d.caption }
    : { request: d.question, answer: d.answer }

/** A sample as a conversation with its image. */
export const sampleConversation = (
  sample: Sample,
  kind: Reply,
  processor: Processor = nanoProcessor(),
): Conversation =>
  conversation(processor, { id: sample.id, ...requestOf(sample, kind), images: [sample.image] })

/** A described sample as a conversation about its scene, with the tokens of an image that was not drawn. */
export const sceneConversation = (
  described: Described,
  scene: PatchLabels,
  kind: Reply,
  processor: Processor = nanoProcessor(),
): SceneConversation => {
  const { request, answer } = requestOf(described, kind)
  return { ...conversationOf(processor, described.id, promptIds(processor, request, 1), answer), scene }
}

/** A mixture whose samples are partly to be described and otherwise to be answered. */
export interface Captioned {
  readonly mixture: Mixture
  /** Share of samples that are to be described, 0 to 1. */
  readonly captions: number
}

/** What the i-th conversation of a seed is, where a share of them are captions. */
export const replyAt = (seed: string | number, captions: number, i: number): Reply =>
  random(seed, 'reply', i).next() < captions ? 'caption' : 'answer'

/** The i-th conversation of a mixture: a pure function of both. */
export const conversationAt = (
  { mixture, captions }: Captioned,
  i: number,
  processor: Processor = nanoProcessor(),
): Conversation => sampleConversation(sampleAt(mixture, i), replyAt(mixture.seed, captions, i), processor)

/** A text example as a conversation without an image. */
export const textConversation = (
  id: string,
  { prompt, answer }: TextExample,
  processor: Processor = nanoProcessor(),
): Conversation => conversation(processor, { id, request: prompt, answer })
