/** Data that change between two starts of a run are noticed, whatever their size is; what was copied or touched is not. */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { changedData, dataFiles } from '../../src/run/internal.ts'
import { commandAt } from '../support/in-process.ts'
import { moduleAt } from '../support/program.ts'

const test = suite('the data of a run')
const root = mkdtempSync(join(tmpdir(), 'sailwright-data-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const put = (name: string, text: string): string => {
  writeFileSync(join(root, name), text)
  return join(root, name)
}

test('files are found wherever a recipe names them, once, with what is in them', () => {
  const [a, b] = [put('a.jsonl', 'abc'), put('b.jsonl', '')]
  const of = (file: string, bytes: number) => ({ kind: 'jsonl', file, bytes })
  const recipe = { stages: [{ source: { of: [of(b, 0), of(a, 3)] } }, { source: of(a, 3) }, null, 'file'] }
  const seen = dataFiles(recipe)
  assert.equal(
    seen.map(({ file, bytes }) => [file, bytes]),
    [
      [a, 3],
      [b, 0],
    ],
  )
  assert.equal(changedData(seen, dataFiles(recipe)), [])
  put('a.jsonl', 'abd')
  assert.equal(changedData(seen, dataFiles(recipe)), [`${a}: 3 bytes then, as many others now`])
  assert.equal(changedData(seen, dataFiles(recipe), recipe.stages[1]), [
    `${a}: 3 bytes then, as many others now`,
  ])
  assert.equal(changedData(seen, dataFiles(recipe), { source: of(b, 0) }), [])
  put('a.jsonl', 'abcd')
  assert.equal(changedData(seen, dataFiles(of(a, 4))), [`${a}: 3 bytes then, 4 now`])
  // a run of an earlier version recorded none
  assert.equal(changedData(undefined, seen), [])
  assert.equal(dataFiles('nothing'), [])
  // a source of one's own may mean something else by these words
  assert.equal(dataFiles([of('table://sums', 7), of(root, 7)]), [])
})

test('of much data blocks are read all over each file', () => {
  const bytes = 2 ** 28 + 5
  const big = put('big.tar', '')
  truncateSync(big, bytes)
  const recipe = [
    { file: big, bytes },
    { file: put('small.tar', 'x'), bytes: 1 },
  ]
  const change = (at: number): void => {
    const file = openSync(big, 'r+')
    writeSync(file, 'x', at)
    closeSync(file)
  }
  let before = dataFiles(recipe)
  for (const at of [0, bytes - 1]) {
    change(at)
    const now = dataFiles(recipe)
    assert.equal(changedData(before, now), [`${big}: ${bytes} bytes then, as many others now`])
    before = now
  }
  // a file that comes beside it makes less of it be read, and changes nothing in it
  const beside = dataFiles([...recipe, { file: put('more.tar', 'y'), bytes: 1 }])
  assert.is.not(beside.find((f) => f.file === big)?.sha256, before.find((f) => f.file === big)?.sha256)
  assert.equal(changedData(before, beside), [])
  assert.equal(changedData(beside, before), [])
})

test('of more files than there are blocks each is looked at', () => {
  const bytes = 2 ** 16 - 5
  const file = put('one of many.jsonl', 'x'.repeat(bytes))
  const long = put('long.jsonl', 'x'.repeat(bytes + 9))
  const absent = Array.from({ length: 5000 }, (_, i) => ({ file: join(root, `absent-${i}`), bytes }))
  const recipe = [{ file, bytes }, { file: long, bytes: bytes + 9 }, ...absent]
  const then = dataFiles(recipe)
  assert.equal(
    then.map((f) => f.file),
    [long, file],
  )
  put('one of many.jsonl', `${'x'.repeat(bytes - 1)}y`)
  put('long.jsonl', `${'x'.repeat(bytes + 8)}y`)
  assert.equal(
    changedData(then, dataFiles(recipe)),
    then.map((f) => `${f.file}: ${f.bytes} bytes then, as many others now`),
  )
})

test('images and videos that JSON and tables name are seen by their size, wherever a block ends', () => {
  const names = ['pics/a.png', join(root, 'b.JPG'), 'gone.gif', 'c.mp4']
  mkdirSync(join(root, 'pics'))
  for (const name of ['pics/a.png', 'b.JPG', 'c.mp4']) put(name, name)
  const ascii = (text: string): string =>
    text.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const wide = JSON.stringify({ image: 'ä图.png' })
  for (const [said, seen] of [
    [JSON.stringify({ image: names[0], images: [...names, names[0]], text: 'no.pngs' }), [10, 5, null, 5]],
    [wide, [3]],
    [ascii(wide), [3]],
  ] as const)
    for (const before of [0, 2 ** 16 - 20, 2 ** 16 - said.length - 2]) {
      put('ä图.png', 'abc')
      const text = `${JSON.stringify('x'.repeat(before))}\n${said}\n`
      const recipe = { file: put('named.jsonl', text), bytes: Buffer.byteLength(text) }
      const then = dataFiles(recipe)
      assert.equal(then[0]!.named, seen)
      assert.equal(changedData(then, dataFiles(recipe)), [])
    }
  for (const [name, said] of [
    ['named.json', JSON.stringify([{ image: names }], null, 2)],
    [
      'named.csv',
      `image,question\npics/a.png,what\n"${names[1]}","no.pngs, or gone.gif?"\ngone.gif,\nc.mp4,\n`,
    ],
    ['named.tsv', `question\timage\n${names.map((n) => `what\t${n}\n`).join('')}`],
  ] as const)
    for (const before of [0, 2 ** 16 - 30]) {
      const text = `${' '.repeat(before)}${said}`
      const recipe = { file: put(name, text), bytes: text.length }
      assert.equal(dataFiles(recipe)[0]!.named, [10, 5, null, 5], `${name} ${before}`)
    }
  const text = `{"image":"pics/a.png"}\n{"image":"gone.gif"}\n`
  const recipe = { file: put('named.jsonl', text), bytes: text.length }
  const then = dataFiles(recipe)
  put('pics/a.png', 'another')
  put('gone.gif', 'x')
  assert.equal(changedData(then, dataFiles(recipe)), [
    `${join(root, 'pics/a.png')}, which ${recipe.file} names: 10 bytes then, 7 bytes now`,
    `${join(root, 'gone.gif')}, which ${recipe.file} names: missing then, 1 bytes now`,
  ])
  // a run of an earlier version recorded none
  assert.equal(
    changedData(
      then.map(({ named, ...f }) => f),
      dataFiles(recipe),
    ),
    [],
  )
  // a file that can be read no more
  rmSync(recipe.file)
  assert.equal(changedData(then, then), [])
  mkdirSync(recipe.file)
  assert.equal(changedData(then, [{ ...then[0]!, sha256: '' }]), [
    `${recipe.file}: ${text.length} bytes then, not to be read now`,
  ])
})

const command = commandAt(root)
const experiment = moduleAt('test/support/experiments/forked.ts')
const run = (...words: readonly string[]) =>
  command(['run', experiment, '--engine', 'onnx', '--set', 'rows=rows.jsonl', ...words])

test('a run whose data changed to the same size is not gone on with, and says which file and what to do', async () => {
  const rows = (answer: number): string =>
    Array.from(
      { length: 9 },
      (_, i) => `{"question":"say ${i}","answer":"${(i + answer) % 10}","thumb":"t.png"}\n`,
    ).join('')
  put('t.png', 'small')
  const file = put('rows.jsonl', rows(1))
  const stopped = await run('--out', 'stopped', '--checkpoint-every', '2', '--set', 'fail=7')
  assert.is(stopped.code, 1)
  assert.match(stopped.err, 'the data broke off')

  put('rows.jsonl', rows(2))
  const refused = await run('--out', 'stopped', '--checkpoint-every', '2')
  assert.is(refused.code, 2)
  assert.match(
    refused.err,
    /the data of this folder's run have changed since it began.*\n {2}rows\.jsonl: \d+ bytes then, as many others now\nput them back as they were, or begin another run with --out <folder>/,
  )
  // a fork of it begins the stage anew: its place is one in other data
  const forked = await run('--out', 'forked', '--fork', 'stopped')
  assert.is(forked.code, 0, forked.err)
  assert.match(forked.err, /stage tune begins anew, because its data have changed \(rows\.jsonl: /)
  assert.match(forked.err, /against stopped:\n {2}rows\.jsonl: \d+ bytes then, as many others now/)

  put('rows.jsonl', `${rows(1)}{}\n`)
  const longer = await run('--out', 'stopped', '--checkpoint-every', '2')
  assert.is(longer.code, 2)
  assert.match(longer.err, /\n {2}rows\.jsonl: \d+ bytes then, \d+ now\n/)

  put('rows.jsonl', rows(1))
  put('t.png', 'larger')
  const pictured = await run('--out', 'stopped', '--checkpoint-every', '2')
  assert.is(pictured.code, 2)
  assert.match(
    pictured.err,
    /\n {2}t\.png, which rows\.jsonl names: 5 bytes then, 6 bytes now\nput them back/,
  )
  put('t.png', 'small')

  // the same again: copied and touched
  put('other.jsonl', rows(1))
  copyFileSync(join(root, 'other.jsonl'), file)
  utimesSync(file, 1e9, 1e9)
  const goesOn = await run('--out', 'stopped', '--checkpoint-every', '2')
  assert.is(goesOn.code, 0, goesOn.err)
})

test.run()
