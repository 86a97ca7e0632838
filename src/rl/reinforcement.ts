/**
 * A stage of reinforcement learning: episodes of rollouts, rewards, advantages and updates.
 *
 * @since 0.1.0
 */
import type { FunctionSpec } from '../dsl/index.ts'
import { RecipeError, type Stage } from '../train/index.ts'
import {
  firstBatch,
  fitsProgram,
  learnerPrograms,
  learningStage,
  preflightOf,
  previewOf,
  transformed,
  withPrepared,
} from '../train/internal.ts'
import { referenceFunction, underReference } from './reference.ts'
import { runReinforcement } from './reinforcement-run.ts'
import { checkedReinforcement, type ReinforcementSettings } from './reinforcement-settings.ts'
import type { Reward } from './reward.ts'
import { ready } from './rewards/compound.ts'
import { reweighted, weightsOf } from './rewards/index.ts'
import { tooLong } from './session-policy.ts'
import type { Columns } from './task.ts'
import { heldOutTasks } from './validation.ts'

/**
 * A stage that draws rollouts from the policy as it is, judges them and learns from them, episode after episode: tasks →
 * rollout → score → dynamic sampling → advantages → minibatches → update.
 *
 * Each group of rollouts is recorded once. A run that is started again goes on from the last checkpoint, between two episodes or
 * two updates, takes recorded rollouts in place of new ones, and ends with the bits of a run that was never stopped. An episode
 * whose groups were all discarded changes nothing, and says so. Unsubscribing stops after the call in progress.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 * @category stages
 */
export const reinforcement = <
  const From extends string,
  const To extends string,
  C extends Columns,
  R extends Columns = C,
>(
  s: ReinforcementSettings<From, To, C, R>,
): Stage<From, To> => {
  const checked = checkedReinforcement<C, R>(s)
  const { where, config, learner, learningRate, steps, validation } = checked
  const { objective, policy, tasks, sampling } = s

  const drawn = withPrepared(
    where,
    tasks,
    { ...policy.functions, ...objective.functions },
    {
      setting: 'tasks',
      what: (name) =>
        `they are chosen by another policy than the stage's, and both have a function '${name}'; make one trainedPolicy(…) and give it to both`,
    },
  )
  const own = transformed(drawn, learner.transforms, () => [objective.terms(objective.buckets[0]!).sum])
  const reference: Readonly<Record<string, FunctionSpec>> =
    objective.loss.reads?.reference === true
      ? { [referenceFunction]: underReference(objective.functions.logProbs!, s.train) }
      : {}
  const beside = { ...own, ...reference }

  // any number of micro-batches an update
  const programs = learnerPrograms({ ...learner, objective, accumulate: 2 })

  return {
    ...{ ...learningStage(s, objective), config, steps, checkpointEvery: checked.checkpointEvery },
    reward: {
      weights: weightsOf(s.reward as Reward<never>),
      reweighted: (weights) =>
        // the columns that it reads are the same
        reinforcement({ ...s, reward: reweighted(s.reward as Reward<R>, weights) as typeof s.reward }),
    },
    program: (functions) => {
      const twice = Object.keys(functions).find((name) => name in beside)
      if (twice !== undefined)
        throw new RecipeError(
          where,
          'evaluation',
          `it has a function '${twice}', which is what the stage draws with; give it another name`,
        )
      return programs({ ...beside, ...functions })
    },
    preflight: async (program) => {
      await ready(where, 'reward', s.reward as Reward<never>)
      await preflightOf(tasks)
      // those of the first round: one that is too long ends the run when it is asked
      const first = (await firstBatch(previewOf(tasks), checked.drawing.groups))?.examples ?? []
      const [task] = first.toSorted((a, b) => b.prompt.promptLength - a.prompt.promptLength)
      if (task === undefined) throw new RecipeError(where, 'tasks', 'the source has no task')
      const { id, prompt } = task
      const long = policy.sizes && tooLong(prompt, policy.sizes)
      if (long !== undefined) throw new RecipeError(where, 'policy', `task ${id}: ${long}`)
      // the longest answer that the first prompt may get
      const ids = Array<number>(sampling.maxNewTokens).fill(prompt.ids[0]!)
      const promptIds = prompt.ids.slice(0, prompt.promptLength)
      const logProbs = ids.map(() => -1)
      const made = objective.collate([
        {
          ...{ id, promptIds, images: prompt.images, ids, advantage: 1 },
          ...{ oldLogProbs: logProbs, samplingLogProbs: logProbs, referenceLogProbs: logProbs },
        },
      ])
      fitsProgram(where, program, made, learningRate)
      for (const held of validation === undefined ? [] : await heldOutTasks(where, validation)) {
        const long = policy.sizes && tooLong(held.prompt, policy.sizes)
        if (long !== undefined) throw new RecipeError(where, 'validation.tasks', `task ${held.id}: ${long}`)
      }
    },
    run: (c) => runReinforcement<C>({ given: s, checked }, c),
  }
}
