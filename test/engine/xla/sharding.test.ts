/** What the partitioner is told: which arguments and results are dealt out, and along what. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, axis, fixed, input, program, state, total } from '../../../src/dsl/index.ts'
import { lower } from '../../../src/engine/xla/lower.ts'
import type { Sharding } from '../../../src/engine/xla/sharding.ts'

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

const signature = (sharding: Sharding): string => {
  const [variant] = summing.functions.get('f')!
  const { text } = lower('f', variant!, { shared: { sharding, states: summing.states } })
  return text.split('\n').find((line) => line.includes('@main'))!
}
const dealt = 'mhlo.sharding = "{devices=[2]<=[2]}"'
const whole = 'mhlo.sharding = "{replicated}"'

test('inputs are dealt out along a first axis called batch that divides; the rest is whole', () => {
  const line = signature({ devices: 2, axis: 'batch', optimizer: 'whole' })
  assert.match(line, 'tensor<8x4xf32> {mhlo.sharding = "{devices=[2,1]<=[2]}"}')
  assert.match(line, `tensor<3xf32> {${whole}}`)
  assert.match(line, `tensor<4x8xf32> {${whole}}`)
  assert.not.ok(line.includes(dealt))
  assert.match(line, `-> (tensor<f32> {${whole}}, tensor<4xf32> {${whole}}, tensor<4xf32> {${whole}})`)
})

test("what begins as zeros is the optimizer's and dealt out where that is asked for, going in and coming out", () => {
  const line = signature({ devices: 2, axis: 'batch', optimizer: 'parted' })
  assert.match(line, `tensor<4xf32> {tf.aliasing_output = 1 : i32, ${dealt}}`)
  assert.match(line, `tensor<4xf32> {tf.aliasing_output = 2 : i32, ${whole}}`)
  assert.match(line, `-> (tensor<f32> {${whole}}, tensor<4xf32> {${dealt}}, tensor<4xf32> {${whole}})`)
})

test('one device is told nothing', () => {
  assert.not.ok(signature({ devices: 1, axis: 'batch', optimizer: 'parted' }).includes('sharding'))
})

test.run()
