/**
 * A group as the run records it, and back.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../run/index.ts'
import type { RatedGroup, ScoredGroup } from './group.ts'
import type { Columns, Task } from './task.ts'

/** A group as an event. Its `index` is counted over the whole stage. */
export const groupEvent = (
  stage: string,
  episode: number,
  g: RatedGroup,
  index: number,
  images: readonly string[],
): EventOf<'group'> => ({
  ...{ type: 'group', stage, episode, index, images: [...images] },
  ...{ task: g.task.id, family: g.task.family, question: g.task.question },
  promptIds: [...(g.completions[0]?.promptIds ?? [])],
  completions: g.completions.map(({ sample, ids, logProbs, text, texts, stop, version }) => ({
    ...{ sample, text, stop, version },
    ids: [...ids],
    logProbs: [...logProbs],
    ...(texts === undefined ? {} : { texts: [...texts] }),
  })),
  judgements: [...g.judgements],
  advantages: g.advantages.map((a) => a ?? null),
  ...(g.selection.kept ? {} : { discarded: g.selection.why }),
})

/**
 * A recorded group, judged as it was.
 *
 * @throws Error where it is of another task
 */
export const recordedGroup = <C extends Columns>(
  e: EventOf<'group'>,
  task: Task<C>,
  index: number,
): ScoredGroup<C> => {
  if (e.task !== task.id)
    throw new Error(
      `stage ${e.stage}: the rollouts recorded of episode ${e.episode} are of task ${e.task} where the tasks now have ${task.id}; has their source changed?`,
    )
  const completions = e.completions.map((c) => ({ ...c, task: task.id, promptIds: e.promptIds }))
  return { index, task, completions, judgements: e.judgements }
}
