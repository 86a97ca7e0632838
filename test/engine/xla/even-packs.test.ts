/** Packed batches on several devices: each has as many rows and tiles as any other, and nearly as much in them. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, conversation, packed } from '../../../src/data/index.ts'
import { type Axis, topological } from '../../../src/dsl/index.ts'
import { cutOf, isCut, partOf, partShape, shardingOf } from '../../../src/engine/xla/sharding.ts'
import { random } from '../../../src/random/index.ts'

import { packedNextToken } from '../../../src/train/packed-next-token.ts'
import { tinyConversation, tinyModel, tinyProcessor, watched } from '../../support/tiny.ts'

const test = suite('xla: packed batches on several devices')

const sizes = { rows: 8, tokens: 192, images: 64 }
const slack = 0.05
/** Images with short texts among long texts without one. */
const mixed = watched((i): Conversation => {
  const r = random('even packs', i)
  return conversation(tinyProcessor, {
    ...{
      id: `${i}`,
      request: '?'.repeat(r.int(1, 3)),
      answer: 'abcdefghijklmnopqrst'.slice(0, r.int(1, 20)),
    },
    images: r.chance(0.5) ? tinyConversation(i).images : [],
  })
})

for (const [devices, bound] of [
  [2, 1.05],
  [4, 1.1],
  [8, 1.15],
] as const)
  test(`${devices} devices have equal shares of every pack, and tokens and images that differ by little`, async () => {
    const objective = packedNextToken(tinyModel, tinyProcessor, sizes)
    const made = shardingOf({ devices })
    if (isLeft(made)) throw new Error(made.left.message)
    const sharding = made.right
    const each = Array.from({ length: devices }, (_, d) => d)
    let [packs, fullest, emptiest, most, all] = [0, 0, Infinity, 0, 0]
    for await (const { example } of packed(mixed, { ...sizes, buffer: 48, visualSlack: slack }).open()) {
      for (const batch of objective.collate([example])) {
        const { sum, weight } = objective.terms(batch.sizes)
        const axes = new Map<string, readonly Axis[]>(
          topological([sum, weight]).flatMap((t) => (t.op.op === 'input' ? [[t.op.name, t.axes]] : [])),
        )
        const partsOf = (name: string) => {
          const { data, shape } = batch.inputs[name]!
          const cut = cutOf(sharding, axes.get(name)!)
          assert.ok(isCut(cut), `${name} is dealt out`)
          return each.map((d) => {
            const part = partOf(sharding, cut, data, shape, d)
            assert.is(
              part.length,
              partShape(sharding, cut, shape).reduce((n, s) => n * s, 1),
            )
            return part
          })
        }
        const segments = partsOf('segment_ids')
        const visual = partsOf('visual_index')
        partsOf('pixel_values')
        const tokens = segments.map((part) => Array.from(part).filter((n) => n !== 0).length)
        ;[fullest, emptiest] = [Math.max(fullest, ...tokens), Math.min(emptiest, ...tokens)]
        // each image has sixteen tokens
        const images = visual.map((part) => Array.from(part).filter((v) => v >= 0).length / 16)
        most += Math.max(...images)
        all += images.reduce((x, y) => x + y)
      }
      if (++packs === 10) break
    }
    // a row may leave a twentieth of what it could hold empty
    const room = (sizes.rows / devices) * sizes.tokens
    assert.ok(emptiest >= 0.9 * room && fullest <= room, `${emptiest} to ${fullest} of ${room}`)
    // every step waits for the device with most images
    const waits = (devices * most) / all
    assert.ok(waits < bound, `${waits}`)
  })

test.run()
