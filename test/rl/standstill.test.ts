/** A stage of which nothing comes ends with what failed, how often, the first evidence and what to do; mended, it goes on. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  answer,
  audited,
  firstThatSpeaks,
  harvested,
  type Judgement,
  type Reward,
  scale,
  solvable,
  trainedPolicy,
  type VerifiedOptions,
  verified,
  weighted,
} from '../../src/rl/index.ts'
import { type EventOf, type RunEvent, withoutRepeats } from '../../src/run/index.ts'
import { loadWeights, orThrow } from '../../src/train/index.ts'
import {
  type Asked,
  type EchoSettings,
  echoModel,
  echoProcessor,
  echoReward,
  echoStage,
  echoTasks,
} from '../support/echo.ts'
import { echo, ran } from '../support/echo-run.ts'
import { hostEngines } from '../support/engines.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import { messageThrown } from '../support/tiny.ts'

const engine = (await hostEngines())[0]!
const test = suite('reinforcement: nothing comes of going on')
const { folder, remove } = temporaryFolders('sailwright-rl-still-')
test.after(remove)

/** Runs until it fails: what it said, and the events before that. */
const failing = async (some: EchoSettings, at: string, earlier: readonly RunEvent[] = []) => {
  const events: RunEvent[] = []
  const message = await ran(echo(some, 1, 1), at, engine, earlier, undefined, (e) => events.push(e)).then(
    () => '',
    (e: Error) => e.message,
  )
  return { message, events }
}
const saying = (judge: () => Judgement | Promise<Judgement>): Reward<Asked> => ({
  name: 'mine',
  config: { kind: 'mine' },
  score: () => async () => judge(),
})
const throwing = saying(() => {
  throw new Error('no such column: colour')
})
const small = { episode: { rollouts: 32, minibatch: 32, updates: 1, rounds: 3 } }
const drawnIn = (events: readonly RunEvent[]): readonly EventOf<'group'>[] =>
  events.filter((e) => e.type === 'group')

test('a reward that throws each time ends the stage after two episodes, each of one round', async () => {
  const at = await folder()
  const { message, events } = await failing({ ...small, episodes: 9, reward: throwing }, at)
  assert.match(message, /^stage 'echo': no completion of 2 episodes in a row has a reward/)
  assert.match(message, /32 of 32 failed \(each time: reward 'mine' threw: no such column: colour\)/)
  assert.match(message, /the first is completion 0 of task echo\/4@4, "say \w+", answered "/)
  assert.match(message, /Mend the reward .* start the run again in its folder/)
  assert.is(drawnIn(events).length, 8)
  assert.is((await readdir(join(at, 'rollouts/echo'))).length, 2)
  assert.not.ok(events.some((e) => e.type === 'step' || e.type === 'checkpointed'))
})

test('so does one that is silent, one that gives no number, and the only episode of a stage', async () => {
  const of_ = async (reward: Reward<Asked>, episodes = 5) =>
    (await failing({ ...small, episodes, reward }, await folder())).message
  const silent = saying(() => ({ _tag: 'Abstained', why: 'no box' }))
  assert.match(await of_(silent), /2 episodes in a row.*32 of 32 abstained \(each time: no box\)/)
  const nan = saying(() => ({ _tag: 'Scored', value: Number.NaN, evidence: {} }))
  assert.match(await of_(nan), /32 of 32 failed \(each time: .*its value is NaN/)
  assert.match(await of_(throwing, 1), /no completion of the only episode has a reward/)
  let asked = 0
  const both = saying(() => {
    if (asked++ % 4 === 0) return { _tag: 'Abstained', why: 'no box' }
    throw new Error('down')
  })
  assert.match(await of_(both), /24 of 32 failed \(each time: .*down\) and 8 of 32 abstained/)
})

test('mended, the run goes on as if the reward had been right from the start; what failed lies aside', async () => {
  const stage = { ...small, episodes: 4 }
  const [whole, at] = [await folder(), await folder()]
  const right = await ran(echo(stage, 1, 1), whole, engine)
  // right at first, so that there is a checkpoint to go on from
  let asked = 0
  const dying: Reward<Asked> = {
    ...echoReward,
    score: (judged) =>
      asked++ < drawnIn(right).filter((g) => g.episode < 1).length * 8
        ? echoReward.score(judged)
        : throwing.score(judged),
  }
  const first = await failing({ ...stage, reward: dying }, at)
  assert.match(first.message, /no completion of 2 episodes in a row has a reward/)
  // not mended yet: the same again, and no rollout of the earlier start is lost
  const second = await failing({ ...stage, reward: throwing }, at, first.events)
  assert.match(second.message, /no completion of 2 episodes in a row has a reward/)
  const earlier = [...first.events, ...second.events]
  const after = await ran(echo(stage, 1, 1), at, engine, earlier)
  assert.equal((await readdir(join(at, 'rollouts/echo'))).sort(), [
    ...['000000.jsonl', '000001.jsonl', '000001.jsonl.aside', '000001.jsonl.aside-2', '000002.jsonl'],
    ...['000002.jsonl.aside', '000002.jsonl.aside-2', '000003.jsonl', 'rollouts.parquet'],
  ])
  for (const episode of [0, 1, 2, 3]) {
    const read = (of: string) => readFile(join(of, `rollouts/echo/00000${episode}.jsonl`), 'utf8')
    assert.ok((await read(at)) === (await read(whole)), `episode ${episode}`)
  }
  const weights = (of: string) => orThrow(loadWeights(`${of}/checkpoints/echo/model.safetensors`))
  const want = await weights(whole)
  for (const [key, { data }] of await weights(at)) assert.equal(data, want.get(key)!.data, key)
  const episodes = withoutRepeats([...earlier, ...after]).filter((e) => e.type === 'episode')
  assert.equal(
    episodes.map((e) => [e.episode, e.failed]),
    [0, 1, 2, 3].map((e) => [e, 0]),
  )
})

test('groups without spread are borne for as many episodes as patience says, and told of before', async () => {
  const flat = saying(() => ({ _tag: 'Scored', value: 0.25, evidence: {} }))
  const stage = { ...small, reward: flat, episodes: 6 }
  const { message, events } = await failing({ ...stage, patience: 4 }, await folder())
  assert.match(message, /4 episodes in a row gave no group to learn from: in none of 48 groups/)
  assert.match(message, /mean reward 0.25\).*patience, 4 now/)
  assert.ok(events.some((e) => e.type === 'warned' && /all 24 groups of the last 2 episodes/.test(e.message)))
  // borne to the end, it says that nothing was learnt
  for (const patience of [0, 10]) {
    const borne = await failing({ ...stage, patience }, await folder())
    assert.is(borne.message, '')
    assert.ok(
      borne.events.some((e) => e.type === 'warned' && /echo' ended without one update/.test(e.message)),
    )
  }
  assert.match(
    messageThrown(() => echoStage({ patience: -1 })),
    /patience: it is -1; give a whole number/,
  )
})

test('one episode that fails among others ends nothing', async () => {
  let asked = 0
  const late: Reward<Asked> = {
    ...echoReward,
    score: (judged) => (asked++ < 32 ? throwing.score(judged) : echoReward.score(judged)),
  }
  const { message, events } = await failing({ ...small, episodes: 4, reward: late }, await folder())
  assert.is(message, '')
  assert.ok(events.some((e) => e.type === 'step'))
})

test('attempts of which none could be judged end the stage before its first step', async () => {
  const policy = trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 14 })
  const tried = { tasks: echoTasks, count: 4, attempts: 2, policy, sampling: { maxNewTokens: 1 } }
  const { message } = await failing(
    { ...small, policy, tasks: solvable({ ...tried, right: throwing }) },
    await folder(),
  )
  assert.match(message, /stage 'echo', right: none of the attempts could be judged: 8 of 8 failed/)
  assert.ok(harvested({ ...tried, right: throwing }).functions !== undefined)
})

test('a module that lacks its function or cannot be loaded is refused before anything is drawn, wherever it stands', async () => {
  const checks = (file: string) => new URL(`../support/checks/${file}`, import.meta.url)
  const of_ = (some: Partial<VerifiedOptions<Asked>> = {}): Reward<Asked> =>
    verified<Asked>('mine', { module: checks('hostile.js'), check: 'nowhere', ...some })
  const refused = async (some: EchoSettings): Promise<string> => {
    const { message, events } = await failing({ ...small, episodes: 9, ...some }, await folder())
    assert.is(drawnIn(events).length, 0)
    return message
  }
  const lacks =
    /reward 'mine' cannot judge: .*hostile\.js exports no function 'nowhere'; it exports .*forever/
  const inside = weighted({ echo: echoReward, mine: scale(2)(of_()) }, { echo: 1, mine: 1 })
  for (const reward of [
    of_(),
    inside,
    firstThatSpeaks({ rule: answer(), mine: of_() }),
    audited(echoReward, of_()),
  ])
    assert.match(await refused({ reward: reward as Reward<Asked> }), lacks)
  assert.match(await refused({ reward: of_() }), /^stage 'echo', reward: /)
  assert.match(
    await refused({ reward: of_({ module: checks('broken.js') }) }),
    /cannot judge: .*not-there\.js/,
  )
  assert.match(
    await refused({ reward: of_({ module: checks('leaving.js') }) }),
    /its thread ended: exit code 3/,
  )
  const policy = trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 14 })
  const tried = { tasks: echoTasks, count: 4, attempts: 2, policy, sampling: { maxNewTokens: 1 } }
  assert.match(await refused({ policy, tasks: solvable({ ...tried, right: of_() }) }), lacks)
  assert.match(await harvested({ ...tried, right: of_() }).preflight!().then(String, String), lacks)
  // what is there is found and not called
  const { message } = await failing(
    {
      ...small,
      episodes: 1,
      reward: of_({ check: 'default', input: () => ({ text: 1, columns: { answer: 1 } }) }),
    },
    await folder(),
  )
  assert.is(message, '')
})

test.run()
