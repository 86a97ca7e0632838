/** Images cut into tiles: every case of the reference, pixels against a stretched whole, and budgets. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  dynamicTiles,
  gridOf,
  multiScaleTiles,
  type RgbImage,
  resize,
  secondGridOf,
  tilesEach,
} from '../../src/data/index.ts'
import { fixtureJson } from '../support/fixtures.ts'

const test = suite('tiling')

interface Limits {
  readonly id: string
  readonly width: number
  readonly height: number
  readonly min_num: number
  readonly max_num: number
  readonly image_size: number
}
interface Reference {
  readonly count: number
  readonly cases: readonly (Limits & {
    readonly use_thumbnail: boolean
    readonly cols: number
    readonly rows: number
    readonly tiles: number
    readonly tokens?: number
  })[]
  readonly msac_count: number
  readonly msac: readonly (Limits & {
    readonly first: readonly [number, number]
    readonly second: readonly [number, number]
    readonly tiles: number
  })[]
}
const reference = fixtureJson('text/tiling.json') as unknown as Reference

/** Each pixel of its own colour, nearly. */
const picture = (width: number, height: number): RgbImage => ({
  ...{ width, height, channels: 3 },
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37 + (i >> 7) * 11) % 251),
})

test('grids and numbers of tiles are those of the reference, case by case', () => {
  assert.is(reference.cases.length, reference.count)
  assert.is(reference.count, 88)
  for (const c of reference.cases) {
    const options = { least: c.min_num, most: c.max_num, size: c.image_size }
    const grid = gridOf(c.width, c.height, options)
    assert.equal([grid.columns, grid.rows], [c.cols, c.rows], c.id)
    const count = grid.columns * grid.rows
    const tiles = count + (c.use_thumbnail && count > 1 ? 1 : 0)
    assert.is(tiles, c.tiles, c.id)
    if (c.tokens !== undefined) assert.is(tiles * (c.image_size / 28) ** 2, c.tokens, c.id)
  }
})

test('the second grid and the number of tiles of two scales are those of the reference', () => {
  assert.is(reference.msac.length, reference.msac_count)
  for (const c of reference.msac) {
    const options = { least: c.min_num, most: c.max_num, size: c.image_size }
    const [first, second] = [gridOf(c.width, c.height, options), secondGridOf(c.width, c.height, options)!]
    assert.equal([first.columns, first.rows], [...c.first], c.id)
    assert.equal([second.columns, second.rows], [...c.second], c.id)
  }
})

test('and so are the tiles that are cut', () => {
  // tiles of 8 pixels: an image a 56th of the case's sides has the same shape and fills as much of its tiles
  const scaled = [
    ...reference.cases.map((c) => ({ ...c, cut: dynamicTiles, thumbnail: c.use_thumbnail })),
    ...reference.msac.map((c) => ({ ...c, cut: multiScaleTiles, thumbnail: true })),
  ].filter((c) => c.width % 56 === 0 && c.height % 56 === 0 && c.image_size === 448)
  assert.is(scaled.length, 9)
  for (const c of scaled) {
    const options = { least: c.min_num, most: c.max_num, size: 8, thumbnail: c.thumbnail }
    const tiles = c.cut(picture(c.width / 56, c.height / 56), options)
    assert.is(tiles.length, c.tiles, c.id)
    for (const t of tiles) assert.equal([t.width, t.height, t.data.length], [8, 8, 192], c.id)
  }
})

test('tiles lie row by row on the stretched image, and the whole comes last', () => {
  const image = picture(61, 37)
  const tiles = dynamicTiles(image, { most: 6, size: 16 })
  const { columns, rows } = gridOf(61, 37, { most: 6, size: 16 })
  assert.equal([columns, rows], [3, 2])
  assert.is(tiles.length, 7)
  const large = resize(image, 48, 32)
  tiles.slice(0, 6).forEach((t, i) => {
    for (const [x, y] of [
      [0, 0],
      [15, 0],
      [7, 15],
    ] as const) {
      const at = (((Math.floor(i / 3) * 16 + y) * 48 + (i % 3) * 16 + x) * 3) as number
      const own = (y * 16 + x) * 3
      assert.equal(
        [...t.data.slice(own, own + 3)],
        [...large.data.slice(at, at + 3)],
        `tile ${i} at ${x}, ${y}`,
      )
    }
  })
  assert.equal(tiles[6]!.data, resize(image, 16, 16).data)
  assert.is(dynamicTiles(image, { most: 6, size: 16, thumbnail: false }).length, 6)
  // a small square is itself alone
  assert.equal(
    dynamicTiles(picture(16, 16), { size: 16 }).map((t) => t.data),
    [picture(16, 16).data],
  )
})

test('two scales: first tiles, second tiles, the whole; of one tile, that tile last', () => {
  const image = picture(61, 37)
  const options = { most: 6, size: 16 }
  const second = secondGridOf(61, 37, options)!
  const [once, twice] = [dynamicTiles(image, options), multiScaleTiles(image, options)]
  assert.is(twice.length, once.length + second.columns * second.rows)
  assert.equal(
    twice.slice(0, 6).map((t) => t.data),
    once.slice(0, 6).map((t) => t.data),
  )
  assert.equal(twice.at(-1)!.data, once.at(-1)!.data)
  const square = multiScaleTiles(picture(16, 16), { most: 4, size: 16 })
  assert.is(square.length, 5)
  assert.equal(square.at(-1)!.data, picture(16, 16).data)
  assert.is(secondGridOf(16, 16, { most: 1, size: 16 }), undefined)
  assert.is(multiScaleTiles(picture(16, 16), { most: 1, size: 16 }).length, 1)
})

test('all images together keep to the budget, and each has one tile at least', () => {
  assert.equal(
    [1, 6, 7, 20, 64, 100].map((n) => tilesEach(n)),
    [10, 10, 9, 3, 1, 1],
  )
  assert.is(tilesEach(2, 40), 32)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 40 }), (images, most) => {
      const each = tilesEach(images, most)
      assert.ok(each >= 1 && each <= most && each * images <= 64)
    }),
  )
})

test('numbers that are none are refused by name', () => {
  assert.throws(() => gridOf(0, 10), /width is 0/)
  assert.throws(() => gridOf(10, 1.5), /height is 1.5/)
  assert.throws(() => gridOf(10, 10, { most: 0 }), /most is 0/)
  assert.throws(() => gridOf(10, 10, { least: 5, most: 4 }), /least is 5 and most is 4/)
  assert.throws(() => tilesEach(0), /images is 0/)
})

test.run()
