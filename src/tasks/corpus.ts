/**
 * What the nano language model is pretrained with before it ever sees a picture: conversations about scenes of which only
 * the labels of the patches are given, and texts without any scene: written arithmetic and exercises in recall.
 *
 * @since 0.1.0
 */
import { type Conversation, replyAt, spoken, type Talk, textConversation } from '../data/collate.ts'
import { nanoTokenizer, type TextTokenizer } from '../data/tokens.ts'
import { random } from '../random/index.ts'
import { describeAt, taskOf } from './mixture.ts'
import { recallAt, textAt } from './text.ts'

/** Conversations about scenes that are not drawn, among them texts without a scene. */
export interface Corpus extends Talk {
  /** Share of written arithmetic without a scene, 0 to 1. */
  readonly texts: number
  /** Share of exercises in recall, 0 to 1; default 0. */
  readonly recall?: number
}

/** The i-th conversation of a corpus, without pictures: a pure function of both. No held-out content occurs in training. */
export const corpusAt = (
  { mixture, captions, texts, recall = 0 }: Corpus,
  i: number,
  tokenizer: TextTokenizer = nanoTokenizer(),
): Conversation => {
  const { seed } = mixture
  const point = random(seed, 'corpus', i).next()
  if (point < texts) return textConversation(`text/${seed}/${i}`, textAt(seed, i), tokenizer)
  if (point < texts + recall) return textConversation(`recall/${seed}/${i}`, recallAt(seed, i), tokenizer)
  const described = describeAt(mixture, i)
  return {
    ...spoken(described, replyAt(seed, captions, i), tokenizer),
    scene: taskOf(described.scene).patches(described.scene),
  }
}
