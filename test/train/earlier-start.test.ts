/** What an earlier start of a run came to, as its events say. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunEvent } from '../../src/run/index.ts'
import { earlierStart, measuredOf } from '../../src/train/earlier-start.ts'

const test = suite('train: an earlier start')

const saved = (stage: string, step: number): RunEvent => ({
  ...{ type: 'checkpointed', stage, step, path: `checkpoints/${stage}` },
})
const finished = (stage: string, index: number): RunEvent => ({
  ...{ type: 'stage-finished', stage, index, loss: 1, samples: 1, trainSeconds: 1, evaluateSeconds: 1 },
})

test('it goes on with the weights of the last stage that has ended, and the last checkpoint since', () => {
  const ended = [saved('one', 4), finished('one', 0), saved('two', 4), finished('two', 1)]
  const two = { finished: 2, weights: 'checkpoints/two', forked: false }
  assert.equal(earlierStart(ended), { ...two, checkpoint: undefined })
  const inside = [...ended, saved('three', 2), saved('three', 3)]
  assert.equal(earlierStart(inside), { ...two, checkpoint: saved('three', 3) })
  assert.equal(earlierStart([]), { ...two, finished: 0, weights: undefined, checkpoint: undefined })
})

test('what was measured is told apart by the weights that it is of', () => {
  const measured = (family: string, weights?: string): RunEvent => ({
    ...{ type: 'measured', stage: 'soup', family, value: 1, unit: 'nats', weight: 1, seconds: 1 },
    ...(weights === undefined ? {} : { weights }),
  })
  const events = [measured('loss'), measured('loss', 'run 1'), measured('other', 'run 1')]
  assert.equal([...measuredOf(events, 'soup')], ['loss'])
  assert.equal([...measuredOf(events, 'soup', 'run 1')], ['loss', 'other'])
  assert.equal([...measuredOf(events, 'soup', 'run 2')], [])
  assert.equal([...measuredOf(events, 'another')], [])
})

test.run()
