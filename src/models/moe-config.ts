/**
 * What a mixture of experts is, in the words of Qwen3-MoE's `config.json`.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'

/** How the experts of a layer are computed; the numbers are the same. */
export type ExpertComputation = 'all' | 'chosen'

/** Feed-forward blocks of experts, of which a router picks some for each token. */
export interface MoeConfig {
  /** Experts of a layer: `num_experts`. */
  readonly experts: number
  /** Experts that each token goes through: `num_experts_per_tok`. */
  readonly perToken: number
  /** Width inside one expert: `moe_intermediate_size`. */
  readonly intermediateSize: number
  /** Whether the weights of a token's experts are divided by their sum: `norm_topk_prob`. */
  readonly normalise: boolean
  /** Every how manieth layer has experts, default 1: `decoder_sparse_step`. */
  readonly sparseStep?: number
  /** Layers, from 0, that are dense all the same: `mlp_only_layers`. */
  readonly denseLayers?: readonly number[]
  /** What the balance loss is multiplied with in training, default 0: `router_aux_loss_coef`. */
  readonly balance?: number
  /** What the router z-loss is multiplied with in training, default 0; no published word. */
  readonly zLoss?: number
  /** Default: `all` where a token goes through at least half of the experts, else `chosen`. */
  readonly computation?: ExpertComputation
}

const names: readonly (keyof MoeConfig)[] = [
  ...(['experts', 'perToken', 'intermediateSize', 'normalise', 'sparseStep', 'denseLayers'] as const),
  ...(['balance', 'zLoss', 'computation'] as const),
]

/** The configuration, with no setting that experts have not. @throws SettingsError */
export const checkedMoe = (where: string, c: MoeConfig): MoeConfig => onlySettings(where, c, names)

/** Whether layer `i`, from 0, has experts: every `sparseStep`th, but for those that are dense all the same. */
export const isSparse = (c: MoeConfig | undefined, i: number): c is MoeConfig =>
  c !== undefined && (i + 1) % (c.sparseStep ?? 1) === 0 && !(c.denseLayers ?? []).includes(i)

/** The first `count` layers that have experts, by their numbers from 0. */
export const sparseLayers = (c: MoeConfig, count: number): readonly number[] => {
  const layers: number[] = []
  for (let i = 0; layers.length < count; i++) if (isSparse(c, i)) layers.push(i)
  return layers
}

/** The share of a layer's tokens that a parameter works for: experts-per-token of all experts for an expert's, 1 for any other. */
export const activeShare =
  (c: MoeConfig | undefined) =>
  (key: string): number =>
    c !== undefined && /(^|\.)mlp\.experts\.\d+\./.test(key) ? c.perToken / c.experts : 1
