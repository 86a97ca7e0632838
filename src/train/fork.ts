/**
 * A new run from an old one's checkpoint.
 *
 * What it takes: after a stage its weights; from inside a stage everything (weights, moments, the place in the data) where
 * the new run has that stage with the same settings and the same graph, and else its weights alone.
 *
 * @since 0.1.0
 */
import { copyFile, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { fingerprint, type Program, parametersOf, sizes } from '../dsl/index.ts'
import { openCheckpoint, readSafetensors, type SafetensorsError } from '../formats/index.ts'
import {
  differences,
  type EventOf,
  type Manifest,
  progressFile,
  progressFiles,
  type RecordedRun,
  readRun,
} from '../run/index.ts'
import { changedData, dataFiles } from '../run/internal.ts'
import { kindOf } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { earlierStart, frozenAtBeginning } from './earlier-start.ts'
import type { Experiment } from './experiment.ts'
import type { Stage } from './stage.ts'
import { orThrow } from './task.ts'
import {
  checkpointFolder,
  isWeightKey,
  overlaid,
  type StoredWeights,
  saveWeights,
  shapesOf,
  weightKeys,
  weightsFile,
} from './weights.ts'

/** Why a run cannot begin from a checkpoint. */
export class ForkError extends Error {
  /** `NoRun`, `NoCheckpoint`: there is no such thing; `OtherModel`: its weights are of another model; `NoStages`. */
  readonly tag: 'NoRun' | 'NoCheckpoint' | 'OtherModel' | 'NoStages'
  constructor(tag: ForkError['tag'], message: string) {
    super(message)
    this.name = 'ForkError'
    this.tag = tag
  }
}

/** Where a new run begins and with what: of plain data, for its manifest. */
export type Forked = NonNullable<Manifest['forked']>

/** A fork that can be carried out. */
export interface PlannedFork {
  readonly forked: Forked
  /** The manifest of the run that it forks from. */
  readonly manifest: Manifest
  /** The index of the new run's first stage. */
  readonly begins: number
  /** What the new run does, in words. */
  readonly told: string
  /** Puts the checkpoint into the new run's folder, and gives the event that the run begins with. Doing it twice is harmless. */
  readonly place: (pathOf: (...parts: readonly string[]) => string) => TE.TaskEither<Error, EventOf<'forked'>>
}

/** A checkpoint of the old run: after a stage, or inside of one. */
interface Point {
  readonly stage: string
  readonly step: number
  readonly inside: boolean
  readonly file: string
}

/** The folder of the weights that a fork began with, inside its run folder. */
const forkFolder = 'fork'

/** A word that says which run and where: `runs/a@sft`, `runs/a@400`, `runs/a`. */
export const forkWord = (
  word: string,
  isRun: (folder: string) => boolean,
): { readonly run: string; readonly at?: string } => {
  const cut = word.lastIndexOf('@')
  if (cut < 1 || isRun(word)) return { run: word }
  return { run: word.slice(0, cut), at: word.slice(cut + 1) }
}

/** Checkpoints of a run, and what is wrong with those that cannot be read. */
interface Points {
  readonly points: readonly Point[]
  readonly damaged: readonly string[]
}

/** Every checkpoint that there is, in the order in which the run came to them. */
const pointsOf = async ({ folder, events }: RecordedRun): Promise<Points> => {
  const stages = [...new Set(events.flatMap((e) => (e.type === 'stage-started' ? [e.stage] : [])))]
  const points: Point[] = []
  const damaged: string[] = []
  const unread = (e: SafetensorsError): void => {
    if (e.tag !== 'NotFound') damaged.push(e.message)
  }
  for (const stage of stages) {
    const at = join(folder, checkpointFolder(stage))
    const steps = events.findLast((e) => e.type === 'stage-started' && e.stage === stage)
    for (const file of progressFiles(join(at, progressFile))) {
      const read = await readSafetensors(file)()
      if (E.isLeft(read)) unread(read.left)
      const step = E.isRight(read) ? Number(read.right.metadata.step) : Number.NaN
      if (Number.isSafeInteger(step)) points.push({ stage, step, inside: true, file })
    }
    const file = join(at, weightsFile)
    const weights = await openCheckpoint(file)()
    if (E.isLeft(weights)) unread(weights.left)
    else if (steps?.type === 'stage-started') points.push({ stage, step: steps.steps, inside: false, file })
  }
  return { points, damaged }
}

const shownPoint = (p: Point): string =>
  p.inside ? `${p.step} (inside stage ${p.stage})` : `${p.stage} (its end, step ${p.step})`

/** The one that is meant: of a stage its latest, of a number the one after so many steps, of nothing the last. */
const pointAt = (
  run: string,
  { points: all, damaged }: Points,
  at: string | undefined,
  ended: boolean,
): Point => {
  const points = ended ? all.filter((p) => !p.inside) : all
  const there = all.length === 0 ? 'it has none' : `there is ${all.map(shownPoint).join(', ')}`
  const refuse = (why: string): never => {
    const broken = damaged.length === 0 ? '' : ` What cannot be read: ${damaged.join('; ')}.`
    throw new ForkError('NoCheckpoint', `${run} ${why}: ${there}.${broken}`)
  }
  if (at === undefined) return points.at(-1) ?? refuse('has no checkpoint to begin from')
  const ofStage = points.filter((p) => p.stage === at)
  if (ofStage.length > 0) return ofStage.at(-1)!
  if (ended) return refuse(`has no checkpoint of the end of stage ${at}`)
  const ofStep = /^\d+$/.test(at) ? points.filter((p) => p.step === Number(at)) : []
  if (ofStep.length > 1) return refuse(`has ${ofStep.length} checkpoints after ${at} steps; name the stage`)
  return ofStep[0] ?? refuse(`has no checkpoint '${at}'`)
}

/** The key with its numbers made alike: layers of a deeper model have the keys of another layer up to a number. */
const patternOf = (key: string): string => key.replace(/\d+/g, '#')

/**
 * Sees that weights are of the model that is to begin with them.
 *
 * @param same whether both runs say the same of their model: then a key that is missing was missing in the old run too
 */
const fits = (
  p: Program,
  stage: Stage,
  experiment: Experiment,
  there: ReadonlyMap<string, readonly number[]>,
  same: boolean,
): void => {
  const other = (key: string, what: string): never => {
    throw new ForkError(
      'OtherModel',
      `the checkpoint is of another model than ${experiment.model.name}: ${key} ${what}`,
    )
  }
  const wanted = weightKeys(p)
  for (const key of wanted) {
    const here = sizes(p.states.get(key)!.axes)
    const is = there.get(key)
    if (is !== undefined && is.join() !== here.join())
      other(key, `is [${is.join(', ')}] there and [${here.join(', ')}] here`)
    if (is === undefined && !same && stage.own?.has(key) !== true) other(key, 'is here and not there')
  }
  const keys = new Set([...parametersOf(experiment.model.graph()).keys(), ...wanted])
  const patterns = new Set([...keys].map(patternOf))
  for (const key of there.keys())
    if (!keys.has(key) && patterns.has(patternOf(key)) && isWeightKey(key))
      other(key, 'is there and not here')
}

const stagesIn = (m: Manifest): readonly { readonly name?: unknown }[] => {
  const stages = (m.recipe as { readonly stages?: unknown } | null)?.stages
  return Array.isArray(stages) ? stages : []
}

/** Why a stage is another than the old run's of the same name; undefined where it is the same. */
const otherStage = (there: Manifest, stage: Stage, recipe: unknown): string | undefined => {
  const then = stagesIn(there).find((s) => s?.name === stage.name)
  const [first, ...more] = differences(then, JSON.parse(JSON.stringify(stage.config)))
  if (first !== undefined)
    return `its settings are others (${first.path || 'all'}${more.length > 0 ? ` and ${more.length} more` : ''})`
  const [changed] = changedData(there.dataFiles, dataFiles(recipe), stage.config)
  if (changed !== undefined) return `its data have changed (${changed})`
  const graph = there.programs[stage.name]
  return graph !== undefined && graph !== fingerprint(stage.program({}).program)
    ? 'its graph is another'
    : undefined
}

/** Where the new run begins: the index of its first stage, and the stage that it goes on inside of. */
const beginningOf = (
  there: Manifest,
  point: Point,
  stages: readonly Stage[],
  recipe: unknown,
): { readonly begins: number; readonly everything: boolean; readonly why?: string } => {
  const index = stages.findIndex((s) => s.name === point.stage)
  if (index < 0) return { begins: 0, everything: false, why: `there is no stage ${point.stage} here` }
  if (point.inside) {
    const why = otherStage(there, stages[index]!, recipe)
    return why === undefined
      ? { begins: index, everything: true }
      : { begins: index, everything: false, why: `stage ${point.stage} begins anew, because ${why}` }
  }
  return index + 1 < stages.length
    ? { begins: index + 1, everything: false }
    : { begins: index, everything: false, why: `stage ${point.stage} is the last: it trains once more` }
}

/** The whole weights at a checkpoint. */
const weightsAt = async (point: Point, shown: string, run: RecordedRun): Promise<StoredWeights> => {
  const all = await orThrow(openCheckpoint(point.file))
  if (!point.inside) return all
  const own: StoredWeights = { ...all, keys: all.keys.filter(isWeightKey) }
  // what the stage has no place for lies where it began: in the end of the stage before it, or in what a fork began with
  const before = earlierStart(run.events).weights
  if (before === undefined) return own
  const others = await openCheckpoint(join(run.folder, before, weightsFile))()
  if (E.isRight(others)) return overlaid(own, others.right)
  throw new ForkError(
    'NoCheckpoint',
    `${shown} has no whole checkpoint inside stage ${point.stage}: the weights that this stage began with hold what it has no place for, and they cannot be read (${others.left.message})`,
  )
}

const copied = async (from: string, to: string): Promise<void> => {
  await mkdir(dirname(to), { recursive: true })
  const temporary = `${to}.${process.pid}.tmp`
  await copyFile(from, temporary)
  await rename(temporary, to)
}

/**
 * Plans a run from a checkpoint of another, and changes nothing yet. Of a recipe that has the checkpoint's stage, the stages
 * before it are left out: after a stage's end the next one begins, or the same once more where it is the last; inside a
 * stage that stage goes on with everything where it is the same, else it begins anew with the weights. A recipe without such
 * a stage begins at its beginning, with these weights in place of its own. What they lack begins as the recipe says.
 *
 * Fails with ForkError where there is no such run or checkpoint (it says which there are), the experiment names no stages,
 * or the weights are of another model (it names the first key that differs).
 *
 * @param run the old run's folder
 * @param at a stage, a number of steps, or undefined for the latest checkpoint
 * @param shown how messages and the manifest call the run
 * @param ended whether the checkpoint must be a stage's end: one inside of it will not do
 * @category running
 */
export const planFork = (
  run: string,
  at: string | undefined,
  experiment: Experiment,
  shown: string = run,
  ended = false,
): TE.TaskEither<Error, PlannedFork> =>
  TE.tryCatch(async () => {
    const { stages } = experiment
    if (stages === undefined || stages.length === 0)
      throw new ForkError(
        'NoStages',
        `experiment '${experiment.name}' names no stages (${kindOf(stages)}), so that nothing can begin from a checkpoint; make it with experiment(…)`,
      )
    const read = await readRun(run)()
    if (E.isLeft(read)) throw new ForkError('NoRun', read.left.message)
    const { manifest } = read.right
    const point = pointAt(shown, await pointsOf(read.right), at, ended)
    const { begins, everything, why } = beginningOf(manifest, point, stages, experiment.recipe)
    const weights = await weightsAt(point, shown, read.right)
    const stage = stages[begins]!
    const model = JSON.parse(JSON.stringify(experiment.model.config))
    const same = differences(manifest.model.config, model).length === 0
    fits(stage.program({}).program, stage, experiment, shapesOf(weights), same)
    const frozen = everything ? frozenAtBeginning(read.right.events, stage.name) : undefined
    const where = `${shown}, ${point.inside ? `step ${point.step} of` : 'the end of'} stage ${point.stage}`
    const forked: Forked = {
      ...{ run: shown, stage: point.stage, step: point.step },
      taken: everything ? 'everything' : 'weights',
    }
    return {
      forked,
      manifest,
      begins,
      told: `begins from ${where}: ${everything ? 'weights, moments and the place in the data' : 'its weights'}; ${everything ? 'goes on with' : 'first'} stage ${stage.name}${why === undefined ? '' : ` (${why})`}`,
      place: (pathOf) =>
        pipe(
          saveWeights(pathOf(forkFolder, weightsFile), weights, { format: 'pt', stage: point.stage }),
          TE.chain(() =>
            everything
              ? TE.tryCatch(
                  () => copied(point.file, pathOf(checkpointFolder(stage.name), progressFile)),
                  E.toError,
                )
              : TE.right(undefined),
          ),
          TE.map(() => ({
            ...{ type: 'forked' as const, run: shown, from: point.stage, step: point.step },
            ...{ taken: forked.taken, begins, path: forkFolder },
            ...present({ frozen }),
          })),
        ),
    }
  }, E.toError)
