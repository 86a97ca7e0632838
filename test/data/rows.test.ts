/** Rows of files: every place is one to go on from, bad rows are named, and no file is held in memory. */
import { execFile } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { imageFolder } from '../../src/data/rows/image-folder.ts'
import { jsonl } from '../../src/data/rows/jsonl.ts'
import { badRows, mapped, type Row, RowError, RowsError } from '../../src/data/rows/row.ts'
import { rowKey } from '../../src/data/rows/row-key.ts'
import type { Source } from '../../src/data/source.ts'
import { loader, moduleAt } from '../support/program.ts'
import { thrown } from '../support/tiny.ts'
import { until } from '../support/until.ts'

const rows = suite('data: rows')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-rows-'))
rows.after(() => rmSync(folder, { recursive: true, force: true }))

const file = join(folder, 'some.jsonl')
const written = (content: string | Uint8Array): string => {
  writeFileSync(file, content)
  return file
}
const all = async <E>(source: Source<E>, place?: unknown): Promise<[E, unknown][]> => {
  const got: [E, unknown][] = []
  for await (const { example, next } of source.open(place)) got.push([example, next])
  return got
}
const columns = (got: readonly [Row, unknown][]): unknown[] => got.map(([{ columns }]) => columns)

rows(
  'JSONL: whatever the rows, the line ends and the blank lines, all are read, and each place goes on behind its row',
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\n\n', '\n  \n'),
        fc.boolean(),
        fc.constantFrom('', '\ufeff'),
        async (given, newline, last, mark) => {
          const text = given.map((row) => JSON.stringify(row)).join(newline)
          const source = jsonl(written(`${mark}${text}${last ? newline : ''}`))
          const whole = await all(source)
          assert.equal(columns(whole), JSON.parse(JSON.stringify(given)))
          const every = newline === '\n' || newline === '\r\n' ? 1 : 2
          assert.equal(
            whole.map(([row]) => [row.file, row.line]),
            given.map((_, i) => [file, 1 + i * every]),
          )
          for (const [i, [, place]] of whole.entries())
            assert.equal(await all(source, JSON.parse(JSON.stringify(place))), whole.slice(i + 1))
        },
      ),
      { numRuns: 60 },
    ),
)

rows('the key of a row is its images, else all that it says', () => {
  const key = (columns: Row['columns'], line = 1): string => rowKey({ columns, file: 'a.jsonl', line })
  const [red, blue] = [Uint8Array.of(1, 2), Uint8Array.of(1, 3)]
  const keys = [
    key({ image: 'a.png', question: 'one' }),
    key({ image: 'b.png', question: 'one' }),
    key({ image: { bytes: red, path: 'x.png' }, question: 'one' }),
    key({ image: { bytes: blue, path: 'x.png' }, question: 'one' }),
    key({ image: { bytes: null, path: 'x.png' } }),
    key({ images: ['a.png', 'b.png'] }),
    key({ video: ['a.png', red] }),
    key({ question: 'one' }),
    key({ question: 'two' }),
    // rows of a data set with images that have none of their own
    key({ images: [], question: 'one' }),
    key({ images: [], question: 'two' }),
    key({ image: '', question: 'one' }),
    key({ image: { bytes: null, path: null }, question: 'one' }),
    key({ image: { bytes: null, path: null }, question: 'two' }),
  ]
  // parts of messages that show something themselves
  for (const name of ['messages', 'prompt'])
    for (const part of [
      { type: 'image', image: 'a.png' },
      { type: 'image', image: { bytes: red, path: null } },
      { type: 'image_url', image_url: 'a.png' },
      { type: 'image_url', image_url: { url: 'a.png' } },
      { type: 'video', video: ['a.png', red] },
      { type: 'video_url', video_url: { url: 'a.png' } },
    ]) {
      const asked = (text: string, more: object = {}) =>
        key({ [name]: [{ role: 'user', content: [part, { type: 'text', text }] }, null], ...more })
      assert.is(asked('one'), asked('two'))
      assert.ok(keys.includes(asked('one')))
      assert.is.not(asked('one', { image: 'b.png' }), asked('one'))
    }
  assert.is(key({ images: [], image: 'a.png' }), keys[0])
  assert.is(new Set(keys).size, keys.length)
  assert.is(key({ image: 'a.png', question: 'two' }, 2), keys[0])
  assert.is(key({ image: { bytes: red, path: 'y.png' } }), keys[2])
  assert.is(key({ image: red }), keys[2])
  assert.is(key({ image: null, question: 'one' }), JSON.stringify({ image: null, question: 'one' }))
})

rows('JSONL: rows that cross the blocks in which a file is read', async () => {
  const given = Array.from({ length: 40 }, (_, i) => ({ i, text: 'ä'.repeat(3000 * (i % 9)) }))
  const source = jsonl(written(given.map((row) => JSON.stringify(row)).join('\n')))
  const whole = await all(source)
  assert.equal(columns(whole), given)
  for (const i of [0, 17, 38, 39]) assert.equal(columns(await all(source, whole[i]![1])), given.slice(i + 1))
})

/** Bytes of lines, and why the row on line 2 is bad. */
const badLines: readonly (readonly [Uint8Array | string, RegExp])[] = [
  ['{"a": 1,}', /no JSON \(/],
  ['{"a": NaN}', /NaN, which JSON does not have/],
  ['[1]', /no JSON object/],
  ['3', /no JSON object/],
  ['null', /no JSON object/],
  [Uint8Array.of(123, 34, 0xff, 34, 125), /not UTF-8/],
]

rows('JSONL: a bad row is named and ends the reading, or is told, counted once and left out', async () => {
  for (const [bad, why] of badLines) {
    const lines = ['{"n":1}\n', bad, '\n{"n":3}\n']
    written(Buffer.concat(lines.map((l) => Buffer.from(l as string))))
    const e = await thrown(() => all(jsonl(file)))
    assert.ok(e instanceof RowError)
    assert.is(e.message.slice(0, file.length + 3), `${file}:2:`)
    assert.match(e.message, why)
    const aside = badRows()
    const source = jsonl(file, { onBadRow: aside.add })
    for (let pass = 0; pass < 2; pass++) assert.equal(columns(await all(source)), [{ n: 1 }, { n: 3 }])
    assert.is(aside.count, 1)
    assert.equal([aside.list[0]!.line, aside.list[0]!.reason], [2, e.reason])
  }
  assert.match(
    (await thrown(() => all(jsonl(written('[\n{}]'))))).message,
    /JSON list; name the file \.json, or write one row a line/,
  )
})

rows('a file that is not there, a folder, and places of other sources are refused', async () => {
  const refused = async (act: () => unknown, tag: RowsError['tag']): Promise<void> => {
    const e = await thrown(async () => act())
    assert.ok(e instanceof RowsError)
    assert.is(e.tag, tag)
  }
  await refused(() => jsonl(join(folder, 'none.jsonl')), 'NotFound')
  await refused(() => imageFolder(join(folder, 'none')), 'NotFound')
  await refused(() => imageFolder(folder), 'BadFile')
  await refused(() => jsonl(folder), 'BadFile')
  const source = jsonl(written('{}\n'))
  for (const place of [3, null, { byte: -1, line: 0 }, { byte: 1 }, { byte: 100, line: 1 }])
    assert.match((await thrown(() => all(source, place))).message, /opens at \{ byte, line \}/)
})

rows('a reading that ends early closes its file', async () => {
  const source = jsonl(written('{}\n'.repeat(10)))
  const open = (): number => readdirSync('/dev/fd').length
  const before = open()
  for (let i = 0; i < 20; i++) for await (const _ of source.open()) break
  await until(() => open() <= before + 2)
})

rows('an image folder: file_name is the image, other columns stay; a row without it is bad', async () => {
  const own = join(folder, 'images')
  mkdirSync(own)
  const lines = [{ file_name: 'a.png', question: 'what' }, { question: 'which' }, { file_name: 'sub/b.png' }]
  writeFileSync(join(own, 'metadata.jsonl'), lines.map((l) => JSON.stringify(l)).join('\n'))
  const aside = badRows()
  const got = await all(imageFolder(own, { onBadRow: aside.add }))
  assert.equal(columns(got), [
    { file_name: 'a.png', question: 'what', image: 'a.png' },
    { file_name: 'sub/b.png', image: 'sub/b.png' },
  ])
  assert.match(aside.list[0]!.message, /metadata\.jsonl:2: it has no file_name/)
  assert.match((await thrown(() => all(imageFolder(own)))).message, /no file_name/)
})

rows('bad rows: each is told once; more than a thousand are counted and not kept', () => {
  const told: number[] = []
  const aside = badRows((bad) => told.push(bad.line))
  for (const line of [1, 2, 1]) aside.add(new RowError({ file: 'f', line }, 'why'))
  assert.equal(told, [1, 2])
  for (let line = 3; line <= 1500; line++) aside.add(new RowError({ file: 'f', line }, 'why'))
  assert.equal([aside.count, aside.list.length, told.length], [1500, 1000, 1000])
})

rows('what is mapped: only bad rows are left out, other errors end the reading', async () => {
  const source = jsonl(written('{"n":1}\n{"n":2}\n{"n":3}\n'))
  const aside = badRows()
  const odd = mapped(
    'odd',
    source,
    (row) => {
      if (row.columns.n === 2) throw new RowError(row, 'even')
      return row.columns.n
    },
    { onBadRow: aside.add },
  )
  const whole = await all(odd)
  assert.equal(
    whole.map(([n]) => n),
    [1, 3],
  )
  assert.equal(await all(odd, whole[0]![1]), whole.slice(1))
  assert.is(aside.count, 1)
  const broken = mapped(
    'broken',
    source,
    () => {
      throw new TypeError('mine')
    },
    { onBadRow: aside.add },
  )
  assert.is((await thrown(() => all(broken))).message, 'mine')
})

rows('a file larger than the heap is read to its end', async () => {
  const large = join(folder, 'large.jsonl')
  const block = `${JSON.stringify({ text: 'x'.repeat(9_990) })}\n`.repeat(100)
  const out = openSync(large, 'w')
  for (let i = 0; i < 100; i++) writeSync(out, block)
  closeSync(out)
  const module = pathToFileURL(moduleAt('src/data/rows/jsonl.ts')).href
  const script = `import(${JSON.stringify(module)}).then(async ({ jsonl }) => {
    let [rows, letters] = [0, 0]
    for await (const { example } of jsonl(${JSON.stringify(large)}).open()) {
      rows++
      letters += example.columns.text.length
    }
    process.stdout.write([rows, letters, require('node:v8').getHeapStatistics().heap_size_limit < 100e6].join(' '))
  })`
  const words = ['--max-old-space-size=64', '--max-semi-space-size=4', ...loader, '-e', script]
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: root })
  assert.is(stdout, '10000 99900000 true')
  rmSync(large)
})

rows.run()
