/**
 * Rewrites of a stage's loss before its gradient is taken, as values: adapters are one.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Keys, Tensor } from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import {
  adaptedWeight,
  type Floats,
  isFrozenKey,
  type LoraSettings,
  lora,
  loraInWeights,
  loraKeys,
  loraPairs,
  mergeLora,
  saveAdapter,
} from '../optim/index.ts'
import { onlySettings } from '../settings/index.ts'
import { valueSetting } from './setting-checks.ts'
import type { StoredWeights } from './weights.ts'

/** A rewrite of a loss's graph. */
export interface GraphTransform {
  /** What it does, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** The roots of the loss, rewritten, in the same order. Throws where they do not fit. */
  readonly apply: (roots: readonly Tensor[]) => readonly Tensor[]
  /** Where it adds parameters: what they are and what becomes of them. */
  readonly adds?: AddedParameters
}

/** Parameters that live as long as their stage. They begin fresh where the weights lack them. */
export interface AddedParameters {
  readonly keys: Keys
  /**
   * Graphs that take no gradient, computing with them whatever their shape. `leaves`: their states by key, as the rewritten loss
   * has them.
   */
  readonly within: (roots: readonly Tensor[], leaves: ReadonlyMap<string, Tensor>) => readonly Tensor[]
  /** The weights without them that compute the same, up to rounding. */
  readonly absorb: (weights: StoredWeights) => StoredWeights
  /** Keeps them in the folder of the stage's checkpoint, at its end. */
  readonly save: (folder: string, weights: StoredWeights) => TE.TaskEither<Error, void>
}

/** Settings of {@link withLora}. */
export interface WithLoraSettings extends Omit<LoraSettings, 'on'> {
  /** Which weights: matrices in products, or tables of an embedding. */
  readonly on: Keys
}

type Tensors = ReadonlyMap<string, Floats>

/** The folder of a stage's adapters inside its checkpoint's. */
export const adapterFolder = 'adapter'

/**
 * A stage with LoRA ({@link lora}): give it `train: [loraKeys]`, and the adapters alone learn; with a part of the model
 * beside them, that part learns as well.
 *
 * At the stage's end the adapters are saved as `checkpoints/<stage>/adapter/`, which PEFT reads over the weights that the
 * stage began with, and are merged into the weights that it hands on, so that the next stage and every evaluation see the
 * plain model.
 *
 * @example
 * import { keys } from 'sailwright/dsl'
 *
 * const projections = keys('projections', 'language_model.**_proj.weight')
 * const transforms = [withLora({ rank: 8, alpha: 16, on: projections })]
 *
 * @throws LoraError where rank or alpha is out of its range, RecipeError where a setting is none
 * @category transforms
 */
export const withLora = (settings: WithLoraSettings): GraphTransform => {
  onlySettings('withLora', settings, ['rank', 'alpha', 'on'])
  valueSetting('withLora', 'on', settings.on, ['has'], "keys, such as keys('projections', '**_proj.weight')")
  const { rank, alpha, on } = settings
  const adapts = (key: string): boolean => !loraKeys.has(key) && !isFrozenKey(key) && on.has(key)
  const own: Keys = { name: loraKeys.name, has: (key) => loraKeys.has(key) && adapts(adaptedWeight(key)) }
  const floats = (weights: StoredWeights, keys: readonly string[]): TE.TaskEither<Error, Tensors> =>
    pipe(
      keys,
      TE.traverseSeqArray((key) =>
        pipe(
          weights.read(key),
          TE.map((value) => [key, value as Floats] as const),
        ),
      ),
      TE.map((all) => new Map(all)),
    )
  return {
    config: { kind: 'lora', rank, alpha, on: on.name },
    apply: lora({ rank, alpha, on: adapts }),
    adds: {
      keys: own,
      within: (roots, leaves) => loraInWeights({ rank, alpha }, leaves)(roots),
      absorb: (weights) => {
        const pairs = loraPairs(weights.keys.filter(own.has))
        return {
          ...weights,
          keys: weights.keys.filter((key) => !own.has(key)),
          read: (key) => {
            const pair = pairs.get(key)
            return pair === undefined
              ? weights.read(key)
              : pipe(
                  floats(weights, [key, pair.a, pair.b]),
                  TE.map((all): TensorValue => {
                    const only = (...of: readonly string[]) => new Map(of.map((k) => [k, all.get(k)!]))
                    const merged = mergeLora(only(key), only(pair.a, pair.b), alpha).get(key)!
                    return { ...merged, dtype: 'float32' }
                  }),
                )
          },
        }
      },
      save: (folder, weights) =>
        pipe(
          floats(weights, weights.keys.filter(own.has)),
          TE.chainW((tensors) =>
            saveAdapter(join(folder, adapterFolder), { rank, alpha, base: null, task: null, tensors }),
          ),
          TE.mapLeft((e): Error => e),
        ),
    },
  }
}
