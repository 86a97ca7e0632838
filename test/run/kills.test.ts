/** Processes that are killed while they write a checkpoint. `KILLS` says how often; default 12. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis } from '../../src/dsl/index.ts'
import type { Session, TensorValue } from '../../src/engine/session.ts'
import { loadProgress, progressFile } from '../../src/run/checkpoint.ts'
import { openRun } from '../../src/run/run-folder.ts'
import { sweepTemporaries } from '../../src/run/sweep.ts'
import { syntheticManifest } from '../support/synthetic-run.ts'

const test = suite('processes killed while they write')
const root = mkdtempSync(join(tmpdir(), 'sailwright-kills-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const right = <L, R>(e: E.Either<L, R>): R => {
  if (E.isLeft(e)) throw e.left instanceof Error ? e.left : new Error(JSON.stringify(e.left))
  return e.right
}

/** Enough that writing it takes a while. */
const sizes = { weight: 400_000, moment: 400_000 }

/** A session of those two states, for what is written into it. */
const session = (write: Session['write']): Session => {
  const states = new Map(
    Object.entries(sizes).map(([key, size]) => [key, { key, axes: [axis('n', size)], dtype: 'float32' }]),
  )
  return { program: { states }, write } as unknown as Session
}

/** Checkpoints without end, as a program of its own; what is built starts sooner than what is not. */
const writer = `
  import { saveProgress } from ${JSON.stringify(resolve('dist/src/run/checkpoint.js'))}
  const [path, from] = process.argv.slice(1)
  const sizes = ${JSON.stringify(sizes)}
  const session = (step) => ({
    program: {
      states: new Map(
        Object.entries(sizes).map(([key, size]) => [key, { dtype: 'float32', axes: [{ name: 'n', size }] }]),
      ),
    },
    read: () => async () => ({
      _tag: 'Right',
      right: new Map(
        Object.entries(sizes).map(([key, n]) => [
          key,
          { shape: [n], dtype: 'float32', data: new Float32Array(n).fill(step) },
        ]),
      ),
    }),
  })
  process.send('begun')
  for (let step = Number(from); ; step++) {
    const saved = await saveProgress(path, session(step), { step, seconds: 1, tailLoss: 0 })()
    if (saved._tag === 'Left') throw saved.left
    process.send('saved')
  }`

/** Kills a writer at a random moment: in its first checkpoint, or in the two after it. */
const killed = async (at: string, from: number): Promise<void> => {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--input-type=module', '-e', writer, join(at, progressFile), String(from)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  const gone = new Promise((done) => child.once('exit', done))
  const said = (): Promise<unknown> =>
    Promise.race([
      new Promise((word) => child.once('message', word)),
      gone.then((code) => Promise.reject(new Error(`the writer ended by itself (${code}); is dist built?`))),
    ])
  await said()
  const begun = performance.now()
  if (Math.random() < 0.8) await said()
  const one = Math.max(10, performance.now() - begun)
  await new Promise((go) => setTimeout(go, Math.random() * 2 * one))
  child.kill('SIGKILL')
  await gone
}

/** The step whose checkpoint is found, 0 where there is none. Half of one is an error of the test. */
const found = async (at: string): Promise<number> => {
  if (!readdirSync(at).some((f) => f.endsWith('.safetensors'))) return 0
  let values: ReadonlyMap<string, TensorValue> = new Map()
  const { step, instead } = right(
    await loadProgress(
      join(at, progressFile),
      session((v) =>
        TE.fromIO(() => {
          values = v
        }),
      ),
    )(),
  )
  assert.is(instead, undefined, 'the latest is whole')
  for (const [key, size] of Object.entries(sizes)) {
    const { data } = values.get(key)!
    assert.is(data.length, size)
    assert.ok(
      data.every((x) => x === step),
      `${key} of step ${step}`,
    )
  }
  return step
}

test('a checkpoint is there as a whole after a kill at any moment, and what was half written is swept', async () => {
  const kills = Number(process.env.KILLS ?? 12)
  let halves = 0
  const chain = async (name: string): Promise<void> => {
    const at = join(root, name, 'checkpoints', 'tune')
    mkdirSync(at, { recursive: true })
    let last = 0
    for (let i = 0; i < kills / 2; i++) {
      await killed(at, last + 1)
      const now = await found(at)
      assert.ok(now >= last, `step ${now} after ${last}`)
      last = now
      const swept = right(await sweepTemporaries(join(root, name))())
      halves += swept.length
      assert.ok(swept.length <= 1, 'one file is written at a time')
      const left = readdirSync(at).filter((f) => !/^training(\.before)?\.safetensors$/.test(f))
      assert.equal(left, [])
      assert.is(await found(at), last, 'sweeping takes no checkpoint')
    }
    assert.ok(last > 0)
  }
  await Promise.all([chain('a'), chain('b')])
  assert.ok(halves > 0, 'some kill hit a write')
})

test('opening a run sweeps its own temporary files and nothing else', async () => {
  const folder = join(root, 'swept')
  right(right(await openRun(folder, syntheticManifest())()).close())
  mkdirSync(join(folder, 'checkpoints', 'sft'), { recursive: true })
  const file = (...path: string[]): string => join(folder, ...path)
  const stale = [
    file('checkpoints', 'sft', 'model.safetensors.77.0123456789ab.tmp'),
    file('events.jsonl.1.0123456789ab.tmp'),
    file('report.html.77.0123456789ab.tmp'),
  ]
  const others = [
    file('mine.tmp'),
    file('notes.77.tmp'),
    file('report.html.78.0123456789ab.tmp'),
    file('lock.json.78.0123456789ab.tmp'),
  ]
  for (const path of [...stale, ...others]) writeFileSync(path, 'x')
  const yesterday = Date.now() / 1000 - 86_400
  utimesSync(stale[2]!, yesterday, yesterday)
  const run = right(await openRun(folder, syntheticManifest())())
  const there = new Set(
    readdirSync(folder, { recursive: true, withFileTypes: true }).map((e) => join(e.parentPath, e.name)),
  )
  run.close()
  assert.equal(
    stale.filter((f) => there.has(f)),
    [],
  )
  assert.equal(
    others.filter((f) => !there.has(f)),
    [],
  )
})

test.run()
