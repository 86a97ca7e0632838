/**
 * The experts of a language model in the words of Qwen3-MoE's published `config.json`, read and written.
 *
 * @since 0.1.0
 */
import type * as t from 'io-ts'
import { count, flag, optional, Word } from './config-words.ts'
import type { MoeConfig } from './moe-config.ts'

const isPlace = (u: unknown): u is number => Number.isSafeInteger(u) && (u as number) >= 0
const isPlaces = (u: unknown): u is readonly number[] => Array.isArray(u) && u.every(isPlace)
const isCoefficient = (u: unknown): u is number => typeof u === 'number' && u >= 0 && u < Infinity

/** The words of a `config.json` that are about experts. A dense model has none of them. */
export const moeWords = {
  num_experts: optional(count('the experts of a layer, 128 in Qwen3-30B-A3B'), undefined),
  num_local_experts: optional(count('the experts of a layer, as newer files call them'), undefined),
  num_experts_per_tok: optional(
    count('the experts that a token goes through, 8 in Qwen3-30B-A3B'),
    undefined,
  ),
  moe_intermediate_size: optional(count('the width inside an expert, 768 in Qwen3-30B-A3B'), undefined),
  norm_topk_prob: flag("whether the weights of a token's experts are made to add up to 1", false),
  decoder_sparse_step: optional(count('every how manieth layer has experts'), 1),
  mlp_only_layers: optional(
    new Word('a list of layers from 0', isPlaces, 'the layers that have no experts'),
    [] as readonly number[],
  ),
  router_aux_loss_coef: optional(
    new Word('a number from 0 on', isCoefficient, 'what the balance loss is multiplied with'),
    0.001,
  ),
}

type Words = { readonly [K in keyof typeof moeWords]: t.TypeOf<(typeof moeWords)[K]> }

/** What the words say; without a needed one, or where they contradict each other, which and what to do. */
export const moeOf = (w: Words, layers: number): MoeConfig | readonly [key: string, what: string] => {
  const experts = w.num_experts ?? w.num_local_experts
  const missing = (key: string, what: string): readonly [string, string] => [
    key,
    `is missing; add it: ${what}`,
  ]
  if (experts === undefined) return missing('num_experts', 'the experts of a layer, 128 in Qwen3-30B-A3B')
  if (w.num_experts !== undefined && w.num_local_experts !== undefined && w.num_local_experts !== experts)
    return [
      'num_local_experts',
      `is ${w.num_local_experts} and num_experts is ${experts}; they are one number`,
    ]
  if (w.num_experts_per_tok === undefined)
    return missing('num_experts_per_tok', 'the experts that a token goes through, 8 in Qwen3-30B-A3B')
  if (w.moe_intermediate_size === undefined)
    return missing('moe_intermediate_size', 'the width inside an expert, 768 in Qwen3-30B-A3B')
  if (w.num_experts_per_tok > experts)
    return [
      'num_experts_per_tok',
      `is ${w.num_experts_per_tok}, more than the ${experts} experts of a layer; change one of them`,
    ]
  const beyond = w.mlp_only_layers.find((i) => i >= layers)
  if (beyond !== undefined)
    return ['mlp_only_layers', `names layer ${beyond}, and there are ${layers} from 0; leave it out`]
  return {
    experts,
    perToken: w.num_experts_per_tok,
    intermediateSize: w.moe_intermediate_size,
    normalise: w.norm_topk_prob,
    ...(w.decoder_sparse_step === 1 ? {} : { sparseStep: w.decoder_sparse_step }),
    ...(w.mlp_only_layers.length === 0 ? {} : { denseLayers: w.mlp_only_layers }),
    balance: w.router_aux_loss_coef,
  }
}

/** A mixture's published words. How it is computed and the router z-loss have none. */
export const moePublished = (c: MoeConfig) => ({
  num_experts: c.experts,
  num_experts_per_tok: c.perToken,
  moe_intermediate_size: c.intermediateSize,
  norm_topk_prob: c.normalise,
  decoder_sparse_step: c.sparseStep ?? 1,
  mlp_only_layers: c.denseLayers ?? [],
  output_router_logits: false,
  router_aux_loss_coef: c.balance ?? 0,
})
