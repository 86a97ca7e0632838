/**
 * Groups are judged.
 *
 * @since 0.1.0
 */
import { concatMap, defer, map, mergeMap, Observable, type OperatorFunction, of, scan } from 'rxjs'
import { onlySettings } from '../../settings/index.ts'
import { numberSetting, valueSetting, wholeSetting } from '../../train/index.ts'
import type { Group, ScoredGroup } from '../group.ts'
import type { Judged, Judgement, Reward } from '../reward.ts'
import { asked, holdMs } from '../rewards/bounded.ts'
import { inWords, judgedOf, judgementFault } from '../rewards/judgement.ts'
import type { Columns } from '../task.ts'
import { timeLimit } from '../time-limit.ts'

/** Settings of {@link score}. */
export interface ScoreOptions<in C extends Columns> {
  readonly reward: Reward<C>
  /** Completions that are judged at once; default 64. */
  readonly concurrency?: number
  /**
   * Seconds after which a judgement that does not come has failed, counted from when another one came last: those that wait
   * for a slow judge that answers one after the other are not late. Default 600. A reward may have a shorter limit of its own.
   */
  readonly seconds?: number
}

/** When a judgement last came, as `performance.now()` has it. */
interface Life {
  last: number
}

/**
 * What a reward says; where it throws, rejects, never answers, or gives something else or no finite number, it has failed.
 * Unsubscribing ends the wait for it.
 */
const judged = <C extends Columns>(
  reward: Reward<C>,
  about: Judged<C>,
  seconds: number,
  alive: Life,
): Observable<Judgement> =>
  new Observable((to) => {
    const began = performance.now()
    const ms = seconds * 1000
    const failed = (why: string): Judgement => ({ _tag: 'Failed', why, elapsedMs: performance.now() - began })
    const give = (judgement: Judgement): void => {
      to.next(judgement)
      to.complete()
    }
    const said = async (): Promise<Judgement> => {
      try {
        const said = await asked(reward, reward.score(about), Math.min(holdMs, ms))
        alive.last = performance.now()
        const why = judgementFault(said)
        // a judgement is recorded whole: what cannot be would end the run
        return why === undefined ? said : failed(`reward '${reward.name}': ${why}`)
      } catch (e) {
        return failed(`reward '${reward.name}' threw: ${inWords(e)}`)
      }
    }
    const late = (): void => give(failed(`reward '${reward.name}' gave no answer in ${seconds} s`))
    const stop = timeLimit(ms, late, () => alive.last)
    void said().then(give)
    return stop
  })

/** One judgement, and where it belongs. */
interface Placed<C extends Columns> {
  readonly group: Group<C>
  /** The group's number in the stream. */
  readonly number: number
  readonly sample: number
  /** None of a group without completions, which keeps its place all the same. */
  readonly judgement: Judgement | undefined
}

/** Judgements that wait, the number of the group that is emitted next, and those that may be emitted now. */
interface Waiting<C extends Columns> {
  readonly parts: ReadonlyMap<number, readonly Placed<C>[]>
  readonly next: number
  readonly ready: readonly ScoredGroup<C>[]
}

const collected = <C extends Columns>({ parts, next }: Waiting<C>, one: Placed<C>): Waiting<C> => {
  const left = new Map([...parts, [one.number, [...(parts.get(one.number) ?? []), one]]])
  const ready: ScoredGroup<C>[] = []
  let at = next
  for (
    let whole = left.get(at);
    whole !== undefined && whole.length === Math.max(1, whole[0]!.group.completions.length);
    whole = left.get(at)
  ) {
    const judgements = [...whole]
      .sort((a, b) => a.sample - b.sample)
      .flatMap(({ judgement }) => (judgement === undefined ? [] : [judgement]))
    ready.push({ ...whole[0]!.group, judgements })
    left.delete(at++)
  }
  return { parts: left, next: at, ready }
}

/**
 * Judges each completion of each group, `concurrency` of them at once while further groups are drawn, and emits groups in
 * the order in which they came. A reward that throws, never answers or gives no finite
 * number has failed: the completion has no reward, and the stream goes on.
 *
 * Unsubscribing starts no further judgement, and waits for none: what a reward has begun it ends by itself. The stream fails with the source.
 *
 * ```text
 * groups   -A--B--------|
 * reward    --a            A takes 2, B takes 1
 *              -b
 * scored   ---A-B-------|
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const score = <C extends Columns>(
  options: ScoreOptions<C>,
): OperatorFunction<Group<C>, ScoredGroup<C>> => {
  const where = 'score'
  const known = ['reward', 'concurrency', 'seconds'] as const
  const { reward, concurrency = 64, seconds = 600 } = onlySettings(where, options, known)
  valueSetting(where, 'reward', reward, ['score'], 'a reward, such as answer()')
  wholeSetting(where, 'concurrency', concurrency, 1)
  numberSetting(where, 'seconds', seconds, true)
  return (groups$) =>
    defer(() => {
      const alive: Life = { last: Number.NEGATIVE_INFINITY }
      return groups$.pipe(
        map((group, number) => ({ group, number })),
        concatMap(({ group, number }) =>
          (group.completions.length === 0 ? [undefined] : group.completions).map((completion, sample) => ({
            ...{ group, number, sample, completion },
          })),
        ),
        mergeMap(({ group, number, sample, completion }) => {
          const judgement$: Observable<Judgement | undefined> =
            completion === undefined
              ? of(undefined)
              : judged(reward, judgedOf(group.task, completion), seconds, alive)
          return judgement$.pipe(map((judgement): Placed<C> => ({ group, number, sample, judgement })))
        }, concurrency),
        scan(collected<C>, { parts: new Map(), next: 0, ready: [] } as Waiting<C>),
        concatMap(({ ready }) => ready),
      )
    })
}
