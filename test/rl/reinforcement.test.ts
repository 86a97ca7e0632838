/** A stage of reinforcement: it learns what its reward says, records each rollout once, and goes on to the bit. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { listed } from '../../src/data/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { random } from '../../src/random/index.ts'
import {
  dapo,
  policyGradient,
  type Reward,
  reinforcement,
  type Task,
  trainedPolicy,
} from '../../src/rl/index.ts'
import { type EventOf, type RunEvent, rolloutsTable } from '../../src/run/index.ts'
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
import { contextIn, counting, messageThrown } from '../support/tiny.ts'

const engines = await hostEngines()
const { folder, remove } = temporaryFolders('sailwright-rl-')

const episodesOf = (events: readonly RunEvent[]): readonly EventOf<'episode'>[] =>
  events.filter((e) => e.type === 'episode')
const groupsOf = (events: readonly RunEvent[]): readonly EventOf<'group'>[] =>
  events.filter((e) => e.type === 'group')

// --- learning -----------------------------------------------------------------------------------------------

const learning = suite(`reinforcement: learning on ${engines.map((e) => e.name).join(' and ')}`)

for (const engine of engines)
  learning(`says the word that it is asked for: from chance to above 0.9 on ${engine.name}`, async () => {
    const events = await ran(echo({ episodes: 14 }), await folder(), engine)
    const rewards = episodesOf(events).map((e) => e.rewards.mean)
    assert.is(rewards.length, 14)
    assert.ok(rewards[0]! < 0.2, `${rewards[0]}`)
    assert.ok(
      rewards.slice(-2).every((r) => r > 0.9),
      `${rewards}`,
    )
  })

/** A reward of right and wrong by lot: as many, and they say nothing. */
const byLot: Reward<Asked> = {
  name: 'by lot',
  config: { kind: 'by lot' },
  score:
    ({ task, completion }) =>
    async () => ({
      _tag: 'Scored',
      value: Number(random('lot', task.id, completion.sample).chance(0.3)),
      evidence: { right: Number(completion.text === task.columns.word) },
    }),
}

learning('a control whose rewards are given by lot does not', async () => {
  const events = await ran(echo({ episodes: 14, reward: byLot }), await folder(), engines[0]!)
  const last = groupsOf(events).filter((g) => g.episode >= 12)
  const right = last.flatMap((g) =>
    g.judgements.map((j) => (j._tag === 'Scored' ? (j.evidence.right as number) : 0)),
  )
  const mean = right.reduce((a, b) => a + b, 0) / right.length
  assert.ok(right.length > 200 && mean < 0.4, `${mean}`)
})

learning('the same run gives the same rollouts and losses; another seed gives others', async () => {
  const bare = (events: readonly RunEvent[]) =>
    events.flatMap<unknown>((e) =>
      e.type === 'group' ? [e] : e.type === 'step' ? [e.loss] : e.type === 'rl-step' ? [e.metrics] : [],
    )
  const of_ = async (seed: number) =>
    bare(await ran(echo({ episodes: 2 }, seed), await folder(), engines[0]!))
  const [one, again, other] = [await of_(1), await of_(1), await of_(2)]
  assert.ok(one.length > 30)
  assert.equal(one, again)
  assert.not.equal(one, other)
})

learning.run()

// --- what it says -------------------------------------------------------------------------------------------

const said = suite('reinforcement: what it says')

said(
  'groups in the order of tasks, kept and discarded, then the episode, then its updates with metrics',
  async () => {
    const events = await ran(echo({ episodes: 2 }), await folder(), engines[0]!)
    const types = events.map((e) => e.type).filter((t) => t !== 'weights')
    assert.is(types[0], 'stage-started')
    const [first, second] = episodesOf(events)
    const groups = groupsOf(events)
    assert.equal(
      groups.map((g) => g.index),
      [...groups.keys()],
    )
    const own = groups.filter((g) => g.episode === 0)
    assert.is(first!.kept + first!.discarded, own.length)
    assert.is(own.filter((g) => g.discarded !== undefined).length, first!.discarded)
    assert.ok(first!.discarded > 0, 'the case shows less than it should')
    for (const g of own) {
      assert.is(g.completions.length, 8)
      assert.match(g.task, new RegExp(`^echo/\\d+@${g.index}$`))
      const values = g.judgements.map((j) => (j._tag === 'Scored' ? j.value : Number.NaN))
      assert.is(new Set(values).size === 1, g.discarded !== undefined)
      for (const c of g.completions)
        assert.ok(c.logProbs.length === 1 && c.logProbs[0]! < 0 && c.version === 0)
    }
    const rewards = own.flatMap((g) => g.judgements.map((j) => (j._tag === 'Scored' ? j.value : 0)))
    assert.ok(Math.abs(first!.rewards.mean - rewards.reduce((a, b) => a + b) / rewards.length) < 1e-12)
    assert.equal(first!.families.echo, first!.rewards)
    assert.equal(
      [first!.lengths.mean, first!.truncated, first!.failed, first!.abstained],
      [1, 1 - ended(own), 0, 0],
    )
    assert.equal([first!.step, second!.step], [1, 5])
    assert.equal(
      events.flatMap((e) => (e.type === 'rl-step' ? [[e.step, e.episode]] : [])),
      [1, 2, 3, 4, 5, 6, 7, 8].map((step) => [step, step <= 4 ? 0 : 1]),
    )
    const steps = events.filter((e) => e.type === 'rl-step')
    assert.equal(Object.keys(steps[0]!.metrics).sort(), ['clipHigh', 'clipLow', 'entropy', 'kl'])
    // the first update of an episode is on policy: what drew is what learns
    assert.ok(
      steps[0]!.metrics.kl! < 1e-6 && steps[0]!.metrics.clipHigh === 0 && steps[0]!.metrics.clipLow === 0,
    )
    assert.ok(steps[3]!.metrics.kl! > 1e-4)
    assert.is(groups.find((g) => g.episode === 1)!.completions[0]!.version, 4)
  },
)
const ended = (groups: readonly EventOf<'group'>[]): number => {
  const all = groups.flatMap((g) => g.completions)
  return all.filter((c) => c.stop === 'end').length / all.length
}

said(
  'log-probabilities that are taken anew are those that were drawn with, where one session does both',
  async () => {
    const objective = policyGradient(echoModel, echoProcessor, {
      ...{ rows: 16, tokens: 40, completions: 64, answer: 1, loss: dapo({ truncate: 2 }) },
    })
    const events = await ran(echo({ episodes: 1, objective }), await folder(), engines[0]!)
    for (const e of events) if (e.type === 'rl-step') assert.ok(e.metrics.mismatch! < 1e-6)
  },
)

said('a failed verifier takes its completion out, and is counted', async () => {
  const flaky: Reward<Asked> = {
    ...echoReward,
    score: (judged) => () =>
      judged.completion.sample === 3 ? Promise.reject(new Error('no answer')) : echoReward.score(judged)(),
  }
  const events = await ran(echo({ episodes: 3, reward: flaky }), await folder(), engines[0]!)
  for (const g of groupsOf(events)) {
    assert.is(g.judgements[3]!._tag, 'Failed')
    assert.is(g.advantages[3], null)
    assert.is.not(g.advantages[2], null)
  }
  const [first] = episodesOf(events)
  assert.is(first!.failed, first!.completions / 8)
  assert.is(first!.rewards.count, (first!.completions * 7) / 8)
  const warned = events.filter((e) => e.type === 'warned').map((e) => e.message)
  assert.is(warned.filter((w) => /because a verifier failed/.test(w)).length, 1)
})

said(
  'what tokens read as is recorded, and at its end the stage has one table of all completions',
  async () => {
    const at = await folder()
    const groups = groupsOf(await ran(echo({ episodes: 2 }), at, engines[0]!))
    for (const c of groups.flatMap((g) => g.completions)) {
      assert.is(c.texts!.length, c.ids.length)
      assert.is(c.texts!.join(''), c.stop === 'end' ? '</turn>' : c.text)
    }
    const file = await asyncBufferFromFile(join(at, rolloutsTable('echo')))
    const rows = await parquetReadObjects({ file })
    assert.equal(
      rows.map((r) => [r.episode, r.index, r.sample, r.text]),
      groups.flatMap((g) => g.completions.map((c) => [g.episode, g.index, c.sample, c.text])),
    )
  },
)

said('a table that cannot be written is told, and the stage ends all the same', async () => {
  const at = await folder()
  await mkdir(join(at, rolloutsTable('echo')), { recursive: true })
  const events = await ran(echo({ episodes: 1 }), at, engines[0]!)
  assert.ok(events.some((e) => e.type === 'stage-finished'))
  assert.ok(events.some((e) => e.type === 'warned' && /no table of its rollouts was written/.test(e.message)))
})

said.run()

// --- going on -----------------------------------------------------------------------------------------------

const on = suite('reinforcement: going on')

const weightsIn = async (at: string) => orThrow(loadWeights(`${at}/checkpoints/echo/model.safetensors`))
const recordedIn = async (at: string): Promise<string> => {
  const folder_ = join(at, 'rollouts/echo')
  const names = (await readdir(folder_)).filter((n) => n.endsWith('.jsonl')).sort()
  return (await Promise.all(names.map((n) => readFile(join(folder_, n), 'utf8')))).join('')
}

for (const engine of engines)
  on(
    `stopped anywhere and started again: the same weights, and every rollout once, on ${engine.name}`,
    async () => {
      const stage = { episodes: 3 }
      const whole = await folder()
      const plain = await ran(echo(stage, 1, 4), whole, engine)
      const [weights, rollouts] = [await weightsIn(whole), await recordedIn(whole)]
      const marks = plain.flatMap((e, i) => (e.type === 'checkpointed' || e.type === 'episode' ? [i] : []))
      const points =
        engine === engines[0] ? [3, ...marks.slice(0, 3), marks[3]! + 3, marks.at(-1)! - 1] : [marks[2]! + 7]
      for (const point of points) {
        const at = await folder()
        const before = await ran(echo(stage, 1, 4), at, engine, [], (_, n) => n === point)
        const after = await ran(echo(stage, 1, 4), at, engine, before)
        const [got, want] = [await recordedIn(at), rollouts].map((text) => text.split('\n'))
        const first = want!.findIndex((line, i) => line !== got![i])
        assert.ok(
          first < 0 && got!.length === want!.length,
          `stopped at event ${point}: other rollouts are recorded, first\n${got![first]}\nfor\n${want![first]}`,
        )
        for (const [key, { data }] of await weightsIn(at))
          assert.equal(data, weights.get(key)!.data, `${point} ${key}`)
        const drawn = [...groupsOf(before), ...groupsOf(after)].map((g) => g.index)
        assert.equal(drawn, [...drawn.keys()], `${point}: a group was drawn twice`)
      }
    },
  )

/** Each word by itself: is it the one that was asked for? */
const wordByWord: Reward<Asked> = {
  name: 'words',
  config: { kind: 'words' },
  score:
    ({ task, completion: { text, texts = [] } }) =>
    async () => {
      const steps = texts.map((said, i) => {
        const from = texts.slice(0, i).join('').length
        return { from, to: from + said.length, value: Number(said.trim() === task.columns.word) }
      })
      return { _tag: 'Scored', value: Number(text === task.columns.word), evidence: {}, steps }
    },
}

on('with steps that were judged too, which the recorded groups bring back', async () => {
  const objective = policyGradient(echoModel, echoProcessor, {
    ...{ rows: 16, tokens: 40, completions: 64, answer: 3, loss: dapo(), steps: true },
  })
  const policy = trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 16 })
  const stage = (steps: number): EchoSettings => ({
    ...{ episodes: 2, objective, policy, reward: wordByWord, sampling: { maxNewTokens: 3 } },
    advantages: { scale: 'none', steps },
  })
  const final = async (steps: number) => {
    const at = await folder()
    const events = await ran(echo(stage(steps), 1, 2), at, engines[0]!)
    return { events, weights: await weightsIn(at) }
  }
  const [whole, without] = [await final(1), await final(0)]
  const differs = [...whole.weights].some(([key, { data }]) =>
    data.some((x, i) => x !== without.weights.get(key)!.data[i]),
  )
  assert.ok(differs, 'steps are not learnt from')
  const marks = whole.events.flatMap((e, i) => (e.type === 'checkpointed' || e.type === 'episode' ? [i] : []))
  assert.ok(marks.length > 3)
  for (const point of marks.slice(1, 3)) {
    const at = await folder()
    const before = await ran(echo(stage(1), 1, 2), at, engines[0]!, [], (_, n) => n === point)
    await ran(echo(stage(1), 1, 2), at, engines[0]!, before)
    for (const [key, { data }] of await weightsIn(at))
      assert.equal(data, whole.weights.get(key)!.data, `${point} ${key}`)
  }
})

on('recorded rollouts of other tasks are refused', async () => {
  const at = await folder()
  await ran(echo({ episodes: 1 }), at, engines[0]!, [], (e) => e.type === 'episode')
  const other: EchoSettings = {
    tasks: { ...echoTasks, open: (place) => echoTasks.open((place as number | undefined) ?? 7) },
  }
  const failed = await ran(echo({ episodes: 1, ...other }), at, engines[0]!).catch((e: Error) => e.message)
  assert.match(
    failed as string,
    /recorded of episode 0 are of task echo\/0@0 where the tasks now have echo\/7@0/,
  )
})

on('unsubscribing stops the policy within one call, closes the session and the source', async () => {
  const engine = counting(engines[0]!)
  let calls = 0
  let closed = 0
  const watched: Engine = {
    ...engine,
    load: (p, o) =>
      TE.map((session: Awaited<ReturnType<typeof loaded>>) => ({
        ...session,
        call: (name: string, inputs: Parameters<typeof session.call>[1]) => {
          calls++
          return session.call(name, inputs)
        },
      }))(engine.load(p, o)),
  }
  const loaded = () => orThrow(engine.load({} as never))
  const tasks = {
    ...echoTasks,
    async *open(place?: unknown) {
      try {
        yield* echoTasks.open(place)
      } finally {
        closed++
      }
    },
  }
  const events: RunEvent[] = []
  await new Promise<void>((resolve) => {
    const subscription = echo({ episodes: 50, tasks })
      .run(contextIn('/nowhere', watched))
      .subscribe((e) => {
        events.push(e)
        if (e.type === 'group' && e.episode === 1) {
          subscription.unsubscribe()
          const now = calls
          setTimeout(() => {
            assert.ok(calls <= now + 1, `${calls - now} calls after it`)
            resolve()
          }, 300)
        }
      })
  })
  assert.is(engine.open, 0)
  // once by the look at the first task, once by the stage
  assert.is(closed, 2)
})

on.run()

// --- what cannot be -----------------------------------------------------------------------------------------

const refused = suite('reinforcement: what cannot be')
refused.after(remove)

refused('settings that contradict one another are named before any work', () => {
  const of_ = (some: EchoSettings) => messageThrown(() => echoStage(some))
  const sizes = { rollouts: 128, minibatch: 64, updates: 4 }
  assert.match(of_({ group: 1 }), /stage 'echo', group: it is 1; give a whole number from 2/)
  assert.match(of_({ train: [] }), /train: it is .*; give a list of parts, such as \[language\]/)
  assert.match(of_({ train: ['language'] as never }), /train\[0\]: it is .*; give a part of the model/)
  assert.match(of_({ group: 6 }), /episode.rollouts: it is 128, which is no multiple of the group of 6/)
  assert.match(
    of_({ episode: { ...sizes, updates: 3 } }),
    /3 updates of 64 completions are 1.5 passes over 128 rollouts/,
  )
  assert.match(
    of_({ episode: { ...sizes, minibatch: 4, updates: 32 } }),
    /episode.minibatch: it is 4, less than the group of 8/,
  )
  assert.match(
    of_({ sampling: { maxNewTokens: 2 } }),
    /maxNewTokens: it is 2, and the objective takes answers of 1/,
  )
  assert.match(
    of_({ sampling: { maxNewTokens: 1, temperature: 2 } }),
    /temperature: it is 2, and the objective takes log-probabilities at 1/,
  )
  assert.match(of_({ reward: (() => 1) as never }), /reward: it is a function; is it to be called first\?/)
  assert.match(of_({ tasks: { ...echoTasks, config: undefined } }), /tasks.config: it is undefined/)
  assert.match(of_({ epochs: 3 } as never), /stage 'echo', epochs: there is no such setting/)
})

refused(
  'the published schedule is a configuration: 2048 rollouts, 512 an update, 8 updates are two passes',
  () => {
    const stage = echoStage({
      episodes: 3,
      group: 16,
      episode: { rollouts: 2048, minibatch: 512, updates: 8 },
    })
    assert.is(stage.steps, 24)
  },
)

refused('a source without enough tasks, and a first task that does not fit', async () => {
  const few: Task<Asked>[] = []
  for await (const { example } of echoTasks.open()) {
    few.push(example)
    if (few.length === 3) break
  }
  const failure = async (some: EchoSettings) =>
    ran(echo(some), await folder(), engines[0]!).catch((e: Error) => e.message)
  assert.match(
    (await failure({ tasks: listed('few', few) })) as string,
    /its tasks ended in episode 0; .*repeated/,
  )
  assert.match((await failure({ tasks: listed('none', []) })) as string, /tasks: the source has no task/)
  const objective = policyGradient(echoModel, echoProcessor, { rows: 16, tokens: 5, answer: 1, loss: dapo() })
  assert.match(
    (await failure({ objective })) as string,
    /completion echo\/0 has \d+ tokens, prompt and answer, and a row holds 5/,
  )
})

refused('a reward that reads a column which the tasks lack does not compile', () => {
  const picky: Reward<{ readonly word: string; readonly colour: string }> = { ...echoReward } as never
  const numeric: Reward<{ readonly word: number }> = { ...echoReward } as never
  const rest = {
    ...{ name: 'echo', from: 'fresh', to: 'taught', train: Object.values(echoModel.parts), tasks: echoTasks },
    objective: policyGradient(echoModel, echoProcessor, { rows: 1, tokens: 20, answer: 1, loss: dapo() }),
    policy: trainedPolicy(echoModel, echoProcessor, { rows: 1, prompt: 12, capacity: 14 }),
    ...{ group: 8, sampling: { maxNewTokens: 1 }, episodes: 1, learningRate: 1 },
    episode: { rollouts: 8, minibatch: 8, updates: 1 },
  } as const
  // @ts-expect-error: 'the reward reads a column that these tasks do not have': 'colour'
  reinforcement({ ...rest, reward: picky })
  // @ts-expect-error: 'the reward reads a column as another type than these tasks have it': 'word'
  reinforcement({ ...rest, reward: numeric })
  const plain: Reward = { ...echoReward } as never
  reinforcement({ ...rest, reward: plain })
  reinforcement({ ...rest, reward: echoReward })
})

refused.run()
