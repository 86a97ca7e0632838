/** Reinforcement of the smallest kind: six episodes of four updates, a checkpoint behind every third. */
import { pipe } from 'fp-ts/lib/function.js'
import { begin, experiment, fromScratch, next, unmeasured } from '../../../src/train/index.ts'
import { echoModel, echoStage } from '../echo.ts'

export default experiment(
  pipe(
    begin({ name: 'echo', seed: 1, model: echoModel, start: fromScratch, now: 'fresh' }),
    next(echoStage({ episodes: 6 })),
  ),
  unmeasured,
  { checkpointEvery: 3 },
)
