/** `sailwright new`: each kind of experiment, written into an empty folder and run to its end. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { messageOf } from '../../src/cli/command.ts'
import { starters } from '../../src/cli/commands/new.ts'
import { called } from '../../src/terminal/index.ts'
import { commandAt } from '../support/in-process.ts'

const test = suite('new')
const root = mkdtempSync(join(tmpdir(), 'sailwright-new-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const cli = (words: readonly string[], cwd: string) => commandAt(cwd)(words)
const emptyFolder = (name: string): string => {
  mkdirSync(join(root, name))
  return join(root, name)
}
/** What each kind measures after its last stage. */
const measured: Readonly<Record<string, readonly [stages: readonly string[], family: string]>> = {
  sft: [['sft'], 'tokens'],
  classify: [['classify'], 'held-out images'],
  vqa: [['aligned', 'tuned'], 'held-out images'],
  rl: [['shown', 'rewarded'], 'largest'],
}

test('every kind has a file that is tested here', () => {
  const files = readdirSync('examples/new').map((f) => f.replace(/\.ts$/, ''))
  assert.equal(files.sort(), Object.keys(starters).sort())
  assert.equal(Object.keys(measured).sort(), Object.keys(starters).sort())
})

for (const [kind, { sample }] of Object.entries(starters))
  test(`${kind}: from an empty folder to a report`, async () => {
    const folder = emptyFolder(kind)
    const made = await cli(['new', kind], folder)
    assert.is(made.code, 0, made.err)
    assert.is(made.out, `${kind}.ts\n`)
    if (sample === undefined) assert.not.match(made.err, 'sample data')
    else assert.match(made.err, `${sample.name} is sample data, made up; put your own in its place.`)
    assert.match(made.err, `To begin: ${called()} run ${kind}.ts --quick`)
    assert.equal(
      readdirSync(folder).sort(),
      [`${kind}.ts`, ...(sample === undefined ? [] : [sample.name])].sort(),
    )
    const code = readFileSync(join(folder, `${kind}.ts`), 'utf8')
    assert.ok(code.split('\n').filter((l) => /^\s*(\/\/|\/?\*)|\/\/ /.test(l)).length > 10, 'it is commented')
    const words = ['run', `${kind}.ts`, '--quick', '--engine', 'onnx', '--out', 'out', '--json']
    const ran = await cli(words, folder)
    assert.is(ran.code, 0, ran.err)
    const { stages } = JSON.parse(ran.out) as {
      stages: { stage: string; families: { family: string; total: number }[] }[]
    }
    const [names, family] = measured[kind]!
    assert.equal(
      stages.map((s) => s.stage),
      names,
    )
    const last = stages.at(-1)!.families
    assert.equal(
      last.map((f) => f.family),
      [family],
    )
    assert.ok(last[0]!.total > 0)
    assert.match(readFileSync(join(folder, 'out/report.html'), 'utf8'), family)
    // a second time nothing is overwritten
    const again = await cli(['new', kind], folder)
    assert.is(again.code, 2)
    assert.match(again.err, `${kind}.ts is there already, and nothing is overwritten`)
    assert.is(readFileSync(join(folder, `${kind}.ts`), 'utf8'), code)
  })

test('sft learns its sample', async () => {
  const folder = join(root, 'sft')
  const words = ['run', 'sft.ts', '--engine', 'onnx', '--set', 'steps=60', '--out', 'longer']
  const { code, err } = await cli(words, folder)
  assert.is(code, 0, err)
  const losses = readFileSync(join(folder, 'longer/events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
    .filter((e) => e.type === 'step')
    .map((e) => e.loss as number)
  assert.is(losses.length, 60)
  assert.ok(losses.at(-1)! < losses[0]! / 3, String(losses))
})

test('data of the user’s own is named in the file, and no sample is written', async () => {
  const folder = emptyFolder('mine')
  writeFileSync(join(folder, "my 'chats'.jsonl"), '{}\n')
  const { code, out, err } = await cli(
    ['new', 'sft', 'deep/er', '--data', "my 'chats'.jsonl", '--json'],
    folder,
  )
  assert.is(code, 0, err)
  assert.equal(JSON.parse(out), { file: 'deep/er/sft.ts', data: "my 'chats'.jsonl", sample: false })
  assert.equal(readdirSync(join(folder, 'deep/er')), ['sft.ts'])
  const text = readFileSync(join(folder, 'deep/er/sft.ts'), 'utf8')
  assert.match(text, `data.rows("../../my 'chats'.jsonl")`)
  // data without a row is refused by its name
  writeFileSync(join(folder, 'nothing.jsonl'), '')
  const none = await cli(
    ['run', 'deep/er/sft.ts', '--data', 'nothing.jsonl', '--engine', 'onnx', '--out', 'none'],
    folder,
  )
  assert.is(none.code, 1)
  assert.match(none.err, /nothing\.jsonl: it has no rows; give a file with at least one/)
  // a path that is wrong is a command line that is wrong
  for (const [path, why] of [
    ['nowhere.jsonl', /--data nowhere\.jsonl: there is no such file or folder; check the path\./],
    ['deep/er/sft.ts', /--data deep\/er\/sft\.ts: give JSONL/],
  ] as const) {
    const wrong = await cli(['run', 'deep/er/sft.ts', '--data', path, '--engine', 'onnx'], folder)
    assert.is(wrong.code, 2)
    assert.match(wrong.err, why)
  }
  // a sample that is there is left as it is
  writeFileSync(join(folder, 'sample-chats.jsonl'), 'mine')
  const beside = await cli(['new', 'sft'], folder)
  assert.is(beside.code, 0, beside.err)
  assert.not.match(beside.err, 'made up')
  assert.is(readFileSync(join(folder, 'sample-chats.jsonl'), 'utf8'), 'mine')
})

test('what cannot be written is refused with what to do', async () => {
  const folder = emptyFolder('wrong')
  writeFileSync(join(folder, 'plain'), '')
  for (const [words, said] of [
    [[], /<kind> is missing: sft \(a language model learns from chats\), classify/],
    [['sfr'], /no experiment of kind 'sfr'\. Did you mean 'sft'\? The kinds are sft, classify, vqa, rl/],
    [['toString'], /no experiment of kind 'toString'/],
    [['sft', 'plain'], /plain is a file; name a folder/],
    [['rl', '--data', 'plain'], /kind 'rl' makes its own data; leave --data out/],
    [['sft', '--data', 'nowhere.jsonl'], /there is no data at nowhere\.jsonl/],
    [['sft', '.', 'more'], /'more' is one argument too many/],
  ] as const) {
    const { code, err } = await cli(['new', ...words], folder)
    assert.is(code, 2, err)
    assert.match(err, said)
  }
  assert.equal(readdirSync(folder), ['plain'])
  // what is half written would be taken for data of the user's own
  for (const [kind, sample] of [
    ['sft', 'sample-chats.jsonl'],
    ['classify', 'sample-images'],
  ] as const) {
    const half = emptyFolder(`half-${kind}`)
    symlinkSync(join(half, 'nowhere', 'else'), join(half, sample))
    const { code, err } = await cli(['new', kind], half)
    assert.is(code, 1, err)
    assert.equal(readdirSync(half), [])
  }
})

test('what the system refuses is said in words', () => {
  const error = (code: string, syscall?: string) =>
    Object.assign(new Error(`${code}: no words`), {
      code,
      path: '/a/b',
      ...(syscall === undefined ? {} : { syscall }),
    })
  assert.match(messageOf(error('ENOSPC', 'write')), /^\/a\/b: the disk is full/)
  assert.match(messageOf(error('EROFS', 'open')), /^\/a\/b: this user may not/)
  assert.is(messageOf(error('ENOENT', 'open')), 'ENOENT: no words')
  assert.match(messageOf(error('EEXIST', 'mkdir')), /^\/a\/b: a file is there, or on the way to it/)
  assert.match(messageOf(error('ENOTDIR', 'scandir')), /^\/a\/b: a file is there, or on the way to it/)
  assert.match(messageOf(error('EISDIR', 'rename')), '/a/b: it is a folder; name a file')
  assert.match(messageOf(error('ENAMETOOLONG', 'mkdir')), 'the name is too long')
  for (const code of ['EMFILE', 'ENFILE'])
    assert.match(
      messageOf(error(code, 'open')),
      '/a/b: as many files are open as may be; allow more (ulimit -n',
    )
  // a file that is there is no wonder where a file was to be made
  assert.is(messageOf(error('EEXIST', 'open')), 'EEXIST: no words')
  // a connection that a firewall refuses has no folder
  const refused = { code: 'EPERM', syscall: 'connect' }
  assert.is(
    messageOf(Object.assign(new Error('connect EPERM 10.0.0.1:443'), refused)),
    'connect EPERM 10.0.0.1:443',
  )
  // an error of the user's own
  assert.is(messageOf(error('EACCES')), 'EACCES: no words')
})

test.run()
