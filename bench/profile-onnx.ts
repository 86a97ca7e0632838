/**
 * Where the onnx engine's time goes in one training step of nano: by ONNX operation, by operation and shapes, and beside
 * the graph (copies to JavaScript, AdamW).
 *
 *     node --import tsx bench/profile-onnx.ts [--steps N] [--threads N] [--top N]
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { benchBatches, benchProgram, nanoStep } from '../src/bench/case.ts'
import { optimiseProgram } from '../src/dsl/passes/index.ts'
import { openSession } from '../src/engine/backend.ts'
import { nativeOptions } from '../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../src/engine/onnx/runtime.ts'
import { onnxBackend, type Runtime } from '../src/engine/onnx/session.ts'
import { scalarValue } from '../src/engine/values.ts'
import { textTable } from '../src/terminal/terminal.ts'
import { orThrow } from '../src/train/task.ts'

const { values } = parseArgs({
  options: { steps: { type: 'string' }, threads: { type: 'string' }, top: { type: 'string' } },
})
const steps = Number(values.steps ?? 10)
const threads = Number(values.threads ?? availableParallelism())
const top = Number(values.top ?? 25)

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

const { ort } = await orThrow(TE.fromEither(loadOnnxRuntime()))
const folder = await mkdtemp(join(tmpdir(), 'sailwright-profile-'))
try {
  const measured = nanoStep(threads)
  const batches = benchBatches(measured)
  const backend = onnxBackend(ort as unknown as Runtime, optimiseProgram(benchProgram(measured)), {
    ...nativeOptions(threads),
    enableProfiling: true,
    profileFilePrefix: join(folder, 'profile'),
  })
  const session = await orThrow(openSession(backend))
  const warm = 3
  let wall = 0
  for (let i = 0; i < warm + steps; i++) {
    const at = performance.now()
    await orThrow(
      session.call('step', {
        ...batches[i % batches.length]!,
        learning_rate: scalarValue(measured.learningRate),
      }),
    )
    if (i >= warm) wall += performance.now() - at
  }
  await orThrow(session.close())
  const [file] = await readdir(folder)
  const events = JSON.parse(await readFile(join(folder, file!), 'utf8')) as readonly Event[]
  const runs = events.filter((e) => e.name === 'model_run').slice(warm)
  const from = runs[0]!.ts
  const nodes = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time') && e.ts >= from)
  const inside = runs.reduce((s, e) => s + e.dur, 0) / 1000 / steps
  const kernels = nodes.reduce((s, e) => s + e.dur, 0) / 1000 / steps
  const ms = (x: number): string => x.toFixed(2)
  process.stdout.write(
    `a step ${ms(wall / steps)} ms: in the graph ${ms(inside)} (kernels ${ms(kernels)}, ${nodes.length / steps} nodes), beside it ${ms(wall / steps - inside)}\n`,
  )
  const table = (head: string, key: (e: Event) => string): void => {
    const sums = new Map<string, { ms: number; calls: number }>()
    for (const e of nodes) {
      const had = sums.get(key(e)) ?? { ms: 0, calls: 0 }
      sums.set(key(e), { ms: had.ms + e.dur / 1000 / steps, calls: had.calls + 1 / steps })
    }
    const rows = [...sums]
      .sort((a, b) => b[1].ms - a[1].ms)
      .slice(0, top)
      .map(([k, s]) => [ms(s.ms), `${((100 * s.ms) / kernels).toFixed(1)} %`, s.calls.toFixed(0), k])
    const columns = [
      ...['ms a step', 'share', 'calls'].map((h) => ({ head: h, align: 'right' }) as const),
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
