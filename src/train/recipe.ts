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
import {
  hasProgress,
  loadProgress,
  progressFile,
  removeProgress,
  type StageProgress,
  saveProgress,
} from './checkpoint.ts'
import type { EventOf, RunEvent } from './events.ts'
import { defaultCheckpointEvery, type Experiment, type RunContext } from './experiment.ts'
import { orThrow, trainStage } from './run-stage.ts'
import { describeStage, type Stage, stageProgram } from './stage.ts'
import {
  checkpointFolder,
  loadWeights,
  readWeights,
  saveWeights,
  type Weights,
  weightsFile,
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

/** How a run is carried out; it does not change what comes out. */
export interface RunOptions {
  /**
   * Steps between checkpoints inside a stage; 0: there is one at the end of each stage alone; default:
   * {@link defaultCheckpointEvery}. `--checkpoint-every` goes before it.
   */
  readonly checkpointEvery?: number
}

/** The steps between checkpoints. @throws RangeError where they are no whole number from 0 */
const checkpointSteps = (name: string, every: number = defaultCheckpointEvery): number => {
  if (Number.isSafeInteger(every) && every >= 0) return every
  throw new RangeError(
    `recipe '${name}': checkpointEvery is ${every}; give a whole number of steps, or 0 for checkpoints at the end of each stage alone`,
  )
}

/**
 * What an earlier start of the run came to: how many stages it finished, the folder with the weights of the last of them,
 * and its last checkpoint since.
 */
const earlierStart = (events: readonly RunEvent[]) => {
  let finished = 0
  let weights: string | undefined
  let checkpoint: EventOf<'checkpointed'> | undefined
  for (const e of events) {
    if (e.type === 'checkpointed') checkpoint = e
    if (e.type === 'stage-finished') {
      finished = e.index + 1
      weights = checkpoint?.path
      checkpoint = undefined
    }
  }
  return { finished, weights, checkpoint }
}

async function* runRecipe(
  r: Recipe,
  evaluation: Evaluation,
  options: RunOptions,
  context: RunContext,
): AsyncGenerator<RunEvent> {
  const started = performance.now()
  const model = r.model.config
  const every = checkpointSteps(r.name, context.checkpointEvery ?? options.checkpointEvery)
  const earlier = earlierStart(context.earlier)
  let weights = await orThrow(
    earlier.weights === undefined
      ? r.start.weights
      : loadWeights(context.pathOf(earlier.weights, weightsFile)),
  )
  for (const [index, stage] of r.stages.entries()) {
    if (index < earlier.finished) {
      // a process that was killed right after the stage's end has left them
      await orThrow(removeProgress(context.pathOf(checkpointFolder(stage.name), progressFile)))
      continue
    }
    const program = stageProgram(model, stage, evaluation.functions(model, stage.name))
    const session = await orThrow(context.engine.load(program, { seed: r.seed }))
    const path = checkpointFolder(stage.name)
    const middle = context.pathOf(path, progressFile)
    const checkpointed = (step: number): EventOf<'checkpointed'> => ({
      type: 'checkpointed',
      stage: stage.name,
      step,
      path,
    })
    const save = async (at: StageProgress): Promise<EventOf<'checkpointed'>> => {
      await orThrow(saveProgress(middle, session, at))
      return checkpointed(at.step)
    }
    try {
      await orThrow(writeWeights(session, weights))
      const inside = earlier.checkpoint?.stage === stage.name && (await orThrow(hasProgress(middle)))
      const from = inside ? await orThrow(loadProgress(middle, session)) : undefined
      if (from?.instead !== undefined)
        yield {
          type: 'warned',
          message: `stage ${stage.name} goes on from step ${from.step}, the checkpoint before its latest, which cannot be used: ${from.instead}`,
        }
      const totals = yield* trainStage(
        session,
        model,
        stage,
        { index, of: r.stages.length },
        {
          ...(from === undefined ? {} : { from }),
          ...(every === 0 ? {} : { checkpoint: { every, save } }),
        },
      )
      const measured = performance.now()
      yield* evaluation.run(
        session,
        { name: stage.name, last: index === r.stages.length - 1 },
        { ...context, model },
      )
      const evaluateSeconds = (performance.now() - measured) / 1000
      weights = new Map([...weights, ...(await orThrow(readWeights(session)))])
      const metadata = { format: 'pt', stage: stage.name }
      await orThrow(saveWeights(context.pathOf(path, weightsFile), weights, metadata))
      yield checkpointed(stage.steps)
      yield {
        type: 'stage-finished',
        stage: stage.name,
        index,
        loss: totals.loss,
        samples: totals.samples,
        trainSeconds: totals.seconds,
        evaluateSeconds,
      }
      await orThrow(removeProgress(middle))
    } finally {
      await orThrow(session.close())
    }
  }
  yield { type: 'run-finished', seconds: (performance.now() - started) / 1000 }
}

/**
 * A recipe as an experiment: run by `sailwright run`, measured after each stage.
 *
 * An interrupted run that is started again goes on with the stage in which it stopped, from its last checkpoint there or
 * from its beginning, and ends with the weights of a run that was never interrupted, bit for bit.
 *
 * @throws RangeError where two stages have one name, or `checkpointEvery` is no whole number from 0
 * @category running
 */
export const experiment = (r: Recipe, evaluation: Evaluation, options: RunOptions = {}): Experiment => {
  const names = r.stages.map((s) => s.name)
  const twice = names.find((n, i) => names.indexOf(n) < i)
  if (twice !== undefined)
    throw new RangeError(
      `recipe '${r.name}': two stages are called '${twice}'; a stage's name is its checkpoint's, so give each its own`,
    )
  checkpointSteps(r.name, options.checkpointEvery)
  return {
    name: r.name,
    seed: r.seed,
    model: r.model,
    families: evaluation.families,
    recipe: {
      start: r.start.describe,
      stages: r.stages.map(describeStage),
      evaluation: evaluation.describe,
    },
    programs: () => new Map(r.stages.map((s) => [s.name, stageProgram(r.model.config, s)])),
    run: (context) => defer(() => runRecipe(r, evaluation, options, context)),
  }
}

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
