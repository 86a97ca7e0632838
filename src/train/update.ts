/**
 * Updates of a learner over a session that runs its program, and marks to go back to.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Program } from '../dsl/index.ts'
import { chooseVariant, type Session, scalarValue, type TensorValue } from '../engine/index.ts'
import { isGradientKey } from '../optim/index.ts'
import { callWith, readBy } from './batch-inputs.ts'
import { batchPrefix, metricPrefix } from './learner.ts'
import type { MicroBatch } from './objective.ts'
import { RecipeError } from './setting-checks.ts'
import { orThrow } from './task.ts'

/** What one update gives. */
export interface Updated {
  /** In the objective's unit, over all micro-batches of the update. */
  readonly loss: number
  /** What the loss was divided by: counted tokens, images. */
  readonly weight: number
  /** Before clipping. */
  readonly gradientNorm: number
  /** The loss's `stepMetrics` over all micro-batches of the update; NaN where nothing was counted. Empty where it has none. */
  readonly metrics: Readonly<Record<string, number>>
  /** The loss's `batch.sums` over all micro-batches of the update. Empty where it has none. */
  readonly batch: Readonly<Record<string, TensorValue>>
}

const numberOf = (v: TensorValue | undefined): number => Number(v?.data[0] ?? Number.NaN)

/** The metrics of an update, of what its calls gave. */
const metricsIn = (
  given: readonly Readonly<Record<string, TensorValue>>[],
): Readonly<Record<string, number>> => {
  const names = Object.keys(given[0] ?? {}).flatMap((key) =>
    key.startsWith(metricPrefix) && key.endsWith('.sum')
      ? [key.slice(metricPrefix.length, -'.sum'.length)]
      : [],
  )
  const added = (name: string, side: string): number =>
    given.reduce((n, out) => n + numberOf(out[`${metricPrefix}${name}.${side}`]), 0)
  return Object.fromEntries(names.map((name) => [name, added(name, 'sum') / added(name, 'weight')]))
}

/** The learning rate as an input of a function that reads it: an optimizer may have its own. */
const rateOf = (program: Program, name: string, learningRate: number) =>
  readBy(program, name, { learning_rate: scalarValue(learningRate) })

/** The call that learns from a micro-batch: of `step` where that is the whole update, else of `accumulate`. */
const learningCall = (
  program: Program,
  { inputs, offered }: MicroBatch,
  learningRate: number,
): readonly [name: string, inputs: MicroBatch['inputs']] => {
  const name = program.functions.has('step') ? 'step' : 'accumulate'
  const own = offered === true ? readBy(program, name, inputs) : inputs
  return [name, name === 'step' ? { ...own, ...rateOf(program, name, learningRate) } : own]
}

/** Sees that a learner's program takes micro-batches as {@link update} gives them. @throws RecipeError where it does not */
export const fitsProgram = (
  where: string,
  program: Program,
  batches: readonly MicroBatch[],
  learningRate: number,
): void => {
  for (const b of batches) {
    const fits = chooseVariant(program, ...learningCall(program, b, learningRate))
    if (E.isLeft(fits)) throw new RecipeError(where, 'objective.collate', fits.left.message, fits.left)
  }
}

/**
 * One update: of a single micro-batch in one call, else gradients added up and applied once; where the loss is built of sums
 * over the whole update, these are added up before.
 *
 * Throws what the engine says.
 */
export const update = async (
  session: Session,
  batches: readonly MicroBatch[],
  learningRate: number,
): Promise<Updated> => {
  const { program } = session
  const fused = program.functions.has('step')
  if (fused && batches.length !== 1)
    throw new RangeError(
      `an update of ${batches.length} micro-batches needs a learner that accumulates; give the stage accumulate above 1`,
    )
  const given: Readonly<Record<string, TensorValue>>[] = []
  if (program.functions.has('observe')) for (const b of batches) await callWith(session, 'observe', b.inputs)
  for (const b of batches) given.push(await orThrow(session.call(...learningCall(program, b, learningRate))))
  const out = fused ? given[0]! : await orThrow(session.call('apply', rateOf(program, 'apply', learningRate)))
  return {
    loss: numberOf(out.loss),
    weight: numberOf(out.weight),
    gradientNorm: numberOf(out.gradientNorm),
    metrics: metricsIn(given),
    batch: Object.fromEntries(
      Object.entries(out).flatMap(([key, v]) =>
        key.startsWith(batchPrefix) ? [[key.slice(batchPrefix.length), v] as const] : [],
      ),
    ),
  }
}

/** Where a stage's update broke: its loss or gradient is no finite number. What to do depends on the step. */
export const brokenUpdate = (
  where: string,
  {
    step,
    steps,
    loss,
    gradientNorm,
    rate,
  }: Pick<Updated, 'loss' | 'gradientNorm'> & {
    readonly step: number
    readonly steps: number
    /** The learning rate. */
    readonly rate: number
  },
): Error =>
  new Error(
    `${where}: at step ${step} of ${steps} the loss is ${loss} and the gradient's norm ${gradientNorm} (learning rate ${rate.toPrecision(3)}); ${step === 1 ? 'nothing was learnt yet: look for what is no finite number in the weights, the data, or what the model and the loss compute (a division by 0, the logarithm or the root of 0)' : 'lower the learning rate or maxGradientNorm'}`,
  )

/** A copy of all that updates change: what learns, its moments, its averages. It outlives later updates. */
export interface Mark {
  readonly states: ReadonlyMap<string, TensorValue>
}

/** Between updates, what is added up is 0: it is no part of a mark. */
const changedBy = (p: Program): readonly string[] => {
  const variants = ['step', 'apply'].flatMap((name) => p.functions.get(name) ?? [])
  return [...new Set(variants.flatMap((v) => [...v.next.keys()]))].filter((key) => !isGradientKey(key))
}

/** Marks where a learner stands between two updates. Throws what the engine says. */
export const mark = async (session: Session): Promise<Mark> => ({
  states: await orThrow(session.read(changedBy(session.program))),
})

/** Puts a learner back to a mark, bit for bit. Throws what the engine says. */
export const rollBack = (session: Session, to: Mark): Promise<void> => orThrow(session.write(to.states))
