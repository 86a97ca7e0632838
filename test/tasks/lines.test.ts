/** Characters on images of any shape: all of them inside, held out by what they say, the same ones each time. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Lines, lineAt, lineShapes } from '../../src/tasks/lines.ts'
import { partitionOf } from '../../src/tasks/mixture.ts'

const test = suite('tasks: lines of characters')

const of = (split: Lines['split'], shape: keyof typeof lineShapes): Lines => ({
  ...{ seed: 'a', split, shapes: [lineShapes[shape]] },
})

for (const name of ['square', 'wide', 'tall'] as const)
  test(`${name}: nothing is cut off, and there is ink for every character`, () => {
    const { width, height, characters } = lineShapes[name]
    for (let i = 0; i < 40; i++) {
      const { image, text } = lineAt(of('train', name), i)
      assert.equal([image.width, image.height], [width, height])
      assert.ok(text.length >= characters[0] && text.length <= characters[1])
      const ground = image.data.slice(0, 3)
      const inked = (x: number, y: number): boolean => {
        const at = (y * width + x) * 3
        return [0, 1, 2].some((c) => Math.abs(image.data[at + c]! - ground[c]!) > 40)
      }
      const columns = Array.from({ length: width }, (_, x) => x)
      const rows = Array.from({ length: height }, (_, y) => y)
      assert.not.ok(
        columns.some((x) => inked(x, 0) || inked(x, height - 1)) ||
          rows.some((y) => inked(0, y) || inked(width - 1, y)),
        `sample ${i} (${text}) touches the border`,
      )
      // stretches of ink along the line; letters may touch where they are wide
      const along =
        name === 'tall'
          ? rows.map((y) => columns.some((x) => inked(x, y)))
          : columns.map((x) => rows.some((y) => inked(x, y)))
      const stretches = along.filter((ink, k) => ink && !along[k - 1]).length
      assert.ok(stretches >= text.length - 2, `sample ${i} (${text}) has ${stretches} stretches`)
    }
  })

test('a text is held out by its hash, and the same sample comes again', () => {
  for (const [split, side] of [
    ['train', 'training'],
    ['heldout', 'heldout'],
  ] as const)
    for (let i = 0; i < 20; i++) assert.is(partitionOf(`read:${lineAt(of(split, 'wide'), i).text}`), side)
  assert.equal(lineAt(of('train', 'tall'), 5), lineAt(of('train', 'tall'), 5))
  assert.not.equal(lineAt(of('train', 'tall'), 5).text, lineAt(of('train', 'tall'), 6).text)
})

test.run()
