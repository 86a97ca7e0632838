import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { indexed, listed, mixed, type Source } from '../../src/data/index.ts'

const test = suite('data: sources mixed by shares')
const endless = (name: string): Source<string> =>
  indexed(name, function* (from) {
    for (let i = from; ; i++) yield `${name}${i}`
  })
const source = mixed(
  [
    { share: 9, source: endless('a') },
    { share: 1, source: endless('b') },
  ],
  { seed: 4 },
)
const taken = async (of: Source<string>, count: number, place?: unknown) => {
  const found: { readonly example: string; readonly next: unknown }[] = []
  for await (const placed of of.open(place)) {
    found.push(placed)
    if (found.length === count) break
  }
  return found
}

test('each in its own order, by its share', async () => {
  const all = (await taken(source, 2000)).map((p) => p.example)
  for (const name of ['a', 'b']) {
    const own = all.filter((e) => e.startsWith(name))
    assert.equal(
      own,
      own.map((_, i) => `${name}${i}`),
    )
  }
  const share = all.filter((e) => e.startsWith('b')).length / all.length
  assert.ok(share > 0.08 && share < 0.12, `${share}`)
})

test('it goes on at every place that it has told', async () => {
  const all = await taken(source, 60)
  for (const at of [0, 7, 41]) {
    const place = JSON.parse(JSON.stringify(all[at]!.next))
    assert.equal(
      (await taken(source, 59 - at, place)).map((p) => p.example),
      all.slice(at + 1).map((p) => p.example),
    )
  }
})

test('whoever stops reading closes all of them; shares are part of what it is', async () => {
  const closed: string[] = []
  const watched = (name: string): Source<string> => ({
    config: name,
    async *open() {
      try {
        for (let i = 0; ; i++) yield { example: name, next: i }
      } finally {
        closed.push(name)
      }
    },
  })
  const of = (shares: readonly number[]) =>
    mixed(
      shares.map((share, i) => ({ share, source: watched('abc'[i]!) })),
      { seed: 1 },
    )
  await taken(of([1, 1]), 40)
  assert.equal(closed.sort(), ['a', 'b'])
  assert.not.equal(of([1, 2]).config, of([1, 1]).config)
  // the place of a mixture of other sources is none of this one
  const [first] = await taken(of([1, 1]), 1)
  assert.match(
    await taken(of([1, 1, 1]), 1, first!.next).then(
      () => 'it was opened',
      (e: Error) => e.message,
    ),
    /mixed sources open at/,
  )
})

test('it ends with the one that is next; what cannot be is refused', async () => {
  const short = mixed([{ share: 1, source: listed('c', ['x', 'y']) }], { seed: 1 })
  assert.equal(
    (await taken(short, 9)).map((p) => p.example),
    ['x', 'y'],
  )
  assert.throws(() => mixed([], { seed: 1 }), /no source/)
  assert.throws(() => mixed([{ share: 0, source: endless('a') }], { seed: 1 }), /shares\[0\]: it is 0/)
  let said = ''
  await taken(source, 1, 'here').catch((e: Error) => {
    said = e.message
  })
  assert.match(said, /mixed sources open at \{ index, places \}, not at "here"/)
})

test.run()
