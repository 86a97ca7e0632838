/**
 * An experiment that does train: two stages of a model of a few thousand weights. `--set pace` holds its data back, in
 * milliseconds an example, `--set hold` lets so many examples through and no other, so that it is there when it is stopped. It
 * says nothing of checkpoints.
 */
import { setTimeout } from 'node:timers/promises'
import { pipe } from 'fp-ts/lib/function.js'
import type { Conversation } from '../../../src/data/conversation.ts'
import type { Source } from '../../../src/data/source.ts'
import { unmeasured } from '../../../src/train/evaluation.ts'
import type { ExperimentFile } from '../../../src/train/experiment.ts'
import { begin, next } from '../../../src/train/recipe.ts'
import { experiment } from '../../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../../src/train/recipe-start.ts'
import { tinyConversation, tinyModel, tinyStage } from '../tiny.ts'

const held = (pace: number, hold: number): Source<Conversation> => ({
  config: { kind: 'tiny' },
  async *open(place) {
    for (let i = (place as number | undefined) ?? 0; ; i++) {
      if (pace > 0) await setTimeout(pace)
      // a timer keeps the process alive
      while (i >= hold) await setTimeout(1000)
      yield { example: tinyConversation(i), next: i + 1 }
    }
  },
})

const file: ExperimentFile = ({ seed, settings }) => {
  const source = held(Number(settings.pace ?? 0), Number(settings.hold ?? Number.POSITIVE_INFINITY))
  return experiment(
    pipe(
      begin({ name: 'trained', seed, model: tinyModel, start: fromScratch, now: 'fresh' }),
      next(
        tinyStage({ name: 'warm', to: 'warm', train: [tinyModel.parts.adapter], steps: 4, rows: 2, source }),
      ),
      next(tinyStage({ name: 'tune', from: 'warm', steps: 24, rows: 2, source })),
    ),
    unmeasured,
  )
}

export default file
