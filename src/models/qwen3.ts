/**
 * Qwen3, dense or with experts: a pre-norm decoder with grouped-query attention, RMSNorm on queries and keys, rotary positions and SwiGLU
 * (Yang et al. 2025).
 *
 * Shapes: ids `[batch, token]` → hidden `[batch, token, embed]` → logits `[batch, token, vocab]`.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  add,
  andThen,
  applyTo,
  at,
  axis,
  embedding,
  everyKey,
  head,
  type Layer,
  layer,
  named,
  preNorm,
  type Rotations,
  repeat,
  rmsNorm,
  rotations,
  selfAttention,
  swiGlu,
  type Tensor,
  tied,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type CausalLm, causalLm, type TokenContext, withoutKind } from './model.ts'
import { mixtureOfExperts } from './moe.ts'
import { activeShare, checkedMoe, isSparse, type MoeConfig } from './moe-config.ts'
import { atPlaces } from './wanted.ts'

/** What a Qwen3 is, in the words of its `config.json`. */
export interface Qwen3Config {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** 1e6 in the published models. */
  readonly ropeTheta: number
  /** 1e-6. */
  readonly epsilon: number
  /** Whether the head shares the embedding's weight. */
  readonly tied: boolean
  /** The experts of Qwen3-MoE, in place of feed-forward blocks; default: it is dense. */
  readonly moe?: MoeConfig
}

const names: readonly (keyof Qwen3Config)[] = [
  ...(['vocabSize', 'hiddenSize', 'intermediateSize', 'layers', 'heads', 'kvHeads', 'headDim'] as const),
  ...(['ropeTheta', 'epsilon', 'tied', 'moe'] as const),
]

/** The configuration, with no setting that a Qwen3 has not. @throws SettingsError */
const checked = (c: Qwen3Config): Qwen3Config => {
  onlySettings('qwen3', withoutKind(c, 'qwen3'), names)
  if (c.moe !== undefined) checkedMoe('qwen3, moe', c.moe)
  return c
}

/** Where the tokens are and what each may see. */
export type Qwen3Context = Omit<TokenContext, 'keyPositions'>

type Hidden = Layer<readonly ['token', 'embed'], readonly ['token', 'embed']>

/** The residual stream's axis. */
export const embedAxis = (c: Qwen3Config): Axis<'embed'> => axis('embed', checked(c).hiddenSize)
/** The vocabulary. */
export const vocabAxis = (c: Qwen3Config): Axis<'vocab'> => axis('vocab', checked(c).vocabSize)

/** Whether the last layer computes what is wanted alone; experts are chosen, and balanced, for all tokens. */
const endsEarly = (c: Qwen3Config, { wanted }: Qwen3Context, index: number): boolean =>
  wanted !== undefined && index === c.layers - 1 && !isSparse(c.moe, index)

/**
 * Decoder layer `index`, from 0. Keys `input_layernorm`, `self_attn.*`, `post_attention_layernorm`, `mlp.*`. The last one, where
 * it is dense, gives the wanted tokens alone.
 */
export const qwen3Layer = (
  c: Qwen3Config,
  context: Qwen3Context,
  rotary: Rotations,
  index: number,
): Hidden => {
  const [embed, hidden] = [embedAxis(c), axis('hidden', c.intermediateSize)]
  const { heads, kvHeads, headDim, epsilon } = c
  const { token, mask, cache, wanted } = context
  const pick = (x: Tensor): Tensor => (wanted === undefined ? x : atPlaces(x, wanted))
  const early = endsEarly(c, context, index)
  const attention = selfAttention({
    ...{ token, embed, heads, kvHeads, headDim, qkNorm: epsilon, rotary, mask, cache },
    queries: early ? pick : undefined,
  })
  const feedForward = isSparse(c.moe, index) ? mixtureOfExperts(c.moe, embed) : swiGlu(embed, hidden)
  const norm = at('input_layernorm')(rmsNorm(embed, epsilon))
  const attended = at('self_attn')(attention)
  return pipe(
    early
      ? layer('wantedTokens', [token, embed], (x, path) =>
          add(pick(x), applyTo(pipe(norm, andThen(attended)), x, path)),
        )
      : preNorm(norm, attended),
    andThen(preNorm(at('post_attention_layernorm')(rmsNorm(embed, epsilon)), at('mlp')(feedForward))),
    named('decoderLayer'),
  )
}

/** Ids to vectors. Key `model.embed_tokens.weight`. */
export const qwen3Embedding = (c: Qwen3Config): Layer<readonly [], readonly ['embed']> =>
  at('model.embed_tokens')(embedding(vocabAxis(c), embedAxis(c)))

/** All decoder layers and the last norm. Keys `model.layers.<i>.*`, `model.norm.weight`. */
export const qwen3Decoder = (c: Qwen3Config, context: Qwen3Context): Hidden => {
  checked(c)
  const rotary = rotations(context.positions, axis('headDim', c.headDim), c.ropeTheta)
  const { token, wanted } = context
  const late = wanted !== undefined && !endsEarly(c, context, c.layers - 1)
  const layers: Hidden = at('layers')(repeat(c.layers, (i) => qwen3Layer(c, context, rotary, i)))
  return pipe(
    late
      ? pipe(layers, andThen(layer('wantedTokens', [token, embedAxis(c)], (x) => atPlaces(x, wanted))))
      : layers,
    andThen(at('norm')(rmsNorm(embedAxis(c), c.epsilon))),
    named('decoder'),
    at('model'),
  )
}

/** Vectors to logits. Key `lm_head.weight`, or the embedding's where they are tied. */
export const qwen3Head = (c: Qwen3Config): Layer<readonly ['embed'], readonly ['vocab']> =>
  checked(c).tied
    ? tied(at('model.embed_tokens')(head(embedAxis(c), vocabAxis(c))))
    : at('lm_head')(head(embedAxis(c), vocabAxis(c)))

/**
 * The whole language model: ids to logits.
 *
 * @category models
 */
export const qwen3 = (
  c: Qwen3Config,
  context: Qwen3Context,
): Layer<readonly ['token'], readonly ['token', 'vocab']> =>
  pipe(qwen3Embedding(c), andThen(qwen3Decoder(c, context)), andThen(qwen3Head(c)), named('qwen3'))

/**
 * Qwen3 under a name, as a value for trainers and evaluations. Its one part is `language`: all of it.
 *
 * @category models
 */
export const qwen3Model = (name: string, c: Qwen3Config): CausalLm => {
  checked(c)
  return causalLm({
    name,
    config: { kind: 'qwen3', ...c },
    parts: { language: { ...everyKey, name: 'language' } },
    vocabSize: c.vocabSize,
    experts: c.moe,
    activeShare: c.moe && activeShare(c.moe),
    embed: (ids) => applyTo(qwen3Embedding(c), ids),
    decode: (embedded, context) => applyTo(qwen3Decoder(c, context), embedded),
    head: (hidden) => applyTo(qwen3Head(c), hidden),
  })
}
