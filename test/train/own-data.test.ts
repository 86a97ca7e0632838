/** The user's data: what a file receives, and what becomes of rows that are bad. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestScheduler } from 'rxjs/testing'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { batchesOf, conversations, indexed, mapped, RowError, RowsError } from '../../src/data/index.ts'
import { advance, badRowsBlock, emptyRun, RunEvent, withoutRepeats } from '../../src/run/index.ts'
import { nanoProcessor } from '../../src/tasks/index.ts'
import { lookOf } from '../../src/terminal/index.ts'
import { ownData, SettingError } from '../../src/train/index.ts'
import { withBadRows } from '../../src/train/internal.ts'
import { thrown } from '../support/tiny.ts'

const own = suite('data of one’s own')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-own-data-'))
own.after(() => rmSync(folder, { recursive: true, force: true }))

const row = (line: number): RowError => new RowError({ file: 'f.jsonl', line }, `reason ${line}`)
const told = (line: number, reason = `reason ${line}`): RunEvent => ({
  ...{ type: 'bad-row', file: 'f.jsonl', line, reason },
})
const warned = (message: string): RunEvent => ({ type: 'warned', message })
const finished: RunEvent = { type: 'run-finished', seconds: 1 }

own('a file is given the rows of --data, else of what it names itself; neither is an error', async () => {
  const file = join(folder, 'a.jsonl')
  writeFileSync(file, '{"n": 1}\n')
  const given = ownData({ path: file })
  assert.not(given.asked())
  for await (const { example } of given.rows('other.jsonl').open()) assert.is(example.columns.n, 1)
  assert.ok(given.asked())
  assert.is(given.path('other.jsonl'), file)
  assert.is(ownData().path('other.jsonl'), 'other.jsonl')
  // what --data names is the command line's, what the file names is the file's
  const wrong = await thrown(() => ownData({ path: 'none.jsonl' }).rows('other.jsonl'))
  assert.ok(wrong instanceof SettingError)
  assert.match(wrong.message, /^--data none\.jsonl: there is no such file or folder/)
  assert.ok((await thrown(() => ownData().rows('other.jsonl'))) instanceof RowsError)
  const missing = await thrown(() => ownData().rows())
  assert.ok(missing instanceof SettingError)
  assert.match(missing.message, /--data <file or folder> is missing/)
})

own('the data is given whole to what makes examples of its rows, and is told of bad ones', async () => {
  const file = join(folder, 'b.jsonl')
  writeFileSync(file, '{"n": 1}\n{"n": "one"}\n{"n": 3}\n')
  const data = ownData({ path: file })
  const numbers = mapped(
    {},
    data.rows(),
    (row) => {
      if (typeof row.columns.n === 'number') return row.columns.n
      throw new RowError(row, 'its n is no number')
    },
    data,
  )
  const all: number[] = []
  for await (const { example } of numbers.open()) all.push(example)
  assert.equal(all, [1, 3])
  assert.equal(
    data.bad.list.map(({ line }) => line),
    [2],
  )
})

own('bad rows are told before the event behind them, and counted before the run’s end', () => {
  const scheduler = new TestScheduler((actual, expected) => assert.equal(actual, expected))
  scheduler.run(({ cold, expectObservable }) => {
    const data = ownData()
    const values = { a: warned('a'), b: warned('b'), F: finished }
    const events = cold('--a--b-----(F|)', values)
    // rows are met while the event behind them is made
    const lines = [[], [7, 8, 7], [9]]
    const untold = () => {
      for (const line of lines.shift() ?? []) data.onBadRow(row(line))
      return data.untold()
    }
    const wanted = '     --a--(xyb)-(znF|)'
    const feeding = withBadRows({ bad: data.bad, untold })(events)
    expectObservable(feeding).toBe(wanted, {
      ...values,
      ...{ x: told(7), y: told(8), z: told(9), n: { type: 'bad-rows', count: 3 } },
    })
  })
})

own('a run that fails tells of them as well; one that goes on does not tell twice', () => {
  const scheduler = new TestScheduler((actual, expected) => assert.equal(actual, expected))
  scheduler.run(({ cold, expectObservable }) => {
    const data = ownData()
    for (const line of [1, 2]) data.onBadRow(row(line))
    const failing = withBadRows(data, [told(1), warned('a')])(cold('---#', {}, new Error('why')))
    const values = { y: told(2), n: { type: 'bad-rows', count: 2 } as const }
    expectObservable(failing).toBe('---(yn#)', values, new Error('why'))
  })
})

own('events say the same to codec, state, terminal', () => {
  const events = [told(1), told(2), { type: 'bad-rows', count: 2 }, finished] as const
  for (const e of events) assert.ok(RunEvent.is(JSON.parse(JSON.stringify(e))))
  const look = lookOf({}, { NO_COLOR: '1' })
  const state = withoutRepeats([...events]).reduce(advance, emptyRun)
  assert.is(
    badRowsBlock(state, look),
    '2 bad rows were set aside:\n  f.jsonl:1: reason 1\n  f.jsonl:2: reason 2',
  )
  assert.is(badRowsBlock(emptyRun, look), undefined)
  const words = [...'abcdefghijklmnopqrstuvwxyzäöüß']
  const many = words.map((word, i) => told(i + 1, word)).reduce(advance, emptyRun)
  const lines = badRowsBlock(advance(many, { type: 'bad-rows', count: 5000 }), look)!.split('\n')
  assert.equal(
    [lines.length, lines[0], lines.at(-1)],
    [22, '5,000 bad rows were set aside:', '  … and 4,980 more: the report lists them'],
  )
  // of one kind three are enough, and what no report lists is not promised
  const alike = Array.from({ length: 30 }, (_, i) => told(i + 1)).reduce(advance, emptyRun)
  const wanted = ['30 bad rows were set aside:', ...[1, 2, 3].map((n) => `  f.jsonl:${n}: reason ${n}`)]
  const more = '  … and 27 more like these'
  assert.equal(badRowsBlock(alike, look, false)!.split('\n'), [...wanted, more])
  assert.equal(badRowsBlock(alike, look)!.split('\n'), [...wanted, `${more}: the report lists them`])
  // a kind that comes late is seen among those of another
  const late = advance(alike, told(40, 'another'))
  assert.ok(badRowsBlock(late, look)!.includes('f.jsonl:40: another'))
})

own('strict: the first bad row stops the reading, and the error names the stage', async () => {
  const file = join(folder, 'b.jsonl')
  const good = '{"question": "a", "answer": "b"}\n'
  writeFileSync(file, `${good}{"question": "a<|im_end|>", "answer": "b"}\n${good}`)
  const read = async (strict: boolean) => {
    const data = ownData({ path: file, strict })
    const options = { processor: nanoProcessor(), onBadRow: data.onBadRow }
    let rows = 0
    const batches = batchesOf(conversations(data.rows(), options), 1, undefined, "stage 'sft'")
    for await (const { examples } of batches) rows += examples.length
    return { rows, bad: data.bad.list }
  }
  const { rows, bad } = await read(false)
  assert.is(rows, 2)
  assert.equal(
    bad.map((b) => b.line),
    [2],
  )
  const e = await thrown(() => read(true))
  assert.match(
    e.message,
    /^stage 'sft', source: .*b\.jsonl:2: its turn 0 spells the special token <\|im_end\|>/,
  )
  assert.ok(e.cause instanceof RowError)
})

own('any error of a source names what the source is for', async () => {
  const broken = indexed('broken', function* () {
    yield 1
    throw new TypeError('mine')
  })
  const e = await thrown(async () => {
    for await (const _ of batchesOf(broken, 2, undefined, "stage 'a'"));
  })
  assert.is(e.message, "stage 'a', source: mine")
})

own.run()
