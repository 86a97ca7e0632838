/** Rollouts on disk: each group a line in its episode's file, what a killed process left half written is cut off. */
import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type EventOf,
  openRollouts,
  RunEvent,
  readRollouts,
  repairRollouts,
  rolloutsFile,
  withoutRepeats,
} from '../../src/run/index.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'

const { folder, remove } = temporaryFolders('sailwright-rollouts-')
const test = suite('run: rollouts')
test.after(remove)

const group = (episode: number, index: number): EventOf<'group'> => ({
  ...{ type: 'group', stage: 'rl', episode, index, task: `t@${index}`, family: 'f', question: 'q' },
  ...{ images: [], promptIds: [1, 2], advantages: [0.1 + 0.2, null] },
  completions: [
    { sample: 0, ids: [3], logProbs: [-0.1 - 0.2], text: 'a', stop: 'end', version: 4 },
    { sample: 1, ids: [5], logProbs: [-1 / 3], text: 'b', stop: 'length', version: 4 },
  ],
  judgements: [
    {
      _tag: 'Scored',
      value: 1 / 3,
      evidence: { found: ['x'] },
      parts: { p: { _tag: 'Abstained', why: 'w' } },
    },
    { _tag: 'Failed', why: 'late', elapsedMs: 12 },
  ],
})
const done = async <A>(task: () => Promise<{ readonly _tag: string; readonly right?: A }>): Promise<A> => {
  const got = await task()
  if (got._tag === 'Left') throw new Error(JSON.stringify(got))
  return got.right as A
}

test('groups come back as they were written, to the bit, by episode', async () => {
  const root = await folder()
  const rollouts = openRollouts(root)
  for (const [e, i] of [
    [0, 0],
    [0, 1],
    [1, 2],
  ] as const)
    assert.is(rollouts.record(group(e, i))()._tag, 'Right')
  rollouts.close()
  assert.equal(await done(readRollouts(root, 'rl', 0)), [group(0, 0), group(0, 1)])
  assert.equal(await done(rollouts.of('rl', 1)), [group(1, 2)])
  assert.equal(await done(rollouts.of('rl', 2)), [])
  assert.equal((await readdir(join(root, 'rollouts/rl'))).sort(), ['000000.jsonl', '000001.jsonl'])
  assert.ok(RunEvent.is(group(0, 0)))
  assert.not.ok(RunEvent.is({ ...group(0, 0), judgements: [{ _tag: 'Scored' }] }))
})

test('half a line of a killed process is cut off, and appending goes on behind the whole ones', async () => {
  const root = await folder()
  const first = openRollouts(root)
  first.record(group(0, 0))()
  first.close()
  const file = join(root, rolloutsFile('rl', 0))
  await appendFile(file, '{"type":"group","stage":"r')
  await done(repairRollouts(root))
  const again = openRollouts(root)
  again.record(group(0, 1))()
  again.close()
  assert.equal(await done(readRollouts(root, 'rl', 0)), [group(0, 0), group(0, 1)])
  assert.is((await readFile(file, 'utf8')).split('\n').length, 3)
})

test('a folder without rollouts needs no repair', async () => {
  await done(repairRollouts(await folder()))
})

test('an episode that a later start did again is told once', () => {
  const spread = { mean: 0, std: 0, count: 1 }
  const started = {
    ...{ type: 'stage-started', stage: 'rl', index: 0, of: 1, steps: 4, batch: 1, trainable: 1, parts: [] },
  } as RunEvent
  const episode = (n: number, step: number, kept: number): RunEvent => ({
    ...{ type: 'episode', stage: 'rl', episode: n, step, kept, discarded: 0, degenerate: 0, completions: 1 },
    ...{ rewards: spread, components: {}, families: {}, lengths: { ...spread, most: 1 }, truncated: 0 },
    ...{ failed: 0, abstained: 0, rolloutSeconds: 0, scoreSeconds: 0 },
  })
  const pair = (step: number, loss: number): readonly RunEvent[] => [
    {
      ...{ type: 'step', stage: 'rl', step, steps: 4, loss, learningRate: 1, gradientNorm: 1, samples: 1 },
      ...{ tokens: 1, seconds: 1, dataSeconds: 0, computeSeconds: 0 },
    },
    { type: 'rl-step', stage: 'rl', step, episode: 0, completions: 1, metrics: { loss } },
  ]
  const first = [started, episode(0, 1, 1), ...pair(1, 1), ...pair(2, 1), episode(1, 3, 1), ...pair(3, 1)]
  // the checkpoint was behind episode 0; what comes after it is done again
  const second = [started, episode(1, 3, 2), ...pair(3, 2), ...pair(4, 2)]
  const kept = withoutRepeats([...first, ...second])
  assert.equal(kept, [started, episode(0, 1, 1), ...pair(1, 1), ...pair(2, 1), ...second.slice(1)])
})

test.run()
