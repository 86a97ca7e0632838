/**
 * Tasks become groups of completions.
 *
 * @since 0.1.0
 */
import { bufferCount, concat, concatMap, map, type OperatorFunction, of, scan } from 'rxjs'
import type { Sampling } from '../../generation/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { valueSetting, wholeSetting } from '../../train/index.ts'
import type { Completion } from '../completion.ts'
import { checkedSampling } from '../drawing-settings.ts'
import type { Group } from '../group.ts'
import type { Policy } from '../policy.ts'
import type { Columns, Task } from '../task.ts'

/** Settings of {@link rollout}. */
export interface RolloutOptions {
  readonly policy: Policy
  /** Completions of each task. */
  readonly group: number
  readonly sampling: Sampling
  /** Tasks that the policy is asked at once; more fill its batches better. Default 64. */
  readonly batch?: number
}

/** Completions that wait for the others of their group, and the group that the last one made whole. */
interface Waiting<C extends Columns> {
  readonly left: ReadonlyMap<string, readonly Completion[]>
  readonly whole?: Group<C>
}

/** The end of a policy's stream: what waits then waits in vain. */
const end = Symbol('end')

const gathered =
  <C extends Columns>(tasks: readonly { readonly task: Task<C>; readonly index: number }[], group: number) =>
  ({ left }: Waiting<C>, next: Completion | typeof end): Waiting<C> => {
    if (next === end) {
      const [short] = left
      if (short === undefined) return { left }
      throw new Error(
        `the policy ended with ${short[1].length} of ${group} completions of task ${short[0]}; it answers every request, or says which it cannot`,
      )
    }
    const before = left.get(next.task)
    if (before === undefined)
      throw new Error(
        `the policy answered task ${next.task}, of which all completions are there or none was asked for`,
      )
    if (!(next.sample >= 0 && next.sample < group) || before.some((c) => c.sample === next.sample))
      throw new Error(
        `the policy answered sample ${next.sample} of task ${next.task}, which is there already or was not asked for`,
      )
    const completions = [...before, next]
    if (completions.length < group) return { left: new Map([...left, [next.task, completions]]) }
    const { task, index } = tasks.find((t) => t.task.id === next.task)!
    return {
      left: new Map([...left].filter(([id]) => id !== next.task)),
      whole: { index, task, completions: completions.sort((a, b) => a.sample - b.sample) },
    }
  }

/**
 * Asks a policy for `group` completions of each task, and emits a group as soon as its last completion is there: groups come
 * in the order in which they are complete, and `index` says which task's they are.
 *
 * Tasks are asked `batch` at a time; those that come meanwhile wait. Unsubscribing stops the policy after its call in
 * progress. The stream fails with the source, with the policy, where two tasks of a batch have one id, and where the policy
 * leaves a request out or answers one twice.
 *
 * ```text
 * tasks    -a-b-|                      batch 2, group 2
 * policy      -a-b-b-a-|
 * groups   --------B-A-|
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const rollout = <C extends Columns>(options: RolloutOptions): OperatorFunction<Task<C>, Group<C>> => {
  const where = 'rollout'
  const known = ['policy', 'group', 'sampling', 'batch'] as const
  const { policy, group, sampling, batch = 64 } = onlySettings(where, options, known)
  valueSetting(where, 'policy', policy, ['sample'], 'a policy, such as sessionPolicy({ … })')
  wholeSetting(where, 'group', group, 1)
  wholeSetting(where, 'batch', batch, 1)
  checkedSampling(where, 'sampling', sampling, {})
  return (tasks$) =>
    tasks$.pipe(
      map((task, index) => ({ task, index })),
      bufferCount(batch),
      concatMap((tasks) => {
        const left = new Map(tasks.map(({ task }) => [task.id, [] as readonly Completion[]]))
        if (left.size < tasks.length)
          throw new Error(
            `two tasks of a batch are called ${tasks.map((t) => t.task.id).find((id, i, all) => all.indexOf(id) < i)}; give each its own id, since what is drawn depends on it`,
          )
        const requests = tasks.flatMap(({ task }) =>
          Array.from({ length: group }, (_, sample) => ({ task: task.id, sample, prompt: task.prompt })),
        )
        return concat(policy.sample(requests, sampling), of<typeof end>(end)).pipe(
          scan(gathered<C>(tasks, group), { left }),
          concatMap(({ whole }) => (whole === undefined ? [] : [whole])),
        )
      }),
    )
}
