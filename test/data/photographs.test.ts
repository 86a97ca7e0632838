/** Photographs read and resized here and by Pillow: the difference in grey levels. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { dynamicTiles, readImage, readWholeImage } from '../../src/data/index.ts'
import { fixturePath } from '../support/fixtures.ts'

const photographs = suite('data: photographs')
const folder = fixturePath('images')
const references = readdirSync(folder).filter((name) => name.startsWith('pillow-'))

assert.is(references.length, 8)
for (const reference of references)
  photographs(`${reference}: the pixels that Pillow has`, async () => {
    const [, name, size] = /^pillow-(.*)-(\d+)\.png$/.exec(reference)!
    const file = readdirSync(folder).find((f) => f.startsWith(`${name}.`))!
    const { data } = await readImage({ path: join(folder, file) }, Number(size))
    const wanted = await sharp(join(folder, reference)).removeAlpha().raw().toBuffer()
    assert.is(data.length, wanted.length)
    const apart = data.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i]!)), 0)
    const mean = data.reduce((sum, v, i) => sum + Math.abs(v - wanted[i]!), 0) / data.length
    const [most, least] = file.includes('alpha') ? [2, 0.1] : [1, 0.01]
    assert.ok(apart <= most, `${apart} grey levels`)
    assert.ok(mean <= least, `${mean} grey levels in the mean`)
  })

photographs('tiles: the pixels that Pillow has of the stretched image, and the thumbnail', async () => {
  const image = await readWholeImage({ path: join(folder, 'chelsea.png') })
  const tiles = dynamicTiles(image, { most: 6, size: 56 })
  assert.is(tiles.length, 7)
  const pixelsOf = (name: string) => sharp(join(folder, name)).removeAlpha().raw().toBuffer()
  const large = await pixelsOf('tiled-chelsea-3x2-56.png')
  const small = await pixelsOf('pillow-chelsea-56.png')
  for (const [n, { data }] of tiles.entries()) {
    let apart = 0
    data.forEach((v, i) => {
      const [x, y, channel] = [Math.floor(i / 3) % 56, Math.floor(i / 168), i % 3]
      const inLarge = ((56 * Math.floor(n / 3) + y) * 168 + 56 * (n % 3) + x) * 3 + channel
      apart = Math.max(apart, Math.abs(v - (n === 6 ? small[i]! : large[inLarge]!)))
    })
    assert.ok(apart <= 1, `tile ${n}: ${apart} grey levels`)
  }
})

photographs.run()
