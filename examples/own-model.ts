/**
 * A model of one's own: Llama in transformers' key names, tuned on one's own conversations. The folder has `config.json`,
 * safetensors and a tokenizer with ChatML's tokens.
 *
 *     sailwright run examples/own-model.ts --set model=<folder> --data <chats.jsonl>
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { conversations, processor, repeated, textTokenizer } from 'sailwright/data'
import * as d from 'sailwright/dsl'
import { loadTokenizer, openCheckpoint } from 'sailwright/formats'
import { type CausalLm, causalLm } from 'sailwright/models'
import * as t from 'sailwright/train'

type Sizes = 'vocab_size' | 'hidden_size' | 'intermediate_size' | 'num_hidden_layers' | 'num_attention_heads'
type Numbers = Readonly<Record<Sizes | 'num_key_value_heads' | 'head_dim' | 'rms_norm_eps', number>>
type Rope = { readonly rope_theta: number; readonly rope_type?: string }

/** Llama with an untied head, by its `config.json`. */
export const llama = (name: string, c: Numbers & { readonly rope_parameters: Rope }): CausalLm => {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = c
  const { rope_theta, rope_type = 'default' } = c.rope_parameters
  if (rope_type !== 'default') throw new Error(`${name}: positions scaled by ${rope_type} are not built`)
  const [embed, hidden] = [d.axis('embed', c.hidden_size), d.axis('hidden', c.intermediate_size)]
  const vocab = d.axis('vocab', c.vocab_size)
  const norm = (scope: string) => d.at(scope)(d.rmsNorm(embed, c.rms_norm_eps))
  return causalLm({
    ...{ name, config: c, parts: { all: d.everyKey }, vocabSize: vocab.size },
    embed: (ids) => d.applyTo(d.at('model.embed_tokens')(d.embedding(vocab, embed)), ids),
    decode: (x, { token, positions, mask, cache }) => {
      const rotary = d.rotations(positions, d.axis('headDim', headDim), rope_theta)
      const attention = d.selfAttention({ token, embed, heads, kvHeads, headDim, rotary, mask, cache })
      const layer = pipe(
        d.preNorm(norm('input_layernorm'), d.at('self_attn')(attention)),
        d.andThen(d.preNorm(norm('post_attention_layernorm'), d.at('mlp')(d.swiGlu(embed, hidden)))),
      )
      const layers = d.at('layers')(d.repeat(c.num_hidden_layers, d.named('layer')(layer)))
      return d.applyTo(d.at('model')(pipe(layers, d.andThen(norm('norm')))), x)
    },
    head: (x) => d.applyTo(d.at('lm_head')(d.head(embed, vocab)), x),
  })
}

const file: t.ExperimentFile = async ({ seed, setting, data }) => {
  const [folder, tokens] = [setting.text('model', 'llama'), setting.integer('tokens', 256)]
  if (!existsSync(join(folder, 'config.json')))
    throw new t.SettingError(`--set model is a folder with a config.json, and '${folder}' has none`)
  const model = llama(basename(folder), JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')))
  const reads = processor(textTokenizer(await t.orThrow(loadTokenizer(folder))))
  const chats = conversations(data.rows(), { processor: reads, tokens, onBadRow: data.onBadRow })
  const [objective, steps] = [t.nextToken(model, reads, { rows: 4, tokens }), setting.integer('steps', 200)]
  const about = { name: 'sft', from: 'published', to: 'tuned', train: [d.everyKey] } as const
  const sft = t.supervised({ ...about, objective, source: repeated(chats), steps, learningRate: 2e-5 })
  const start = { config: folder, weights: openCheckpoint(folder) }
  const begun = t.begin({ name: 'own-model', seed, model, start, now: 'published' })
  return t.experiment(pipe(begun, t.next(sft)), t.unmeasured)
}
export default file
