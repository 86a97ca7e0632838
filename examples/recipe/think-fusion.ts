/** Think-fusion SFT (paper §4.2.4): answers in one word, a few in steps, and chains that the policy wrote itself and that are right. */
import { mixed, packed, repeated } from 'sailwright/data'
import { all, answer, format, harvested } from 'sailwright/rl'
import { nanoModel, problems, rendered } from 'sailwright/tasks'
import { afterwards, supervised } from 'sailwright/train'
import type { About } from './answering.ts'
import { learnt, mixtureOf, plainly, policy, sampling, times } from './thought.ts'

export const thinkFusion = (about: About) => {
  const { seed } = about
  const right = all({ answer: answer(), format: format() })
  const asked = {
    tasks: problems(mixtureOf('think-fusion', about, 3, 4)),
    count: times(about, 768, 8),
    attempts: 1,
  }
  // asked for the result alone; of the hardest level, whose strings are longer than any that was read, it would be a guess
  const direct = rendered({ mixture: plainly('direct', about), captions: 0, direct: 1 })
  // and asked plainly, a few, so that the steps of an answer are not forgotten
  const plain = rendered({ mixture: plainly('plain answers', about), captions: 0 })
  const { sizes, stage } = learnt(116)
  return supervised({
    ...{ name: 'think-fusion', from: 'reasoning', to: 'fused' },
    // the encoder and the adapter see as they did: trained on bare results, they count worse
    ...{ ...stage, train: [nanoModel.parts.language], steps: times(about, 200, 2), learningRate: 6e-4 },
    // rejection sampling, with the weights that the stage begins with
    source: afterwards(harvested({ ...asked, policy, sampling, right }), (chains) => {
      const shares = [
        { share: 0.84, source: direct },
        { share: 0.06, source: plain },
        { share: 0.1, source: repeated(chains) },
      ]
      return packed(mixed(shares, { seed }), sizes)
    }),
  })
}
