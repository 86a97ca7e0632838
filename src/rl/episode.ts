/**
 * The rollouts of one episode: tasks are asked until enough groups teach something.
 *
 * @since 0.1.0
 */
import { filter, from, merge, tap } from 'rxjs'
import { type Placed, type RgbImage, type Source, wholeImages } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import type { EventOf } from '../run/index.ts'
import type { StageContext } from '../train/index.ts'
import type { AdvantageSettings } from './advantages.ts'
import type { RatedGroup } from './group.ts'
import { dynamicSampling } from './operators/dynamic-sampling.ts'
import { groupAdvantages } from './operators/group-advantages.ts'
import { inTaskOrder } from './operators/in-task-order.ts'
import { rollout } from './operators/rollout.ts'
import { score } from './operators/score.ts'
import type { Policy } from './policy.ts'
import { groupEvent, recordedGroup } from './record.ts'
import type { Reward } from './reward.ts'
import type { SelectionSettings } from './selection.ts'
import { withStepAdvantages } from './step-advantages.ts'
import type { Columns, Task } from './task.ts'
import { hasReward } from './unjudged.ts'
import { valuesOf } from './values.ts'

/** How rollouts are drawn and judged. */
export interface Drawing<C extends Columns> {
  readonly stage: string
  readonly reward: Reward<C>
  /** Completions of each task. */
  readonly group: number
  readonly sampling: Sampling
  /** Groups that are to take part in the episode's updates. */
  readonly groups: number
  /** How often tasks are asked in place of discarded groups, the first time among it. */
  readonly rounds: number
  readonly concurrency: number
  readonly selection: SelectionSettings
  readonly advantages: AdvantageSettings
}

/** What one episode draws from. */
export interface EpisodeContext<out C extends Columns> {
  readonly episode: number
  readonly policy: Policy
  /** The next tasks of the source; fewer where it ends. */
  readonly next: (count: number) => Promise<readonly Task<C>[]>
  /** Tasks that the stage has asked before. */
  readonly asked: number
  /** Groups that an earlier start has recorded of the episode. */
  readonly recorded: readonly EventOf<'group'>[]
  /** Paths of a task's images, which are kept once. */
  readonly imagesOf: (id: string, images: readonly RgbImage[]) => Promise<readonly string[]>
  /** Whether all of it must be recorded, because the policy has learnt from it since; default false. */
  readonly isWhole?: boolean
}

/** Tasks of a source, so many at a time, and the place behind those that were given. */
export const taskReader = <C extends Columns>(source: Source<Task<C>>, place: unknown) => {
  const stream = source.open(place)
  let behind = place
  return {
    behind: () => behind,
    next: async (count: number): Promise<readonly Task<C>[]> => {
      const some: Task<C>[] = []
      while (some.length < count) {
        const { value, done } = await stream.next()
        if (done === true) break
        const placed = value as Placed<Task<C>>
        some.push(placed.example)
        behind = placed.next
      }
      return some
    },
    close: async () => {
      await stream.return?.()
    },
  }
}

/** Saves the images of tasks and gives their paths; an image of a task that is asked again has its path. */
export const imagesOnce = (
  stage: string,
  saveImage: StageContext['saveImage'],
): EpisodeContext<Columns>['imagesOf'] => {
  const kept = new Map<string, readonly string[]>()
  return async (id, images) => {
    if (saveImage === undefined || images.length === 0) return []
    const known = kept.get(id)
    if (known !== undefined) return known
    const paths: string[] = []
    for (const [i, image] of images.entries()) paths.push(await saveImage(`${stage}/${id}/${i}`, image))
    kept.set(id, paths)
    return paths
  }
}

/** An episode's rollouts. */
interface DrawnEpisode<out C extends Columns> {
  /** All groups in the order of their tasks, those that were left out too. */
  readonly groups: readonly RatedGroup<C>[]
  /** Tasks that the stage has asked, with those of the episode. */
  readonly asked: number
  readonly rolloutSeconds: number
  readonly scoreSeconds: number
}

/**
 * Draws an episode: as many tasks as groups are wanted, and again as many as were discarded, for so many rounds, unless none has a
 * reward. Gives each new group as its event, in the order of tasks, whatever the order in which completions end; what is recorded
 * is neither judged nor given again, and where a round is whole it is not drawn again. Ending the iteration stops the policy.
 *
 * A task's id gets its number in the stage, since what is drawn depends on it and a source may give a task again.
 *
 * @throws Error where the source ends before there are tasks, a recorded group is of another task, or one is missing that must be there
 */
export async function* drawEpisode<C extends Columns>(
  d: Drawing<C>,
  c: EpisodeContext<C>,
): AsyncGenerator<EventOf<'group'>, DrawnEpisode<C>> {
  const recorded = new Map(c.recorded.map((e) => [e.index, e]))
  const all: RatedGroup<C>[] = []
  let [asked, kept, rolloutSeconds, scoreSeconds] = [c.asked, 0, 0, 0]
  for (let round = 0; round < d.rounds && kept < d.groups; round++) {
    const began = asked
    const given = await c.next(d.groups - kept)
    if (given.length < d.groups - kept)
      throw new Error(
        `stage '${d.stage}': its tasks ended in episode ${c.episode}; ask for fewer episodes, or make their source endless with repeated(…)`,
      )
    const tasks = given.map((task, i) => ({ ...task, id: `${task.id}@${began + i}` }))
    asked += tasks.length
    const there = tasks.flatMap((task, i) => {
      const event = recorded.get(began + i)
      return event === undefined ? [] : [recordedGroup(event, task, i)]
    })
    if (c.isWhole === true && there.length < tasks.length)
      throw new Error(
        `stage '${d.stage}': ${tasks.length - there.length} groups of episode ${c.episode} are not in rollouts/ any more, and the checkpoint has learnt from them; put the file back, or delete the stage's folder under checkpoints/ so that it begins anew`,
      )
    const started = performance.now()
    let drawn = started
    // a row's numbers depend in their last bits on its place in the batch: what is drawn again is drawn as it was, together
    const again = there.length < tasks.length ? tasks : []
    const judged = from(again).pipe(
      rollout({ policy: c.policy, group: d.group, sampling: d.sampling, batch: tasks.length }),
      tap(() => {
        drawn = performance.now()
      }),
      filter((g) => !recorded.has(began + g.index)),
      score({ reward: d.reward, concurrency: d.concurrency }),
    )
    const groups = merge(from(there), judged).pipe(
      inTaskOrder(),
      dynamicSampling(d.selection),
      groupAdvantages(d.advantages),
    )
    for await (const g of valuesOf(groups)) {
      const index = began + g.index
      all.push({ ...g, index })
      kept += Number(g.selection.kept)
      if (recorded.has(index)) continue
      const paths = await c.imagesOf(given[g.index]!.id, wholeImages(g.task.prompt))
      yield groupEvent(d.stage, c.episode, g, index, paths)
    }
    rolloutSeconds += (drawn - started) / 1000
    scoreSeconds += (performance.now() - drawn) / 1000
    // where no verifier says anything, more tasks would say no more
    if (!all.some(hasReward)) break
  }
  return { groups: withStepAdvantages(all, d.advantages), asked, rolloutSeconds, scoreSeconds }
}
