/** A stage's table of rollouts, read back by others; a fold over what was recorded, damaged lines told by name. */
import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type EventOf,
  foldRollouts,
  openRollouts,
  rolloutsFile,
  rolloutsTable,
  writeRolloutsTable,
} from '../../src/run/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { fromPython } from '../support/python.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'

const { folder, remove } = temporaryFolders('sailwright-table-')
const test = suite('run: a table of rollouts')
test.after(remove)

const group = (episode: number, index: number): EventOf<'group'> => ({
  ...{ type: 'group', stage: 'rl', episode, index, task: `t@${index}`, family: 'f', question: 'q “é”' },
  ...{ images: index === 1 ? [] : ['images/a.png'], promptIds: [1, 2], advantages: [0.1 + 0.2, null] },
  completions: [
    { sample: 0, ids: [3, 4], logProbs: [-0.1 - 0.2, -1], text: 'a\n𝒷', stop: 'end', version: 4 },
    { sample: 1, ids: [], logProbs: [], text: '', stop: 'length', version: 4 },
  ],
  judgements: [
    { _tag: 'Scored', value: 1 / 3, evidence: { found: ['x'] } },
    { _tag: 'Failed', why: 'late', elapsedMs: 12 },
  ],
  ...(index === 2 ? { discarded: 'all alike' } : {}),
})
const written = async (): Promise<string> => {
  const root = await folder()
  const rollouts = openRollouts(root)
  for (const [e, i] of [
    [0, 0],
    [0, 1],
    [1, 2],
  ] as const)
    rollouts.record(group(e, i))()
  rollouts.close()
  return root
}

test('a row a completion, with every number to the bit', async () => {
  const root = await written()
  const path = await orThrow(writeRolloutsTable(root, 'rl'))
  assert.is(path, join(root, rolloutsTable('rl')))
  assert.equal((await readdir(join(root, 'rollouts/rl'))).sort(), [
    '000000.jsonl',
    '000001.jsonl',
    'rollouts.parquet',
  ])
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path!) })
  assert.is(rows.length, 6)
  const { judgement, ...first } = rows[0]!
  assert.equal(first, {
    ...{ episode: 0, index: 0, task: 't@0', family: 'f', question: 'q “é”', images: ['images/a.png'] },
    ...{ sample: 0, text: 'a\n𝒷', stop: 'end', version: 4, reward: 1 / 3, advantage: 0.1 + 0.2 },
    ...{ discarded: null, prompt_ids: [1, 2], ids: [3, 4], log_probs: [-0.1 - 0.2, -1] },
  })
  assert.equal(JSON.parse(judgement as string), group(0, 0).judgements[0])
  assert.equal(
    rows.map((r) => [r.episode, r.index, r.reward, r.advantage, r.discarded]),
    [0, 1, 2].flatMap((i) => [
      [i === 2 ? 1 : 0, i, 1 / 3, 0.1 + 0.2, i === 2 ? 'all alike' : null],
      [i === 2 ? 1 : 0, i, null, null, i === 2 ? 'all alike' : null],
    ]),
  )
  assert.equal([rows[1]!.ids, rows[1]!.log_probs, rows[2]!.images], [[], [], []])
})

test('pyarrow reads the same', async () => {
  const root = await written()
  const path = await orThrow(writeRolloutsTable(root, 'rl'))
  const rows = await fromPython(
    ['pyarrow.parquet'],
    'import json, sys, pyarrow.parquet as pq\nprint(json.dumps(pq.read_table(sys.argv[1]).to_pylist()))',
    path!,
  )
  if (rows === undefined) return
  assert.equal(rows, await parquetReadObjects({ file: await asyncBufferFromFile(path!) }))
})

test('a stage that recorded none has no table; a line that cannot be read is named', async () => {
  const root = await written()
  assert.is(await orThrow(writeRolloutsTable(root, 'sft')), undefined)
  await appendFile(join(root, rolloutsFile('rl', 0)), '{"type":"group"}\n')
  const failed = await orThrow(writeRolloutsTable(root, 'rl')).catch((e: { message: string }) => e.message)
  assert.match(failed as string, /000000\.jsonl:3: key 'stage' should be string and is missing/)
  assert.not.ok((await readdir(join(root, 'rollouts/rl'))).includes('rollouts.parquet'))
})

test('a fold reads what can be read, in order, and names each damaged line', async () => {
  const root = await written()
  await appendFile(join(root, rolloutsFile('rl', 0)), 'not JSON\n{"type":"group"}\n')
  await appendFile(join(root, rolloutsFile('rl', 1)), '{"type":"gro')
  const indexes = (which: Parameters<typeof foldRollouts>[1]) =>
    orThrow(foldRollouts(root, which, [] as readonly number[], (all, g) => [...all, g.index]))
  const all = await indexes({})
  assert.equal(all.state, [0, 1, 2])
  assert.equal(
    all.damaged.map((d) => d.line),
    [3, 4],
  )
  assert.match(all.damaged[0]!.message, /000000\.jsonl:3: this is not JSON \(not JSON\)/)
  assert.equal((await indexes({ episode: 1 })).state, [2])
  assert.equal((await indexes({ stage: 'sft' })).state, [])
  assert.equal((await indexes({ stage: 'rl', episode: 0 })).state, [0, 1])
  assert.equal((await orThrow(foldRollouts(await folder(), {}, 0, (n) => n + 1))).state, 0)
})

test.run()
