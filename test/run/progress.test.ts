import { concat, from, lastValueFrom, NEVER, of, Subject, throwError, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { evaluationBlock, liveLine, secondsLeft, showProgress, stagesTable } from '../../src/run/progress.ts'
import { advance, emptyRun, type RunState, withoutRepeats } from '../../src/run/run-state.ts'
import type { Compiling } from '../../src/terminal/compiling.ts'
import { duration, grouped, percent, rate, short, significant } from '../../src/terminal/format.ts'
import { bar, clipLine, fit, lookOf, terminalRows, textTable, width } from '../../src/terminal/terminal.ts'
import { syntheticEvents } from '../support/synthetic-run.ts'

const test = suite('progress')
const plain = { colour: false, columns: 120 }
const events = syntheticEvents()
const after = (n: number): RunState => events.slice(0, n).reduce(advance, emptyRun)
const whole = after(events.length)
const step = (stage: string, n: number, more: Partial<EventOf<'step'>> = {}): RunEvent => ({
  type: 'step',
  stage,
  step: n,
  steps: 10,
  loss: 1,
  learningRate: 1e-3,
  gradientNorm: 1,
  samples: n * 4,
  tokens: n * 40,
  seconds: n * 2,
  dataSeconds: 0.5,
  computeSeconds: 1.5,
  ...more,
})
const started = (stage: string, index = 0, of = 1): RunEvent => ({
  type: 'stage-started',
  stage,
  index,
  of,
  steps: 10,
  batch: 4,
  trainable: 1000,
  parts: ['adapter'],
})

test('numbers as people read them', () => {
  assert.equal([0, 999.4, 1234567, Number.NaN].map(grouped), ['0', '999', '1,234,567', 'NaN'])
  assert.equal([0, 12.34, 1000, 999_600, 1_720_574_976].map(short), [
    '0',
    '12.3',
    '1.00 k',
    '1.00 M',
    '1.72 G',
  ])
  assert.equal(
    [0, 0.0001234, 0.001, 0.4824, 12.34, 999.6, 12345, Number.POSITIVE_INFINITY].map(significant),
    ['0', '1.2e-4', '0.00100', '0.482', '12.3', '1,000', '12,345', 'Infinity'],
  )
  assert.equal([0, 1e-3, 2.55e-5].map(rate), ['0', '1.0e-3', '2.5e-5'])
  assert.equal([0.004, 0.42, 4.25, 9.96, 59.6, 134, 3599.7, 3725, Number.NaN].map(duration), [
    '0.00 s',
    '0.42 s',
    '4.3 s',
    '10 s',
    '1 min 00 s',
    '2 min 14 s',
    '1 h 00 min',
    '1 h 02 min',
    '–',
  ])
  assert.equal([0, 0.925, 1, Number.NaN].map(percent), ['0.0 %', '92.5 %', '100.0 %', '–'])
})

test('colour follows the terminal, NO_COLOR and FORCE_COLOR', () => {
  assert.is(lookOf({ isTTY: true }, {}).colour, true)
  assert.is(lookOf({ isTTY: true }, { TERM: 'dumb' }).colour, false)
  assert.is(lookOf({ isTTY: true }, { NO_COLOR: '1' }).colour, false)
  assert.is(lookOf({ isTTY: true }, { NO_COLOR: '' }).colour, true)
  assert.is(lookOf({ isTTY: false }, {}).colour, false)
  assert.is(lookOf({ isTTY: false }, { FORCE_COLOR: '1' }).colour, true)
  assert.is(lookOf({ isTTY: true }, { FORCE_COLOR: '0' }).colour, false)
  assert.is(lookOf({ isTTY: true, columns: 0 }, {}).columns, 100)
})

test('escape sequences take no room', () => {
  const red = '\x1b[31mabcdef\x1b[39m'
  assert.is(width(red), 6)
  assert.is(fit(red, 8).length, red.length + 2)
  assert.is(clipLine(red, 6), red)
  assert.is(clipLine(red, 4), '\x1b[31mabc\x1b[39m…')
  assert.is(clipLine('abcdef', 4), 'abc…')
})

test('wide characters take two cells, marks none', () => {
  const texts = [
    '猫',
    '한글',
    'ａ',
    'e\u0301',
    '❤\ufe0f',
    '👩\u200d👩\u200d👧',
    '…━',
    'ﾊ',
    'नि',
    '\x1b[31m猫\x1b[39m',
  ]
  assert.equal(texts.map(width), [2, 4, 2, 1, 2, 2, 2, 1, 1, 2])
  assert.is(clipLine('猫狗鳥', 4), '猫…')
  assert.is(clipLine('猫狗鳥', 5), '猫狗…')
  assert.is(clipLine('\x1b[31m猫狗鳥\x1b[39m', 4), '\x1b[31m猫\x1b[39m…')
  assert.is(fit('猫', 4), '猫  ')
  assert.is(terminalRows('a'.repeat(81), 40), 3)
  assert.is(terminalRows(`${'猫'.repeat(20)}\n`, 40), 2)
  for (let columns = 10; columns < 140; columns += 7) {
    const s = [started('説明\n付き学習', 4, 5), ...[1, 2, 3, 4].map((n) => step('説明\n付き学習', n))]
    const line = liveLine(s.reduce(advance, emptyRun), { colour: true, columns })
    assert.ok(width(line) < columns && !line.includes('\n'), `${columns}`)
  }
})

test('bars are proportional to an eighth of a block and survive nonsense', () => {
  assert.equal(
    [0, 0.5, 1, 2, -1, Number.NaN].map((s) => bar(s, 4)),
    ['', '██', '████', '████', '', ''],
  )
  assert.is(bar(1 / 32, 4), '▏')
})

test('tables line up', () => {
  assert.is(
    textTable(
      [{ head: 'a' }, { head: 'number', align: 'right' }],
      [
        ['long name', '1'],
        ['b', '22'],
      ],
      plain,
    ),
    ['a          number', '─────────  ──────', 'long name       1', 'b              22'].join('\n'),
  )
})

test('a table may have more rows than a call takes arguments', () => {
  const rows = Array.from({ length: 150_000 }, (_, i) => [i === 7 ? 'long name' : 'b', '1'])
  const [head, , ...lines] = textTable([{ head: 'a' }, { head: 'n' }], rows, plain).split('\n')
  assert.equal([head, lines.length, lines[0]], ['a          n', rows.length, 'b          1'])
})

test('the state follows the events', () => {
  const s = whole.stages
  assert.equal(
    s.map((x) => [x.stage, x.step, x.evaluations.length, x.finished !== undefined]),
    [
      ['align-adapter', 120, 4, true],
      ['align-vision', 160, 4, true],
      ['align-all', 200, 4, true],
      ['pretrain', 300, 4, true],
      ['sft', 300, 4, true],
    ],
  )
  assert.is(whole.finished?.type, 'run-finished')
  const own = events.filter((e) => e.type === 'step' && e.stage === 'sft') as EventOf<'step'>[]
  const sum = own.reduce((a, e) => a + e.dataSeconds, 0)
  assert.ok(Math.abs(s[4]!.dataSeconds - sum) < 1e-9)
})

test('the smoothed loss has no bias from the start and forgets a NaN', () => {
  const run = (losses: readonly number[]): number =>
    [started('s'), ...losses.map((loss, i) => step('s', i + 1, { loss }))].reduce(advance, emptyRun)
      .stages[0]!.smoothLoss
  assert.ok(Math.abs(run([3, 3, 3, 3]) - 3) < 1e-12)
  // weights 0.81, 0.9, 1 over their sum
  assert.ok(Math.abs(run([1, 2, 4]) - (0.81 * 1 + 0.9 * 2 + 4) / 2.71) < 1e-12)
  assert.ok(Number.isNaN(run([3, Number.NaN])))
  assert.is(run([3, Number.NaN, 2]), 2)
})

test('the time left is the remaining steps at the present pace', () => {
  const s = [started('s'), step('s', 1), step('s', 2), step('s', 3), step('s', 4)].reduce(advance, emptyRun)
  assert.ok(Math.abs(secondsLeft(s.stages[0]!) - 12) < 1e-9)
  assert.ok(Number.isNaN(secondsLeft([started('s'), step('s', 1)].reduce(advance, emptyRun).stages[0]!)))
})

test('the live line says stage, step, speed, loss, learning rate, time left, and fits every terminal', () => {
  const state = [started('sft', 4, 5), ...[1, 2, 3, 4].map((n) => step('sft', n))].reduce(advance, emptyRun)
  assert.is(
    liveLine(state, plain),
    '5/5 sft  ━━━━━━━━────────────   4/10  2.00 samples/s  loss 1.00 nats  learning rate 1.0e-3  12 s left',
  )
  for (let columns = 10; columns < 140; columns += 7)
    for (const colour of [true, false])
      assert.ok(width(liveLine(state, { colour, columns })) < columns, `${columns}`)
  assert.is(liveLine(emptyRun, plain), '')
  assert.match(liveLine(advance(state, step('sft', 10)), plain), 'evaluating')
})

test('a finished stage shows every family with its count', () => {
  const block = evaluationBlock(whole.stages[4]!, plain).split('\n')
  assert.is(block.length, 5)
  assert.match(block[0]!, /^✓ 5\/5 sft {2}4,800 samples at .*\/s {2}loss 0\.1/)
  assert.match(block[1]!, /^ {2}read +95\.0 % {2}█+.? +190 of 200$/)
})

test('a loss has its unit on the live line', () => {
  const own = { ...started('sft', 4, 5), unit: 'nats per \x1bpatch' } as RunEvent
  const state = [own, ...[1, 2, 3, 4].map((n) => step('sft', n))].reduce(advance, emptyRun)
  assert.match(liveLine(state, plain), / loss 1\.00 nats per {2}?patch {2}learning rate/)
})

test('a mean stands in its unit, and averaged weights beside the others', () => {
  const share = { type: 'evaluated', stage: 'a', family: 'read', correct: 3, total: 4, seconds: 1 } as const
  const mean = {
    type: 'measured',
    stage: 'a',
    family: 'held out',
    value: 0.5,
    unit: 'nats per token',
  } as const
  const loss = { ...mean, weight: 99, seconds: 1 }
  const told: readonly RunEvent[] = [
    ...[share, loss],
    { ...share, correct: 4, weights: 'averaged' },
    { ...loss, value: 0.25, weights: 'averaged' },
  ]
  const state = [started('a'), step('a', 10), ...told].reduce(advance, emptyRun)
  const [, read, held, ...more] = evaluationBlock(state.stages[0]!, plain).split('\n')
  assert.match(read!, /^ {2}read {7}75\.0 % .* 3 of 4 {2}averaged weights 100\.0 %$/)
  assert.is(held, '  held out  0.500 nats per token  averaged weights 0.250 nats per token')
  assert.is(more.length, 0)
  assert.match(liveLine(state, plain), /evaluating {2}held out 0\.250 nats per token$/)
  const table = stagesTable(state, plain).split('\n')
  assert.match(table[0]!, / read +held out +time/)
  assert.match(table[2]!, / 75\.0 % +0\.500 /)
  // measured again, the later figure counts
  const again = [...told, { ...loss, value: 2 }].reduce(advance, state)
  assert.match(evaluationBlock(again.stages[0]!, plain), /held out {2}2\.00 nats per token {2}averaged/)
})

test('a stage that is gone on with is not said to begin with weights again', async () => {
  const found: RunEvent = { type: 'weights', stage: 'a', taken: 2, fresh: [], unused: [] }
  const { text, sink } = collector(false)
  const before = [found, started('a', 0, 2), step('a', 1)].reduce(advance, emptyRun)
  const next: RunEvent = { ...found, stage: 'b', taken: 5 }
  await lastValueFrom(
    from([started('a', 0, 2), step('a', 2), next, started('b', 1, 2)]).pipe(
      showProgress(sink, { look: plain, from: before }),
      toArray(),
    ),
  )
  assert.equal(
    text
      .join('')
      .split('\n')
      .filter((l) => l.includes('begins with')),
    ['  begins with 5 weights taken'],
  )
})

test('the table of the stages has all columns on one line each, and two tables where it is too wide', () => {
  const wide = stagesTable(whole, { colour: false, columns: 140 }).split('\n')
  assert.is(wide.length, 7)
  for (const head of ['stage', 'trainable', 'steps', 'samples/s', 'loss', 'read', 'arithmetic', 'time'])
    assert.ok(wide[0]!.includes(head), head)
  assert.match(wide[6]!, /^sft +1\.23 M +300 +4,800 .* 95\.0 % /)
  const narrow = stagesTable(whole, { colour: true, columns: 80 })
  assert.ok(narrow.split('\n').every((l) => width(l) <= 80))
  assert.is(narrow.split('\n\n').length, 2)
})

test('families that no table has room for stand in several, those together that the same stages measured', () => {
  const families = ['read', 'count', 'charts', 'thinking about sums', 'one word']
  const of = (stage: string, some: readonly string[]): RunEvent[] =>
    some.map((family) => ({ type: 'evaluated', stage, family, correct: 1, total: 4, seconds: 1 }))
  const state = [
    ...[started('first', 0, 2), step('first', 10), ...of('first', families.slice(0, 2))],
    ...[started('second', 1, 2), step('second', 10), ...of('second', families)],
  ].reduce(advance, emptyRun)
  const tables = stagesTable(state, { colour: false, columns: 32 }).split('\n\n')
  const head = (table: string): string => table.split('\n')[0]!.replace(/ {2,}/g, ', ')
  assert.ok(tables.every((t) => t.split('\n').every((l) => width(l) <= 32)))
  assert.equal(tables.map(head), [
    'stage, trainable, steps',
    'stage, samples, samples/s, loss',
    'stage, time',
    'stage, read, count',
    'stage, charts',
    'stage, thinking about sums',
    'stage, one word',
  ])
  assert.equal(
    tables.map((t) => t.split('\n').length - 2),
    [2, 2, 2, 2, 1, 1, 1],
  )
})

const collector = (isTTY: boolean) => {
  const text: string[] = []
  return { text, sink: { isTTY, columns: 120, write: (t: string) => text.push(t) } }
}

test('without a terminal: occasional lines, no escape sequences, events unchanged', async () => {
  const { text, sink } = collector(false)
  let clock = 0
  const seen = await lastValueFrom(
    from(events).pipe(showProgress(sink, { look: plain, every: 10, now: () => (clock += 100) }), toArray()),
  )
  assert.equal(seen, [...events])
  const all = text.join('')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
  assert.not.match(all, /[\x1b\r]/)
  const steps = all.split('\n').filter((l) => l.includes('samples/s, '))
  assert.ok(steps.length >= 8 && steps.length <= 40, `${steps.length} lines for 1080 steps`)
  assert.match(all, 'stage 1/5 align-adapter: trains adapter (34.6 k parameters), 120 steps of 16 samples')
  const end = events.at(-1) as EventOf<'run-finished'>
  assert.ok(all.endsWith(`the whole run took ${duration(end.seconds)}\n`))
})

test('what weights a stage begins with is said under its heading', async () => {
  const { text, sink } = collector(false)
  const found: RunEvent = { type: 'weights', stage: 'a', taken: 2, fresh: ['x.\x1bbias'], unused: [] }
  const scratch: RunEvent = { type: 'weights', stage: 'b', taken: 0, fresh: ['x', 'y', 'z'], unused: [] }
  await lastValueFrom(
    from([found, started('a', 0, 2), step('a', 1), scratch, started('b', 1, 2)]).pipe(
      showProgress(sink, { look: plain }),
      toArray(),
    ),
  )
  const lines = text.join('').split('\n')
  const under = (stage: string) => lines[lines.findIndex((l) => l.startsWith(`stage ${stage}`)) + 1]
  assert.is(under('1/2'), '  begins with 2 weights taken, 1 fresh (x. bias)')
  assert.is(under('2/2'), '  begins with 3 fresh (x, y and 1 more)')
  // of a stage that was begun again, the last start's
  const again: RunEvent = { ...found, taken: 3, fresh: [] }
  const kept = withoutRepeats([found, started('a', 0, 2), step('a', 1), again, started('a', 0, 2)])
  assert.equal(kept, [again, started('a', 0, 2), step('a', 1)])
  assert.equal(kept.reduce(advance, emptyRun).stages[0]!.weights, again)
  // gone on with inside, where nothing was said again
  const inside = withoutRepeats([found, started('a', 0, 2), step('a', 1), started('a', 0, 2)])
  assert.equal(inside.reduce(advance, emptyRun).stages[0]!.weights, found)
})

test('on a terminal: one line is rewritten, and nothing of it stays', async () => {
  const { text, sink } = collector(true)
  let clock = 0
  await lastValueFrom(
    from(events).pipe(showProgress(sink, { look: plain, now: () => (clock += 30) }), toArray()),
  )
  const rows: string[] = ['']
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequence that erases a line
  for (const c of text.join('').split(/(\r\x1b\[2K|\n)/)) {
    if (c === '\n') rows.push('')
    else if (c === '\r\x1b[2K') rows[rows.length - 1] = ''
    else rows[rows.length - 1] += c
  }
  assert.is(rows.filter((r) => r.includes('━')).length, 0)
  assert.is(rows.filter((r) => r.startsWith('✓')).length, 5)
  assert.ok(text.some((t) => t.includes('━')))
})

/** A terminal that breaks long lines and, as most do, breaks them anew when it is made wider or narrower. */
const terminal = (columns: number) => {
  /** Rows; `more` where the next one goes on with the same line. */
  let rows: { text: string; more: boolean }[] = [{ text: '', more: false }]
  let row = 0
  let column = 0
  const tty = {
    isTTY: true,
    columns,
    write: (text: string): void => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
      for (const token of text.match(/\x1b\[\d*[A-Zm]|[\s\S]/gu) ?? []) {
        if (token === '\n') {
          row++
          column = 0
          rows[row] ??= { text: '', more: false }
        } else if (token === '\r') column = 0
        else if (token === '\x1b[2K') rows[row] = { text: '', more: false }
        else if (token === '\x1b[J') {
          rows = rows.slice(0, row + 1)
          rows[row] = { text: rows[row]!.text.slice(0, column), more: false }
        } else if (token.endsWith('A') && token.length > 1)
          row = Math.max(0, row - Number.parseInt(token.slice(2), 10))
        else if (!token.startsWith('\x1b')) {
          if (column + width(token) > tty.columns) {
            rows[row]!.more = true
            row++
            column = 0
            rows[row] = { text: '', more: false }
          }
          const had = [...rows[row]!.text]
          had[column] = token
          rows[row]!.text = had.join('')
          column += width(token)
        }
      }
    },
  }
  const resize = (to: number): void => {
    const lines: { text: string; more: boolean }[] = []
    for (const r of rows) {
      const before = lines.at(-1)
      if (before?.more) lines.splice(-1, 1, { text: before.text + r.text, more: r.more })
      else lines.push(r)
    }
    rows = lines.flatMap(({ text }) => {
      const parts = text.match(new RegExp(`.{1,${to}}`, 'gu')) ?? ['']
      return parts.map((t, i) => ({ text: t, more: i < parts.length - 1 }))
    })
    tty.columns = to
    row = rows.length - 1
    column = rows[row]!.text.length
  }
  return { tty, resize, rows: () => rows.map((r) => r.text) }
}

test('a terminal that is made narrower and wider is not flooded', () => {
  const { tty, resize, rows } = terminal(120)
  let clock = 0
  const source = new Subject<RunEvent>()
  source.pipe(showProgress(tty, { look: plain, now: () => (clock += 100) })).subscribe()
  const widths = [120, 60, 33, 100, 20, 47]
  for (const [i, event] of events.entries()) {
    source.next(event)
    if (event.type === 'step' && event.step % 17 === 0) {
      resize(widths[i % widths.length]!)
      const live = rows().filter((r) => r.includes('learning rate'))
      assert.ok(live.length <= 1, live.join('\n'))
    }
  }
  source.complete()
  const left = rows().filter((r) => /━|learning rate|preparing/.test(r))
  assert.equal(left, [])
  assert.is(rows().filter((r) => r.startsWith('✓')).length, 5)
})

test('an error or an unsubscription leaves no half line behind', () => {
  for (const end of [throwError(() => 'stop'), NEVER]) {
    const { text, sink } = collector(true)
    const some = [started('s'), ...[1, 2, 3].map((n) => step('s', n))]
    let clock = 0
    const subscription = concat(from(some), end)
      .pipe(showProgress(sink, { look: plain, now: () => (clock += 1000) }))
      .subscribe({ error: () => undefined })
    subscription.unsubscribe()
    assert.is(text.at(-1), '\r\x1b[2K')
  }
})

test('a stage that ends without an update says so, and shows no NaN', () => {
  const ended: RunEvent = {
    ...{ type: 'stage-finished', stage: 's', index: 0, loss: Number.NaN, samples: 0 },
    ...{ trainSeconds: 3, evaluateSeconds: 0 },
  }
  const state = [started('s'), ended].reduce(advance, emptyRun)
  assert.match(evaluationBlock(state.stages[0]!, plain), /no update at its end/)
  assert.not.match(evaluationBlock(state.stages[0]!, plain) + stagesTable(state, plain), /NaN/)
})

test('each subscription has its own state', async () => {
  const { text, sink } = collector(false)
  const shown = of(started('s')).pipe(showProgress(sink, { look: plain }))
  await lastValueFrom(shown)
  await lastValueFrom(shown)
  assert.is(text[0], text[1])
})

test('events that a later start did again are left out', () => {
  const done = (stage: string, index: number): RunEvent => ({
    type: 'stage-finished',
    stage,
    index,
    loss: 1,
    samples: 1,
    trainSeconds: 1,
    evaluateSeconds: 0,
  })
  const first = [
    started('a', 0, 2),
    step('a', 1),
    step('a', 2),
    done('a', 0),
    started('b', 1, 2),
    step('b', 1),
  ]
  const more = [step('b', 2), step('b', 3)]
  assert.equal(withoutRepeats([...first, ...more]), [...first, ...more])
  // gone on in the middle of b, from a checkpoint after step 1
  const goneOn = withoutRepeats([...first, ...more, started('b', 1, 2), step('b', 2, { loss: 9 })])
  assert.equal(goneOn, [...first.slice(0, 4), started('b', 1, 2), step('b', 1), step('b', 2, { loss: 9 })])
  // begun again from nothing
  const again = [
    started('a', 0, 2),
    step('a', 1, { loss: 7 }),
    step('a', 2),
    done('a', 0),
    started('b', 1, 2),
    step('b', 1),
  ]
  assert.equal(withoutRepeats([...first, ...more, ...again]), again)
  assert.equal(withoutRepeats([...events, ...events]), [...events])
  // stopped on an error between two stages, and gone on with the second
  const stop: RunEvent = { type: 'run-failed', message: 'the disk is full' }
  const repaired = [...first.slice(0, 4), stop, started('b', 1, 2), step('b', 1)]
  assert.equal(withoutRepeats(repaired), first)
  assert.is(repaired.reduce(advance, emptyRun).failed, undefined)
})

test('what is compiled for long: on the live line each second, in a log once and at its end', () => {
  const written = (isTTY: boolean): string => {
    let text = ''
    const compiling = new Subject<Compiling>()
    const source = new Subject<RunEvent>()
    const write = (t: string): boolean => {
      text += t
      return true
    }
    const sink = { isTTY, columns: 60, write }
    const options = { look: { ...plain, columns: 60 }, compiling }
    const shown = source.pipe(showProgress(sink, options)).subscribe()
    source.next(started('a'))
    for (const seconds of [1, 2, 6, 7]) compiling.next({ what: 'step', seconds, done: false })
    compiling.next({ what: 'step', seconds: 7.5, done: true })
    compiling.next({ what: 'quick', seconds: 1, done: false })
    compiling.next({ what: 'quick', seconds: 1.5, done: true })
    shown.unsubscribe()
    assert.not.ok(compiling.observed)
    return text
  }
  const live = written(true)
  for (const t of ['1.0 s', '2.0 s', '6.0 s', '7.0 s']) assert.match(live, `compiling step … ${t}`)
  const log = written(false)
  assert.match(log, /\n {2}compiling step …\n {2}compiled step in 7\.5 s\n$/)
})

test.run()
