/** Exchanges that a stage curates before its first step: what is kept, in which order, what is told, and that it goes on. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { boxed, type Exchange, listed, type Source, unique } from '../../src/data/index.ts'
import { nanoProcessor } from '../../src/tasks/index.ts'
import { curated, type Preparing, RecipeError } from '../../src/train/index.ts'
import { chosen } from '../../src/train/internal.ts'
import { drained, scripted, thrown, watched } from '../support/tiny.ts'

const test = suite('train: curated')

const exchange = (id: string, more: Partial<Exchange> = {}): Exchange => ({
  ...{ id, request: `question ${id}`, thought: '2+2 is 4', answer: '\\boxed{4}' },
  ...more,
})
const list = [
  exchange('a'),
  exchange('b', { thought: '' }),
  exchange('c', { request: 'question a' }),
  exchange('d'),
  exchange('e'),
  exchange('behind the count'),
]
const options = {
  ...{ count: 5, filters: [unique, boxed], processor: nanoProcessor(), what: 'chains of thought' },
}
const about: Preparing = {
  session: scripted({ name: 'none', states: new Map(), functions: new Map() }, () => ({})),
  ...{ seed: 1, stage: 'longcot' },
}
const idsOf = async <E extends { readonly id: string }>(source: Source<E>, place?: unknown) => {
  const found: { readonly id: string; readonly next: unknown }[] = []
  for await (const { example, next } of source.open(place))
    found.push({ id: example.id, next: JSON.parse(JSON.stringify(next)) })
  return found
}

test('keeps what passes all filters, in order, and says how many each left out', async () => {
  const p = curated(listed('chains', list), options)
  const [told, kept] = await drained(p.prepare(about))
  assert.equal(told, [
    {
      ...{ type: 'curated', stage: 'longcot', what: 'chains of thought', of: 5, kept: 3 },
      dropped: { unique: 1, boxed: 1 },
    },
  ])
  const source = p.source(JSON.parse(JSON.stringify(kept)))
  const found = await idsOf(source)
  const ids = found.map((f) => f.id)
  assert.equal(ids, ['a', 'd', 'e'])
  for (const [i, { next }] of found.entries())
    assert.equal(
      (await idsOf(source, next)).map((f) => f.id),
      ids.slice(i + 1),
    )
  // before it is made: all that will be looked at, and no more
  assert.is((await idsOf(p.example)).length, 5)
  const { config } = p as {
    readonly config: { readonly count: number; readonly filters: readonly unknown[] }
  }
  assert.equal([config.count, config.filters], [5, ['unique', 'boxed']])
})

test('a source is read up to the last place that is chosen, in whatever order these come', async () => {
  const all = watched((i) => exchange(`${i}`), 6)
  const source = chosen(all, [3, 0], 'exchanges')
  const found = await idsOf(source)
  assert.equal(
    found.map((f) => f.id),
    ['0', '3'],
  )
  assert.equal(all.given, [0, 1, 2, 3])
  assert.equal(await idsOf(source, found[1]!.next), [])
  assert.is(all.opened, 1)
})

test('a source that ends before the count gives what it has', async () => {
  const [told, kept] = await drained(curated(listed('chains', list.slice(0, 2)), options).prepare(about))
  assert.equal([(told[0] as { of: number }).of, kept], [2, [0]])
})

test('where nothing is left the stage ends in words, and so do settings and places that are none', async () => {
  const none = curated(listed('chains', [list[1]!]), options)
  const e = await thrown(() => drained(none.prepare(about)))
  assert.ok(e instanceof RecipeError)
  assert.match(e.message, /stage 'longcot', source: none of 1 chains of thought is left: .*"boxed":1/)
  assert.throws(() => curated(listed('chains', list), { ...options, count: 0 }), /count/)
  assert.throws(() => none.source({ kept: 1 }), /no list of their places/)
  const wrong = await thrown(() => idsOf(none.source([0]), { place: 3 }))
  assert.match(wrong.message, /open at \{ seen, at \}/)
})

test.run()
