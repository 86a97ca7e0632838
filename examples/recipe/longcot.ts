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

export const longCot = (about: About) => {
  const { seed } = about
  const filters = [unique, boxed, notRedundant(), lengthBalanced({ lengthOf, bin: 16, seed })]
  // of the hardest level a few, so that reinforcement has something left to find out
  const few = [
    { share: 0.7, source: chains(mixtureOf('longcot', about, 3, 3)) },
    { share: 0.3, source: chains(mixtureOf('longcot-hard', about, 4, 4)) },
  ]
  const written = curated(mixed(few, { seed }), {
    ...{ count: times(about, 7000, 64), filters, processor, what: 'chains of thought' },
  })
  // so that what was learnt before is not forgotten
  const plain = rendered({ mixture: plainly('plain', about), captions: 0 })
  const { sizes, stage } = learnt(160)
  // a short pass, 1/32, learns to think first: 100 steps
  const least = Math.ceil(3200 * Math.min(1 / 32, about.scale))
  return supervised({
    ...{ name: 'longcot', from: 'souped', to: 'thinking' },
    ...{ ...stage, steps: times(about, 800, least), learningRate: 2e-3 },
    source: afterwards(written, (kept) => {
      const shares = [
        { share: 0.7, source: repeated(kept) },
        { share: 0.3, source: plain },
      ]
      return packed(mixed(shares, { seed }), sizes)
    }),
  })
}
