/**
 * A stage of reinforcement learning: episodes of rollouts, rewards, advantages and updates.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Placed } from '../data/index.ts'
import { anyOf, type FunctionSpec } from '../dsl/index.ts'
import { chooseVariant } from '../engine/index.ts'
import { RecipeError, type Stage } from '../train/index.ts'
import {
  endingOf,
  learnerPrograms,
  previewOf,
  stageSchedule,
  transformed,
  withPrepared,
} from '../train/internal.ts'
import { referenceFunction, underReference } from './reference.ts'
import { runReinforcement } from './reinforcement-run.ts'
import { checkedReinforcement, type ReinforcementSettings } from './reinforcement-settings.ts'
import type { Reward } from './reward.ts'
import { reweighted, weightsOf } from './rewards/index.ts'
import type { Columns, Task } from './task.ts'
import { checkedValidation, heldOutTasks } from './validation.ts'

/**
 * A stage that draws rollouts from the policy as it is, judges them and learns from them, episode after episode: tasks →
 * rollout → score → dynamic sampling → advantages → minibatches → update.
 *
 * Each group of rollouts is recorded once. A run that is started again goes on from the last checkpoint, between two episodes or
 * two updates, takes recorded rollouts in place of new ones, and ends with the bits of a run that was never stopped. An episode whose groups were all discarded changes
 * nothing, and says so. Unsubscribing stops after the call in progress.
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
  const checked = checkedReinforcement(s)
  const { where, groups, rounds, group, updates, episodes, learningRate, maxGradientNorm } = checked
  const { concurrency, optimizer, transforms, ema, adaLrs, advantages, selection } = checked
  const { objective, policy, tasks, sampling, filterOverlong = false } = s
  const reward = s.reward as Reward<Columns> as Reward<C>
  const steps = episodes * updates
  const { config: course, factor } = stageSchedule(where, s.schedule ?? { kind: 'constant' }, steps)
  const recompute = s.recompute ?? objective.loss.reads?.sampling === true
  const validation =
    s.validation === undefined
      ? undefined
      : checkedValidation(where, s.validation, sampling.maxNewTokens, policy)
  const config = {
    kind: 'reinforcement',
    ...{ name: s.name, from: s.from, to: s.to, train: s.train.map((k) => k.name) },
    ...{ objective: objective.config, policy: policy.config, tasks: tasks.config, reward: reward.config },
    ...{ group, sampling: { ...sampling }, episodes, episode: { ...s.episode, rounds } },
    ...{ learningRate, schedule: course, optimizer: optimizer.config, maxGradientNorm },
    ...{ advantages: { ...advantages }, selection: { ...selection }, filterOverlong, recompute },
    ...(transforms.length === 0 ? {} : { transforms: transforms.map((t) => t.config) }),
    ...(ema === undefined ? {} : { ema }),
    ...(adaLrs === undefined ? {} : { adaLrs: { on: adaLrs.on, ...adaLrs.search.config } }),
    ...(validation === undefined ? {} : { validation: validation.config }),
  }
  checked.identified(config)
  const drawing = {
    ...{ stage: s.name, reward, group, sampling, groups, rounds, concurrency, selection, advantages },
  }

  const added = transforms.flatMap((t) => t.adds?.keys ?? [])
  const drawn = withPrepared(where, tasks, { ...policy.functions, ...objective.functions })
  const own = transformed(drawn, transforms, () => [objective.terms(objective.buckets[0]!).sum])
  const reference: Readonly<Record<string, FunctionSpec>> =
    objective.loss.reads?.reference === true
      ? { [referenceFunction]: underReference(objective.functions.logProbs!, s.train) }
      : {}

  const learner = learnerPrograms({
    ...{ name: s.name, objective, train: s.train, optimizer, maxGradientNorm, transforms },
    ...(ema === undefined ? {} : { ema }),
    // any number of micro-batches an update
    accumulate: 2,
  })

  return {
    ...{ name: s.name, from: s.from, to: s.to, config, model: objective.model, steps },
    // what its weights can be talked to with
    ...(objective.processor === undefined ? {} : { processor: objective.processor }),
    checkpointEvery: checked.checkpointEvery,
    reward: {
      weights: weightsOf(reward as Reward<never>),
      reweighted: (weights) =>
        // the columns that it reads are the same
        reinforcement({ ...s, reward: reweighted(s.reward as Reward<R>, weights) as typeof s.reward }),
    },
    ...(added.length === 0 ? {} : { own: anyOf(added) }),
    ...endingOf(transforms, ema !== undefined),
    program: (functions) => {
      const beside = { ...own, ...reference }
      const twice = Object.keys(functions).find((name) => name in beside)
      if (twice !== undefined)
        throw new RecipeError(
          where,
          'evaluation',
          `it has a function '${twice}', which is what the stage draws with; give it another name`,
        )
      return learner({ ...beside, ...functions })
    },
    preflight: async (program) => {
      const stream = previewOf(tasks).open()
      try {
        const { value, done } = await stream.next()
        if (done === true) throw new RecipeError(where, 'tasks', 'the source has no task')
        const { id, prompt } = (value as Placed<Task<C>>).example
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
        for (const { inputs } of made) {
          const fits = chooseVariant(program, 'accumulate', inputs)
          if (E.isLeft(fits)) throw new RecipeError(where, 'objective.collate', fits.left.message, fits.left)
        }
      } finally {
        await stream.return?.()
      }
      if (validation !== undefined) await heldOutTasks(where, validation)
    },
    run: (c) =>
      runReinforcement<C>(
        {
          ...{ given: s, checked, drawing, recompute, filterOverlong, steps, factor },
          ...(validation === undefined ? {} : { validation }),
        },
        c,
      ),
  }
}
