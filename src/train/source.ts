/**
 * Where a stage's examples come from: a function of the index alone, so that a run that was stopped goes on with what it
 * would have seen.
 *
 * @since 0.1.0
 */
import { type Conversation, type Talk, textConversation } from '../data/collate.ts'
import { type Corpus, corpusAt } from '../tasks/corpus.ts'
import type { DenseMixture, Labelled } from '../tasks/dense.ts'
import { renderAhead } from '../tasks/render-pool.ts'
import { textAt } from '../tasks/text.ts'

/** A stream of examples by index. */
export interface Source<E = Conversation> {
  /** What it is, as data for the manifest. */
  readonly describe: unknown
  /** Examples from index `from` on, endless. Ending the iteration frees what it holds. */
  readonly from: (index: number) => AsyncIterableIterator<E> | IterableIterator<E>
}

/**
 * Examples in batches of `size`, from index `from` on. What is left over at a source's end is given as a smaller batch.
 * Ending the iteration ends the source's.
 */
export async function* batchesOf<E>(source: Source<E>, size: number, from = 0): AsyncGenerator<readonly E[]> {
  const stream = source.from(from)
  try {
    for (;;) {
      const rows: E[] = []
      while (rows.length < size) {
        const { value, done } = await stream.next()
        if (done) {
          if (rows.length > 0) yield rows
          return
        }
        rows.push(value)
      }
      yield rows
    }
  } finally {
    await stream.return?.()
  }
}

/**
 * Rendered pictures with their captions or answers, drawn ahead of time in a thread of their own.
 *
 * @category sources
 */
export const rendered = (talk: Talk): Source => ({
  describe: { kind: 'rendered', ...talk },
  from: (index) => renderAhead({ kind: 'conversations', ...talk }, { from: index }),
})

/**
 * Pictures full of labelled things, for the vision encoder's own pretraining.
 *
 * @category sources
 */
export const labelledPictures = (mixture: DenseMixture): Source<Labelled> => ({
  describe: { kind: 'labelledPictures', mixture },
  from: (index) => renderAhead({ kind: 'labelled', mixture }, { from: index }),
})

/**
 * Conversations about scenes that are not drawn, only labelled, and texts without a scene (written arithmetic, exercises in
 * recall): for the language model's own pretraining.
 *
 * @category sources
 */
export const scenes = (corpus: Corpus): Source => ({
  describe: { kind: 'scenes', ...corpus },
  *from(index) {
    for (let i = index; ; i++) yield corpusAt(corpus, i)
  },
})

/**
 * Written arithmetic, without pictures.
 *
 * @category sources
 */
export const texts = (seed: string): Source => ({
  describe: { kind: 'texts', seed },
  *from(index) {
    for (let i = index; ; i++) yield textConversation(`text/${seed}/${i}`, textAt(seed, i))
  },
})
