/** What the partitioner is told: which arguments and results are dealt out, and along what. */
import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  add,
  axis,
  contract,
  fixed,
  input,
  program,
  state,
  total,
} from '../../../src/dsl/index.ts'
import { lower } from '../../../src/engine/xla/lower.ts'
import {
  annotation,
  holders,
  innerAnnotation,
  joined,
  partOf,
  partShape,
  type Sharding,
  type ShardingOptions,
  shardingOf,
  stateCut,
} from '../../../src/engine/xla/sharding.ts'

const test = suite('xla: sharding')
const [Batch, Odd, Width] = [axis('batch', 8), axis('batch', 3), axis('width', 4)]

const summing = program({
  name: 'summing',
  functions: {
    f: fixed(() => {
      const kept = state('kept', [Width], { kind: 'zeros' })
      const weight = state('weight', [Width], { kind: 'ones' })
      const x = input('x', [Batch, Width])
      const odd = input('odd', [Odd])
      return {
        outputs: { y: add(total(x), add(total(odd), total(input('z', [Width, Batch])))) },
        next: new Map([
          ['kept', add(kept, weight)],
          ['weight', add(weight, kept)],
        ]),
      }
    }),
  },
})

const of = (options: ShardingOptions): Sharding => {
  const made = shardingOf(options)
  if (isLeft(made)) throw new Error(made.left.message)
  return made.right
}

const signature = (options: ShardingOptions): string => {
  const sharding = of(options)
  const [variant] = summing.functions.get('f')!
  const { text } = lower('f', variant!, { shared: { sharding, states: summing.states } })
  return text.split('\n').find((line) => line.includes('@main'))!
}
const dealt = 'mhlo.sharding = "{devices=[2]<=[2]}"'
const whole = 'mhlo.sharding = "{replicated}"'

test('inputs are dealt out along an axis called batch that divides; the rest is whole', () => {
  const line = signature({ devices: 2 })
  assert.match(line, 'tensor<8x4xf32> {mhlo.sharding = "{devices=[2,1]<=[2]}"}')
  assert.match(line, `tensor<3xf32> {${whole}}`)
  assert.match(line, 'tensor<4x8xf32> {mhlo.sharding = "{devices=[1,2]<=[2]}"}')
  assert.not.ok(line.includes(dealt))
  assert.match(line, `-> (tensor<f32> {${whole}}, tensor<4xf32> {${whole}}, tensor<4xf32> {${whole}})`)
})

test("what begins as zeros is the optimizer's and dealt out where that is asked for, going in and coming out", () => {
  const line = signature({ devices: 2, optimizer: 'parted' })
  assert.match(line, `tensor<4xf32> {tf.aliasing_output = 1 : i32, ${dealt}}`)
  assert.match(line, `tensor<4xf32> {tf.aliasing_output = 2 : i32, ${whole}}`)
  assert.match(line, `-> (tensor<f32> {${whole}}, tensor<4xf32> {${dealt}}, tensor<4xf32> {${whole}})`)
})

test('one device is told nothing', () => {
  assert.not.ok(signature({ devices: 1, optimizer: 'parted' }).includes('sharding'))
})

test('directions of a grid: the first axis that names one takes it, and what it leaves is repeated', () => {
  const sharding = of({
    devices: { data: 2, model: 4 },
    shard: { hidden: 'model', embed: 'model' },
    optimizer: 'parted',
  })
  const told = (init: 'zeros' | 'ones', ...axes: readonly Axis[]): string | undefined =>
    annotation(sharding, stateCut(sharding, { axes, init: { kind: init } }))
  const [hidden, embed, odd] = [axis('hidden', 8), axis('embed', 12), axis('hidden', 6)]
  const says = (text: string): string => `mhlo.sharding = "{devices=${text}}"`
  assert.is(told('ones', hidden, embed), says('[4,1,2]<=[2,4]T(1,0) last_tile_dim_replicate'))
  assert.is(told('ones', odd, embed), says('[1,4,2]<=[2,4]T(1,0) last_tile_dim_replicate'))
  assert.is(told('ones', axis('width', 4)), 'mhlo.sharding = "{replicated}"')
  // an optimizer's states are dealt out along what is left
  assert.is(told('zeros', hidden, embed), says('[4,2]<=[2,4]T(1,0)'))
  assert.is(told('zeros', axis('batch', 4), hidden), says('[2,4]<=[8]'))
})

test('products and stacks with an axis that is named are told as well, and are free in their other axes', () => {
  const made = program({
    name: 'inside',
    functions: {
      f: fixed(() => ({
        outputs: {
          y: contract(
            input('x', [Batch, Width]),
            state('w', [axis('hidden', 8), Width], { kind: 'ones' }),
            'width',
          ),
        },
      })),
    },
  })
  const [variant] = made.functions.get('f')!
  const text = (options: ShardingOptions): string =>
    lower('f', variant!, { shared: { sharding: of(options), states: made.states } }).text
  const grid = text({ devices: { data: 2, model: 4 }, shard: { hidden: 'model' } })
  assert.match(grid, '@Sharding')
  assert.match(grid, '{backend_config = "", mhlo.sharding = "{devices=[2,4]<=[8]}"} : (tensor<8x8xf32>)')
  assert.not.ok(text({ devices: 8 }).includes('@Sharding'))
})

test('a value inside is told of axes that were named alone, where they divide; the others are left open', () => {
  const s = of({ devices: { data: 2, model: 2 }, shard: { width: 'model' } })
  assert.match(innerAnnotation(s, [axis('other', 6), Width])!, /unspecified_dims=\[0\]"/)
  assert.match(innerAnnotation(s, [axis('other', 6), Width, axis('last', 2)])!, /unspecified_dims=\[0,2\]"/)
  // what is not named, and what does not divide, is the partitioner's
  for (const axes of [[Batch], [axis('other', 6)], [Batch, axis('width', 3)]] as const)
    assert.is(innerAnnotation(s, axes), undefined)
})

test('parts of values put together again are the values, whatever the grid and the axes', () => {
  const names = ['batch', 'hidden', 'embed', 'other'] as const
  fc.assert(
    fc.property(
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 })),
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 0, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 4, maxLength: 4 }),
      fc.constantFrom('whole' as const, 'parted' as const),
      ([data, model], chosen, lengths, optimizer) => {
        const sharding = of({
          devices: { data, model },
          shard: { hidden: 'model', embed: 'model' },
          optimizer,
        })
        const axes = chosen.map((name, i) => axis(name, lengths[i]!))
        const shape = axes.map((a) => a.size)
        const cut = stateCut(sharding, { axes, init: { kind: 'zeros' } })
        const values = Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => i)
        const own = partShape(sharding, cut, shape).reduce((n, d) => n * d, 1)
        const parts = holders(sharding, cut).map((d) => partOf(sharding, cut, values, shape, d))
        assert.ok(parts.every((p) => p.length === own))
        assert.is(parts.length * own, values.length)
        assert.equal(joined(sharding, cut, parts as Float32Array<ArrayBuffer>[], shape), values)
      },
    ),
  )
})

test('a grid that is none, a direction that is none, and devices with nothing to do are refused', () => {
  const refused = (options: ShardingOptions): string => {
    const made = shardingOf(options)
    if (!isLeft(made)) throw new Error('it was taken')
    assert.is(made.left._tag, 'BadOption')
    return made.left.message
  }
  assert.match(refused({ devices: 0 }), 'devices must be a whole number from 1, and is 0')
  assert.match(refused({ devices: { data: 1.5 } }), 'devices.data must be a whole number from 1, and is 1.5')
  assert.match(refused({ devices: {} }), 'devices has no direction')
  assert.match(
    refused({ devices: 2, shard: { hidden: 'model' } }),
    "shard.hidden is 'model', and the devices stand along data",
  )
  assert.match(refused({ devices: { data: 2, model: 2 } }), 'nothing is dealt out along devices.model')
})

test.run()
