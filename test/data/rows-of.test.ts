/** Rows of a path by what its name says that it is, compressed or not; folders; what cannot be told. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { badRows, type Row, RowsError, repeated, rowsOf, type Source } from '../../src/data/index.ts'
import { fixturePath } from '../support/fixtures.ts'
import { thrown } from '../support/tiny.ts'

const kinds = suite('data: rows of a path')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-rows-of-'))
kinds.after(() => rmSync(folder, { recursive: true, force: true }))

const all = async (source: Source<Row>, place?: unknown): Promise<[Row['columns'], unknown][]> => {
  const got: [Row['columns'], unknown][] = []
  for await (const { example, next } of source.open(place)) got.push([example.columns, next])
  return got
}
const put = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `{"n": ${from + i}}\n`).join('')

kinds('JSONL, compressed or not: the same rows, and places that go on', async () => {
  const text = lines(0, 50_000)
  const wanted = await all(rowsOf(put('a.jsonl', text)))
  assert.is(wanted.length, 50_000)
  for (const name of ['b.jsonl.gz', 'c.ndjson.gz']) {
    const source = rowsOf(put(name, gzipSync(text)))
    assert.equal(await all(source), wanted)
    for (const i of [0, 17, 49_998, 49_999])
      assert.equal(await all(source, wanted[i]![1]), wanted.slice(i + 1), `from ${i}`)
    // behind the compressed file's size and inside its content
    assert.ok((wanted[49_000]![1] as { byte: number }).byte > 2 * readFileSync(join(folder, name)).length)
    assert.match(
      (await thrown(() => all(source, { byte: 1e9, line: 9 }))).message,
      /ends before byte 1000000000/,
    )
  }
})

kinds('a compressed file that is cut off or damaged is refused, not read as a shorter one', async () => {
  const whole = gzipSync(lines(0, 5000))
  const e = await thrown(() => all(rowsOf(put('half.jsonl.gz', whole.subarray(0, whole.length >> 1)))))
  assert.ok(e instanceof RowsError)
  assert.match(e.message, /half\.jsonl\.gz: what is compressed is damaged or cut off/)
  whole.fill(7, whole.length >> 1, (whole.length >> 1) + 99)
  assert.match(
    (await thrown(() => all(rowsOf(put('bad.jsonl.gz', whole), { onBadRow: () => {} })))).message,
    /damaged or cut off/,
  )
})

kinds('folders: images with metadata, or files of one kind by name', async () => {
  const own = (name: string): string => {
    mkdirSync(join(folder, name))
    return join(folder, name)
  }
  const images = own('images')
  writeFileSync(join(images, 'metadata.jsonl'), '{"file_name": "a.png"}\n{}\n')
  const bad = badRows()
  assert.equal(
    (await all(rowsOf(images, { onBadRow: bad.add }))).map(([c]) => c.image),
    ['a.png'],
  )
  assert.is(bad.count, 1)

  const shards = own('shards')
  for (const i of [2, 0, 1]) writeFileSync(join(shards, `train-0000${i}.jsonl`), lines(3 * i, 3 * i + 3))
  writeFileSync(join(shards, 'README.md'), 'words')
  const whole = await all(rowsOf(shards))
  assert.equal(
    whole.map(([c]) => c.n),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  )
  for (const [i, [, next]] of whole.entries())
    assert.equal(await all(rowsOf(shards), next), whole.slice(i + 1))

  const one = own('one')
  cpSync(fixturePath('rows/pandas.parquet'), join(one, 'data.parquet'))
  assert.is((await all(rowsOf(one))).length, 3)

  const refused = async (path: string, why: RegExp): Promise<void> => {
    const e = await thrown(() => rowsOf(path))
    assert.ok(e instanceof RowsError, e.message)
    assert.match(e.message, why)
  }
  writeFileSync(join(shards, 'test-00000.jsonl'), '{}')
  await refused(shards, /several splits \(test, train\); give one file/)
  writeFileSync(join(one, 'more.tar'), '')
  await refused(one, /has data\.parquet and more\.tar; give a folder with files of one kind/)
  await refused(own('empty'), /empty: it has no rows; give JSONL/)
  const words = own('words')
  writeFileSync(join(words, 'a.txt'), '')
  await refused(words, /it has no rows, only a\.txt; give JSONL/)
  await refused(join(folder, 'none'), /there is no such file or folder/)
  await refused(put('a.txt', ''), /a\.txt: give JSONL/)
  const published = own('published')
  mkdirSync(join(published, 'data'))
  writeFileSync(join(published, 'README.md'), 'words')
  writeFileSync(join(published, 'data', 'train.jsonl'), lines(0, 3))
  await refused(published, /its rows are in folders inside it \(data\); give one of them/)
})

kinds('JSON is a list, or rows a line where it begins none; beside other files it is no row', async () => {
  const rows = [{ n: 0 }, { n: 1 }, { n: 2 }]
  for (const [name, content] of [
    ['list.json', JSON.stringify(rows)],
    ['list.json.gz', gzipSync(` \n${JSON.stringify(rows, null, 1)}`)],
    ['lines.json', lines(0, 3)],
    ['lines.json.gz', gzipSync(lines(0, 3))],
  ] as const)
    assert.equal(
      (await all(rowsOf(put(name, content)))).map(([c]) => c),
      rows,
      name,
    )
  const beside = join(folder, 'beside')
  mkdirSync(beside)
  writeFileSync(join(beside, 'dataset_info.json'), '{}')
  writeFileSync(join(beside, 'rows.json'), JSON.stringify(rows))
  assert.is((await all(rowsOf(beside))).length, 3)
  writeFileSync(join(beside, 'rows.csv'), 'n\n7\n')
  assert.equal(
    (await all(rowsOf(beside))).map(([c]) => c),
    [{ n: '7' }],
  )
})

kinds('images: with a table of one of three kinds, or in folders by class', async () => {
  const own = join(folder, 'pictures')
  mkdirSync(join(own, 'cat', 'young'), { recursive: true })
  mkdirSync(join(own, 'dog'))
  const names = ['cat/a.png', 'cat/young/b.JPG', 'dog/a.png', 'dog/c.webp']
  for (const name of [...names, 'dog/.hidden.png', 'dog/words.txt']) writeFileSync(join(own, name), name)
  const whole = await all(rowsOf(own))
  assert.equal(
    whole.map(([c]) => c).sort((a, b) => (`${a.image}` < `${b.image}` ? -1 : 1)),
    names.map((image) => ({ image, label: image.split('/')[0] })),
  )
  for (const [i, [, next]] of whole.entries()) assert.equal(await all(rowsOf(own), next), whole.slice(i + 1))
  for await (const { example } of rowsOf(own).open()) assert.is(dirname(example.file), own)
  const before = JSON.stringify(rowsOf(own).config)
  writeFileSync(join(own, 'cat', 'a.png'), 'another size')
  assert.is.not(JSON.stringify(rowsOf(own).config), before)

  writeFileSync(join(own, 'metadata.csv'), 'file_name,label\ncat/a.png,7\n')
  assert.equal(
    (await all(rowsOf(own))).map(([c]) => c),
    [{ file_name: 'cat/a.png', label: '7', image: 'cat/a.png' }],
  )
  writeFileSync(join(own, 'metadata.jsonl'), '{"file_name": "dog/a.png"}')
  assert.match((await thrown(() => rowsOf(own))).message, /has metadata\.jsonl and metadata\.csv; leave one/)

  const splits = join(folder, 'splits')
  for (const name of ['train/cat', 'test/cat']) mkdirSync(join(splits, name), { recursive: true })
  assert.match(
    (await thrown(() => rowsOf(splits))).message,
    /a folder for each split \(test, train\); give one/,
  )
  // a link that leads nowhere is an image that cannot be read, and no class
  const linked = join(folder, 'linked')
  mkdirSync(join(linked, 'cat'), { recursive: true })
  for (const name of ['gone', 'cat/gone.png']) symlinkSync('nowhere', join(linked, name))
  const [[row] = []] = await all(rowsOf(linked))
  assert.equal(row, { image: 'cat/gone.png', label: 'cat' })
  mkdirSync(join(folder, 'bare', 'inside'), { recursive: true })
  assert.match(
    (await thrown(() => rowsOf(join(folder, 'bare')))).message,
    /no image in the folders inside it/,
  )
})

kinds(
  'a file that has other bytes when it is read again is refused, so that no other rows come in the middle of a run',
  async () => {
    const list = (n: number): string => `[${Array.from({ length: n }, (_, i) => `{"n":${i}}`).join(',')}]`
    const published = readFileSync(fixturePath('rows/chats-snappy.parquet'))
    const growing: readonly (readonly [
      name: string,
      first: string | Uint8Array,
      then: string | Uint8Array,
    ])[] = [
      ['grows.jsonl', lines(0, 3), lines(0, 4)],
      ['shrinks.jsonl', lines(0, 3), lines(0, 2)],
      ['grows.jsonl.gz', gzipSync(lines(0, 3)), gzipSync(lines(0, 40))],
      ['grows.json', list(3), list(4)],
      ['grows.csv', 'n\n1\n2\n', 'n\n1\n2\n3\n'],
      ['grows.parquet', published, Buffer.concat([published, published])],
    ]
    for (const [name, first, then] of growing) {
      const source = rowsOf(put(name, first))
      const before = await all(source)
      assert.equal(await all(source, before[0]![1]), before.slice(1), name)
      put(name, then)
      for (const place of [undefined, before[0]![1]]) {
        const e = await thrown(() => all(source, place))
        assert.ok(e instanceof RowsError, e.message)
        assert.match(e.message, /it has \d+ bytes and had \d+ when this began; put it back/)
      }
      rmSync(join(folder, name))
      assert.match((await thrown(() => all(source))).message, /there is no such file/)
    }
  },
)

kinds('what is no path of this machine is told so', async () => {
  assert.match(
    (await thrown(() => rowsOf('https://example.org/rows.jsonl'))).message,
    /nothing is fetched from the net/,
  )
  symlinkSync('round.jsonl', join(folder, 'round.jsonl'))
  const e = await thrown(() => rowsOf(join(folder, 'round.jsonl')))
  assert.ok(e instanceof RowsError)
  assert.match(e.message, /round\.jsonl: it cannot be read \(ELOOP.*check the path/)
})

kinds(
  'what Python saved as Arrow is refused with what to do, and files about data hide no folder',
  async () => {
    const [saved, dict, older] = ['saved', 'saved-dict', 'older'].map((name) => join(folder, name))
    for (const at of [saved!, join(dict!, 'train'), join(older!, 'data')]) mkdirSync(at, { recursive: true })
    for (const at of [saved!, join(dict!, 'train')])
      for (const name of ['data-00000-of-00001.arrow', 'state.json', 'dataset_info.json'])
        writeFileSync(join(at, name), '{}')
    writeFileSync(join(dict!, 'dataset_dict.json'), '{}')
    writeFileSync(join(older!, 'dataset_infos.json'), '{}')
    writeFileSync(join(older!, 'data', 'train.jsonl'), '{"n": 1}\n')
    const said = async (path: string) => (await thrown(() => rowsOf(path))).message
    assert.match(await said(saved!), /saved: data-00000-of-00001\.arrow is .*not read; .*to_parquet\('train/)
    assert.match(await said(join(saved!, 'data-00000-of-00001.arrow')), /not read; .*to_parquet\('train/)
    assert.match(await said(dict!), /its rows are in folders inside it \(train\)/)
    assert.match(await said(older!), /its rows are in folders inside it \(data\)/)
  },
)

kinds('a file without a row is named when it is read, and a place at its end is none', async () => {
  const bad = badRows()
  const shards = join(folder, 'shards-without-rows')
  mkdirSync(shards)
  writeFileSync(join(shards, 'a.jsonl'), '')
  writeFileSync(join(shards, 'b.jsonl'), '\n\n')
  const spoiltShards = join(folder, 'spoilt-shards')
  mkdirSync(spoiltShards)
  for (const name of ['a', 'b']) writeFileSync(join(spoiltShards, `${name}.jsonl`), '7\n')
  const cases: readonly (readonly [string, RegExp])[] = [
    [put('nothing.jsonl', ''), /nothing\.jsonl: it has no rows; give a file with at least one/],
    [put('blank.jsonl', '\n \n'), /blank\.jsonl: it has no rows/],
    [shards, /shards-without-rows: it has no rows/],
    [
      spoiltShards,
      /spoilt-shards: none of its rows can be used; the first bad one is .*spoilt-shards.a\.jsonl:1: /,
    ],
    [
      put('spoilt.jsonl', '\n7\n8\n'),
      /spoilt\.jsonl: none of its rows can be used; the first bad one is line 2: /,
    ],
  ]
  for (const [path, why] of cases)
    for (const source of [
      rowsOf(path, { onBadRow: bad.add }),
      repeated(rowsOf(path, { onBadRow: bad.add })),
    ]) {
      const e = await thrown(async () => source.open().next())
      assert.ok(e instanceof RowsError, e.message)
      assert.match(e.message, why)
    }
  writeFileSync(join(shards, 'b.jsonl'), '{"n": 1}\n')
  const [[, next] = []] = await all(rowsOf(shards))
  assert.equal(await all(rowsOf(shards), next), [])
  // what a filter leaves nothing of is named too
  const none: Source<Row> = { config: rowsOf(shards).config, async *open() {} }
  const e = await thrown(async () => repeated(none).open().next())
  assert.match(e.message, /to be repeated has no example: .*shards-without-rows/)
})

kinds.run()
