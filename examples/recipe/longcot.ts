/** LongCoT SFT (paper §4.2.2): chains of thought and a box, curated, among questions that are answered as SFT taught. */
import {
  boxed,
  type Exchange,
  lengthBalanced,
  mixed,
  notRedundant,
  packed,
  repeated,
  unique,
} from 'sailwright/data'
import { chains, rendered } from 'sailwright/tasks'
import { afterwards, curated, supervised } from 'sailwright/train'
import type { About } from './answering.ts'
import { learnt, mixtureOf, plainly, processor, times } from './thought.ts'

const lengthOf = (e: Exchange): number => processor.tokenizer.encodeText(e.thought ?? '').length

/** What is thought about. */
const thoughts = { count: 1.3, chart: 1.3, arithmetic: 0.7 }
/**
 * What is asked plainly, counting most of all: its steps have learnt one distance from the image, and those of a thought stand
 * a token further, behind `<think>`.
 */
const answers = { read: 1.5, count: 4, chart: 1.5, arithmetic: 0.5 }

export const longCot = (about: About) => {
  const { seed } = about
  const filters = [unique, boxed, notRedundant(), lengthBalanced({ lengthOf, bin: 16, seed })]
  // of the hardest level a few, so that reinforcement has something left to find out
  const few = [
    { share: 0.7, source: chains({ ...mixtureOf('longcot', about, 3, 3), weights: thoughts }) },
    { share: 0.3, source: chains({ ...mixtureOf('longcot-hard', about, 4, 4), weights: thoughts }) },
  ]
  const written = curated(mixed(few, { seed }), {
    ...{ count: times(about, 4000, 64), filters, processor, what: 'chains of thought' },
  })
  // so that what was learnt before is not forgotten
  const plain = rendered({ mixture: { ...plainly('plain', about), weights: answers }, captions: 0 })
  const { sizes, stage } = learnt(160)
  // a short pass, 1/32, learns to think first: 100 steps
  const least = Math.ceil(3200 * Math.min(1 / 32, about.scale))
  return supervised({
    ...{ name: 'longcot', from: 'souped', to: 'thinking' },
    ...{ ...stage, steps: times(about, 500, least), learningRate: 2e-3 },
    source: afterwards(written, (kept) => {
      const shares = [
        { share: 0.6, source: repeated(kept) },
        { share: 0.4, source: plain },
      ]
      return packed(mixed(shares, { seed }), sizes)
    }),
  })
}
