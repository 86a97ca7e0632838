import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { called } from '../../src/terminal/called.ts'
import { command, moduleAt } from '../support/program.ts'

const test = suite('signals and closed pipes')
const root = mkdtempSync(join(tmpdir(), 'sailwright-signals-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const tiny = moduleAt('test/support/experiments/tiny.ts')
const program = [...command]

/** A run of its own process, which stays in its second stage where nothing else is set; resolves after a step there. */
const running = async (name: string, setting = 'hold=4') => {
  const folder = join(root, name)
  const words = ['run', tiny, '--engine', 'onnx', '--set', setting, '--out', folder]
  const child = spawn(process.execPath, [...program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let err = ''
  child.stderr.on('data', (d) => {
    err += d
  })
  const ended = new Promise<{ code: number | null; signal: string | null }>((done) =>
    child.once('exit', (code, signal) => done({ code, signal })),
  )
  const events = join(folder, 'events.jsonl')
  // the step before the one that is held
  const stepped = () =>
    existsSync(events) && (readFileSync(events, 'utf8').match(/"type":"step"/g)?.length ?? 0) >= 15
  while (!err.includes('stage 2/2') || !stepped()) {
    assert.is(child.exitCode, null, err)
    await new Promise((go) => setTimeout(go, 10))
  }
  const at = (file: string): string => join(folder, file)
  return { child, ended, at, said: () => err }
}

test('each signal interrupts in the same orderly way, with its own exit code', async () => {
  const one = async (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', code: number): Promise<void> => {
    const { child, ended, at, said } = await running(signal)
    child.kill(signal)
    assert.equal(await ended, { code, signal: null }, said())
    assert.match(said(), /stopped in stage 2 of 2, second, after step 3 of 12\./)
    assert.match(said(), `To go on: ${called()} run`)
    assert.match(readFileSync(at('report.html'), 'utf8'), 'not finished')
    assert.not.ok(existsSync(at('lock.json')))
  }
  await Promise.all([one('SIGINT', 130), one('SIGTERM', 143), one('SIGHUP', 129)])
})

test('a second signal does not wait for the report', async () => {
  const { child, ended, at, said } = await running('twice')
  child.kill('SIGINT')
  child.kill('SIGTERM')
  const { code, signal } = await ended
  // the system may hand over two signals of one moment in either order
  assert.ok(code === null && (signal === 'SIGTERM' || signal === 'SIGINT'), `${code} ${signal} ${said()}`)
  assert.not.ok(existsSync(at('report.html')))
  assert.not.ok(existsSync(at('lock.json')))
})

test('a signal while the report is written leaves no lock, and the run is as finished as it is', async () => {
  const { child, ended, at, said } = await running('reported', 'pace=5')
  // the run's last event is there, and the report not yet
  while (!readFileSync(at('events.jsonl'), 'utf8').includes('"type":"run-finished"')) {
    assert.is(child.exitCode, null, said())
    await new Promise((go) => setTimeout(go, 1))
  }
  child.kill('SIGINT')
  assert.equal(await ended, { code: 0, signal: null }, said())
  assert.ok(existsSync(at('report.html')))
  assert.not.ok(existsSync(at('lock.json')))
})

test('a run whose output nobody reads any more goes on to its end', async () => {
  const { child, ended, at } = await running('unread', 'pace=40')
  child.stdout.destroy()
  child.stderr.destroy()
  assert.equal(await ended, { code: 0, signal: null })
  assert.match(readFileSync(at('events.jsonl'), 'utf8'), '"type":"run-finished"')
  assert.ok(existsSync(at('report.html')))
})

test('output that is lost to a full disk is no success', () => {
  if (!existsSync('/dev/full')) return
  const { status, stderr } = spawnSync(
    'bash',
    ['-c', 'exec "$0" "$@" >/dev/full', process.execPath, ...program, 'summary', 'nano', '--json'],
    { encoding: 'utf8' },
  )
  assert.is(status, 1)
  assert.match(stderr, /could not be: .*ENOSPC/)
})

test.run()
