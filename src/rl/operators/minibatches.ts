/**
 * The groups of an episode become the batches of its updates.
 *
 * @since 0.1.0
 */
import { bufferCount, concatMap, filter, type OperatorFunction } from 'rxjs'
import { random } from '../../random/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { wholeSetting } from '../../train/index.ts'
import type { RatedGroup } from '../group.ts'
import type { Columns } from '../task.ts'

/** Settings of {@link minibatches}. */
export interface MinibatchOptions {
  /** Groups of an episode; those that dynamic sampling leaves out are not among them. */
  readonly groups: number
  /** Updates of an episode, over all passes. */
  readonly updates: number
  /** How often each group is learnt from; `updates` is a multiple of it. Default 1. */
  readonly passes?: number
  /** With episode and pass it decides the order of the groups. */
  readonly seed: number
  /** The number of the first episode; default 0. */
  readonly episode?: number
}

/** What one update learns from. */
export interface Minibatch<out C extends Columns = Columns> {
  readonly episode: number
  /** Its number in the episode, from 0, and how many there are. */
  readonly index: number
  readonly of: number
  readonly groups: readonly RatedGroup<C>[]
}

/**
 * An episode's minibatches: in each pass the groups are shuffled and dealt into equal parts, up to one group. A group is
 * never torn, so that its advantages add up to 0 in each update. Where there are fewer groups than parts, there are fewer parts.
 */
export const minibatchesOf = <C extends Columns>(
  groups: readonly RatedGroup<C>[],
  options: Omit<MinibatchOptions, 'groups'>,
): readonly Minibatch<C>[] => {
  const {
    updates,
    passes = 1,
    seed,
    episode = 0,
  } = onlySettings('minibatchesOf', options, ['updates', 'passes', 'seed', 'episode'])
  const parts = Math.min(updates / passes, groups.length)
  return Array.from({ length: passes }, (_, pass) => {
    const shuffled = random(seed, 'minibatches', episode, pass).shuffle(groups)
    return Array.from({ length: parts }, (_, i) => {
      const [from, to] = [i, i + 1].map((k) => Math.round((k * groups.length) / parts))
      return { episode, index: pass * parts + i, of: passes * parts, groups: shuffled.slice(from, to) }
    })
  }).flat()
}

/**
 * Gathers the kept groups of an episode and emits its minibatches, in `passes` passes. What is left over when the source
 * completes is a smaller episode. It fails with the source.
 *
 * ```text
 * groups   -A-B-c-C-D-|                 c was left out
 *          minibatches({ groups: 4, updates: 2 })
 * result   ---------(xy)-|              x and y of two groups each
 * ```
 *
 * @throws RecipeError where a setting is none, RangeError where `updates` is no multiple of `passes`, at once
 * @category operators
 */
export const minibatches = <C extends Columns>(
  given: MinibatchOptions,
): OperatorFunction<RatedGroup<C>, Minibatch<C>> => {
  const where = 'minibatches'
  onlySettings(where, given, ['groups', 'updates', 'passes', 'seed', 'episode'])
  const { groups, episode = 0, ...options } = given
  wholeSetting(where, 'groups', groups, 1)
  wholeSetting(where, 'passes', options.passes ?? 1, 1)
  wholeSetting(where, 'seed', options.seed, Number.MIN_SAFE_INTEGER)
  wholeSetting(where, 'episode', episode, 0)
  const { updates, passes = 1 } = options
  if (!Number.isSafeInteger(updates / passes) || updates < passes)
    throw new RangeError(`minibatches: ${updates} updates in ${passes} passes; give a multiple of the passes`)
  return (groups$) =>
    groups$.pipe(
      filter((g) => g.selection.kept),
      bufferCount(groups),
      concatMap((some, i) => minibatchesOf(some, { ...options, episode: episode + i })),
    )
}
