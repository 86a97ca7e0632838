/**
 * Rewards become advantages, a group at a time.
 *
 * @since 0.1.0
 */
import { map, type OperatorFunction } from 'rxjs'
import { type AdvantageSettings, advantages, checkedAdvantages } from '../advantages.ts'
import type { RatedGroup, SelectedGroup } from '../group.ts'
import { rewardsOf } from '../selection.ts'
import type { Columns } from '../task.ts'

/**
 * Adds the advantage of each completion against the others of its group ({@link advantages}), times its family's weight. It emits when the source
 * emits, and completes and fails with it.
 *
 * ```text
 * groups   -A---B---|
 *          groupAdvantages({ scale: 'std' })
 * result   -A---B---|
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const groupAdvantages = <C extends Columns>(
  settings: AdvantageSettings = {},
): OperatorFunction<SelectedGroup<C>, RatedGroup<C>> => {
  checkedAdvantages('groupAdvantages', settings)
  return map((group) => {
    const weight = settings.families?.[group.task.family] ?? 1
    const plain = advantages(rewardsOf(group.judgements), settings)
    return {
      ...group,
      advantages: weight === 1 ? plain : plain.map((a) => (a === undefined ? a : a * weight)),
    }
  })
}
