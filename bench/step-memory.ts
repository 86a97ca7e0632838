/**
 * What a step of training takes against what it was counted to take: the resident memory of a process that trains a language
 * model of random weights.
 *
 *     node --import tsx bench/step-memory.ts onnx 512
 *
 * Its first argument is the engine, its second the tokens of a row.
 */
import { readFileSync } from 'node:fs'
import { pickEngine } from '../src/engine/index.ts'
import { qwen3Model } from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import { ints, learnerMemory, learnerProgram, type MicroBatch, orThrow } from '../src/train/index.ts'
import { nextTokenTerms } from '../src/train/next-token.ts'
import { update } from '../src/train/update.ts'

const [name = 'onnx', length = '512'] = process.argv.slice(2)
const tokens = Number(length)
/** 60 million parameters in the proportions of Qwen3. */
const model = qwen3Model('60m', {
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
const sizes = { rows: 1, tokens, images: 0 }
const made = learnerProgram({
  ...{
    name: 'step',
    train: Object.values(model.parts),
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
const session = await orThrow(engine.load(made.program, { seed: 1 }))
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
for (let step = 0; step < 3; step++) await update(session, [batch], 1e-4)
const m = learnerMemory(made)
const counted = m.weights + m.gradients + m.optimizer + m.activations
const took = status('VmHWM') - before
const mega = (bytes: number): string => (bytes / 1e6).toFixed(0)
console.log(
  `${name}, ${tokens} tokens: weights ${mega(m.weights)}, gradients ${mega(m.gradients)}, moments ${mega(m.optimizer)}, activations ${mega(m.activations)}: counted ${mega(counted)} MB; took ${mega(took)} MB, ${(took / counted).toFixed(2)} times as much`,
)
await orThrow(session.close())
