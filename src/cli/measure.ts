/**
 * How fast an engine is on this machine: whole training steps of the nano model, and square matrix products.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type BenchCase,
  benchBatches,
  benchProgram,
  lossTolerance,
  nanoStep,
  spread,
} from '../bench/index.ts'
import { axis, contract, fixed, type Program, program, state, total, uniform } from '../dsl/index.ts'
import {
  type Engine,
  type EngineError,
  type Environment,
  rememberSpeeds,
  type Session,
  type Speeds,
  scalarValue,
  type TensorValue,
} from '../engine/index.ts'

/** What was measured of a training step. Times in seconds. */
export interface StepMeasure {
  readonly model: string
  /** Sequences a step, one image each. */
  readonly batch: number
  /** Tokens a sequence. */
  readonly length: number
  /** From the model's configuration to the end of the first step: graph, gradient, compiling, weights. */
  readonly firstStepSeconds: number
  /** Steps after the first. */
  readonly steps: number
  /** Median. */
  readonly stepSeconds: number
  /** `batch / stepSeconds`. */
  readonly samplesPerSecond: number
  /** Of the first steps, four at most: who computes the same has the same. */
  readonly losses: readonly number[]
}

/** Steps whose losses are kept. */
const firstSteps = 4

/** The largest relative difference of two engines' losses in the steps that both made. */
export const lossDifference = (a: readonly number[], b: readonly number[]): number => {
  const both = Math.min(a.length, b.length)
  const differences = a.slice(0, both).map((x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!))
  return differences.length === 0 || differences.some(Number.isNaN)
    ? Number.POSITIVE_INFINITY
    : Math.max(...differences)
}

/** Whether an engine computes what the processor does: losses as near as `sailwright bench` wants them. */
export const sameLosses = (a: readonly number[], b: readonly number[]): boolean =>
  lossDifference(a, b) <= lossTolerance

/** Calls a function of a session again and again for so many seconds, at least so often; the seconds of each call. */
const repeatedly =
  (
    session: Session,
    name: string,
    inputs: Readonly<Record<string, TensorValue>>,
    seconds: number,
    least = 3,
    seen: (out: Readonly<Record<string, TensorValue>>) => void = () => undefined,
  ): TE.TaskEither<EngineError, readonly number[]> =>
  async () => {
    const times: number[] = []
    const began = performance.now()
    while (times.length < least || performance.now() - began < seconds * 1000) {
      const called = performance.now()
      const result = await session.call(name, inputs)()
      if (result._tag === 'Left') return result
      times.push((performance.now() - called) / 1000)
      seen(result.right)
      await setImmediate()
    }
    return { _tag: 'Right', right: times }
  }

/** Loads a program, uses its session, closes it whatever happened. */
const within = <A>(
  engine: Engine,
  p: Program,
  use: (s: Session) => TE.TaskEither<EngineError, A>,
): TE.TaskEither<EngineError, A> => TE.bracket(engine.load(p), use, (session) => session.close())

/**
 * Trains the nano model for so many seconds (at least three steps, unless said otherwise) after a first step, and says how fast that was: the step
 * that `sailwright bench` measures at length.
 */
export const measureStep = (
  engine: Engine,
  seconds: number,
  least?: number,
  about: BenchCase = nanoStep(availableParallelism()),
): TE.TaskEither<EngineError, StepMeasure> =>
  pipe(
    TE.fromIO(() => {
      const feeds = {
        ...benchBatches({ ...about, batches: 1 })[0]!,
        learning_rate: scalarValue(about.learningRate),
      }
      const began = performance.now()
      const losses: number[] = []
      const seen = (out: Readonly<Record<string, TensorValue>>): void => {
        if (losses.length < firstSteps) losses.push(Number(out.loss!.data[0]))
      }
      return { about, feeds, began, losses, seen, step: benchProgram(about) }
    }),
    TE.chain(({ about, feeds, began, losses, seen, step }) =>
      within(engine, step, (session) =>
        pipe(
          session.call('step', feeds),
          TE.map((out) => {
            seen(out)
            return (performance.now() - began) / 1000
          }),
          TE.chain((firstStepSeconds) =>
            pipe(
              repeatedly(session, 'step', feeds, seconds, least, seen),
              TE.map((times): StepMeasure => {
                const stepSeconds = spread(times).median
                return {
                  model: about.model.name,
                  batch: about.batch,
                  length: about.length,
                  firstStepSeconds,
                  steps: times.length,
                  stepSeconds,
                  samplesPerSecond: about.batch / stepSeconds,
                  losses,
                }
              }),
            ),
          ),
        ),
      ),
    ),
  )

/** The float32 product of two square matrices that live in the session, in 10⁹ operations a second (2n³ a product). */
export const measureProduct = (
  engine: Engine,
  size: number,
  seconds: number,
): TE.TaskEither<EngineError, { readonly size: number; readonly gflops: number }> => {
  const [row, inner, column] = [axis('row', size), axis('inner', size), axis('column', size)]
  const square = program({
    name: `product-${size}`,
    functions: {
      product: fixed(() => {
        const a = state('a', [row, inner], uniform(1))
        const b = state('b', [inner, column], uniform(1))
        return { outputs: { sum: total(contract(a, b, 'inner')) } }
      }),
    },
  })
  return within(engine, square, (session) =>
    pipe(
      session.call('product', {}),
      TE.chain(() => repeatedly(session, 'product', {}, seconds)),
      TE.map((times) => ({ size, gflops: (2 * size ** 3) / spread(times).median / 1e9 })),
    ),
  )
}

/** Seconds of training steps of each engine where a run has to choose one: its first step comes before, about a second. */
const chooseSeconds = 1

/**
 * Measures two engines once, on steps of the nano model, and remembers it: some five seconds. Where one fails in its
 * step, the other is the faster one.
 */
export const measureOnce = async (
  engines: readonly [Engine, Engine],
  env: Environment,
  at: Date,
): Promise<Speeds> => {
  const speedOf = async (engine: Engine): Promise<number> => {
    const measured = await measureStep(engine, chooseSeconds, 1)()
    return measured._tag === 'Right' ? measured.right.samplesPerSecond : 0
  }
  const samplesPerSecond: Record<string, number> = {}
  for (const engine of engines) samplesPerSecond[engine.name] = await speedOf(engine)
  const speeds = { measuredAt: at.toISOString(), samplesPerSecond }
  // a failure is no measurement: the next run tries again
  if (Object.values(samplesPerSecond).every((s) => s > 0)) rememberSpeeds(engines, speeds, env)
  return speeds
}
