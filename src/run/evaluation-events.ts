/** What an evaluation says after a stage. */
import * as t from 'io-ts'

/** Which weights were measured: the stage's own where nothing is said, `averaged` their moving averages, or others by name. */
const Weights = t.partial({ weights: t.string })

/** A share of one family on held-out samples after a stage: how many of `total` were `correct`. */
export const Evaluated = t.intersection([
  t.type({
    type: t.literal('evaluated'),
    stage: t.string,
    family: t.string,
    correct: t.number,
    total: t.number,
    seconds: t.number,
  }),
  Weights,
])

/**
 * What is no share, such as a loss, of one family on held-out samples after a stage: a mean in its `unit`, over what
 * `weight` counts (tokens, images).
 */
export const Measured = t.intersection([
  t.type({
    type: t.literal('measured'),
    stage: t.string,
    family: t.string,
    value: t.number,
    unit: t.string,
    weight: t.number,
    seconds: t.number,
  }),
  Weights,
])

const OnePredicted = t.type({
  type: t.literal('predicted'),
  stage: t.string,
  family: t.string,
  id: t.string,
  level: t.number,
  image: t.string,
  question: t.string,
  expected: t.string,
  answered: t.string,
  text: t.string,
  correct: t.boolean,
})
/**
 * One held-out prediction. `image` is a PNG's path inside the run folder, empty where there is no image; where there are
 * several it is the first, and `images` are all of them.
 */
export const Predicted = t.intersection([OnePredicted, t.partial({ images: t.array(t.string) })])
