/**
 * What a run says while it goes on: a stream of plain, typed events. The run folder, the progress display and the report
 * all read these and nothing else.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { Evaluated, Measured, Predicted } from './evaluation-events.ts'
import { EpisodeDrawn, GroupDrawn, PolicyStepped, PolicyValidated } from './reinforcement-events.ts'
import {
  Checkpointed,
  Curated,
  ExpertLoad,
  Packed,
  RateDecided,
  StageFinished,
  StageStarted,
  Stepped,
  WeightsTaken,
} from './stage-events.ts'

/** The recipe ended. */
const RunFinished = t.type({ type: t.literal('run-finished'), seconds: t.number })

/** The run stopped on an error. */
const RunFailed = t.type({ type: t.literal('run-failed'), message: t.string })

/** Something that the reader of the run should know and that does not stop it. */
const Warned = t.type({ type: t.literal('warned'), message: t.string })

/** A row of the user's data was set aside: of the first thousand each is told once. `line` from 1. */
const BadRowMet = t.type({
  type: t.literal('bad-row'),
  file: t.string,
  line: t.number,
  reason: t.string,
})

/** How many rows were set aside in all, when the run ended. */
const BadRowsCounted = t.type({ type: t.literal('bad-rows'), count: t.number })

/**
 * The run began from another's checkpoint: of stage `from`, after `step` of its steps. `begins` is the index of the first
 * stage that it trains, `path` the folder inside the run with the weights; of `everything` there are moments and the place in
 * the data besides, and `frozen` is the checksum that the stage began with, as of {@link WeightsTaken}.
 */
const ForkedFrom = t.intersection([
  t.type({
    type: t.literal('forked'),
    run: t.string,
    from: t.string,
    step: t.number,
    taken: t.keyof({ weights: null, everything: null }),
    begins: t.number,
    path: t.string,
  }),
  t.partial({ frozen: t.string }),
])

/** Codec of every event. */
export const RunEvent = t.union([
  StageStarted,
  WeightsTaken,
  Stepped,
  RateDecided,
  Curated,
  GroupDrawn,
  EpisodeDrawn,
  PolicyStepped,
  PolicyValidated,
  Packed,
  ExpertLoad,
  Evaluated,
  Measured,
  Predicted,
  Checkpointed,
  StageFinished,
  RunFinished,
  RunFailed,
  Warned,
  BadRowMet,
  BadRowsCounted,
  ForkedFrom,
])
/** Any event of a run. */
export type RunEvent = t.TypeOf<typeof RunEvent>
/** An event of one type, by its `type`. */
export type EventOf<K extends RunEvent['type']> = Extract<RunEvent, { readonly type: K }>
