/** A stage of reinforcement whose tasks have images: three conversations of the tiny model, an episode after the other. */
import { listed, repeated } from '../../src/data/index.ts'
import {
  gspo,
  policyGradient,
  type Reward,
  reinforcement,
  type Task,
  trainedPolicy,
} from '../../src/rl/index.ts'
import { begin, experiment, fromScratch, next, unmeasured } from '../../src/train/index.ts'
import { tinyConversation, type tinyModel, tinyProcessor } from './tiny.ts'

/** The tasks, of two families. */
export const seenTasks: readonly Task[] = [0, 1, 2].map((i) => ({
  ...{ id: `seen/${i}`, family: `f${i % 2}`, prompt: tinyConversation(i), question: '?', columns: {} },
}))

/** Even tokens are good: something differs in every group. */
const even: Reward = {
  name: 'even',
  config: 'even',
  score:
    ({ completion: { ids } }) =>
    async () => ({ _tag: 'Scored', value: ids.filter((id) => id % 2 === 0).length, evidence: {} }),
}

/** All parts of a model are trained for so many episodes of two updates. */
export const seeing = (model: typeof tinyModel, episodes: number) => {
  const longest = Math.max(...seenTasks.map((t) => t.prompt.promptLength))
  const stage = reinforcement({
    ...{ name: 'see', from: 'fresh', to: 'taught', train: Object.values(model.parts) },
    objective: policyGradient(model, tinyProcessor, {
      ...{ rows: 4, tokens: longest + 4, images: 3, completions: 4, answer: 4, loss: gspo() },
    }),
    policy: trainedPolicy(model, tinyProcessor, { rows: 4, prompt: longest, capacity: longest + 4 }),
    ...{ tasks: repeated(listed('seen', seenTasks)), reward: even, group: 4, sampling: { maxNewTokens: 4 } },
    ...{ episodes, episode: { rollouts: 16, minibatch: 8, updates: 2, rounds: 3 }, learningRate: 1e-3 },
  })
  const start = begin({ name: 'see', seed: 2, model, start: fromScratch, now: 'fresh' })
  return experiment(next(stage)(start), unmeasured, { checkpointEvery: 0 })
}
