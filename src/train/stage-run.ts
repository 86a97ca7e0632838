/** One stage of a recipe's run: trained from where it stands, saved, measured. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { elements, type Program } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import { openCheckpoint } from '../formats/index.ts'
import {
  type EventOf,
  exists,
  hasProgress,
  loadProgress,
  progressFile,
  type RunEvent,
  removeProgress,
  type StageProgress,
  saveProgress,
} from '../run/index.ts'
import { kindOf } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { type EarlierStart, frozenAtBeginning, measuredOf, totalsOf } from './earlier-start.ts'
import type { Evaluation, MeasuredStage } from './evaluation.ts'
import type { RunContext } from './experiment.ts'
import { describeCheckpoint } from './export-hugging-face.ts'
import { exportedText } from './exported-model.ts'
import { openFrozen } from './opened-frozen.ts'
import type { Recipe } from './recipe.ts'
import { iterationSetting, RecipeError } from './setting-checks.ts'
import type { Stage, StageContext, StageProgram, StageTotals } from './stage.ts'
import { placementOf, putIn } from './stage-weights.ts'
import { orThrow } from './task.ts'
import {
  checkpointFolder,
  onlyKeys,
  overlaid,
  type StoredWeights,
  saveWeights,
  shapesOf,
  weightsFile,
  withOthers,
} from './weights.ts'

/** What a stage came to. @throws RecipeError where a stage of one's own gives nothing */
const checkedTotals = (stage: Stage, totals: StageTotals): StageTotals => {
  const odd = (['loss', 'samples', 'seconds'] as const).find((k) => typeof totals?.[k] !== 'number')
  if (odd === undefined) return totals
  throw new RecipeError(
    `stage '${stage.name}'`,
    'run',
    `it ended with ${kindOf(totals)} without ${odd}; its run ends with 'return { loss, samples, seconds }'`,
  )
}

const numbersIn = (p: Program, keys: readonly string[]): number =>
  keys.reduce((n, key) => n + elements(p.states.get(key)!.axes), 0)

/** A stage in the run of its recipe. */
interface StageRun {
  readonly recipe: Recipe
  readonly stage: Stage
  readonly index: number
  /** Its program, and the keys that it trains. */
  readonly made: StageProgram
  readonly evaluation: Evaluation
  readonly context: RunContext
  readonly earlier: EarlierStart
  /** Steps between checkpoints inside it; 0: there is none. */
  readonly checkpointEvery: number
}

/** Where a stage's files lie: its folder inside the run, the checkpoint in the middle of it, the weights at its end. */
const filesOf = ({ stage, context }: Pick<StageRun, 'stage' | 'context'>) => {
  const folder = checkpointFolder(stage.name)
  return { folder, middle: context.pathOf(folder, progressFile), whole: context.pathOf(folder, weightsFile) }
}

const checkpointed = (of: StageRun, step: number): EventOf<'checkpointed'> => ({
  ...{ type: 'checkpointed', stage: of.stage.name, step, path: filesOf(of).folder },
})

/** What a stage trains in. */
const contextOf = (of: StageRun, session: Session, from: StageProgress | undefined): StageContext => {
  const { recipe, stage, index, made, context, checkpointEvery: every } = of
  const { rollouts, setRolloutsAside, tableRollouts } = context
  const save = async (at: StageProgress): Promise<EventOf<'checkpointed'>> => {
    await orThrow(saveProgress(filesOf(of).middle, session, at))
    return checkpointed(of, at.step)
  }
  return {
    session,
    position: { index, of: recipe.stages.length },
    trainable: numbersIn(made.program, made.trained),
    seed: recipe.seed,
    ...(rollouts === undefined ? {} : { rollouts: (episode) => orThrow(rollouts(stage.name, episode)) }),
    ...(setRolloutsAside === undefined
      ? {}
      : { setRolloutsAside: (episode) => orThrow(setRolloutsAside(stage.name, episode)) }),
    ...(tableRollouts === undefined ? {} : { tableRollouts: () => orThrow(tableRollouts(stage.name)) }),
    saveImage: (name, image) => orThrow(context.saveImage(name, image)),
    ...present({ from }),
    ...(every === 0 ? {} : { checkpoint: { every, save } }),
  }
}

/** Saves what a stage hands on, of its own weights and others that were there before it. */
const handOn = async (of: StageRun, session: Session, before: StoredWeights): Promise<void> => {
  const { recipe, stage, made, context } = of
  const { folder, whole } = filesOf(of)
  const ended = withOthers(session, before)
  const handedOn = await stage.ending?.finish(session, ended, context.pathOf(folder))
  // before the weights, whose file says that the stage has ended
  const text = stage.processor === undefined ? undefined : exportedText(stage.processor)
  await orThrow(describeCheckpoint(context.pathOf(folder), stage.model, text))
  await orThrow(saveWeights(whole, handedOn ?? ended, { format: 'pt', stage: stage.name }))
  if (stage.ending === undefined) return
  // what is measured is what is handed on
  const saved = await orThrow(openCheckpoint(whole))
  await putIn(session, saved, placementOf(recipe.start, stage, made.program, shapesOf(saved)).taken)
}

/** Trains a stage, from its beginning or from the checkpoint inside it, and saves what it hands on. */
async function* trained(
  of: StageRun,
  session: Session,
  before: StoredWeights,
  inside: boolean,
): AsyncGenerator<RunEvent, StageTotals> {
  const { stage } = of
  const from = inside ? await orThrow(loadProgress(filesOf(of).middle, session)) : undefined
  if (from?.instead !== undefined)
    yield {
      type: 'warned',
      message: `stage ${stage.name} goes on from step ${from.step}, the checkpoint before its latest, which cannot be used: ${from.instead}`,
    }
  const steps = stage.run(contextOf(of, session, from))
  const totals = checkedTotals(stage, yield* iterationSetting(`stage '${stage.name}'`, 'run', steps))
  // saved before it is measured: what measuring costs, training need not be paid for twice
  await handOn(of, session, before)
  const { loss, samples, seconds } = totals
  yield { ...checkpointed(of, stage.steps), totals: { loss, samples, seconds } }
  return totals
}

/** Measures the weights that a stage has ended with, and others that it left beside them; not what was measured before. */
async function* measured(
  { recipe, stage, index, made, evaluation, context }: StageRun,
  session: Session,
  wasTrained: boolean,
): AsyncGenerator<RunEvent> {
  const last = index === recipe.stages.length - 1
  const done = (weights?: string): ReadonlySet<string> =>
    wasTrained ? measuredOf(context.earlier, stage.name, weights) : new Set()
  const measure = (about: Pick<MeasuredStage, 'done' | 'weights'>) =>
    iterationSetting(
      `recipe '${recipe.name}', evaluation`,
      'run',
      evaluation.run(session, { name: stage.name, last, ...about }, context),
    )
  yield* measure({ done: done() })
  for (const { weights, file } of stage.ending?.beside ?? []) {
    const others = await orThrow(openCheckpoint(context.pathOf(checkpointFolder(stage.name), file)))
    await putIn(session, others, placementOf(recipe.start, stage, made.program, shapesOf(others)).taken)
    for await (const e of measure({ done: done(weights), weights }))
      if (e.type !== 'predicted') yield { ...e, weights }
  }
}

/** Sees that frozen weights are those that the stage began with. @throws RecipeError */
const frozenAsBefore = ({ stage, context }: StageRun, checksum: string | undefined): void => {
  const begun = frozenAtBeginning(context.earlier, stage.name)
  if (begun === undefined || begun === checksum) return
  throw new RecipeError(
    `stage '${stage.name}'`,
    'objective.frozen',
    `the weights that it reads are no longer those that it began with (${(stage.frozen ?? []).map((f) => `'${f.name}'`).join(', ')}); give those, or begin a new run`,
  )
}

/** The weights that an earlier start has left. Throws with what to do where they are gone or damaged. */
export const leftBehind = (file: string): Promise<StoredWeights> =>
  orThrow(
    pipe(
      openCheckpoint(file),
      TE.mapLeft(
        (e) =>
          new Error(
            `the weights that an earlier start left cannot be read (${e.message}); put the file back, or begin a new run in another folder (--out)`,
            { cause: e },
          ),
      ),
    ),
  )

/** Says which frozen weights nothing reads: a graph was not put through them. */
const unreadFrozen = ({ stage, made }: StageRun): readonly RunEvent[] =>
  (stage.frozen ?? [])
    .filter(({ prefix }) => ![...made.program.states.keys()].some((key) => key.startsWith(prefix)))
    .map(({ name }) => ({
      type: 'warned',
      message: `stage ${stage.name}: nothing reads the frozen weights '${name}'; give the loss what their within([…]) gives`,
    }))

/** Takes the checkpoint in the middle of a stage away, where there is one. */
export const withoutMiddle = (of: Pick<StageRun, 'stage' | 'context'>): Promise<void> =>
  orThrow(removeProgress(filesOf(of).middle))

/**
 * Runs a stage from where an earlier start has left it.
 *
 * @param handed the weights that it begins from
 * @returns those that it hands on: the file that it wrote, so that no second copy of them is in memory
 */
export async function* runStage(
  of: StageRun,
  handed: StoredWeights,
): AsyncGenerator<RunEvent, StoredWeights> {
  const { recipe, stage, index, made, context, earlier } = of
  const { middle, whole } = filesOf(of)
  const there = earlier.checkpoint?.stage === stage.name ? earlier.checkpoint : undefined
  const isTrained = there?.step === stage.steps && (await orThrow(exists(whole)))
  const inside = !isTrained && there !== undefined && (await orThrow(hasProgress(middle)))
  const weights = isTrained ? await leftBehind(whole) : handed
  const { taken, fresh, unused } = placementOf(recipe.start, stage, made.program, shapesOf(weights))
  const frozen = await openFrozen(stage, made.program)
  const checksum = await frozen?.checksum()
  if (inside || isTrained) frozenAsBefore(of, checksum)
  // a checkpoint in the middle of a stage has all states that may change itself, but not in 16 bits
  const keys = inside && context.engine.weights !== 'stored' ? [] : taken
  const own = onlyKeys(weights, keys)
  const values = frozen === undefined ? own : overlaid(frozen, own)
  const session = await orThrow(context.engine.load(made.program, { seed: recipe.seed, values }))
  try {
    if (!isTrained && !inside) {
      yield {
        ...{ type: 'weights', stage: stage.name },
        ...{ taken: taken.length, fresh: [...fresh], unused: [...unused] },
        ...present({ frozen: checksum }),
      }
      yield* unreadFrozen(of)
    }
    // where it is trained, only what was not measured yet is left to do
    const totals = isTrained
      ? (there.totals ?? totalsOf(context.earlier, stage))
      : yield* trained(of, session, weights, inside)
    await withoutMiddle(of)
    const begun = performance.now()
    yield* measured(of, session, isTrained)
    yield {
      ...{ type: 'stage-finished', stage: stage.name, index, loss: totals.loss, samples: totals.samples },
      ...{ trainSeconds: totals.seconds, evaluateSeconds: (performance.now() - begun) / 1000 },
    }
  } finally {
    await orThrow(session.close())
  }
  return await orThrow(openCheckpoint(whole))
}
