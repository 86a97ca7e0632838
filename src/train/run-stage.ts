/**
 * Running a stage: batches in, optimizer steps, events out.
 *
 * @since 0.1.0
 */
import { setImmediate } from 'node:timers/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { defer, type Observable } from 'rxjs'
import { elements } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/session.ts'
import { scalarValue } from '../engine/values.ts'
import type { SailVl2Config } from '../models/sail-vl2.ts'
import { firstMomentKey } from '../optim/adamw.ts'
import { schedule } from '../optim/schedules.ts'
import { atBeginning, type StageProgress } from './checkpoint.ts'
import type { EventOf } from './events.ts'
import { batchesOf } from './source.ts'
import { type Stage, scheduleOf, sizesOf } from './stage.ts'

/** The value of a task, or its error thrown: for the inside of generators, whose own edge is typed again. */
export const orThrow = async <A>(task: TaskEither<unknown, A>): Promise<A> => {
  const result = await task()
  if (E.isRight(result)) return result.right
  throw result.left instanceof Error
    ? result.left
    : Object.assign(new Error(String((result.left as { message?: string }).message ?? result.left)), {
        cause: result.left,
      })
}

/** Where a stage stands in its recipe. */
export interface Place {
  readonly index: number
  readonly of: number
}

/** How many parameters of a loaded program a stage trains: those that have a moment. */
export const trainedParameters = (s: Session): number => {
  let n = 0
  for (const [key, spec] of s.program.states)
    if (s.program.states.has(firstMomentKey(key))) n += elements(spec.axes)
  return n
}

/** What a stage says while it trains. */
export type StageEvent = EventOf<'stage-started'> | EventOf<'step'> | EventOf<'checkpointed'>

/** Going on in the middle of a stage, and keeping what that needs. */
export interface TrainOptions {
  /** Where the session's state stands; default: at the beginning. */
  readonly from?: StageProgress
  /** After every so many steps, but the last, `save` keeps the session's state. */
  readonly checkpoint?: {
    readonly every: number
    readonly save: (at: StageProgress) => Promise<EventOf<'checkpointed'>>
  }
}

/** What a stage comes to. */
export interface StageTotals {
  /** Mean loss over the last tenth of the steps. */
  readonly loss: number
  readonly samples: number
  readonly seconds: number
}

const numberOf = (v: TensorValue | undefined): number => Number(v?.data[0] ?? Number.NaN)

/**
 * Trains one stage in a session whose program has its `step`.
 *
 * Gives control back to the event loop after every step, so that the consumer can stop the iteration there. A loss or a
 * gradient that is not finite ends the stage with an error that names step and learning rate. However the stage ends, its
 * source is closed. It ends with the same bits whether it began at the beginning or went on from a checkpoint.
 *
 * @category running
 */
export async function* trainStage(
  session: Session,
  model: SailVl2Config,
  stage: Stage,
  place: Place,
  { from = atBeginning, checkpoint }: TrainOptions = {},
): AsyncGenerator<StageEvent, StageTotals> {
  const factor = schedule(scheduleOf(stage), stage.steps)
  if (E.isLeft(factor)) throw factor.left
  yield {
    type: 'stage-started',
    stage: stage.name,
    ...place,
    steps: stage.steps,
    batch: stage.batch,
    trainable: trainedParameters(session),
    parts: [...stage.train],
    ...(stage.objective.unit === undefined ? {} : { unit: stage.objective.unit }),
  }
  const started = performance.now() - from.seconds * 1000
  const since = (t: number): number => (performance.now() - t) / 1000
  const tail = Math.max(1, Math.round(stage.steps / 10))
  let { tailLoss } = from
  const stream = batchesOf(stage.source, stage.batch, from.step * stage.batch)
  try {
    for (let step = from.step + 1; step <= stage.steps; step++) {
      const asked = performance.now()
      const { value: batch, done } = await stream.next()
      if (done || batch.length < stage.batch)
        throw new Error(
          `stage '${stage.name}': its data ended at step ${step} of ${stage.steps}; make the stage shorter, or its source endless`,
        )
      const feeds = stage.objective.feed(batch, model, sizesOf(stage))
      const dataSeconds = since(asked)
      // the last update has the schedule's last factor, and a warm-up wastes none on a factor of 0
      const learningRate = stage.learningRate * factor.right(step)
      const called = performance.now()
      const out = await orThrow(session.call('step', { ...feeds, learning_rate: scalarValue(learningRate) }))
      const computeSeconds = since(called)
      const [loss, gradientNorm] = [numberOf(out.loss), numberOf(out.gradientNorm)]
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
        throw new Error(
          `stage '${stage.name}': at step ${step} of ${stage.steps} the loss is ${loss} and the gradient's norm ${gradientNorm} (learning rate ${learningRate.toPrecision(3)}); lower the learning rate or the clipping norm`,
        )
      if (step > stage.steps - tail) tailLoss += loss
      yield {
        type: 'step',
        stage: stage.name,
        step,
        steps: stage.steps,
        loss,
        learningRate,
        gradientNorm,
        samples: step * stage.batch,
        tokens: numberOf(out.tokens),
        seconds: since(started),
        dataSeconds,
        computeSeconds,
      }
      if (checkpoint !== undefined && step % checkpoint.every === 0 && step < stage.steps)
        yield await checkpoint.save({ step, seconds: since(started), tailLoss })
      await setImmediate()
    }
  } finally {
    await stream.return(undefined)
  }
  return { loss: tailLoss / tail, samples: stage.steps * stage.batch, seconds: since(started) }
}

/**
 * {@link trainStage} as an observable: trains when subscribed to, once a subscription. Unsubscribing stops after the step
 * in progress and closes the source; the session stays open, and its weights are those of the last step.
 *
 * @category running
 */
export const observeStage = (
  session: Session,
  model: SailVl2Config,
  stage: Stage,
  place: Place,
  options?: TrainOptions,
): Observable<StageEvent> => defer(() => trainStage(session, model, stage, place, options))
