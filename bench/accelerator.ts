/**
 * A training step on an accelerator beside PyTorch: three models, two precisions, milliseconds a step, peak of memory,
 * seconds to the first step with nothing kept and again from what was kept.
 *
 *     node --import tsx bench/accelerator.ts [--engine xla] [--cases nano,88m,0.6b] [--rows bfloat16,tf32] [--tiny]
 *         [--python PATH] [--out result.json] [--hold FILE] [--seconds N]
 *
 * Each is a process of its own; `torch.compile` compiles at once, the others wait until the file `--hold` is there, and one
 * measures at a time. Nothing new begins after `--seconds`. All have the same weights, batches and settings, and the losses
 * of the first steps are compared.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { right } from 'fp-ts/lib/Either.js'
import { elements, type Program, sizes } from '../src/dsl/index.ts'
import {
  type EngineName,
  type LoadOptions,
  pickEngine,
  scalarValue,
  tensorValue,
  type WeightSource,
} from '../src/engine/index.ts'
import { type Entry, writeSafetensors } from '../src/formats/index.ts'
import { fillNormal, keyOf } from '../src/random/index.ts'
import { orThrow, weightKeys } from '../src/train/index.ts'
import { type AcceleratorResult, type Measured, type Row, showAccelerator } from './accelerator-result.ts'
import { batchCount, type Case, casesOf, clip, type Feeds, learningRate, optimizer } from './step-cases.ts'

/** First steps whose losses are compared. */
const compared = 6
const blocks = 5
const blockSeconds = 0.3

/** A prime, so that no matrix repeats it row by row. */
const tileSize = 1048573

const makeTile = (): Float32Array => {
  const tile = new Float32Array(tileSize)
  fillNormal(tile, 0.02, keyOf('bench/tile'))
  return tile
}

/** Weights that cost no time to make and no file: vectors are 1 or, as biases, 0; all else is a part of the tile, repeated. */
const weightOf = (tile: Float32Array, key: string, index: number, shape: readonly number[]): Float32Array => {
  const out = new Float32Array(shape.reduce((n, d) => n * d, 1))
  if (shape.length === 1) return out.fill(key.endsWith('bias') ? 0 : 1)
  for (let at = 0, from = (index * 7919) % tile.length; at < out.length; from = 0) {
    const part = tile.subarray(from, from + out.length - at)
    out.set(part, at)
    at += part.length
  }
  return out
}

const weightsOf = (p: Program, tile: Float32Array): WeightSource => {
  const keys = [...weightKeys(p)].sort()
  return {
    keys,
    read: (key) => async () => {
      const shape = sizes(p.states.get(key)!.axes)
      return right(tensorValue('float32', shape, weightOf(tile, key, keys.indexOf(key), shape)))
    },
  }
}

const seconds = (): number => performance.now() / 1000

/** The process of one of our engines. */
const serve = async (name: EngineName, c: Case, precision: string): Promise<void> => {
  const say = (reply: unknown): void => {
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  try {
    const begun = seconds()
    const { engine } = await orThrow(pickEngine(name))
    const library = seconds()
    const program = c.program()
    const built = seconds()
    const feeds = c.batches().map((b): Feeds => ({ ...b, learning_rate: scalarValue(learningRate) }))
    const tile = makeTile()
    const from = seconds()
    const options = { values: weightsOf(program, tile), ...(precision === 'float32' ? {} : { precision }) }
    const session = await orThrow(engine.load(program, options as LoadOptions))
    const loaded = seconds()
    let done = 0
    const step = async (): Promise<number> =>
      Number((await orThrow(session.call('step', feeds[done++ % feeds.length]!))).loss!.data[0])
    const losses = [await step()]
    const first = seconds()
    while (losses.length < compared) losses.push(await step())
    const parts = {
      library: library - begun,
      build: built - library,
      load: loaded - from,
      first: first - loaded,
    }
    const parameters = weightKeys(program).reduce((n, key) => n + elements(program.states.get(key)!.axes), 0)
    say({ type: 'prepared', version: engine.version, seconds: parts, losses, parameters })
    if ((await lines.next()).done) return
    const timed = async (count: number, f: () => Promise<unknown>): Promise<number> => {
      const at = performance.now()
      await f()
      return (performance.now() - at) / count
    }
    const inTurn = (n: number) => async () => {
      for (let i = 0; i < n; i++) await step()
    }
    const atOnce = (n: number) => () => Promise.all(Array.from({ length: n }, step))
    const once = await timed(3, inTurn(3))
    const count = Math.max(3, Math.min(200, Math.round((1000 * blockSeconds) / once)))
    const [each, row]: [number[], number[]] = [[], []]
    for (let i = 0; i < blocks; i++) each.push(await timed(count, inTurn(count)))
    for (let i = 0; i < blocks; i++) row.push(await timed(count, atOnce(count)))
    const peak = engine.memory?.()?.peak
    say({ type: 'measured', count, each, row, ...(peak === undefined ? {} : { peakBytes: peak }) })
    // the one who asked looks at the memory of this process before it ends
    await lines.next()
    await orThrow(session.close())
  } catch (e) {
    say({
      type: 'failed',
      message: e instanceof Error ? e.message : String((e as { message?: string }).message ?? e),
    })
  }
}

/** A started process that answers in lines. */
interface Contender {
  readonly name: string
  readonly pid: number
  /** The next answer, or why there is none; it waits at most so long. */
  readonly reply: (limit: number) => Promise<Record<string, unknown>>
  readonly say: (line: string) => void
  readonly end: () => void
}

const start = (
  name: string,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Contender => {
  const child = spawn(command[0]!, command.slice(1), {
    ...{ stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } },
  })
  let printed = ''
  child.stderr.on('data', (x) => {
    printed = `${printed}${x}`.slice(-3000)
  })
  child.on('error', (e) => {
    printed = e.message
  })
  child.stdin.on('error', () => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<Record<string, unknown>> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) return { type: 'failed', message: `the process ended: ${printed.trim().slice(-600)}` }
      if (value.startsWith('{')) return JSON.parse(value)
      printed = `${printed}${value}\n`.slice(-3000)
    }
  }
  return {
    ...{ name, pid: child.pid ?? 0 },
    reply: async (limit) => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<Record<string, unknown>>((resolve) => {
        timer = setTimeout(
          () =>
            resolve({
              type: 'failed',
              message: `no answer in ${limit.toFixed(0)} s: ${printed.slice(-600)}`,
            }),
          1000 * limit,
        )
      })
      const got = await Promise.race([next(), late])
      clearTimeout(timer)
      return got
    },
    say: (line) => {
      child.stdin.write(`${line}\n`)
    },
    end: () => {
      child.kill('SIGKILL')
    },
  }
}

/** What the driver says that a process holds of the device's memory, in bytes; undefined where it says nothing. */
const deviceBytes = (pid: number): number | undefined => {
  const words = ['--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']
  const { stdout } = spawnSync('nvidia-smi', words, { encoding: 'utf8' })
  const line = (stdout ?? '').split('\n').find((l) => Number(l.split(',')[0]) === pid)
  const mebibytes = Number(line?.split(',')[1])
  return Number.isFinite(mebibytes) ? mebibytes * 2 ** 20 : undefined
}

const measured = async (
  c: Contender,
  prepared: Record<string, unknown>,
  limit: number,
): Promise<Measured> => {
  if (prepared.type !== 'prepared') return { name: c.name, failed: String(prepared.message) }
  c.say('measure')
  const got = await c.reply(limit)
  if (got.type !== 'measured') return { name: c.name, failed: String(got.message) }
  const held = deviceBytes(c.pid)
  return {
    ...{ name: c.name, ...prepared, ...got },
    ...(held === undefined ? {} : { heldBytes: held }),
  } as Measured
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const { values } = parseArgs({
  options: {
    ...{
      serve: { type: 'boolean' },
      engine: { type: 'string' },
      cases: { type: 'string' },
      rows: { type: 'string' },
    },
    ...{
      tiny: { type: 'boolean' },
      python: { type: 'string' },
      out: { type: 'string' },
      hold: { type: 'string' },
    },
    ...{ seconds: { type: 'string' }, torch: { type: 'string' } },
  },
})
const engine = (values.engine ?? 'xla') as EngineName
const all = casesOf(values.tiny === true)
const wanted = values.cases?.split(',') ?? all.map((c) => c.name)
const cases = all.filter((c) => wanted.includes(c.name))
const precisions = values.rows?.split(',') ?? ['bfloat16', 'tf32']

const writeCase = async (folder: string, c: Case): Promise<void> => {
  const entries = c.batches().flatMap((feeds, b) =>
    Object.entries(feeds).map(([key, v]): [string, Entry] => [
      `${b}.${key}`,
      {
        dtype: v.dtype === 'float32' ? 'F32' : 'I32',
        ...{ shape: v.shape, values: v.data as Float32Array | Int32Array },
      },
    ]),
  )
  await orThrow(writeSafetensors(join(folder, `${c.name}.safetensors`), new Map(entries)))
  const { name, kind, config } = c
  const about = {
    name,
    kind,
    config,
    batches: batchCount,
    compared,
    blocks,
    blockSeconds,
    learningRate,
    clip,
    optimizer,
  }
  await writeFile(join(folder, `${name}.json`), JSON.stringify(about))
}

const main = async (): Promise<void> => {
  const until = seconds() + Number(values.seconds ?? 3600)
  const left = (): number => until - seconds()
  const folder = await mkdtemp(join(tmpdir(), 'sailwright-accelerator-'))
  const python = values.python ?? (process.env.SAILWRIGHT_PYTHON || 'python3')
  const script = fileURLToPath(new URL('pytorch/steps.py', import.meta.url))
  const here = fileURLToPath(import.meta.url)
  const tile = makeTile()
  await writeFile(join(folder, 'tile.f32'), new Uint8Array(tile.buffer))
  for (const c of cases) await writeCase(folder, c)

  const torch = (c: Case, how: string, precision: string): Contender =>
    start(`pytorch ${how}`, [python, script, folder, c.name, how, precision], {
      TORCHINDUCTOR_CACHE_DIR: join(folder, `inductor-${c.name}-${precision}`),
      PYTHONDONTWRITEBYTECODE: '1',
    })
  const own = (c: Case, precision: string): Contender =>
    start(
      engine,
      [
        ...[process.execPath, '--import', 'tsx', here, '--serve', '--engine', engine, '--cases', c.name],
        ...['--rows', precision, ...(values.tiny ? ['--tiny'] : [])],
      ],
      // what is kept of one case is of no use to another, and nothing is kept before the first
      { SAILWRIGHT_HOME: join(folder, `kept-${c.name}-${precision}`) },
    )

  const pairs = precisions.flatMap((precision) => cases.map((c) => ({ c, precision })))
  const ways = values.torch?.split(',') ?? ['eager', 'compile']
  const running = new Set<Contender>()
  // what compiles for long begins at once, on other cores than what is measured
  const compiling = new Map(
    pairs.flatMap(({ c, precision }) => {
      if (!ways.includes('compile') || precision !== precisions[0]) return []
      const started = torch(c, 'compile', precision)
      running.add(started)
      return [[`${c.name} ${precision}`, { started, prepared: started.reply(400) }] as const]
    }),
  )
  const rows: Row[] = []
  const report = async (): Promise<void> => {
    const result: AcceleratorResult = { startedAt: new Date().toISOString(), engine, rows }
    if (values.out !== undefined) await writeFile(values.out, JSON.stringify(result, undefined, 1))
  }
  const one = async (c: Contender): Promise<Measured> => {
    running.add(c)
    const m = await measured(c, await c.reply(Math.max(1, left())), Math.max(1, Math.min(60, left())))
    c.end()
    running.delete(c)
    return m
  }
  try {
    while (values.hold !== undefined && !existsSync(values.hold) && left() > 0) await wait(100)
    // nothing is measured while something compiles, unless that takes very long
    const prepared = Promise.all([...compiling.values()].map((c) => c.prepared))
    const patience = 1000 * Math.min(80, Math.max(0, left() / 3))
    // a timer that is left over would hold the process
    await Promise.race([prepared, new Promise((resolve) => setTimeout(resolve, patience).unref())])
    for (const { c, precision } of pairs) {
      const found: Measured[] = []
      const row = { case: c.name, sequences: c.rows, tokens: c.tokens, precision, contenders: found }
      rows.push(row)
      const add = async (m: Measured): Promise<void> => {
        found.push(m)
        process.stdout.write(
          `${showAccelerator({ startedAt: '', engine, rows: [{ ...row, contenders: [m] }] })}\n`,
        )
        await report()
      }
      await mkdir(join(folder, `kept-${c.name}-${precision}`), { recursive: true })
      if (left() > 0) await add(await one(own(c, precision)))
      const again = left() > 0 && found[0]?.failed === undefined ? own(c, precision) : undefined
      if (again !== undefined) {
        running.add(again)
        const { seconds: took } = (await again.reply(Math.max(1, left()))) as {
          seconds?: Record<string, number>
        }
        again.end()
        if (took !== undefined) found[0] = { ...found[0]!, again: took }
        await report()
      }
      if (ways.includes('eager') && left() > 0) await add(await one(torch(c, 'eager', precision)))
      const held = compiling.get(`${c.name} ${precision}`)
      if (held !== undefined) {
        const patience = new Promise<Record<string, unknown>>((resolve) =>
          setTimeout(() => resolve({ message: 'not compiled in time' }), Math.max(1, 1000 * left())).unref(),
        )
        const m = await measured(held.started, await Promise.race([held.prepared, patience]), 60)
        held.started.end()
        await add(m)
      } else if (ways.includes('compile') && left() > 0) await add(await one(torch(c, 'compile', precision)))
    }
  } finally {
    for (const c of running) c.end()
    await rm(folder, { recursive: true, force: true })
  }
  await report()
  const result: AcceleratorResult = { startedAt: new Date().toISOString(), engine, rows }
  process.stdout.write(`\n${showAccelerator(result)}\n`)
}

if (values.serve === true) await serve(engine, cases[0]!, precisions[0]!)
else await main()
