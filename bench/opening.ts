/**
 * Opening a learner of 0.6 billion weights from a file, beside PyTorch that reads the same file: wall time, processor time,
 * peak of memory, each in a process of its own.
 *
 *     node --import tsx bench/opening.ts [--rounds N] [--folder F] [--only torch,onnx]
 *     node --import tsx bench/opening.ts --model F [--rounds N] [--only transformers,onnx,tensorflow]
 *
 * The file has the shapes of Qwen3-0.6B and random float32; it is made first, and deleted at the end. The learner trains
 * the last decoder layer. `torch` reads with safetensors and copies each tensor into memory of its own, as a model has it.
 *
 * With `--model` it is a published Qwen3-0.6B, one file or shards in any dtype, beside transformers that opens it in float32,
 * as both engines do, and as it is stored. The Python is `SAILWRIGHT_PYTHON`, else `python3`.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { elements, keys, sizes } from '../src/dsl/index.ts'
import { type EngineName, inWorker, pickEngine } from '../src/engine/index.ts'
import { openCheckpoint } from '../src/formats/index.ts'
import { logitsOf, presets, qwen3Model } from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import { crossEntropyTerms, learnerProgram, orThrow, saveWeights, weightKeys } from '../src/train/index.ts'
import { textGraph } from '../src/train/internal.ts'

const { values } = parseArgs({
  options: {
    ...{ rounds: { type: 'string' }, folder: { type: 'string' }, only: { type: 'string' } },
    ...{ model: { type: 'string' } },
    ...{ open: { type: 'string' }, file: { type: 'string' }, thread: { type: 'boolean' } },
  },
})

const preset = presets['qwen3-0.6b']!
if (preset.kind !== 'language') throw new Error('that preset is a language model')
const model = qwen3Model('qwen3-0.6b', preset.config)
const size = { rows: 1, tokens: 32 }
const program = () =>
  learnerProgram({
    ...{ name: 'opening', train: [keys('the last layer', '**.layers.27.**')], optimizer: adamWith() },
    ...{ maxGradientNorm: 1, accumulate: 1 },
    objective: {
      ...{ name: 'loss', config: 'loss', unit: 'nats', model, batch: 1, buckets: [size], collate: () => [] },
      terms: ({ rows, tokens }: { readonly rows: number; readonly tokens: number }) => {
        const x = textGraph(rows, tokens)
        return crossEntropyTerms('vocab', { logits: logitsOf(model, x), labels: x.labels })
      },
    } as never,
  }).program

/** Seconds, processor seconds, and memory in GiB: what the process had before, and its peak. */
interface Told {
  readonly what: string
  readonly wall: number
  readonly cpu: number
  readonly before: number
  readonly peak: number
}

if (values.open !== undefined) {
  const { engine: direct } = await orThrow(pickEngine(values.open as EngineName))
  const engine = values.thread ? inWorker(direct) : direct
  const p = program()
  const memory = (what: 'VmHWM' | 'VmRSS'): number =>
    Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 2 ** 20
  const had = memory('VmRSS')
  const [at, before] = [performance.now(), process.cpuUsage()]
  const file = await orThrow(openCheckpoint(values.file!))
  const session = await orThrow(engine.load(p, { values: file }))
  const { user, system } = process.cpuUsage(before)
  const wall = (performance.now() - at) / 1000
  const peak = memory('VmHWM')
  const what = `${values.open}${values.thread ? ' in a thread' : ''}`
  process.stdout.write(
    JSON.stringify({ what, wall, cpu: (user + system) / 1e6, before: had, peak } satisfies Told),
  )
  await orThrow(session.close())
  process.exit(0)
}

/** Python that opens in its own way, and tells as this file does. */
const python = (what: string, imports: string, opening: string): string => `
import json, sys, time
import torch
${imports}
memory = lambda what: int(next(l for l in open('/proc/self/status') if l.startswith(what)).split()[1]) / 2**20
before, at, cpu = memory('VmRSS'), time.perf_counter(), time.process_time()
${opening}
wall, cpu = time.perf_counter() - at, time.process_time() - cpu
print(json.dumps(dict(what='${what}', wall=wall, cpu=cpu, before=before, peak=memory('VmHWM'))))`

const torch = python(
  'torch',
  'from safetensors import safe_open',
  `weights = {}
with safe_open(sys.argv[1], 'pt') as f:
    for key in f.keys():
        weights[key] = f.get_tensor(key).clone()`,
)

const transformers = (dtype: string): string =>
  python(
    `transformers, ${dtype}`,
    'from transformers import AutoModelForCausalLM',
    `model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype='${dtype}')`,
  )

const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'sailwright-opening-'))
try {
  const file = values.model ?? join(folder, 'model.safetensors')
  const p = program()
  const all = weightKeys(p)
  const noise = Float32Array.from({ length: 2 ** 20 }, () => (Math.random() - 0.5) / 25)
  const source = {
    keys: all,
    shape: (key: string) => sizes(p.states.get(key)!.axes),
    read: (key: string) => {
      const data = new Float32Array(elements(p.states.get(key)!.axes))
      for (let i = 0; i < data.length; i += noise.length) data.set(noise.subarray(0, data.length - i), i)
      return TE.right({ shape: sizes(p.states.get(key)!.axes), dtype: 'float32' as const, data })
    },
  }
  if (values.model === undefined) {
    await orThrow(saveWeights(file, source, { format: 'pt' }))
    process.stdout.write(
      `${all.length} tensors, ${(statSync(file).size / 2 ** 30).toFixed(2)} GiB of float32\n`,
    )
  }
  const self = fileURLToPath(import.meta.url)
  const opening = (engine: string, ...more: readonly string[]) => ({
    name: [engine, ...more].join(' '),
    start: () =>
      spawnSync(process.execPath, ['--import', 'tsx', self, '--open', engine, '--file', file, ...more], {
        encoding: 'utf8',
      }),
  })
  const inPython = (name: string, script: string) => ({
    name,
    start: () =>
      spawnSync(process.env.SAILWRIGHT_PYTHON || 'python3', ['-c', script, file], { encoding: 'utf8' }),
  })
  const base = values.model === undefined ? 'torch' : 'transformers'
  const contenders = [
    ...(values.model === undefined
      ? [inPython('torch', torch)]
      : [
          inPython('transformers', transformers('float32')),
          inPython('transformers as stored', transformers('auto')),
        ]),
    ...[
      opening('onnx'),
      opening('onnx', '--thread'),
      opening('tensorflow'),
      opening('tensorflow', '--thread'),
    ],
  ].filter(({ name }) => values.only === undefined || values.only.split(',').includes(name))
  const told = new Map<string, Told[]>()
  for (let r = 0; r < Number(values.rounds ?? 3); r++)
    for (const { name, start } of contenders) {
      const { status, stdout, stderr } = start()
      if (status !== 0) throw new Error(`${name}: ${stderr}`)
      const one = JSON.parse(stdout) as Told
      told.set(name, [...(told.get(name) ?? []), one])
      const number = (x: number): string => x.toFixed(2).padStart(8)
      process.stdout.write(
        `${one.what.padEnd(24)} ${number(one.wall)} s ${number(one.cpu)} s of processor ${number(one.peak)} GiB at most, ${(one.peak - one.before).toFixed(2)} more than before\n`,
      )
    }
  const least = (name: string, of: 'wall' | 'cpu' | 'peak'): number =>
    Math.min(...told.get(name)!.map((t) => t[of]))
  for (const name of told.keys())
    if (told.has(base) && name !== base)
      process.stdout.write(
        `${name}, its least by that of ${base}: wall ${(least(name, 'wall') / least(base, 'wall')).toFixed(2)}, processor ${(least(name, 'cpu') / least(base, 'cpu')).toFixed(2)}, memory ${(least(name, 'peak') / least(base, 'peak')).toFixed(2)}\n`,
      )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
