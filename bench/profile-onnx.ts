/**
 * Where the onnx engine's time goes in one training step of nano: by ONNX operation, by operation and shapes, and beside
 * the graph (copies to JavaScript, AdamW). With `--generation`, in one call that adds tokens to a part of 64 rows.
 *
 *     node --import tsx bench/profile-onnx.ts [--generation] [--steps N] [--threads N] [--top N]
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { benchBatches, benchProgram, nanoStep } from '../src/bench/case.ts'
import { processor } from '../src/data/index.ts'
import { clampProgram, optimiseProgram, type Program, program } from '../src/dsl/index.ts'
import { lasting, openSession } from '../src/engine/backend.ts'
import { nativeOptions } from '../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../src/engine/onnx/runtime.ts'
import { onnxBackend, type Runtime } from '../src/engine/onnx/session.ts'
import type { Session } from '../src/engine/session.ts'
import { scalarValue } from '../src/engine/values.ts'
import { decoding, settled, uniforms } from '../src/generation/index.ts'
import { nano, qwen3Model } from '../src/models/index.ts'
import { nanoTokenizer } from '../src/tasks/index.ts'
import { textTable } from '../src/terminal/terminal.ts'
import { orThrow } from '../src/train/task.ts'

const { values } = parseArgs({
  options: {
    ...{ steps: { type: 'string' }, threads: { type: 'string' }, top: { type: 'string' } },
    generation: { type: 'boolean' },
  },
})
const steps = Number(values.steps ?? 10)
const threads = Number(values.threads ?? availableParallelism())
const top = Number(values.top ?? 25)
const warm = 3

/** An event of the runtime's profile, as far as it is read here; `dur` in microseconds. */
interface Event {
  readonly cat: string
  readonly name: string
  readonly dur: number
  readonly ts: number
  readonly args: {
    readonly op_name?: string
    readonly input_type_shape?: readonly Readonly<Record<string, readonly number[]>>[]
  }
}

const { ort, library } = await orThrow(TE.fromEither(loadOnnxRuntime()))
/** The runtime's profile goes to a file in the folder, for each native session one. */
const opened = (p: Program, runtime: Runtime): Promise<Session> =>
  orThrow(
    openSession(
      onnxBackend(
        runtime,
        clampProgram(optimiseProgram(p)),
        { ...nativeOptions(threads), enableProfiling: true, profileFilePrefix: join(folder, 'profile') },
        lasting(p),
      ),
    ),
  )

/** Training steps; answers milliseconds of each. */
const training = async (): Promise<readonly number[]> => {
  const measured = nanoStep(threads)
  const batches = benchBatches(measured)
  const session = await opened(benchProgram(measured), ort as unknown as Runtime)
  const each: number[] = []
  for (let i = 0; i < warm + steps; i++) {
    const at = performance.now()
    const inputs = { ...batches[i % batches.length]!, learning_rate: scalarValue(measured.learningRate) }
    await orThrow(session.call('step', inputs))
    each.push(performance.now() - at)
  }
  await orThrow(session.close())
  return each
}

/** Answers of 64 tokens to 64 prompts of 32; answers milliseconds of each call that adds tokens. */
const generation = async (): Promise<readonly number[]> => {
  const text = processor(nanoTokenizer())
  const model = qwen3Model('profile', nano.language)
  const d = decoding(model, { ...text, end: -1 }, { rows: 64, prompt: 32, capacity: 96 })
  const whole = { ...ort, ...(library === undefined ? {} : { library }) } as unknown as Runtime
  const session = await opened(program({ name: 'profile', functions: d.functions }), whole)
  const ids = Array.from({ length: 32 }, (_, i) => 3 * i)
  const prompt = { id: 'p', ids, lossMask: ids.map(() => false), promptLength: 32, images: [] }
  const asked = Array.from({ length: 64 }, (_, i) => ({ prompt, uniforms: uniforms(0, 'p', i) }))
  const each: number[] = []
  const timed: Session = {
    ...session,
    call: (name, inputs) => async () => {
      const at = performance.now()
      const result = await session.call(name, inputs)()
      if (name === 'extend') each.push(performance.now() - at)
      return result
    },
  }
  while (each.length < warm + steps)
    for await (const _ of d.answers(timed, asked, { sampling: settled({ maxNewTokens: 64 }) }));
  await orThrow(session.close())
  return each
}

const folder = await mkdtemp(join(tmpdir(), 'sailwright-profile-'))
try {
  const each = await (values.generation ? generation() : training())
  const wall = each.slice(warm).reduce((a, b) => a + b, 0) / (each.length - warm)
  const called = values.generation ? 'a call' : 'a step'
  const files = await readdir(folder)
  const profiles = await Promise.all(
    files.map(async (f) => JSON.parse(await readFile(join(folder, f), 'utf8')) as readonly Event[]),
  )
  const runsOf = (p: readonly Event[]): readonly Event[] => p.filter((e) => e.name === 'model_run')
  // a session that is called less often reads prompts
  const events = profiles.reduce((a, b) => (runsOf(b).length > runsOf(a).length ? b : a))
  const all = runsOf(events)
  // parts of the rows are runs of one call
  const runs = all.slice((warm * all.length) / each.length)
  const count = runs.length
  const from = runs[0]!.ts
  const nodes = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time') && e.ts >= from)
  const inside = runs.reduce((s, e) => s + e.dur, 0) / 1000 / count
  const kernels = nodes.reduce((s, e) => s + e.dur, 0) / 1000 / count
  const ms = (x: number): string => x.toFixed(2)
  process.stdout.write(
    `${called} ${ms(wall)} ms: in the graph ${ms(inside)} (kernels ${ms(kernels)}, ${(nodes.length / count).toFixed(0)} nodes), beside it ${ms(wall - inside)}\n`,
  )
  const table = (head: string, key: (e: Event) => string): void => {
    const sums = new Map<string, { ms: number; calls: number }>()
    for (const e of nodes) {
      const had = sums.get(key(e)) ?? { ms: 0, calls: 0 }
      sums.set(key(e), { ms: had.ms + e.dur / 1000 / count, calls: had.calls + 1 / count })
    }
    const rows = [...sums]
      .sort((a, b) => b[1].ms - a[1].ms)
      .slice(0, top)
      .map(([k, s]) => [ms(s.ms), `${((100 * s.ms) / kernels).toFixed(1)} %`, s.calls.toFixed(0), k])
    const columns = [
      ...[`ms ${called}`, 'share', 'calls'].map((h) => ({ head: h, align: 'right' }) as const),
      { head },
    ]
    process.stdout.write(`\n${textTable(columns, rows, { colour: false })}\n`)
  }
  table('operation', (e) => e.args.op_name ?? '?')
  table(
    'operation and shapes of its inputs',
    (e) =>
      `${e.args.op_name} ${(e.args.input_type_shape ?? []).map((s) => `[${Object.values(s)[0]!.join(',')}]`).join(' ')}`,
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
