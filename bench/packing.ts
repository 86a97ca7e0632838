/**
 * Tokens a second of training the nano model: samples padded to a row each against packed rows, in turns on each engine, on
 * the recipe's conversations (`sft`) and on one thought among nine direct answers, as think-fusion has them (`fusion`).
 * Each is measured with its images and as text of the same lengths: images cost the same either way, so what is left
 * bounds what packing can save. Only real tokens count. Where other programs use the machine, tokens a processor second
 * say more than tokens a second.
 *
 *     node --import tsx bench/packing.ts [--mixture sft|fusion] [--engine onnx|tensorflow] [--rounds N] [--steps N]
 *
 * `sailwright bench --visual-packing` simulates the other half, images balanced over devices.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import {
  batchesOf,
  type Conversation,
  layoutOf,
  listed,
  type Pack,
  packed,
  planLine,
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
  options: {
    ...{ mixture: { type: 'string' }, engine: { type: 'string' } },
    ...{ rounds: { type: 'string' }, steps: { type: 'string' } },
  },
})
const rounds = Number(values.rounds ?? 8)
const steps = Number(values.steps ?? 2)
/** Batches of each way, which come again and again. */
const count = 8

const shared = { split: 'train', weights: { read: 1.5, count: 2, chart: 1.7, arithmetic: 0.3 } } as const
const mixtures: Readonly<Record<string, Captioned>> = {
  sft: { captions: 0, mixture: { ...shared, seed: 'sft/1', levels: [3, 3] } },
  fusion: {
    captions: 0,
    thoughts: 0.1,
    direct: 0.9,
    mixture: { ...shared, seed: 'fusion/1', levels: [1, 3] },
  },
}

/** Inputs of a step, and the real tokens in them. */
interface Fed {
  readonly inputs: MicroBatch['inputs']
  readonly tokens: number
}

/** A way to feed the model. */
interface Way {
  readonly name: string
  readonly objective: Objective<never>
  readonly batches: readonly Fed[]
}

const tokensOf = (all: readonly Conversation[]): number => all.reduce((n, c) => n + c.ids.length, 0)

/** The same tokens as text: nothing is encoded. */
const asText = (c: Conversation): Conversation => ({
  ...c,
  images: [],
  ids: c.ids.map((id) => (id === nanoProcessor().image!.placeholder ? 20 : id)),
})

const padded = async (name: string, source: Source<Conversation>, images: number): Promise<Way> => {
  const [rows, tokens] = [16, 80]
  const objective = nextToken(nanoModel, nanoProcessor(), { rows, tokens, images })
  const batches: Fed[] = []
  for await (const { examples } of batchesOf(source, rows)) {
    batches.push({ inputs: objective.collate(examples)[0]!.inputs, tokens: tokensOf(examples) })
    if (batches.length === count) break
  }
  return { name: `${name} padded ${rows} × ${tokens}`, objective: objective as Objective<never>, batches }
}

const inPacks = async (
  name: string,
  source: Source<Conversation>,
  [rows, tokens, images]: readonly [number, number, number],
): Promise<Way> => {
  const sizes = { rows, tokens, images }
  const objective = packedNextToken(nanoModel, nanoProcessor(), sizes)
  const packs: Pack[] = []
  for await (const { example } of packed(source, { ...sizes, buffer: 64 }).open()) {
    packs.push(example)
    if (packs.length === count) break
  }
  console.log(`${name}: ${planLine(packs.map((p) => layoutOf(p, sizes)))}`)
  const batches = packs.map((pack) => ({
    inputs: objective.collate([pack])[0]!.inputs,
    tokens: tokensOf(pack.rows.flat()),
  }))
  return { name: `${name} packed ${rows} × ${tokens}`, objective: objective as Objective<never>, batches }
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

/** Tokens a second of wall and of processor time. */
interface Speed {
  readonly wall: number
  readonly processor: number
}

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!

const measured = async (engine: Engine, ways: readonly Way[]): Promise<readonly (readonly Speed[])[]> => {
  const sessions: Session[] = []
  for (const way of ways) sessions.push(await opened(engine, way))
  const rate = { learning_rate: scalarValue(1e-4) }
  const speeds = ways.map((): Speed[] => [])
  for (let round = 0; round <= rounds; round++)
    for (const [w, way] of ways.entries()) {
      let tokens = 0
      const [started, cpu] = [performance.now(), process.cpuUsage()]
      for (let i = 0; i < steps; i++) {
        const b = way.batches[(round * steps + i) % way.batches.length]!
        await orThrow(sessions[w]!.call('step', { ...b.inputs, ...rate }))
        tokens += b.tokens
      }
      const seconds = (performance.now() - started) / 1000
      const used = process.cpuUsage(cpu)
      // the first round warms up
      if (round > 0)
        speeds[w]!.push({ wall: tokens / seconds, processor: (1e6 * tokens) / (used.user + used.system) })
    }
  for (const session of sessions) await orThrow(session.close())
  return speeds
}

/** Packed against padded, round by round: median, least and most. */
const ratio = (padded_: readonly Speed[], packed_: readonly Speed[], what: keyof Speed): string => {
  const all = packed_.map((s, r) => s[what] / padded_[r]![what])
  return `× ${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`
}

const compare = async (name: string, captioned: Captioned): Promise<void> => {
  const conversations = Array.from({ length: 320 }, (_, i) => conversationAt(captioned, i))
  const lengths = conversations.map((c) => c.ids.length).sort((a, b) => a - b)
  console.log(
    `\n${name}: ${lengths[0]} to ${lengths.at(-1)} tokens, mean ${(lengths.reduce((a, b) => a + b) / lengths.length).toFixed(1)}, median ${median(lengths)}`,
  )
  const seen = repeated(listed(name, conversations))
  const text = repeated(listed(`${name} as text`, conversations.map(asText)))
  // rows for sixteen samples a step
  const rows = name === 'sft' ? 8 : 6
  const ways = [
    await padded('with images', seen, 16),
    await inPacks('with images', seen, [rows, 116, 16]),
    await padded('as text', text, 0),
    await inPacks('as text', text, [rows, 116, 0]),
  ]
  for (const make of [onnxEngine, tensorflowEngine]) {
    const got = await make()()
    if (E.isLeft(got)) {
      console.log(`not measured: ${got.left.message}`)
      continue
    }
    if (values.engine !== undefined && got.right.name !== values.engine) continue
    const before = loadavg()[0]!
    const [a, b, c, d] = (await measured(got.right, ways)) as [Speed[], Speed[], Speed[], Speed[]]
    console.log(
      `${got.right.name}, ${rounds} rounds of ${steps} steps, load ${before.toFixed(1)} to ${loadavg()[0]!.toFixed(1)}:`,
    )
    for (const [w, way] of ways.entries()) {
      const [wall, processor] = (['wall', 'processor'] as const).map((k) =>
        Math.round(median([a, b, c, d][w]!.map((s) => s[k]))),
      )
      console.log(`  ${way.name}: tokens/s ${wall}, a processor second ${processor}`)
    }
    for (const [what, from, to] of [
      ['with images', a, b],
      ['as text', c, d],
    ] as const)
      console.log(
        `  packed against padded, ${what}: tokens/s ${ratio(from, to, 'wall')}, a processor second ${ratio(from, to, 'processor')}`,
      )
    // what a token takes of the processor, padded: images, and the text without its padding
    const whole = 1 / median(a.map((s) => s.processor))
    const language = 1 / median(c.map((s) => s.processor))
    const fill = lengths.reduce((x, y) => x + y) / lengths.length / 80
    console.log(
      `  images take ${(100 * (1 - language / whole)).toFixed(0)} % of a padded step and padding ${(100 * (1 - fill)).toFixed(0)} % of its tokens: without any padding × ${(whole / (whole - language * (1 - fill))).toFixed(2)}`,
    )
  }
}

for (const [name, captioned] of Object.entries(mixtures))
  if (values.mixture === undefined || values.mixture === name) await compare(name, captioned)
