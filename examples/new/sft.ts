/**
 * Supervised fine-tuning of a language model on chats. Written by `sailwright new sft`; it is yours, change anything.
 *
 *     sailwright run sft.ts --quick      a short pass, to see that everything works
 *     sailwright run sft.ts              trains, measures, writes runs/…/report.html
 *     sailwright run sft.ts --set model=Qwen3-0.6B --data chats.jsonl
 *
 * The data has a chat a row (a line of JSONL, a JSON list, Parquet, a folder of those):
 * `{ "messages": [{ "role": "user", "content": "…" }, { "role": "assistant", "content": "…" }] }`.
 * `model` is a published Qwen3, a folder with config.json, safetensors and a tokenizer. Without one, a small one is trained
 * from nothing, so that the file runs as it is.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import { heldOut } from 'sailwright/eval'
import { pretrained, qwen3Model } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import { nanoTokenizer } from 'sailwright/tasks'
import * as t from 'sailwright/train'

/** A published model: its weights, and its tokenizer with its own chat template. */
const published = async (folder: string) => {
  const { kind, model, source, tokenizer } = await t.orThrow(pretrained(folder))
  if (kind !== 'language' || tokenizer === undefined)
    throw new t.SettingError(`--set model=${folder} is no language model with a tokenizer`)
  const processor = d.processor(d.textTokenizer(tokenizer), { template: d.chatTemplate(tokenizer) })
  return { model, processor, start: { config: folder, weights: source } }
}

/** A model of a few hundred thousand weights that begins with none: too small for knowledge, large enough to learn a task. */
const small = () => {
  const tokenizer = nanoTokenizer()
  const [hidden, heads] = [
    { hiddenSize: 96, intermediateSize: 256, layers: 3 },
    { heads: 4, kvHeads: 4, headDim: 24 },
  ]
  const shape = { ...hidden, ...heads, ropeTheta: 1e4, epsilon: 1e-6, tied: true }
  const model = qwen3Model('small', { vocabSize: tokenizer.size, ...shape })
  return { model, processor: d.processor(tokenizer), start: t.fromScratch }
}

const file: t.ExperimentFile = async ({ quick, seed, setting, data }) => {
  // what --set can say; each has a default
  const folder = setting.text('model', '')
  const rows = setting.integer('rows', 8, { from: 1 }) // chats a step
  const tokens = setting.integer('tokens', 96, { from: 2 }) // a longer chat is left out
  const steps = setting.integer('steps', quick ? 10 : 300, { from: 1 })
  const rate = setting.number('rate', folder === '' ? 2e-3 : 2e-5, { from: 0 })

  const { model, processor, start } = folder === '' ? small() : await published(folder)

  // what --data says, else the sample; a row that is no chat, or too long, is set aside, and the run ends with their list
  const all = data.rows('sample-chats.jsonl')
  const { onBadRow } = data
  // one chat in eight is held out: which ones depends on what they say alone
  const sides = d.split(all, { heldOut: 1 / 8, by: d.rowKey })
  const chats = (side: d.Source<d.Row>) => d.conversations(side, { processor, tokens, onBadRow })

  // the loss: each token of what the assistant says, given all before it
  const objective = t.nextToken(model, processor, { rows, tokens })
  const sft = t.supervised({
    ...{ name: 'sft', from: 'begun', to: 'tuned', objective, steps, learningRate: rate },
    train: Object.values(model.parts), // all weights; a part, or loraKeys with withLora(…), is cheaper
    source: chats(d.shuffled(d.repeated(sides.train), { seed, buffer: 1000 })),
    optimizer: adamWith({ weightDecay: 0.01 }),
  })
  return t.experiment(
    pipe(t.begin({ name: 'sft', seed, model, start, now: 'begun' }), t.next(sft)),
    // the share of held-out tokens that the model would have written itself
    heldOut({ family: 'tokens', stage: 'sft', objective, source: chats(sides.heldOut), batches: 16 }),
  )
}

export default file
