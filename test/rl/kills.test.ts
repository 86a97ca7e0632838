/**
 * A run of reinforcement killed at any moment and started again: the same weights to the byte, and every rollout once.
 * `KILLS` says how often; default 2.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { command, moduleAt } from '../support/program.ts'

const test = suite('reinforcement: processes killed')
const root = mkdtempSync(join(tmpdir(), 'sailwright-rl-kills-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const started = (out: string) => {
  const words = ['run', moduleAt('test/support/experiments/echo.ts'), '--out', out, '--engine', 'onnx']
  const child = spawn(process.execPath, [...command, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (d) => {
    said += d
  })
  const gone = new Promise<number | null>((end) => child.once('exit', (code) => end(code)))
  return { child, gone, said: () => said }
}

const filesIn = (out: string): readonly string[] => {
  try {
    return readdirSync(join(out, 'rollouts/echo'))
      .sort()
      .map((f) => join(out, 'rollouts/echo', f))
  } catch {
    return []
  }
}
/** What has been written of rollouts and events. */
const written = (out: string): number => {
  try {
    return [...filesIn(out), join(out, 'events.jsonl')].reduce((n, f) => n + statSync(f).size, 0)
  } catch {
    return 0
  }
}

test('the same weights to the byte, and every rollout once', async () => {
  const whole = join(root, 'whole')
  const plain = started(whole)
  assert.is(await plain.gone, 0, plain.said())
  const all = written(whole)
  let out = join(root, 'killed')
  let kills = 0
  for (let i = 0; kills < Number(process.env.KILLS ?? 2) && i < 20; i++) {
    // a start may do again what came after the last checkpoint, and then write little
    const before = written(out)
    const target = before + Math.random() * (all - before) * 0.6
    const { child, gone } = started(out)
    const watch = setInterval(() => {
      if (written(out) > target) child.kill('SIGKILL')
    }, 5)
    const code = await gone
    clearInterval(watch)
    if (code !== 0) kills++
    else if (kills > 0) break
    // it ended before the kill came: another one begins
    else out = join(root, `killed-${i}`)
  }
  assert.ok(kills > 0)
  const last = started(out)
  assert.is(await last.gone, 0, last.said())
  const text = (at: string): string =>
    filesIn(at)
      .map((f) => readFileSync(f, 'utf8'))
      .join('')
  assert.ok(text(out) === text(whole), `other rollouts after ${kills} kills`)
  for (const stage of ['echo', 'harvest']) {
    const weights = (at: string): Buffer => readFileSync(join(at, `checkpoints/${stage}/model.safetensors`))
    assert.ok(weights(out).equals(weights(whole)), `other weights of ${stage} after ${kills} kills`)
  }
})

test.run()
