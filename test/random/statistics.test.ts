/**
 * What the generator's numbers look like: each test fixes its seeds, so it gives the same verdict every time. A threshold
 * is the value that a fair generator passes with a probability of one in a million or less.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  fillNormal,
  fillTruncatedNormal,
  fillUniform,
  keyOf,
  random,
  type Seed,
  wordsFrom,
} from '../../src/random/index.ts'

const test = suite('random: statistics')

const wordsOf = (n: number, seed: Seed, ...path: Seed[]): Int32Array => {
  const out = new Int32Array(n)
  wordsFrom(keyOf(seed, ...path), 0, out)
  return out
}

const uniformOf = (n: number, seed: Seed, ...path: Seed[]): Float32Array => {
  const out = new Float32Array(n)
  fillUniform(out, 1, keyOf(seed, ...path))
  return out
}

/** χ² of counts against equal shares, as standard deviations from its mean: normal for many counts. */
const chiSquare = (counts: ArrayLike<number>): number => {
  const n = Array.from(counts)
  const each = n.reduce((a, b) => a + b, 0) / n.length
  const chi = n.reduce((sum, x) => sum + (x - each) ** 2 / each, 0)
  return (chi - (n.length - 1)) / Math.sqrt(2 * (n.length - 1))
}

const within = (z: number, what: string, most = 5): void =>
  assert.ok(Math.abs(z) < most, `${what}: ${z.toFixed(2)} standard deviations`)

/** The correlation of two arrays of mean 0, in standard deviations. */
const correlation = (a: ArrayLike<number>, b: ArrayLike<number>, n = a.length, lag = 0): number => {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i]!, b[i + lag]!]
    ab += x * y
    aa += x * x
    bb += y * y
  }
  return (ab / Math.sqrt(aa * bb)) * Math.sqrt(n)
}

test('words are uniform: their upper bits, their lower bits, and pairs of neighbours', () => {
  for (const seed of [0, 1, 2, 'text']) {
    const w = wordsOf(1 << 20, seed, 'uniform')
    const [high, low, pairs] = [new Uint32Array(4096), new Uint32Array(4096), new Uint32Array(4096)]
    for (let i = 0; i < w.length; i++) {
      high[w[i]! >>> 20]!++
      low[w[i]! & 4095]!++
      if (i % 2 === 1) pairs[((w[i - 1]! >>> 26) << 6) | (w[i]! >>> 26)]!++
    }
    within(chiSquare(high), `upper bits, seed ${seed}`)
    within(chiSquare(low), `lower bits, seed ${seed}`)
    within(chiSquare(pairs), `pairs, seed ${seed}`)
  }
})

test('each bit is set half the time, and no two bits agree more often than not', () => {
  const w = wordsOf(1 << 18, 0, 'bits')
  for (let bit = 0; bit < 32; bit++) {
    let set = 0
    const agree = new Uint32Array(32)
    for (const x of w) {
      const b = (x >>> bit) & 1
      set += b
      // every bit that differs from this one is set in x ^ -b
      let same = ~(x ^ -b)
      while (same !== 0) {
        const lowest = 31 - Math.clz32(same & -same)
        agree[lowest]!++
        same &= same - 1
      }
    }
    const deviation = (n: number) => (n - w.length / 2) / Math.sqrt(w.length / 4)
    within(deviation(set), `bit ${bit}`)
    for (let other = 0; other < bit; other++) within(deviation(agree[other]!), `bits ${bit} and ${other}`, 6)
  }
})

test('one bit of the counter or of the text of a key changes each bit of the block half the time', () => {
  const n = 4000
  const changed = (pairs: (i: number) => readonly [Int32Array, Int32Array], what: string): void => {
    const counts = new Uint32Array(128)
    for (let i = 0; i < n; i++) {
      const [a, b] = pairs(i)
      for (let bit = 0; bit < 128; bit++) counts[bit]! += ((a[bit >> 5]! ^ b[bit >> 5]!) >>> (bit & 31)) & 1
    }
    for (const [bit, c] of counts.entries()) within((c - n / 2) / Math.sqrt(n / 4), `${what}, bit ${bit}`)
  }
  const at = (i: number) => {
    const out = new Int32Array(4)
    wordsFrom(keyOf('avalanche'), i, out)
    return out
  }
  changed((i) => [at(i), at(i ^ 1)], 'counter')
  changed((i) => [keyOf(0, `layers.${i}`), keyOf(1, `layers.${i}`)], 'seed')
  changed((i) => [keyOf(0, `layers.${2 * i}.weight`), keyOf(0, `layers.${2 * i + 1}.weight`)], 'name')
})

/** Kolmogorov-Smirnov distance of a sample from a distribution, times √n: 2.7 is passed once in a million. */
const distance = (sample: Float32Array, cdf: (x: number) => number): number => {
  const sorted = sample.slice().sort()
  let most = 0
  sorted.forEach((x, i) => {
    const p = cdf(x)
    most = Math.max(most, p - i / sorted.length, (i + 1) / sorted.length - p)
  })
  return most * Math.sqrt(sorted.length)
}

/** The standard normal's distribution function, by its power series: to 10⁻¹² for |z| < 6.5. */
const normalCdf = (z: number): number => {
  let [term, sum] = [z, z]
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 400; n++) {
    term *= (z * z) / (2 * n + 1)
    sum += term
  }
  return 0.5 + (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum
}

test('normal draws: moments, distribution, tails', () => {
  for (const seed of [0, 1, 2]) {
    const n = 1 << 19
    const x = new Float32Array(n)
    fillNormal(x, 1, keyOf(seed, 'normal'))
    const moment = (k: number) => x.reduce((sum, v) => sum + v ** k, 0) / n
    // the variances of the moments of n normal draws: 1, 2, 15, 96 over n
    within(moment(1) * Math.sqrt(n), `mean, seed ${seed}`)
    within((moment(2) - 1) * Math.sqrt(n / 2), `variance, seed ${seed}`)
    within(moment(3) * Math.sqrt(n / 15), `third moment, seed ${seed}`)
    within((moment(4) - 3) * Math.sqrt(n / 96), `fourth moment, seed ${seed}`)
    const d = distance(x, normalCdf)
    assert.ok(d < 2.7, `Kolmogorov-Smirnov ${d}`)
    for (const z of [3, 4]) {
      const expected = 2 * n * (1 - normalCdf(z))
      const beyond = x.reduce((c, v) => c + (Math.abs(v) > z ? 1 : 0), 0)
      within((beyond - expected) / Math.sqrt(expected), `beyond ${z}, seed ${seed}`)
    }
  }
})

test('cut normal draws: nothing beyond two standard deviations, the distribution in between', () => {
  const x = new Float32Array(1 << 19)
  fillTruncatedNormal(x, 1, keyOf(0, 'cut'))
  assert.ok(x.every((v) => Math.abs(v) <= 2))
  const [low, share] = [normalCdf(-2), normalCdf(2) - normalCdf(-2)]
  const d = distance(x, (v) => (normalCdf(v) - low) / share)
  assert.ok(d < 2.7, `Kolmogorov-Smirnov ${d}`)
})

test('streams of different keys and seeds are not correlated: all pairs of 400', () => {
  const n = 1000
  const streams = [
    ...Array.from({ length: 200 }, (_, i) =>
      uniformOf(n, 0, `layers.${i % 50}.${['q', 'k', 'v', 'o'][i % 4]}`, i),
    ),
    ...Array.from({ length: 200 }, (_, seed) => uniformOf(n, seed, 'layers.0.q')),
  ]
  let [worst, sum, squares, pairs] = [0, 0, 0, 0]
  for (let i = 0; i < streams.length; i++)
    for (let j = 0; j < i; j++) {
      const z = correlation(streams[i]!, streams[j]!)
      worst = Math.max(worst, Math.abs(z))
      sum += z
      squares += z * z
      pairs++
    }
  // of 79,800 pairs the largest lies near 4.5
  assert.ok(worst < 6.5, `worst pair ${worst}`)
  within(sum / Math.sqrt(pairs), 'mean of all pairs')
  within((squares / pairs - 1) * Math.sqrt(pairs / 2), 'spread of all pairs')
})

test('neighbours in a stream are not correlated, at any of a hundred lags', () => {
  const x = uniformOf(1 << 17, 0, 'lags')
  for (let lag = 1; lag <= 100; lag++) within(correlation(x, x, x.length - lag, lag), `lag ${lag}`)
})

/** Pairs of neighbouring words, 64 bits each, sorted. */
const pairsOf = (streams: readonly Int32Array[]): BigUint64Array => {
  const out = new BigUint64Array(streams.reduce((n, s) => n + s.length - 1, 0))
  const halves = new Int32Array(out.buffer)
  let at = 0
  for (const s of streams)
    for (let i = 0; i + 1 < s.length; i++) {
      halves[at++] = s[i]!
      halves[at++] = s[i + 1]!
    }
  return out.sort()
}

test('no window of two words, and so none of 64, occurs twice in 4,000 streams', () => {
  const streams = [
    ...Array.from({ length: 2000 }, (_, i) => wordsOf(1024, 0, `language_model.layers.${i}.weight`)),
    ...Array.from({ length: 2000 }, (_, seed) => wordsOf(1024, seed, 'weight')),
  ]
  // 4 million windows of 64 bits: a fair generator repeats one with a probability of one in two million
  const sorted = pairsOf(streams)
  for (let i = 1; i < sorted.length; i++)
    assert.not(sorted[i] === sorted[i - 1], `a window occurs twice: ${sorted[i]}`)
})

test('two layers of a 1.7B model share no part: up_proj of layers 17 and 23, at full size', () => {
  const size = 6144 * 2048
  const [a, b] = [17, 23].map((i) => wordsOf(size, 0, `language_model.model.layers.${i}.mlp.up_proj.weight`))
  // the first and the middle run of one occur nowhere in the other
  for (const [whole, other] of [
    [a!, b!],
    [b!, a!],
  ] as const)
    for (const start of [0, size / 2])
      for (let i = 0; i + 1 < size; i++)
        if (whole[i] === other[start] && whole[i + 1] === other[start + 1])
          assert.unreachable(`the run at ${start} occurs in the other layer at ${i}`)
  within(correlation(a!, b!), 'layers 17 and 23')
  within(correlation(a!, b!, size - 9092, 9092), 'layers 17 and 23, 9,092 apart')
  within(correlation(b!, a!, size - 9092, 9092), 'layers 23 and 17, 9,092 apart')
})

test('whole numbers in a range, shuffles and weighted choices have their shares', () => {
  const r = random(0, 'shares')
  for (const n of [2, 3, 7, 100, 1000]) {
    const counts = new Uint32Array(n)
    for (let i = 0; i < 200 * n; i++) counts[r.int(-5, n - 6) + 5]!++
    within(chiSquare(counts), `int of ${n}`, n < 10 ? 10 : 6)
  }
  // 3 · 2^30 values: a remainder of 2^32 would favour the lower third by a half
  let low = 0
  for (let i = 0; i < 30_000; i++) if (r.int(0, 3 * 2 ** 30 - 1) < 2 ** 30) low++
  within((low - 10_000) / Math.sqrt((30_000 * 2) / 9), 'the lower third of 3 · 2^30')
  let wide = 0
  for (let i = 0; i < 10_000; i++) if (r.int(-(2 ** 51), 2 ** 51 - 1) < 0) wide++
  within((wide - 5000) / 50, 'the lower half of 2^52')
  const orders = new Map<string, number>()
  for (let i = 0; i < 24_000; i++) {
    const order = r.shuffle(['a', 'b', 'c', 'd']).join('')
    orders.set(order, (orders.get(order) ?? 0) + 1)
  }
  assert.is(orders.size, 24)
  within(chiSquare([...orders.values()]), 'orders of four', 7)
  const taken = new Map<string, number>()
  for (let i = 0; i < 60_000; i++) {
    const x = r.weighted(['none', 'one', 'two', 'three'], [0, 1, 2, 3])
    taken.set(x, (taken.get(x) ?? 0) + 1)
  }
  assert.not(taken.has('none'))
  for (const [i, x] of ['one', 'two', 'three'].entries()) {
    const p = (i + 1) / 6
    within((taken.get(x)! - 60_000 * p) / Math.sqrt(60_000 * p * (1 - p)), `weight ${i + 1}`)
  }
})

test.run()
