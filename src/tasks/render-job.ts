/**
 * What can be rendered by index, here or in a worker: a job is plain data, its items are plain data with typed arrays.
 *
 * @since 0.1.0
 */
import type { Conversation, Exchange } from '../data/index.ts'
import { type Captioned, chainAt, conversationAt } from './conversations.ts'
import { type DenseMixture, type Labelled, labelledAt } from './dense.ts'
import { type Mixture, sampleAt } from './mixture.ts'
import type { Image, PatchLabels, Sample } from './sample.ts'

/** Samples of a mixture, conversations of a mixture (nano processor), chains of thought, or labelled images. */
export type RenderJob =
  | { readonly kind: 'samples'; readonly mixture: Mixture }
  | ({ readonly kind: 'conversations' } & Captioned)
  | { readonly kind: 'chains'; readonly mixture: Mixture }
  | { readonly kind: 'labelled'; readonly mixture: DenseMixture }

/** What each kind of job gives. */
export interface RenderItems {
  readonly samples: Sample
  readonly conversations: Conversation
  readonly chains: Exchange
  readonly labelled: Labelled
}

/** The items of a job. */
export type ItemOf<J extends RenderJob> = RenderItems[J['kind']]

const anyItem = (job: RenderJob, index: number): RenderItems[keyof RenderItems] => {
  if (job.kind === 'samples') return sampleAt(job.mixture, index)
  if (job.kind === 'conversations') {
    const { kind: _, ...captioned } = job
    return conversationAt(captioned, index)
  }
  if (job.kind === 'chains') return chainAt(job.mixture, index)
  return labelledAt(job.mixture, index)
}

/** The item with an index: a pure function of the job and the index. */
export const itemAt = <J extends RenderJob>(job: J, index: number): ItemOf<J> =>
  anyItem(job, index) as ItemOf<J>

interface Parts {
  readonly image?: Image
  readonly images?: readonly Image[]
  readonly patches?: PatchLabels
}

/** The buffers of items, which a worker hands over instead of copying. */
export const transferable = (items: readonly unknown[]): ArrayBuffer[] => {
  const buffers = new Set<ArrayBuffer>()
  for (const { image, images = [], patches } of items as readonly Parts[]) {
    for (const p of image === undefined ? images : [image]) buffers.add(p.data.buffer as ArrayBuffer)
    if (patches !== undefined)
      for (const labels of [patches.classes, patches.centres, patches.values])
        buffers.add(labels.buffer as ArrayBuffer)
  }
  return [...buffers]
}
