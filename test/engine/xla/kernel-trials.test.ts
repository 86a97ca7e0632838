import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, contract, fixed, input, loop, program, reshape, type Tensor } from '../../../src/dsl/index.ts'
import { kernelTrials } from '../../../src/engine/xla/session.ts'

const variant = (y: Tensor) =>
  program({ name: 'p', functions: { f: fixed(() => ({ outputs: { y } })) } }).functions.get('f')![0]!

const product = (size: number) => {
  const [row, inner, column] = [axis('row', size), axis('inner', size), axis('column', size)]
  return variant(contract(input('a', [row, inner]), input('b', [inner, column]), 'inner'))
}

/** So many products one after the other, in a loop. */
const products = (size: number, times: number) => {
  const [row, column] = [axis('row', size), axis('column', size)]
  const weight = input('b', [column, axis('other', size)])
  const step = ({ x }: { readonly x: Tensor }) => ({
    next: { x: reshape(contract(x, weight, 'column'), [row, column]) as Tensor },
  })
  return variant(loop({ times, carried: { x: input('a', [row, column]) as Tensor }, step }).x)
}

test('a small call takes the first kernel, a large one the best of those that were tried; other devices have no trials', () => {
  assert.equal(kernelTrials('cuda', product(1024)), { xla_gpu_autotune_level: 0 })
  assert.equal(kernelTrials('cuda', product(8192)), {})
  assert.equal(kernelTrials('cpu', product(64)), {})
})

test('of the few products of a loop the best kernels are worth trials sooner', () => {
  // 2 · 2048³ · 10 operations are 1.7e11
  assert.equal(kernelTrials('cuda', products(2048, 10)), {})
  assert.equal(kernelTrials('cuda', products(2048, 5)), { xla_gpu_autotune_level: 0 })
  assert.equal(kernelTrials('cuda', product(4096)), { xla_gpu_autotune_level: 0 })
})

test.run()
