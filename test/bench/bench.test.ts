import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { lastValueFrom, toArray } from 'rxjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { agreement } from '../../src/bench/agreement.ts'
import {
  type BenchCase,
  benchBatches,
  benchProgram,
  packOf,
  readCase,
  writeCase,
} from '../../src/bench/case.ts'
import {
  allAgree,
  type BenchResult,
  markdownBench,
  measureInTurns,
  showBench,
} from '../../src/bench/index.ts'
import { type Contender, engineContender } from '../../src/bench/participant.ts'
import { replyIn } from '../../src/bench/protocol.ts'
import { pythonOf, pytorchContenders, pytorchEager } from '../../src/bench/pytorch.ts'
import { type Finished, quietRounds, ratioTo, spread, summedUp } from '../../src/bench/result.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { loadWeights, readWeights } from '../../src/train/weights.ts'
import { until } from '../support/until.ts'

/** A model of a few thousand parameters with grouped queries and a head of its own. */
const tiny: BenchCase = {
  model: {
    name: 'tiny',
    config: {
      vision: {
        ...{ imageSize: 112, patchSize: 14, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 2 },
        epsilon: 1e-5,
      },
      language: {
        ...{ vocabSize: 512, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4, kvHeads: 2 },
        ...{ headDim: 6, ropeTheta: 1e4, epsilon: 1e-6, tied: false },
      },
    },
  },
  ...{ batch: 2, length: 96, batches: 2, seed: 3, learningRate: 1e-3, clip: 0.5, threads: 1 },
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1 },
}

const folder = mkdtempSync(join(tmpdir(), 'sailwright-bench-test-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

interface Fake {
  /** Milliseconds a block. */
  readonly ms?: number
  /** Processor time that it says it used in a block. */
  readonly busySeconds?: number
  /** The loss of every step. */
  readonly loss?: number
  /** The block at which it dies; the warm-up is block 0. */
  readonly diesIn?: number
}

/** A process that speaks the protocol, computes nothing, and notes when it worked. */
const fake = (
  name: string,
  own: boolean,
  { ms = 20, busySeconds = 0.5, loss = 2, diesIn = -1 }: Fake = {},
): Contender => ({
  name,
  own,
  command: [
    process.execPath,
    '-e',
    `const { appendFileSync } = require('node:fs')
     const say = (x) => console.log(JSON.stringify(x))
     const note = (what) => appendFileSync(${JSON.stringify(join(folder, 'log'))}, ${JSON.stringify(name)} + ' ' + what + ' ' + process.pid + '\\n')
     console.log('a line of some library')
     say({ type: 'ready', version: '1.0', seconds: 0.5 })
     let block = 0
     require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
       const r = JSON.parse(line)
       if (r.type === 'prepare') say({ type: 'prepared', seconds: 3, parts: { build: 1, firstCall: 2 }, loss: ${loss}, gradientNorm: 1 })
       else if (r.type === 'end') { say({ type: 'ended', peakBytes: 2 ** 20 }); process.exit(0) }
       else {
         if (block++ === ${diesIn}) { console.error('out of luck'); process.exit(3) }
         note('begin')
         setTimeout(() => {
           note('end')
           const of = (x) => Array(r.count).fill(x)
           say({ type: 'stepped', seconds: ${ms} / 1000, busySeconds: ${busySeconds}, losses: of(${loss}), gradientNorms: of(1), idle: { seconds: 1, busySeconds: ${name === 'spins' ? 0.5 : 0} } })
         }, ${ms})
       }
     })`,
  ],
})

const measured = async (contenders: readonly Contender[], rounds = 2): Promise<BenchResult> => {
  rmSync(join(folder, 'log'), { force: true })
  const last = await lastValueFrom(
    measureInTurns({ case: tiny, contenders: () => contenders, rounds, steps: 5, warmUp: 1, rest: 1 }),
  )
  if (last.type !== 'finished') throw new Error(`it ended with ${last.type}`)
  return last.result
}

const plain = { colour: false }

test('blocks take turns and never overlap', async () => {
  const r = await measured([fake('a', true), fake('b', true), fake(pytorchEager, false, { ms: 40 })], 3)
  const log = readFileSync(join(folder, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((l) => l.replace(/ \d+$/, ''))
  const turn = ['a', 'b', pytorchEager].flatMap((n) => [`${n} begin`, `${n} end`])
  assert.equal(log, [...turn, ...turn, ...turn, ...turn], 'a warm-up each, then three rounds')
  const [a, , eager] = r.contenders
  assert.is(a?.status === 'measured' && a.blocks.length, 3)
  // 5 steps of 2 sequences in 20 ms and in 40 ms
  assert.equal(a?.status === 'measured' && a.samplesPerSecond, { median: 500, min: 500, max: 500 })
  assert.equal(a?.status === 'measured' && a.ratio, { median: 2, min: 2, max: 2 })
  assert.equal(eager?.status === 'measured' && eager.ratio, { median: 1, min: 1, max: 1 })
  assert.is(a?.status === 'measured' && a.firstStep.seconds, 3)
  assert.ok(allAgree(r))
  const table = showBench(r, plain)
  assert.match(
    table,
    /a +500 +\(500–500\) +2\.00 +\(2\.00–2\.00\) +0\.10 s +1 MiB +3\.0 s +build 1\.0 s, first call 2\.0 s/,
  )
  assert.not.match(table, /No ratio|not its turn/)
})

test('no ratio where PyTorch computes something else', async () => {
  const r = await measured([fake('a', true), fake(pytorchEager, false, { loss: 2.0003 })])
  assert.ok(r.contenders.every((c) => c.status === 'measured' && c.ratio === undefined))
  assert.not.ok(allAgree(r))
  for (const text of [showBench(r, plain), markdownBench(r)])
    assert.match(
      text,
      /pytorch eager does not compute what a computes: the loss of step 1 differs by 1\.5e-4 .*No ratio/,
    )
})

test('no ratio for the one that differs, ratios for the others', async () => {
  const r = await measured([fake('a', true), fake('b', true, { loss: 3 }), fake(pytorchEager, false)])
  assert.equal(
    r.contenders.map((c) => c.status === 'measured' && c.ratio !== undefined),
    [true, false, true],
  )
})

test('one that is absent or dies is named with its last words, and the others go on', async () => {
  const none: Contender = { name: 'none', own: false, command: ['no-such-program-here'] }
  const early: Contender = {
    name: 'early',
    own: false,
    command: [process.execPath, '-e', "console.error('no module'); process.exit(1)"],
  }
  const r = await measured([none, early, fake('dies', true, { diesIn: 2 }), fake('a', true)], 3)
  assert.equal(
    r.contenders.map((c) => [c.name, c.status]),
    [
      ['none', 'absent'],
      ['early', 'absent'],
      ['dies', 'failed'],
      ['a', 'measured'],
    ],
  )
  const text = showBench(r, plain)
  assert.match(text, /none is not here: there is no program 'no-such-program-here'/)
  assert.match(text, /early is not here: the process ended with code 1:\nno module/)
  assert.match(
    text,
    /dies is not measured: it failed: in round 2: the process ended with code 3:\na line of some library\nout of luck/,
  )
  assert.is(r.contenders[3]?.status === 'measured' && r.contenders[3].blocks.length, 3)
})

test('a process that does not sleep while it waits is told of', async () => {
  const r = await measured([fake('spins', true), fake('a', true)])
  assert.match(showBench(r, plain), /spins used 50 % of a core while it was not its turn/)
  assert.not.match(showBench(r, plain), /a used/)
})

test('unsubscribing ends every process and leaves no folder', async () => {
  rmSync(join(folder, 'log'), { force: true })
  let work = ''
  const source = measureInTurns({
    case: tiny,
    contenders: (at) => {
      work = at
      return [fake('a', true, { ms: 10 }), fake('b', true, { ms: 10_000 })]
    },
    rounds: 50,
    steps: 1,
    warmUp: 1,
    rest: 1,
  })
  const subscription = source.subscribe()
  const pids = (): number[] =>
    existsSync(join(folder, 'log'))
      ? [...readFileSync(join(folder, 'log'), 'utf8').matchAll(/begin (\d+)/g)].map((m) => Number(m[1]))
      : []
  const lives = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }
  await until(() => new Set(pids()).size >= 2)
  const started = [...new Set(pids())]
  subscription.unsubscribe()
  await until(() => started.every((pid) => !lives(pid)))
  await until(() => work !== '' && !existsSync(work))
})

test('what a library prints is no reply', () => {
  for (const line of ['', 'hello', '{', '{"type":"ready"}', '[1]', '{"type":"ended","peakBytes":"7"}'])
    assert.is(replyIn(line), undefined, line)
  assert.equal(replyIn('{"type":"ended","peakBytes":7}'), { type: 'ended', peakBytes: 7 })
})

test('medians and ratios', () => {
  assert.equal(spread([3, 1, 2]), { median: 2, min: 1, max: 3 })
  assert.equal(spread([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 })
  assert.throws(() => spread([]), /nothing was measured/)
  assert.equal(ratioTo([1, 2, 4], [2, 8, 4]), { median: 2, min: 1, max: 4 })
  assert.is(ratioTo([], []), undefined)
  const speeds = fc.array(fc.double({ min: 1, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(speeds, fc.double({ min: 0.1, max: 10, noNaN: true }), (base, k) => {
      // whatever happens to both alike in a round leaves the ratio as it is
      const r = ratioTo(
        base,
        base.map((x) => x * k),
      )!
      assert.ok(Math.abs(r.median / k - 1) < 1e-12 && Math.abs(r.min / k - 1) < 1e-12)
      const s = spread(base)
      assert.ok(base.filter((x) => x <= s.median).length * 2 >= base.length)
      assert.ok(base.filter((x) => x >= s.median).length * 2 >= base.length)
    }),
  )
})

test('rounds that other programs disturbed are left out where enough are quiet', () => {
  const of = (name: string, speeds: number[], others: number[]): Finished => ({
    ...{ name, version: '1', peakBytes: 1, libraryLoaded: 1, idleLoad: 0 },
    firstStep: { seconds: 1, parts: {} },
    blocks: speeds.map((samplesPerSecond, i) => ({
      samplesPerSecond,
      processorSeconds: 1 / samplesPerSecond,
      others: others[i]!,
    })),
  })
  const a = of('a', [10, 20, 30, 40, 50], [0, 0.1, 1, 0, 0])
  const b = of('b', [5, 10, 10, 10, 10], [0, 0, 0, 0.2, 0])
  assert.equal(quietRounds([a.blocks, b.blocks]), [0, 1, 4])
  const enough = summedUp([a, b], 'b', () => true)
  assert.equal([enough.rounds, enough.quiet, enough.counted], [5, 3, 3])
  assert.equal(enough.measured[0]!.samplesPerSecond, { median: 20, min: 10, max: 50 })
  assert.equal(enough.measured[0]!.ratio, { median: 2, min: 2, max: 5 })
  const few = summedUp([a, of('b', [5, 10, 10, 10, 10], [1, 0, 0, 0.2, 0])], 'b', () => true)
  assert.equal([few.quiet, few.counted], [2, 5])
  assert.equal(few.measured[0]!.samplesPerSecond, { median: 30, min: 10, max: 50 })
  assert.equal(
    summedUp([a, b], 'b', (n) => n !== 'b').measured.map((m) => m.ratio),
    [undefined, undefined],
  )
  assert.equal(summedUp([], 'b', () => true).measured, [])
})

test('it goes on until enough rounds are quiet, and no longer than it was told', async () => {
  // a contender that says it used no processor time: all that the machine does is others' doing
  const loud = fake('loud', true, { ms: 60, busySeconds: 0 })
  const spin = setInterval(() => {
    for (const end = performance.now() + 50; performance.now() < end; );
  }, 1)
  const last = await lastValueFrom(
    measureInTurns({
      ...{ case: tiny, contenders: () => [loud], rounds: 1, steps: 1, warmUp: 1, rest: 1, patience: 2 },
    }),
  ).finally(() => clearInterval(spin))
  if (last.type !== 'finished') throw new Error(`it ended with ${last.type}`)
  assert.ok(last.result.rounds > 1 && last.result.rounds <= 35, `${last.result.rounds} rounds`)
  assert.is(last.result.quiet, 0)
  assert.match(showBench(last.result, plain), /The machine was busy: other programs used [0-9.]+ cores/)
})

test('agreement looks at every step, and not a number agrees with nothing', () => {
  const of = (losses: number[], norm = 1) => ({ name: 'x', losses, gradientNorms: [norm] })
  const reference = of([1, 2, 3])
  assert.ok(agreement(reference, of([1.00009, 2, 3])).agrees)
  const last = agreement(reference, of([1, 2, 3.0004]))
  assert.is(last.loss.step, 3)
  assert.not.ok(last.agrees)
  for (const other of [
    of([1, Number.NaN, 3]),
    of([1, 2]),
    of([1, 2, 3], Number.NaN),
    of([1, 2, 3], 1.002),
    of([1, 2, 3], Number.POSITIVE_INFINITY),
  ])
    assert.not.ok(agreement(reference, other).agrees)
})

test('a case read back is the case: batches bit for bit, weights those of a fresh session', async () => {
  const at = mkdtempSync(join(folder, 'case-'))
  await writeCase(at, tiny)
  const back = await readCase(at)
  assert.equal(back.case, tiny)
  assert.equal(back.batches, benchBatches(tiny))
  const labels = back.batches[0]!.labels!
  assert.ok(labels.data.some((x) => x !== -100))
  assert.not.equal(back.batches[0], back.batches[1])
  const engine = await orThrow(onnxEngine())
  const session = await orThrow(engine.load(benchProgram(tiny), { seed: tiny.seed }))
  const fresh = await orThrow(readWeights(session))
  await orThrow(session.close())
  assert.equal(await orThrow(loadWeights(join(at, 'weights.safetensors'))), fresh)
})

test('the onnx engine is measured in a process of its own', async () => {
  const events = await lastValueFrom(
    measureInTurns({
      contenders: () => [engineContender('onnx', 1), engineContender('onnx', 1, { packed: true })],
      ...{ case: tiny, rounds: 1, steps: 2, rest: 1 },
    }).pipe(toArray()),
  )
  const last = events.at(-1)
  const one = last?.type === 'finished' ? last.result.contenders[0] : undefined
  assert.is(one?.status, 'measured', JSON.stringify(one))
  if (one?.status !== 'measured') return
  assert.match(one.version, /^onnxruntime-node/)
  assert.equal(Object.keys(one.firstStep.parts), ['build', 'load', 'firstCall'])
  const parts = Object.values(one.firstStep.parts).reduce((a, b) => a + b, 0)
  assert.ok(Math.abs(parts - one.firstStep.seconds) < 1e-6)
  assert.ok(one.peakBytes > 30 * 2 ** 20 && one.peakBytes < 2 * 2 ** 30, `${one.peakBytes} bytes`)
  assert.equal(
    events.map((e) => e.type),
    ['starting', 'prepared', 'starting', 'prepared', 'compared', 'block', 'block', 'finished'],
  )
  // packed rows give the same losses and the same gradient
  assert.equal(last?.type === 'finished' ? last.result.agreements.map((a) => [a.name, a.agrees]) : [], [
    ['onnx packed', true],
  ])
})

test('packed: all samples of a batch, in rows that none is too long for, and fewer of them', () => {
  const c = { ...tiny, batch: 8 }
  const { rows } = packOf(c, 0)
  const [padded] = benchBatches(c)
  assert.is(rows.flat().length, 8)
  assert.ok(rows.length < 8 && rows.every((r) => r.reduce((n, x) => n + x.ids.length, 0) <= c.length))
  const learnt = (labels: ArrayLike<number | bigint>): number =>
    Array.from(labels).filter((x) => Number(x) !== -100).length
  const [packed] = benchBatches({ ...c, packed: true })
  assert.is(learnt(packed!.labels!.data), learnt(padded!.labels!.data))
})

const python = pythonOf(undefined)
const hasTorch = spawnSync(python, ['-c', 'import torch']).status === 0

if (hasTorch)
  test('PyTorch computes what the onnx engine computes', async () => {
    const r = await lastValueFrom(
      measureInTurns({
        case: tiny,
        contenders: (at) => [engineContender('onnx', 1), pytorchContenders(python, at)[0]!],
        rounds: 1,
        steps: 1,
        rest: 1,
      }),
    )
    if (r.type !== 'finished') throw new Error(`it ended with ${r.type}`)
    assert.is(r.result.agreements.length, 1, showBench(r.result, plain))
    const [a] = r.result.agreements
    assert.ok(a!.agrees && a!.loss.difference < 2e-5 && a!.gradientNorm < 2e-5, JSON.stringify(a))
  })
else process.stderr.write(`${python} has no PyTorch, its comparison is skipped\n`)

test.run()
