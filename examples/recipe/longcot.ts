/** LongCoT SFT (paper §4.2.2): chains of thought and a box, curated. */
import { boxed, type Exchange, lengthBalanced, notRedundant, packed, repeated, unique } from 'sailwright/data'
import { chains } from 'sailwright/tasks'
import { afterwards, curated, supervised } from 'sailwright/train'
import type { About } from './answering.ts'
import { learnt, mixtureOf, processor, times } from './thought.ts'

const lengthOf = (e: Exchange): number => processor.tokenizer.encodeText(e.thought ?? '').length

export const longCot = (about: About) => {
  const { seed } = about
  const filters = [unique, boxed, notRedundant(), lengthBalanced({ lengthOf, bin: 16, seed })]
  const written = curated(chains(mixtureOf('longcot', about, 3, 4)), {
    ...{ count: times(about, 4800, 64), filters, processor, what: 'chains of thought' },
  })
  const { sizes, stage } = learnt(160)
  return supervised({
    ...{ name: 'longcot', from: 'souped', to: 'thinking' },
    ...{ ...stage, steps: times(about, 400, 2), learningRate: 1.5e-3 },
    source: afterwards(written, (kept) => packed(repeated(kept), sizes)),
  })
}
