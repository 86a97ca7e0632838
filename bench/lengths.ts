/**
 * How a text step grows with its length and its depth, on the engines and in PyTorch eager: each case a process of its own,
 * one after the other, as many rounds as are asked for. Shown are the least of a case's steps, wall and processor time, the
 * seconds from the model to the first step's end, what the process held before its first step, and the most that it ever held
 * (Linux). The engines are the built package's: `npm run build` first.
 *
 *     SAILWRIGHT_PYTHON=python node --import tsx bench/lengths.ts --tokens 512,1024,2048 --by tensorflow,onnx,pytorch
 *     node --import tsx bench/lengths.ts --tokens 128 --layers 4,16,48 --by tensorflow,onnx
 *     node --import tsx bench/lengths.ts --tokens 128 --vocabulary 151936
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pythonOf } from '../src/bench/pytorch.ts'
import { textTable } from '../src/terminal/terminal.ts'

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
  /** What the process held before its first step. */
  readonly open: number
}

const inProcess = (by: string, tokens: number, layers: number, vocabulary: number): Measured => {
  const given = [JSON.stringify(config(layers, vocabulary)), rows, tokens, steps, threads].map(String)
  const beside = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
  const [program, words]: [string, string[]] =
    by === 'pytorch'
      ? [pythonOf(undefined), [beside('./pytorch/lengths.py'), ...given]]
      : [process.execPath, [beside('./lengths-case.js'), by, ...given]]
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: `${threads}` }
  return JSON.parse(execFileSync(program, words, { env, encoding: 'utf8' })) as Measured
}

const [allTokens, allLayers] = [list(values.tokens), list(values.layers)]
const vocabulary = Number(values.vocabulary)
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
      Math.min(...all.map((m) => m.first)).toFixed(1),
      ...[least(all.map((m) => m.open)), least(all.map((m) => m.peak))],
    ])
  }
}
const heads = [
  ...['tokens', 'layers', 'by', 'ms a step', 'processor ms', 'first step s'],
  ...['before it MiB', 'peak MiB'],
]
const columns = heads.map((head) => ({ head, align: head === 'by' ? 'left' : 'right' }) as const)
process.stdout.write(`${textTable(columns, table, { colour: false })}\n`)
