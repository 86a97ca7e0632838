/** JSON lists and tables as rows: what any writer wrote is read, from every place; what is damaged is named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  badRows,
  csv,
  jsonList,
  type Row,
  RowError,
  RowsError,
  type Source,
  SourceError,
} from '../../src/data/index.ts'
import { thrown } from '../support/tiny.ts'

const test = suite('data: JSON lists and tables')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-row-formats-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const put = (content: string | Uint8Array, end: string): string => {
  const path = join(folder, `${files++}.${end}`)
  writeFileSync(path, content)
  return path
}
const all = async (source: Source<Row>, place?: unknown): Promise<(readonly [Row, unknown])[]> => {
  const got: (readonly [Row, unknown])[] = []
  for await (const { example, next } of source.open(place)) got.push([example, next])
  return got
}
const columns = (rows: readonly (readonly [Row, unknown])[]) => rows.map(([r]) => r.columns)
/** Every place goes on where it was told. */
const goesOn = async (source: Source<Row>): Promise<readonly Row['columns'][]> => {
  const whole = await all(source)
  for (const [i, [, next]] of whole.entries()) assert.equal(await all(source, next), whole.slice(i + 1))
  return columns(whole)
}
/** An error of a reading, and the rows that were read before it. */
const failing = async (source: Source<Row>): Promise<RowsError> => {
  const e = await thrown(() => all(source))
  assert.ok(e instanceof RowsError, e.message)
  return e
}

/** Letters that mean something to JSON, to tables and to bytes. */
const text = fc.string({ unit: fc.constantFrom(...'"\\,[]{}:é\n\r\t ;a1😀'), maxLength: 12 })

test('any list of objects, however it is laid out, is what JSON.parse reads', async () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      text,
      fc.integer(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(text, tie('any'), { maxKeys: 3 }),
    ),
  })).any
  const layout = fc.constantFrom(0, 1, '\t')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(text, value, { maxKeys: 3 }), { maxLength: 6 }),
      layout,
      fc.boolean(),
      async (rows, indent, zipped) => {
        const json = `${indent === 1 ? '\ufeff' : ''}${JSON.stringify(rows, null, indent)}${indent === 0 ? '' : '\n'}`
        const file = zipped ? put(gzipSync(json), 'json.gz') : put(json, 'json')
        assert.equal(await goesOn(jsonList(file)), JSON.parse(JSON.stringify(rows)))
      },
    ),
    { numRuns: 60 },
  )
})

test('a list longer than a block of the file', async () => {
  const rows = Array.from({ length: 40_000 }, (_, n) => ({ n, text: '"[{\\'.repeat(n % 5) }))
  const source = jsonList(put(JSON.stringify(rows, null, 2), 'json'))
  const whole = await all(source)
  assert.equal(columns(whole), rows)
  for (const i of [0, 12_345, 39_998, 39_999])
    assert.equal(columns(await all(source, whole[i]![1])), rows.slice(i + 1))
  assert.is(whole[12_345]![0].line, 12_346)
})

test('of a list, elements that are no objects are bad rows by their number', async () => {
  const bad = badRows()
  const source = jsonList(put('[{"n": 1}, 7, {"n": }, {"n": 4}, , {"n": 6}]', 'json'), { onBadRow: bad.add })
  assert.equal(columns(await all(source)), [{ n: 1 }, { n: 4 }, { n: 6 }])
  assert.equal(
    bad.list.map((b) => b.line),
    [2, 3, 5],
  )
  assert.match(bad.list[0]!.reason, /no JSON object; give an object of columns for each row/)
  const e = await thrown(() => all(jsonList(put('[{}, [1]]', 'json'))))
  assert.ok(e instanceof RowError)
  assert.match(e.message, /\.json:2: it is no JSON object/)
  const latin = Buffer.concat([Buffer.from('[{"a": "'), Buffer.from([0xe9]), Buffer.from('"}]')])
  assert.match((await thrown(() => all(jsonList(put(latin, 'json'))))).message, /:1: it is not UTF-8/)
})

test('a file that is no list, or not whole, is refused', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /it is empty; give a list of rows/],
    ['{"data": []}', /it begins no JSON list; give \[\{ … \}, \{ … \}\]/],
    [
      '[{"n": 1}, {"n": 2}',
      /it ends inside row 2: a quote or a bracket is missing there, or the file is cut off/,
    ],
    ['[{"n": 1}, {"n": "2}, {"n": 3}]', /it ends inside row 2/],
    ['[', /it ends inside row 1/],
    ['[{}] [{}]', /something follows the list's end at byte 5/],
  ]
  for (const [content, why] of cases)
    assert.match((await failing(jsonList(put(content, 'json')))).message, why)
  const source = jsonList(put('[{}, {}]', 'json'))
  for (const place of [3, null, { byte: 1 }, { byte: 99, row: 1 }]) {
    const e = await thrown(() => all(source, place))
    assert.ok(e instanceof SourceError)
    assert.match(e.message, /opens at \{ byte, row \} inside it/)
  }
  assert.match(
    (await thrown(() => all(source, { byte: 2, row: 1 }))).message,
    /no comma at byte 2, where a row ended/,
  )
})

const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`

test('any table that quotes its values is read as it was written', async () => {
  const table = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.constantFrom('\n', '\r\n'),
      fc.constantFrom('csv', 'tsv', 'csv.gz'),
      async (rows, newline, kind) => {
        const comma = kind === 'tsv' ? '\t' : ','
        const lines = [`first${comma}second`, ...rows.map((r) => r.map(quoted).join(comma))]
        const whole = `\ufeff${lines.join(newline)}${newline}`
        const source = csv(put(kind === 'csv.gz' ? gzipSync(whole) : whole, kind))
        assert.equal(
          await goesOn(source),
          rows.map(([first, second]) => ({ first, second })),
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('a table longer than a block; lines are those at which a row begins', async () => {
  const rows = Array.from({ length: 20_000 }, (_, n) => ({ n: `${n}`, text: 'a\n'.repeat(n % 4) }))
  const source = csv(put(`n,text\n${rows.map((r) => `${r.n},"${r.text}"\n`).join('')}`, 'csv'))
  const whole = await all(source)
  assert.equal(columns(whole), rows)
  // 1 line for the names, and of each four rows 1 + 2 + 3 + 4
  assert.equal([whole[0]![0].line, whole[4]![0].line, whole[19_999]![0].line], [2, 12, 49_998])
  assert.equal(await all(source, whole[12_344]![1]), whole.slice(12_345))
})

test('tables as pandas writes them: an index without a name, values with and without quotes, blank lines', async () => {
  const source = csv(put(',question,answer\n0,"How many, and where?",3\n\n1,a 5" nail,\n', 'csv'))
  assert.equal(await goesOn(source), [
    { question: 'How many, and where?', answer: '3' },
    { question: 'a 5" nail', answer: '' },
  ])
})

test('rows that do not fit the columns are bad, by their line; what is no table is refused', async () => {
  const bad = badRows()
  const latin = Buffer.from('a,b\n1,2\n1,2,3\n"x\ny"\n\u00e9,4\n5,6\n', 'latin1')
  const source = csv(put(latin, 'csv'), { onBadRow: bad.add })
  assert.equal(columns(await all(source)), [
    { a: '1', b: '2' },
    { a: '5', b: '6' },
  ])
  assert.equal(
    bad.list.map((b) => [b.line, b.reason]),
    [
      [3, 'it has 3 values and there are 2 columns; is a comma not between quotes?'],
      [4, 'it has 1 values and there are 2 columns; is a comma not between quotes?'],
      [6, 'it is not UTF-8; save the file as UTF-8'],
    ],
  )
  const cases: readonly (readonly [string | Buffer, RegExp])[] = [
    ['a;b\n1;2\n', /its first line is one column, 'a;b'; columns stand between commas in \.csv/],
    ['a,b,a\n', /it has two columns 'a'; give each a name of its own/],
    ['a,b\n1,"2\n3,4\n', /a quote that opens behind line 1 is never closed/],
    [Buffer.from('a,b\n', 'utf16le'), /it is not UTF-8; save the file as UTF-8/],
    [Buffer.from('\ufeffa,b\n', 'utf16le'), /it is not UTF-8; save the file as UTF-8/],
  ]
  for (const [content, why] of cases) assert.match((await failing(csv(put(content, 'csv')))).message, why)
  assert.equal(await all(csv(put('', 'csv'))), [])
  assert.equal(await all(csv(put('a,b\n', 'csv'))), [])
  const cut = gzipSync(`a\n${'1\n'.repeat(9999)}`)
  assert.match((await failing(csv(put(cut.subarray(0, 40), 'csv.gz')))).message, /damaged or cut off/)
  assert.match((await thrown(() => all(source, { byte: 1e9, line: 1 }))).message, /opens at \{ byte, line \}/)
})

test.run()
