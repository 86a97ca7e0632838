/**
 * A published Qwen3, dense or with experts, or a SAIL-VL2, tuned on chats of one's own by LoRA: the weights stay, small adapters
 * beside the language model's projections learn.
 *
 *     sailwright run examples/finetune.ts --set model=Qwen3-0.6B --data chats.jsonl --out runs/tuned
 *     sailwright export runs/tuned --hf --out tuned        the whole model, for transformers
 *     sailwright export runs/tuned --adapter --out adapter the adapters alone, for PEFT over the published folder
 *
 * `model` is a folder in Hugging Face's layout, `sailwright fetch` brings one. The data has a chat a row, as text-sft.ts says; of a
 * model that sees with `images`, for so many tiles of which a row has room as `--set images=` says.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as d from 'sailwright/data'
import { keys } from 'sailwright/dsl'
import { heldOut } from 'sailwright/eval'
import { pretrained } from 'sailwright/models'
import { adamWith, loraKeys } from 'sailwright/optim'
import * as t from 'sailwright/train'

const file: t.ExperimentFile = async ({ quick, seed, setting, data }) => {
  const folder = setting.text('model', 'model')
  const { kind, model, source, tokenizer } = await t.orThrow(pretrained(folder))
  if (kind === 'vision' || tokenizer === undefined)
    throw new t.SettingError(`--set model=${folder} is no language model with a tokenizer`)

  const processor = d.publishedProcessor(tokenizer, model)
  const { image } = processor
  const rows = setting.integer('rows', 1, { from: 1 })
  // of a row: as many tiles as an image may be cut into, or, where images have any size, squares
  const tiles = image?.patchSize === undefined ? image?.most : 1024
  const images = tiles === undefined ? 0 : setting.integer('images', tiles, { from: 0 })
  const tokens = setting.integer('tokens', 256 + images * (image?.tokens ?? 0), { from: 2 })
  const objective = t.nextToken(model, processor, { rows, tokens, images: rows * images })
  const heldOutShare = setting.number('heldOut', 1 / 16, { from: 0, to: 1 })
  const sides = d.split(data.rows(), { heldOut: heldOutShare, by: d.rowKey })
  const { onBadRow } = data
  const chats = (side: d.Source<d.Row>) => d.conversations(side, { processor, tokens, images, onBadRow })

  // of a model with experts attention alone: PEFT takes what it reads of any `mlp` there for the experts'
  const mlp = source.keys.some((key) => key.includes('.experts.')) ? [] : ['**.mlp.*_proj.weight']
  const projections = keys('projections', '**.self_attn.*_proj.weight', ...mlp)
  const rank = setting.integer('rank', 8, { from: 1 })
  const stage = t.supervised({
    ...{ name: 'tune', from: 'pretrained', to: 'tuned', objective, train: [loraKeys] },
    transforms: [t.withLora({ rank, alpha: setting.number('alpha', 2 * rank), on: projections })],
    source: chats(d.shuffled(d.repeated(sides.train), { seed, buffer: 1000 })),
    steps: setting.integer('steps', quick ? 20 : 500, { from: 1 }),
    learningRate: setting.number('rate', 2e-4),
    optimizer: adamWith(),
  })
  const start = { config: folder, weights: source }
  return t.experiment(
    pipe(t.begin({ name: 'finetune', seed, model, start, now: 'pretrained' }), t.next(stage)),
    // the share of held-out tokens that the model would have written itself
    heldOut({ family: 'tokens', stage: 'tune', objective, source: chats(sides.heldOut), batches: 16 }),
  )
}

export default file
