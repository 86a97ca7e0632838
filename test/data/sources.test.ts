/** Sources: what is given from where on, what is left over, and that whatever is opened is closed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { from } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  batchesOf,
  chained,
  conversations,
  indexed,
  jsonl,
  listed,
  mapped,
  mixed,
  packed,
  prompts,
  questions,
  repeated,
  rowsOf,
  type Source,
  SourceError,
  shuffled,
  split,
} from '../../src/data/index.ts'
import { SettingsError } from '../../src/settings/index.ts'
import { nanoProcessor } from '../../src/tasks/nano.ts'
import { thrown, watched } from '../support/tiny.ts'

const sources = suite('data: sources')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-sources-'))
sources.after(() => rmSync(folder, { recursive: true, force: true }))

/** So many examples from a place on, with the places behind them. */
const taken = async <E>(source: Source<E>, n: number, place?: unknown): Promise<[E, unknown][]> => {
  const all: [E, unknown][] = []
  if (n === 0) return all
  for await (const { example, next } of source.open(place)) {
    all.push([example, next])
    if (all.length === n) break
  }
  return all
}
const letters = ['a', 'b', 'c', 'd', 'e'] as const

sources('a source that is opened at a place that it told goes on behind it', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(4), fc.nat(12), fc.boolean(), async (first, more, again) => {
      const list = listed('letters', letters)
      const source = again ? repeated(list) : list
      const whole = await taken(source, first + 1 + more)
      const [begun, place] = [whole.slice(0, first + 1), whole[first]![1]]
      assert.equal(await taken(source, first + 1), begun)
      const left = await taken(source, more, JSON.parse(JSON.stringify(place)))
      assert.equal(left, whole.slice(first + 1))
      const wanted = Array.from({ length: first + 1 + more }, (_, i) => letters[i % 5]!)
      assert.equal(
        whole.map(([example]) => example),
        again ? wanted : wanted.slice(0, Math.min(5, wanted.length)),
      )
    }),
  ),
)

sources('by index: from 0, or from a whole number on; other places are refused', async () => {
  const source = indexed('numbers', function* (index) {
    for (let i = index; ; i++) yield 10 * i
  })
  assert.equal(await taken(source, 3), [
    [0, 1],
    [10, 2],
    [20, 3],
  ])
  assert.equal(await taken(source, 1, 7), [[70, 8]])
  for (const place of [-1, 1.5, '3', null, { at: 1 }]) {
    const e = await thrown(() => taken(source, 1, place))
    assert.ok(e instanceof SourceError)
    assert.match(e.message, /opens at a whole number from 0, not at/)
  }
})

sources('what gives no examples one after the other is told so, by what it is', async () => {
  for (const [given, why] of [
    [() => from([1, 2]), /^indexed, from: it gives a stream; give the examples/],
    [async () => [1, 2], /^indexed, from: it gives a promise/],
    [() => undefined, /^indexed, from: it gives undefined/],
    [() => 'text', /^indexed, from: it gives 'text'/],
  ] as const) {
    const e = await thrown(() => taken(indexed('i', given as never), 1))
    assert.ok(e instanceof SourceError)
    assert.match(e.message, why)
  }
})

sources('settings that cannot be are refused where they are given', () => {
  const [some, rows] = [listed('some', [1]), listed('rows', [])]
  const later = (() => rows) as never
  const processor = nanoProcessor()
  const file = join(folder, 'one.jsonl')
  writeFileSync(file, '{}\n')
  for (const [make, why] of [
    [
      () => shuffled(some, { seed: undefined as never, buffer: 2 }),
      /^shuffled, seed: it is undefined; give a number/,
    ],
    [() => split(some, { heldOut: 0.5, by: String, seed: {} as never }), /^split, seed: it is a record/],
    [() => split(some, { heldOut: 0.5 } as never), /^split, by: it is undefined; give a function/],
    [() => mixed([{ source: some, share: 1 }], { seed: Number.NaN }), /^mixed, seed: it is NaN/],
    [
      () => mixed([{ source: some, share: 1 }], { sead: 1 } as never),
      /^mixed, sead: there is no such setting/,
    ],
    [
      () => mapped('m', some, String, { onBadRow: true as never }),
      /^mapped, onBadRow: it is true; give a function/,
    ],
    [() => jsonl(file, { onBadRow: 'skip' as never }), /^jsonl, onBadRow: it is 'skip'/],
    [() => rowsOf(file, { onBadRow: null as never }), /^rowsOf, onBadRow: it is null/],
    [
      () => conversations(rows, { processor, tokens: Number.NaN }),
      /^conversations, tokens: it is NaN; give a whole/,
    ],
    [() => conversations(rows, { processor, images: -1 }), /^conversations, images: it is -1; give a whole/],
    // what is no 'bad' would be taken for 'text'
    [
      () => questions(rows, { processor, special: 'Bad' as never }),
      /^questions, special: it is 'Bad'; give 'bad' or/,
    ],
    [() => questions(rows, { processor, onBadRow: {} as never }), /^questions, onBadRow: it is a record/],
    // `data.rows` that was not called, sources one by one in place of a list, a list in place of a source
    [
      () => shuffled(later, { seed: 0, buffer: 2 }),
      /^shuffled, source: it is a function; is it to be called first\?; give a source, such as data\.rows\(\)/,
    ],
    [() => repeated(null as never), /^repeated, source: it is null; give a source/],
    // streams cannot be gone on with
    [() => repeated(from([1, 2]) as never), /^repeated, source: it is a stream, .*async \*open\(place\)/],
    [() => repeated(rows.open() as never), /^repeated, source: it is a stream/],
    [() => split([some] as never, { heldOut: 0.5, by: String }), /^split, source: it is a list of 1/],
    [
      () => mixed([{ source: later, share: 1 }], { seed: 0 }),
      /^mixed, shares\[0\]\.source: it is a function/,
    ],
    [() => mixed({ share: 1 } as never, { seed: 0 }), /^mixed, shares: it is a record; give a list/],
    [
      () => (chained as (...of: unknown[]) => unknown)(some, some),
      /^chained, sources: it is a record; give a/,
    ],
    [() => chained([some, later]), /^chained, sources\[1\]: it is a function/],
    [() => mapped('m', later, String), /^mapped, source: it is a function/],
    [() => mapped('m', some, undefined as never), /^mapped, make: it is undefined; give a function/],
    [() => conversations(later, { processor }), /^conversations, rows: it is a function/],
    [() => questions(later, { processor }), /^questions, rows: it is a function/],
    [() => prompts(later, { processor }), /^prompts, rows: it is a function/],
    [() => packed(later, { rows: 1, tokens: 9, images: 1, buffer: 1 }), /^packed, source: it is a function/],
    [() => listed([1] as never, undefined as never), /^listed, examples: it is undefined; give a list/],
    [() => indexed('i', [1] as never), /^indexed, from: it is a list of 1; give a function/],
  ] as const)
    assert.throws(make, (e: unknown) => e instanceof SettingsError && why.test(e.message), String(why))
  conversations(rows, { processor, tokens: Infinity, images: 0, special: 'text', onBadRow: () => undefined })
})

sources('a source that has nothing cannot be repeated', async () => {
  const error = await thrown(() => taken(repeated(listed('none', [])), 1))
  assert.match(error.message, /has no example/)
  assert.equal(JSON.parse(JSON.stringify(repeated(listed('none', [])).config)), {
    kind: 'repeated',
    source: 'none',
  })
})

sources('batches: full ones, what is left over, and the place behind each', async () => {
  const all = async (size: number, place?: unknown) => {
    const got: [readonly string[], unknown][] = []
    for await (const { examples, next } of batchesOf(listed('letters', letters), size, place))
      got.push([examples, next])
    return got
  }
  assert.equal(await all(2), [
    [['a', 'b'], 2],
    [['c', 'd'], 4],
    [['e'], 5],
  ])
  assert.equal(await all(5), [[['a', 'b', 'c', 'd', 'e'], 5]])
  assert.equal(await all(2, 3), [[['d', 'e'], 5]])
  assert.equal(await all(2, 5), [])
})

sources(
  'ending the iteration of batches ends the source’s, at its end, in its middle and in an error',
  async () => {
    const source = watched((i) => i, 7)
    for await (const _ of batchesOf(source, 3)) if (_.examples[0] === 3) break
    assert.equal([source.opened, source.closed], [1, 1])
    for await (const _ of batchesOf(source, 3));
    assert.equal([source.opened, source.closed], [2, 2])
    await thrown(async () => {
      for await (const _ of batchesOf(source, 3)) throw new Error('stop')
    })
    assert.equal([source.opened, source.closed], [3, 3])
    const stream = batchesOf(repeated(source), 4)
    await stream.next()
    await stream.next()
    await stream.return(undefined)
    assert.equal(source.opened, source.closed)
  },
)

sources.run()
