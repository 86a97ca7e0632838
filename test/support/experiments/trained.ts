/**
 * An experiment that does train: two stages of a model of a few thousand weights. `--set pace` holds its data back, in
 * milliseconds an example, so that there is time to stop it. It says nothing of checkpoints.
 */
import { setTimeout } from 'node:timers/promises'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Conversation } from '../../../src/data/collate.ts'
import type { ExperimentFile } from '../../../src/train/experiment.ts'
import { begin, experiment, next } from '../../../src/train/recipe.ts'
import type { Source } from '../../../src/train/source.ts'
import { tiny, tinyConversation, tinyStage, unmeasured } from '../tiny.ts'

const held = (pace: number): Source<Conversation> => ({
  describe: { kind: 'tiny' },
  async *from(index) {
    for (let i = index; ; i++) {
      if (pace > 0) await setTimeout(pace)
      yield tinyConversation(i)
    }
  },
})

const file: ExperimentFile = ({ seed, settings }) => {
  const source = held(Number(settings.pace ?? 0))
  return experiment(
    pipe(
      begin({
        name: 'trained',
        seed,
        model: { name: 'tiny', config: tiny },
        start: { describe: 'fresh', weights: TE.right(new Map()) },
        now: 'fresh',
      }),
      next(tinyStage({ name: 'warm', to: 'warm', train: ['adapter'], steps: 4, batch: 2, source })),
      next(tinyStage({ name: 'tune', from: 'warm', steps: 24, batch: 2, source })),
    ),
    unmeasured,
  )
}

export default file
