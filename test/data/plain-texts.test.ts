/** Rows that are nothing but a text: what is learnt of them, and where a reading goes on inside one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Conversation,
  conversations,
  indexed,
  jsonl,
  listed,
  packed,
  type Row,
  repeated,
  type Source,
  SourceError,
  shuffled,
} from '../../src/data/index.ts'
import { mappedToMany } from '../../src/data/rows/row.ts'
import { nanoProcessor } from '../../src/tasks/index.ts'
import { thrown } from '../support/tiny.ts'

const texts = suite('data: plain texts')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-plain-texts-'))
texts.after(() => rmSync(folder, { recursive: true, force: true }))

const processor = nanoProcessor()
const idsOf = (text: string): readonly number[] => [...processor.tokenizer.encodeText(text), processor.end]

const rowsOfTexts = (given: readonly string[]): Source<Row> =>
  listed(
    'texts',
    given.map((text, i): Row => ({ columns: { text }, file: 'texts.jsonl', line: i + 1 })),
  )

/** So many examples from a place on, with the places behind them, as a checkpoint has them. */
const taken = async <E>(source: Source<E>, n: number, place?: unknown) => {
  const all: { readonly example: E; readonly next: unknown }[] = []
  if (n === 0) return all
  for await (const { example, next } of source.open(place)) {
    all.push({ example, next: JSON.parse(JSON.stringify(next)) })
    if (all.length === n) break
  }
  return all
}

const words = fc.array(fc.constantFrom('how', 'many', 'red', 'squares', '7', 'are', 'there', '?'), {
  minLength: 1,
  maxLength: 30,
})
const someTexts = fc.array(
  words.map((w) => w.join(' ')),
  { minLength: 1, maxLength: 4 },
)

texts('every token but the first is learnt once, in order, in pieces that rows hold', () =>
  fc.assert(
    fc.asyncProperty(someTexts, fc.integer({ min: 2, max: 40 }), async (given, tokens) => {
      const read = await taken(conversations(rowsOfTexts(given), { processor, tokens }), Infinity)
      const pieces = read.map(({ example }) => example)
      assert.is(new Set(pieces.map((p) => p.id)).size, pieces.length)
      const learnt = pieces.flatMap((p) => p.ids.filter((_, i) => p.lossMask[i]))
      assert.equal(
        learnt,
        given.flatMap((text) => idsOf(text).slice(1)),
      )
      for (const { ids, lossMask } of pieces) {
        assert.ok(ids.length <= tokens && ids.length > 1, `${ids.length} of ${tokens}`)
        assert.equal(lossMask, [false, ...ids.slice(1).map(() => true)])
      }
      // no more pieces than there must be, and each begins with the token before its own
      const needed = given.map((text) => Math.ceil((idsOf(text).length - 1) / (tokens - 1)))
      assert.is(
        pieces.length,
        needed.reduce((n, k) => n + k, 0),
      )
      pieces.forEach((piece, i) => {
        const before = pieces[i - 1]
        if (before !== undefined && piece.id.split('[')[0] === before.id.split('[')[0])
          assert.is(piece.ids[0], before.ids.at(-1))
      })
    }),
  ),
)

texts('a reading goes on behind each piece, also of texts that are mixed, repeated and packed', () =>
  fc.assert(
    fc.asyncProperty(someTexts, fc.nat(20), fc.integer({ min: 2, max: 12 }), async (given, at, tokens) => {
      const options = { processor, tokens }
      const rows = rowsOfTexts(given)
      const mixed = shuffled(repeated(rows), { seed: 1, buffer: 3 })
      const cut = conversations(mixed, options)
      const sources: readonly Source<unknown>[] = [
        conversations(rows, options),
        repeated(conversations(rows, options)),
        shuffled(cut, { seed: 2, buffer: 5 }),
        packed<Conversation>(cut, { rows: 2, tokens, images: 0, buffer: 4 }),
        cut,
      ]
      for (const source of sources) {
        const whole = await taken(source, at + 6)
        const stopped = whole[Math.min(at, whole.length - 1)]!
        const rest = await taken(source, 5, stopped.next)
        assert.equal(rest, whole.slice(at + 1, at + 6), `${at}`)
      }
    }),
  ),
)

texts(
  'rows without tokens to hold a text whole are asked for; a text as long as a row is one piece',
  async () => {
    const text = 'how many red squares are there ?'
    const { length } = idsOf(text)
    const pieces = async (tokens?: number) =>
      (await taken(conversations(rowsOfTexts([text]), { processor, ...(tokens && { tokens }) }), 9)).map(
        ({ example }) => example.id,
      )
    assert.equal(await pieces(), ['texts.jsonl:1'])
    assert.equal(await pieces(length), ['texts.jsonl:1'])
    assert.equal(await pieces(length - 1), ['texts.jsonl:1[0]', 'texts.jsonl:1[1]'])
    assert.match((await thrown(() => pieces(1))).message, /it has \d+ tokens and a row holds 1; raise/)
  },
)

texts('chats are not cut, and stand between pieces of texts at their own places', async () => {
  const file = join(folder, 'both.jsonl')
  const rows = [
    { question: 'how many ?', answer: '7' },
    { text: 'how many red squares are there ? '.repeat(9) },
    { question: 'how many red squares are there ? '.repeat(9), answer: '7' },
    { question: 'how many ?', answer: '7' },
  ]
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const bad: number[] = []
  const options = { processor, tokens: 24, onBadRow: ({ line }: { readonly line: number }) => bad.push(line) }
  const read = await taken(conversations(jsonl(file), options), Infinity)
  const lines = read.map(({ example }) => example.id.slice(file.length + 1))
  assert.equal(bad, [3])
  assert.equal([lines[0], lines.at(-1)], ['1', '4'])
  assert.ok(lines.slice(1, -1).every((id, i) => id === `2[${i}]`) && lines.length > 4, lines.join())
  // behind a row it is the file's own place, as it was before texts were cut
  const own = await taken(jsonl(file), Infinity)
  assert.equal([read[0]!.next, read.at(-2)!.next], [own[0]!.next, own[1]!.next])
})

texts('a source whose own places look like those inside an example is opened where it was', async () => {
  const odd: Source<number> = {
    config: 'odd',
    async *open(place: unknown = { pieces: 0 }) {
      for (let i = (place as { readonly pieces: number }).pieces; i < 4; i++)
        yield { example: i, next: { pieces: i + 1 } }
    },
  }
  const twice = mappedToMany('twice', 'twice', odd, (n) => [n, n + 0.5])
  const whole = await taken(twice, Infinity)
  assert.equal(
    whole.map(({ example }) => example),
    [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5],
  )
  for (const [i, { next }] of whole.entries())
    assert.equal(await taken(twice, Infinity, next), whole.slice(i + 1))
})

texts('inside an example that has not as many it is no place', async () => {
  const numbers = indexed('numbers', function* (from) {
    for (let i = from; i < 3; i++) yield i
  })
  const one = mappedToMany('one', 'one', numbers, (n) => [n])
  const e = await thrown(() => taken(one, 1, { pieces: 1, before: 1 }))
  assert.ok(e instanceof SourceError)
  assert.match(e.message, /^one opens at \{ before, pieces \} inside an example of 1, not at/)
})

texts.run()
