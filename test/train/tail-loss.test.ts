/** The loss of a stage: the mean over the last tenth of its steps, of those that have one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tailLoss } from '../../src/train/tail-loss.ts'

const test = suite('train: the loss of a stage')

test('a step before the last tenth, and one without a loss, has no part in it', () => {
  const losses = Array.from({ length: 40 }, (_, i) => (i === 37 ? Number.NaN : i + 1))
  const whole = tailLoss(40, { tailLoss: 0 })
  losses.forEach((loss, i) => {
    whole.add(i + 1, loss)
  })
  assert.is(whole.mean(), (37 + 39 + 40) / 3)
  assert.equal(whole.progress(), { tailLoss: 37 + 39 + 40, tailSkipped: 1 })
})

test('it goes on from a checkpoint', () => {
  const first = tailLoss(20, { tailLoss: 0 })
  first.add(19, Number.NaN)
  const second = tailLoss(20, first.progress())
  second.add(20, 3)
  assert.is(second.mean(), 3)
})

test.run()
