/**
 * What the nano language model is pretrained with before it ever sees an image: conversations about scenes of which only
 * the labels of the patches are given, and texts without any scene: written arithmetic and exercises in recall.
 *
 * @since 0.1.0
 */
import type { Processor } from '../data/index.ts'
import { random } from '../random/index.ts'
import { onlySettings } from '../settings/index.ts'
import {
  type Captioned,
  checkedShares,
  replyAt,
  type SceneConversation,
  sceneConversation,
  textConversation,
} from './conversations.ts'
import { checkedMixture, describeAt, taskOf } from './mixture.ts'
import { nanoProcessor } from './nano.ts'
import { recallAt, textAt } from './text.ts'

/** Conversations about scenes that are not drawn, among them texts without a scene. */
export interface Corpus extends Pick<Captioned, 'mixture' | 'captions'> {
  /** Share of written arithmetic without a scene, 0 to 1. */
  readonly texts: number
  /** Share of exercises in recall, 0 to 1; default 0. */
  readonly recall?: number
}

/** @throws MixtureError for a mixture or shares that cannot be, SettingsError for a setting that is none */
export const checkedCorpus = (c: Corpus): Corpus => {
  const { mixture, captions, texts, recall } = onlySettings('corpus', c, [
    'mixture',
    'captions',
    'texts',
    'recall',
  ])
  checkedMixture(mixture)
  checkedShares('corpus', { captions }, 'captions')
  checkedShares('corpus', { texts, recall }, 'texts')
  return c
}

/** The i-th conversation of a corpus, without images: a pure function of both. No held-out content occurs in training. */
export const corpusAt = (
  corpus: Corpus,
  i: number,
  processor: Processor = nanoProcessor(),
): SceneConversation => {
  const { mixture, captions, texts, recall = 0 } = checkedCorpus(corpus)
  const { seed } = mixture
  const point = random(seed, 'corpus', i).next()
  if (point < texts) return textConversation(`text/${seed}/${i}`, textAt(seed, i), processor)
  if (point < texts + recall) return textConversation(`recall/${seed}/${i}`, recallAt(seed, i), processor)
  const described = describeAt(mixture, i)
  const scene = taskOf(described.scene).patches(described.scene)
  return sceneConversation(described, scene, replyAt(seed, { captions }, i), processor)
}
