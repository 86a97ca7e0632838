/**
 * Where the time of a small step's call goes on a GPU. XLA's command buffer of a program has the addresses of what its kernels
 * read and write; in each call it writes those kernels anew of which an address is another than in the call before. This runs
 * nano's step by the plugin alone, in several ways that differ in which addresses may change, and tells for each the time of a
 * call, the addresses that did change, and what XLA itself says that it wrote anew.
 *
 *     node --import tsx scripts/gpu-check/addresses.ts [--tiny] [--only name,…]
 *
 * Each setting of the client and the compiler is a process of its own; all compile at once and measure in turn.
 */
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { casesOf, learningRate } from '../../bench/step-cases.ts'
import { clampProgram, elements, optimiseProgram, sizes } from '../../src/dsl/index.ts'
import { arrayOf } from '../../src/dsl/internal.ts'
import { foreign } from '../../src/engine/foreign.ts'
import { scalarValue, type TensorValue } from '../../src/engine/index.ts'
import { freshState } from '../../src/engine/values.ts'
import { findPlugin } from '../../src/engine/xla/find.ts'
import { lower } from '../../src/engine/xla/lower.ts'
import { awaitEvent } from '../../src/engine/xla/pjrt/device-array.ts'
import { Client, type DeviceArray, type NamedValue, Plugin } from '../../src/engine/xla/pjrt/index.ts'
import { firstFunction, functionOrder } from '../../src/engine/xla/pjrt/layout.ts'
import { flagsFor, withKnownFlags } from '../../src/engine/xla/session.ts'

/** How the client is opened and the program compiled. */
interface Setting {
  readonly options?: Readonly<Record<string, NamedValue>>
  readonly flags?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Whether a call writes its outputs into the memory of those of an earlier call, which have been read. */
  readonly slots?: boolean
  /** The ways in which calls are made; default all. */
  readonly ways?: readonly string[]
}

const few = ['engine', 'lies', 'lies-freed']

const skip = (mode: string): Setting => ({
  // temporaries at addresses of their own, which needs this allocator (XLA's docs/gpu/command_buffer_va_remapping)
  ...{ options: { allocator: 'vmm' }, flags: { xla_gpu_command_buffer_update_mode: mode } },
  ways: few,
})

const settings: Readonly<Record<string, Setting>> = {
  today: {},
  // what XLA says of each call; saying it takes time
  told: {
    env: {
      ...{ TF_CPP_MIN_LOG_LEVEL: '0' },
      TF_CPP_VMODULE: 'command_buffer_thunk=3,command_executor=1,command_buffer_cmd=1',
    },
  },
  'temporaries-apart': {
    env: { XLA_FLAGS: '--xla_gpu_temp_buffer_use_separate_color=true' },
    flags: { xla_gpu_temp_buffer_use_separate_color: 'true' },
    ways: few,
  },
  slots: { slots: true, ways: few },
  'skip-temp': skip('SKIP_TEMP'),
  'skip-profiled': skip('SKIP_PROFILED'),
  'other-client': { options: { use_tfrt_gpu_client: true }, ways: few },
}

const { values: asked } = parseArgs({
  options: { tiny: { type: 'boolean' }, only: { type: 'string' }, serve: { type: 'string' } },
})
const tiny = asked.tiny === true
const median = (x: readonly number[]): number => [...x].sort((a, b) => a - b)[Math.floor(x.length / 2)]!

/** Functions that the engine has no use for, by their places in the plugin's tables. */
const more = (plugin: Plugin, path: string) => {
  const { open, symbol, call, bytes } = foreign()
  const api = call(symbol(open(path), 'GetPjrtApi'))(0n)
  const word = (at: bigint): bigint => new DataView(bytes(at, 8).buffer).getBigUint64(0, true)
  /** Calls a function with its struct: the words given, then as many that it fills in; these are answered. */
  const ask = (address: bigint, given: readonly bigint[], results: number): readonly bigint[] => {
    const words = new BigUint64Array(2 + given.length + results)
    words.set([BigInt(words.byteLength), 0n, ...given])
    const error = BigInt(call(address)(foreign().address(words)))
    if (error === 0n) return [...words.subarray(2 + given.length)]
    const said = plugin.call('Error_Message', { error })
    throw new Error(plugin.text(said.pointer('message'), said.number('message_size')))
  }
  const base = BigInt(api)
  const pointerOf = word(base + BigInt(firstFunction + 8 * functionOrder.indexOf('Buffer_UnsafePointer')))
  // extensions are a list: size, type, next
  let raw = word(base + 8n)
  while (raw !== 0n && Number(word(raw + 8n) & 0xffffffffn) !== 8) raw = word(raw + 16n)
  const rawFunction = (at: number): bigint => word(raw + BigInt(24 + 8 * at))
  return {
    address: (a: DeviceArray): bigint => ask(pointerOf, [a.pointer], 1)[0]!,
    /** Writes host values into an array where it lies; undefined where the plugin cannot. */
    writer:
      raw === 0n
        ? undefined
        : (a: DeviceArray) => {
            const alias = ask(rawFunction(0), [a.pointer], 1)[0]!
            return {
              write: (v: ArrayBufferView) => {
                const given = [alias, BigInt(foreign().address(v)), 0n, BigInt(v.byteLength)]
                return awaitEvent(plugin, ask(rawFunction(4), given, 1)[0]!)
              },
              close: () => void ask(rawFunction(1), [alias], 0),
            }
          },
  }
}

/** A module whose outputs lie in the memory of as many arguments more, which it takes over. */
const withSlots = (text: string, outputs: number): string => {
  const [, head, args, between, results] = /^([\s\S]*?@main\()(.*?)(\) -> \()(.*)/.exec(text)!
  const types = results!.match(/tensor<[^>]*>/g)!.slice(0, outputs)
  const slots = types.map((t, i) => `%slot${i}: ${t} {tf.aliasing_output = ${i} : i32}`)
  return text.replace(`${head}${args}${between}`, () => `${head}${[args, ...slots].join(', ')}${between}`)
}

/** One setting: compiles, waits for a line, measures. */
const serve = async (name: string): Promise<void> => {
  const { options, flags, slots = false, ways: wanted } = settings[name]!
  const found = findPlugin()
  if (found._tag === 'Left') throw new Error(found.left.join('; '))
  const { path, libraries, options: usual, flags: always } = found.right
  for (const l of libraries) foreign().open(l, true)
  const plugin = new Plugin(path)
  const cuda = Object.keys(usual).length > 0
  const client = await Client.open(plugin, cuda ? { ...usual, ...options } : {}, always)
  const c = casesOf(tiny)[0]!
  const built = clampProgram(optimiseProgram(c.program()))
  const variant = built.functions.get('step')!.at(-1)!
  const made = lower('step', variant, {
    precision: cuda ? 'bfloat16' : 'float32',
    platform: client.platform,
  })
  const given = cuda ? (flags ?? {}) : {}
  const began = performance.now()
  const program = await withKnownFlags(flagsFor(client.platform, variant), given, (f) =>
    client.compile(slots ? withSlots(made.text, made.outputs.length) : made.text, { flags: f }),
  )
  const compiled = (performance.now() - began) / 1000
  const { address, writer } = more(plugin, path)
  const upload = (v: TensorValue, borrowed: boolean): DeviceArray =>
    client.upload(v.data, v.dtype, v.shape, 0, borrowed)
  const states = new Map<string, DeviceArray>()
  for (const spec of built.states.values()) {
    const value = { data: freshState(spec, 0), dtype: spec.dtype, shape: sizes(spec.axes) }
    states.set(spec.key, upload(value as TensorValue, false))
  }
  const feeds = c.batches().map((b) => ({ ...b, learning_rate: scalarValue(learningRate) }))
  const inputs = made.arguments.flatMap((a) => (a.from === 'input' ? [a.name] : []))
  /** Outputs that have been read, for a later call to write into. */
  const read: (readonly DeviceArray[])[] = []
  const emptySlots = (): readonly DeviceArray[] =>
    made.outputs.map((o) => {
      const { dtype, axes } = variant.outputs[o]!
      return upload(
        { data: new arrayOf[dtype](elements(axes)), dtype, shape: sizes(axes) } as TensorValue,
        false,
      )
    })
  const batchOf = (n: number): readonly TensorValue[] => {
    const feed: Readonly<Record<string, TensorValue>> = feeds[n % feeds.length]!
    return inputs.map((i) => feed[i]!)
  }

  /** What calls cost and which addresses they had, of inputs, outputs and states. */
  let host = { upload: 0, execute: 0 }
  let seen: (readonly bigint[])[][] | undefined
  const call = (batch: readonly DeviceArray[]): readonly DeviceArray[] => {
    let next = 0
    const given = made.arguments.map((a) => (a.from === 'state' ? states.get(a.key)! : batch[next++]!))
    if (slots) given.push(...(read.pop() ?? emptySlots()))
    const at = seen && [batch.map(address)]
    const start = performance.now()
    const results = program.execute(given)
    host.execute += performance.now() - start
    const outputs = results.slice(0, made.outputs.length)
    made.next.forEach((key, i) => {
      states.get(key)!.close()
      states.set(key, results[outputs.length + i]!)
    })
    at?.push(
      outputs.map(address),
      made.next.map((key) => address(states.get(key)!)),
    )
    if (at !== undefined) seen!.push(at)
    return outputs
  }
  const sent = (n: number): readonly DeviceArray[] => {
    const start = performance.now()
    const batch = batchOf(n).map((v) => upload(v, true))
    host.upload += performance.now() - start
    return batch
  }
  const close = (arrays: readonly DeviceArray[]): void => {
    for (const a of arrays) a.close()
  }
  const freed = (outputs: readonly DeviceArray[]): void => {
    if (slots) read.push(outputs)
    else close(outputs)
  }
  const reading = async (outputs: readonly DeviceArray[]): Promise<void> => {
    await Promise.all(outputs.map((o) => o.read()))
    freed(outputs)
  }

  /** Calls a batch at a time, of which at most so many are under way; outputs are read, or freed at once but for the last. */
  const calls = async (
    count: number,
    ahead: number,
    batch: (n: number) => readonly DeviceArray[],
    after: (batch: readonly DeviceArray[]) => void,
    outputsRead: boolean,
  ): Promise<void> => {
    const underWay = new Set<Promise<void>>()
    for (let n = 0; n < count; n++) {
      while (underWay.size >= ahead) await Promise.race(underWay)
      const lies = batch(n)
      const outputs = call(lies)
      after(lies)
      if (!outputsRead && n + 1 < count) freed(outputs)
      else {
        const coming = reading(outputs)
        underWay.add(coming)
        coming.finally(() => underWay.delete(coming))
      }
    }
    await Promise.all(underWay)
  }
  const nothing = (): void => undefined
  const withOneBatch = async (f: (batch: readonly DeviceArray[]) => Promise<void>): Promise<void> => {
    const batch = sent(0)
    await f(batch)
    close(batch)
  }

  const ways: Readonly<Record<string, (count: number) => Promise<void>>> = {
    // uploaded while calls before it run, freed behind the call; outputs are read as they come
    engine: (n) => calls(n, 4, sent, close, true),
    // nothing is under way when a batch is uploaded
    alone: (n) => calls(n, 1, sent, close, true),
    freed: (n) => calls(n, 4, sent, close, false),
    // the same batch again and again
    lies: (n) => withOneBatch((batch) => calls(n, 4, () => batch, nothing, true)),
    'lies-freed': (n) => withOneBatch((batch) => calls(n, 4, () => batch, nothing, false)),
    ...(writer === undefined
      ? {}
      : {
          // each batch into the same memory, when the call before has ended
          written: (n: number) =>
            withOneBatch(async (batch) => {
              const into = batch.map(writer)
              for (let i = 0; i < n; i++) {
                await Promise.all(batchOf(i).map((v, j) => into[j]!.write(v.data)))
                await reading(call(batch))
              }
              for (const w of into) w.close()
            }),
        }),
  }
  const chosen = Object.entries(ways).filter(([way]) => wanted === undefined || wanted.includes(way))
  await ways.engine!(4)
  process.stdout.write(`${JSON.stringify({ ready: compiled })}\n`)
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  if ((await lines.next()).done) return
  const [blocks, count] = [3, tiny ? 4 : 40]
  for (const [way, run] of chosen) {
    writeSync(2, `\n<<< ${way}\n`)
    if (name === 'told') {
      await run(12)
      continue
    }
    await run(4)
    const each: number[] = []
    host = { upload: 0, execute: 0 }
    for (let b = 0; b < blocks; b++) {
      const at = performance.now()
      await run(count)
      each.push((performance.now() - at) / count)
    }
    const per = (ms: number): number => ms / (blocks * count)
    const took = { ms: median(each), upload: per(host.upload), execute: per(host.execute) }
    let changed: readonly number[] | string
    try {
      seen = []
      await run(12)
      // of the last eight calls how many had an address that the one before had not
      changed = [0, 1, 2].map(
        (kind) =>
          seen!.slice(-8).filter((at, i) => at[kind]!.join() !== seen!.slice(-9)[i]![kind]!.join()).length,
      )
    } catch (e) {
      changed = e instanceof Error ? e.message : String(e)
    }
    seen = undefined
    process.stdout.write(`${JSON.stringify({ way, ...took, changed })}\n`)
  }
  for (const s of [...states.values(), ...read.flat()]) s.close()
  program.close()
  process.stdout.write(`${JSON.stringify({ end: client.liveArrays })}\n`)
  await client.close()
  process.exit(0)
}

/** What XLA's log says of the calls of a way: kernels that it wrote anew, allocations whose addresses changed. */
const said = (log: string): string => {
  const numbers = (pattern: RegExp): readonly number[] => [...log.matchAll(pattern)].map((m) => Number(m[1]))
  const updates = numbers(/updated_allocs=(\d+)/g)
  const took = numbers(/Updated command buffer in (\d+)/g)
  const [commands, skipped] = [numbers(/Updated (\d+) commands in/g), numbers(/skipped (\d+) command/g)]
  if (updates.length + took.length === 0)
    return `the log speaks of no update; its end: ${JSON.stringify(log.slice(-300))}`
  return `${updates.length} of 12 calls wrote it anew; median of allocations that changed ${median(updates)}, of commands ${median(commands)} (left as they were ${median(skipped)}), of microseconds ${median(took)}`
}

const main = async (): Promise<void> => {
  const names = asked.only?.split(',') ?? Object.keys(settings)
  const tell = (line: string): boolean => process.stdout.write(`${line}\n`)
  const children = names.map((name) => {
    const words = [fileURLToPath(import.meta.url), '--serve', name, ...(tiny ? ['--tiny'] : [])]
    const child = spawn(process.execPath, ['--import', 'tsx', ...words], {
      ...{ stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...settings[name]?.env } },
    })
    let log = ''
    child.stderr.on('data', (x) => {
      log += x
    })
    child.stdin.on('error', () => undefined)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const answer = async (): Promise<Record<string, unknown> | undefined> => {
      const { value, done } = await lines.next()
      return done ? undefined : value.startsWith('{') ? JSON.parse(value) : answer()
    }
    return { name, child, answer, log: () => log }
  })
  let failed = false
  // what compiles would be measured with what runs
  const compiled = new Map<string, unknown>()
  for (const { name, answer } of children) compiled.set(name, (await answer())?.ready)
  for (const { name, child, answer, log } of children) {
    if (compiled.get(name) !== undefined)
      tell(`${name}: compiled in ${Number(compiled.get(name)).toFixed(1)} s`)
    child.stdin.write('go\n')
    let ended = false
    for (let a = await answer(); a !== undefined; a = await answer()) {
      if (a?.way !== undefined) {
        const ms = (key: string): string => Number(a![key]).toFixed(2)
        const changed = Array.isArray(a.changed)
          ? `of 8 calls other addresses than before: inputs ${a.changed[0]}, outputs ${a.changed[1]}, states ${a.changed[2]}`
          : a.changed
        tell(
          `${name}, ${a.way}: ${ms('ms')} ms a call (Execute ${ms('execute')}, uploads ${ms('upload')}); ${changed}`,
        )
      }
      if (a?.end !== undefined) ended = true
    }
    const parts = log().split(/^<<< (\S+)$/m)
    if (name === 'told')
      for (let i = 1; i < parts.length; i += 2) tell(`${name}, ${parts[i]}: ${said(parts[i + 1]!)}`)
    if (!ended) {
      failed ||= name === 'today'
      tell(`${name}: it ended: ${log().trim().slice(-400)}`)
    }
    child.kill()
  }
  process.exit(failed ? 1 : 0)
}

await (asked.serve === undefined ? main() : serve(asked.serve))
