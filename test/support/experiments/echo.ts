/**
 * Reinforcement of the smallest kind, on problems that the fresh weights solve now and then: six episodes of four updates, a
 * checkpoint behind every third; then what those weights say and end is learnt from.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { repeated } from '../../../src/data/index.ts'
import { harvested, reward, solvable, trainedPolicy } from '../../../src/rl/index.ts'
import {
  afterwards,
  begin,
  experiment,
  fromScratch,
  next,
  nextToken,
  supervised,
  unmeasured,
} from '../../../src/train/index.ts'
import { echoModel, echoProcessor, echoReward, echoStage, echoTasks } from '../echo.ts'

const policy = trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 16 })
const attempts = { tasks: echoTasks, policy, sampling: { maxNewTokens: 2 }, right: echoReward }

const hot = { maxNewTokens: 4, temperature: 6 }
/** What is trained on single tokens ends by chance alone. */
const ended = reward('ended', ({ completion }) => Number(completion.stop === 'end'))

export default experiment(
  pipe(
    begin({ name: 'echo', seed: 1, model: echoModel, start: fromScratch, now: 'fresh' }),
    next(
      echoStage({
        ...{ episodes: 6, policy },
        tasks: afterwards(solvable({ ...attempts, count: 64, attempts: 4 }), repeated),
      }),
    ),
    next(
      supervised({
        ...{ name: 'harvest', from: 'taught', to: 'fused', train: Object.values(echoModel.parts) },
        objective: nextToken(echoModel, echoProcessor, { rows: 4, tokens: 16 }),
        source: afterwards(
          harvested({ ...attempts, sampling: hot, right: ended, count: 24, attempts: 8 }),
          repeated,
        ),
        ...{ steps: 12, learningRate: 1e-2 },
      }),
    ),
  ),
  unmeasured,
  { checkpointEvery: 3 },
)
