/**
 * What an experiment file exports, and what it is given: the contract between an author and `sailwright run`.
 *
 * @since 0.1.0
 */
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Observable } from 'rxjs'
import type { RgbImage } from '../data/index.ts'
import type { Program } from '../dsl/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Model } from '../models/index.ts'
import type { EventOf, RunEvent } from '../run/index.ts'
import type { OwnData } from './own-data.ts'
import type { SettingReader } from './setting-reader.ts'
import type { Stage } from './stage.ts'

/** What the command line says to an experiment. */
export interface ExperimentOptions {
  /** `--quick`: the same line through everything, at most 90 seconds on two cores. */
  readonly quick: boolean
  /** `--seed`; default 0. */
  readonly seed: number
  /** `--set key=value`, for what a file wants to leave open. */
  readonly settings: Readonly<Record<string, string>>
  /** Reads the settings as numbers, whole numbers, words: a value of another kind is an error of the command line. */
  readonly setting: SettingReader
  /** `--data`: rows of the user's own, as a source. */
  readonly data: OwnData
}

/** Steps between checkpoints inside a stage, where neither the command line nor the experiment says otherwise. */
export const defaultCheckpointEvery = 200

/** What a running experiment works with. */
export interface RunContext {
  readonly engine: Engine
  /** Keeps an image for the report and gives its path inside the run folder. */
  readonly saveImage: (name: string, image: RgbImage) => TaskEither<Error, string>
  /** A path inside the run folder. */
  readonly pathOf: (...parts: readonly string[]) => string
  /** Events of an earlier, interrupted start of the same run; empty for a new one. */
  readonly earlier: readonly RunEvent[]
  /** Groups of rollouts that earlier starts have recorded of an episode of a stage; default: none. */
  readonly rollouts?: (stage: string, episode: number) => TaskEither<Error, readonly EventOf<'group'>[]>
  /** Puts the recorded groups of an episode aside, since they are drawn anew; default: nothing is put aside. */
  readonly setRolloutsAside?: (stage: string, episode: number) => TaskEither<Error, unknown>
  /** Makes one table of the groups of a stage; default: none is made. */
  readonly tableRollouts?: (stage: string) => TaskEither<Error, unknown>
  /** `--checkpoint-every`: steps between checkpoints inside a stage, 0 for none; goes before what the experiment says. */
  readonly checkpointEvery?: number
  /** `--until`: the stage after which a recipe ends; default: its last. */
  readonly until?: string
}

/** An experiment as a value. */
export interface Experiment {
  readonly name: string
  readonly seed: number
  /** The model that the report shows. */
  readonly model: Model
  /** Families in display order. */
  readonly families: readonly string[]
  /** Everything that determines the run, as plain JSON data; it goes to the manifest. */
  readonly recipe: unknown
  /** The program of each stage by name, built when asked for. */
  readonly programs?: () => ReadonlyMap<string, Program>
  /**
   * The same experiment with other weights for the rewards of its stages (`--reward`): a name is of every stage whose reward has
   * it, or of one as `stage/name`.
   *
   * Throws RecipeError where no stage has it, with what there is, or a weight cannot be.
   */
  readonly reweighted?: (weights: Readonly<Record<string, number>>) => Experiment
  /** Its stages in order, where it is a recipe's: what an export and a fork go by. */
  readonly stages?: readonly Stage[]
  /** Runs when subscribed to; unsubscribing stops after the step in progress. */
  readonly run: (context: RunContext) => Observable<RunEvent>
}

/** The default export of an experiment file: an experiment, or a function that makes one. */
export type ExperimentFile = Experiment | ((options: ExperimentOptions) => Experiment | Promise<Experiment>)
