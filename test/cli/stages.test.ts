/** `sailwright run --from` and `--until`: stages of a recipe alone. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunEvent } from '../../src/run/index.ts'
import { commandIn } from '../support/in-process.ts'
import { moduleAt } from '../support/program.ts'

const test = suite('stages')
const root = mkdtempSync(join(tmpdir(), 'sailwright-stages-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const staged = moduleAt('test/support/experiments/staged.ts')

const command = commandIn(root)
const runOf = (file: string, ...words: readonly string[]) =>
  command(['run', file, '--engine', 'onnx', ...words])
const run = (out: string, ...words: readonly string[]) => runOf(staged, '--out', out, ...words)
const done = async (out: string, ...words: readonly string[]): Promise<string> => {
  const { code, err } = await run(out, ...words)
  assert.is(code, 0, err)
  return err
}
const refused = async (said: RegExp, ...words: readonly string[]): Promise<void> => {
  const { code, err } = await run('refused', ...words)
  assert.is(code, 2, err)
  assert.match(err, said)
  assert.not(existsSync(join(root, 'refused')))
}
const eventsOf = (out: string): readonly RunEvent[] =>
  readFileSync(join(root, out, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
const stagesOf = (out: string): readonly string[] =>
  eventsOf(out).flatMap((e) => (e.type === 'stage-finished' ? [e.stage] : []))
const manifestOf = (out: string) => JSON.parse(readFileSync(join(root, out, 'manifest.json'), 'utf8'))
const weightsOf = (out: string, stage: string): Buffer =>
  readFileSync(join(root, out, 'checkpoints', stage, 'model.safetensors'))
const same = (a: string, b: string, ...stages: readonly string[]): void => {
  for (const stage of stages) assert.ok(weightsOf(a, stage).equals(weightsOf(b, stage)), stage)
}

test.before(async () => {
  await done('whole')
})

test('with --until a run ends whole, and goes on from there to the bit', async () => {
  const err = await done('part', '--until', 'warm')
  assert.match(err, 'ended after stage warm, as --until says')
  assert.equal(stagesOf('part'), ['warm'])
  assert.is(eventsOf('part').at(-1)!.type, 'run-finished')
  assert.match(readFileSync(join(root, 'part/report.html'), 'utf8'), 'warm')
  assert.equal(manifestOf('part').recipe, manifestOf('whole').recipe, 'the same run as far as it goes')
  // as far again: nothing to do; further, stopped on the way; to the end
  const before = eventsOf('part').length
  assert.match(await done('part', '--until', 'warm'), 'has ended stage warm already: nothing is trained')
  assert.is(eventsOf('part').length, before)
  const broken = await run('part', '--until', 'tune', '--set', 'fail=3', '--checkpoint-every', '1')
  assert.is(broken.code, 1, broken.err)
  // it has begun a later stage: that one is left as it stands
  assert.match(await done('part', '--until', 'warm'), 'has ended stage warm already')
  await done('part', '--until', 'tune')
  assert.equal(stagesOf('part'), ['warm', 'tune'])
  await done('part')
  assert.equal(stagesOf('part'), ['warm', 'tune', 'polish'])
  same('part', 'whole', 'warm', 'tune', 'polish')
  assert.match(await done('part'), 'this run is finished')
  assert.match(await done('part', '--until', 'tune'), 'has ended stage tune already')
  assert.is(eventsOf('part').filter((e) => e.type === 'step').length, 12, 'what was done is not done again')
})

test('what lies beyond --until is not asked for', async () => {
  const all = await run('beyond', '--set', 'shy=true')
  assert.is(all.code, 1)
  assert.match(all.err, 'the data broke off')
  assert.not(
    existsSync(join(root, 'beyond/checkpoints/warm/model.safetensors')),
    'seen before the first step',
  )
  await done('shy', '--set', 'shy=true', '--until', 'tune')
  same('shy', 'whole', 'warm', 'tune')
})

test('--from begins with a stage, after the end of the one before it in the run that --fork names', async () => {
  const err = await done('last', '--from', 'polish', '--fork', 'whole')
  assert.match(err, 'begins from whole, the end of stage tune: its weights; first stage polish')
  assert.equal(stagesOf('last'), ['polish'])
  same('last', 'whole', 'polish')
  assert.equal(manifestOf('last').forked, { run: 'whole', stage: 'tune', step: 4, taken: 'weights' })
  // one stage alone, and then the rest in the same folder
  const words = ['--from', 'tune', '--fork', 'whole@warm']
  await done('alone', ...words, '--until', 'tune')
  assert.equal(stagesOf('alone'), ['tune'])
  await done('alone', ...words)
  assert.equal(stagesOf('alone'), ['tune', 'polish'])
  same('alone', 'whole', 'tune', 'polish')
  // the first stage needs no other run
  await done('first', '--from', 'warm', '--until', 'warm')
  same('first', 'whole', 'warm')
  assert.is(manifestOf('first').forked, undefined)
})

test('without --fork the newest run of the experiment that has the weights is taken, and named', async () => {
  await refused(/no run of 'staged' in runs\/ has them\. Name a run with --fork/, '--from', 'tune')
  await done('runs/a', '--until', 'tune')
  await done('runs/b', '--until', 'warm', '--set', 'rate=1e-2')
  await done('runs/short', '--until', 'tune', '--quick')
  // of another experiment, and newer than all
  cpSync(join(root, 'runs/a'), join(root, 'runs/other'), { recursive: true })
  const other = { ...manifestOf('runs/other'), name: 'other', startedAt: '2999-01-01T00:00:00.000Z' }
  writeFileSync(join(root, 'runs/other/manifest.json'), JSON.stringify(other))
  writeFileSync(join(root, 'runs/stray'), 'no run')

  // both have the end of warm: the newer one
  const second = await done('second', '--from', 'tune', '--until', 'tune')
  assert.match(second, /the newest with the end of stage warm is taken, runs\/b\n/)
  assert.match(second, /against runs\/b:\n {2}stages\[0\]\.learningRate: 0\.01 then, 0\.005 now/)
  // the newer one has no end of tune
  const third = await done('third', '--from', 'polish')
  assert.match(third, /the newest with the end of stage tune is taken, runs\/a\n/)
  same('third', 'whole', 'polish')
  // a short pass goes on from a short pass
  const short = await done('short', '--from', 'polish', '--quick')
  assert.match(short, /is taken, runs\/short\n/)
  const sized = await done('sized', '--from', 'polish', '--set', 'scale=0.5', '--fork', 'runs/short')
  assert.match(sized, 'quick: true then, false now')
  same('sized', 'short', 'polish')
})

test('a run of --from that was stopped goes on with what it began with, whatever is newer now', async () => {
  const words = ['--from', 'tune', '--checkpoint-every', '1']
  const stopped = await run('runs/stopped', ...words, '--set', 'fail=3')
  assert.is(stopped.code, 1, stopped.err)
  assert.match(stopped.err, 'is taken, runs/b')
  await done('runs/newer', '--until', 'warm')
  rmSync(join(root, 'runs/b'), { recursive: true })
  await done('runs/stopped', ...words)
  assert.is(manifestOf('runs/stopped').forked.run, 'runs/b')
  assert.equal(stagesOf('runs/stopped'), ['tune', 'polish'])
  same('runs/stopped', 'second', 'tune')
})

test('stages that there are not, in no order, or against --fork are refused before work begins', async () => {
  await refused(
    /--from tnue: there is no such stage\. Did you mean 'tune'\? The stages of 'staged' are warm, tune, polish\./,
    ...['--from', 'tnue'],
  )
  await refused(/--until last: there is no such stage\. The stages of/, '--until', 'last')
  await refused(/--from polish --until tune: polish comes after tune/, '--from', 'polish', '--until', 'tune')
  await refused(
    /stage polish begins with the weights of the end of stage tune, and --fork names warm; say --fork whole/,
    ...['--from', 'polish', '--fork', 'whole@warm'],
  )
  await refused(/and --fork names 4/, '--from', 'polish', '--fork', 'whole@4')
  await refused(/warm is the first stage/, '--from', 'warm', '--fork', 'whole')
  await refused(/--until warm: this run begins with stage polish/, '--fork', 'whole@tune', '--until', 'warm')
  // a checkpoint inside the stage before is none of its end
  const broken = await run('broken', '--set', 'fail=3', '--checkpoint-every', '1')
  assert.is(broken.code, 1)
  await refused(
    /broken has no checkpoint of the end of stage tune: there is warm \(its end, step 4\), \d \(inside/,
    ...['--from', 'polish', '--fork', 'broken'],
  )
  const byHand = await runOf(moduleAt('test/support/experiments/tiny.ts'), '--until', 'warm')
  assert.is(byHand.code, 2)
  assert.match(byHand.err, "experiment 'tiny' names no stages")
  const another = await run('refused', '--from', 'polish', '--fork', 'whole', '--set', 'hidden=24')
  assert.is(another.code, 1)
  assert.match(another.err, 'another model than staged')
  // a folder whose run began otherwise
  const before = readdirSync(join(root, 'whole'))
  const mixed = await run('whole', '--from', 'tune', '--fork', 'part')
  assert.is(mixed.code, 2)
  assert.match(mixed.err, 'began with other settings')
  assert.equal(readdirSync(join(root, 'whole')), before)
})

test.run()
