/**
 * A stage as a value: what the weights are before and after it, the program that it runs, and how it runs it. A supervised
 * stage is one kind; a user's own loop is another.
 *
 * @since 0.1.0
 */
import { defer, type Observable } from 'rxjs'
import type { Processor, RgbImage } from '../data/index.ts'
import type { FunctionSpec, Keys, Program } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { Model } from '../models/index.ts'
import type { EventOf, StageProgress } from '../run/index.ts'
import type { Frozen } from './frozen.ts'
import type { StoredWeights } from './weights.ts'

/** What a stage says while it runs. */
export type StageEvent =
  | EventOf<'stage-started'>
  | EventOf<'step'>
  | EventOf<'ada-lrs'>
  | EventOf<'curated'>
  | EventOf<'group'>
  | EventOf<'episode'>
  | EventOf<'rl-step'>
  | EventOf<'validated'>
  | EventOf<'warned'>
  | EventOf<'packed'>
  | EventOf<'expert-load'>
  | EventOf<'checkpointed'>

/** What a stage comes to. */
export interface StageTotals {
  /** Mean loss over the last tenth of the steps. */
  readonly loss: number
  readonly samples: number
  readonly seconds: number
}

/** Where a stage stands in its recipe. */
export interface Position {
  readonly index: number
  readonly of: number
}

/** What a stage runs in. */
export interface StageContext {
  /** Its program, loaded, with the weights that it begins from. */
  readonly session: Session
  readonly position: Position
  /** Numbers that the stage trains. */
  readonly trainable: number
  /** The run's seed, for what a stage draws itself; default 0. */
  readonly seed?: number
  /** Groups that earlier starts of the run have recorded of one of the stage's episodes; default: none. */
  readonly rollouts?: (episode: number) => Promise<readonly EventOf<'group'>[]>
  /** Puts an episode's recorded groups aside, since they are drawn anew; default: nothing is put aside. */
  readonly setRolloutsAside?: (episode: number) => Promise<unknown>
  /** Makes one table of the stage's recorded groups, when it has drawn all; default: none is made. */
  readonly tableRollouts?: () => Promise<unknown>
  /** Keeps an image and gives its path inside the run folder; default: none is kept. */
  readonly saveImage?: (name: string, image: RgbImage) => Promise<string>
  /** Where the session's state stands; default: at the beginning. */
  readonly from?: StageProgress
  /** After every so many steps, but the last, `save` keeps the session's state. */
  readonly checkpoint?: {
    readonly every: number
    readonly save: (at: StageProgress) => Promise<EventOf<'checkpointed'>>
  }
}

/** A stage's program, and the keys that it trains. */
export interface StageProgram {
  readonly program: Program
  readonly trained: readonly string[]
}

/** What becomes of a stage's weights at its end, where they are not handed on as they are. */
export interface StageEnding {
  /** The keys that are not handed on, such as adapters'. */
  readonly without: Keys
  /** Other whole weights that `finish` leaves in the folder, to be measured beside its own: `averaged` are their moving averages. */
  readonly beside?: readonly { readonly weights: string; readonly file: string }[]
  /** Leaves files in the folder of the stage's checkpoint, and gives the weights that are handed on, which are read by key. */
  readonly finish: (session: Session, weights: StoredWeights, folder: string) => Promise<StoredWeights>
}

/** The weights of a stage's reward. */
export interface RewardWeights {
  readonly weights: Readonly<Record<string, number>>
  /**
   * The same stage with other weights, by the names of `weights` or their ends.
   *
   * @throws RecipeError where one is not there, may be several, or cannot be
   */
  readonly reweighted: (weights: Readonly<Record<string, number>>) => Stage
}

/**
 * One stage. `From` and `To` name what the weights are before and after it, so that stages only chain in an order that
 * makes sense.
 */
export interface Stage<From extends string = string, To extends string = string> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** Everything that determines it, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  readonly model: Model
  /** What lays out its examples as tokens, where it reads any: its tokenizer is exported beside the weights. */
  readonly processor?: Processor
  readonly steps: number
  /** Steps between checkpoints inside it, where neither the command line nor the experiment says otherwise; default 200. */
  readonly checkpointEvery?: number
  /** Parameters that it has beside the model's own and that may begin fresh. */
  readonly own?: Keys
  /** Weights that its program reads and that never learn. */
  readonly frozen?: readonly Frozen[]
  readonly ending?: StageEnding
  /** Where it learns from a reward: its weights by name, and the same stage with others. */
  readonly reward?: RewardWeights
  /** Its program, with what evaluations call; built anew each time. */
  readonly program: (functions: Readonly<Record<string, FunctionSpec>>) => StageProgram
  /**
   * What can be known to fail before the first step, such as a first batch that does not fit its program. Rejects with the
   * error.
   */
  readonly preflight: (program: Program) => Promise<void>
  /**
   * Trains. Gives control back to the event loop after every step, so that the consumer can stop the iteration there; it
   * ends with the same bits whether it began at the beginning or went on from a checkpoint.
   */
  readonly run: (context: StageContext) => AsyncGenerator<StageEvent, StageTotals>
}

/**
 * A stage as an observable: trains when subscribed to, once a subscription. Unsubscribing stops after the step in progress
 * and closes the source; the session stays open, and its weights are those of the last step.
 *
 * @category running
 */
export const observeStage = (stage: Stage, context: StageContext): Observable<StageEvent> =>
  defer(() => stage.run(context))
