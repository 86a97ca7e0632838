/**
 * A recipe: stages one after the other, from given weights. What one stage hands to the next is in its type.
 *
 * @since 0.1.0
 */
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { defer } from 'rxjs'
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/session.ts'
import type { SailVl2Config } from '../models/sail-vl2.ts'
import type { EventOf, RunEvent } from './events.ts'
import type { Experiment, RunContext } from './experiment.ts'
import { orThrow, trainStage } from './run-stage.ts'
import { describeStage, type Stage, stageProgram } from './stage.ts'
import {
  checkpointFolder,
  loadWeights,
  readWeights,
  saveWeights,
  type Weights,
  writeWeights,
} from './weights.ts'

/** A measurement after each stage. */
export interface Evaluation {
  /** What it measures, as data for the manifest. */
  readonly describe: unknown
  readonly families: readonly string[]
  /** Functions that it needs in the session's program. */
  readonly functions: (model: SailVl2Config, stage: string) => Readonly<Record<string, FunctionSpec>>
  /** Measures; `last` after the recipe's last stage. */
  readonly run: (
    session: Session,
    stage: { readonly name: string; readonly last: boolean },
    context: RunContext & { readonly model: SailVl2Config },
  ) => AsyncIterable<EventOf<'evaluated'> | EventOf<'predicted'>>
}

/** Stages from weights that are `Start` to weights that are `Now`. */
export interface Recipe<Now extends string = string> {
  readonly name: string
  readonly seed: number
  readonly model: { readonly name: string; readonly config: SailVl2Config }
  /** Weights to begin from, and what they are; keys that they lack are initialised from the seed. */
  readonly start: { readonly describe: unknown; readonly weights: TaskEither<Error, Weights> }
  readonly stages: readonly Stage[]
  readonly now: Now
}

/**
 * Begins a recipe.
 *
 * @param now what the starting weights are: the first stage's `from`
 * @category constructors
 */
export const begin = <const Now extends string>(r: Omit<Recipe<Now>, 'stages'>): Recipe<Now> => ({
  ...r,
  stages: [],
})

/**
 * Appends a stage, data-last for `pipe`. A stage whose `from` is not what the recipe has arrived at does not compile.
 *
 * @category constructors
 */
export const next =
  <From extends string, const To extends string, E>(stage: Stage<From, To, E>) =>
  (r: Recipe<From>): Recipe<To> => ({ ...r, stages: [...r.stages, stage], now: stage.to })

/**
 * The stages that an earlier start of the run finished, and where the last of them left its weights.
 */
const finishedBefore = (
  events: readonly RunEvent[],
): { readonly stages: number; readonly checkpoint?: string } => {
  let stages = 0
  let checkpoint: string | undefined
  let pending: string | undefined
  for (const e of events) {
    if (e.type === 'checkpointed') pending = e.path
    if (e.type === 'stage-finished') {
      stages = e.index + 1
      checkpoint = pending
    }
  }
  return checkpoint === undefined ? { stages: 0 } : { stages, checkpoint }
}

async function* runRecipe(r: Recipe, evaluation: Evaluation, context: RunContext): AsyncGenerator<RunEvent> {
  const started = performance.now()
  const before = finishedBefore(context.earlier)
  let weights = await orThrow(
    before.checkpoint === undefined
      ? r.start.weights
      : loadWeights(context.pathOf(before.checkpoint, 'model.safetensors')),
  )
  for (const [index, stage] of r.stages.entries()) {
    if (index < before.stages) continue
    const program = stageProgram(r.model.config, stage, evaluation.functions(r.model.config, stage.name))
    const session = await orThrow(context.engine.load(program, { seed: r.seed }))
    try {
      await orThrow(writeWeights(session, weights))
      const totals = yield* trainStage(session, r.model.config, stage, { index, of: r.stages.length })
      const measured = performance.now()
      yield* evaluation.run(
        session,
        { name: stage.name, last: index === r.stages.length - 1 },
        { ...context, model: r.model.config },
      )
      const evaluateSeconds = (performance.now() - measured) / 1000
      weights = new Map([...weights, ...(await orThrow(readWeights(session)))])
      const path = checkpointFolder(stage.name)
      await orThrow(
        saveWeights(context.pathOf(path, 'model.safetensors'), weights, { format: 'pt', stage: stage.name }),
      )
      yield { type: 'checkpointed', stage: stage.name, step: stage.steps, path }
      yield {
        type: 'stage-finished',
        stage: stage.name,
        index,
        loss: totals.loss,
        samples: totals.samples,
        trainSeconds: totals.seconds,
        evaluateSeconds,
      }
    } finally {
      await orThrow(session.close())
    }
  }
  yield { type: 'run-finished', seconds: (performance.now() - started) / 1000 }
}

/**
 * A recipe as an experiment: run by `sailwright run`, measured after each stage.
 *
 * An interrupted run that is started again goes on with the stage in which it stopped, from that stage's beginning.
 *
 * @category running
 */
export const experiment = (r: Recipe, evaluation: Evaluation): Experiment => ({
  name: r.name,
  seed: r.seed,
  model: r.model,
  families: evaluation.families,
  recipe: {
    start: r.start.describe,
    stages: r.stages.map(describeStage),
    evaluation: evaluation.describe,
  },
  run: (context) => defer(() => runRecipe(r, evaluation, context)),
})

/**
 * Several evaluations as one, one after the other.
 *
 * @throws RangeError (of `functions`) where two of them give one function name to different functions
 * @category evaluations
 */
export const allOf = (...evaluations: readonly Evaluation[]): Evaluation => ({
  describe: evaluations.map((e) => e.describe),
  families: evaluations.flatMap((e) => e.families),
  functions: (model, stage) => {
    const all = evaluations.flatMap((e) => Object.entries(e.functions(model, stage)))
    const twice = all.find(([name], i) => all.findIndex(([other]) => other === name) < i)
    if (twice !== undefined)
      throw new RangeError(
        `allOf: two evaluations of stage '${stage}' have a function '${twice[0]}'; measure one of them after another stage`,
      )
    return Object.fromEntries(all)
  },
  async *run(session, stage, context) {
    for (const e of evaluations) yield* e.run(session, stage, context)
  },
})
