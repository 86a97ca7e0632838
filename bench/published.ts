/**
 * A model of Qwen3-0.6B's shape, written by transformers with random weights: whether logits and greedy text are those of
 * transformers, and what a token of an answer takes, each in a process of its own, in turns.
 *
 *     node --import tsx bench/published.ts [--dtype bfloat16] [--rounds N] [--tokens N] [--threads N] [--only onnx,…]
 *
 * `transformers` computes in float32, `transformers bfloat16` as the file is stored, `onnx stored` with weights in 16 bits
 * and products in float32. The folder is deleted at the end. The Python is `SAILWRIGHT_PYTHON`, else `python3`.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { processor } from '../src/data/index.ts'
import { fixed, program } from '../src/dsl/index.ts'
import { type EngineName, pickEngine, tensorValue, weightsAsStored } from '../src/engine/index.ts'
import { openCheckpoint } from '../src/formats/index.ts'
import { decoding, settled } from '../src/generation/index.ts'
import { logitsOf, presets, qwen3Model } from '../src/models/index.ts'
import { nanoTokenizer } from '../src/tasks/index.ts'
import { orThrow } from '../src/train/index.ts'
import { textGraph } from '../src/train/internal.ts'
import { busy, contender, median, type Round } from './contender.ts'

/** What is asked: the logits behind each of these tokens, into this file; or the tokens that are likeliest behind them. */
type Asked =
  | { readonly logits: readonly number[]; readonly file: string }
  | { readonly answer: readonly number[]; readonly tokens: number }

interface Told extends Round {
  readonly ids: readonly number[]
  readonly tokens: number
}

/** What a process says of itself: how long opening took. */
interface About extends Round {
  readonly version: string
}

const { values } = parseArgs({
  options: {
    ...{ dtype: { type: 'string' }, rounds: { type: 'string' }, tokens: { type: 'string' } },
    ...{ threads: { type: 'string' }, only: { type: 'string' }, serve: { type: 'string' } },
    folder: { type: 'string' },
  },
})

const preset = presets['qwen3-0.6b']!
if (preset.kind !== 'language') throw new Error('that preset is a language model')
const model = qwen3Model('qwen3-0.6b', preset.config)
const tokens = Number(values.tokens ?? 16)
const threads = Number(values.threads ?? availableParallelism())
const ids = Array.from({ length: 24 }, (_, i) => (37 * i + 13) % 400)

/** One engine's process: a line on stdin asks. */
const serve = async (name: string, folder: string): Promise<void> => {
  const say = (reply: unknown): void => {
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  const [engineName, stored] = name.split(' ')
  const { engine: picked } = await orThrow(pickEngine(engineName as EngineName))
  const engine = stored === 'stored' ? await orThrow(TE.fromEither(weightsAsStored(picked))) : picked
  const text = processor(nanoTokenizer())
  // no token ends an answer
  const d = decoding(
    model,
    { ...text, end: -1 },
    { rows: 1, prompt: ids.length, capacity: ids.length + tokens },
  )
  const logits = fixed(() => ({ outputs: { logits: logitsOf(model, textGraph(1, ids.length)) } }))
  const [at, used] = [performance.now(), busy()]
  const file = await orThrow(openCheckpoint(folder))
  const p = program({ name: 'published', functions: { ...d.functions, logits } })
  const session = await orThrow(
    engine.load(p, { values: file, ...(engineName === 'onnx' ? { threads } : {}) }),
  )
  say({ version: engine.version, seconds: (performance.now() - at) / 1000, busySeconds: busy() - used })
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line) as Asked
    const [began, before] = [performance.now(), busy()]
    const found: number[] = []
    if ('logits' in asked) {
      const positions = asked.logits.map((_, i) => i)
      const out = await orThrow(
        session.call('logits', {
          input_ids: tensorValue('int32', [1, ids.length], asked.logits),
          position_ids: tensorValue('int32', [1, ids.length], positions),
        }),
      )
      writeFileSync(asked.file, out.logits!.data)
    } else {
      const { answer } = asked
      const prompt = {
        id: 'text',
        ids: answer,
        lossMask: answer.map(() => false),
        promptLength: answer.length,
        images: [],
      }
      const sampling = settled({ maxNewTokens: asked.tokens, temperature: 0 })
      for await (const a of d.answers(session, [{ prompt, uniforms: () => 0 }], { sampling }))
        found.push(...a.ids)
    }
    say({
      ...{ seconds: (performance.now() - began) / 1000, busySeconds: busy() - before },
      ...{ ids: found, tokens: Math.max(1, found.length) },
    } satisfies Told)
  }
  await orThrow(session.close())
}

const measure = async (): Promise<void> => {
  const dtype = values.dtype ?? 'bfloat16'
  const python = process.env.SAILWRIGHT_PYTHON || 'python3'
  const script = fileURLToPath(new URL('pytorch/published.py', import.meta.url))
  const root = mkdtempSync(join(tmpdir(), 'sailwright-published-'))
  const folder = join(root, 'model')
  try {
    const { status, stderr } = spawnSync(
      python,
      [script, 'write', folder, dtype, JSON.stringify(preset.config)],
      {
        encoding: 'utf8',
      },
    )
    if (status !== 0) throw new Error(`${python} writes no folder: ${stderr}`)
    const own = (name: string): readonly string[] => [
      ...[
        process.execPath,
        '--import',
        'tsx',
        fileURLToPath(import.meta.url),
        '--serve',
        name,
        '--folder',
        folder,
      ],
      ...['--threads', String(threads), '--tokens', String(tokens)],
    ]
    const theirs = (as: string): readonly string[] => [python, script, 'read', folder, as, String(threads)]
    const commands: readonly (readonly [string, readonly string[]])[] = [
      ['transformers', theirs('float32')],
      ['transformers bfloat16', theirs('bfloat16')],
      ['onnx', own('onnx')],
      ['onnx stored', own('onnx stored')],
      ['tensorflow', own('tensorflow')],
    ]
    const chosen = values.only?.split(',') ?? commands.map(([name]) => name)
    const running = []
    for (const [name, command] of commands) {
      const r = chosen.includes(name) ? await contender<Told, About>(name, command, threads) : undefined
      if (r !== undefined) running.push(r)
    }
    const logits = new Map<string, Float32Array>()
    for (const r of running) {
      const file = join(root, r.name)
      await r.round({ logits: ids, file })
      const bytes = readFileSync(file)
      logits.set(r.name, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4))
    }
    const found = new Map<string, Told[]>(running.map((r) => [r.name, []]))
    const asked: Asked = { answer: ids, tokens }
    // the first answer compiles and warms up
    for (const r of running) await r.round(asked)
    for (let i = 0; i < Number(values.rounds ?? 3); i++)
      for (const r of running) found.get(r.name)!.push(await r.round(asked))
    const theirLogits = logits.get('transformers')
    const text = found.get('transformers')?.[0]?.ids
    const largest = theirLogits?.reduce((m, x) => Math.max(m, Math.abs(x)), 0) ?? Number.NaN
    process.stdout.write(`stored in ${dtype}, ${threads} threads, ${tokens} tokens behind ${ids.length}\n`)
    for (const r of running) {
      const rounds = found.get(r.name)!
      const each = (f: (t: Told) => number): string =>
        `${(1000 * Math.min(...rounds.map((t) => f(t) / t.tokens))).toFixed(0)} (median ${(1000 * median(rounds.map((t) => f(t) / t.tokens))).toFixed(0)})`
      const apart = logits
        .get(r.name)!
        .reduce((m, x, i) => Math.max(m, Math.abs(x - (theirLogits?.[i] ?? Number.NaN))), 0)
      const same = text === undefined ? 'unknown' : String(rounds.every((t) => t.ids.join() === text.join()))
      process.stdout.write(
        `  ${r.name.padEnd(22)} opened in ${r.about.seconds.toFixed(1)} s, ${r.about.busySeconds.toFixed(1)} s of processor; a token ${each((t) => t.seconds)} ms, ${each((t) => t.busySeconds)} ms of processor; logits within ${(apart / largest).toExponential(1)} of the largest, text equal: ${same}; ${r.about.version}\n`,
      )
      r.end()
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

if (values.serve === undefined) await measure()
else await serve(values.serve, values.folder!)
