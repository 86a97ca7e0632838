import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { EMPTY, from, lastValueFrom, toArray } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pythonOf } from '../../src/bench/pytorch.ts'
import {
  type LogFormat,
  type Logged,
  logged,
  type Scalars,
  type Sink,
  sinkOf,
  tensorBoard,
  trackio,
} from '../../src/log/index.ts'
import { advanceClock, atStart } from '../../src/log/scalars.ts'
import { crc32c } from '../../src/log/tensorboard.ts'
import type { RunEvent } from '../../src/run/index.ts'
import type { Experiment } from '../../src/train/index.ts'
import { command, moduleAt } from '../support/program.ts'
import { syntheticEvents } from '../support/synthetic-run.ts'

const python = pythonOf(undefined)
const has = (name: string): boolean => spawnSync(python, ['-c', `import ${name}`]).status === 0
const test = suite('log')
const folders: string[] = []
const folder = (): string => {
  folders.push(mkdtempSync(join(tmpdir(), 'sailwright-log-')))
  return folders.at(-1)!
}
test.after(() => {
  for (const f of folders) rmSync(f, { recursive: true, force: true })
})

const events = syntheticEvents(1, [12, 9])
  .filter((e) => !('stage' in e) || ['align-adapter', 'align-vision'].includes(e.stage))
  .flatMap((e): readonly RunEvent[] =>
    e.type === 'stage-finished'
      ? [
          {
            type: 'measured',
            stage: e.stage,
            family: 'held, "out"',
            value: 0.5 + e.index,
            unit: 'nats',
            weight: 9,
            seconds: 1,
          },
          e,
        ]
      : e.type === 'step' && e.step === 7
        ? [e, { type: 'ada-lrs', stage: e.stage, step: 7, decision: 'Kept', scale: 3, velocity: null }]
        : [e],
  )
const runIn = (at: string, earlier: readonly RunEvent[] = []): Logged => ({
  pathOf: (...parts) => join(at, ...parts),
  earlier,
  startedAt: 1.7e9,
})
const through = (sink: Sink, run: Logged, some: readonly RunEvent[]) =>
  lastValueFrom(from(some).pipe(sink(run), toArray()))

/** Reads an event file back as its format says, checksums and all. */
const root =
  protobuf.parse(`syntax = "proto3"; message Event { double wall_time = 1; int64 step = 2; string file_version = 3;
  Summary summary = 5; SessionLog session_log = 7; } message SessionLog { int32 status = 1; }
  message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }`).root
interface Told {
  readonly wallTime: number
  readonly step: number
  readonly fileVersion?: string
  readonly sessionLog?: { readonly status: number }
  readonly summary?: { readonly value: readonly { readonly tag: string; readonly simpleValue: number }[] }
}
/** As TensorFlow's format of records has it: turned right by 15 bits, and a number added. */
const masked = (bytes: Uint8Array): number => {
  const crc = BigInt(crc32c(bytes))
  return Number(BigInt.asUintN(32, ((crc >> 15n) | (crc << 17n)) + 0xa282ead8n))
}
const readEvents = (at: string): readonly Told[] => {
  const [name, ...more] = readdirSync(join(at, 'tensorboard'))
  assert.is(more.length, 0, 'there is one file')
  assert.match(name!, /^events\.out\.tfevents\.\d+\./)
  const bytes = readFileSync(join(at, 'tensorboard', name!))
  const out: Told[] = []
  for (let i = 0; i < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(i))
    const data = bytes.subarray(i + 12, i + 12 + length)
    // a record: its length, the masked checksum of that, the data, the masked checksum of those
    assert.is(bytes.readUInt32LE(i + 8), masked(bytes.subarray(i, i + 8)))
    assert.is(bytes.readUInt32LE(i + 12 + length), masked(data))
    out.push(
      root.lookupType('Event').toObject(root.lookupType('Event').decode(data), { longs: Number }) as Told,
    )
    i += length + 16
  }
  return out
}
/** `tag@step` → value; fails where one comes twice. */
const scalarsIn = (at: string): ReadonlyMap<string, number> => {
  const all = new Map<string, number>()
  for (const e of readEvents(at))
    for (const { tag, simpleValue } of e.summary?.value ?? []) {
      assert.not(all.has(`${tag}@${e.step}`), `${tag} comes twice at step ${e.step}`)
      all.set(`${tag}@${e.step}`, simpleValue)
    }
  return all
}

test('CRC-32C: published values', () => {
  // RFC 3720, B.4
  const of = (n: number, f: (i: number) => number) => Uint8Array.from({ length: n }, (_, i) => f(i))
  assert.equal(
    [
      of(32, () => 0),
      of(32, () => 255),
      of(32, (i) => i),
      of(32, (i) => 31 - i),
      Buffer.from('123456789'),
    ].map(crc32c),
    [0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c, 0xe3069283],
  )
})

test('steps are counted over the whole run, with the time that was spent', () => {
  let clock = atStart
  const told: Scalars[] = []
  for (const e of events) {
    const next = advanceClock(clock, e)
    clock = next.clock
    if (next.told !== undefined) told.push(next.told)
  }
  const steps = told.filter((s) => 'train/loss' in s.values)
  assert.equal(
    steps.map((s) => s.step),
    Array.from({ length: 21 }, (_, i) => i + 1),
  )
  assert.ok(told.every((s, i) => i === 0 || s.seconds >= told[i - 1]!.seconds))
  assert.equal(
    told.filter((s) => 'eval/held, "out"' in s.values).map((s) => [s.step, s.values['eval/held, "out"']]),
    [
      [12, 0.5],
      [21, 1.5],
    ],
  )
  assert.equal(
    told.filter((s) => 'ada_lrs/scale' in s.values).map((s) => s.step),
    [7, 19],
  )
})

test('what is measured by a start that goes on behind the last step stands at that step', () => {
  const end = events.findIndex((e) => e.type === 'evaluated')
  const begun = events.find((e) => e.type === 'stage-started')!
  let clock = atStart
  for (const e of [...events.slice(0, end), begun]) clock = advanceClock(clock, e).clock
  assert.is(advanceClock(clock, events[end]!).told!.step, 12)
})

for (const [name, sink] of [
  ['tensorboard', tensorBoard],
  ['trackio', trackio],
] as const)
  test(`${name}: events pass unchanged, and a run that was stopped and gone on with leaves what one leaves that was not`, async () => {
    const read = (at: string): unknown =>
      name === 'trackio'
        ? readFileSync(join(at, 'trackio.csv'), 'utf8')
            .trim()
            .split('\n')
            .slice(1)
            .map((l) => l.split(',').sort().join())
            .sort()
        : [...scalarsIn(at)].sort()
    const alone = folder()
    assert.equal(await through(sink, runIn(alone), events), [...events])
    const at = folder()
    const cut = events.findIndex((e) => e.type === 'step' && e.stage === 'align-vision' && e.step === 6)
    const first = events.slice(0, cut + 1)
    await through(sink, runIn(at), first)
    // it goes on from a checkpoint after step 4
    const begun = events.find((e) => e.type === 'stage-started' && e.stage === 'align-vision')!
    const later = events.slice(
      events.findIndex((e) => e.type === 'step' && e.stage === 'align-vision' && e.step === 5),
    )
    await through(sink, runIn(at, first), [begun, ...later])
    assert.equal(read(at), read(alone))
    // of a finished run, all at once
    const after = folder()
    await lastValueFrom(EMPTY.pipe(sink(runIn(after, events)), toArray()))
    assert.equal(read(after), read(alone))
  })

test('tensorboard: version, a start that voids what was read before, values', async () => {
  const at = folder()
  await through(tensorBoard, runIn(at), events)
  const [version, start, first] = readEvents(at)
  assert.equal([version!.fileVersion, start!.sessionLog?.status], ['brain.Event:2', 1])
  const step = events.find((e) => e.type === 'step') as Extract<RunEvent, { type: 'step' }>
  assert.is(first!.step, 1)
  assert.is(first!.wallTime, 1.7e9 + step.seconds)
  assert.is(first!.summary!.value.find((v) => v.tag === 'train/loss')!.simpleValue, Math.fround(step.loss))
})

if (has('tensorboard'))
  test("tensorboard: TensorBoard's own reader finds every number, once", async () => {
    const at = folder()
    const cut = events.findIndex((e) => e.type === 'step' && e.step === 6)
    await through(tensorBoard, runIn(at), events.slice(0, cut + 1))
    await through(
      tensorBoard,
      runIn(at, events.slice(0, cut + 1)),
      events.slice(0, cut + 1).concat(events.slice(cut + 1)),
    )
    const script = `import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'tensors': 0}); a.Reload()
out = {}
for tag in a.Tags()['scalars']:
  for e in a.Scalars(tag): out.setdefault(tag, []).append([e.step, e.value])
print(json.dumps(out))`
    const { stdout, stderr } = spawnSync(python, ['-c', script, join(at, 'tensorboard')], {
      encoding: 'utf8',
    })
    const got = JSON.parse(stdout || `"${stderr}"`) as Record<string, [number, number][]>
    const read = Object.entries(got).flatMap(([tag, all]) =>
      all.map(([step, value]) => [`${tag}@${step}`, value] as const),
    )
    assert.is(read.length, new Set(read.map(([k]) => k)).size)
    assert.equal([...new Map(read)].sort(), [...scalarsIn(at)].sort())
    assert.is(got['train/loss']!.length, 21)
  })
else process.stderr.write(`${python} has no tensorboard: its reader is skipped, the format is tested\n`)

test('trackio: a table as its import reads it; a metric that is new is a column more', async () => {
  const at = folder()
  const some = events.map(
    (e): RunEvent => (e.type === 'step' && e.step === 3 ? { ...e, loss: Number.NaN } : e),
  )
  await through(trackio, runIn(at), some)
  const text = readFileSync(join(at, 'trackio.csv'), 'utf8')
  const [head, ...lines] = text.trim().split('\n')
  assert.match(head!, /^step,timestamp,train\/loss,train\/learning_rate,/)
  assert.match(head!, /,ada_lrs\/scale,eval\/read,.*,"eval\/held, ""out"""$/)
  const columns = head!.split(',').length - 1
  assert.ok(lines.every((l) => l.split(',').length === columns))
  assert.match(lines[0]!, /^1,2023-11-14T22:13:20\.\d{3}Z,\d/)
  assert.match(lines[2]!, /^3,[^,]*,,/)
  if (!has('pandas')) return
  const script = `import sys, pandas
d = pandas.read_csv(sys.argv[1])
for c in d.columns:
  if c != 'timestamp': pandas.to_numeric(d[c], errors='raise')
print(len(d), d['train/loss'].notna().sum(), d['eval/held, "out"'].dropna().tolist())`
  const { stdout, stderr } = spawnSync(python, ['-c', script, join(at, 'trackio.csv')], { encoding: 'utf8' })
  assert.is(stdout.trim(), `${lines.length} 19 [0.5, 1.5]`, stderr)
})

test('marbles: it emits with its source, completes and fails with it, and closes when it is let go', () => {
  const calls: string[] = []
  const kept: LogFormat = {
    name: 'kept',
    begin: (_, all) => {
      calls.push(`begin ${all.length}`)
      return { append: (s) => calls.push(`append ${s.step}`), close: () => calls.push('close') }
    },
  }
  const [s, a, b] = [events[0]!, events[1]!, events[2]!]
  const ran = (act: Parameters<TestScheduler['run']>[0]): readonly string[] => {
    calls.length = 0
    new TestScheduler((got, want) => assert.equal(got, want)).run(act)
    return calls
  }
  const sink = sinkOf(kept)(runIn('/nowhere'))
  const complete = ran(({ cold, expectObservable }) => {
    expectObservable(cold('-s-a-b|', { s, a, b }).pipe(sink)).toBe('-s-a-b|', { s, a, b })
  })
  assert.equal(complete, ['begin 0', 'append 1', 'append 2', 'close'])
  const fails = ran(({ cold, expectObservable }) => {
    expectObservable(cold('-s-#', { s }, 'no more').pipe(sink)).toBe('-s-#', { s }, 'no more')
  })
  assert.is(fails.at(-1), 'close')
  const stopped = ran(({ hot, expectObservable }) => {
    expectObservable(hot('-s-a-b-', { s, a, b }).pipe(sink), '----!').toBe('-s-a-', { s, a })
  })
  assert.equal(stopped, ['begin 0', 'append 1', 'close'])
})

test('a file that cannot be begun is an error before the first event; one that breaks later is told of once', async () => {
  const at = folder()
  writeFileSync(join(at, 'tensorboard'), 'a file, no folder')
  let failed: unknown
  await through(tensorBoard, runIn(at), events).catch((e) => {
    failed = e
  })
  assert.match((failed as Error).message, /EEXIST|ENOTDIR/)
  const broken = sinkOf({
    name: 'broken',
    begin: () => ({
      append: () => {
        throw new Error('the disk is full')
      },
      close: () => undefined,
    }),
  })
  const seen = await through(broken, runIn(at), events)
  assert.equal(
    seen.filter((e) => !events.includes(e)),
    [{ type: 'warned', message: 'broken: no longer written: the disk is full' }],
  )
  assert.equal(
    seen.filter((e) => events.includes(e)),
    [...events],
  )
})

test('one line in an experiment: it is the same run, and its numbers are written where it runs', async () => {
  const at = folder()
  const plain = { name: 'x', recipe: { a: 1 }, run: () => from(events) } as unknown as Experiment
  const own = logged(plain, tensorBoard, trackio)
  assert.equal({ ...own, run: 0 }, { ...plain, run: 0 })
  assert.throws(
    () => logged(plain, tensorBoard, 'trackio' as never),
    /^logged, sinks\[1\]: it is 'trackio'; give a sink/,
  )
  mkdirSync(join(at, 'run'))
  writeFileSync(join(at, 'run', 'manifest.json'), '{ "startedAt": "2026-01-02T03:04:05.000Z" }')
  const { startedAt: _, ...context } = runIn(join(at, 'run'))
  await lastValueFrom(own.run(context as Parameters<Experiment['run']>[0]).pipe(toArray()))
  assert.is(scalarsIn(join(at, 'run')).size > 100, true)
  assert.match(readFileSync(join(at, 'run', 'trackio.csv'), 'utf8'), /\n1,2026-01-02T03:04:05/)
})

test('--log: from the command, and afterwards of a run that is finished', () => {
  const at = join(folder(), 'run')
  const tiny = moduleAt('test/support/experiments/tiny.ts')
  const ran = (...words: readonly string[]) =>
    spawnSync(process.execPath, [...command, 'run', tiny, '--engine', 'onnx', '--out', at, ...words], {
      encoding: 'utf8',
    })
  const first = ran('--log', 'tensorboard')
  assert.is(first.status, 0, first.stderr)
  const losses = [...scalarsIn(at).keys()].filter((k) => k.startsWith('train/loss@'))
  assert.is(losses.length, 24)
  const later = ran('--log', 'trackio', '--log', 'tensorboard')
  assert.is(later.status, 0, later.stderr)
  assert.match(later.stderr, 'this run is finished')
  assert.is(readFileSync(join(at, 'trackio.csv'), 'utf8').trim().split('\n').length, 1 + 24 + 2)
  assert.is(scalarsIn(at).get('eval/read@24'), Math.fround(4 / 5))
  const odd = ran('--log', 'tensorbord')
  assert.is(odd.status, 2)
  assert.match(odd.stderr, /--log is one of tensorboard, trackio, and not 'tensorbord'/)
})

test.run()
