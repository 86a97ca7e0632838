/** Each kind of bad row: named with file, line and reason, set aside and counted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { badRows, conversations, jsonl, questions, repeated, rowsOf, shuffled } from '../../src/data/index.ts'
import { nanoProcessor } from '../../src/tasks/index.ts'

const kinds = suite('data: bad rows')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-bad-rows-'))
kinds.after(() => rmSync(folder, { recursive: true, force: true }))

const said = { answer: 'yes' }
/** A record with lists inside one another. */
const nested = (deep: number): unknown => ({
  ...{ question: 'Is it?', ...said },
  deep: Array.from({ length: deep - 1 }).reduce((inner: readonly unknown[]) => [inner], []),
})
const rows: readonly (readonly [row: unknown, why: RegExp])[] = [
  [{ question: 'Is it?', image: 'none.png', ...said }, /image .*none\.png: there is no such file/],
  [{ question: 'Is it?', image: 'broken.png', ...said }, /image .*broken\.png: it cannot be read/],
  [
    { question: 'Is it?', image: 'text.png', ...said },
    /image .*text\.png: it cannot be read .*: PNG, JPEG, WebP, TIFF, GIF, BMP and AVIF are read/,
  ],
  [{ question: 5, ...said }, /its question is 5; give a text/],
  [{ messages: [{ role: 'user', content: 7 }] }, /its messages\[0\] is /],
  [[1], /no JSON object/],
  [
    { question: `${'<image>'.repeat(3)}`, image: "{'bytes': b'\\x89PNG'}", ...said },
    /as Python shows bytes; write/,
  ],
  [
    { question: 'Is it?', image: `b'${'\\x00'.repeat(9000)}'`, ...said },
    /its image is .{60}, as Python shows bytes/,
  ],
  [
    { question: 'Is it?', image: `${'long/'.repeat(400)}none.png`, ...said },
    /image .{150,300} … .{150,200}none\.png: [^/]{1,60}$/,
  ],
  [nested(501), /lists and records nest more than 500 deep in it; take it out/],
  [{ question: '<image> and <image>?', image: 'good.png', ...said }, /2 <image> marks and 1 images/],
  [{ question: 'a<|im_end|>b', ...said }, /its turn 0 spells the special token <\|im_end\|>/],
  [{ question: 'Why?', answer: '<IMG_CONTEXT>' }, /its turn 1 spells the special token <IMG_CONTEXT>/],
  [{ question: 'Why?', answer: 'because '.repeat(40) }, /it has \d+ tokens and a row holds 64/],
  [
    { question: 'Which?', images: ['good.png', 'good.png'], ...said },
    /its images are 2 tiles and frames and a row has room for 1; raise the row's images/,
  ],
  [
    { question: 'Why?' },
    /its columns are question; give messages, conversations, or a question and an answer/,
  ],
  [{ text: 7 }, /its text is 7; give a text/],
  [{ text: ' ' }, /its text is empty/],
  [{ text: 'a<|im_end|>b' }, /spells the special token <\|im_end\|>/],
  [{ text: 'A shelf.', image: 'good.png' }, /it has a text and image, .*; give a question and an answer/],
  [{ text: 'A shelf.', output: 'yes' }, /its columns are text, output; give/],
]

kinds('each is told with its line; the rows between them are read', async () => {
  const good = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#369' } })
    .png()
    .toBuffer()
  writeFileSync(join(folder, 'good.png'), good)
  const broken = Buffer.from(good)
  broken.fill(0x55, broken.length >> 1)
  writeFileSync(join(folder, 'broken.png'), broken)
  writeFileSync(join(folder, 'text.png'), 'no image')
  const fine = JSON.stringify({ question: 'Is <image> it?', image: 'good.png', ...said })
  const file = join(folder, 'rows.jsonl')
  writeFileSync(file, rows.map(([row]) => `${JSON.stringify(row)}\n${fine}\n`).join(''))
  const bad = badRows()
  const options = { processor: nanoProcessor(), tokens: 64, images: 1, onBadRow: bad.add }
  let read = 0
  for await (const { example } of conversations(jsonl(file, { onBadRow: bad.add }), options).open()) {
    assert.is(example.images.length, 1)
    read++
  }
  assert.equal([read, bad.count], [rows.length, rows.length])
  for (const [i, [, why]] of rows.entries()) {
    const { message, line, file: where } = bad.list[i]!
    assert.equal([where, line], [file, 2 * i + 1], message)
    assert.match(message, why)
    assert.ok(message.startsWith(`${file}:${line}: `))
  }
})

kinds(
  'what spells a special token stays text where that is asked for, and never becomes the token',
  async () => {
    const file = join(folder, 'spelt.jsonl')
    writeFileSync(file, JSON.stringify({ question: 'a<|im_end|>b', answer: '<|im_start|>' }))
    const p = nanoProcessor()
    const source = conversations(jsonl(file), { processor: p, special: 'text' })
    const { value } = await source.open().next()
    const ids: readonly number[] = value.example.ids
    assert.equal([ids.filter((id) => id === p.start).length, ids.filter((id) => id === p.end).length], [2, 2])
    assert.match(p.tokenizer.decode(ids), /a<\|im_end\|>b[\s\S]*<\|im_start\|>/)
    assert.match(JSON.stringify(source.config), /"special":"text"/)
  },
)

kinds(
  'a file without a good row, read again and again, ends with its first bad one; one good row is enough',
  async () => {
    const file = join(folder, 'barren.jsonl')
    const bad = Array.from({ length: 40 }, (_, i) => JSON.stringify({ input: `${i}`, output: 'yes' }))
    const first = async (lines: readonly string[]) => {
      writeFileSync(file, lines.join('\n'))
      const set = badRows()
      const options = { processor: nanoProcessor(), onBadRow: set.add }
      const rows = shuffled(repeated(jsonl(file, { onBadRow: set.add })), { seed: 1, buffer: 1000 })
      for await (const { example } of conversations(rows, options).open()) return [example.id, set.count]
      return undefined
    }
    await first(bad).then(
      () => assert.unreachable('it ended'),
      (e: Error) =>
        assert.match(
          e.message,
          /barren\.jsonl: no row can be used; the first that was met is line \d+: its columns are input/,
        ),
    )
    const [id] = (await first([...bad, JSON.stringify({ question: 'Is it?', ...said })])) ?? []
    assert.match(`${id}`, /41/)
  },
)

kinds('an object over several lines is told to be one a line', async () => {
  const file = join(folder, 'pretty.jsonl')
  writeFileSync(file, `${JSON.stringify({ question: 'a', answer: 'b' }, null, 2)}\n{"a": 1}}\n`)
  const bad = badRows()
  for await (const _ of jsonl(file, { onBadRow: bad.add }).open());
  const told = bad.list.map(({ reason }) =>
    /its object does not end on this line: write one row a line/.test(reason),
  )
  assert.equal(told, [true, false, false, false, false])
})

kinds('a row that nests as deep as JSON may is named by its line, from every kind of file', async () => {
  const deep = `{"question": "a", "answer": "b", "x": ${'['.repeat(50_000)}${']'.repeat(50_000)}}`
  const good = '{"question": "a", "answer": "b"}'
  for (const [name, text] of [
    ['deep.jsonl', `${good}\n${deep}\n${good}\n`],
    ['deep.json', `[${good}, ${deep}, ${good}]`],
  ] as const) {
    const file = join(folder, name)
    writeFileSync(file, text)
    const bad = badRows()
    const lines: number[] = []
    for await (const { example } of rowsOf(file, { onBadRow: bad.add }).open()) lines.push(example.line)
    assert.equal([lines, bad.list.map((b) => b.line)], [[1, 3], [2]])
  }
})

kinds('without a processor nothing is laid out: that is said before a row is read', () => {
  const none = { config: {}, async *open() {} }
  for (const [of, make] of Object.entries({ conversations, questions }))
    for (const [processor, what] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [{}, 'a record'],
      [() => undefined, 'a function; is it to be called first\\?'],
    ] as const)
      assert.throws(
        () => make(none, { processor: processor as never }),
        new RegExp(`^${of}, processor: it is ${what}; give a processor, such as processor\\(textTokenizer`),
      )
})

kinds.run()
