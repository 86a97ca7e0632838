import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import type { Either } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bf16ToF32,
  bytesPerElement,
  bytesToFloats,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  floatsToBytes,
  isFloatDtype,
  type StorageDtype,
  storageDtypes,
} from '../../src/formats/dtype.ts'
import {
  decode,
  decodeHeader,
  type Entries,
  type Entry,
  encode,
  readSafetensors,
  SafetensorsError,
  type SafetensorsErrorTag,
  type StoredTensor,
  storedFloats,
  storedInts,
  streamSafetensors,
  writeSafetensors,
} from '../../src/formats/safetensors.ts'
import {
  indexName,
  openCheckpoint,
  planShards,
  singleName,
  writeCheckpoint,
} from '../../src/formats/safetensors-index.ts'
import { fixturePath, loadCase } from '../support/fixtures.ts'

const right = <A>(e: Either<SafetensorsError, A>): A => {
  if (e._tag === 'Left') throw e.left
  return e.right
}
const left = <A>(e: Either<SafetensorsError, A>): SafetensorsError => {
  if (e._tag === 'Right') throw new Error('an error was expected')
  assert.instance(e.left, SafetensorsError)
  return e.left
}
const run = async <A>(t: TaskEither<SafetensorsError, A>): Promise<A> => right(await t())
const fails = async <A>(t: TaskEither<SafetensorsError, A>): Promise<SafetensorsError> => left(await t())

const dtypes = Object.keys(storageDtypes) as StorageDtype[]

// --- dtypes -----------------------------------------------------------------------------------------------

const conversions = suite('storage dtypes')
const every = Uint16Array.from({ length: 65536 }, (_, i) => i)

/** The value of a binary pattern by its definition: (−1)ˢ · 2ᵉ⁻ᵇⁱᵃˢ · 1.f, or 2¹⁻ᵇⁱᵃˢ · 0.f. */
const patternValue = (pattern: number, exponentBits: number, fractionBits: number): number => {
  const sign = pattern >= 0x8000 ? -1 : 1
  const exponent = Math.floor(pattern / 2 ** fractionBits) % 2 ** exponentBits
  const fraction = (pattern % 2 ** fractionBits) / 2 ** fractionBits
  const bias = 2 ** (exponentBits - 1) - 1
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * 2 ** (1 - bias) * fraction : sign * 2 ** (exponent - bias) * (1 + fraction)
}

const formats = [
  { name: 'F16', widen: f16ToF32, narrow: f32ToF16, exponent: 5, fraction: 10 },
  { name: 'BF16', widen: bf16ToF32, narrow: f32ToBf16, exponent: 8, fraction: 7 },
] as const

for (const { name, widen, narrow, exponent, fraction } of formats) {
  conversions(`${name} to float32: all 65536 patterns by the definition of the format`, () => {
    const wide = widen(every)
    for (let i = 0; i < 65536; i++)
      if (!Object.is(wide[i], patternValue(i, exponent, fraction)))
        assert.unreachable(`pattern ${i}: ${wide[i]}`)
  })

  conversions(`${name} to float32 and back: all 65536 patterns unchanged, NaN payloads included`, () => {
    assert.equal(narrow(widen(every)), every)
  })

  // Rounding, by search among the exact values rather than by arithmetic on bits.
  const infinite = (2 ** exponent - 1) * 2 ** fraction
  const magnitudes = Float64Array.from({ length: infinite + 1 }, (_, i) =>
    patternValue(i, exponent, fraction),
  )
  magnitudes[infinite] = 2 ** (2 ** (exponent - 1)) // rounds there as if the exponents went on
  const nearestEven = (x: number): number => {
    const m = Math.min(Math.abs(x), magnitudes[infinite]!)
    let low = 0
    let high = infinite
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (magnitudes[middle]! <= m) low = middle
      else high = middle
    }
    const below = m - magnitudes[low]!
    const above = magnitudes[high]! - m
    const pick = below < above || (below === above && low % 2 === 0) ? low : high
    return pick + (x < 0 || Object.is(x, -0) ? 0x8000 : 0)
  }

  conversions(`float32 to ${name}: nearest, ties to even, at and around every tie`, () => {
    const near: number[] = []
    const bits = new Uint32Array(1)
    const float = new Float32Array(bits.buffer)
    for (let i = 0; i < infinite; i++) {
      float[0] = (magnitudes[i]! + magnitudes[i + 1]!) / 2
      const tie = bits[0]!
      for (const b of [tie - 1, tie, tie + 1]) {
        bits[0] = b
        near.push(float[0]!, -float[0]!)
      }
    }
    const narrowed = narrow(Float32Array.from(near))
    for (let i = 0; i < near.length; i++)
      if (narrowed[i] !== nearestEven(near[i]!)) assert.unreachable(`${near[i]} became ${narrowed[i]}`)
  })

  conversions(`float32 to ${name}: arbitrary values`, () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (x) => narrow(Float32Array.of(x))[0] === nearestEven(x)),
      { numRuns: 2000 },
    )
  })
}

conversions('float32 NaNs of every kind stay NaN', () => {
  const nans = new Float32Array(
    Uint32Array.of(0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000, 0x7f80ffff).buffer,
  )
  assert.ok(f16ToF32(f32ToF16(nans)).every(Number.isNaN))
  assert.ok(bf16ToF32(f32ToBf16(nans)).every(Number.isNaN))
})

conversions('bytes at odd offsets are read', () => {
  for (const dtype of ['F32', 'F16', 'BF16'] as const) {
    const bytes = floatsToBytes(dtype, Float32Array.of(1.5, -2, 0.25))
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    assert.equal([...bytesToFloats(dtype, shifted.subarray(1))], [1.5, -2, 0.25])
  }
})

conversions('integers: what fits is exact, what does not is named', () => {
  const store = (dtype: StorageDtype, values: Int32Array) =>
    encode(new Map([['x', { dtype, shape: [values.length], values }]]))
  const ints = (dtype: StorageDtype, values: Int32Array) =>
    right(storedInts(right(decode(right(store(dtype, values)))).get('x')!, 'x'))
  const extremes = Int32Array.of(-(2 ** 31), -100, -1, 0, 1, 2 ** 31 - 1)
  assert.equal(ints('I64', extremes), extremes)
  assert.equal(ints('I32', extremes), extremes)
  assert.equal(ints('U8', Int32Array.of(0, 255)), Int32Array.of(0, 255))
  assert.equal(ints('BOOL', Int32Array.of(0, 1)), Int32Array.of(0, 1))
  for (const [dtype, value] of [
    ['U8', 256],
    ['U8', -1],
    ['BOOL', 2],
  ] as const) {
    const e = left(store(dtype, Int32Array.of(0, value)))
    assert.is(e.tag, 'BadEntry')
    assert.match(e.message, `element 1 is ${value}`)
  }
  for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 32n, 2n ** 63n - 1n]) {
    const bytes = new Uint8Array(BigInt64Array.of(0n, value).buffer)
    const e = left(storedInts({ dtype: 'I64', shape: [2], bytes }, 'ids'))
    assert.is(e.tag, 'OutOfRange')
    assert.match(e.message, `element 1 is ${value}`)
  }
})

conversions('a tensor of the other kind is refused', () => {
  assert.is(left(storedFloats({ dtype: 'I32', shape: [0], bytes: new Uint8Array() }, 'k')).tag, 'WrongDtype')
  assert.is(left(storedInts({ dtype: 'BF16', shape: [0], bytes: new Uint8Array() }, 'k')).tag, 'WrongDtype')
})
conversions.run()

// --- the format -------------------------------------------------------------------------------------------

const format = suite('safetensors format')

const arbitraryTensor: fc.Arbitrary<StoredTensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const length = shape.reduce((n, s) => n * s, bytesPerElement(dtype))
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => ({ dtype, shape, bytes }))
  })
const arbitraryKey = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('__proto__', 'constructor', '', '1', 'a.b.weight', '"\\\n\u0000', 'ü𝄞'),
)
const arbitraryTensors = fc.uniqueArray(fc.tuple(arbitraryKey, arbitraryTensor), {
  selector: ([k]) => k,
  maxLength: 8,
})
const arbitraryMetadata = fc.dictionary(arbitraryKey, fc.string({ unit: 'grapheme' }), { maxKeys: 3 })

format(
  'values at any offset, in a Buffer as in a Uint8Array: a tensor need not begin at a multiple of its size',
  () => {
    const tensors = [
      ['u', 'U8', [7]],
      ['f', 'F32', [1.5, -2.25]],
      ['l', 'I64', [-3, 2 ** 31 - 1]],
      ['b', 'BF16', [1.5]],
      ['t', 'BOOL', [1]],
      ['h', 'F16', [1.5, -0.25]],
      ['i', 'I32', [-9]],
    ] as const
    const parts = tensors.map(([, dtype, numbers]) => {
      const values = isFloatDtype(dtype) ? Float32Array.from(numbers) : Int32Array.from(numbers)
      return right(decode(right(encode(new Map([['x', { dtype, shape: [numbers.length], values }]]))))).get(
        'x',
      )!.bytes
    })
    let at = 0
    const entries = tensors.map(([key, dtype, values], i) => {
      const begin = at
      at += parts[i]!.length
      return `"${key}":${entry(dtype, [values.length], [begin, at])}`
    })
    const whole = Buffer.concat([fileOf(`{${entries.join(',')}}`, 0), ...parts])
    for (let offset = 0; offset < 9; offset++) {
      const moved = Buffer.concat([Buffer.alloc(offset), whole]).subarray(offset)
      for (const bytes of [moved, new Uint8Array(moved), Uint8Array.from(moved)]) {
        const file = right(decode(bytes))
        for (const [key, dtype, values] of tensors) {
          const x = file.get(key)!
          assert.equal(
            [...(isFloatDtype(dtype) ? right(storedFloats(x, key)) : right(storedInts(x, key)))],
            [...values],
          )
        }
      }
    }
  },
)

format(
  'any tensors and metadata come back as they were, whatever the alignment of the file in memory',
  () => {
    fc.assert(
      fc.property(arbitraryTensors, arbitraryMetadata, fc.nat(7), (tensors, metadata, offset) => {
        const file = right(encode(new Map(tensors), metadata))
        const shifted = new Uint8Array(file.length + offset)
        shifted.set(file, offset)
        const back = right(decode(shifted.subarray(offset)))
        assert.is(back.size, tensors.length)
        for (const [key, { dtype, shape, bytes }] of tensors) {
          const x = back.get(key)!
          assert.is(x.dtype, dtype)
          assert.equal(x.shape, shape)
          assert.equal(Buffer.from(x.bytes), Buffer.from(bytes))
        }
        const header = right(decodeHeader(file))
        assert.equal(new Map(Object.entries(header.metadata)), new Map(Object.entries(metadata)))
      }),
      { numRuns: 300 },
    )
  },
)

format(
  'the order of the tensors does not matter, the data is aligned to the element size, the header to 8',
  () => {
    fc.assert(
      fc.property(arbitraryTensors, arbitraryMetadata, (tensors, metadata) => {
        const file = right(encode(new Map(tensors), metadata))
        const reversed = Object.fromEntries(Object.entries(metadata).reverse())
        assert.equal(Buffer.from(right(encode(new Map([...tensors].reverse()), reversed))), Buffer.from(file))
        const { tensors: infos, dataStart } = right(decodeHeader(file))
        assert.is(dataStart % 8, 0)
        for (const { dtype, begin } of infos.values()) assert.is(begin % bytesPerElement(dtype), 0)
      }),
      { numRuns: 200 },
    )
  },
)

format('the bytes are those that the format prescribes', () => {
  const file = right(
    encode(
      new Map<string, Entry>([
        ['b', { dtype: 'BF16', shape: [2], values: Float32Array.of(1, -2) }],
        ['a', { dtype: 'I64', shape: [1], values: Int32Array.of(-2) }],
      ]),
      { format: 'pt' },
    ),
  )
  const json =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}'
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8)
  assert.equal(
    Buffer.from(file),
    Buffer.concat([
      Buffer.from([padded.length, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from(padded),
      Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0x3f, 0x00, 0xc0]),
    ]),
  )
})

format('what another library wrote and Sailwright writes again is the same file', () => {
  for (const name of ['models/sail-vl2/model.safetensors', 'models/qwen3-tied/io.safetensors']) {
    const file = readFileSync(fixturePath(name))
    const { metadata } = right(decodeHeader(file))
    assert.ok(Buffer.from(right(encode(right(decode(file)), metadata))).equals(file), name)
  }
})

/** A file of this header text and this many bytes of data. */
const fileOf = (header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array => {
  const json = typeof header === 'string' ? Buffer.from(header) : header
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(length ?? BigInt(json.length))
  return Buffer.concat([prefix, json, Buffer.alloc(dataBytes, 0xee)])
}
const entry = (dtype: unknown, shape: unknown, offsets: unknown): string =>
  JSON.stringify({ dtype, shape, data_offsets: offsets })

const bad: [
  what: string,
  file: Uint8Array,
  tag: SafetensorsErrorTag,
  message: string | RegExp,
  key?: string,
][] = [
  ['an empty file', new Uint8Array(), 'Truncated', 'has 0 bytes'],
  ['seven bytes', new Uint8Array(7), 'Truncated', 'has 7 bytes'],
  ['a header longer than the file', fileOf('{}', 0, 3n), 'Truncated', 'only 10'],
  [
    'a pointer of Git LFS',
    Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n'),
    'BadHeader',
    "'git lfs pull' brings it",
  ],
  ['a header beyond the limit', fileOf('{}', 0, 100_000_001n), 'HeaderTooLarge', '100000001'],
  ['a header of 2⁶⁴ − 1 bytes', fileOf('{}', 0, 2n ** 64n - 1n), 'HeaderTooLarge', '18446744073709551615'],
  ['a header of no bytes', fileOf(''), 'BadHeader', "begin with '{'"],
  ['a list', fileOf('[]'), 'BadHeader', "begin with '{'"],
  ['null', fileOf('null'), 'BadHeader', "begin with '{'"],
  ['half a JSON text', fileOf('{"a":'), 'BadHeader', 'not JSON'],
  ['two JSON texts', fileOf('{}{}'), 'BadHeader', 'not JSON'],
  ['deep nesting', fileOf(`{"a":${'['.repeat(200_000)}`), 'BadHeader', 'not JSON'],
  [
    'deep nesting that closes',
    fileOf(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
    'BadHeader',
    'tensor "a"',
  ],
  ['bytes that are not UTF-8', fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'BadHeader', 'UTF-8'],
  ['half a surrogate pair', fileOf('{"\\ud800":{}}'), 'BadHeader', 'surrogate'],
  [
    'a key twice',
    fileOf(`{"a":${entry('U8', [1], [0, 1])},"\\u0061":${entry('U8', [1], [0, 1])}}`, 1),
    'DuplicateKey',
    'twice',
    'a',
  ],
  [
    'a field twice',
    fileOf('{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    'DuplicateKey',
    'twice',
    'dtype',
  ],
  [
    'metadata twice',
    fileOf('{"__metadata__":{},"__metadata__":{}}'),
    'DuplicateKey',
    'twice',
    '__metadata__',
  ],
  ['metadata that is a list', fileOf('{"__metadata__":["x"]}'), 'BadMetadata', '["x"]'],
  ['metadata with a number', fileOf('{"__metadata__":{"a":1}}'), 'BadMetadata', '{"a":1}'],
  ['an entry that is a number', fileOf('{"a":1}'), 'BadHeader', 'not an object but 1', 'a'],
  ['an entry that is null', fileOf('{"a":null}'), 'BadHeader', 'null', 'a'],
  ['an empty entry', fileOf('{"a":{}}'), 'UnknownDtype', 'undefined', 'a'],
  ['an unknown dtype', fileOf(`{"a":${entry('F8_E4M3', [1], [0, 1])}}`, 1), 'UnknownDtype', 'F8_E4M3', 'a'],
  [
    "a dtype of Object's own",
    fileOf(`{"a":${entry('toString', [1], [0, 1])}}`, 1),
    'UnknownDtype',
    'toString',
    'a',
  ],
  ['a negative size', fileOf(`{"a":${entry('U8', [2, -1], [0, 1])}}`, 1), 'BadShape', '[2,-1]', 'a'],
  ['a fractional size', fileOf(`{"a":${entry('U8', [0.5, 2], [0, 1])}}`, 1), 'BadShape', '[0.5,2]', 'a'],
  [
    'a size beyond 2⁵³',
    fileOf('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 1),
    'BadShape',
    '',
    'a',
  ],
  [
    'sizes whose product overflows',
    fileOf(`{"a":${entry('U8', [2 ** 40, 2 ** 40], [0, 1])}}`, 1),
    'BadShape',
    'counted',
    'a',
  ],
  [
    'sizes whose product overflows to 0 in 64 bits',
    fileOf(`{"a":${entry('U8', [2 ** 32, 2 ** 32], [0, 0])}}`),
    'BadShape',
    'counted',
    'a',
  ],
  [
    'no elements, of sizes that overflow before the 0',
    fileOf(`{"a":${entry('U8', [2 ** 40, 2 ** 40, 0], [0, 0])}}`),
    'BadShape',
    'counted',
    'a',
  ],
  [
    'elements whose bytes overflow',
    fileOf(`{"a":${entry('I64', [2 ** 52], [0, 8])}}`, 8),
    'BadShape',
    'counted',
    'a',
  ],
  [
    'an infinite size',
    fileOf('{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}}', 1),
    'BadShape',
    '',
    'a',
  ],
  ['a shape that is a text', fileOf(`{"a":${entry('U8', '1', [0, 1])}}`, 1), 'BadShape', '"1"', 'a'],
  ['no offsets', fileOf('{"a":{"dtype":"U8","shape":[1]}}', 1), 'BadOffsets', 'undefined', 'a'],
  ['three offsets', fileOf(`{"a":${entry('U8', [1], [0, 1, 2])}}`, 1), 'BadOffsets', '[0,1,2]', 'a'],
  [
    'offsets out of order',
    fileOf(`{"a":${entry('U8', [1], [1, 0])}}`, 1),
    'BadOffsets',
    'before they begin',
    'a',
  ],
  ['a negative offset', fileOf(`{"a":${entry('U8', [1], [-1, 0])}}`, 1), 'BadOffsets', '[-1,0]', 'a'],
  [
    'bytes that do not match the shape',
    fileOf(`{"a":${entry('F32', [2], [0, 4])}}`, 4),
    'BadOffsets',
    'takes 8 bytes',
    'a',
  ],
  [
    'overlapping tensors',
    fileOf(`{"a":${entry('U8', [3], [0, 3])},"b":${entry('U8', [2], [2, 4])}}`, 4),
    'BadOffsets',
    'inside',
    'b',
  ],
  [
    'the same bytes twice',
    fileOf(`{"a":${entry('U8', [3], [0, 3])},"b":${entry('U8', [3], [0, 3])}}`, 3),
    'BadOffsets',
    'inside',
    'b',
  ],
  [
    'a hole between tensors',
    fileOf(`{"a":${entry('U8', [1], [0, 1])},"b":${entry('U8', [1], [2, 3])}}`, 3),
    'BadOffsets',
    'hole',
    'b',
  ],
  [
    'more bytes than its shape takes',
    fileOf(`{"a":${entry('F32', [2], [0, 12])}}`, 12),
    'BadOffsets',
    '8 bytes, but it was given 12',
    'a',
  ],
  ['a hole at the start', fileOf(`{"a":${entry('U8', [1], [1, 2])}}`, 2), 'BadOffsets', 'hole', 'a'],
  ['data beyond the file', fileOf(`{"a":${entry('U8', [9], [0, 9])}}`, 8), 'Truncated', 'holds only 8', 'a'],
  [
    'data far beyond the file',
    fileOf(`{"a":${entry('U8', [2 ** 50], [0, 2 ** 50])}}`, 8),
    'Truncated',
    'holds only 8',
    'a',
  ],
  [
    'bytes after the last tensor',
    fileOf(`{"a":${entry('U8', [1], [0, 1])}}`, 4),
    'TrailingBytes',
    '3 bytes follow',
  ],
  ['bytes and no tensor', fileOf('{}', 1), 'TrailingBytes', '1 bytes follow'],
]
for (const [what, file, tag, message, key] of bad)
  format(`refuses ${what}: ${tag}`, () => {
    const e = left(decode(file, 'x.safetensors'))
    assert.is(e.tag, tag, e.message)
    assert.is(e.file, 'x.safetensors')
    assert.match(e.message, message)
    assert.match(e.message, /^x\.safetensors.*: .*; ./)
    if (key !== undefined) assert.is(e.key, key)
    assert.ok(e.message.length < 500, `${e.message.length} characters`)
  })

format('reads what is unusual and right', () => {
  const spaced = ` {"b" : ${entry('F32', [], [3, 7])} , "a":${entry('U8', [3], [0, 3])}}  \n`.trimStart()
  const two = right(decode(fileOf(spaced, 7)))
  assert.equal([...two.keys()], ['a', 'b'])
  assert.equal(two.get('b')!.shape, [])
  const empty = right(
    decode(fileOf(`{"e":${entry('F32', [0, 3], [1, 1])},"a":${entry('U8', [1], [0, 1])}}`, 1)),
  )
  assert.is(empty.get('e')!.bytes.length, 0)
  assert.is(right(decode(fileOf('{}'))).size, 0)
  const escaped = right(
    decode(fileOf(`{"a\\"}{,":${entry('U8', [1], [0, 1])},"a\\\\":${entry('U8', [1], [1, 2])}}`, 2)),
  )
  assert.equal([...escaped.keys()], ['a"}{,', 'a\\'])
})

/** Whatever was accepted covers the data exactly, each tensor with the bytes of its shape, within the file. */
const soundOrTagged = (file: Uint8Array): boolean => {
  const wide = new Uint8Array(file.length + 64)
  wide.set(file, 32)
  const window = wide.subarray(32, 32 + file.length)
  const result = decode(window)
  if (result._tag === 'Left') return left(result).tag.length > 0
  let covered = 0
  for (const { dtype, shape, bytes } of result.right.values()) {
    assert.is(bytes.length, shape.reduce((n, s) => n * s, 1) * bytesPerElement(dtype))
    assert.ok(bytes.byteOffset >= 32 && bytes.byteOffset + bytes.length <= 32 + file.length)
    covered += bytes.length
  }
  assert.is(covered, file.length - right(decodeHeader(window)).dataStart)
  return true
}

format('mutated files are read or refused, and nothing else', () => {
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:0123456789-e.\\'))),
    kind: fc.constantFrom('set', 'insert', 'delete', 'cut', 'length') as fc.Arbitrary<
      'set' | 'insert' | 'delete' | 'cut' | 'length'
    >,
  })
  let accepted = 0
  fc.assert(
    fc.property(
      arbitraryTensors,
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      (tensors, mutations) => {
        let file = Buffer.from(right(encode(new Map(tensors))))
        for (const { at, byte, kind } of mutations) {
          const i = Math.floor(at * file.length)
          if (kind === 'set' && file.length > 0) file[Math.min(i, file.length - 1)] = byte
          else if (kind === 'insert')
            file = Buffer.concat([file.subarray(0, i), Buffer.of(byte), file.subarray(i)])
          else if (kind === 'delete') file = Buffer.concat([file.subarray(0, i), file.subarray(i + 1)])
          else if (kind === 'cut') file = file.subarray(0, i)
          else if (kind === 'length' && file.length > 8) file[Math.floor(at * 8)] = byte
        }
        if (decode(file)._tag === 'Right') accepted++
        return soundOrTagged(file)
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(accepted > 0, 'every mutation was refused: the property says nothing of what is accepted')
})

format('headers with arbitrary entries are read or refused, and nothing else', () => {
  const odd = fc.constantFrom<unknown>(null, -1, -0, 0.5, 2 ** 53, 1e300, '1', true, [], {}, [[0]], { a: 1 })
  const size = fc.oneof({ weight: 8, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: odd })
  const near = fc.record(
    {
      dtype: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom<unknown>(...dtypes) },
        { weight: 1, arbitrary: odd },
      ),
      shape: fc.oneof(
        { weight: 8, arbitrary: fc.array(size, { maxLength: 3 }) },
        { weight: 1, arbitrary: odd },
      ),
      data_offsets: fc.oneof(
        { weight: 8, arbitrary: fc.tuple(fc.nat(24), fc.nat(24)) },
        { weight: 1, arbitrary: fc.array(size) },
        { weight: 1, arbitrary: odd },
      ),
    },
    { requiredKeys: ['dtype', 'shape'] },
  )
  const header = fc.oneof(
    fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(near, odd)),
    fc.json().map((j) => JSON.parse(j)),
  )
  fc.assert(
    fc.property(header, fc.nat(40), (json, data) => soundOrTagged(fileOf(JSON.stringify(json), data))),
    { numRuns: 3000 },
  )
})

format('refuses to write what could not be read', () => {
  const one = (key: string, e: Entry): Entries => new Map([[key, e]])
  const values = Float32Array.of(1, 2)
  const cases: [Entries, SafetensorsErrorTag, Record<string, string>?][] = [
    [one('a', { dtype: 'F32', shape: [3], values }), 'BadEntry'],
    [one('a', { dtype: 'I32', shape: [2], values }), 'BadEntry'],
    [one('a', { dtype: 'F16', shape: [2], values: Int32Array.of(1, 2) }), 'BadEntry'],
    [one('a', { dtype: 'F32', shape: [-2], values }), 'BadShape'],
    [one('a', { dtype: 'F64' as StorageDtype, shape: [2], values }), 'UnknownDtype'],
    [one('__metadata__', { dtype: 'F32', shape: [2], values }), 'BadEntry'],
    [one('\ud800', { dtype: 'F32', shape: [2], values }), 'BadEntry'],
    [new Map(), 'BadMetadata', { a: '\ud800' }],
    [new Map(), 'BadMetadata', { a: 1 as unknown as string }],
  ]
  for (const [entries, tag, metadata] of cases) assert.is(left(encode(entries, metadata)).tag, tag)
})
format.run()

// --- files ------------------------------------------------------------------------------------------------

const files = suite<{ folder: string }>('safetensors files')
files.before.each((x) => {
  x.folder = mkdtempSync(join(tmpdir(), 'safetensors-'))
})
files.after.each((x) => rmSync(x.folder, { recursive: true }))

const two = (a: number): Entries =>
  new Map<string, Entry>([
    ['w', { dtype: 'BF16', shape: [2, 2], values: Float32Array.of(a, 2, 3, 4) }],
    ['ids', { dtype: 'I64', shape: [2], values: Int32Array.of(7, -100) }],
  ])

files('write, then read each tensor by key', async ({ folder }) => {
  const path = join(folder, 'new', 'folder', 'm.safetensors')
  await run(writeSafetensors(path, two(1), { seed: '1' }))
  assert.equal(readdirSync(join(folder, 'new', 'folder')), ['m.safetensors'])
  const file = await run(readSafetensors(path))
  assert.equal(file.keys, ['ids', 'w'])
  assert.equal(file.metadata, { seed: '1' })
  assert.equal(file.info('w')?.shape, [2, 2])
  assert.equal(await run(file.floats('w')), Float32Array.of(1, 2, 3, 4))
  assert.equal(await run(file.ints('ids')), Int32Array.of(7, -100))
  assert.is((await run(file.tensor('w'))).bytes.length, 8)
  assert.is((await fails(file.ints('w'))).tag, 'WrongDtype')
  const unknown = await fails(file.floats('model.w'))
  assert.is(unknown.tag, 'UnknownKey')
  assert.is(unknown.key, 'model.w')
})

files('the file is what encode gives', async ({ folder }) => {
  const path = join(folder, 'm.safetensors')
  await run(writeSafetensors(path, two(1), { b: '2', a: '1' }))
  assert.ok(readFileSync(path).equals(Buffer.from(right(encode(two(1), { a: '1', b: '2' })))))
})

files('one tensor of a file of 6 GB is read without the rest', async ({ folder }) => {
  const path = join(folder, 'big.safetensors')
  const big = 6 * 2 ** 30
  writeFileSync(
    path,
    fileOf(`{"big":${entry('U8', [big], [0, big])},"w":${entry('F32', [2], [big, big + 8])}}`),
  )
  truncateSync(path, readFileSync(path).length + big + 8) // sparse: takes no room on the disk
  const before = process.memoryUsage().arrayBuffers
  const file = await run(readSafetensors(path))
  assert.equal(await run(file.floats('w')), Float32Array.of(0, 0))
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24)
})

files('a missing file, a folder and a damaged file are told apart', async ({ folder }) => {
  assert.is((await fails(readSafetensors(join(folder, 'none')))).tag, 'NotFound')
  assert.is((await fails(readSafetensors(folder))).tag, 'Io')
  for (const [what, bytes, tag] of bad) {
    const path = join(folder, 'bad.safetensors')
    writeFileSync(path, bytes)
    const e = await fails(readSafetensors(path))
    assert.is(e.tag, tag, what)
    assert.is(e.file, path)
  }
})

files('a file replaced after its header was read is not read with the old header', async ({ folder }) => {
  const path = join(folder, 'm.safetensors')
  await run(writeSafetensors(path, two(1)))
  const file = await run(readSafetensors(path))
  await run(writeSafetensors(path, two(9)))
  assert.is((await fails(file.floats('w'))).tag, 'Changed')
  const again = await run(readSafetensors(path))
  assert.is((await run(again.floats('w')))[0], 9)
  utimesSync(path, 1, 1)
  assert.is((await fails(again.floats('w'))).tag, 'Changed')
  rmSync(path)
  assert.is((await fails(again.floats('w'))).tag, 'NotFound')
})

files('a write that fails leaves the old file whole and nothing beside it', async ({ folder }) => {
  const path = join(folder, 'm.safetensors')
  await run(writeSafetensors(path, two(1)))
  const wrong: Entries = new Map<string, Entry>([
    ...two(9),
    ['z', { dtype: 'U8', shape: [3], bytes: new Uint8Array(2) }],
  ])
  const e = await fails(writeSafetensors(path, wrong))
  assert.is(e.tag, 'BadEntry')
  assert.is(e.key, 'z')
  assert.equal(readdirSync(folder), ['m.safetensors'])
  assert.is((await run((await run(readSafetensors(path))).floats('w')))[0], 1)
  assert.is((await fails(writeSafetensors(join(path, 'below-a-file'), two(1)))).tag, 'Io')
})
files(
  'a file of tensors read one by one is the same file, and none where one cannot be read',
  async ({ folder }) => {
    const [whole, streamed] = [join(folder, 'whole'), join(folder, 'streamed')]
    const all = two(1)
    const heads = new Map([...all].map(([key, { dtype, shape }]) => [key, { dtype, shape }] as const))
    const read: string[] = []
    const each = (key: string): TE.TaskEither<SafetensorsError, Entry> => {
      read.push(key)
      return TE.right(all.get(key)!)
    }
    await run(writeSafetensors(whole, all, { a: '1' }))
    await run(streamSafetensors(streamed, heads, each, { a: '1' }))
    assert.equal(readFileSync(streamed), readFileSync(whole))
    assert.equal(read.sort(), [...all.keys()].sort())

    const [first, second] = [...all.keys()] as [string, string]
    const gone = new Error('the session is closed')
    const broken = (key: string) => (key === second ? TE.left(gone) : TE.right(all.get(key)!))
    const into = join(folder, 'none')
    const e = await streamSafetensors(into, heads, broken)()
    assert.is(e._tag === 'Left' && e.left, gone, 'the error is the reader’s own')
    const other = await fails(streamSafetensors(into, heads, () => TE.right(all.get(first)!)))
    assert.is(other.tag, 'BadEntry')
    assert.match(other.message, /it was said to be .*, and what was read is /)
    assert.equal(readdirSync(folder).sort(), ['streamed', 'whole'])
  },
)

files.run()

// --- checkpoints of one file or many ----------------------------------------------------------------------

const checkpoints = suite<{ folder: string }>('checkpoints')
checkpoints.before.each((x) => {
  x.folder = mkdtempSync(join(tmpdir(), 'checkpoint-'))
})
checkpoints.after.each((x) => rmSync(x.folder, { recursive: true }))

const model = loadCase('qwen3-tied')
const modelEntries: Entries = new Map(
  [...model.weights].map(([key, { shape, data }]): [string, Entry] => [
    key,
    { dtype: 'F32', shape, values: data },
  ]),
)

checkpoints('one file and many shards give the same checkpoint', async ({ folder }) => {
  const sizes = [...model.weights.values()].map(({ data }) => 4 * data.length)
  for (const [maxShardBytes, least] of [
    [1e9, 1],
    [20_000, 4],
    [1, model.weights.size],
  ] as const) {
    const path = await run(writeCheckpoint(folder, modelEntries, { maxShardBytes }))
    assert.is(path, join(folder, least === 1 ? singleName : indexName))
    const shards = readdirSync(folder).filter((f) =>
      f.endsWith(`-of-${String(least).padStart(5, '0')}.safetensors`),
    )
    if (least === model.weights.size) assert.is(shards.length, least)
    for (const from of [folder, path]) {
      const checkpoint = await run(openCheckpoint(from))
      assert.is(checkpoint.path, path)
      assert.equal(checkpoint.keys, [...model.weights.keys()].sort())
      for (const [key, { shape, data }] of model.weights) {
        assert.equal(checkpoint.shape(key), shape)
        assert.is(checkpoint.dtype(key), 'F32')
        assert.equal(await run(checkpoint.floats(key)), data)
      }
      if (path.endsWith('.json'))
        assert.is(checkpoint.metadata.total_size, String(sizes.reduce((a, b) => a + b, 0)))
      else assert.is(checkpoint.metadata.format, 'pt')
      assert.is((await fails(checkpoint.floats('lm_head.weight'))).tag, 'UnknownKey')
      assert.is(checkpoint.shape('lm_head.weight'), undefined)
    }
  }
})

checkpoints(
  'the other form is taken away, so that a folder never holds two checkpoints',
  async ({ folder }) => {
    await run(writeCheckpoint(folder, two(1)))
    await run(writeCheckpoint(folder, two(2), { maxShardBytes: 1 }))
    assert.equal(readdirSync(folder).sort(), [
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      indexName,
    ])
    assert.is((await run((await run(openCheckpoint(folder))).floats('w')))[0], 2)
    assert.equal(await run((await run(openCheckpoint(folder))).ints('ids')), Int32Array.of(7, -100))
    await run(writeCheckpoint(folder, two(3)))
    assert.not(readdirSync(folder).includes(indexName))
    assert.is((await run((await run(openCheckpoint(folder))).floats('w')))[0], 3)
  },
)

checkpoints('shards hold every key once, in order, and no more than they may', () => {
  fc.assert(
    fc.property(
      // small, so that many a shard is full to the brim
      fc.dictionary(fc.string({ maxLength: 4 }), fc.nat(5)),
      fc.integer({ min: 1, max: 10 }),
      (sizes, most) => {
        const bytes = new Map(Object.entries(sizes))
        const shards = planShards(bytes, most)
        assert.equal(shards.flat(), [...bytes.keys()].sort())
        const totals = shards.map((keys) => keys.reduce((n, k) => n + bytes.get(k)!, 0))
        totals.forEach((total, i) => {
          assert.ok(total <= most || shards[i]!.length === 1)
          const next = shards[i + 1]?.[0]
          if (next !== undefined) assert.ok(total + bytes.get(next)! > most, 'a shard was closed too early')
        })
      },
    ),
  )
})

checkpoints('what a folder, an index or a shard lacks is named', async ({ folder }) => {
  const index = join(folder, indexName)
  assert.is((await fails(openCheckpoint(join(folder, 'none')))).tag, 'NotFound')
  assert.match((await fails(openCheckpoint(folder))).message, `neither ${singleName} nor ${indexName}`)
  writeFileSync(join(folder, 'adapter.safetensors'), fileOf('{}'))
  assert.match((await fails(openCheckpoint(folder))).message, 'adapter.safetensors')

  const cases: [string, RegExp | string, SafetensorsErrorTag][] = [
    ['{', 'not JSON', 'BadIndex'],
    ['null', 'weight_map', 'BadIndex'],
    ['[]', 'weight_map', 'BadIndex'],
    ['{"weight_map":{"a":1}}', '{"a":1}', 'BadIndex'],
    ['{"weight_map":{}}', 'no tensor', 'BadIndex'],
    ['{"weight_map":{"a":"../adapter.safetensors"}}', '../adapter.safetensors', 'BadIndex'],
    [
      '{"weight_map":{"a":"adapter.safetensors","b":"x.safetensors"}}',
      '1 of 2 shards are missing: x.safetensors',
      'MissingShard',
    ],
    ['{"weight_map":{"a":"adapter.safetensors"}}', 'adapter.safetensors holds it', 'BadIndex'],
  ]
  for (const [text, message, tag] of cases) {
    writeFileSync(index, text)
    const e = await fails(openCheckpoint(folder))
    assert.is(e.tag, tag, text)
    assert.match(e.message, message)
    assert.is(e.file, index)
  }
  const tensor = fileOf(`{"a":${entry('U8', [1], [0, 1])}}`, 1)
  writeFileSync(join(folder, 'adapter.safetensors'), tensor)
  writeFileSync(index, '\ufeff{"weight_map":{"a":"adapter.safetensors"}}')
  assert.equal((await run(openCheckpoint(folder))).keys, ['a'], 'a byte-order mark is passed over')
  writeFileSync(join(folder, 'adapter.safetensors'), fileOf('{"a":'))
  assert.is((await fails(openCheckpoint(folder))).tag, 'BadHeader')
  assert.is((await fails(writeCheckpoint(folder, two(1), { maxShardBytes: 0 }))).tag, 'BadEntry')
})
checkpoints.run()
