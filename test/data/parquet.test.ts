/** Parquet files as pyarrow and pandas write them, read back; places; what is no Parquet. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetMetadata } from 'hyparquet'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  badRows,
  chatOf,
  conversations,
  parquet,
  type Row,
  RowsError,
  readRowImage,
  type Source,
} from '../../src/data/index.ts'
import { nanoProcessor } from '../../src/tasks/index.ts'
import { fixturePath } from '../support/fixtures.ts'
import { thrown } from '../support/tiny.ts'

const files = suite('data: Parquet')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-parquet-'))
files.after(() => rmSync(folder, { recursive: true, force: true }))

const all = async <E>(source: Source<E>, place?: unknown): Promise<[E, unknown][]> => {
  const got: [E, unknown][] = []
  for await (const { example, next } of source.open(place)) got.push([example, next])
  return got
}
const made = (name: string): string => fixturePath(`rows/${name}.parquet`)
const colours = [
  [200, 10, 10],
  [10, 200, 10],
  [10, 10, 200],
]

for (const name of ['chats-snappy', 'chats-zstd', 'chats-gzip', 'chats-v2'])
  files(
    `${name}: images, lists of messages, numbers, times; every place goes on behind its row`,
    async () => {
      const source = parquet(made(name))
      const whole = await all(source)
      assert.equal(
        whole.map(([row, next]) => [row.line, next]),
        Array.from({ length: 7 }, (_, i) => [i + 1, { row: i + 1 }]),
      )
      for (const [i, [row]] of whole.entries()) {
        const { image, ...rest } = row.columns
        const answer = ['red', 'green', 'blue'][i % 3]
        assert.equal(rest, {
          ...{ id: i, score: i / 2, big: String(2n ** 60n + BigInt(i)), at: '2026-01-02T03:04:05.000Z' },
          tags: Array<string>(i % 3).fill('a'),
          messages: [
            { role: 'user', content: `Which colour is number ${i}, ä “x”?` },
            { role: 'assistant', content: answer },
          ],
        })
        assert.is((image as { path: string }).path, i === 5 ? 'here.png' : `${i}.png`)
        assert.equal(
          chatOf(row).turns.map((t) => t.parts.map((p) => p.type)),
          [['image', 'text', 'text'], ['text']],
        )
        if (i === 5) continue
        const { data } = await readRowImage(row, 2)
        assert.equal([...data.slice(0, 3)], colours[i % 3])
      }
      for (const [i, [, next]] of whole.entries()) assert.equal(await all(source, next), whole.slice(i + 1))
    },
  )

files('a path without bytes is of the folder; one that is not there is a bad row', async () => {
  const own = join(folder, 'chats.parquet')
  copyFileSync(made('chats-snappy'), own)
  const bad = badRows()
  const options = { processor: nanoProcessor(), onBadRow: bad.add }
  const good = await all(conversations(parquet(own), options))
  assert.equal([good.length, bad.count], [6, 1])
  assert.match(bad.list[0]!.message, /chats\.parquet:6: image .*here\.png: there is no such file/)
})

files('pandas: texts, and nothing where there is none', async () => {
  const rows = await all(parquet(made('pandas')))
  assert.equal(
    rows.map(([{ columns }]) => columns),
    [
      { question: '1+1?', answer: '2' },
      { question: '2+2?', answer: '4' },
      { question: null, answer: '6' },
    ],
  )
  assert.match((await thrown(() => chatOf(rows[2]![0]))).message, /pandas\.parquet:3: its question is null/)
})

files('LZ4, with a column in which nothing is', async () => {
  const rows = await all(parquet(made('lz4')))
  assert.equal(
    rows.map(([{ columns }]) => columns),
    [
      { question: '1+1?', answer: '2', image: null },
      { question: '2+2?', answer: '4', image: null },
      { question: '1+1?', answer: '2', image: null },
    ],
  )
})

/** A number as the footer has it: its sign in the last bit, seven bits a byte. */
const varint = (n: bigint): number[] => {
  const bytes: number[] = []
  for (let left = 2n * n; ; left >>= 7n) {
    if (left < 128n) return [...bytes, Number(left)]
    bytes.push(Number(left & 127n) | 128)
  }
}

files('a row group too large for one reading is refused, with how to write smaller ones', async () => {
  const whole = readFileSync(made('pandas'))
  const { row_groups: groups } = parquetMetadata(new Uint8Array(whole).buffer)
  // field 2 of a row group and field 3: its bytes and its rows
  const about = (bytes: bigint) => Buffer.from([0x16, ...varint(bytes), 0x16, ...varint(groups[0]!.num_rows)])
  const told = about(groups[0]!.total_byte_size)
  const at = whole.lastIndexOf(told)
  assert.ok(at > 0 && groups.length === 1)
  const larger = about(2n ** 30n + 1n)
  const file = Buffer.concat([whole.subarray(0, at), larger, whole.subarray(at + told.length)])
  file.writeUInt32LE(whole.readUInt32LE(whole.length - 8) + larger.length - told.length, file.length - 8)
  const own = join(folder, 'large.parquet')
  writeFileSync(own, file)
  const e = await thrown(() => all(parquet(own)))
  assert.ok(e instanceof RowsError)
  assert.match(e.message, /row group 0 has 1073741825 bytes, and at most 1073741824 are read at once/)
})

files('rows keep their own bytes', async () => {
  const rows = await all(parquet(made('chats-snappy')))
  const bytes = (row: Row) => (row.columns.image as { bytes: Uint8Array }).bytes
  assert.is(bytes(rows[0]![0]).buffer.byteLength, bytes(rows[0]![0]).length)
})

files('what is no Parquet, half of one, or cannot be read is refused; so are other places', async () => {
  const own = join(folder, 'own.parquet')
  const refused = async (content: Uint8Array, why: RegExp): Promise<void> => {
    writeFileSync(own, content)
    const e = await thrown(() => all(parquet(own)))
    assert.ok(e instanceof RowsError, e.message)
    assert.match(e.message, why)
  }
  const whole = readFileSync(made('chats-snappy'))
  await refused(Buffer.from('no parquet'.repeat(20)), /own\.parquet: it is no Parquet file/)
  await refused(whole.subarray(0, 3000), /no Parquet file .* is it whole/)
  await refused(new Uint8Array(), /no Parquet file/)
  const spoilt = Buffer.from(whole)
  spoilt.fill(0xff, 4, 400)
  await refused(spoilt, /rows 1 to 3 cannot be read/)
  for (const place of [1, null, { row: -1 }, { row: 8 }, { byte: 0, line: 0 }])
    assert.match((await thrown(() => all(parquet(made('pandas')), place))).message, /opens at \{ row \}/)
  assert.match((await thrown(() => parquet(join(folder, 'none.parquet')))).message, /there is no such file/)
})

files.run()
