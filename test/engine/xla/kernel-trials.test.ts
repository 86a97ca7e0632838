import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, contract, fixed, input, program } from '../../../src/dsl/index.ts'
import { kernelTrials } from '../../../src/engine/xla/session.ts'

const product = (size: number) => {
  const [row, inner, column] = [axis('row', size), axis('inner', size), axis('column', size)]
  const p = program({
    name: 'product',
    functions: {
      multiply: fixed(() => ({
        outputs: { y: contract(input('a', [row, inner]), input('b', [inner, column]), 'inner') },
      })),
    },
  })
  return p.functions.get('multiply')![0]!
}

test('a small call takes the first kernel, a large one the best of those that were tried; other devices have no trials', () => {
  assert.equal(kernelTrials('cuda', product(1024)), { xla_gpu_autotune_level: 0 })
  assert.equal(kernelTrials('cuda', product(8192)), {})
  assert.equal(kernelTrials('cpu', product(64)), {})
})

test.run()
