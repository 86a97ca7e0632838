/**
 * Tokens a second of sampling at temperature 1: 64 prompts of 24 to 40 tokens × 64 new tokens, on each engine and by Hugging
 * Face `generate` on the same architecture, each in a process of its own, in turns.
 *
 *     node --import tsx bench/generation.ts [--rounds N] [--tokens N] [--rows N] [--threads N] [--only name,…] [--models nano,wide]
 *     node --import tsx bench/generation.ts --engine xla [--precision bfloat16] [--rows N] [--flags JSON]
 *
 * The second way measures one engine alone, in this process, at nano and at 88 million parameters; `--flags` are flags of XLA
 * by name, for every program.
 */
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { processor } from '../src/data/index.ts'
import { elements, program } from '../src/dsl/index.ts'
import {
  type EngineName,
  type Precision,
  pickEngine,
  type XlaOptions,
  xlaEngine,
} from '../src/engine/index.ts'
import { decoding, settled, uniforms } from '../src/generation/index.ts'
import { isCacheKey, nano, type Qwen3Config, qwen3Model } from '../src/models/index.ts'
import { nanoTokenizer } from '../src/tasks/index.ts'
import { orThrow } from '../src/train/index.ts'
import { busy, contender, median, type Round } from './contender.ts'
import { large, wide } from './models.ts'

interface Case {
  readonly name: string
  readonly config: Qwen3Config
  readonly lengths: readonly number[]
  readonly tokens: number
  readonly threads: number
  readonly precision?: Precision
  /** Of XLA. */
  readonly flags?: XlaOptions['flags']
}

interface Tokens extends Round {
  readonly tokens: number
}

/** What a process says of itself. */
interface About {
  readonly version: string
  readonly parameters: number
}

const models: Readonly<Record<string, Pick<Case, 'name' | 'config'>>> = {
  nano: { name: 'nano, text alone', config: nano.language },
  wide: { name: 'Qwen3 of d 256, 6 layers', config: wide },
  large: { name: 'Qwen3 of d 768, 12 layers', config: large },
}

/** One engine, ready for rounds. */
const opened = async (name: EngineName, c: Case) => {
  const engine =
    c.flags === undefined
      ? (await orThrow(pickEngine(name))).engine
      : await orThrow(xlaEngine({ flags: c.flags }))
  const text = processor(nanoTokenizer())
  const prompt = Math.max(...c.lengths)
  // no token ends an answer, so that every round has the same tokens to write
  const d = decoding(
    qwen3Model('bench', c.config),
    { ...text, end: -1 },
    { rows: c.lengths.length, prompt, capacity: prompt + c.tokens },
  )
  const p = program({ name: 'bench', functions: d.functions })
  const options = {
    ...(name === 'onnx' ? { threads: c.threads } : {}),
    ...(c.precision === undefined ? {} : { precision: c.precision }),
  }
  const session = await orThrow(engine.load(p, options))
  const weights = [...p.states.values()].filter((s) => !isCacheKey(s.key))
  const asked = c.lengths.map((length, i) => {
    const ids = Array.from({ length }, (_, t) => (7 * i + 3 * t) % 400)
    const lossMask = ids.map(() => false)
    return {
      prompt: { id: `${i}`, ids, lossMask, promptLength: length, images: [] },
      uniforms: uniforms(0, `${i}`, 0),
    }
  })
  const sampling = settled({ maxNewTokens: c.tokens })
  return {
    version: engine.version,
    parameters: weights.reduce((n, s) => n + elements(s.axes), 0),
    round: async (): Promise<Tokens> => {
      const [at, used] = [performance.now(), busy()]
      let tokens = 0
      for await (const a of d.answers(session, asked, { sampling })) tokens += a.ids.length
      return { seconds: (performance.now() - at) / 1000, busySeconds: busy() - used, tokens }
    },
    close: () => orThrow(session.close()),
  }
}

/** The process of one engine: a line on stdin asks for a round. */
const serve = async (name: EngineName, c: Case): Promise<void> => {
  const say = (reply: unknown): void => {
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  const { version, parameters, round, close } = await opened(name, c)
  say({ version, parameters })
  for await (const _ of createInterface({ input: process.stdin })) say(await round())
  await close()
}

/** One engine alone, in this process. */
const alone = async (name: EngineName, c: Case, rounds: number): Promise<void> => {
  const start = performance.now()
  const { version, parameters, round, close } = await opened(name, c)
  await round()
  const first = (performance.now() - start) / 1000
  const found: Tokens[] = []
  for (let i = 0; i < rounds; i++) found.push(await round())
  const speed = median(found.map((r) => r.tokens / r.seconds))
  process.stdout.write(
    `${c.name}, ${c.lengths.length} rows × ${c.tokens} tokens, ${c.precision ?? 'float32'}${c.flags === undefined ? '' : `, ${JSON.stringify(c.flags)}`}: ${speed.toFixed(0)} tokens/s (${rounds} rounds; the first, with compiling, ${first.toFixed(1)} s); ${version}, ${parameters} parameters\n`,
  )
  await close()
}

const measure = async (c: Case, rounds: number, only: readonly string[]): Promise<void> => {
  const json = JSON.stringify(c)
  const own = (e: EngineName): readonly string[] => [
    ...[process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url), '--serve', e, '--case', json],
  ]
  const python = process.env.SAILWRIGHT_PYTHON || 'python3'
  const script = fileURLToPath(new URL('pytorch/generation.py', import.meta.url))
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['hugging face', [python, script, json]],
    ['onnx', own('onnx')],
    ['tensorflow', own('tensorflow')],
  ]
  const all = []
  for (const [name, command] of commands)
    if (only.includes(name)) all.push(await contender<Tokens, About>(name, command, c.threads))
  const running = all.flatMap((x) => x ?? [])
  const found = new Map<string, Tokens[]>(running.map((r) => [r.name, []]))
  // the first round compiles and warms up
  for (const r of running) await r.round()
  for (let i = 0; i < rounds; i++) for (const r of running) found.get(r.name)!.push(await r.round())
  const of = (name: string, f: (r: Tokens) => number): number => median(found.get(name)!.map(f))
  const speed = (r: Tokens): number => r.tokens / r.seconds
  const work = (r: Tokens): number => r.tokens / r.busySeconds
  const base = found.has('hugging face') ? 'hugging face' : undefined
  process.stdout.write(`\n${c.name}, ${c.threads} threads, ${rounds} rounds in turns\n`)
  for (const r of running) {
    const times = (f: (r: Tokens) => number): string =>
      base === undefined ? '' : ` (${(of(r.name, f) / of(base, f)).toFixed(2)} ×)`
    process.stdout.write(
      `  ${r.name.padEnd(13)} ${of(r.name, speed).toFixed(0).padStart(6)} tokens/s${times(speed)}, ${of(r.name, work).toFixed(0).padStart(6)} a processor second${times(work)}; ${r.about.version}, ${r.about.parameters} parameters\n`,
    )
    r.end()
  }
}

const { values } = parseArgs({
  options: {
    ...{ serve: { type: 'string' }, case: { type: 'string' }, rounds: { type: 'string' } },
    ...{ tokens: { type: 'string' }, threads: { type: 'string' }, only: { type: 'string' } },
    ...{ engine: { type: 'string' }, precision: { type: 'string' }, rows: { type: 'string' } },
    ...{ models: { type: 'string' }, flags: { type: 'string' } },
  },
})
if (values.serve !== undefined) await serve(values.serve as EngineName, JSON.parse(values.case!) as Case)
else {
  const about = {
    lengths: Array.from({ length: Number(values.rows ?? 64) }, (_, i) => 24 + ((5 * i) % 17)),
    tokens: Number(values.tokens ?? 64),
    threads: Number(values.threads ?? availableParallelism()),
  }
  const how = {
    ...(values.precision === undefined ? {} : { precision: values.precision as Precision }),
    ...(values.flags === undefined ? {} : { flags: JSON.parse(values.flags) as Case['flags'] }),
  }
  if (values.engine !== undefined) {
    for (const m of values.models?.split(',') ?? ['nano', 'large'])
      await alone(
        values.engine as EngineName,
        { ...models[m]!, ...about, ...how },
        Number(values.rounds ?? 5),
      )
    process.exit()
  }
  const only = values.only?.split(',') ?? ['hugging face', 'onnx', 'tensorflow']
  for (const m of values.models?.split(',') ?? ['nano', 'wide'])
    await measure({ ...models[m]!, ...about }, Number(values.rounds ?? 5), only)
}
