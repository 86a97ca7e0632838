/**
 * Where a stage's conversations come from: a function of the index alone, so that a run that was stopped goes on with what
 * it would have seen.
 *
 * @since 0.1.0
 */
import { type Conversation, conversation, textConversation } from '../data/collate.ts'
import { type Mixture, sampleAt } from '../data/mixture.ts'
import { random } from '../data/random.ts'
import { textAt } from '../data/text.ts'

/** A stream of conversations by index. */
export interface Source {
  /** What it is, as data for the manifest. */
  readonly describe: unknown
  /** Conversations from index `from` on, endless. Ending the iteration frees what it holds. */
  readonly from: (index: number) => AsyncIterableIterator<Conversation> | IterableIterator<Conversation>
}

/** Settings of {@link rendered}. */
export interface RenderedOptions {
  readonly mixture: Mixture
  /** Share of samples that are to be described; the others are to be answered. Default 0. */
  readonly captions?: number
}

/**
 * Rendered pictures with their captions or answers.
 *
 * @category sources
 */
export const rendered = ({ mixture, captions = 0 }: RenderedOptions): Source => ({
  describe: { kind: 'rendered', mixture, captions },
  *from(index) {
    for (let i = index; ; i++) {
      const reply = random(mixture.seed, 'reply', i).next() < captions ? 'caption' : 'answer'
      yield conversation(sampleAt(mixture, i), reply)
    }
  },
})

/**
 * Scenes in words and written arithmetic, without pictures.
 *
 * @category sources
 */
export const texts = (seed: string): Source => ({
  describe: { kind: 'texts', seed },
  *from(index) {
    for (let i = index; ; i++) yield textConversation(`text/${seed}/${i}`, textAt(seed, i))
  },
})
