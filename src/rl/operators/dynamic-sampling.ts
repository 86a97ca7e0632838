/**
 * Groups that teach nothing are marked, until enough are kept.
 *
 * @since 0.1.0
 */
import { concatMap, type OperatorFunction, scan, takeWhile } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import { wholeSetting } from '../../train/index.ts'
import type { ScoredGroup, SelectedGroup } from '../group.ts'
import { type SelectionSettings, selectionOf } from '../selection.ts'
import type { Columns } from '../task.ts'

/** Settings of {@link dynamicSampling}. */
export interface DynamicSamplingOptions extends SelectionSettings {
  /** Completes with the group that makes so many kept ones; default: takes all. */
  readonly wanted?: number
}

interface Counted<C extends Columns> {
  readonly kept: number
  readonly group?: SelectedGroup<C>
}

/**
 * Adds to each group whether it takes part in updates, and why not ({@link selectionOf}). Groups that do not are emitted as
 * well, so that they can be shown. When `wanted` groups are kept it completes and unsubscribes from its source, so that no
 * more is drawn.
 *
 * ```text
 * groups   -A--b--C--D--        b has no spread
 *          dynamicSampling({ wanted: 2 })
 * result   -A--b--(C|)          A and C are kept
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const dynamicSampling = <C extends Columns>(
  options: DynamicSamplingOptions = {},
): OperatorFunction<ScoredGroup<C>, SelectedGroup<C>> => {
  const where = 'dynamicSampling'
  const { wanted = Number.POSITIVE_INFINITY, ...settings } = onlySettings(where, options, ['wanted', 'least'])
  if (wanted !== Number.POSITIVE_INFINITY) wholeSetting(where, 'wanted', wanted, 1)
  if (settings.least !== undefined) wholeSetting(where, 'least', settings.least, 2)
  return (groups$) =>
    groups$.pipe(
      scan(
        ({ kept }: Counted<C>, group: ScoredGroup<C>): Counted<C> => {
          const selection = selectionOf(group.judgements, settings)
          return { kept: kept + Number(selection.kept), group: { ...group, selection } }
        },
        { kept: 0 },
      ),
      takeWhile(({ kept }) => kept < wanted, true),
      concatMap(({ group }) => (group === undefined ? [] : [group])),
    )
}
