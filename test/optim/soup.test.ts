import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Entry, openCheckpoint, writeCheckpoint } from '../../src/formats/index.ts'
import {
  type Ingredient,
  SoupError,
  soup,
  soupFiles,
  soupShares,
  type Weight,
} from '../../src/optim/index.ts'
import { orThrow } from '../../src/train/task.ts'

// --- the core ---------------------------------------------------------------------------------------------

const core = suite('soup')

const floats = (shape: readonly number[], data: readonly number[]): Weight => ({
  shape,
  dtype: 'float32',
  data: Float32Array.from(data),
})

/** A source that counts the tensors that it has given. */
const source = (tensors: Readonly<Record<string, Weight>>): Ingredient & { readonly given: string[] } => {
  const given: string[] = []
  return {
    given,
    keys: Object.keys(tensors),
    read: (key) => {
      given.push(key)
      return TE.right(tensors[key]!)
    },
  }
}
const mixed = (sources: readonly Ingredient[], weights?: readonly number[]): Ingredient => {
  const got = soup(sources, weights)
  if (got._tag === 'Left') throw got.left
  return got.right
}
const read = async (s: Ingredient, key: string): Promise<number[]> => [...(await orThrow(s.read(key))).data]
const failure = (got: { _tag: string; left?: unknown }): SoupError => {
  assert.instance(got.left, SoupError)
  return got.left as SoupError
}

const number = fc.float({ min: -100, max: 100, noNaN: true })
const vectors = fc.integer({ min: 1, max: 5 }).chain((count) =>
  fc.record({
    values: fc.array(fc.array(number, { minLength: 3, maxLength: 3 }), {
      minLength: count,
      maxLength: count,
    }),
    weights: fc.array(fc.double({ min: 0.01, max: 10, noNaN: true }), { minLength: count, maxLength: count }),
  }),
)

core('the weighted mean, rounded once to float32', async () => {
  await fc.assert(
    fc.asyncProperty(vectors, async ({ values, weights }) => {
      const sources = values.map((v) => source({ w: floats([3], v) }))
      const sum = weights.reduce((a, b) => a + b, 0)
      const want = [0, 1, 2].map((k) => values.reduce((a, v, i) => a + (weights[i]! / sum) * v[k]!, 0))
      assert.equal(await read(mixed(sources, weights), 'w'), want.map(Math.fround))
      const mean = [0, 1, 2].map((k) => values.reduce((a, v) => a + (1 / values.length) * v[k]!, 0))
      assert.equal(await read(mixed(sources), 'w'), mean.map(Math.fround))
    }),
  )
})

core('sums in 64 bits: what float32 would lose stays', async () => {
  const tiny = [2 ** 24, 1, -(2 ** 24), 1].map((x) => source({ w: floats([1], [x]) }))
  assert.equal(await read(mixed(tiny), 'w'), [0.5])
})

core('negative weights go beyond; of one there is that one', async () => {
  const [a, b] = [source({ w: floats([1], [1]) }), source({ w: floats([1], [2]) })]
  assert.equal(await read(mixed([a, b], [-1, 2]), 'w'), [3])
  assert.equal(await read(mixed([b]), 'w'), [2])
})

core('nothing is read before it is asked for, each tensor once', async () => {
  const sources = [1, 2].map((x) => source({ u: floats([1], [x]), w: floats([1], [x]) }))
  const s = mixed(sources)
  assert.equal(
    sources.map((x) => x.given.length),
    [0, 0],
  )
  await read(s, 'w')
  assert.equal(
    sources.map((x) => x.given),
    [['w'], ['w']],
  )
  assert.equal(s.keys, ['u', 'w'])
})

core('integers must be equal', async () => {
  const ints = (x: number) => source({ n: { shape: [1], dtype: 'int32', data: Int32Array.of(x) } })
  assert.equal(await read(mixed([ints(4), ints(4)]), 'n'), [4])
  const got = await mixed([ints(4), ints(5)]).read('n')()
  assert.match(failure(got).message, /'n' is int32 and differs/)
})

core('other keys are an error that names the first of them', () => {
  const one = { a: floats([1], [1]), c: floats([1], [1]) }
  const table = [
    [{ ...one, b: one.a }, 'b', /checkpoint 1 has 'b' and checkpoint 0 has not/],
    [{ a: one.a }, 'c', /checkpoint 0 has 'c' and checkpoint 1 has not/],
    [{ b: one.a, c: one.c }, 'a', /checkpoint 0 has 'a'/],
    [{ ...one, z: one.a }, 'z', /checkpoint 1 has 'z'/],
  ] as const
  for (const [other, key, message] of table) {
    const e = failure(soup([source(one), source(other)]))
    assert.is(e.key, key)
    assert.is(e.tag, 'Different')
    assert.match(e.message, message)
  }
})

core('other shapes and dtypes too', async () => {
  const a = source({ w: floats([2, 3], Array(6).fill(0)) })
  for (const [b, message] of [
    [
      source({ w: floats([3, 2], Array(6).fill(0)) }),
      /'w' is float32 \[2, 3\] in checkpoint 0 and float32 \[3, 2\] in checkpoint 1/,
    ],
    [
      source({ w: { shape: [2, 3], dtype: 'int32', data: new Int32Array(6) } }),
      /int32 \[2, 3\] in checkpoint 1/,
    ],
  ] as const) {
    const e = failure(await mixed([a, b]).read('w')())
    assert.is(e.key, 'w')
    assert.match(e.message, message)
  }
})

core('weights that are none', () => {
  const table: readonly (readonly [number, readonly number[] | undefined, RegExp])[] = [
    [0, undefined, /nothing to average/],
    [2, [1], /2 checkpoints and 1 weights; give one for each/],
    [2, [1, Number.NaN], /weight 1 is NaN/],
    [1, [Infinity], /weight 0 is Infinity/],
    [2, [0, 0], /sum to 0/],
    [2, [1, -1], /sum to 0; give weights whose sum is not 0/],
    [3, [0.1, 0.2, -0.3], /sum to/],
  ]
  for (const [count, weights, message] of table) {
    const e = failure(soupShares(count, weights))
    assert.is(e.tag, 'BadWeights')
    assert.match(e.message, message)
  }
})

core.run()

// --- files ------------------------------------------------------------------------------------------------

const files = suite('soup: files')

const inFolder = async (body: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'soup-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const entries = (x: number): ReadonlyMap<string, Entry> =>
  new Map<string, Entry>([
    ['a.weight', { dtype: 'F32', shape: [2, 2], values: Float32Array.of(x, 2 * x, 3, 4) }],
    ['b.weight', { dtype: 'BF16', shape: [3], values: Float32Array.of(x, -x, 1) }],
    ['n', { dtype: 'I64', shape: [1], values: Int32Array.of(7) }],
  ])
const made = async (folder: string, x: number, maxShardBytes?: number): Promise<string> => {
  await orThrow(writeCheckpoint(folder, entries(x), maxShardBytes === undefined ? {} : { maxShardBytes }))
  writeFileSync(join(folder, 'config.json'), `{"from":${x}}`)
  writeFileSync(join(folder, 'tokenizer.json'), '{}')
  writeFileSync(join(folder, 'optimizer.pt'), 'no part of a model')
  return folder
}

for (const shards of [false, true])
  files(`a folder of ${shards ? 'shards' : 'one file'} is laid out as its first ingredient`, () =>
    inFolder(async (root) => {
      const limit = shards ? 10 : undefined
      const [one, two] = [await made(join(root, 'one'), 1, limit), await made(join(root, 'two'), 4)]
      const into = join(root, 'deep', 'soup')
      await orThrow(soupFiles([one, two], into, [2, 1]))
      assert.equal(
        readdirSync(into).sort(),
        readdirSync(one)
          .filter((f) => f !== 'optimizer.pt')
          .sort(),
      )
      assert.is(readFileSync(join(into, 'config.json'), 'utf8'), '{"from":1}')
      const [c, first] = [await orThrow(openCheckpoint(into)), await orThrow(openCheckpoint(one))]
      assert.equal(c.keys, first.keys)
      for (const key of c.keys)
        assert.equal([c.dtype(key), c.shape(key)], [first.dtype(key), first.shape(key)])
      assert.equal(c.metadata, first.metadata)
      assert.equal([...(await orThrow(c.floats('a.weight')))], [2, 4, 3, 4])
      assert.equal([...(await orThrow(c.floats('b.weight')))], [2, -2, 1])
      assert.equal([...(await orThrow(c.ints('n')))], [7])
      assert.equal(readdirSync(join(root, 'deep')), ['soup'])
    }),
  )

files('what differs is told before anything is written, and what is there stays', () =>
  inFolder(async (root) => {
    const one = await made(join(root, 'one'), 1)
    const other = join(root, 'other')
    mkdirSync(other)
    const into = join(root, 'soup')
    const left = async (what: TE.TaskEither<Error, void>, message: RegExp) => {
      const got = await what()
      assert.is(got._tag, 'Left')
      assert.match((got as { left: Error }).left.message, message)
    }
    await orThrow(
      writeCheckpoint(
        other,
        new Map([...entries(2), ['b.weight', { dtype: 'BF16', shape: [1, 3], values: new Float32Array(3) }]]),
      ),
    )
    await left(soupFiles([one, other], into), /'b.weight' is BF16 \[3\] in checkpoint 0 and BF16 \[1, 3\]/)
    await orThrow(writeCheckpoint(other, new Map([...entries(2)].slice(1))))
    await left(soupFiles([one, other], into), /checkpoint 0 has 'a.weight'/)
    await left(soupFiles([], into), /nothing to average/)
    await left(soupFiles([one], into, [0]), /sum to 0/)
    await left(soupFiles([one, join(root, 'none')], into), /none/)
    assert.not(existsSync(into))
    await left(soupFiles([one], other), /already there/)
    if (existsSync('/proc/self')) await left(soupFiles([one], '/proc/sailwright/soup'), /ENOENT/)
  }),
)

files('a failure in the middle leaves nothing behind', () =>
  inFolder(async (root) => {
    const one = await made(join(root, 'one'), 1)
    cpSync(one, join(root, 'two'), { recursive: true })
    const differs = new Map([
      ...entries(1),
      ['n', { dtype: 'I64', shape: [1], values: Int32Array.of(8) } as Entry],
    ])
    await orThrow(writeCheckpoint(join(root, 'two'), differs))
    const got = await soupFiles([one, join(root, 'two')], join(root, 'soup'))()
    assert.match(failure(got).message, /'n' is int32 and differs/)
    assert.equal(readdirSync(root).sort(), ['one', 'two'])
  }),
)

files.run()
