/** Samples over devices: each on one of them, and what balancing images beside tokens gives. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Balanced, balance, loadsOf, slowest } from '../../src/data/balance.ts'
import type { Load } from '../../src/data/pack.ts'
import { random } from '../../src/random/index.ts'

const balancing = suite('data: balance')

const both: readonly Balanced[] = ['tokens', 'images']

balancing('by hand: the largest first, each where it leaves the least', () => {
  const loads = [3, 5, 3, 4, 3].map((tokens) => ({ tokens, images: 0 }))
  assert.equal(balance(loads, 2, ['tokens']), [
    [1, 2],
    [3, 0, 4],
  ])
  // tokens alone see no difference between these; images do
  const seen = [4, 0, 4, 0].map((images) => ({ tokens: 1, images }))
  assert.equal(loadsOf(seen, balance(seen, 2, ['tokens'])), [
    { tokens: 2, images: 8 },
    { tokens: 2, images: 0 },
  ])
  assert.equal(loadsOf(seen, balance(seen, 2, both)), [
    { tokens: 2, images: 4 },
    { tokens: 2, images: 4 },
  ])
  assert.equal(balance([], 2, both), [[], []])
  assert.is(slowest([], { tokens: 1, images: 1 }), 1)
  assert.is(
    slowest(
      loadsOf(seen, [
        [0, 2],
        [1, 3],
      ]),
      { tokens: 0, images: 3 },
    ),
    2,
  )
})

balancing(
  'every sample is on one device, and no device is over the mean by more than the largest sample',
  () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ tokens: fc.nat(50), images: fc.nat(9) }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom<Balanced>('tokens', 'images'),
        (loads, devices, what) => {
          for (const by of [[what], both]) {
            const groups = balance(loads, devices, by)
            assert.is(groups.length, devices)
            assert.equal(
              groups.flat().sort((a, b) => a - b),
              [...loads.keys()],
            )
          }
          const held = loadsOf(loads, balance(loads, devices, [what])).map((l) => l[what])
          const mean = held.reduce((a, b) => a + b, 0) / devices
          const largest = Math.max(0, ...loads.map((l) => l[what]))
          assert.ok(Math.max(...held) <= mean + largest + 1e-9)
        },
      ),
      { numRuns: 60 },
    ),
)

balancing(
  'eight devices and one to ten tiles an image: the slowest is nearer to the mean with images balanced too',
  () => {
    // a tile is 256 tokens; the text beside them is of any length, so that equal tokens are not equal tiles
    const steps = Array.from({ length: 40 }, (_, step) => {
      const r = random('balance', step)
      return Array.from({ length: 64 }, (): Load => {
        const images = r.int(1, 10)
        return { images, tokens: 256 * images + r.int(16, 4096) }
      })
    })
    const cost = { images: 256, tokens: 1 }
    const mean = (by: readonly Balanced[], of: (held: readonly Load[]) => number): number =>
      steps.reduce((n, loads) => n + of(loadsOf(loads, balance(loads, 8, by))), 0) / steps.length
    const [data, visual] = [mean(['tokens'], (h) => slowest(h, cost)), mean(both, (h) => slowest(h, cost))]
    const onlyTiles = { images: 1, tokens: 0 }
    const [tiles, balanced] = [
      mean(['tokens'], (h) => slowest(h, onlyTiles)),
      mean(both, (h) => slowest(h, onlyTiles)),
    ]
    assert.ok(data > visual + 0.02, `${data} with tokens balanced, ${visual} with both`)
    assert.ok(tiles > balanced + 0.1, `of tiles ${tiles} with tokens balanced, ${balanced} with both`)
    assert.ok(visual < 1.05, `${visual}`)
  },
)

balancing('no device and nothing to balance by are refused', () => {
  for (const devices of [0, 1.5, Number.NaN])
    assert.throws(() => balance([], devices, both), /devices: it is .*; give a whole number from 1/)
  assert.throws(() => balance([], 1, []), /by: it is empty/)
})

balancing.run()
