/** Shards of WebDataset, made by tar(1) and by hand: samples, places, long names, what is no archive. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chained } from '../../src/data/chained.ts'
import { chatOf } from '../../src/data/row-chat.ts'
import { badRows, RowError, RowsError } from '../../src/data/rows/row.ts'
import { webDataset } from '../../src/data/rows/web-dataset.ts'
import { listed, type Source } from '../../src/data/source.ts'
import { thrown } from '../support/tiny.ts'

const shards = suite('data: WebDataset')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-shards-'))
shards.after(() => rmSync(folder, { recursive: true, force: true }))

const all = async <E>(source: Source<E>, place?: unknown): Promise<[E, unknown][]> => {
  const got: [E, unknown][] = []
  for await (const { example, next } of source.open(place)) got.push([example, next])
  return got
}

/** An archive as its format says: a header of 512 bytes and the content for each file. */
const archive = (files: readonly (readonly [name: string, content: string | Uint8Array])[]): Buffer => {
  const parts = files.flatMap(([name, content]) => {
    const bytes = Buffer.from(content as string)
    const header = Buffer.alloc(512)
    header.write(name, 0, 100)
    header.write('0000644', 100)
    header.write(bytes.length.toString(8).padStart(11, '0'), 124)
    header.write('        0ustar', 148)
    header.write('00', 263)
    header.write(
      `${header
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}
const file = join(folder, 'made.tar')
const written = (bytes: Uint8Array): string => {
  writeFileSync(file, bytes)
  return file
}

shards('whatever the samples, each is a row, and each place goes on behind its row', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 1500 }), fc.jsonValue(), fc.boolean()), { maxLength: 6 }),
      async (samples) => {
        const files = samples.flatMap(([image, value, first], i) => {
          const two = [
            [`a/${i}.png`, image],
            [`a/${i}.json`, JSON.stringify({ value })],
          ] as const
          return first ? two : [two[1], two[0]]
        })
        const source = webDataset(written(archive(files)))
        const whole = await all(source)
        assert.equal(
          whole.map(([row]) => row),
          samples.map(([image, value], i) => ({
            columns: { value: JSON.parse(JSON.stringify(value)), image, __key__: `a/${i}` },
            ...{ file, line: i + 1 },
          })),
        )
        for (const [i, [, place]] of whole.entries())
          assert.equal(await all(source, JSON.parse(JSON.stringify(place))), whole.slice(i + 1))
      },
    ),
    { numRuns: 30 },
  ),
)

shards(
  'what tar(1) writes, in both formats: folders passed over, names longer than a header holds',
  async () => {
    const long = `${'deep/'.repeat(30)}${'n'.repeat(120)}`
    mkdirSync(join(folder, 'in', 'deep/'.repeat(30)), { recursive: true })
    const image = Uint8Array.from({ length: 70_000 }, (_, i) => (i * i) % 251)
    writeFileSync(join(folder, 'in', `${long}.jpg`), image)
    const chat = {
      conversations: [
        { from: 'human', value: '<image>\nwhat' },
        { from: 'gpt', value: 'it' },
      ],
    }
    writeFileSync(join(folder, 'in', `${long}.json`), JSON.stringify(chat))
    writeFileSync(join(folder, 'in', 'z.seg.png'), image)
    writeFileSync(join(folder, 'in', 'z.jpg'), image)
    writeFileSync(join(folder, 'in', 'z.txt'), 'words\n')
    writeFileSync(join(folder, 'in', 'z.npy'), 'raw')
    const names = ['deep', `${long}.jpg`, `${long}.json`, 'z.seg.png', 'z.jpg', 'z.txt', 'z.npy']
    for (const format of ['gnu', 'pax', 'ustar']) {
      const some = format === 'ustar' ? names.slice(3) : names
      const path = join(folder, `${format}.tar`)
      const words = ['-C', join(folder, 'in'), '--no-recursion', `--format=${format}`, '-cf', path, ...some]
      execFileSync('tar', words)
      const source = webDataset(path)
      const whole = await all(source)
      const last = {
        images: [image, image],
        txt: 'words',
        npy: Uint8Array.from(Buffer.from('raw')),
        __key__: 'z',
      }
      assert.equal(whole.at(-1)![0].columns, last)
      if (format === 'ustar') continue
      assert.equal(whole[0]![0].columns, { ...chat, image, __key__: long })
      assert.equal(chatOf(whole[0]![0]).turns[0]!.parts[0]!.type, 'image')
      assert.equal(await all(source, whole[0]![1]), whole.slice(1))
    }
  },
)

shards('a bad sample is named; what is no archive, or half of one, is refused', async () => {
  const bytes = archive([
    ['a.json', '{"n": 1}'],
    ['b.json', '{'],
    ['c.json', '[1]'],
    ['d.json', '{"n": 4}'],
  ])
  const aside = badRows()
  const good = await all(webDataset(written(bytes), { onBadRow: aside.add }))
  assert.equal(
    good.map(([row]) => row.columns.n),
    [1, 4],
  )
  assert.equal(
    aside.list.map((b) => b.line),
    [2, 3],
  )
  assert.ok((await thrown(() => all(webDataset(file)))) instanceof RowError)
  const refused = async (content: Uint8Array, why: RegExp): Promise<void> => {
    const e = await thrown(() => all(webDataset(written(content))))
    assert.ok(e instanceof RowsError)
    assert.match(e.message, why)
  }
  await refused(bytes.subarray(0, 700), /ends in the middle of the file/)
  await refused(bytes.subarray(0, 1024), /without an end mark/)
  await refused(bytes.subarray(0, 1100), /ends in the middle of a header/)
  await refused(new Uint8Array(), /without an end mark/)
  await refused(archive([['a.png', 'x'.repeat(900)]]).subarray(0, 1000), /ends in the middle of the file/)
  await refused(Buffer.from('no archive'.repeat(100)), /no tar header at byte 0/)
  await refused(gzipSync(bytes).subarray(0, 60), /what is compressed is damaged or cut off/)
  written(bytes)
  for (const place of [1, null, { byte: -1, sample: 0 }, { byte: 1e9, sample: 0 }])
    assert.match((await thrown(() => all(webDataset(file), place))).message, /opens at \{ byte, sample \}/)
})

shards('what stands between the files of a sample and is none of them is passed over', async () => {
  const file = written(
    archive([
      ...([
        ['._0.json', 'of macOS'],
        ['0.json', '{"n": 0}'],
        ['._0.txt', 'of macOS'],
        ['0.txt', 'zero'],
        ['__MACOSX/0.txt', 'of macOS'],
        ['0.cls', '7'],
        ['in/.hidden.txt', 'x'],
        ['in.side/README', 'x'],
        ['in.side/1.json', '{"n": 1}'],
        ['LICENSE', 'x'],
      ] as const),
    ]),
  )
  const rows = await all(webDataset(file))
  assert.equal(
    rows.map(([{ columns, line }]) => [line, columns]),
    [
      [1, { n: 0, txt: 'zero', cls: '7', __key__: '0' }],
      [2, { n: 1, __key__: 'in.side/1' }],
    ],
  )
  for (const [i, [, next]] of rows.entries())
    assert.equal(await all(webDataset(file), next), rows.slice(i + 1))
})

shards('a compressed shard has the rows and places of the other', async () => {
  const bytes = archive(Array.from({ length: 40 }, (_, i) => [`${i}.json`, `{"n": ${i}}`] as const))
  const wanted = await all(webDataset(written(bytes)))
  const own = join(folder, 'made.tar.gz')
  writeFileSync(own, gzipSync(bytes))
  const named = wanted.map(([row, next]) => [{ ...row, file: own }, next])
  assert.equal(await all(webDataset(own)), named)
  for (const i of [0, 20, 39]) assert.equal(await all(webDataset(own), named[i]![1]), named.slice(i + 1))
})

shards('chained: one after the other, and every place goes on', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.nat(), { maxLength: 4 }), { maxLength: 4 }), async (lists) => {
      const source = chained(lists.map((l, i) => listed(i, l)))
      const whole = await all(source)
      assert.equal(
        whole.map(([n]) => n),
        lists.flat(),
      )
      for (const [i, [, place]] of whole.entries())
        assert.equal(await all(source, JSON.parse(JSON.stringify(place))), whole.slice(i + 1))
    }),
    { numRuns: 30 },
  ),
)

shards('the archives that are made here are those that tar(1) reads', () => {
  written(archive([['x/y.txt', 'hello']]))
  assert.is(String(execFileSync('tar', ['-xOf', file, 'x/y.txt'])), 'hello')
  assert.is(readFileSync(file).length % 512, 0)
})

shards.run()
