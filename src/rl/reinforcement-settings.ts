/**
 * The settings of a stage of reinforcement, checked.
 *
 * @since 0.1.0
 */
import type { Source } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import type { AdaLrsSettings, ScheduleSpec } from '../optim/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import {
  jsonSetting,
  type LearningSettings,
  type OwnSchedule,
  type Prepared,
  RecipeError,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'
import {
  checkedLearning,
  configSetting,
  flagSetting,
  isPrepared,
  learningNames,
  searchSetting,
  stageName,
  stageSchedule,
  wordSetting,
} from '../train/internal.ts'
import { type AdvantageSettings, checkedAdvantages } from './advantages.ts'
import { checkedSampling } from './drawing-settings.ts'
import type { PolicyGradient } from './policy-gradient.ts'
import type { Reads } from './reads.ts'
import type { Reward } from './reward.ts'
import type { SelectionSettings } from './selection.ts'
import type { Columns, Task } from './task.ts'
import type { TrainedPolicy } from './trained-policy.ts'
import { checkedValidation, type ValidationSettings } from './validation.ts'

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
> extends LearningSettings<From, To> {
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
  /** The learning rate's course over all updates as a factor of the peak; default: constant. */
  readonly schedule?: ScheduleSpec | OwnSchedule
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

const names: readonly (keyof ReinforcementSettings<string, string, Columns, Columns>)[] = [
  ...learningNames,
  ...(['objective', 'policy', 'tasks', 'reward', 'group', 'sampling', 'episodes', 'episode'] as const),
  ...(['schedule', 'advantages', 'selection', 'filterOverlong', 'recompute', 'concurrency'] as const),
  ...(['adaLrs', 'patience', 'validation', 'checkpointEvery'] as const),
]

/** What an episode comes to. @throws RecipeError where its numbers contradict one another */
const checkedEpisode = (where: string, e: EpisodeSettings, group: number) => {
  onlySettings(where, e, ['rollouts', 'minibatch', 'updates', 'rounds'], 'episode')
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

const checkedSelection = (where: string, given: SelectionSettings, group: number): SelectionSettings => {
  const { least } = onlySettings(where, given, ['least'], 'selection')
  if (least !== undefined && wholeSetting(where, 'selection.least', least, 2) > group)
    throw new RecipeError(
      where,
      'selection.least',
      `it is ${least}, and a group has ${group} completions; give at most as many`,
    )
  return given
}

/** How answers are drawn; the objective reads what is drawn so. @throws RecipeError where both do not fit */
const drawnFor = (
  where: string,
  sampling: Sampling,
  policy: TrainedPolicy,
  { sizes, temperature }: PolicyGradient,
): Sampling => {
  const made = checkedSampling(where, 'sampling', sampling, policy)
  if (made.maxNewTokens > sizes.answer)
    throw new RecipeError(
      where,
      'sampling.maxNewTokens',
      `it is ${made.maxNewTokens}, and the objective takes answers of ${sizes.answer} tokens; raise its answer`,
    )
  if (made.temperature !== temperature)
    throw new RecipeError(
      where,
      'sampling.temperature',
      `it is ${made.temperature}, and the objective takes log-probabilities at ${temperature}; give both the same`,
    )
  return sampling
}

const checkedSearch = (where: string, given: RewardSearchSettings | undefined, episodes: number) => {
  if (given === undefined) return undefined
  const isRecord = kindOf(given) === 'a record'
  const { on = 'reward', ...settings } = isRecord ? given : {}
  wordSetting(where, 'adaLrs.on', on, ['reward', 'loss'])
  const note = ` (its steps are the stage's ${episodes} episodes)`
  return { on, search: searchSetting(where, isRecord ? settings : given, episodes, note) }
}

/**
 * A stage's settings, each as it should be, with what stands in for those that were not given.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 */
export const checkedReinforcement = <C extends Columns, R extends Columns>(
  s: ReinforcementSettings<string, string, C, R>,
) => {
  const where = stageName('reinforcement', s)
  onlySettings(where, s, names)
  const { learner, learningRate, config: rest } = checkedLearning(where, s, '[language]')
  const { objective, policy, tasks } = s
  // what tasks carry is what it reads
  const reward = s.reward as Reward<Columns> as Reward<C>
  valueSetting(where, 'objective', objective, ['terms', 'collate', 'logProbs'], 'policyGradient(…)')
  valueSetting(where, 'policy', policy, ['on'], 'a policy that can be trained, such as trainedPolicy(…)')
  valueSetting(where, 'tasks', tasks, isPrepared(tasks) ? ['source'] : ['open'], 'a source of tasks')
  valueSetting(where, 'reward', reward, ['score'], 'a reward')
  const group = wholeSetting(where, 'group', s.group, 2)
  const episodes = wholeSetting(where, 'episodes', s.episodes, 1)
  const { groups, rounds, ...episode } = checkedEpisode(where, s.episode, group)
  const steps = episodes * episode.updates
  const sampling = drawnFor(where, s.sampling, policy, objective)
  flagSetting(where, 'filterOverlong', s.filterOverlong)
  flagSetting(where, 'recompute', s.recompute)
  const { filterOverlong = false, recompute = objective.loss.reads?.sampling === true } = s
  const advantages = checkedAdvantages(where, s.advantages ?? {}, 'advantages')
  if ((advantages.steps ?? 0) > 0 && !objective.steps)
    throw new RecipeError(
      where,
      'advantages.steps',
      'the objective reads one advantage a completion; give policyGradient steps: true',
    )
  const { selection: given = {} } = s
  const selection = checkedSelection(where, given, group)
  const { config: course, factor } = stageSchedule(where, s.schedule ?? { kind: 'constant' }, steps)
  const adaLrs = checkedSearch(where, s.adaLrs, episodes)
  const concurrency = wholeSetting(where, 'concurrency', s.concurrency ?? 64, 1)
  const validation =
    s.validation === undefined
      ? undefined
      : checkedValidation(where, s.validation, sampling.maxNewTokens, policy)
  const config = {
    kind: 'reinforcement',
    ...{ name: s.name, from: s.from, to: s.to, train: s.train.map((k) => k.name) },
    ...{ objective: objective.config, policy: policy.config, tasks: tasks.config, reward: reward.config },
    ...{ group, sampling: { ...sampling }, episodes, episode: { ...s.episode, rounds } },
    ...{ learningRate, schedule: course, optimizer: learner.optimizer.config },
    ...{ maxGradientNorm: learner.maxGradientNorm, advantages: { ...advantages } },
    ...{ selection: { ...selection }, filterOverlong, recompute },
    ...rest,
    ...(adaLrs === undefined ? {} : { adaLrs: { on: adaLrs.on, ...adaLrs.search.config } }),
    ...(validation === undefined ? {} : { validation: validation.config }),
  }
  jsonSetting(where, 'config', config)
  configSetting(where, 'objective', objective)
  configSetting(where, 'policy', policy)
  configSetting(where, 'tasks', tasks)
  configSetting(where, 'reward', reward)
  return {
    ...{ where, config, learner, learningRate, factor, adaLrs, steps, episodes, ...episode },
    ...{ filterOverlong, recompute, validation },
    patience: wholeSetting(where, 'patience', s.patience ?? 10, 0),
    checkpointEvery: wholeSetting(where, 'checkpointEvery', s.checkpointEvery ?? 1, 0),
    /** Sees that a place is plain data. */
    placeFits: (place: unknown): void => jsonSetting(where, 'tasks, next', place),
    /** How rollouts are drawn and judged. */
    drawing: {
      ...{ stage: s.name, reward, group, sampling, groups, rounds, concurrency, selection, advantages },
    },
  }
}
