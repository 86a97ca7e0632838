/** Reinforcement of the smallest kind with a reward of two parts. */
import { pipe } from 'fp-ts/lib/function.js'
import { reward, weighted } from '../../../src/rl/index.ts'
import { begin, experiment, fromScratch, next, unmeasured } from '../../../src/train/index.ts'
import { echoModel, echoReward, echoStage } from '../echo.ts'

export default experiment(
  pipe(
    begin({ name: 'echo', seed: 1, model: echoModel, start: fromScratch, now: 'fresh' }),
    next(
      echoStage({
        episodes: 1,
        reward: weighted(
          {
            answer: echoReward,
            brief: reward('brief', ({ completion }) => (completion.ids.length < 2 ? 1 : 0)),
          },
          { answer: 0.9, brief: 0.1 },
        ),
      }),
    ),
  ),
  unmeasured,
)
