/**
 * What the weights that a stage begins with make of tasks: which they solve now and then (pass@k, SAIL-VL2 §4.2.3), and the
 * right answers that they write (rejection sampling, §4.2.4).
 *
 * @since 0.1.0
 */

import * as t from 'io-ts'
import { firstValueFrom, from, toArray } from 'rxjs'
import { type Conversation, type Source, SourceError } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type Prepared, type Preparing, RecipeError, valueSetting, wholeSetting } from '../train/index.ts'
import { chosen, Places } from '../train/internal.ts'
import { checkedSampling } from './drawing-settings.ts'
import type { ScoredGroup } from './group.ts'
import { inTaskOrder } from './operators/in-task-order.ts'
import { rollout } from './operators/rollout.ts'
import { score } from './operators/score.ts'
import type { Reads } from './reads.ts'
import type { Reward } from './reward.ts'
import { ready } from './rewards/compound.ts'
import { rewardsOf } from './selection.ts'
import type { Columns, Task } from './task.ts'
import type { TrainedPolicy } from './trained-policy.ts'
import { hasReward, unjudged } from './unjudged.ts'
import { unmetFamilies } from './unmet-families.ts'

/** How tasks are tried. */
export interface AttemptSettings<C extends Columns, R extends Columns> {
  readonly tasks: Source<Task<C>>
  /** How many of them are tried. */
  readonly count: number
  /** Attempts of each. */
  readonly attempts: number
  /** How the session answers; where the stage has a policy of its own, the same value. */
  readonly policy: TrainedPolicy
  readonly sampling: Sampling
  /** An attempt is right where this is 1; it may read what the tasks carry, and nothing else. */
  readonly right: Reward<R> & Reads<C, R>
}

const names = ['tasks', 'count', 'attempts', 'policy', 'sampling', 'right']

const checked = <C extends Columns, R extends Columns>(
  where: string,
  s: AttemptSettings<C, R>,
  own: readonly string[] = [],
): void => {
  onlySettings(where, s, [...names, ...own])
  valueSetting(where, 'tasks', s.tasks, ['open'], 'a source of tasks')
  valueSetting(where, 'policy', s.policy, ['on'], 'a policy that can be trained, such as trainedPolicy(…)')
  valueSetting(where, 'right', s.right, ['score'], 'a reward')
  checkedSampling(where, 'sampling', s.sampling, s.policy)
  wholeSetting(where, 'count', s.count, 1)
  // of one attempt none is solved now and then
  wholeSetting(where, 'attempts', s.attempts, where === 'solvable' ? 2 : 1)
}

const configOf = <C extends Columns, R extends Columns>(
  kind: string,
  { tasks, count, attempts, policy, sampling, right }: AttemptSettings<C, R>,
) => ({
  ...{ kind, tasks: tasks.config, count, attempts },
  ...{ policy: policy.config, sampling: { ...sampling }, right: right.config },
})

/** Tries the first tasks of a source, each so often: groups in the order of the tasks. */
const attempted = async <C extends Columns, R extends Columns>(
  { tasks, count, attempts, policy, sampling, right }: AttemptSettings<C, R>,
  { session, seed, stage }: Preparing,
): Promise<readonly ScoredGroup<C>[]> => {
  const some: Task<C>[] = []
  for await (const { example } of tasks.open()) {
    // its own name: what is drawn in an episode is drawn anew
    some.push({ ...example, id: `${example.id}@attempt-${some.length}` })
    if (some.length >= count) break
  }
  if (some.length < count)
    throw new RecipeError(
      `stage '${stage}'`,
      'tasks',
      `there are ${some.length}, and ${count} are to be tried`,
    )
  const ours = policy.on(session, { seed, version: () => 0 })
  const groups = await firstValueFrom(
    from(some).pipe(
      rollout({ policy: ours, group: attempts, sampling, batch: count }),
      score({ reward: right as Reward<Columns> as Reward<C> }),
      inTaskOrder(),
      toArray(),
    ),
  )
  if (!groups.some(hasReward))
    throw new RecipeError(
      `stage '${stage}'`,
      'right',
      `none of the attempts could be judged: ${unjudged(groups)}`,
    )
  return groups
}

/** The right attempts of a group; undefined where one could not be judged. */
const rightIn = (g: ScoredGroup): readonly number[] | undefined => {
  const rewards = rewardsOf(g.judgements)
  return rewards.includes(undefined) ? undefined : rewards.flatMap((r, i) => (r === 1 ? [i] : []))
}

/**
 * The tasks that the weights with which a stage begins solve in some attempts and not in all: neither trivial nor impossible
 * (SAIL-VL2 §4.2.3, pass@4). Of families in `easy` only those that are always solved are left out, as there for tasks that
 * need no reasoning. A task of which an attempt could not be judged is left out. Where none is left all are kept, and the run
 * says so. Each once; `repeated` gives them again and again.
 *
 * @throws RecipeError where a setting is none, or (of `prepare`) where not one attempt could be judged
 * @category tasks
 */
export const solvable = <C extends Columns, R extends Columns = C>(
  s: AttemptSettings<C, R> & { readonly easy?: readonly string[] },
): Prepared<Task<C>> => {
  checked('solvable', s, ['easy'])
  const { easy = [] } = s
  return {
    config: { ...configOf('solvable', s), easy: [...easy] },
    functions: s.policy.functions,
    preflight: () => ready('solvable', 'right', s.right as Reward<never>),
    example: s.tasks,
    async *prepare(about) {
      const groups = await attempted(s, about)
      const unmet = unmetFamilies(
        'easy of solvable',
        easy,
        groups.map((g) => g.task),
      )
      if (unmet !== undefined) yield { type: 'warned', message: `stage ${about.stage}: ${unmet}` }
      const dropped: Record<string, number> = {
        'always solved': 0,
        'never solved': 0,
        'could not be judged': 0,
      }
      const kept = groups.flatMap((g, i) => {
        const right = rightIn(g)
        const why =
          right === undefined
            ? 'could not be judged'
            : right.length === s.attempts
              ? 'always solved'
              : right.length === 0 && !easy.includes(g.task.family)
                ? 'never solved'
                : undefined
        if (why !== undefined) dropped[why]!++
        return why === undefined ? [i] : []
      })
      yield {
        ...{ type: 'curated', stage: about.stage, what: 'tasks', of: groups.length, kept: kept.length },
        dropped,
      }
      if (kept.length > 0) return kept
      yield {
        type: 'warned',
        message: `stage ${about.stage}: none of ${groups.length} tasks is solved in some of ${s.attempts} attempts and not in all, so that all are kept; give tasks that its weights can solve now and then`,
      }
      return groups.map((_, i) => i)
    },
    source: (kept) => {
      if (!Places.is(kept)) throw new SourceError('what was kept of tasks is no list of their places')
      return chosen(s.tasks, kept, 'chosen tasks')
    },
  }
}

const Chains = t.array(t.type({ task: t.number, ids: t.array(t.number) }))

/** A prompt and what was written after it, all of which is learnt. */
const learning = (prompt: Conversation, ids: readonly number[], id: string): Conversation => {
  const asked = prompt.ids.slice(0, prompt.promptLength)
  return {
    ...{ ...prompt, id, ids: [...asked, ...ids] },
    lossMask: [...asked.map(() => false), ...ids.map(() => true)],
  }
}

/**
 * Right answers that the weights with which a stage begins write themselves: of each task the first attempt that is right and
 * that ended by itself (rejection sampling, SAIL-VL2 §4.2.4). Tokens are those that were drawn. Where none is right the answers
 * in the prompts of the tasks that were tried stand in, and the run says so. Each once; `repeated` gives them again and again.
 *
 * @throws RecipeError where a setting is none, or (of `prepare`) where not one attempt could be judged, or none is right and a
 *   prompt has no answer that could stand in
 * @category sources
 */
export const harvested = <C extends Columns, R extends Columns = C>(
  s: AttemptSettings<C, R>,
): Prepared<Conversation> => {
  checked('harvested', s)
  const tried = chosen(s.tasks, Array(s.count).keys(), 'chosen tasks')
  const asked: Source<Conversation> = {
    config: s.tasks.config,
    async *open(place) {
      for await (const { example, next } of tried.open(place)) yield { example: example.prompt, next }
    },
  }
  return {
    config: configOf('harvested', s),
    functions: s.policy.functions,
    preflight: () => ready('harvested', 'right', s.right as Reward<never>),
    example: {
      config: asked.config,
      // the longest answer that a prompt may get
      async *open(place) {
        for await (const { example, next } of s.tasks.open(place)) {
          const { id, prompt } = example
          const longest = Array<number>(s.sampling.maxNewTokens).fill(prompt.ids[0]!)
          yield { example: learning(prompt, longest, id), next }
        }
      },
    },
    async *prepare(about) {
      const groups = await attempted(s, about)
      const dropped = { 'no right answer': 0, 'right, but without an end': 0, 'could not be judged': 0 }
      const chains = groups.flatMap((g, task) => {
        const right = rightIn(g)
        const first = right?.find((i) => g.completions[i]!.stop === 'end')
        if (first !== undefined) return [{ task, ids: [...g.completions[first]!.ids] }]
        dropped[
          right === undefined
            ? 'could not be judged'
            : right.length === 0
              ? 'no right answer'
              : 'right, but without an end'
        ]++
        return []
      })
      yield {
        ...{ type: 'curated', stage: about.stage, what: 'tasks', of: groups.length, kept: chains.length },
        dropped,
      }
      if (chains.length > 0) return chains
      const none = `of ${groups.length} tasks none has a right answer that ends in ${s.attempts} attempts`
      const bare = groups.find(
        ({ task: { prompt } }) => !prompt.lossMask.some((learnt, i) => learnt && i > 0),
      )
      if (bare !== undefined)
        throw new RecipeError(
          `stage '${about.stage}'`,
          'source',
          `${none}, and the prompt of ${bare.task.id.replace(/@attempt-\d+$/, '')} has no answer that could stand in; give tasks that its weights can solve, more attempts, or prompts with an answer to learn`,
        )
      yield {
        type: 'warned',
        message: `stage ${about.stage}: ${none}; the answers that the tasks have stand in for them`,
      }
      return chains
    },
    source: (kept) => {
      if (!Chains.is(kept)) throw new SourceError('what was harvested is no list of tasks and tokens')
      if (kept.length === 0) return asked
      const written = new Map(kept.map(({ task, ids }) => [task, ids]))
      const places = kept.map(({ task }) => task)
      const tasks = chosen(s.tasks, places, 'chosen tasks')
      return {
        config: tasks.config,
        async *open(place: unknown = { chain: 0 }) {
          let { chain, at } = place as { readonly chain: number; readonly at?: unknown }
          for await (const { example, next } of tasks.open(at)) {
            const ids = written.get(places[chain]!)!
            yield { example: learning(example.prompt, ids, example.id), next: { chain: ++chain, at: next } }
          }
        },
      }
    },
  }
}
