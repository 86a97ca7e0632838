/** Image files of every kind as pixels: made here with sharp, read back, and damaged. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RgbImage } from '../../src/data/image.ts'
import { ImageError, type ImageInput, readImage, readWholeImage } from '../../src/data/read-image.ts'
import { resize } from '../../src/data/resize.ts'
import { thrown } from '../support/tiny.ts'

const images = suite('data: images')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-images-'))
images.after(() => rmSync(folder, { recursive: true, force: true }))

type Rgb = readonly [number, number, number]
const [red, green, blue, white]: readonly Rgb[] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
]

/** Four quarters of 8 × 8 pixels: red, green, blue, white, from the top left. */
const quarters = (of: (c: Rgb) => readonly number[], channels: 1 | 3 | 4) => {
  const data = Buffer.alloc(16 * 16 * channels)
  for (let y = 0; y < 16; y++)
    for (let x = 0; x < 16; x++)
      data.set(
        of(
          [
            [red!, green!],
            [blue!, white!],
          ][y >> 3]![x >> 3]!,
        ),
        (y * 16 + x) * channels,
      )
  return sharp(data, { raw: { width: 16, height: 16, channels } })
}
const plain = () => quarters((c) => c, 3)
const at = (image: RgbImage, x: number, y: number): readonly number[] => [
  ...image.data.slice((y * image.width + x) * 3, (y * image.width + x) * 3 + 3),
]
const middles = (image: RgbImage) => [at(image, 4, 4), at(image, 12, 4), at(image, 4, 12), at(image, 12, 12)]
const near = (got: readonly (readonly number[])[], wanted: readonly Rgb[], within: number): void =>
  wanted.forEach((c, i) => {
    assert.is(got[i]!.length, 3)
    c.forEach((v, k) => {
      assert.ok(
        Math.abs(got[i]![k]! - v) <= within,
        `${JSON.stringify(got)} is not ${JSON.stringify(wanted)}`,
      )
    })
  })
const readBytes = async (made: Promise<Buffer>, size = 16): Promise<RgbImage> =>
  readImage({ bytes: await made, name: 'made here' }, size)

images('PNG, WebP, TIFF, JPEG, from a file and from memory', async () => {
  for (const [kind, within] of [
    ['png', 0],
    ['tiff', 0],
    ['webp', 0],
    ['jpeg', 12],
  ] as const) {
    const options = kind === 'webp' ? { lossless: true } : kind === 'tiff' ? { compression: 'lzw' } : {}
    const bytes = await plain()
      .toFormat(kind, { quality: 100, chromaSubsampling: '4:4:4', ...options })
      .toBuffer()
    const path = join(folder, `a.${kind}`)
    writeFileSync(path, bytes)
    const fromFile = await readImage({ path }, 16)
    near(middles(fromFile), [red!, green!, blue!, white!], within)
    assert.equal([fromFile.width, fromFile.height, fromFile.channels, fromFile.data.length], [16, 16, 3, 768])
    assert.equal([...(await readImage({ bytes, name: kind }, 16)).data], [...fromFile.data])
  }
})

images('what a camera says of the direction is applied, in all eight ways', async () => {
  const [r, g, b, w] = [red!, green!, blue!, white!]
  // where the stored quarters are shown, by EXIF's orientation
  const wanted: readonly (readonly Rgb[])[] = [
    [r, g, b, w],
    [g, r, w, b],
    [w, b, g, r],
    [b, w, r, g],
    [r, b, g, w],
    [b, r, w, g],
    [w, g, b, r],
    [g, w, r, b],
  ]
  for (const [i, shown] of wanted.entries())
    near(
      middles(
        await readBytes(
          plain()
            .withMetadata({ orientation: i + 1 })
            .png()
            .toBuffer(),
        ),
      ),
      shown,
      0,
    )
})

images('what is transparent is white, by as much as it is', async () => {
  const image = await readBytes(
    quarters((c) => [...c, c === red ? 0 : c === green ? 128 : 255], 4)
      .png()
      .toBuffer(),
  )
  near(middles(image), [white!, [127, 255, 127], blue!, white!], 1)
})

images('grey, 16 bits, 16 bits of grey, a palette, CMYK', async () => {
  const grey = quarters((c) => [c === red ? 0 : c === green ? 90 : 200], 1).toColourspace('b-w')
  const shades: readonly Rgb[] = [0, 90, 200, 200].map((v) => [v, v, v])
  near(middles(await readBytes(grey.clone().png().toBuffer())), shades, 0)
  near(middles(await readBytes(grey.clone().toColourspace('grey16').png().toBuffer())), shades, 1)
  const all = [red!, green!, blue!, white!]
  const deep = plain().toColourspace('rgb16').png()
  assert.is((await sharp(await deep.clone().toBuffer()).metadata()).depth, 'ushort')
  near(middles(await readBytes(deep.toBuffer())), all, 1)
  near(middles(await readBytes(plain().png({ palette: true }).toBuffer())), all, 2)
  const cmyk = await plain().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer()
  assert.is((await sharp(cmyk).metadata()).space, 'cmyk')
  const inks = middles(await readBytes(Promise.resolve(cmyk)))
  // inks cannot print the brightest colours, and which they are is still clear
  inks.slice(0, 3).forEach((c, i) => {
    assert.is(c.indexOf(Math.max(...c)), i, JSON.stringify(inks))
  })
  near([inks[3]!], [white!], 4)
})

images('of an animation it is the first frame', async () => {
  const frame = (c: Rgb) => ({
    create: { width: 16, height: 16, channels: 3 as const, background: { r: c[0], g: c[1], b: c[2] } },
  })
  const frames = await Promise.all([blue!, red!].map((c) => sharp(frame(c)).png().toBuffer()))
  for (const kind of ['gif', 'webp'] as const) {
    const made = await sharp(frames, { join: { animated: true } })
      .toFormat(kind)
      .toBuffer()
    assert.is((await sharp(made).metadata()).pages, 2)
    const image = await readBytes(Promise.resolve(made))
    assert.is(image.data.length, 768)
    near([at(image, 8, 8)], [blue!], 12)
  }
})

images('any size becomes the processor’s', async () => {
  for (const [width, height] of [
    [1, 1],
    [3, 50],
    [200, 9],
    [16, 40],
  ] as const) {
    const made = sharp({ create: { width, height, channels: 3, background: { r: 9, g: 99, b: 199 } } })
    const image = await readBytes(made.png().toBuffer(), 12)
    assert.equal([image.width, image.height, image.data.length], [12, 12, 432])
    near(
      [at(image, 0, 0), at(image, 11, 11)],
      [
        [9, 99, 199],
        [9, 99, 199],
      ],
      0,
    )
  }
})

/** Red of each pixel, row by row, as Pillow gives it. */
const pillow: readonly { readonly size: readonly [number, number]; readonly reds: readonly number[] }[] = [
  { size: [3, 2], reds: [103, 116, 115, 131, 100, 96] },
  {
    size: [10, 8],
    reds: [
      0, 40, 99, 97, 38, 59, 155, 181, 159, 128, 94, 93, 104, 125, 90, 77, 105, 155, 157, 136, 226, 150, 103,
      160, 163, 113, 49, 108, 135, 134, 140, 79, 60, 154, 179, 157, 102, 47, 51, 78, 112, 77, 64, 111, 158,
      171, 137, 36, 41, 90, 160, 154, 118, 51, 106, 148, 137, 71, 105, 170, 153, 167, 156, 98, 62, 66, 92, 52,
      114, 199, 141, 164, 177, 142, 38, 9, 59, 33, 112, 207,
    ],
  },
  {
    size: [4, 9],
    reds: [
      32, 73, 120, 159, 79, 96, 109, 153, 160, 139, 91, 138, 127, 148, 104, 84, 68, 137, 126, 36, 109, 108,
      131, 79, 156, 88, 114, 125, 163, 99, 57, 129, 165, 106, 26, 129,
    ],
  },
]

images('resized as Pillow’s BICUBIC does it', () => {
  // Image.fromarray(a).resize(size, Image.BICUBIC) of Pillow 12.3.0, a[y, x] = ((x * 37 + y * 101) ** 2 + 11 * c) % 256
  const data = new Uint8Array(7 * 5 * 3)
  for (let y = 0; y < 5; y++)
    for (let x = 0; x < 7; x++)
      for (let c = 0; c < 3; c++) data[(y * 7 + x) * 3 + c] = ((x * 37 + y * 101) ** 2 + 11 * c) % 256
  const from: RgbImage = { width: 7, height: 5, channels: 3, data }
  for (const {
    size: [width, height],
    reds,
  } of pillow) {
    const { data: got } = resize(from, width, height)
    assert.is(got.length, width * height * 3)
    reds.forEach((v, i) => {
      assert.ok(Math.abs(got[3 * i]! - v) <= 1, `${width} × ${height}, pixel ${i}: ${got[3 * i]}, not ${v}`)
    })
  }
})

images('resized to its own size an image stays, and one colour stays that colour', () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.nat(255), (w, h, v) => {
      const data = Uint8Array.from({ length: w * h * 3 }, (_, i) => (i * v) % 256)
      const image: RgbImage = { width: w, height: h, channels: 3, data }
      assert.equal(resize(image, w, h), image)
      const flat = resize({ ...image, data: new Uint8Array(w * h * 3).fill(v) }, h, w + 3)
      assert.ok(flat.data.every((p) => p === v))
    }),
    { numRuns: 50 },
  ),
)

/** A BMP as Windows writes it: rows from the last up, each whole words long, colours as blue, green, red. */
const bmp = (bits: 8 | 24 | 32, pixels: readonly Rgb[], width: number, fromTop = false): Buffer => {
  const height = pixels.length / width
  const palette = bits === 8 ? pixels.flatMap(([r, g, b]) => [b, g, r, 0]) : []
  const stride = 4 * Math.ceil((bits * width) / 32)
  const offset = 54 + palette.length
  const file = Buffer.alloc(offset + stride * height)
  file.write('BM')
  file.writeUInt32LE(file.length, 2)
  file.writeUInt32LE(offset, 10)
  file.writeUInt32LE(40, 14)
  file.writeInt32LE(width, 18)
  file.writeInt32LE(fromTop ? -height : height, 22)
  file.writeUInt16LE(1, 26)
  file.writeUInt16LE(bits, 28)
  file.writeUInt32LE(palette.length / 4, 46)
  file.set(palette, 54)
  pixels.forEach(([r, g, b], i) => {
    const [row, column] = [Math.floor(i / width), i % width]
    const one = bits === 8 ? [i] : bits === 24 ? [b, g, r] : [b, g, r, 0]
    file.set(one, offset + stride * (fromTop ? row : height - 1 - row) + column * one.length)
  })
  return file
}

images('BMP, of every depth that is in use, and none of which bytes are missing', async () => {
  const pixels = Array.from(
    { length: 15 },
    (_, i): Rgb => [(i * 73) % 256, (i * 31 + 9) % 256, (i * 151) % 256],
  )
  for (const [bits, fromTop] of [[8], [24], [24, true], [32]] as const) {
    const bytes = bmp(bits, pixels, 5, fromTop)
    const path = join(folder, 'one.bmp')
    writeFileSync(path, bytes)
    for (const input of [{ path }, { bytes, name: 'one.bmp' }]) {
      const { width, height, data } = await readWholeImage(input)
      assert.equal([width, height], [5, 3])
      assert.equal([...data], pixels.flat())
    }
  }
  // the larger header of one that says how its colours and what is seen of them lie
  const clear = Buffer.alloc(122 + 12)
  clear.set(bmp(32, [red!, green!, blue!], 3).subarray(0, 54))
  clear.writeUInt32LE(122, 10)
  clear.writeUInt32LE(108, 14)
  clear.writeUInt32LE(3, 30)
  for (const [i, mask] of [0x00ff0000, 0x0000ff00, 0x000000ff, 0xff000000].entries())
    clear.writeUInt32LE(mask, 54 + 4 * i)
  clear.set([0, 0, 255, 255, 0, 255, 0, 0, 255, 0, 0, 128], 122)
  const { data } = await readWholeImage({ bytes: clear, name: 'clear.bmp' })
  assert.equal([...data], [...red!, ...white!, 127, 127, 255])
  const whole = bmp(24, pixels, 5)
  // the oldest header has 12 bytes, and half as many for each number
  const old = Buffer.concat([whole.subarray(0, 26), whole.subarray(54)])
  old.writeUInt32LE(26, 10)
  old.writeUInt32LE(12, 14)
  for (const [i, n] of [5, 3, 1, 24].entries()) old.writeUInt16LE(n, 18 + 2 * i)
  assert.equal([...(await readWholeImage({ bytes: old, name: 'old.bmp' })).data], pixels.flat())
  const small = Buffer.from(old.subarray(0, 26 + 16))
  small.writeUInt16LE(1, 20)
  assert.equal([...(await readWholeImage({ bytes: small, name: 'small.bmp' })).data], pixels.slice(10).flat())
  // runs of equal pixels: 4 of the first colour; then 1 of the second, and 3 as they stand, padded to whole words
  const palette = bmp(8, pixels, 5)
  const runs = Buffer.from([4, 0, 0, 0, 1, 1, 0, 3, 2, 3, 4, 0, 0, 1])
  const packed = Buffer.concat([palette.subarray(0, palette.readUInt32LE(10)), runs])
  for (const [at, n] of [
    [18, 4],
    [22, 2],
    [30, 1],
    [34, runs.length],
  ] as const)
    packed.writeUInt32LE(n, at)
  assert.equal(
    [...(await readWholeImage({ bytes: packed, name: 'packed.bmp' })).data],
    [1, 2, 3, 4, 0, 0, 0, 0].flatMap((i) => pixels[i]!),
  )
  for (const [bytes, why] of [
    [packed.subarray(0, packed.length - 8), /it ends after 120 of 128 bytes/],
    [old.subarray(0, old.length - 1), /cut\.bmp: it cannot be read \(it ends after 73 of 74 bytes\)/],
    [whole.subarray(0, whole.length - 1), /cut\.bmp: it cannot be read \(it ends after 101 of 102 bytes\)/],
    [whole.subarray(0, 20), /it has 20 bytes, and a BMP's header has 54/],
    [Buffer.from('BM is how this text begins, and it is no image at all, as one sees'), /cannot be read/],
  ] as const)
    assert.match((await thrown(() => readWholeImage({ bytes, name: 'cut.bmp' }))).message, why)
})

images('what is missing or damaged is named', async () => {
  const refused = async (input: ImageInput, tag: ImageError['tag'], name: RegExp): Promise<void> => {
    const e = await thrown(() => readImage(input, 8))
    assert.ok(e instanceof ImageError, e.message)
    assert.is(e.tag, tag, e.message)
    assert.match(e.message, name)
  }
  await refused({ path: join(folder, 'none.png') }, 'NotFound', /none\.png: there is no such file/)
  await refused(
    { path: 'C:\\none.png' },
    'NotFound',
    /none\.png: there is no such file; write \/ between folders/,
  )
  await refused({ path: folder }, 'BadImage', /it is a folder; name a file/)
  await refused({ bytes: new Uint8Array(), name: 'empty.png' }, 'BadImage', /empty\.png: it is empty/)
  writeFileSync(join(folder, 'empty.jpg'), '')
  await refused({ path: join(folder, 'empty.jpg') }, 'BadImage', /empty\.jpg: it is empty/)
  await refused({ bytes: Buffer.from('not an image'), name: 'text.png' }, 'BadImage', /text\.png/)
  const noise = Buffer.from(Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i * 7) % 251))
  const raw = () => sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
  for (const kind of ['png', 'jpeg', 'webp'] as const) {
    const whole = await raw().toFormat(kind).toBuffer()
    await refused({ bytes: whole.subarray(0, whole.length >> 1), name: `half.${kind}` }, 'BadImage', /half\./)
  }
  const broken = await raw().png().toBuffer()
  broken.fill(0x55, broken.length >> 1, (broken.length >> 1) + 40)
  const path = join(folder, 'broken.png')
  writeFileSync(path, broken)
  await refused({ path }, 'BadImage', /broken\.png/)
})

images.run()
