/** Packing: every sample once and whole, in rows that hold it, soon, and the same again from every place. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CollateError, type CollateErrorTag } from '../../src/data/collate.ts'
import type { Conversation } from '../../src/data/conversation.ts'
import type { RgbImage } from '../../src/data/image.ts'
import { chooseRow, loadOf, type Pack, PackError, type PackOptions, packed } from '../../src/data/pack.ts'
import { drawPlan } from '../../src/data/packing-drawing.ts'
import { layoutOf, packingPlan, showPlan } from '../../src/data/packing-plan.ts'
import { shuffled } from '../../src/data/shuffled.ts'
import { listed, repeated, type Source, SourceError } from '../../src/data/source.ts'
import { random } from '../../src/random/index.ts'
import { thrown, watched } from '../support/tiny.ts'

const packing = suite('data: packing')

const image: RgbImage = { width: 1, height: 1, channels: 3, data: new Uint8Array(3) }

/** A conversation of so many tokens and images. */
const sample = (id: string, tokens: number, images = 0): Conversation => ({
  ...{ id, ids: new Array(tokens).fill(0), lossMask: new Array(tokens).fill(true), promptLength: 0 },
  images: new Array(images).fill(image),
})
const samplesOf = (loads: readonly (readonly [tokens: number, images: number])[]): readonly Conversation[] =>
  loads.map(([tokens, images], i) => sample(`${i}`, tokens, images))

/** So many packs from a place on, with the places behind them. */
const taken = async (source: Source<Pack>, n = Infinity, place?: unknown): Promise<[Pack, unknown][]> => {
  const all: [Pack, unknown][] = []
  for await (const { example, next } of source.open(place)) {
    all.push([example, next])
    if (all.length >= n) break
  }
  return all
}
const packsOf = async (source: Source<Pack>, n?: number): Promise<readonly Pack[]> =>
  (await taken(source, n)).map(([pack]) => pack)
const ids = (pack: Pack): readonly (readonly string[])[] => pack.rows.map((row) => row.map((c) => c.id))

const options = fc.record({
  ...{ rows: fc.integer({ min: 1, max: 4 }), tokens: fc.integer({ min: 8, max: 20 }) },
  ...{ images: fc.integer({ min: 2, max: 6 }), buffer: fc.integer({ min: 1, max: 12 }) },
})
const loads = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 2 })), {
  maxLength: 60,
})

packing('by hand: the oldest first, then what fills its row', async () => {
  const some = samplesOf([
    [3, 0],
    [7, 0],
    [4, 0],
    [5, 1],
    [5, 1],
    [2, 0],
    [10, 0],
  ])
  // all seven wait: 0 begins and 1 fills its row; then 2 with 3
  assert.equal(
    chooseRow(
      some.map((c) => loadOf(c)),
      { tokens: 10, images: 9 },
    ),
    [0, 1],
  )
  const all = packed(listed('some', some), { rows: 2, tokens: 10, images: 1, buffer: 7 })
  assert.equal((await packsOf(all)).map(ids), [
    // one image a pack: 3 takes it, so 4 waits
    [
      ['0', '1'],
      ['2', '3'],
    ],
    [['4', '5'], ['6']],
  ])
  // and with a buffer of one every row holds one
  const none = packed(listed('some', some), { rows: 1, tokens: 10, images: 1, buffer: 1 })
  assert.equal(
    (await packsOf(none)).flatMap(ids),
    some.map((c) => [c.id]),
  )
})

packing('a row is as full as the oldest and any others can make it, with the fewest images that do', () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(12), fc.nat(2)), { maxLength: 9 }),
      fc.nat(20),
      fc.nat(6),
      (some, tokens, images) => {
        const waiting = some.map(([t, i]) => ({ tokens: t, images: i }))
        const chosen = chooseRow(waiting, { tokens, images })
        const first = waiting.findIndex((w) => w.tokens <= tokens && w.images <= images)
        if (first < 0) return chosen.length === 0
        const sum = (of: readonly number[], what: 'tokens' | 'images'): number =>
          of.reduce((n, i) => n + waiting[i]![what], 0)
        // every set that holds the oldest and fits
        const sets = Array.from({ length: 2 ** waiting.length }, (_, bits) =>
          [...waiting.keys()].filter((i) => (bits >> i) & 1),
        ).filter((s) => s.includes(first) && sum(s, 'tokens') <= tokens && sum(s, 'images') <= images)
        const fullest = Math.max(...sets.map((s) => sum(s, 'tokens')))
        const fewest = Math.min(
          ...sets.filter((s) => sum(s, 'tokens') === fullest).map((s) => sum(s, 'images')),
        )
        return (
          chosen[0] === first &&
          new Set(chosen).size === chosen.length &&
          sum(chosen, 'tokens') === fullest &&
          sum(chosen, 'images') === fewest
        )
      },
    ),
    { numRuns: 150 },
  ),
)

packing('every sample is in one pack, whole; rows and packs hold what they hold', () =>
  fc.assert(
    fc.asyncProperty(loads, options, async (all, o) => {
      const some = samplesOf(all)
      const packs = await packsOf(packed(listed('some', some), o))
      const out = packs.flatMap((p) => p.rows.flat())
      assert.equal(
        out.map((c) => Number(c.id)).sort((a, b) => a - b),
        [...all.keys()],
      )
      for (const c of out) assert.is(c, some[Number(c.id)])
      for (const { rows } of packs) {
        assert.ok(rows.length >= 1 && rows.length <= o.rows)
        for (const row of rows) {
          assert.ok(row.length >= 1)
          assert.ok(row.reduce((n, c) => n + c.ids.length, 0) <= o.tokens)
        }
        assert.ok(rows.flat().reduce((n, c) => n + c.images.length, 0) <= o.images)
      }
    }),
    { numRuns: 60 },
  ),
)

packing(
  'no sample waits for more packs than the buffer holds, nor for more rows where images do not bind',
  () =>
    fc.assert(
      fc.asyncProperty(loads, options, fc.boolean(), async (all, o, bound) => {
        const of = bound ? o : { ...o, images: 1000 }
        const some = watched((i) => samplesOf(all)[i]!, all.length)
        // how many packs, or rows, had been chosen when a sample was read: rows only where a pack has one
        const one = bound ? of : { ...of, rows: 1 }
        const readAt = new Map<number, number>()
        const source: Source<Conversation> = {
          ...some,
          async *open(place) {
            for await (const placed of some.open(place)) {
              readAt.set(Number(placed.example.id), done)
              yield placed
            }
          },
        }
        let done = 0
        for await (const { example } of packed(source, one).open()) {
          for (const c of example.rows.flat()) {
            const waited = done - readAt.get(Number(c.id))!
            // what is read for a pack may be too much for its images; what is read for a row may be its first
            const most = bound ? one.buffer : one.buffer - 1
            assert.ok(waited <= most, `sample ${c.id} waited for ${waited} of at most ${most}`)
          }
          done++
        }
      }),
      { numRuns: 60 },
    ),
)

packing('a long sample among short ones without end is out within the buffer', async () => {
  // two short ones fill a row, so the long one never fits beside another
  const source = watched((i) => sample(`${i}`, i === 5 ? 9 : 5, i === 5 ? 2 : 0))
  const packs = await packsOf(packed(source, { rows: 1, tokens: 10, images: 2, buffer: 8 }), 20)
  const at = packs.findIndex((p) => p.rows.flat().some((c) => c.id === '5'))
  assert.ok(at >= 0 && at < 8, `it is in pack ${at}`)
  // short ones among long ones, which always are the longest that fit
  const longs = watched((i) => sample(`${i}`, i === 3 ? 1 : 5))
  const others = await packsOf(packed(longs, { rows: 1, tokens: 10, images: 0, buffer: 8 }), 20)
  assert.ok(others.slice(0, 8).some((p) => p.rows.flat().some((c) => c.id === '3')))
})

packing('opened at any place that it told, as plain JSON, it goes on as if it had never stopped', () =>
  fc.assert(
    fc.asyncProperty(loads, options, fc.boolean(), fc.boolean(), async (all, o, again, mixed) => {
      const list = listed('some', samplesOf(all))
      const long = again && all.length > 0 ? repeated(list) : list
      const source = packed(mixed ? shuffled(long, { seed: 1, buffer: 7 }) : long, o)
      const whole = await taken(source, 25)
      const shown = (packs: readonly [Pack, unknown][]) => packs.map(([pack, next]) => [ids(pack), next])
      for (const [n, [, place]] of whole.entries()) {
        const wanted = whole.slice(n + 1)
        if (wanted.length === 0 && again) continue
        const left = await taken(source, wanted.length || 1, JSON.parse(JSON.stringify(place)))
        assert.equal(shown(left), shown(wanted))
      }
    }),
    { numRuns: 30 },
  ),
)

packing('the source is read ahead by the buffer and no further, and closed however it ends', async () => {
  const source = watched((i) => sample(`${i}`, 5))
  const packs = packed(source, { rows: 2, tokens: 10, images: 0, buffer: 6 })
  const stream = packs.open()
  await stream.next()
  // four are out, and before the second row four waited and two were read
  assert.equal(source.given, [0, 1, 2, 3, 4, 5, 6, 7])
  await stream.return?.(undefined)
  assert.equal([source.opened, source.closed], [1, 1])
  const few = watched((i) => sample(`${i}`, 5), 3)
  assert.is((await packsOf(packed(few, { rows: 2, tokens: 10, images: 0, buffer: 6 }))).length, 1)
  assert.equal([few.opened, few.closed], [1, 1])
  const wrong = watched((i) => sample(`${i}`, 50))
  await thrown(() => packsOf(packed(wrong, { rows: 2, tokens: 10, images: 0, buffer: 6 })))
  assert.equal([wrong.opened, wrong.closed], [1, 1])
})

packing('what fits no pack is refused by name, and so are options and places that cannot be', async () => {
  const sizes: PackOptions = { rows: 2, tokens: 10, images: 1, buffer: 4 }
  const refused = async (tag: CollateErrorTag, c: Conversation, message: RegExp) => {
    const e = await thrown(() => packsOf(packed(listed('one', [sample('fine', 3), c]), sizes)))
    assert.ok(e instanceof CollateError)
    assert.equal([e.tag, e.sample], [tag, c.id])
    assert.match(e.message, message)
  }
  await refused('TooLong', sample('long', 11), /sample long has 11 tokens and a row holds 10; raise/)
  await refused('TooMany', sample('seen', 5, 2), /sample seen has 2 images and a pack holds 1; raise/)
  for (const [setting, value] of [
    ['rows', 0],
    ['tokens', 1],
    ['images', -1],
    ['buffer', 0],
    ['buffer', 1.5],
    ['tokens', Number.NaN],
    ['rows', '2'],
  ] as const) {
    const e = await thrown(() => packed(listed('none', []), { ...sizes, [setting]: value } as never))
    assert.ok(e instanceof PackError)
    assert.is(e.setting, setting)
    assert.match(e.message, /^packed, \w+: it is \S+; give a whole number from \d$/)
  }
  for (const visualSlack of [-0.1, 1, Number.NaN, '0.1']) {
    const e = await thrown(() => packed(listed('none', []), { ...sizes, visualSlack } as never))
    assert.ok(e instanceof PackError)
    assert.match(e.message, /^packed, visualSlack: it is \S+; give a number from 0 to below 1/)
  }
  for (const place of [3, null, {}, { from: 1 }, { packed: [-1] }, { packed: 'all' }, { packed: [0.5] }]) {
    const e = await thrown(() => taken(packed(listed('none', []), sizes), 1, place))
    assert.ok(e instanceof SourceError, `${JSON.stringify(place)}: ${e}`)
    assert.match(e.message, /a packed source opens at/)
  }
  const { config } = packed(listed('some', []), sizes)
  assert.equal(config, { kind: 'packed', source: 'some', ...sizes })
  const visual = packed(listed('some', []), { ...sizes, visualSlack: 0.1 })
  assert.equal(visual.config, { kind: 'packed', source: 'some', ...sizes, visualSlack: 0.1 })
})

packing('the plan: what packs hold of what they could, drawn to scale', async () => {
  const sizes = { rows: 2, tokens: 10, images: 3 }
  const some = samplesOf([
    [5, 1],
    [5, 0],
    [6, 1],
    [4, 0],
    [8, 1],
  ])
  const packs = await packsOf(packed(listed('some', some), { ...sizes, buffer: 5 }))
  assert.equal(packs.map(ids), [
    [
      ['0', '1'],
      ['2', '3'],
    ],
    [['4']],
  ])
  const layouts = packs.map((p) => layoutOf(p, sizes))
  assert.equal(JSON.parse(JSON.stringify(layouts)), layouts)
  assert.equal(layouts[1], { sizes, rows: [[{ tokens: 8, images: 1 }]] })
  assert.equal(packingPlan(layouts), {
    ...{ packs: 2, rows: 3, segments: 5, images: 3, tokens: 28, fill: 0.7, imageFill: 0.5 },
    unpackedFill: 0.56,
  })
  assert.is(
    showPlan(layouts, 10),
    [
      'pack 1: 2 of 2 rows, 4 segments, 2 of 3 images, 100 % full',
      '  1  █████▒▒▒▒▒   2 segments   1 images  10 / 10 tokens',
      '  2  ██████▒▒▒▒   2 segments   1 images  10 / 10 tokens',
      'pack 2: 1 of 2 rows, 1 segment, 1 of 3 images, 40 % full',
      '  1  ████████··   1 segments   1 images  8 / 10 tokens',
      '2 packs: 5 segments, 3 images, 28 tokens; 70 % of the tokens and 50 % of the images are real (56 % of the tokens with one sample a row)',
    ].join('\n'),
  )
  assert.equal(packingPlan([]).fill, 1)
})

packing(
  'the plan as a picture: each segment where and as long as it is, a dot for each image, rows of padding too',
  async () => {
    const sizes = { rows: 2, tokens: 10, images: 3 }
    const layout = {
      sizes,
      rows: [
        [
          { tokens: 4, images: 2 },
          { tokens: 5, images: 0 },
        ],
      ],
    }
    const svg = drawPlan([layout, layout], 100)
    assert.match(svg, /^<svg class="packing" xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="0 0 304 \d+"/)
    const rects = (kind: string): readonly (readonly number[])[] =>
      [
        ...svg.matchAll(
          new RegExp(`<rect class="${kind}" x="([\\d.]+)" y="([\\d.]+)" width="([\\d.]+)"`, 'g'),
        ),
      ].map(([, x, , width]) => [Number(x), Number(width)])
    assert.equal(rects('even'), [
      [34, 40],
      [34, 40],
    ])
    assert.equal(rects('odd'), [
      [74, 50],
      [74, 50],
    ])
    assert.equal(rects('padding').length, 4)
    assert.equal(
      [...svg.matchAll(/<circle class="image" cx="([\d.]+)"/g)].map(([, x]) => Number(x)),
      [44, 64, 44, 64],
    )
    assert.match(svg, 'pack 2: 1 of 2 rows, 2 segments, 2 of 3 images, 45 % full')
    assert.match(svg, '9 / 10 tokens, 2 images')
  },
)

packing(
  'visual packing: packs that share a step hold equally many images where data packing’s do not',
  async () => {
    // long ones with many images among short ones without any
    const mixed = watched((i) => {
      const r = random('visual', i)
      return r.chance(0.5) ? sample(`${i}`, r.int(6, 20), r.int(2, 8)) : sample(`${i}`, r.int(4, 40))
    })
    const spread = async (o: Partial<PackOptions>) => {
      const all = packed(mixed, { rows: 1, tokens: 64, images: 40, buffer: 48, ...o })
      const packs = (await packsOf(all, 160)).map((p) => layoutOf(p, { rows: 1, tokens: 64, images: 40 }))
      const images = packs.map((p) => packingPlan([p]).images)
      const steps = Array.from({ length: 20 }, (_, k) => images.slice(8 * k, 8 * k + 8))
      const most = steps.reduce((n, s) => n + Math.max(...s), 0)
      return { uneven: (8 * most) / images.reduce((a, b) => a + b, 0), fill: packingPlan(packs).fill }
    }
    const [data, visual] = [await spread({}), await spread({ visualSlack: 0.05 })]
    assert.ok(data.uneven > 1.3, `${data.uneven}`)
    assert.ok(visual.uneven < 1.15, `${visual.uneven}`)
    assert.ok(visual.fill > data.fill - 0.05, `${visual.fill} and ${data.fill}`)
  },
)

packing('visual packing chooses the row whose images are nearest, inside the slack alone', () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(12), fc.nat(3)), { minLength: 1, maxLength: 9 }),
      fc.nat(20),
      fc.integer({ min: 4, max: 12 }),
      fc.record({ images: fc.double({ min: 0, max: 8, noNaN: true }), slack: fc.constantFrom(0, 0.5, 0.9) }),
      (some, tokens, images, even) => {
        const waiting = some.map(([t, i]) => ({ tokens: t, images: i }))
        const chosen = chooseRow(waiting, { tokens, images }, even)
        const first = waiting.findIndex((w) => w.tokens <= tokens && w.images <= images)
        if (first < 0) return chosen.length === 0
        const sum = (of: readonly number[], what: 'tokens' | 'images'): number =>
          of.reduce((n, i) => n + waiting[i]![what], 0)
        const sets = Array.from({ length: 2 ** waiting.length }, (_, bits) =>
          [...waiting.keys()].filter((i) => (bits >> i) & 1),
        ).filter((s) => s.includes(first) && sum(s, 'tokens') <= tokens && sum(s, 'images') <= images)
        const own = waiting[first]!.tokens
        const fullest = Math.max(...sets.map((s) => sum(s, 'tokens'))) - own
        const full = sets.filter((s) => sum(s, 'tokens') - own >= Math.ceil(fullest * (1 - even.slack)))
        const away = (s: readonly number[]): number => Math.abs(sum(s, 'images') - even.images)
        return full.some((s) => s.length === chosen.length && s.every((i) => chosen.includes(i)))
          ? Math.abs(away(chosen) - Math.min(...full.map(away))) < 1e-9
          : false
      },
    ),
    { numRuns: 600 },
  ),
)

packing(
  'every sample is in one pack in visual packing too, and none waits for more packs than the buffer holds',
  () =>
    fc.assert(
      fc.asyncProperty(loads, options, async (all, o) => {
        const readAt = new Map<string, number>()
        let done = 0
        const source: Source<Conversation> = {
          config: 'some',
          async *open() {
            for (const [i, example] of samplesOf(all).entries()) {
              readAt.set(example.id, done)
              yield { example, next: i + 1 }
            }
          },
        }
        const out: number[] = []
        for await (const { example } of packed(source, { ...o, visualSlack: 0.3 }).open()) {
          for (const c of example.rows.flat()) {
            out.push(Number(c.id))
            assert.ok(done - readAt.get(c.id)! <= o.buffer)
          }
          done++
        }
        assert.equal(
          out.sort((a, b) => a - b),
          [...all.keys()],
        )
      }),
      { numRuns: 40 },
    ),
)

packing.run()
