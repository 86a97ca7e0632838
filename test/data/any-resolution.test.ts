/** Images of any size as data: how large they become, where each patch goes, how many tokens stand for an image. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { anySizes, packedPatches, squaresOf } from '../../src/data/any-resolution.ts'
import { collateImages, tilesOf } from '../../src/data/collate.ts'
import { conversation } from '../../src/data/conversation.ts'
import { imagenetNormalise, type RgbImage } from '../../src/data/image.ts'
import { type Pack, packed } from '../../src/data/pack.ts'
import { fitting, processor } from '../../src/data/processor.ts'
import { listed, type Placed } from '../../src/data/source.ts'
import { anyResolution } from '../../src/models/presets.ts'
import { sailVl2Model } from '../../src/models/sail-vl2.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { messageThrown, tiny, tinyModel, tinyProcessor } from '../support/tiny.ts'

const test = suite('data: images of any size')

const image = (width: number, height: number, seed = 0): RgbImage => ({
  ...{ width, height, channels: 3 },
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37 + seed * 11) % 256),
})

test('sides as transformers’ smart_resize of Qwen2-VL gives them (5.18.0)', () => {
  for (const [width, height, least, most, columns, rows] of [
    [640, 480, 4, 4096, 23, 17],
    [100, 37, 4, 4096, 4, 1],
    [30, 30, 4, 4096, 2, 2],
    [4000, 3000, 4, 1280, 41, 30],
    [1920, 1080, 4, 256, 21, 12],
    [224, 56, 4, 16, 8, 2],
    [300, 60, 4, 16, 8, 1],
    [57, 225, 4, 16, 2, 8],
    [2000, 1500, 4, 16, 4, 3],
    [60, 1000, 4, 64, 1, 32],
    [113, 111, 4, 16, 4, 4],
    [20, 33, 4, 4096, 2, 3],
    [448, 448, 4, 4096, 16, 16],
  ] as const)
    assert.equal(squaresOf(width, height, 28, { least, most }), { columns, rows }, `${width} × ${height}`)
})

test('whole squares within the budget, for any image; what fits keeps its sides to half a square', () => {
  const side = fc.integer({ min: 1, max: 3000 })
  fc.assert(
    fc.property(side, side, fc.integer({ min: 1, max: 64 }), fc.nat(200), (w, h, least, more) => {
      const most = least + more
      const { columns, rows } = squaresOf(w, h, 28, { least, most })
      assert.ok(Number.isInteger(columns) && columns >= 1 && Number.isInteger(rows) && rows >= 1)
      assert.ok(columns * rows <= most, `${columns} × ${rows} is more than ${most}`)
      const near = [Math.max(1, Math.round(w / 28)), Math.max(1, Math.round(h / 28))] as const
      if (near[0] * near[1] >= least && near[0] * near[1] <= most) assert.equal([columns, rows], [...near])
    }),
  )
  assert.match(
    messageThrown(() => squaresOf(1, 0, 28)),
    /height is 0/,
  )
  assert.match(
    messageThrown(() => squaresOf(1, 1, 28, { least: 5, most: 4 })),
    /least is 5 and most is 4/,
  )
})

const any = anyResolution(tiny)
const model = sailVl2Model('tiny-any', any)
const layout = processor(nanoTokenizer(), {
  image: { ...model.image, reading: anySizes(model.image, { least: 1, most: 12 }) },
})

test('each patch has its pixels and its place; what is left over is 0', () => {
  const [size, patchSize] = [4, 2]
  const images = [image(8, 4), image(4, 12, 5)]
  const { pixel_values, patch_places } = packedPatches([{ id: 'a', images }], 7, size, patchSize)
  assert.is(patch_places.length, 7 * 4 * 5)
  const numbers = 3 * patchSize ** 2
  let patch = 0
  images.forEach((own, i) => {
    const planes = imagenetNormalise(own)
    const [columns, rows] = [own.width / patchSize, own.height / patchSize]
    const met = new Set<string>()
    for (let n = 0; n < rows * columns; n++, patch++) {
      const [number, row, column, ...grid] = patch_places.subarray(patch * 5, patch * 5 + 5)
      assert.equal([number, ...grid], [i + 1, rows, columns])
      met.add(`${row}/${column}`)
      // four that follow one another are a square, row by row
      const square = Math.floor(n / 4)
      assert.is(Math.floor(row! / 2), Math.floor(square / (columns / 2)))
      assert.is(Math.floor(column! / 2), square % (columns / 2))
      assert.equal([row! % 2, column! % 2], [Math.floor((n % 4) / 2), n % 2])
      for (let ch = 0; ch < 3; ch++)
        for (let y = 0; y < patchSize; y++)
          for (let x = 0; x < patchSize; x++)
            assert.is(
              pixel_values[patch * numbers + (ch * patchSize + y) * patchSize + x],
              planes[(ch * own.height + row! * patchSize + y) * own.width + column! * patchSize + x],
            )
    }
    assert.is(met.size, rows * columns)
  })
  assert.ok(patch_places.subarray(patch * 5).every((n) => n === 0))
  assert.ok(pixel_values.subarray(patch * numbers).every((n) => n === 0))
})

test('errors name the sample', () => {
  const of = (squares: number, ...images: RgbImage[]) =>
    messageThrown(() => packedPatches([{ id: 's', images }], squares, 4, 2))
  assert.match(of(2, image(8, 4), image(4, 4)), /sample s has an image too many: .*2 squares of 4 × 4/)
  assert.match(of(9, image(6, 4)), /sample s has an image of 6 × 4 pixels; sides that are multiples of 4/)
  assert.match(of(9, { ...image(4, 4), data: new Uint8Array(3) }), /sample s .*3 bytes.*are 48/)
})

test('an image takes as many tokens as it has squares; several share the budget', () => {
  const of = (...images: RgbImage[]) =>
    conversation(layout, { id: 'c', request: 'which?', answer: 'this', images })
  const tokens = (c: ReturnType<typeof of>) => c.ids.filter((id) => id === layout.image!.placeholder).length
  const wide = of(image(21, 4))
  assert.is(tokens(wide), 5)
  assert.equal([wide.images[0]!.width, wide.images[0]!.height], [20, 4])
  // three images of four squares each at most
  const three = of(image(40, 40), image(80, 10), image(4, 4))
  assert.is(tokens(three), 4 + 4 + 1)
  assert.is(tilesOf(layout, three.images), 9)
  const seen = collateImages([wide, three], { rows: 2, tokens: 60, images: 14 }, layout)
  assert.equal(
    [...seen.visual_index].filter((i) => i >= 0),
    Array.from({ length: 14 }, (_, i) => i),
  )
  assert.is(seen.patch_places!.length, 14 * 4 * 5)
  assert.match(
    messageThrown(() => collateImages([wide, three], { rows: 2, tokens: 60, images: 13 }, layout)),
    /13 squares of 4 × 4/,
  )
})

test('packs hold as many squares as they say', async () => {
  const source = listed(
    'any',
    Array.from({ length: 12 }, (_, i) =>
      conversation(layout, {
        ...{ id: `${i}`, request: '?', answer: 'a' },
        images: [image(4 * (1 + (i % 3)), 4 * (1 + (i % 4)))],
      }),
    ),
  )
  const options = { rows: 2, tokens: 80, images: 14, buffer: 6, processor: layout }
  const packs: Placed<Pack>[] = []
  for await (const pack of packed(source, options).open()) packs.push(pack)
  const squares = packs.map(({ example }) =>
    example.rows.flat().reduce((n, c) => n + tilesOf(layout, c.images), 0),
  )
  assert.ok(squares.every((n) => n <= 14) && Math.max(...squares) > 8, String(squares))
  assert.is(packs.flatMap(({ example }) => example.rows.flat()).length, 12)
})

test('a processor of one kind does not fit a model of the other', () => {
  fitting(layout, model)
  assert.match(
    messageThrown(() => fitting(tinyProcessor, model)),
    /image.size is 16 there and 4/,
  )
  const plain = processor(nanoTokenizer(), { image: model.image })
  assert.match(
    messageThrown(() => fitting(plain, model)),
    /anySizes/,
  )
  assert.match(
    messageThrown(() => fitting(layout, tinyModel)),
    /image.size is 4 there/,
  )
  assert.match(
    messageThrown(() => anySizes(tinyModel.image)),
    /tiles of one size/,
  )
})

test.run()
