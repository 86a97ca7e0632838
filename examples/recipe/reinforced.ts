/** Reinforcement (paper §4.2.3, §4.2.5): problems that the weights solve now and then, rewards that are verified and judged. */
import { repeated } from 'sailwright/data'
import { adamWith } from 'sailwright/optim'
import * as rl from 'sailwright/rl'
import type { Level, ProblemColumns, Scene } from 'sailwright/tasks'
import { nanoModel, problems, sceneRules, stepRules } from 'sailwright/tasks'
import { afterwards } from 'sailwright/train'
import type { About } from './answering.ts'
import { mixtureOf, policy, processor, sampling, times } from './thought.ts'

const [answer, format, steps] = [rl.answer(), rl.format(), rl.sceneSteps<Scene>(stepRules)]

/** Is the answer right, is it in a box behind a thought, and which steps of the thought hold: rules look into the scene. */
export const verified = rl.weighted({ answer, format, steps }, { answer: 0.6, format: 0.1, steps: 0.3 })
/** A step is compared with others about the same, so that what was wrong is what is learnt from. */
export const advantages = { scale: 'none', steps: 4 } as const
/** And is the thought as a whole sound and true of the image: rules over its scene judge that. */
const sail = rl.sailRl({ think: rl.sceneJudge<Scene>(sceneRules), answer, format })
export const judged = rl.weighted({ sail, steps }, { sail: 0.7, steps: 0.3 })

/** The encoder sees as it did: of all parts' gradients the language model's agree best between batches. */
const learns = [nanoModel.parts.language]

/** A stage of reinforcement: its reward, the lowest level of its problems, episodes, learning rate. */
export const reinforced =
  (about: About) =>
  <const From extends string, const To extends string>(
    name: string,
    [from, to]: readonly [From, To],
    reward: rl.Reward<ProblemColumns>,
    [lowest, episodes, learningRate]: readonly [Level, number, number],
  ) => {
    const rollouts = about.scale < 0.5 ? 32 : 256
    const tasks = problems(mixtureOf(name, about, lowest, 4))
    const tried = {
      tasks,
      count: times(about, 32 * episodes, 8),
      attempts: 4,
      policy,
      sampling,
      right: answer,
    }
    return rl.reinforcement({
      ...{ name, from, to, train: learns, policy, sampling, reward, advantages },
      ...{ group: 4, episodes: times(about, episodes, 2) },
      // pass@4: neither trivial nor impossible
      tasks: afterwards(rl.solvable(tried), repeated),
      objective: rl.policyGradient(nanoModel, processor, {
        ...{ loss: rl.dapo(), rows: 8, tokens: 216, completions: 32, answer: 60, images: 8, steps: true },
      }),
      episode: { rollouts, minibatch: rollouts, updates: 1, rounds: 1 },
      ...{ learningRate, optimizer: adamWith({ beta2: 0.98, weightDecay: 0 }) },
      schedule: { kind: 'cosine', warmup: 0.15, minRatio: 0.1 },
    })
  }
