/** Files of any content: nothing throws; what cannot be read is an error that names the file and says why. */
import fc from 'fast-check'
import type { Either } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseJson } from '../../src/formats/json.ts'
import { decode } from '../../src/formats/safetensors.ts'
import { tokenizer } from '../../src/formats/tokenizer.ts'
import { fromPublished } from '../../src/models/config.ts'
import { fixtureJson } from '../support/fixtures.ts'

const test = suite('formats: files of any content')

/** Runs what reads a file; a Left must be an error that names it. */
const reads = (what: () => Either<Error, unknown>, file: string): boolean => {
  const got = what()
  if (got._tag === 'Right') return true
  assert.ok(got.left.message.startsWith(file), got.left.message)
  assert.ok(got.left.message.length > file.length + 10 && got.left.message.length < 2000, got.left.message)
  return false
}

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}
const odd: readonly unknown[] = [
  ...[
    null,
    undefined,
    true,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -0,
    -1,
    0.5,
    1e308,
    2 ** 53,
    1n,
    '',
    'x'.repeat(1e5),
  ],
  ...[
    [],
    {},
    nested(20_000),
    Object.create(null),
    JSON.parse('{"__proto__": {"a": 1}}'),
    new Map(),
    Symbol('s'),
  ],
  ...[{ toString: null }, { constructor: null, hasOwnProperty: 1 }, () => 1, new Date(Number.NaN), '\ud800'],
]
const anything = fc.oneof(
  fc.constantFrom(...odd),
  fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true, maxDepth: 3 }),
)

/** Every path of keys in a value, without those inside long lists and tables. */
const pathsOf = (value: unknown, at: readonly string[] = []): readonly (readonly string[])[] =>
  typeof value !== 'object' || value === null
    ? [at]
    : [
        at,
        ...Object.entries(value)
          .slice(0, 30)
          .flatMap(([k, v]) => pathsOf(v, [...at, k])),
      ]

const changed = (value: unknown, path: readonly string[], to: unknown): unknown => {
  const [key, ...rest] = path
  if (key === undefined) return to
  // a list that was read from JSON has no keys but its places
  if (Array.isArray(value) && !/^\d+$/.test(key)) return value
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>
  copy[key] = changed(copy[key], rest, to)
  return copy
}

/** A good file with one or two of its values changed into anything, or another key added. */
const spoiled = (good: unknown): fc.Arbitrary<unknown> => {
  const paths = pathsOf(good)
  const change = fc.tuple(
    fc.constantFrom(...paths),
    fc.option(fc.constantFrom('__proto__', 'constructor', 'toString', 'x', '0'), { freq: 3 }),
    anything,
  )
  return fc.array(change, { minLength: 1, maxLength: 2 }).map((changes) => {
    let value = good
    for (const [path, more, to] of changes)
      try {
        value = changed(value, more === null ? path : [...path, more], to)
      } catch {
        // the first change took away what the second was to change
      }
    return value
  })
}

const configs = ['qwen3-tied', 'sail-vit', 'sail-vl2'].map((name) =>
  fixtureJson(`models/${name}/config.json`),
)

test('config.json', () => {
  let refused = 0
  for (const good of configs)
    fc.assert(
      fc.property(fc.oneof(anything, spoiled(good)), (json) => {
        if (!reads(() => fromPublished(json, 'a/config.json'), 'a/config.json')) refused++
      }),
      { numRuns: 500 },
    )
  assert.ok(refused > 300, `${refused} refused`)
})

test('tokenizer.json and tokenizer_config.json', () => {
  let [taken, refused] = [0, 0]
  const unigram = {
    ...{
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['a', -1],
        ],
        byte_fallback: true,
      },
    },
    ...{
      added_tokens: [],
      normalizer: { type: 'NFC' },
      pre_tokenizer: null,
      decoder: null,
      post_processor: null,
    },
  }
  const goods = [
    fixtureJson('text/tokenizers/byte-bpe.json'),
    fixtureJson('text/tokenizers/word-level.json'),
    unigram,
  ]
  for (const good of goods)
    fc.assert(
      fc.property(fc.oneof(spoiled(good), anything), fc.oneof(fc.constant({}), anything), (json, config) => {
        const read = () => tokenizer(json, config, undefined, 'a/tokenizer.json')
        if (!reads(read, 'a/tokenizer.json')) refused++
        else taken++
      }),
      { numRuns: 150 },
    )
  assert.ok(refused > 50 && taken > 10, `${refused} refused, ${taken} taken`)
  // what the library says of a kind that it does not know quotes all of its name
  const long = { type: 'x'.repeat(1e5) }
  for (const part of ['normalizer', 'pre_tokenizer', 'decoder', 'post_processor'])
    assert.not(
      reads(
        () => tokenizer({ ...unigram, [part]: long }, {}, undefined, 'a/tokenizer.json'),
        'a/tokenizer.json',
      ),
    )
})

test('safetensors: any bytes, and any header', () => {
  const fileOf = (json: string): Uint8Array => {
    const header = Buffer.from(json)
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    return Buffer.concat([length, header, Buffer.alloc(16)])
  }
  const good = { a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] }, __metadata__: { format: 'pt' } }
  const written = spoiled(good).map((value) => {
    try {
      return JSON.stringify(value) ?? ''
    } catch {
      return '{"a":'
    }
  })
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const header = fc.oneof(
    fc.string(),
    fc.json(),
    written,
    fc.constantFrom(deep, '{"__proto__":{}}', '{'.repeat(1e5)),
  )
  fc.assert(
    fc.property(header, (json) => void reads(() => decode(fileOf(json), 'a.safetensors'), 'a.safetensors')),
    {
      numRuns: 1000,
    },
  )
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      (bytes) => void reads(() => decode(bytes, 'a.safetensors'), 'a.safe'),
    ),
    { numRuns: 1000 },
  )
})

test('JSON: what JSON.parse takes is taken alike, the rest is told', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.json(), fc.string(), fc.constantFrom('"\\u', '"NaN', '[NaN', '"Infinity" x')),
      (text) => {
        let expected: unknown
        let good = true
        try {
          expected = JSON.parse(text)
        } catch {
          good = false
        }
        const got = parseJson(text)
        assert.is(got._tag, good ? 'Right' : 'Left')
        if (got._tag === 'Right') assert.equal(got.right, expected)
        else assert.ok(got.left.length > 0 && got.left.length < 200)
      },
    ),
  )
  assert.match(
    (parseJson('{"a": "NaN",\n  "b": -Infinity}') as { left: string }).left,
    'line 2, column 8 has -Infinity',
  )
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n'
  assert.match((parseJson(pointer) as { left: string }).left, "not the file itself; 'git lfs pull' brings it")
})

test.run()
