/**
 * Supervised fine-tuning of a published Qwen3 on chats of one's own.
 *
 *     sailwright run examples/text-sft.ts --set model=Qwen3-0.6B --data chats.jsonl
 *
 * `model` is a folder in Hugging Face's layout. The data has a chat a row (a line of JSONL, a JSON list, Parquet, a folder of those):
 * `{ "messages": [{ "role": "user", "content": "…" }, { "role": "assistant", "content": "…" }] }`.
 * What the assistant says is learnt, in every turn, laid out by the model's own chat template.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import { heldOut } from 'sailwright/eval'
import { pretrained } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import * as t from 'sailwright/train'

const file: t.ExperimentFile = async ({ quick, seed, setting, data }) => {
  const folder = setting.text('model', 'model')
  const { kind, model, source, tokenizer } = await t.orThrow(pretrained(folder))
  if (kind !== 'language' || tokenizer === undefined)
    throw new t.SettingError(`--set model=${folder} is no language model with a tokenizer`)

  const processor = d.processor(d.textTokenizer(tokenizer), { template: d.chatTemplate(tokenizer) })
  const [rows, tokens] = [
    setting.integer('rows', 4, { from: 1 }),
    setting.integer('tokens', 256, { from: 2 }),
  ]
  const objective = t.nextToken(model, processor, { rows, tokens })

  const heldOutShare = setting.number('heldOut', 1 / 16, { from: 0, to: 1 })
  const sides = d.split(data.rows(), { heldOut: heldOutShare, by: d.rowKey })
  // a row that is no chat, or too long, is set aside: the run ends with a list of those
  const { onBadRow } = data
  const chats = (side: d.Source<d.Row>) => d.conversations(side, { processor, tokens, onBadRow })

  const stage = t.supervised({
    ...{ name: 'sft', from: 'pretrained', to: 'tuned', objective, train: Object.values(model.parts) },
    source: chats(d.shuffled(d.repeated(sides.train), { seed, buffer: 1000 })),
    steps: setting.integer('steps', quick ? 20 : 500, { from: 1 }),
    learningRate: setting.number('rate', 2e-5),
    optimizer: adamWith({ weightDecay: 0.01 }),
  })
  const start = { config: folder, weights: source }
  return t.experiment(
    pipe(t.begin({ name: 'text-sft', seed, model, start, now: 'pretrained' }), t.next(stage)),
    // the share of held-out tokens that the model would have written itself
    heldOut({ family: 'tokens', stage: 'sft', objective, source: chats(sides.heldOut), batches: 16 }),
  )
}

export default file
