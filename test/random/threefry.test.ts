/** The generator's block against the answers that its authors publish, and against the algorithm written plainly. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { keyOf, threefry, wordsFrom } from '../../src/random/index.ts'

const test = suite('random: threefry')

const words = (hex: string): number[] => hex.split(' ').map((w) => Number.parseInt(w, 16))

/** Counter, key and result, from Random123's kat_vectors. */
const answers: readonly (readonly [rounds: number, counter: string, key: string, result: string])[] = [
  [13, '0 0 0 0', '0 0 0 0', '531c7e4f 39491ee5 2c855a92 3d6abf9a'],
  [
    13,
    'ffffffff ffffffff ffffffff ffffffff',
    'ffffffff ffffffff ffffffff ffffffff',
    'c4189358 1c9cc83a d5881c67 6a0a89e0',
  ],
  [
    13,
    '243f6a88 85a308d3 13198a2e 03707344',
    'a4093822 299f31d0 082efa98 ec4e6c89',
    '4aa71d8f 734738c2 431fc6a8 ae6debf1',
  ],
  [20, '0 0 0 0', '0 0 0 0', '9c6ca96a e17eae66 fc10ecd4 5256a7d8'],
  [
    20,
    'ffffffff ffffffff ffffffff ffffffff',
    'ffffffff ffffffff ffffffff ffffffff',
    '2a881696 57012287 f6c7446e a16a6732',
  ],
  [
    20,
    '243f6a88 85a308d3 13198a2e 03707344',
    'a4093822 299f31d0 082efa98 ec4e6c89',
    '59cd1dbb b8879579 86b5d00c ac8b6d84',
  ],
  [72, '0 0 0 0', '0 0 0 0', '93171da6 9220326d b392b7b1 ff58a002'],
  [
    72,
    'ffffffff ffffffff ffffffff ffffffff',
    'ffffffff ffffffff ffffffff ffffffff',
    '60743f3d 9961e684 aab21c34 8c65fb7d',
  ],
  [
    72,
    '243f6a88 85a308d3 13198a2e 03707344',
    'a4093822 299f31d0 082efa98 ec4e6c89',
    '09930adf 7f27bd55 9ed68ce1 97f803f6',
  ],
]

const rotations = [
  [10, 26],
  [11, 21],
  [13, 27],
  [23, 5],
  [6, 20],
  [17, 11],
  [25, 10],
  [18, 20],
] as const

/** The algorithm as the paper states it, for any number of rounds, in big integers. */
const plain = (rounds: number, counter: readonly number[], key: readonly number[]): number[] => {
  const mask = 0xffffffffn
  const k = key.map(BigInt)
  k.push(k.reduce((a, b) => a ^ b, 0x1bd11bdan))
  let x = counter.map((c, i) => (BigInt(c) + k[i]!) & mask)
  for (let round = 0; round < rounds; round++) {
    const mixed = (a: bigint, b: bigint, by: number): [bigint, bigint] => {
      const sum = (a + b) & mask
      return [sum, (((b << BigInt(by)) | (b >> BigInt(32 - by))) & mask) ^ sum]
    }
    const [r0, r1] = rotations[round % 8]!
    // odd rounds mix the words crosswise
    const [p, q] = round % 2 === 0 ? ([1, 3] as const) : ([3, 1] as const)
    const [a, b] = mixed(x[0]!, x[p]!, r0)
    const [c, d] = mixed(x[2]!, x[q]!, r1)
    x = round % 2 === 0 ? [a, b, c, d] : [a, d, c, b]
    if (round % 4 === 3) {
      const s = (round + 1) / 4
      x = x.map((v, i) => (v + k[(s + i) % 5]! + (i === 3 ? BigInt(s) : 0n)) & mask)
    }
  }
  return x.map(Number)
}

const block = (counter: readonly number[], key: readonly number[]): number[] => {
  const out = new Int32Array(4)
  threefry(Int32Array.from(key), counter[0]!, counter[1]!, counter[2]!, counter[3]!, out)
  return [...out].map((w) => w >>> 0)
}

test('the published answers: 20 rounds by the generator, 13, 20 and 72 by the plain algorithm', () => {
  for (const [rounds, counter, key, result] of answers) {
    assert.equal(plain(rounds, words(counter), words(key)), words(result), `${rounds} rounds`)
    if (rounds === 20) assert.equal(block(words(counter), words(key)), words(result))
  }
})

test('the generator is the plain algorithm for any key and counter', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff })
  const four = fc.tuple(word, word, word, word)
  fc.assert(fc.property(four, four, (c, k) => assert.equal(block(c, k), plain(20, c, k))))
})

test('blocks follow one another, past 2^32 too, and any of them is drawn alone', () => {
  const key = keyOf(3, 'blocks')
  const unsigned = [...key].map((w) => w >>> 0)
  for (const first of [0, 5, 2 ** 31 - 2, 2 ** 32 - 2, 2 ** 32 + 7, 2 ** 51 - 4]) {
    const run = new Int32Array(16)
    wordsFrom(key, first, run)
    for (let i = 0; i < 4; i++) {
      const at = first + i
      const expected = plain(20, [at % 2 ** 32, Math.floor(at / 2 ** 32), 0, 0], unsigned)
      assert.equal(
        [...run.subarray(4 * i, 4 * i + 4)].map((w) => w >>> 0),
        expected,
        `block ${at}`,
      )
      const alone = new Int32Array(4)
      wordsFrom(key, at, alone)
      assert.equal(alone, run.slice(4 * i, 4 * i + 4))
    }
  }
})

test.run()
