/**
 * Running a stage: batches in, optimizer steps, events out.
 *
 * @since 0.1.0
 */
import { setImmediate } from 'node:timers/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { elements } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/session.ts'
import { scalarValue } from '../engine/values.ts'
import type { SailVl2Config } from '../models/sail-vl2.ts'
import { firstMomentKey } from '../optim/adamw.ts'
import { schedule } from '../optim/schedules.ts'
import type { EventOf } from './events.ts'
import { defaultSchedule, type Stage, sizesOf } from './stage.ts'

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

async function* batches<E>(stage: Stage<string, string, E>): AsyncGenerator<readonly E[]> {
  const stream = stage.source.from(0)
  try {
    for (;;) {
      const rows: E[] = []
      while (rows.length < stage.batch) {
        const { value, done } = await stream.next()
        if (done) return
        rows.push(value)
      }
      yield rows
    }
  } finally {
    await stream.return?.()
  }
}

/** `StageStarted`, a `Stepped` for each step, and `StageFinished`-ready totals as the generator's result. */
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
 * Gives control back to the event loop after every step, so that the consumer can stop the iteration there. A loss that is
 * not finite ends the stage with an error that names step and learning rate.
 *
 * @category running
 */
export async function* trainStage(
  session: Session,
  model: SailVl2Config,
  stage: Stage,
  place: Place,
): AsyncGenerator<EventOf<'stage-started'> | EventOf<'step'>, StageTotals> {
  const factor = schedule(stage.schedule ?? defaultSchedule, stage.steps)
  if (E.isLeft(factor)) throw factor.left
  yield {
    type: 'stage-started',
    stage: stage.name,
    ...place,
    steps: stage.steps,
    batch: stage.batch,
    trainable: trainedParameters(session),
    parts: [...stage.train],
  }
  const started = performance.now()
  const since = (t: number): number => (performance.now() - t) / 1000
  const losses: number[] = []
  const stream = batches(stage)
  try {
    for (let step = 0; step < stage.steps; step++) {
      const asked = performance.now()
      const { value: batch, done } = await stream.next()
      if (done) throw new Error(`stage '${stage.name}': its data ended at step ${step} of ${stage.steps}`)
      const feeds = stage.objective.feed(batch, model, sizesOf(stage))
      const dataSeconds = since(asked)
      const learningRate = stage.learningRate * factor.right(step + 1)
      const called = performance.now()
      const out = await orThrow(session.call('step', { ...feeds, learning_rate: scalarValue(learningRate) }))
      const computeSeconds = since(called)
      const loss = numberOf(out.loss)
      if (!Number.isFinite(loss))
        throw new Error(
          `stage '${stage.name}': the loss is ${loss} at step ${step + 1} of ${stage.steps} (learning rate ${learningRate.toPrecision(3)}); lower the learning rate or the clipping norm`,
        )
      losses.push(loss)
      yield {
        type: 'step',
        stage: stage.name,
        step: step + 1,
        steps: stage.steps,
        loss,
        learningRate,
        gradientNorm: numberOf(out.gradientNorm),
        samples: (step + 1) * stage.batch,
        tokens: numberOf(out.tokens),
        seconds: since(started),
        dataSeconds,
        computeSeconds,
      }
      await setImmediate()
    }
  } finally {
    await stream.return(undefined)
  }
  const last = losses.slice(-Math.max(1, Math.round(losses.length / 10)))
  return {
    loss: last.reduce((a, b) => a + b, 0) / last.length,
    samples: stage.steps * stage.batch,
    seconds: since(started),
  }
}
