/**
 * Rewards on held-out tasks while a stage learns.
 *
 * @since 0.1.0
 */
import { defer, from, map, type Observable, toArray } from 'rxjs'
import type { Source } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import type { EventOf } from '../run/index.ts'
import { onlySettings } from '../settings/index.ts'
import { jsonSetting, RecipeError, valueSetting, wholeSetting } from '../train/index.ts'
import { configSetting } from '../train/internal.ts'
import { checkedSampling } from './drawing-settings.ts'
import { rollout } from './operators/rollout.ts'
import { score } from './operators/score.ts'
import type { Policy } from './policy.ts'
import type { Reward } from './reward.ts'
import { rewardsOf } from './selection.ts'
import { spreadOf } from './statistics.ts'
import type { Columns, Task } from './task.ts'
import type { TrainedPolicy } from './trained-policy.ts'

/** Held-out tasks, and how often they are asked. */
export interface ValidationSettings<C extends Columns> {
  /** Tasks that the stage does not learn from; the first `count` are asked, the same each time. */
  readonly tasks: Source<Task<C>>
  readonly count: number
  /** Updates between measurements. */
  readonly every: number
  /** Whether they are asked before the first update as well; default true. */
  readonly atStart?: boolean
  /** How it is answered; default greedily, with the stage's `maxNewTokens`. */
  readonly sampling?: Sampling
}

/**
 * Settings of a validation, each as it should be.
 *
 * @throws RecipeError
 */
export const checkedValidation = <C extends Columns>(
  where: string,
  v: ValidationSettings<C>,
  maxNewTokens: number,
  policy: TrainedPolicy,
): Required<ValidationSettings<C>> & { readonly config: unknown } => {
  onlySettings(where, v, ['tasks', 'count', 'every', 'atStart', 'sampling'], 'validation')
  valueSetting(where, 'validation.tasks', v.tasks, ['open'], 'a source of tasks')
  configSetting(where, 'validation.tasks', v.tasks)
  const count = wholeSetting(where, 'validation.count', v.count, 1)
  const every = wholeSetting(where, 'validation.every', v.every, 1)
  const { atStart = true, sampling = { maxNewTokens, temperature: 0 } } = v
  checkedSampling(where, 'validation.sampling', sampling, policy)
  const config = { tasks: v.tasks.config, count, every, atStart, sampling: { ...sampling } }
  jsonSetting(where, 'validation', config)
  return { tasks: v.tasks, count, every, atStart, sampling, config }
}

/**
 * The held-out tasks.
 *
 * @throws RecipeError where the source has fewer
 */
export const heldOutTasks = async <C extends Columns>(
  where: string,
  { tasks, count }: Pick<ValidationSettings<C>, 'tasks' | 'count'>,
): Promise<readonly Task<C>[]> => {
  const some: Task<C>[] = []
  for await (const { example } of tasks.open()) {
    some.push({ ...example, id: `validation/${some.length}/${example.id}` })
    if (some.length >= count) break
  }
  if (some.length < count)
    throw new RecipeError(
      where,
      'validation.tasks',
      `the source has ${some.length} tasks, and count is ${count}; give more, or lower count`,
    )
  return some
}

/** What a validation asks with. */
interface Validating<C extends Columns> {
  readonly stage: string
  readonly policy: Policy
  readonly reward: Reward<C>
  readonly sampling: Sampling
  readonly concurrency: number
}

/** Asks each task once, and emits what the answers are worth after `step` updates. Fails with the policy. */
export const validated = <C extends Columns>(
  v: Validating<C>,
  tasks: readonly Task<C>[],
  step: number,
): Observable<EventOf<'validated'>> =>
  defer(() => {
    const began = performance.now()
    return from(tasks).pipe(
      rollout<C>({ policy: v.policy, group: 1, sampling: v.sampling, batch: tasks.length }),
      score({ reward: v.reward, concurrency: v.concurrency }),
      toArray(),
      map((groups): EventOf<'validated'> => {
        const known = groups.flatMap((g) =>
          rewardsOf(g.judgements).flatMap((reward) =>
            reward === undefined ? [] : [{ family: g.task.family, reward }],
          ),
        )
        const families = [...new Set(known.map((k) => k.family))].sort()
        const completions = groups.flatMap((g) => g.completions)
        return {
          ...{ type: 'validated', stage: v.stage, step },
          rewards: spreadOf(known.map((k) => k.reward)),
          families: Object.fromEntries(
            families.map((f) => [f, spreadOf(known.filter((k) => k.family === f).map((k) => k.reward))]),
          ),
          length: spreadOf(completions.map((c) => c.ids.length)).mean,
          truncated: completions.filter((c) => c.stop === 'length').length / completions.length,
          unjudged: completions.length - known.length,
          seconds: (performance.now() - began) / 1000,
        }
      }),
    )
  })
