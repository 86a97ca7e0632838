/** What an earlier start of a run came to, from its events. */
import { type EventOf, type RunEvent, withoutRepeats } from '../run/index.ts'
import type { Stage, StageTotals } from './stage.ts'
import { tailSteps } from './tail-loss.ts'
import { checkpointFolder } from './weights.ts'

/** What an earlier start of the run came to. */
export interface EarlierStart {
  /** How many stages it finished. */
  readonly finished: number
  /** The folder with the weights of the last of them. */
  readonly weights: string | undefined
  /** Its last checkpoint since. */
  readonly checkpoint: EventOf<'checkpointed'> | undefined
  /** Whether another run's checkpoint stands for that folder. */
  readonly forked: boolean
}

export const earlierStart = (events: readonly RunEvent[]): EarlierStart => {
  let finished = 0
  let weights: string | undefined
  let checkpoint: EventOf<'checkpointed'> | undefined
  let forked = false
  for (const e of events) {
    if (e.type === 'forked') {
      forked = true
      finished = e.begins
      weights = e.path
      const path = checkpointFolder(e.from)
      if (e.taken === 'everything') checkpoint = { type: 'checkpointed', stage: e.from, step: e.step, path }
    }
    if (e.type === 'checkpointed') checkpoint = e
    if (e.type === 'stage-finished') {
      finished = e.index + 1
      weights = checkpoint?.path
      checkpoint = undefined
      forked = false
    }
  }
  return { finished, weights, checkpoint, forked }
}

/** The checksum of the frozen weights that a stage began with, here or in the run that it goes on from; undefined: it has none. */
export const frozenAtBeginning = (events: readonly RunEvent[], stage: string): string | undefined => {
  const begun = events.findLast((e) => (e.type === 'weights' && e.stage === stage) || goesOn(e, stage))
  return begun?.type === 'weights' || begun?.type === 'forked' ? begun.frozen : undefined
}
const goesOn = (e: RunEvent, stage: string): boolean =>
  e.type === 'forked' && e.taken === 'everything' && e.from === stage

/** A stage's totals by its steps, where an earlier start took them and did not come to record the totals. */
export const totalsOf = (events: readonly RunEvent[], stage: Stage): StageTotals => {
  const own = withoutRepeats(events).flatMap((e) => (e.type === 'step' && e.stage === stage.name ? [e] : []))
  const tail = own.slice(-tailSteps(stage.steps)).filter((e) => Number.isFinite(e.loss))
  const last = own.at(-1)
  return {
    loss: tail.reduce((sum, e) => sum + e.loss, 0) / tail.length,
    samples: last?.samples ?? 0,
    seconds: last?.seconds ?? 0,
  }
}

/** The families that an earlier start measured of a stage's last weights, or of others beside them. */
export const measuredOf = (
  events: readonly RunEvent[],
  stage: string,
  weights?: string,
): ReadonlySet<string> =>
  new Set(
    withoutRepeats(events).flatMap((e) =>
      (e.type === 'evaluated' || e.type === 'measured') && e.stage === stage && e.weights === weights
        ? [e.family]
        : [],
    ),
  )
