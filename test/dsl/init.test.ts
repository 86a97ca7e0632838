/** What a fresh weight is filled with: the numbers' distribution, and what determines them. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  centred,
  fill,
  filled,
  type Init,
  normal,
  ones,
  truncatedNormal,
  uniform,
  xavierUniform,
  zeros,
} from '../../src/dsl/index.ts'

const init = suite('dsl: initialisers')

const random: readonly (readonly [string, Init])[] = [
  ['uniform', uniform(0.3)],
  ['normal', normal(0.3)],
  ['truncatedNormal', truncatedNormal(0.3)],
  ['centred', centred(0.3, 5, 3)],
]
const mean = (xs: ArrayLike<number>): number => Array.from(xs).reduce((a, b) => a + b, 0) / xs.length
const deviation = (xs: ArrayLike<number>): number => {
  const middle = mean(xs)
  return Math.sqrt(mean(Array.from(xs, (x) => (x - middle) ** 2)))
}
const near = (what: string, got: number, want: number, by: number): void =>
  assert.ok(Math.abs(got - want) <= by, `${what}: ${got} for ${want} ± ${by}`)

for (const [name, of] of random)
  init(`${name}: the seed and the key determine the numbers, each of both`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.string({ minLength: 1, maxLength: 20 }), (seed, key) => {
        const was = [...fill(of, 20, seed, key)]
        assert.equal([...fill(of, 20, seed, key)], was)
        assert.not.equal([...fill(of, 20, seed + 1, key)], was)
        assert.not.equal([...fill(of, 20, seed, `${key}x`)], was)
        // a key of the same length, and the same letters in another order
        assert.not.equal([...fill(of, 20, seed, `${key.slice(0, -1)}\u2603`)], was)
        const turned = [...key].reverse().join('')
        if (turned !== key) assert.not.equal([...fill(of, 20, seed, turned)], was)
      }),
      { numRuns: 50 },
    )
    assert.not.equal([...fill(of, 20, 0, 'layers.0.weight')], [...fill(of, 20, 0, 'layers.1.weight')])
  })

init('a larger weight begins with the numbers of a smaller one', () => {
  for (const [, of] of random.slice(0, 3))
    assert.equal([...fill(of, 100, 3, 'w').subarray(0, 40)], [...fill(of, 40, 3, 'w')])
})

const n = 40_000

init('uniform: between both limits, evenly', () => {
  const xs = fill(uniform(0.5), n, 1, 'w')
  assert.ok(xs.every((x) => x >= -0.5 && x <= 0.5))
  near('mean', mean(xs), 0, 0.01)
  near('deviation', deviation(xs), 0.5 / Math.sqrt(3), 0.005)
  for (let k = 0; k < 10; k++) {
    const inside = xs.filter((x) => x >= -0.5 + k / 10 && x < -0.4 + k / 10).length
    near(`share of tenth ${k}`, inside / n, 0.1, 0.01)
  }
})

/** Shares of a normal below so many deviations. */
const below: readonly (readonly [number, number])[] = [
  [-2, 0.02275],
  [-1, 0.15866],
  [0, 0.5],
  [1, 0.84134],
  [2, 0.97725],
]

init('normal: mean 0, the deviation, and the shares in between', () => {
  const xs = fill(normal(0.2), n, 1, 'w')
  near('mean', mean(xs), 0, 0.005)
  near('deviation', deviation(xs), 0.2, 0.004)
  for (const [z, share] of below) near(`below ${z}`, xs.filter((x) => x < 0.2 * z).length / n, share, 0.01)
})

init('truncated normal: nothing beyond two deviations, and what lies there drawn anew', () => {
  const xs = fill(truncatedNormal(0.2), n, 1, 'w')
  assert.ok(xs.every((x) => Math.abs(x) <= Math.fround(0.4)))
  near('mean', mean(xs), 0, 0.005)
  // √(1 − 4 φ(2) / (2 Φ(2) − 1)) = 0.8796
  near('deviation', deviation(xs), 0.8796 * 0.2, 0.003)
  const [tail, half] = [0.02275, 1 - 2 * 0.02275]
  for (const [z, share] of below)
    near(`below ${z}`, xs.filter((x) => x < 0.2 * z).length / n, (share - tail) / half, 0.01)
  assert.is(xs.filter((x) => Math.abs(x) === Math.fround(0.4)).length, 0, 'nothing is cut off to the limit')
})

init('Xavier: the limit is √(6 / (inputs + outputs))', () => {
  for (const [a, b] of [
    [3, 5],
    [192, 576],
    [1000, 2],
  ] as const) {
    assert.equal(xavierUniform(a, b), uniform(Math.sqrt(6 / (a + b))))
    near('variance', deviation(fill(xavierUniform(a, b), n, 2, 'w')) ** 2 * (a + b), 2, 0.05)
  }
})

init('centred: every run has mean 0 but for each so-many-th', () => {
  const [row, keep] = [12, 4]
  const xs = fill(centred(0.5, row, keep), 40 * row, 1, 'w')
  const drawn = fill(uniform(0.5), 40 * row, 1, 'w')
  for (let run = 0; run < 40; run++) {
    const [got, was] = [xs, drawn].map((a) => a.subarray(run * row, (run + 1) * row)) as [
      Float32Array,
      Float32Array,
    ]
    const kept = run % keep === keep - 1
    const middle = mean(was)
    if (kept) assert.equal(got, was, `run ${run} is kept`)
    else
      got.forEach((x, i) => {
        near(`run ${run}`, x, was[i]! - middle, 1e-6)
      })
  }
})

init('zeros, ones and one number', () => {
  assert.equal([...fill(zeros, 3, 1, 'w')], [0, 0, 0])
  assert.equal([...fill(ones, 3, 1, 'w')], [1, 1, 1])
  assert.equal([...fill(filled(2.5), 3, 1, 'w')], [2.5, 2.5, 2.5])
})

init('a slice drawn alone is the same piece of the whole, wherever it begins', () => {
  const all = [zeros, ones, filled(2.5), ...random.map(([, of]) => of)]
  const wholes = all.map((of) => fill(of, 7000, 5, 'w'))
  fc.assert(
    fc.property(fc.nat(all.length - 1), fc.nat(6999), fc.nat(5000), (i, from, length) => {
      const size = Math.min(length, 7000 - from)
      assert.equal(fill(all[i]!, size, 5, 'w', from), wholes[i]!.slice(from, from + size))
    }),
  )
})

init('a seed is a text or a safe integer; others are refused', () => {
  const firsts = [0, 1, -1, 2 ** 32, 2 ** 32 + 1, '0'].map((seed) => fill(normal(1), 1, seed, 'w')[0]!)
  assert.is(new Set(firsts).size, firsts.length)
  for (const seed of [Number.NaN, 0.1, 1e300])
    for (const start of [zeros, normal(1)])
      assert.throws(() => fill(start, 1, seed, 'w'), /a seed is .*; give a text or a whole number/)
})

init.run()
