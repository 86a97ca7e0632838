/** `sailwright rollouts`: what it lists, how it sorts, what it says where there is nothing to read. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { main } from '../../src/cli/main.ts'
import { rolloutsFile, rolloutsTable, writeRolloutsTable } from '../../src/run/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { fromPython } from '../support/python.ts'
import { syntheticGroup, syntheticGroups, syntheticReinforcement } from '../support/synthetic-rollouts.ts'
import { writeSyntheticRun } from '../support/synthetic-run.ts'

const test = suite('command: rollouts')
let root = ''
test.before(async () => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-rollouts-'))
  await writeSyntheticRun(join(root, 'run'), [...syntheticReinforcement(), ...syntheticGroups])
  await writeSyntheticRun(join(root, 'plain'), syntheticReinforcement().slice(0, 1))
  const wild = syntheticGroup(0, 0, { question: 'one\u001b[31m red\nline \u202e', task: 'a\u0007b' })
  await writeSyntheticRun(join(root, 'wild'), [...syntheticReinforcement(), wild])
})
test.after(() => rmSync(root, { recursive: true, force: true }))

const cli = async (
  words: readonly string[],
  columns = 120,
  env: Record<string, string> = {},
  command = 'rollouts',
) => {
  const out: string[] = []
  const err: string[] = []
  const code = await main(
    [command, ...words].filter((w) => w !== ''),
    {
      stdout: { write: (t) => out.push(t), columns },
      stderr: { write: (t) => err.push(t) },
      ...{ env, cwd: root, onInterrupt: () => () => undefined },
    },
  )
  return { code, out: out.join(''), err: err.join('') }
}
/** The rows of a JSON list as group and sample. */
const places = async (...words: readonly string[]) => {
  const { code, out, err } = await cli(['run', '--json', ...words])
  assert.is(code, 0, err)
  const { rows } = JSON.parse(out) as { readonly rows: readonly { index: number; sample: number }[] }
  return rows.map((r) => `${r.index}.${r.sample}`)
}

test('lists completions as they were recorded, and says how many of how many', async () => {
  const { code, out, err } = await cli(['run', '--limit', '5'])
  assert.is(code, 0)
  const [head, , ...rows] = out.trimEnd().split('\n')
  assert.match(head!, /^episode {2}task +sample {2}reward {2}advantage {2}tokens {2}stop +completion$/)
  assert.is(rows.length, 5)
  assert.match(rows[0]!, /^ +0 {2}sum\/0@0 +0 +1 +\+1\.40 +4 +end +so <b>0<\/b> is\\boxed\{7\}$/)
  // a verifier that failed gave no number
  assert.match(rows[3]!, /^ +0 {2}sum\/0@0 +3 +– +– +3 +length/)
  assert.is(
    err,
    '5 of 24 that fit, --limit says how many, of 24 completions in 6 groups, 2 of them discarded\n',
  )
  for (const line of out.split('\n')) assert.ok(line.length <= 120)
})

test('filters by stage, episode, step, family, text, discarded, and by several at once', async () => {
  assert.equal((await places('--limit', '100', '--stage', 'rl')).length, 24)
  assert.equal(await places('--episode', '1', '--limit', '2'), ['3.0', '3.1'])
  assert.equal(
    await places('--step', '2', '--limit', '100'),
    await places('--episode', '0', '--limit', '100'),
  )
  assert.equal(await places('--step', '3', '--limit', '1'), ['3.0'])
  assert.equal(await places('--family', 'chart', '--episode', '1'), ['3', '5'].flatMap(samples))
  assert.equal(await places('--discarded'), ['2', '5'].flatMap(samples))
  assert.equal(await places('--search', 'SO <B>4'), samples('4'))
  assert.equal(await places('--search', 'what is 3'), samples('3'))
  assert.equal(await places('--search', 'sum/1'), samples('1'))
  assert.equal(await places('--search', 'sum/1', '--discarded'), [])
})
const samples = (group: string) => [0, 1, 2, 3].map((s) => `${group}.${s}`)

test('sorts by reward, advantage or length; what has no number comes last in either direction', async () => {
  assert.equal(await places('--sort', 'reward', '--limit', '3'), ['0.0', '1.0', '3.1'])
  const worst = await places('--sort', 'reward', '--ascending', '--limit', '24')
  assert.equal(worst.slice(0, 2), ['0.2', '1.2'])
  assert.equal(worst.slice(-4), ['0.3', '1.3', '3.3', '4.3'])
  assert.equal((await places('--sort', 'advantage', '--limit', '24')).slice(-4), ['0.3', '1.3', '3.3', '4.3'])
  assert.equal(await places('--sort', 'length', '--ascending', '--limit', '2'), ['0.1', '0.3'])
})

test('a group in full: question, image, completions with each reward and what it rests on', async () => {
  const { code, out } = await cli(['run', '--task', 'sum/1'])
  assert.is(code, 0)
  assert.match(out, /^sum\/1@1 \(chart\): stage rl, episode 0, group 1\nWhat is 1 & 7\?\nimages\/one\.png\n/)
  assert.match(out, 'sample 0  reward 1, advantage +1.40, 4 tokens, ended by itself, after 0 updates')
  assert.match(out, '  answer 1: extracted “6”, expected “7”\n  format 1\n')
  assert.match(out, 'sample 3  reward none, no advantage, 3 tokens, cut off, after 0 updates')
  assert.match(out, '  reward failed: ran out of time')
  assert.match(
    (await cli(['run', '--task', 'sum/2@2'])).out,
    'discarded: all 4 completions have the reward 0',
  )
  const json = JSON.parse((await cli(['run', '--task', 'sum/1', '--json'])).out)
  assert.equal(json, { groups: [syntheticGroups[1]], damaged: [] })
})

test('with colours, tokens that the policy was not sure of stand out', async () => {
  const { out } = await cli(['run', '--task', 'sum/0'], 100, { FORCE_COLOR: '1' })
  // -0.02 · 4³ is below one in two, -0.02 · 3⁴ … of sample 3 are −1.62
  assert.match(out, '\u001b[33m</turn>\u001b[39m')
  assert.match(out, '\u001b[33m\\boxed{7}\u001b[39m')
  assert.not.match(out, '\u001b[33m is')
})

test('what a model wrote cannot speak to the terminal', async () => {
  for (const words of [['wild'], ['wild', '--task', 'a\u0007b']]) {
    const { out } = await cli(words)
    for (const c of ['\u001b', '\u0007', '\u202e']) assert.not.ok(out.includes(c))
  }
})

test('damaged lines are named and passed over', async () => {
  const folder = join(root, 'damaged')
  await writeSyntheticRun(folder, [...syntheticReinforcement(), ...syntheticGroups])
  appendFileSync(join(folder, rolloutsFile('rl', 0)), '{"type":"group","stage":"rl"}\nno\n')
  const { code, out, err } = await cli(['damaged', '--limit', '1'])
  assert.is(code, 0)
  assert.ok(out.includes('sum/0@0'))
  assert.match(err, /passed over: .*000000\.jsonl:4: key 'episode' should be number and is missing/)
  assert.match(err, /passed over: .*000000\.jsonl:5: this is not JSON/)
  assert.is(JSON.parse((await cli(['damaged', '--json'])).out).damaged.length, 2)
})

test('what is asked for and is not there is said, with what there is', async () => {
  const says = async (words: readonly string[], code: number, what: RegExp | string) => {
    const got = await cli(words)
    assert.is(got.code, code, got.err)
    assert.match(got.err, what)
    assert.is(got.out, '')
  }
  await says([], 2, /<run folder> is missing/)
  await says(['nowhere'], 2, /this is not a run folder/)
  await says(
    ['run/events.jsonl'],
    2,
    /run.events\.jsonl: this is not a run folder: .*; it lies in the run .*run$/m,
  )
  await says(['.'], 2, /this is not a run folder: .*; name one of the \d+ runs in it, such as /)
  await says(
    ['plain'],
    1,
    /plain has no rollouts: its stages are 'rl', and none of them is of reinforcement, or/,
  )
  await says(
    ['run', '--stage', 'lr'],
    2,
    "--stage lr: there are no rollouts of it. Did you mean 'rl'? There are rl.",
  )
  await says(['run', '--family', 'char'], 2, "Did you mean 'chart'? There are sum, chart.")
  await says(['run', '--episode', '7'], 2, '--episode 7: there are no rollouts of it. There are 0 to 1.')
  await says(['run', '--step', '9'], 2, '--step 9: there is no such update; those of this run go up to 4.')
  await says(['plain', '--step', '1'], 2, 'the run has taken no step of reinforcement')
  await says(
    ['run', '--task', 'sum/9'],
    2,
    /--task sum\/9: there is no group of it\..* The first are sum\/0@0, /,
  )
  await says(
    ['run', '--task', 'sum/1', '--sort', 'reward'],
    2,
    "--sort is of a list, and --task shows one task's",
  )
  await says(['run', '--ascending'], 2, '--ascending needs --sort')
  await says(['run', '--sort', 'rewards'], 2, /--sort is one of reward, advantage, length, and not 'rewards'/)
  await says(['run', '--limit', '0'], 2, /--limit is an integer from 1 on/)
  await says(['run', '--episode', '0', '--step', '1'], 2, 'only one of --episode, --step at a time')
  const none = await cli(['run', '--search', 'zebra'])
  assert.equal([none.code, none.out], [0, ''])
  assert.match(none.err, 'none fits of 24 completions in 6 groups')
})

test('docs/reading-rollouts.md: its commands and its Python do what they say', async () => {
  const page = readFileSync('docs/reading-rollouts.md', 'utf8')
  const blocks = (language: string): readonly string[] =>
    [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((m) => m[1]!)
  const folder = join(root, 'runs/rl')
  await writeSyntheticRun(folder, [...syntheticReinforcement(), ...syntheticGroups])
  await orThrow(writeRolloutsTable(folder, 'rl'))
  const lines = blocks('sh').join('').trim().split('\n')
  assert.is(lines.length, 7)
  for (const line of lines) {
    const [npx, program, ...words] = line.split(' ')
    assert.is(`${npx} ${program}`, 'npx sailwright')
    const { code, out, err } = await cli(words, 120, {}, '')
    assert.is(code, 0, `${line}\n${err}`)
    // none of them finds nothing
    assert.ok(out.trim().split('\n').length >= (words[0] === 'report' ? 1 : 3), line)
  }
  const [code] = blocks('python')
  const script = `import json, os\nos.chdir(${JSON.stringify(root)})\n${code}\nprint(json.dumps([row['reward'] for row in worst]))`
  const rewards = await fromPython(['pyarrow.parquet'], script)
  if (rewards !== undefined) assert.equal(rewards, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  // the columns are those that the page names
  const file = await asyncBufferFromFile(join(folder, rolloutsTable('rl')))
  const [, named] = page.match(/a row a completion: (`episode`.*?)\. `reward`/)!
  const columns = [...named!.matchAll(/`(\w+)`/g)].map((m) => m[1])
  assert.equal(columns, Object.keys((await parquetReadObjects({ file }))[0]!))
})

test.run()
