/**
 * A recipe: stages one after the other, from given weights. What one stage hands to the next is in its type.
 *
 * @since 0.1.0
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { defer } from 'rxjs'
import { anyOf, elements, everyKey, type Keys, type Program, sizes } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import { openCheckpoint } from '../formats/index.ts'
import type { Model } from '../models/index.ts'
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
  withoutRepeats,
} from '../run/index.ts'
import { type Evaluation, type MeasuredStage, unmeasured } from './evaluation.ts'
import { sharesEvenly } from './even-rows.ts'
import { defaultCheckpointEvery, type Experiment, type RunContext } from './experiment.ts'
import { describeCheckpoint } from './export-hugging-face.ts'
import { exportedText } from './exported-model.ts'
import { overlaid } from './fork.ts'
import {
  folderSetting,
  iterationSetting,
  jsonSetting,
  kindOf,
  onlySettings,
  RecipeError,
  textSetting,
  valueSetting,
  wholeSetting,
} from './recipe-error.ts'
import { withRewardWeights } from './reward-weights.ts'
import type { Stage, StageProgram, StageTotals } from './stage.ts'
import { orThrow } from './task.ts'
import {
  checkpointFolder,
  inGroups,
  inMemory,
  type Placement,
  placeWeights,
  type StoredWeights,
  saveWeights,
  shapesOf,
  type Weights,
  weightKeys,
  weightsFile,
  withOthers,
} from './weights.ts'

/** Weights to begin from. */
export interface Start {
  /** What they are, as plain JSON data. */
  readonly config: unknown
  /**
   * In memory, or somewhere else by key, such as `openCheckpoint(folder)` or the `source` of `pretrained(folder)`: those are
   * read one by one, straight into the session, and are never all in memory beside it.
   */
  readonly weights: TE.TaskEither<Error, Weights | StoredWeights> | StoredWeights
  /** Keys that the weights may lack: those begin as their initialisers say. Default: none. */
  readonly fresh?: Keys
}

/** Begins with no weights at all: every key as its initialiser says. @category starts */
export const fromScratch: Start = { config: 'fresh', weights: TE.right(new Map()), fresh: everyKey }

/** Stages from weights that are `Start` to weights that are `Now`. */
export interface Recipe<Now extends string = string> {
  readonly name: string
  readonly seed: number
  /** The model that reports show; each stage's objective closes over its own. */
  readonly model: Model
  readonly start: Start
  readonly stages: readonly Stage[]
  readonly now: Now
}

const isStored = (x: unknown): x is StoredWeights =>
  typeof x === 'object' &&
  x !== null &&
  ['read', 'shape'].every((k) => typeof (x as Record<string, unknown>)[k] === 'function')

/** The starting weights; of those that are somewhere else, nothing is read yet. @throws RecipeError where they are none */
const startingWeights = async ({ name, start: { weights } }: Recipe): Promise<StoredWeights> => {
  const refused = (what: string): RecipeError => new RecipeError(`recipe '${name}'`, 'start.weights', what)
  const taken = async (task: Exclude<typeof weights, StoredWeights>): Promise<unknown> => {
    const made = await task()
    if (made?._tag !== 'Left' && made?._tag !== 'Right')
      throw refused(`its task gives ${kindOf(made)}; it gives an Either, such as TE.right(weights) does`)
    return orThrow(TE.fromEither(made))
  }
  const given = typeof weights === 'function' ? await taken(weights) : weights
  if (given instanceof Map) return inMemory(given)
  if (isStored(given)) return given
  throw refused(`it gives ${kindOf(given)}; give a Map by key, or a source with keys, shape and read`)
}

/**
 * Begins a recipe.
 *
 * @param now what the starting weights are: the first stage's `from`
 * @throws RecipeError where a setting is none
 * @category constructors
 */
export const begin = <const Now extends string>(r: Omit<Recipe<Now>, 'stages'>): Recipe<Now> => {
  if (typeof r !== 'object' || r === null)
    throw new RecipeError(
      'begin',
      'recipe',
      `it is ${kindOf(r)}; give a record with name, seed, model, start`,
    )
  const where = `recipe '${textSetting('recipe', 'name', r.name)}'`
  wholeSetting(where, 'seed', r.seed, 0)
  textSetting(where, 'now', r.now)
  valueSetting(where, 'model', r.model, ['graph'], 'a model, such as nanoModel')
  if (typeof r.start?.weights !== 'function' && !isStored(r.start?.weights))
    throw new RecipeError(
      where,
      'start.weights',
      'it is no task of weights and no source of them; give fromScratch, or weights such as openCheckpoint(folder), not called and not awaited',
    )
  if (r.start.config === undefined)
    throw new RecipeError(
      where,
      'start.config',
      'it is undefined; say as plain JSON data which weights they are',
    )
  if (r.start.fresh !== undefined)
    valueSetting(
      where,
      'start.fresh',
      r.start.fresh,
      ['has'],
      "a part of the model, or keys('head', 'head.**')",
    )
  // another recipe may be begun anew: its stages are left out
  onlySettings(where, r, ['name', 'seed', 'model', 'start', 'now', 'stages'])
  onlySettings(`${where}, start`, r.start, ['config', 'weights', 'fresh'])
  return { ...r, stages: [] }
}

/**
 * Appends a stage, data-last for `pipe`. A stage whose `from` is not what the recipe has arrived at does not compile, and
 * is refused where a file runs without having been type-checked.
 *
 * @throws RecipeError where it is no stage, or begins from other weights
 * @category constructors
 */
export const next =
  <From extends string, const To extends string>(stage: Stage<From, To>) =>
  (r: Recipe<From>): Recipe<To> => {
    const where = `recipe '${r.name}'`
    const setting = `stages[${r.stages.length}]`
    valueSetting(where, setting, stage, ['program', 'preflight', 'run'], 'a stage, such as supervised({ … })')
    const of = `stage '${folderSetting(where, `${setting}.name`, stage.name)}'`
    textSetting(of, 'to', stage.to)
    wholeSetting(of, 'steps', stage.steps, 1)
    if (stage.from !== r.now)
      throw new RecipeError(
        of,
        'from',
        `it begins from weights '${stage.from}', and the recipe has arrived at '${r.now}'; put the stages in the order of what they hand over`,
      )
    return { ...r, stages: [...r.stages, stage], now: stage.to }
  }

/** How a run is carried out; it does not change what comes out. */
export interface RunOptions {
  /**
   * Steps between checkpoints inside a stage; 0: there is one at the end of each stage alone; default:
   * what a stage says, else {@link defaultCheckpointEvery}. `--checkpoint-every` goes before it.
   */
  readonly checkpointEvery?: number
}

/**
 * What an earlier start of the run came to: how many stages it finished, the folder with the weights of the last of them,
 * and its last checkpoint since. Where another run's checkpoint stands for that folder, it is forked.
 */
const earlierStart = (events: readonly RunEvent[]) => {
  let finished = 0
  let weights: string | undefined
  let checkpoint: EventOf<'checkpointed'> | undefined
  let forked = false
  for (const e of events) {
    if (e.type === 'forked') {
      forked = true
      finished = e.begins
      weights = e.path
      const path = checkpointFolder(e.from)
      if (e.taken === 'everything') checkpoint = { type: 'checkpointed', stage: e.from, step: e.step, path }
    }
    if (e.type === 'checkpointed') checkpoint = e
    if (e.type === 'stage-finished') {
      finished = e.index + 1
      weights = checkpoint?.path
      checkpoint = undefined
      forked = false
    }
  }
  return { finished, weights, checkpoint, forked }
}

/** A stage's totals by its steps, where an earlier start took them. */
const totalsOf = (events: readonly RunEvent[], stage: Stage): StageTotals => {
  const own = withoutRepeats(events).flatMap((e) => (e.type === 'step' && e.stage === stage.name ? [e] : []))
  const tail = own.slice(-Math.max(1, Math.round(stage.steps / 10))).filter((e) => Number.isFinite(e.loss))
  const last = own.at(-1)
  return {
    loss: tail.reduce((sum, e) => sum + e.loss, 0) / tail.length,
    samples: last?.samples ?? 0,
    seconds: last?.seconds ?? 0,
  }
}

/** The families that an earlier start measured of a stage's last weights, or of others beside them. */
const measuredOf = (events: readonly RunEvent[], stage: string, weights?: string): ReadonlySet<string> =>
  new Set(
    withoutRepeats(events).flatMap((e) =>
      (e.type === 'evaluated' || e.type === 'measured') && e.stage === stage && e.weights === weights
        ? [e.family]
        : [],
    ),
  )

/** Puts weights into a session, some at a time. */
const putIn = async (session: Session, weights: StoredWeights, keys: readonly string[]): Promise<void> => {
  for (const group of inGroups(session.program, keys)) {
    const values = new Map<string, TensorValue>()
    for (const key of group) values.set(key, await orThrow(weights.read(key)))
    await orThrow(session.write(values))
  }
}

/** A stage's program, of which the keys that it says to train are states. @throws RecipeError */
const programOf = (stage: Stage, evaluation: Evaluation): StageProgram => {
  const made = stage.program(evaluation.functions(stage.name))
  const where = `stage '${stage.name}'`
  if (!(made?.program?.states instanceof Map) || !Array.isArray(made.trained))
    throw new RecipeError(where, 'program', 'it gives no program and no list of trained keys')
  const strange = made.trained.find((key) => !made.program.states.has(key))
  if (strange !== undefined)
    throw new RecipeError(where, 'program', `it says to train '${strange}', which is no state of its program`)
  return made
}

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

const freshOf = (r: Recipe, stage: Stage): Keys =>
  anyOf([
    ...(r.start.fresh === undefined ? [] : [r.start.fresh]),
    ...(stage.own === undefined ? [] : [stage.own]),
  ])

const placed = (
  r: Recipe,
  stage: Stage,
  p: Program,
  there: ReadonlyMap<string, readonly number[]>,
): Placement => {
  const placement = placeWeights(p, there, freshOf(r, stage))
  if (placement._tag === 'Left') throw placement.left
  return placement.right
}

/** Whether programs have a weight that is not there. */
const lacking = (programs: readonly StageProgram[], { keys }: StoredWeights): boolean => {
  const there = new Set(keys)
  return programs.some(({ program }) => weightKeys(program).some((key) => !there.has(key)))
}

/** Sees that starting weights are of some use: where all keys may begin fresh, none need be missing. @throws RecipeError */
const someFit = (r: Recipe, programs: readonly StageProgram[], { keys: there }: StoredWeights): void => {
  const wanted = programs.map((p) => weightKeys(p.program))
  const read = new Set(wanted.flat())
  if (there.length === 0 || there.some((key) => read.has(key))) return
  throw new RecipeError(
    `recipe '${r.name}'`,
    'start.weights',
    `none of the ${there.length} keys is one that a stage reads: there is ${there.slice(0, 2).join(', ')}, and stage '${r.stages[0]!.name}' reads ${wanted[0]!.slice(0, 2).join(', ')}; are the keys named otherwise?`,
  )
}

/**
 * Everything that can be known to fail before the first step: each stage's graph, the weights that it would find, its first
 * batch. Of stages that this start does not come to, nothing is asked.
 */
const preflight = async (
  r: Recipe,
  programs: readonly StageProgram[],
  [from, to]: readonly [first: number, end: number],
  begun: string | undefined,
  weights: StoredWeights,
  devices: number,
): Promise<void> => {
  const there = new Map(shapesOf(weights))
  for (const [index, stage] of r.stages.entries()) {
    if (index < from || index >= to) continue
    const { program } = programs[index]!
    placed(r, stage, program, there)
    if (devices > 1) sharesEvenly(stage.name, program, devices)
    for (const key of weightKeys(program))
      if (stage.ending?.without.has(key) !== true) there.set(key, sizes(program.states.get(key)!.axes))
    // the stage that an earlier start was in has read its first batch then
    if (stage.name !== begun) await stage.preflight(program)
  }
}

/** How many stages there are up to the one after which a run is to end, that one included. @throws RecipeError */
const endOf = (r: Recipe, until: string | undefined): number => {
  const index = until === undefined ? r.stages.length - 1 : r.stages.findIndex((s) => s.name === until)
  if (index >= 0) return index + 1
  throw new RecipeError(
    `recipe '${r.name}'`,
    'until',
    `there is no stage '${until}'; the stages are ${r.stages.map((s) => s.name).join(', ')}`,
  )
}

async function* runRecipe(
  r: Recipe,
  evaluation: Evaluation,
  given: number | undefined,
  context: RunContext,
): AsyncGenerator<RunEvent> {
  const started = performance.now()
  const earlier = earlierStart(context.earlier)
  const to = endOf(r, context.until)
  const programs = r.stages.map((stage) => programOf(stage, evaluation))
  // what a stage hands on is the file that it wrote: no second copy of the weights is in memory
  let weights =
    earlier.weights === undefined
      ? await startingWeights(r)
      : await orThrow(openCheckpoint(context.pathOf(earlier.weights, weightsFile)))
  if (earlier.forked && lacking(programs.slice(earlier.finished, to), weights))
    weights = overlaid(weights, await startingWeights(r))
  await preflight(
    r,
    programs,
    [earlier.finished, to],
    earlier.checkpoint?.stage,
    weights,
    context.engine.devices ?? 1,
  )
  if (earlier.weights === undefined) someFit(r, programs, weights)
  if (earlier.finished < to) await evaluation.preflight?.()
  for (const [index, stage] of r.stages.slice(0, to).entries()) {
    if (index < earlier.finished) {
      // a process that was killed right after the stage's end has left them
      await orThrow(removeProgress(context.pathOf(checkpointFolder(stage.name), progressFile)))
      continue
    }
    const { program, trained } = programs[index]!
    const path = checkpointFolder(stage.name)
    const [middle, whole] = [context.pathOf(path, progressFile), context.pathOf(path, weightsFile)]
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
    const every = given ?? stage.checkpointEvery ?? defaultCheckpointEvery
    const there = earlier.checkpoint?.stage === stage.name ? earlier.checkpoint : undefined
    const isTrained = there?.step === stage.steps && (await orThrow(exists(whole)))
    const inside = !isTrained && there !== undefined && (await orThrow(hasProgress(middle)))
    if (isTrained) weights = await orThrow(openCheckpoint(whole))
    const { taken, fresh, unused } = placed(r, stage, program, shapesOf(weights))
    // a checkpoint in the middle of a stage has all states itself, but not in 16 bits
    const { read, bfloat16 } = weights
    const keys = inside && context.engine.weights !== 'stored' ? [] : taken
    const values = { keys, read, ...(bfloat16 === undefined ? {} : { bfloat16 }) }
    const session = await orThrow(context.engine.load(program, { seed: r.seed, values }))
    try {
      let totals: StageTotals
      if (isTrained) {
        // only what was not measured yet is left to do
        totals = totalsOf(context.earlier, stage)
      } else {
        if (!inside)
          yield {
            type: 'weights',
            stage: stage.name,
            taken: taken.length,
            fresh: [...fresh],
            unused: [...unused],
          }
        const from = inside ? await orThrow(loadProgress(middle, session)) : undefined
        if (from?.instead !== undefined)
          yield {
            type: 'warned',
            message: `stage ${stage.name} goes on from step ${from.step}, the checkpoint before its latest, which cannot be used: ${from.instead}`,
          }
        const steps = stage.run({
          session,
          position: { index, of: r.stages.length },
          trainable: numbersIn(program, trained),
          seed: r.seed,
          ...(context.rollouts === undefined
            ? {}
            : { rollouts: (episode) => orThrow(context.rollouts!(stage.name, episode)) }),
          ...(context.setRolloutsAside === undefined
            ? {}
            : { setRolloutsAside: (episode) => orThrow(context.setRolloutsAside!(stage.name, episode)) }),
          ...(context.tableRollouts === undefined
            ? {}
            : { tableRollouts: () => orThrow(context.tableRollouts!(stage.name)) }),
          saveImage: (name, image) => orThrow(context.saveImage(name, image)),
          ...(from === undefined ? {} : { from }),
          ...(every === 0 ? {} : { checkpoint: { every, save } }),
        })
        const given = yield* iterationSetting(`stage '${stage.name}'`, 'run', steps)
        totals = checkedTotals(stage, given)
        // saved before it is measured: what measuring costs, training need not be paid for twice
        const about = { format: 'pt', stage: stage.name }
        const ended = withOthers(session, weights)
        const handedOn = await stage.ending?.finish(session, ended, context.pathOf(path))
        // before the weights, whose file says that the stage has ended
        const text = stage.processor === undefined ? undefined : exportedText(stage.processor)
        await orThrow(describeCheckpoint(context.pathOf(path), stage.model, text))
        await orThrow(saveWeights(whole, handedOn ?? ended, about))
        weights = await orThrow(openCheckpoint(whole))
        if (stage.ending !== undefined)
          // what is measured is what is handed on
          await putIn(session, weights, placed(r, stage, program, shapesOf(weights)).taken)
        yield checkpointed(stage.steps)
      }
      await orThrow(removeProgress(middle))
      const measured = performance.now()
      const done = isTrained ? measuredOf(context.earlier, stage.name) : new Set<string>()
      const last = index === r.stages.length - 1
      const measure = (about: Pick<MeasuredStage, 'done' | 'weights'>) =>
        iterationSetting(
          `recipe '${r.name}', evaluation`,
          'run',
          evaluation.run(session, { name: stage.name, last, ...about }, context),
        )
      yield* measure({ done })
      for (const { weights: name, file } of stage.ending?.beside ?? []) {
        const others = await orThrow(openCheckpoint(context.pathOf(path, file)))
        await putIn(session, others, placed(r, stage, program, shapesOf(others)).taken)
        const before = isTrained ? measuredOf(context.earlier, stage.name, name) : new Set<string>()
        for await (const e of measure({ done: before, weights: name }))
          if (e.type !== 'predicted') yield { ...e, weights: name }
      }
      yield {
        ...{ type: 'stage-finished', stage: stage.name, index, loss: totals.loss, samples: totals.samples },
        ...{ trainSeconds: totals.seconds, evaluateSeconds: (performance.now() - measured) / 1000 },
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
 * Settings are checked here; graphs, starting weights and the first batch of every source before the first step. An
 * interrupted run that is started again goes on with the stage in which it stopped, from its last checkpoint there or from
 * its beginning, and ends with the weights of a run that was never interrupted, bit for bit. Weights are saved before they
 * are measured: where measuring failed, it alone is done again.
 *
 * @throws RecipeError where there is no stage, two stages have one name, an evaluation is of a stage that there is not, what determines the
 *   run is no plain data, or `checkpointEvery` is no whole number from 0
 * @category running
 */
export const experiment = (r: Recipe, evaluation: Evaluation, options: RunOptions = {}): Experiment => {
  if (!Array.isArray(r?.stages))
    throw new RecipeError('experiment', 'recipe', `it is ${kindOf(r)}; give what begin(…) and next(…) make`)
  const where = `recipe '${r.name}'`
  if (r.stages.length === 0) throw new RecipeError(where, 'stages', 'there is none; append one with next(…)')
  onlySettings(`${where}, options`, options, ['checkpointEvery'])
  valueSetting(
    where,
    'evaluation',
    evaluation,
    ['functions', 'run'],
    'an evaluation, such as exactAnswers({ … }), or unmeasured',
  )
  if (evaluation.config === undefined)
    throw new RecipeError(
      where,
      'evaluation.config',
      'it is undefined; say as plain JSON data what determines it',
    )
  if (!Array.isArray(evaluation.families))
    throw new RecipeError(
      where,
      'evaluation.families',
      `it is ${kindOf(evaluation.families)}; give a list of names`,
    )
  const names = r.stages.map((s) => s.name)
  // a file system may take A and a for one name
  const folders = names.map((n) => n.normalize('NFC').toLowerCase())
  const twice = names.find((_, i) => folders.indexOf(folders[i]!) < i)
  if (twice !== undefined)
    throw new RecipeError(
      where,
      'stages',
      `two of them are called '${twice}', up to upper and lower case; a stage's name is its checkpoint's, so give each its own`,
    )
  const stray = (evaluation.stages ?? []).find((n) => !names.includes(n))
  if (stray !== undefined)
    throw new RecipeError(
      where,
      'evaluation',
      `it is of a stage '${stray}', which there is not; the stages are ${names.join(', ') || 'none'}`,
    )
  const every = (n: number | undefined): number | undefined =>
    n === undefined ? undefined : wholeSetting(where, 'checkpointEvery', n, 0)
  every(options.checkpointEvery)
  const config = {
    start: r.start.config,
    stages: r.stages.map((s) => s.config),
    evaluation: evaluation.config,
  }
  jsonSetting(where, 'config', config)
  return {
    name: r.name,
    seed: r.seed,
    model: r.model,
    families: evaluation.families,
    recipe: config,
    stages: r.stages,
    reweighted: (weights) => experiment(withRewardWeights(r, weights), evaluation, options),
    programs: () => new Map(r.stages.map((s) => [s.name, programOf(s, unmeasured).program])),
    run: (context) =>
      defer(() =>
        runRecipe(r, evaluation, every(context.checkpointEvery ?? options.checkpointEvery), context),
      ),
  }
}
