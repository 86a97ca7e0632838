/**
 * Settings by family whose family no task has.
 *
 * @since 0.1.0
 */
import { didYouMean } from '../terminal/index.ts'
import type { Task } from './task.ts'

/**
 * What to say of families that a setting names and none of these tasks has: it does nothing for them. A source's families
 * are known from its tasks alone. Undefined where there is nothing to say.
 */
export const unmetFamilies = (
  setting: string,
  named: readonly string[],
  tasks: readonly Pick<Task, 'family'>[],
): string | undefined => {
  const met = [...new Set(tasks.map((t) => t.family))].sort()
  const unmet = named.filter((n) => !met.includes(n))
  return unmet.length === 0
    ? undefined
    : `${setting} names ${unmet.map((n) => `'${n}'`).join(', ')}, and none of the first ${tasks.length} tasks is of that family; they are of ${met.join(', ')}.${didYouMean(unmet[0]!, met)}`
}
