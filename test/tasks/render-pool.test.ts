import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Mixture } from '../../src/tasks/mixture.ts'
import { type ItemOf, itemAt, type RenderJob } from '../../src/tasks/render-job.ts'
import { RenderError, renderAhead } from '../../src/tasks/render-pool.ts'

const mixture: Mixture = {
  seed: 'pool',
  split: 'train',
  weights: { read: 1, count: 1, chart: 1, arithmetic: 1 },
  levels: [1, 3],
}

const take = async <J extends RenderJob>(
  job: J,
  n: number,
  options: Parameters<typeof renderAhead>[1],
): Promise<ItemOf<J>[]> => {
  const items: ItemOf<J>[] = []
  for await (const item of renderAhead(job, options)) if (items.push(item) === n) break
  return items
}

test('render pool: the same items in the same order as without workers', async () => {
  const job = { kind: 'conversations', mixture, captions: 0.5 } as const
  const items = await take(job, 25, { from: 5, workers: 2, chunk: 3, ahead: 4 })
  assert.is(items.length, 25)
  items.forEach((item, i) => {
    assert.equal(item, itemAt(job, 5 + i))
  })
})

test('render pool: samples and labelled images too', async () => {
  const samples = { kind: 'samples', mixture } as const
  assert.equal(
    await take(samples, 4, { chunk: 2 }),
    [0, 1, 2, 3].map((i) => itemAt(samples, i)),
  )
  const weights = { text: 1, shapes: 1, bars: 1, tasks: 1 }
  const labelled = { kind: 'labelled', mixture: { seed: 'pool', weights } } as const
  assert.equal(
    await take(labelled, 4, { chunk: 4 }),
    [0, 1, 2, 3].map((i) => itemAt(labelled, i)),
  )
})

test('render pool: an error comes when its item’s turn comes, names it, and ends the iteration', async () => {
  const bad = { kind: 'samples', mixture: { ...mixture, weights: {} } } as const
  const stream = renderAhead(bad, { from: 7, chunk: 2 })
  let caught: unknown
  try {
    await stream.next()
  } catch (error) {
    caught = error
  }
  assert.instance(caught, RenderError)
  const error = caught as RenderError
  assert.is(error.tag, 'RenderFailed')
  assert.is(error.index, 7)
  assert.match(error.message, /item 7 could not be rendered: at least one family needs a weight/)
  assert.is((await stream.next()).done, true)
})

test('render pool: a thread goes from one iteration to the next, which gets its own items alone', async () => {
  await take({ kind: 'samples', mixture }, 1, {})
  let started = 0
  const count = (): void => {
    started++
  }
  process.on('worker', count)
  try {
    const job = { kind: 'chains', mixture } as const
    for (const from of [0, 40])
      assert.equal(await take(job, 2, { from, chunk: 1 }), [itemAt(job, from), itemAt(job, from + 1)])
    assert.is(started, 0)
    await take(job, 3, { workers: 3, chunk: 1 })
    assert.ok(started >= 1, 'two are kept at most')
  } finally {
    process.off('worker', count)
  }
})

test('render pool: sizes are checked at once', () => {
  const job = { kind: 'samples', mixture } as const
  assert.throws(() => renderAhead(job, { workers: 0 }), /workers must be a whole number from 1/)
  assert.throws(() => renderAhead(job, { chunk: 1.5 }), /chunk must be a whole number/)
})

test.run()
