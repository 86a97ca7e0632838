/**
 * Tokens a second of training the nano model on the recipe's own conversations: padded to a row each, as the recipe trains,
 * against packed rows, in turns on each engine. Only real tokens count; padding does not. Where other programs use the
 * machine, tokens a processor second say more than tokens a second.
 *
 *     node --import tsx bench/packing.ts [--stage sft|alignment-1] [--rounds N] [--steps N]
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import {
  batchesOf,
  type Conversation,
  listed,
  type Pack,
  packed,
  packingPlan,
  repeated,
  type Source,
} from '../src/data/index.ts'
import { type Engine, onnxEngine, type Session, scalarValue, tensorflowEngine } from '../src/engine/index.ts'
import { adamWith } from '../src/optim/index.ts'
import { type Captioned, conversationAt, nanoModel, nanoProcessor } from '../src/tasks/index.ts'
import {
  learnerProgram,
  type MicroBatch,
  nextToken,
  type Objective,
  orThrow,
  packedNextToken,
} from '../src/train/index.ts'

const { values } = parseArgs({
  options: { stage: { type: 'string' }, rounds: { type: 'string' }, steps: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 5)
const steps = Number(values.steps ?? 4)
const stage = values.stage ?? 'sft'

const shared = { split: 'train', weights: { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 } } as const
const captioned: Captioned =
  stage === 'sft'
    ? { captions: 0, mixture: { ...shared, seed: 'sft/1', levels: [3, 3] } }
    : { captions: 0.3, mixture: { ...shared, seed: 'alignment-1/1', levels: [1, 3] } }
const conversations = Array.from({ length: 240 }, (_, i) => conversationAt(captioned, i))
const lengths = conversations.map((c) => c.ids.length).sort((a, b) => a - b)
const mean = lengths.reduce((a, b) => a + b) / lengths.length
console.log(
  `${stage}: ${lengths.length} conversations of ${lengths[0]} to ${lengths.at(-1)} tokens, mean ${mean.toFixed(1)}, median ${lengths[120]}`,
)

/** A way to feed the model. */
interface Way {
  readonly name: string
  readonly objective: Objective<never>
  readonly batches: readonly Fed[]
}

/** Tokens a second of wall and of processor time, samples a second. */
interface Speed {
  readonly wall: number
  readonly processor: number
  readonly samples: number
}

/** Inputs of a step, and the real tokens and samples in them. */
interface Fed {
  readonly inputs: MicroBatch['inputs']
  readonly tokens: number
  readonly samples: number
}

const source: Source<Conversation> = repeated(listed('recipe', conversations))
const count = 8
const tokensOf = (all: readonly Conversation[]): number => all.reduce((n, c) => n + c.ids.length, 0)

const padded = async (rows: number, tokens: number): Promise<Way> => {
  const objective = nextToken(nanoModel, nanoProcessor(), { rows, tokens })
  const batches: Fed[] = []
  for await (const { examples } of batchesOf(source, rows)) {
    batches.push({
      inputs: objective.collate(examples)[0]!.inputs,
      tokens: tokensOf(examples),
      samples: examples.length,
    })
    if (batches.length === count) break
  }
  return { name: `padded ${rows} × ${tokens}`, objective: objective as Objective<never>, batches }
}

const inPacks = async (rows: number, tokens: number, images: number): Promise<Way> => {
  const sizes = { rows, tokens, images }
  const objective = packedNextToken(nanoModel, nanoProcessor(), sizes)
  const packs: Pack[] = []
  for await (const { example } of packed(source, { ...sizes, buffer: 64 }).open()) {
    packs.push(example)
    if (packs.length === count) break
  }
  const plan = packingPlan(packs, sizes)
  const name = `packed ${rows} × ${tokens}`
  console.log(
    `${name}: ${(100 * plan.fill).toFixed(1)} % of tokens and ${(100 * plan.imageFill).toFixed(1)} % of ${images} images are real`,
  )
  const batches = packs.map((pack) => {
    const all = pack.rows.flat()
    return { inputs: objective.collate([pack])[0]!.inputs, tokens: tokensOf(all), samples: all.length }
  })
  return { name, objective: objective as Objective<never>, batches }
}

const opened = (engine: Engine, { objective }: Way): Promise<Session> =>
  orThrow(
    engine.load(
      learnerProgram({
        ...{ name: 'packing', objective, train: Object.values(nanoModel.parts), accumulate: 1 },
        ...{ optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05 }), maxGradientNorm: 1 },
      }).program,
    ),
  )

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!

// about as many real tokens a step in each way, and images for the samples that rows of that length hold
const ways = [await padded(16, 80), await inPacks(5, 160, 15), await inPacks(4, 240, 18)]
for (const make of [onnxEngine, tensorflowEngine]) {
  const got = await make()()
  if (E.isLeft(got)) {
    console.log(`not measured: ${got.left.message}`)
    continue
  }
  const sessions: Session[] = []
  for (const way of ways) sessions.push(await opened(got.right, way))
  const rate = { learning_rate: scalarValue(1e-4) }
  const speeds = ways.map((): Speed[] => [])
  const before = loadavg()[0]!
  for (let round = 0; round <= rounds; round++)
    for (const [w, way] of ways.entries()) {
      let [tokens, samples] = [0, 0]
      const [started, cpu] = [performance.now(), process.cpuUsage()]
      for (let i = 0; i < steps; i++) {
        const b = way.batches[(round * steps + i) % way.batches.length]!
        await orThrow(sessions[w]!.call('step', { ...b.inputs, ...rate }))
        tokens += b.tokens
        samples += b.samples
      }
      const seconds = (performance.now() - started) / 1000
      const used = process.cpuUsage(cpu)
      const busy = (used.user + used.system) / 1e6
      // the first round warms up
      if (round > 0)
        speeds[w]!.push({ wall: tokens / seconds, processor: tokens / busy, samples: samples / seconds })
    }
  console.log(
    `${got.right.name}, ${rounds} rounds of ${steps} steps, load ${before.toFixed(1)} to ${loadavg()[0]!.toFixed(1)}:`,
  )
  for (const [w, way] of ways.entries()) {
    const shown = (what: keyof Speed): string => {
      const ratios = speeds[w]!.map((s, r) => s[what] / speeds[0]![r]![what])
      const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
      return `${Math.round(median(speeds[w]!.map((s) => s[what])))} (× ${median(ratios).toFixed(2)}, ${range})`
    }
    console.log(
      `  ${way.name}: tokens/s ${shown('wall')}, a processor second ${shown('processor')}; samples/s ${shown('samples')}`,
    )
  }
  for (const session of sessions) await orThrow(session.close())
}
