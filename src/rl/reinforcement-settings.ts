/**
 * The settings of a stage of reinforcement, checked.
 *
 * @since 0.1.0
 */
import type { Source } from '../data/index.ts'
import type { Keys } from '../dsl/index.ts'
import type { Sampling } from '../generation/index.ts'
import {
  type AdaLrsSettings,
  adaLrsReducer,
  adamWith,
  type Optimizer,
  type ScheduleSpec,
} from '../optim/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import {
  type GraphTransform,
  jsonSetting,
  numberSetting,
  type OwnSchedule,
  type Prepared,
  RecipeError,
  textSetting,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'
import { isPrepared, stageName, trainSetting } from '../train/internal.ts'
import type { AdvantageSettings } from './advantages.ts'
import { checkedSampling } from './drawing-settings.ts'
import { checkedAdvantages, wordSetting } from './operator-settings.ts'
import type { PolicyGradient } from './policy-gradient.ts'
import type { Reads } from './reads.ts'
import type { Reward } from './reward.ts'
import type { SelectionSettings } from './selection.ts'
import type { Columns, Task } from './task.ts'
import type { TrainedPolicy } from './trained-policy.ts'
import type { ValidationSettings } from './validation.ts'

/** How much is drawn before it is learnt from, and how often. */
export interface EpisodeSettings {
  /** Completions that take part in an episode's updates: a multiple of the group. SAIL-VL2: 2048. */
  readonly rollouts: number
  /** Completions of one update. SAIL-VL2: 512. */
  readonly minibatch: number
  /** Updates of an episode; more than rollouts / minibatch learn from each completion more than once. SAIL-VL2: 8. */
  readonly updates: number
  /** How often further tasks are asked in place of discarded groups, the first time among it; default 10. */
  readonly rounds?: number
}

/** Settings of {@link reinforcement}. */
export interface ReinforcementSettings<
  From extends string,
  To extends string,
  C extends Columns,
  R extends Columns,
> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** The parameters that learn, as the model's parts or any keys. */
  readonly train: readonly Keys[]
  /** The loss over what was drawn, such as `policyGradient(model, processor, { loss: dapo(), … })`. */
  readonly objective: PolicyGradient
  /** How the session answers, such as `trainedPolicy(model, processor, sizes)`. */
  readonly policy: TrainedPolicy
  /** Tasks, or what the stage chooses them from before its first episode, such as `solvable({ … })`. */
  readonly tasks: Source<Task<C>> | Prepared<Task<C>>
  /** It may read what the tasks carry, and nothing else. */
  readonly reward: Reward<R> & Reads<C, R>
  /** Completions of each task. */
  readonly group: number
  readonly sampling: Sampling
  readonly episodes: number
  readonly episode: EpisodeSettings
  readonly learningRate: number
  /** Its course over all updates as a factor of the peak; default: constant. */
  readonly schedule?: ScheduleSpec | OwnSchedule
  readonly optimizer?: Optimizer
  /** Largest global gradient norm; default 1. */
  readonly maxGradientNorm?: number
  readonly advantages?: AdvantageSettings
  readonly selection?: SelectionSettings
  /** Leaves completions that were cut off out of the loss; default false. */
  readonly filterOverlong?: boolean
  /**
   * Takes the old policy's log-probabilities anew before an episode's updates, in place of those that were drawn with;
   * default: where the loss tells both apart.
   */
  readonly recompute?: boolean
  /** Completions that are judged at once; default 64. */
  readonly concurrency?: number
  /** Rewrites of the loss before its gradient is taken, such as `withLora(…)`; what draws reads the adapters as well. */
  readonly transforms?: readonly GraphTransform[]
  /** The decay of a moving average of what learns, as in `supervised`; default: there is none. */
  readonly ema?: number
  /** Searches the learning rate while the stage trains; default: none. */
  readonly adaLrs?: RewardSearchSettings
  /**
   * Episodes in a row of which nothing is learnt, after which the stage ends with an error; 0: it never ends so. Default 10.
   * Where not one completion has a reward, 2 are enough. They are counted anew by each start of the run.
   */
  readonly patience?: number
  /** Held-out tasks that are asked while the stage learns; default: none. */
  readonly validation?: ValidationSettings<C>
  /**
   * Updates between checkpoints, where neither the command line nor the experiment says otherwise; default 1, so that a run
   * that is killed loses at most the update under way. It changes no number.
   */
  readonly checkpointEvery?: number
}

/** AdaLRS over episodes: a step of the search is an episode. */
export interface RewardSearchSettings extends Omit<AdaLrsSettings, 'steps'> {
  /**
   * What is to fall: minus the mean `reward` of an episode's rollouts, whether they are learnt from or not, or the mean `loss` of its
   * updates. Default `reward`.
   */
  readonly on?: 'reward' | 'loss'
}

type Settings = ReinforcementSettings<string, string, Columns, Columns>

const names: readonly (keyof Settings)[] = [
  ...([
    'name',
    'from',
    'to',
    'train',
    'objective',
    'policy',
    'tasks',
    'reward',
    'group',
    'sampling',
  ] as const),
  ...(['episodes', 'episode', 'learningRate', 'schedule', 'optimizer', 'maxGradientNorm'] as const),
  ...(['advantages', 'selection', 'filterOverlong', 'recompute', 'concurrency'] as const),
  ...(['transforms', 'ema', 'adaLrs', 'patience', 'validation', 'checkpointEvery'] as const),
]
const episodeNames: readonly (keyof EpisodeSettings)[] = ['rollouts', 'minibatch', 'updates', 'rounds']

/** What an episode comes to. @throws RecipeError where its numbers contradict one another */
const checkedEpisode = (where: string, e: EpisodeSettings, group: number) => {
  onlySettings(where, e, episodeNames, 'episode')
  const whole = (name: 'rollouts' | 'minibatch' | 'updates'): number =>
    wholeSetting(where, `episode.${name}`, e[name], 1)
  const [rollouts, minibatch, updates] = [whole('rollouts'), whole('minibatch'), whole('updates')]
  const rounds = wholeSetting(where, 'episode.rounds', e.rounds ?? 10, 1)
  if (rollouts % group !== 0)
    throw new RecipeError(
      where,
      'episode.rollouts',
      `it is ${rollouts}, which is no multiple of the group of ${group}; give whole groups`,
    )
  if ((updates * minibatch) % rollouts !== 0)
    throw new RecipeError(
      where,
      'episode.updates',
      `${updates} updates of ${minibatch} completions are ${(updates * minibatch) / rollouts} passes over ${rollouts} rollouts; give whole passes`,
    )
  if (minibatch > rollouts)
    throw new RecipeError(
      where,
      'episode.minibatch',
      `it is ${minibatch}, and an episode has ${rollouts} rollouts; give at most as many`,
    )
  const passes = (updates * minibatch) / rollouts
  const groups = rollouts / group
  if (groups < updates / passes)
    throw new RecipeError(
      where,
      'episode.minibatch',
      `it is ${minibatch}, less than the group of ${group}; an update takes whole groups`,
    )
  return { groups, passes, updates, minibatch, rounds }
}

/** A record of settings, or none. @throws RecipeError */
const recordSetting = <A extends object>(
  where: string,
  setting: string,
  x: A | undefined,
  known: readonly string[],
): A => onlySettings(where, x === undefined ? ({} as A) : x, known, setting)

const checkedSelection = (where: string, s: Settings, group: number): SelectionSettings => {
  const selection = recordSetting(where, 'selection', s.selection, ['least'])
  if (selection.least === undefined) return selection
  const least = wholeSetting(where, 'selection.least', selection.least, 2)
  if (least > group)
    throw new RecipeError(
      where,
      'selection.least',
      `it is ${least}, and a group has ${group} completions; give at most as many`,
    )
  return selection
}

const checkedSearch = (where: string, given: RewardSearchSettings, episodes: number) => {
  if (typeof given !== 'object' || given === null)
    throw new RecipeError(where, 'adaLrs', `it is ${kindOf(given)}; give a record of settings, such as {}`)
  const { on = 'reward', ...settings } = given
  wordSetting(where, 'adaLrs.on', on, ['reward', 'loss'])
  try {
    return { on, search: adaLrsReducer({ ...settings, steps: episodes }) }
  } catch (e) {
    throw new RecipeError(
      where,
      'adaLrs',
      `${(e as Error).message} (its steps are the stage's ${episodes} episodes)`,
      e,
    )
  }
}

/**
 * A stage's settings, each as it should be.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 */
export const checkedReinforcement = (given: object) => {
  const s = given as Settings
  const where = stageName('reinforcement', s)
  onlySettings(where, s, names)
  textSetting(where, 'from', s.from)
  textSetting(where, 'to', s.to)
  trainSetting(where, s.train, '[language]')
  valueSetting(where, 'objective', s.objective, ['terms', 'collate', 'logProbs'], 'policyGradient(…)')
  valueSetting(where, 'policy', s.policy, ['on'], 'a policy that can be trained, such as trainedPolicy(…)')
  valueSetting(where, 'tasks', s.tasks, isPrepared(s.tasks) ? ['source'] : ['open'], 'a source of tasks')
  valueSetting(where, 'reward', s.reward, ['score'], 'a reward')
  const group = wholeSetting(where, 'group', s.group, 2)
  const episodes = wholeSetting(where, 'episodes', s.episodes, 1)
  const episode = checkedEpisode(where, s.episode, group)
  const { objective, sampling } = s
  const { maxNewTokens: most, temperature } = checkedSampling(where, 'sampling', sampling, s.policy)
  if (most > objective.sizes.answer)
    throw new RecipeError(
      where,
      'sampling.maxNewTokens',
      `it is ${most}, and the objective takes answers of ${objective.sizes.answer} tokens; raise its answer`,
    )
  if (temperature !== objective.temperature)
    throw new RecipeError(
      where,
      'sampling.temperature',
      `it is ${temperature}, and the objective takes log-probabilities at ${objective.temperature}; give both the same`,
    )
  for (const setting of ['filterOverlong', 'recompute'] as const)
    if (s[setting] !== undefined && typeof s[setting] !== 'boolean')
      throw new RecipeError(where, setting, `it is ${kindOf(s[setting])}; give true or false`)
  if ((s.advantages?.steps ?? 0) > 0 && !objective.steps)
    throw new RecipeError(
      where,
      'advantages.steps',
      'the objective reads one advantage a completion; give policyGradient steps: true',
    )
  const optimizer = s.optimizer ?? adamWith()
  valueSetting(where, 'optimizer', optimizer, ['update'], 'an optimizer, such as adamWith({ beta2: 0.99 })')
  const transforms = s.transforms ?? []
  if (!Array.isArray(transforms))
    throw new RecipeError(where, 'transforms', `it is ${kindOf(transforms)}; give a list`)
  transforms.forEach((t, i) => {
    valueSetting(where, `transforms[${i}]`, t, ['apply'], 'a graph transform, such as withLora(…)')
  })
  const ema = s.ema === undefined ? undefined : numberSetting(where, 'ema', s.ema)
  if (ema !== undefined && ema >= 1)
    throw new RecipeError(where, 'ema', `it is ${ema}; give a decay from 0 to below 1, such as 0.999`)
  return {
    ...{ where, group, episodes, ...episode },
    ...{ optimizer, transforms, ema },
    ...{
      advantages: checkedAdvantages(where, s.advantages ?? {}, 'advantages'),
      selection: checkedSelection(where, s, group),
    },
    adaLrs: s.adaLrs === undefined ? undefined : checkedSearch(where, s.adaLrs, episodes),
    checkpointEvery: wholeSetting(where, 'checkpointEvery', s.checkpointEvery ?? 1, 0),
    patience: wholeSetting(where, 'patience', s.patience ?? 10, 0),
    learningRate: numberSetting(where, 'learningRate', s.learningRate),
    maxGradientNorm: numberSetting(where, 'maxGradientNorm', s.maxGradientNorm ?? 1, true),
    concurrency: wholeSetting(where, 'concurrency', s.concurrency ?? 64, 1),
    /** Sees that what determines the stage is plain data, and none of it missing. */
    identified: (config: unknown): void => {
      jsonSetting(where, 'config', config)
      for (const part of ['objective', 'policy', 'tasks', 'reward'] as const)
        if (s[part].config === undefined)
          throw new RecipeError(
            where,
            `${part}.config`,
            'it is undefined; say as plain JSON data what determines it',
          )
    },
    /** Sees that a place is plain data. */
    placed: (place: unknown): void => jsonSetting(where, 'tasks, next', place),
  }
}
