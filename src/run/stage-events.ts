/** What a stage says of its training: its beginning, its updates, its checkpoints, its end. */
import * as t from 'io-ts'

/**
 * A stage begins. `of` stages in all; `batch` examples a step, each an `example`, which is a `sample` where nothing is said; `trainable` counts the parameters that it changes, `parts` names them; `unit` is what
 * its loss is counted in, such as `nats per token`, and `nats` where nothing is said.
 */
export const StageStarted = t.intersection([
  t.type({
    type: t.literal('stage-started'),
    stage: t.string,
    index: t.number,
    of: t.number,
    steps: t.number,
    batch: t.number,
    trainable: t.number,
    parts: t.array(t.string),
  }),
  t.partial({ unit: t.string, example: t.string }),
])

/**
 * The weights that a stage begins with: how many keys were taken from what was there, which begin fresh, and which of those
 * that were there the stage has no place for (they are handed on).
 * `frozen` is a checksum of the weights that it reads and that never learn, where there are any.
 */
export const WeightsTaken = t.intersection([
  t.type({
    type: t.literal('weights'),
    stage: t.string,
    taken: t.number,
    fresh: t.array(t.string),
    unused: t.array(t.string),
  }),
  t.partial({ frozen: t.string }),
])

/**
 * An optimizer step is done. `loss` in the stage's unit, `gradientNorm` before clipping, `samples` seen in this stage, those of
 * packs one by one, `tokens`
 * what the loss counted, `seconds` since the stage began; of this step: `dataSeconds` waiting for a batch, `computeSeconds` in the engine.
 */
export const Stepped = t.type({
  type: t.literal('step'),
  stage: t.string,
  step: t.number,
  steps: t.number,
  loss: t.number,
  learningRate: t.number,
  gradientNorm: t.number,
  samples: t.number,
  tokens: t.number,
  seconds: t.number,
  dataSeconds: t.number,
  computeSeconds: t.number,
})

/**
 * AdaLRS has ended a window of losses, or broken one off, and decided. `scale` is the factor on the schedule's learning rate
 * from now on, `from` what it was; `velocity` how fast the window's loss fell, a step (null where it was broken off),
 * `against` the velocity that it was compared with, `error` that of both; `why` weights were rolled back.
 */
export const RateDecided = t.intersection([
  t.type({
    type: t.literal('ada-lrs'),
    stage: t.string,
    step: t.number,
    decision: t.keyof({ Watched: null, Tried: null, Kept: null, Left: null, RolledBack: null }),
    scale: t.number,
    velocity: t.union([t.number, t.null]),
  }),
  t.partial({ from: t.number, against: t.number, error: t.number, why: t.string }),
])

/**
 * A stage has made its own examples before its first step: of `of` that were looked at it kept `kept`; `dropped` says how many
 * were left out, by why. `what` they are, in the plural.
 */
export const Curated = t.type({
  type: t.literal('curated'),
  stage: t.string,
  what: t.string,
  of: t.number,
  kept: t.number,
  dropped: t.record(t.string, t.number),
})

const Segment = t.type({ tokens: t.number, images: t.number })

/**
 * How samples share the rows of a stage's first update: for each pack the tokens and images of its rows' segments, and the
 * `sizes` of a pack.
 */
export const Packed = t.type({
  type: t.literal('packed'),
  stage: t.string,
  step: t.number,
  sizes: t.type({ rows: t.number, tokens: t.number, images: t.number }),
  packs: t.readonlyArray(t.readonlyArray(t.readonlyArray(Segment))),
})

/**
 * How much each expert of a model was used by the updates since the last such event: for each layer that has experts, from
 * the first, the shares of its tokens' choices that went to its experts, in their order. They add up to 1. `layers` are those layers'
 * numbers from 0; runs of older versions have none.
 */
export const ExpertLoad = t.intersection([
  t.type({
    type: t.literal('expert-load'),
    stage: t.string,
    step: t.number,
    load: t.readonlyArray(t.readonlyArray(t.number)),
  }),
  t.partial({ layers: t.readonlyArray(t.number) }),
])

/**
 * A checkpoint was written: a folder inside the run folder. At the end of a stage it has its `totals`, which a start that has
 * only to measure it takes from there; runs of older versions have none.
 */
export const Checkpointed = t.intersection([
  t.type({
    type: t.literal('checkpointed'),
    stage: t.string,
    step: t.number,
    path: t.string,
  }),
  t.partial({ totals: t.type({ loss: t.number, samples: t.number, seconds: t.number }) }),
])

/** A stage ended. `loss` is the mean over its last tenth. */
export const StageFinished = t.type({
  type: t.literal('stage-finished'),
  stage: t.string,
  index: t.number,
  loss: t.number,
  samples: t.number,
  trainSeconds: t.number,
  evaluateSeconds: t.number,
})
