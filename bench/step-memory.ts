/**
 * What a step of training takes against what it was counted to take: the resident memory of a process that trains a language
 * model of random weights.
 *
 *     node --import tsx bench/step-memory.ts onnx 512
 *     node --import tsx bench/step-memory.ts onnx 128 lora Qwen3-0.6B
 *
 * Its first argument is the engine, its second the tokens of a row. The third trains adapters of rank 16 on all matrices in
 * place of everything. The fourth is a published folder, whose model is trained in place of one of 60 million parameters.
 */
import { readFileSync } from 'node:fs'
import { keys } from '../src/dsl/index.ts'
import { pickEngine } from '../src/engine/index.ts'
import { type CausalLm, pretrained, qwen3Model } from '../src/models/index.ts'
import { adamWith, loraKeys } from '../src/optim/index.ts'
import { learnerProgram, type MicroBatch, orThrow, withLora } from '../src/train/index.ts'
import { ints, learnerMemory } from '../src/train/internal.ts'
import { nextTokenTerms } from '../src/train/next-token.ts'
import { update } from '../src/train/update.ts'

const [name = 'onnx', length = '512', what = 'all', folder] = process.argv.slice(2)
const tokens = Number(length)
const published = folder === undefined ? undefined : await orThrow(pretrained(folder))
/** 60 million parameters in the proportions of Qwen3. */
const small = qwen3Model('60m', {
  ...{
    vocabSize: 32000,
    hiddenSize: 512,
    intermediateSize: 1536,
    layers: 8,
    heads: 8,
    kvHeads: 4,
    headDim: 64,
  },
  ...{ ropeTheta: 1e6, epsilon: 1e-6, tied: true },
})
const model = (published?.model ?? small) as CausalLm
const lora = withLora({
  ...{ rank: 16, alpha: 32 },
  on: keys('matrices', '**.self_attn.*_proj.weight', '**.mlp.*_proj.weight'),
})
const sizes = { rows: 1, tokens, images: 0 }
const made = learnerProgram({
  ...{
    name: 'step',
    ...(what === 'lora' ? { train: [loraKeys], transforms: [lora] } : { train: Object.values(model.parts) }),
    maxGradientNorm: 1,
    accumulate: 1,
    optimizer: adamWith(),
  },
  objective: {
    ...{ name: 'step', config: {}, unit: 'nats', model, batch: 1, buckets: [sizes], collate: () => [] },
    terms: () => nextTokenTerms(model, sizes),
  },
})
const status = (what: string): number =>
  1024 * Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1])

const { engine } = await orThrow(pickEngine(name as 'onnx'))
const before = status('VmRSS')
const session = await orThrow(
  engine.load(made.program, { seed: 1, ...(published === undefined ? {} : { values: published.source }) }),
)
const ids = Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % 32000)
const batch: MicroBatch = {
  ...{ sizes, weight: tokens - 1 },
  inputs: {
    input_ids: ints(ids, 1, tokens),
    position_ids: ints(
      Int32Array.from({ length: tokens }, (_, i) => i),
      1,
      tokens,
    ),
    labels: ints(ids, 1, tokens),
  },
}
const opened = status('VmHWM') - before
const seconds: number[] = []
for (let step = 0; step < 3; step++) {
  const at = performance.now()
  await update(session, [batch], 1e-4)
  seconds.push((performance.now() - at) / 1000)
}
const m = learnerMemory(made)
const counted = m.weights + m.gradients + m.optimizer + m.activations + m.working
const took = status('VmHWM') - before
const mega = (bytes: number): string => (bytes / 1e6).toFixed(0)
console.log(
  `${name}, ${tokens} tokens: weights ${mega(m.weights)}, gradients ${mega(m.gradients)}, moments ${mega(m.optimizer)}, activations ${mega(m.activations)}, working ${mega(m.working)}: counted ${mega(counted)} MB; took ${mega(took)} MB, ${(took / counted).toFixed(2)} times as much (${mega(opened)} when it was open; steps ${seconds.map((t) => t.toFixed(1)).join(', ')} s)`,
)
await orThrow(session.close())
