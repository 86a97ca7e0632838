/**
 * How a text step grows with its length and its depth, on the engines and in PyTorch eager: each case a process of its own,
 * one after the other, as many rounds as are asked for. Shown are the least of a case's steps, wall and processor time, the
 * seconds from the model to the first step's end, and the most memory the process held (Linux).
 *
 *     SAILWRIGHT_PYTHON=python node --import tsx bench/lengths.ts --tokens 512,1024,2048 --by tensorflow,onnx,pytorch
 *     node --import tsx bench/lengths.ts --tokens 128 --layers 4,16,48 --by tensorflow,onnx
 *     node --import tsx bench/lengths.ts --tokens 128 --vocabulary 151936
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pythonOf } from '../src/bench/pytorch.ts'
import { pickEngine } from '../src/engine/index.ts'
import { qwen3Model } from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import { textTable } from '../src/terminal/terminal.ts'
import { ints, learnerProgram, orThrow } from '../src/train/index.ts'
import { nextTokenTerms } from '../src/train/next-token.ts'
import { update } from '../src/train/update.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '512,1024,2048,4096' },
    layers: { type: 'string', default: '4' },
    vocabulary: { type: 'string', default: '512' },
    by: { type: 'string', default: 'tensorflow,onnx,pytorch' },
    rows: { type: 'string', default: '2' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    /** One case, in this process. */
    one: { type: 'boolean' },
  },
})
const [rows, steps, threads] = [values.rows, values.steps, values.threads].map(Number) as [
  number,
  number,
  number,
]
const list = (text: string): number[] => text.split(',').map(Number)
const config = (layers: number, vocabSize: number) => ({
  ...{ vocabSize, hiddenSize: 128, intermediateSize: 384, layers, heads: 4, kvHeads: 4, headDim: 32 },
  ...{ ropeTheta: 1e6, epsilon: 1e-6, tied: true },
})

interface Measured {
  readonly first: number
  readonly took: readonly (readonly [wall: number, processor: number])[]
  readonly peak: number
}

const measured = async (
  name: string,
  tokens: number,
  layers: number,
  vocabulary: number,
): Promise<Measured> => {
  const { engine } = await orThrow(pickEngine(name as 'onnx'))
  const began = performance.now()
  const model = qwen3Model('text', config(layers, vocabulary))
  const sizes = { rows, tokens, images: 0 }
  const made = learnerProgram({
    ...{ name: 'step', train: Object.values(model.parts), maxGradientNorm: 1, accumulate: 1 },
    optimizer: adamWith(),
    objective: {
      ...{ name: 'step', config: {}, unit: 'nats', model, batch: 1, buckets: [sizes], collate: () => [] },
      terms: () => nextTokenTerms(model, sizes),
    },
  })
  const session = await orThrow(engine.load(made.program, { seed: 1, threads }))
  const ids = Int32Array.from({ length: rows * tokens }, (_, i) => (i * 7919) % vocabulary)
  const places = Int32Array.from({ length: rows * tokens }, (_, i) => i % tokens)
  const batch = {
    ...{ sizes, weight: rows * (tokens - 1) },
    inputs: {
      input_ids: ints(ids, rows, tokens),
      position_ids: ints(places, rows, tokens),
      labels: ints(ids, rows, tokens),
    },
  }
  const step = () => update(session, [batch], 1e-4)
  await step()
  const first = (performance.now() - began) / 1000
  const took: [number, number][] = []
  for (let i = 0; i < steps; i++) {
    const [at, busy] = [performance.now(), process.cpuUsage()]
    await step()
    const { user, system } = process.cpuUsage(busy)
    took.push([performance.now() - at, (user + system) / 1000])
  }
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024
  await orThrow(session.close())
  return { first, took, peak }
}

const inProcess = (by: string, tokens: number, layers: number, vocabulary: number): Measured => {
  const [program, words] =
    by === 'pytorch'
      ? [
          pythonOf(undefined),
          [
            fileURLToPath(new URL('./pytorch/lengths.py', import.meta.url)),
            ...[JSON.stringify(config(layers, vocabulary)), rows, tokens, steps, threads].map(String),
          ],
        ]
      : [
          process.execPath,
          [
            ...['--import', 'tsx', fileURLToPath(import.meta.url), '--one', '--by', by],
            ...['--tokens', `${tokens}`, '--layers', `${layers}`, '--vocabulary', `${vocabulary}`],
            ...['--rows', `${rows}`, '--steps', `${steps}`, '--threads', `${threads}`],
          ],
        ]
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: `${threads}` }
  return JSON.parse(execFileSync(program, words, { env, encoding: 'utf8' })) as Measured
}

const [allTokens, allLayers] = [list(values.tokens), list(values.layers)]
const vocabulary = Number(values.vocabulary)
if (values.one === true)
  process.stdout.write(
    `${JSON.stringify(await measured(values.by, allTokens[0]!, allLayers[0]!, vocabulary))}\n`,
  )
else {
  const least = (xs: readonly number[]): string => Math.min(...xs).toFixed(0)
  const cases = allLayers.flatMap((layers) => allTokens.map((tokens) => ({ layers, tokens })))
  const table: string[][] = []
  for (const { layers, tokens } of cases) {
    const by = new Map(values.by.split(',').map((name) => [name, [] as Measured[]]))
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [name, all] of by) all.push(inProcess(name, tokens, layers, vocabulary))
    for (const [name, all] of by) {
      const took = all.flatMap((m) => m.took)
      table.push([
        ...[String(tokens), String(layers), name, least(took.map((t) => t[0])), least(took.map((t) => t[1]))],
        ...[Math.min(...all.map((m) => m.first)).toFixed(1), least(all.map((m) => m.peak))],
      ])
    }
  }
  const heads = ['tokens', 'layers', 'by', 'ms a step', 'processor ms', 'first step s', 'peak MiB']
  const columns = heads.map((head) => ({ head, align: head === 'by' ? 'left' : 'right' }) as const)
  process.stdout.write(`${textTable(columns, table, { colour: false })}\n`)
}
