/**
 * Draws a grid of rendered samples to one PNG file, to be looked at.
 *
 *     node --import tsx scripts/contact-sheet.ts --out sheet.png [--family read] [--level 3] [--n 24] [--scale 2]
 *         [--seed 1] [--split train] [--labels]
 *
 * `--labels` writes the class of every patch over it.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createCanvas } from '@napi-rs/canvas'
import { sampleAt } from '../src/tasks/mixture.ts'
import { patchClasses, patchGrid, patchSize } from '../src/tasks/patches.ts'
import type { Family, Level, Split } from '../src/tasks/sample.ts'
import { families } from '../src/tasks/sample.ts'

const { values: args } = parseArgs({
  options: {
    out: { type: 'string', default: 'sheet.png' },
    family: { type: 'string' },
    level: { type: 'string' },
    n: { type: 'string', default: '24' },
    columns: { type: 'string', default: '6' },
    scale: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    split: { type: 'string', default: 'train' },
    labels: { type: 'boolean', default: false },
  },
})
const n = Number(args.n)
const columns = Number(args.columns)
const scale = Number(args.scale)
const wanted: readonly Family[] = families.filter((f) => args.family === undefined || f === args.family)
const low = Number(args.level ?? 1) as Level
const mixture = {
  seed: args.seed,
  split: args.split as Split,
  weights: Object.fromEntries(wanted.map((f) => [f, 1])),
  levels: [low, Number(args.level ?? 3) as Level] as const,
}

const samples = Array.from({ length: n }, (_, i) => sampleAt(mixture, i))
const side = (samples[0]?.image.width ?? 112) * scale
const cell = { width: side + 8, height: side + 46 }
const canvas = createCanvas(columns * cell.width, Math.ceil(n / columns) * cell.height)
const c = canvas.getContext('2d')
c.fillStyle = '#999'
c.fillRect(0, 0, canvas.width, canvas.height)
samples.forEach((s, i) => {
  const x = (i % columns) * cell.width + 4
  const y = Math.floor(i / columns) * cell.height + 4
  const { width, height, data } = s.image
  const tile = createCanvas(width, height)
  const pixels = tile.getContext('2d').createImageData(width, height)
  for (let p = 0; p < width * height; p++) {
    for (let ch = 0; ch < 3; ch++) pixels.data[p * 4 + ch] = data[p * 3 + ch]!
    pixels.data[p * 4 + 3] = 255
  }
  tile.getContext('2d').putImageData(pixels, 0, 0)
  c.imageSmoothingEnabled = false
  c.drawImage(tile, x, y, side, side)
  c.fillStyle = '#000'
  c.font = '10px "Sailwright sans"'
  c.fillText(s.caption.slice(0, 46), x, y + side + 12, side)
  c.fillText(s.question, x, y + side + 25, side)
  c.fillText(s.answer, x, y + side + 38, side)
  if (!args.labels) return
  c.font = '8px "Sailwright sans"'
  s.patches.classes.forEach((id, p) => {
    if (id === 0) return
    const px = x + (p % patchGrid) * patchSize * scale
    const py = y + Math.floor(p / patchGrid) * patchSize * scale
    c.strokeStyle = '#f0f'
    c.strokeRect(px, py, patchSize * scale, patchSize * scale)
    c.fillStyle = '#f0f'
    const value = s.patches.values[p]!
    const short = patchClasses[id]!.replace(/ (\w)\w+/g, ' $1')
    c.fillText(`${short}${value >= 0 ? `:${value}` : ''}`, px + 1, py + 9, patchSize * scale - 2)
  })
})
writeFileSync(args.out, canvas.toBuffer('image/png'))
