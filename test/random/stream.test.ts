/** Streams and arrays of random numbers: what belongs to a seed, what is refused, and numbers that never change. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fillNormal, hash32, keyOf, random, type Seed, wordsFrom } from '../../src/random/index.ts'
import { normalOf, truncatedOf, upperQuantile } from '../../src/random/normal.ts'

const test = suite('random: streams')

test('a stream belongs to its seed and path, and to no other spelling of it', () => {
  const first = (...path: Seed[]) => random('a', ...path).next()
  assert.is(first('b', 1), first('b', 1))
  const different = [
    ...[first('b', 1), first('b', '1'), first('b1'), first('b', 2), first('b', -1), first('b', 1, '')],
    ...[random('a/b', 1).next(), random('a/$1:b', 1).next(), random(0, 'a').next(), random('0', 'a').next()],
  ]
  assert.is(new Set(different).size, different.length)
  // texts that fill a block, and that end in what padding is made of
  const texts = ['', '\0', '\0\0', ...Array.from({ length: 40 }, (_, n) => 'x'.repeat(n + 1)), 'x\0', 'x\0\0']
  assert.is(new Set(texts.map((s) => keyOf(s).join())).size, texts.length)
})

test('seeds are texts and safe integers, negative ones too; others are refused with a sentence', () => {
  for (const good of [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), '', 'NaN']) assert.is(keyOf(good).length, 4)
  assert.equal(keyOf(-0), keyOf(0))
  assert.not.equal(keyOf(-1), keyOf(1))
  assert.not.equal(keyOf(2 ** 32), keyOf(0))
  for (const bad of [Number.NaN, 0.5, Number.POSITIVE_INFINITY, 2 ** 53, -1e300])
    assert.throws(() => keyOf(bad), /^a seed is .*; give a text or a whole number/)
  assert.throws(() => keyOf(undefined as never), /a seed is undefined/)
  assert.throws(() => random('a', 'b', 0.5), /step 2 of a random stream's path is 0.5/)
})

test('ranges, shuffles and choices keep their promises', () => {
  fc.assert(
    fc.property(fc.string(), fc.maxSafeInteger(), fc.nat(60), (seed, from, span) => {
      const r = random(seed, 'range')
      const low = Math.min(from, Number.MAX_SAFE_INTEGER - span)
      const n = r.int(low, low + span)
      assert.ok(Number.isSafeInteger(n) && n >= low && n <= low + span)
      const xs = Array.from({ length: span }, (_, i) => i)
      assert.equal(
        r.shuffle(xs).toSorted((a, b) => a - b),
        xs,
      )
      if (span > 0)
        assert.ok(
          xs.includes(r.pick(xs)) &&
            xs.includes(
              r.weighted(
                xs,
                xs.map((i) => i + 1),
              ),
            ),
        )
    }),
  )
  fc.assert(
    fc.property(fc.integer(), fc.double({ noNaN: true }), fc.double({ noNaN: true }), (seed, a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)]
      if (!Number.isFinite(high - low)) return
      const x = random(seed).real(low, high)
      assert.ok(x >= low && (x < high || low === high), `${x} in [${low}, ${high})`)
    }),
  )
})

test('ranges, probabilities and weights that make no sense are refused', () => {
  const r = random(1)
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [() => r.pick([]), /random.pick: there is nothing to pick from/],
    [() => r.int(2, 1), /random.int: \[2, 1\] is no range/],
    [() => r.int(0, 1.5), /random.int/],
    [() => r.int(0, Number.NaN), /random.int/],
    [() => r.int(-(2 ** 53) + 1, 2 ** 53 - 1), /random.int/],
    [() => r.real(1, 0), /random.real: \[1, 0\) is no range/],
    [() => r.real(0, Number.POSITIVE_INFINITY), /random.real/],
    [() => r.chance(1.1), /random.chance: 1.1 is no probability/],
    [() => r.chance(Number.NaN), /random.chance/],
    [() => r.weighted(['a'], [0]), /random.weighted: \[0\] are no weights of 1 elements/],
    [() => r.weighted(['a', 'b'], [1]), /random.weighted/],
    [() => r.weighted(['a', 'b'], [2, -1]), /random.weighted/],
    [() => r.weighted(['a', 'b'], [1, Number.NaN]), /random.weighted/],
    [() => fillNormal(new Float32Array(1), 1, keyOf(0), -1), /the first element is -1/],
  ]
  for (const [call, message] of cases) assert.throws(call, message)
})

test('the inverse of the normal distribution, by published quantiles, and symmetric', () => {
  const published = [
    [0.25, 0.6744897501960817],
    [0.1, 1.2815515655446004],
    [0.025, 1.959963984540054],
    [0.001, 3.090232306167813],
    [1e-9, 5.997807015007686],
  ] as const
  for (const [p, z] of published) assert.ok(Math.abs(upperQuantile(p) - z) < 1e-14 * z, `${p}`)
  const r = random(0, 'words')
  for (let i = 0; i < 20_000; i++) {
    // words of every size, for the tails have pieces of their own
    const word = r.int(0, 2 ** 31 - 1) >> r.int(0, 30)
    const exact = upperQuantile((2 * word + 1) / 2 ** 33)
    assert.ok(Math.abs(normalOf(word) - exact) < 2e-10, `${word}: ${normalOf(word)} and ${exact}`)
    assert.is(normalOf(~word), -normalOf(word))
    assert.is(truncatedOf(~word), -truncatedOf(word))
  }
  assert.ok(Math.abs(truncatedOf(0) - 2) < 1e-8 && truncatedOf(0) <= 2)
})

test('numbers that never change: a key, its words, draws, and floats bit for bit', () => {
  assert.equal([...keyOf(0, 'a')], [-1625674598, -1203588326, -233496969, 1772816491])
  const words = new Int32Array(4)
  wordsFrom(keyOf(0, 'a'), 0, words)
  assert.equal([...words], [-1127005521, -327988141, 1526114903, 1838947760])
  const r = random(7, 'train', 12)
  assert.equal(
    [r.int(0, 99), r.next(), r.shuffle([1, 2, 3, 4]).join(''), r.int(0, 2 ** 40)],
    [79, 0.12278609551590025, '1432', 11264178019],
  )
  const floats = new Float32Array(1 << 16)
  fillNormal(floats, 1, keyOf(0, 'a'))
  const bits = new Uint8Array(floats.buffer)
  assert.is(hash32(Array.from(bits, (b) => String.fromCharCode(b)).join('')), 3752112895)
})

test('the hash that says what is held out never changes', () => {
  const pinned: readonly (readonly [text: string, salt: number, hash: number])[] = [
    ['read:K7QM', 0x5a11, 3608068517],
    ['arithmetic:38+47', 0x5a11, 788156543],
    ['count:red circle:3', 0x5a11, 2826923029],
    ['chart:F=7 B=18 A=2', 0x5a11, 538849344],
    ['', 0x5a11, 517230905],
    ['read:K7QM', 0, 160130479],
    ['chart:F=7 B=18 A=2', 0, 3889900319],
  ]
  for (const [text, salt, hash] of pinned) assert.is(hash32(text, salt), hash, text)
})

test.run()
