/** `sailwright run --fork`: a run that begins from another's checkpoint. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loadExperiment } from '../../src/cli/load-file.ts'
import { main } from '../../src/cli/main.ts'
import { readSafetensors } from '../../src/formats/index.ts'
import type { RunEvent } from '../../src/run/index.ts'
import { loadWeights, orThrow } from '../../src/train/index.ts'
import { forkWord, planFork } from '../../src/train/internal.ts'
import { commandIn } from '../support/in-process.ts'
import { moduleAt } from '../support/program.ts'

const test = suite('fork')
const root = mkdtempSync(join(tmpdir(), 'sailwright-fork-'))
test.after(() => rmSync(root, { recursive: true, force: true }))
const experiment = moduleAt('test/support/experiments/forked.ts')

const command = commandIn(root)
const run = (out: string, ...words: readonly string[]) =>
  command(['run', experiment, '--engine', 'onnx', '--out', out, ...words])
const eventsOf = (out: string): readonly RunEvent[] =>
  readFileSync(join(root, out, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
const stepsOf = (out: string, stage = 'tune') =>
  eventsOf(out).flatMap((e) => (e.type === 'step' && e.stage === stage ? [e] : []))
const manifestOf = (out: string) => JSON.parse(readFileSync(join(root, out, 'manifest.json'), 'utf8'))
const bytesOf = (...path: readonly string[]): Buffer => readFileSync(join(root, ...path))
const weightsOf = (out: string, stage = 'tune'): Buffer =>
  bytesOf(out, 'checkpoints', stage, 'model.safetensors')

/** `whole` ended; `broken` stopped in step 9 of its second stage, its checkpoints are of steps 8 and 4. */
test.before(async () => {
  const whole = await run('whole')
  assert.is(whole.code, 0, whole.err)
  const broken = await run('broken', '--set', 'fail=8', '--checkpoint-every', '4')
  assert.is(broken.code, 1)
  assert.match(broken.err, 'the data broke off')
})

test('inside a stage with the same settings everything is taken: the same bits as of a run that never stopped', async () => {
  const { code, err } = await run('again', '--fork', 'broken@4')
  assert.is(code, 0, err)
  assert.match(
    err,
    'this run begins from broken, step 4 of stage tune: weights, moments and the place in the data; goes on with stage tune',
  )
  assert.match(err, 'against broken:\n  no setting differs')
  assert.ok(weightsOf('again').equals(weightsOf('whole')))
  assert.equal(
    stepsOf('again').map((e) => [e.step, e.loss]),
    stepsOf('whole')
      .slice(4)
      .map((e) => [e.step, e.loss]),
  )
  assert.equal(stepsOf('again', 'warm'), [], 'the stages before are left out')
  const [first] = eventsOf('again')
  assert.equal(first, {
    ...{ type: 'forked', run: 'broken', from: 'tune', step: 4, taken: 'everything' },
    ...{ begins: 1, path: 'fork' },
  })
  assert.equal(manifestOf('again').forked, { run: 'broken', stage: 'tune', step: 4, taken: 'everything' })
  assert.match(bytesOf('again', 'report.html').toString(), 'broken, step 4 of stage tune: everything')
  // the latest checkpoint, where nothing else is said
  const latest = await run('latest', '--fork', 'broken')
  assert.is(latest.code, 0, latest.err)
  assert.is(stepsOf('latest')[0]!.step, 9)
  assert.ok(weightsOf('latest').equals(weightsOf('whole')))
})

test('a fork that is stopped goes on by itself, also where the other run is gone', async () => {
  cpSync(join(root, 'broken'), join(root, 'lent'), { recursive: true })
  const words = ['--fork', 'lent@4', '--checkpoint-every', '2']
  const stopped = await run('stopped', ...words, '--set', 'fail=7')
  assert.is(stopped.code, 1)
  rmSync(join(root, 'lent'), { recursive: true })
  const { code, err } = await run('stopped', ...words)
  assert.is(code, 0, err)
  assert.equal(
    stepsOf('stopped').map((e) => e.step),
    [5, 6, 7, 7, 8, 9, 10, 11, 12],
  )
  assert.ok(weightsOf('stopped').equals(weightsOf('whole')))
  const without = await run('stopped')
  assert.is(without.code, 2)
  assert.match(without.err, /began with other settings:\s+forked: .*lent.* then, nothing now/)
  const elsewhere = await run('stopped', '--fork', 'whole@warm')
  assert.is(elsewhere.code, 2)
  assert.match(elsewhere.err, 'forked.run: "lent" then, "whole" now')
})

test('inside a stage its teacher must be the one that it began with, also where the fork was stopped', async () => {
  const teacher = join(root, 'teacher.safetensors')
  writeFileSync(teacher, weightsOf('whole'))
  const words = ['--set', `teacher=${teacher}`, '--checkpoint-every', '2']
  assert.is((await run('taught', ...words, '--set', 'fail=7')).code, 1)
  assert.is((await run('pupil', ...words, '--fork', 'taught', '--set', 'fail=4')).code, 1)
  writeFileSync(teacher, weightsOf('whole', 'warm'))
  for (const [out, fork] of [
    ['other', 'taught'],
    ['pupil', 'taught'],
    ['third', 'pupil'],
  ] as const) {
    const { code, err } = await run(out, ...words, '--fork', fork)
    assert.is(code, 1, out)
    assert.match(
      err,
      "objective.frozen: the weights that it reads are no longer those that it began with ('teacher')",
    )
  }
  writeFileSync(teacher, weightsOf('whole'))
  const { code, err } = await run('pupil', ...words, '--fork', 'taught')
  assert.is(code, 0, err)
})

test('after a stage its weights are taken: the next one begins, and what differs is shown', async () => {
  const { code, err } = await run('faster', '--fork', 'whole@warm', '--set', 'rate=2e-2')
  assert.is(code, 0, err)
  assert.match(err, 'begins from whole, the end of stage warm: its weights; first stage tune')
  assert.match(err, 'against whole:\n  stages[1].learningRate: 0.005 then, 0.02 now\n')
  assert.equal(stepsOf('faster', 'warm'), [])
  const [mine, theirs] = [stepsOf('faster'), stepsOf('whole')]
  assert.is(mine[0]!.loss, theirs[0]!.loss, 'the same weights and the same data')
  assert.is.not(mine[11]!.loss, theirs[11]!.loss)
  assert.equal(
    eventsOf('faster').find((e) => e.type === 'weights'),
    { type: 'weights', stage: 'tune', taken: 24, fresh: [], unused: [] },
  )
  // the same with the same settings ends with the same bits
  assert.is((await run('same', '--fork', 'whole@warm')).code, 0)
  assert.ok(weightsOf('same').equals(weightsOf('whole')))
})

test('inside a stage with other settings the weights alone are taken', async () => {
  const { code, err } = await run('changed', '--fork', 'broken@tune', '--set', 'rate=1e-3')
  assert.is(code, 0, err)
  assert.match(
    err,
    'begins from broken, step 8 of stage tune: its weights; first stage tune (stage tune begins anew, because its settings are others (learningRate))',
  )
  assert.equal(
    stepsOf('changed').map((e) => e.step),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  )
  const begun = await orThrow(loadWeights(join(root, 'changed/fork/model.safetensors')))
  const there = await orThrow(readSafetensors(join(root, 'broken/checkpoints/tune/training.safetensors')))
  assert.is(begun.size, 24)
  for (const [key, { data }] of begun) assert.equal(data, await orThrow(there.floats(key)), key)
  assert.is(manifestOf('changed').forked.taken, 'weights')
})

test('the last stage trains once more; another recipe begins at its beginning', async () => {
  const more = await run('more', '--fork', 'whole')
  assert.is(more.code, 0, more.err)
  assert.match(more.err, 'stage tune is the last: it trains once more')
  assert.ok(bytesOf('more/fork/model.safetensors').length > 0)
  assert.ok(stepsOf('more')[0]!.loss < stepsOf('whole')[0]!.loss)
  const other = await run('other', '--fork', 'whole@warm', '--set', 'second=polish')
  assert.is(other.code, 0, other.err)
  assert.match(other.err, 'there is no stage warm here')
  assert.is(stepsOf('other', 'polish')[0]!.loss, stepsOf('whole')[0]!.loss)
})

const parts = moduleAt('test/support/experiments/in-parts.ts')
const inParts = (out: string, ...words: readonly string[]) =>
  command(['run', parts, '--engine', 'onnx', '--out', out, ...words])
const done = async (...words: Parameters<typeof inParts>): Promise<void> => {
  const { code, err } = await inParts(...words)
  assert.is(code, 0, err)
}

test('what a stage has no place for comes along, through a fork of a fork that stopped in its first stage', async () => {
  await done('seen')
  const first = ['--from', 'talk', '--fork', 'seen', '--checkpoint-every', '2']
  assert.is((await inParts('talking', ...first, '--set', 'fail=4')).code, 1)
  await done('on', '--fork', 'talking')
  assert.equal(
    eventsOf('on').flatMap((e) => (e.type === 'weights' ? [[e.stage, e.taken, e.fresh.length]] : [])),
    [
      ['think', 13, 0],
      ['look', 31, 0],
    ],
  )
  assert.ok(weightsOf('on', 'look').equals(weightsOf('seen', 'look')))
  // with other settings the weights alone are taken, and these are whole too
  await done('anew', '--fork', 'talking', '--set', 'rate=1e-3', '--until', 'talk')
  const there = await orThrow(loadWeights(join(root, 'seen/checkpoints/see/model.safetensors')))
  const begun = await orThrow(loadWeights(join(root, 'anew/fork/model.safetensors')))
  assert.is(begun.size, 31)
  for (const [key, { data }] of there)
    if (!key.startsWith('language_model.')) assert.equal(begun.get(key)?.data, data, key)
  // stopped before its first checkpoint
  assert.is((await inParts('early', ...first, '--set', 'fail=1')).code, 1)
  await done('early', ...first)
  assert.ok(weightsOf('early', 'look').equals(weightsOf('seen', 'look')))
})

test('what a fork lacks is the recipe’s own, whether it runs through or ends on the way and goes on', async () => {
  await done('texts', '--set', 'alone=true')
  const words = ['--fork', 'texts', '--set', `start=${join(root, 'seen/checkpoints/see')}`]
  await done('through', ...words)
  // and nothing but what it lacks
  await done('apart', '--fork', 'texts', '--until', 'think')
  assert.is(stepsOf('through', 'think')[0]!.loss, stepsOf('apart', 'think')[0]!.loss)
  await done('halves', ...words, '--until', 'think')
  await done('halves', ...words)
  assert.ok(weightsOf('halves', 'look').equals(weightsOf('through', 'look')))
})

test('a checkpoint of another model is refused by the first key that differs, and no folder is made', async () => {
  for (const [set, said] of [
    [
      'hidden=24',
      /another model than forked: model\.embed_tokens\.weight is \[\d+, 16\] there and \[\d+, 24\] here/,
    ],
    ['layers=3', /another model than forked: model\.layers\.2\.\S+ is here and not there/],
    ['layers=1', /another model than forked: model\.layers\.1\.\S+ is there and not here/],
    ['tied=false', /another model than forked: lm_head\.weight is here and not there/],
  ] as const) {
    const { code, err } = await run('refused', '--fork', 'whole@warm', '--set', set)
    assert.is(code, 1, err)
    assert.match(err, said)
    assert.not(existsSync(join(root, 'refused')))
  }
})

/** What is planned of the experiment with such settings, in words. */
const planned = async (run: string, at: string, settings: Readonly<Record<string, string>> = {}) => {
  const options = { quick: false, seed: 0, settings, data: {} }
  const loaded = await loadExperiment(experiment, root, options)()
  if (loaded._tag === 'Left') throw new Error(loaded.left.message)
  const plan = await planFork(join(root, run), at, loaded.right.experiment, run)()
  return plan._tag === 'Left' ? plan.left.message : plan.right.told
}

test('why a stage begins anew is said: its settings or its graph are others', async () => {
  assert.match(await planned('broken', '8'), /goes on with stage tune$/)
  assert.match(
    await planned('broken', '8', { rate: '1e-3', lora: 'true' }),
    /stage tune begins anew, because its settings are others \(\S+ and \d+ more\)/,
  )
  cpSync(join(root, 'broken'), join(root, 'regraphed'), { recursive: true })
  const manifest = { ...manifestOf('broken'), programs: { tune: '0'.repeat(64) } }
  writeFileSync(join(root, 'regraphed/manifest.json'), JSON.stringify(manifest))
  assert.match(
    await planned('regraphed', '8'),
    /its weights; first stage tune \(stage tune begins anew, because its graph is another\)/,
  )
  rmSync(join(root, 'regraphed'), { recursive: true })
})

test('what a stage has of its own need not be there, in another model too', async () => {
  assert.match(await planned('whole', 'warm', { theta: '500', lora: 'true' }), /first stage tune$/)
  assert.match(await planned('whole', 'warm', { theta: '500', tied: 'false' }), 'lm_head.weight is here')
})

test('a number of steps that two stages have is no checkpoint', async () => {
  const words = ['--set', 'fail=4', '--checkpoint-every', '3']
  assert.is((await run('threes', ...words)).code, 1)
  assert.match(
    await planned('threes', '3'),
    'threes has 2 checkpoints after 3 steps; name the stage: there is',
  )
  rmSync(join(root, 'threes'), { recursive: true })
})

test('a checkpoint that cannot be read is no checkpoint, and is named', async () => {
  cpSync(join(root, 'whole'), join(root, 'damaged'), { recursive: true })
  const file = join(root, 'damaged', 'checkpoints', 'warm', 'model.safetensors')
  truncateSync(file, 2000)
  const { code, err } = await run('refused', '--fork', 'damaged@warm')
  assert.is(code, 2, err)
  assert.match(
    err,
    /no checkpoint 'warm': there is tune .*\. What cannot be read: .*warm\/model\.safetensors/,
  )
  rmSync(join(root, 'damaged'), { recursive: true })
})

test('a stage that began with weights that are gone has no whole checkpoint inside', async () => {
  cpSync(join(root, 'broken'), join(root, 'halved'), { recursive: true })
  rmSync(join(root, 'halved/checkpoints/warm'), { recursive: true })
  const { code, err } = await run('refused', '--fork', 'halved')
  assert.is(code, 2, err)
  assert.match(err, /halved has no whole checkpoint inside stage tune: .*halved\/checkpoints\/warm/)
  assert.not(existsSync(join(root, 'refused')))
  rmSync(join(root, 'halved'), { recursive: true })
})

test('what is no run, no checkpoint or no recipe is refused, and what there is is named', async () => {
  const before = readdirSync(root)
  for (const [word, said] of [
    ['nothing@warm', /--fork nothing@warm: .*nothing.*not a run folder/],
    [
      'whole@wram',
      /whole has no checkpoint 'wram': there is warm \(its end, step 3\), tune \(its end, step 12\)/,
    ],
    [
      'broken@7',
      /broken has no checkpoint '7': there is warm \(its end, step 3\), 4 \(inside stage tune\), 8 \(inside stage tune\)/,
    ],
  ] as const) {
    const { code, err } = await run('refused', '--fork', word)
    assert.is(code, 2, err)
    assert.match(err, said)
  }
  let err = ''
  const byHand = moduleAt('test/support/experiments/tiny.ts')
  const code = await main(['run', byHand, '--engine', 'onnx', '--fork', 'whole'], {
    stdout: { write: () => undefined },
    stderr: { write: (t) => (err += t) },
    env: { XDG_CACHE_HOME: join(root, 'cache') },
    cwd: root,
    onInterrupt: () => () => undefined,
  })
  assert.is(code, 2)
  assert.match(err, "experiment 'tiny' names no stages")
  assert.equal(readdirSync(root), before)
  const isRun = (folder: string): boolean => folder === 'odd@name'
  assert.equal(forkWord('odd@name', isRun), { run: 'odd@name' })
  assert.equal(forkWord('odd@name@sft', isRun), { run: 'odd@name', at: 'sft' })
  assert.equal(forkWord('runs/a', isRun), { run: 'runs/a' })
})

test.run()
