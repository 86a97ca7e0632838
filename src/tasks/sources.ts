/**
 * Rendered tasks as sources of training.
 *
 * @since 0.1.0
 */
import { type Conversation, type Exchange, indexed, type Source } from '../data/index.ts'
import {
  type Captioned,
  checkedCaptioned,
  type SceneConversation,
  textConversation,
} from './conversations.ts'
import { type Corpus, checkedCorpus, corpusAt } from './corpus.ts'
import { checkedDense, type DenseMixture, type Labelled } from './dense.ts'
import { checkedMixture, type Mixture } from './mixture.ts'
import { renderAhead } from './render-pool.ts'
import { textAt } from './text.ts'

/**
 * Rendered images with their captions or answers, drawn ahead of time in a thread of their own.
 *
 * @category sources
 */
export const rendered = (captioned: Captioned): Source<Conversation> =>
  indexed({ kind: 'rendered', ...checkedCaptioned('rendered', captioned) }, (from) =>
    renderAhead({ kind: 'conversations', ...captioned }, { from }),
  )

/**
 * Chains of thought about rendered images, to be curated: each a system turn that asks to think, the question, the steps as
 * a thought and the result in a box.
 *
 * @category sources
 */
export const chains = (mixture: Mixture): Source<Exchange> =>
  indexed({ kind: 'chains', mixture: checkedMixture(mixture) }, (from) =>
    renderAhead({ kind: 'chains', mixture }, { from }),
  )

/**
 * Images full of labelled things, for the vision encoder's own pretraining.
 *
 * @category sources
 */
export const labelledImages = (mixture: DenseMixture): Source<Labelled> =>
  indexed({ kind: 'labelledImages', mixture: checkedDense(mixture) }, (from) =>
    renderAhead({ kind: 'labelled', mixture }, { from }),
  )

/**
 * Conversations about scenes that are not drawn, only labelled, and texts without a scene (written arithmetic, exercises in
 * recall): for the language model's own pretraining.
 *
 * @category sources
 */
export const scenes = (corpus: Corpus): Source<SceneConversation> =>
  indexed({ kind: 'scenes', ...checkedCorpus(corpus) }, function* (index) {
    for (let i = index; ; i++) yield corpusAt(corpus, i)
  })

/**
 * Written arithmetic, without images.
 *
 * @category sources
 */
export const texts = (seed: string): Source<Conversation> =>
  indexed({ kind: 'texts', seed }, function* (index) {
    for (let i = index; ; i++) yield textConversation(`text/${seed}/${i}`, textAt(seed, i))
  })
