/** The rollouts of an episode, whatever the order in which a policy answers, and with some of them recorded. */
import { concat, defer, from, mergeMap } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Drawing, drawEpisode, type EpisodeContext } from '../../src/rl/episode.ts'
import type { Completion, Policy, Reward, Task } from '../../src/rl/index.ts'
import type { EventOf } from '../../src/run/index.ts'

const prompt = { id: 'p', ids: [1], lossMask: [false], promptLength: 1, images: [] }
const taskOf = (n: number): Task<{ readonly n: number }> => ({
  ...{ id: `t${n}`, family: 'f', prompt, question: '', columns: { n } },
})
/** Answers the last request first. */
const backwards = () => {
  const asked: string[][] = []
  const policy: Policy = {
    config: 'backwards',
    version: () => 0,
    sample: (requests) => {
      asked.push(requests.map((r) => `${r.task}/${r.sample}`))
      return from(
        [...requests].reverse().map(
          (r): Completion => ({
            ...{ task: r.task, sample: r.sample, promptIds: [1], ids: [2], logProbs: [-1] },
            ...{ text: `${r.task}/${r.sample}`, stop: 'end', version: 0 },
          }),
        ),
      )
    },
  }
  return { policy, asked }
}
/** Groups of tasks whose number is odd have no spread. */
const judging = () => {
  const judged: string[] = []
  const reward: Reward<{ readonly n: number }> = {
    name: 'odd',
    config: 'odd',
    score:
      ({ task, completion }) =>
      async () => {
        judged.push(completion.text)
        return { _tag: 'Scored', value: task.columns.n % 2 === 1 ? 1 : completion.sample, evidence: {} }
      },
  }
  return { reward, judged }
}
const drawn = async (
  some: Partial<Drawing<{ readonly n: number }>>,
  recorded: readonly EventOf<'group'>[] = [],
) => {
  const [{ policy, asked }, { reward, judged }] = [backwards(), judging()]
  let at = 0
  const context: EpisodeContext<{ readonly n: number }> = {
    ...{ episode: 3, policy, asked: 10, recorded, imagesOf: async () => [] },
    next: async (count) => Array.from({ length: count }, () => taskOf(at++)),
  }
  const drawing: Drawing<{ readonly n: number }> = {
    ...{ stage: 'rl', reward, group: 2, sampling: { maxNewTokens: 1 }, groups: 3, rounds: 5, concurrency: 2 },
    ...{ selection: {}, advantages: {} },
    ...some,
  }
  const episode = drawEpisode(drawing, context)
  const events: EventOf<'group'>[] = []
  for (;;) {
    const { value, done } = await episode.next()
    if (done === true) return { ...value, events, rounds: asked, judged }
    events.push(value)
  }
}

const test = suite('episode')

test('tasks are asked again in place of discarded groups, and groups come in the order of tasks', async () => {
  const got = await drawn({})
  // 0, 2 are kept of the first three; 3 is not, 4 is
  assert.equal(
    got.rounds.map((r) => r.length / 2),
    [3, 1, 1],
  )
  assert.equal(got.rounds[1], ['t3@13/0', 't3@13/1'])
  assert.equal(
    got.events.map((e) => [e.index, e.task]),
    [10, 11, 12, 13, 14].map((i) => [i, `t${i - 10}@${i}`]),
  )
  assert.equal(
    got.events.map((e) => e.discarded !== undefined),
    [false, true, false, true, false],
  )
  assert.equal(
    got.groups.map((g) => g.index),
    [10, 11, 12, 13, 14],
  )
  assert.is(got.asked, 15)
})

test('a group is judged as soon as it is whole, while others are still drawn', async () => {
  const { reward, judged } = judging()
  let whole = false
  const policy: Policy = {
    config: 'waits',
    version: () => 0,
    sample: (requests) => {
      const all = requests.map(
        (r): Completion => ({
          ...{ task: r.task, sample: r.sample, promptIds: [1], ids: [2], logProbs: [-1] },
          ...{ text: `${r.task}/${r.sample}`, stop: 'end', version: 0 },
        }),
      )
      // the second task is only answered once the first one has been judged
      const judgedFirst = async (): Promise<readonly Completion[]> => {
        for (let i = 0; i < 1000 && judged.length < 2; i++) await new Promise((r) => setImmediate(r))
        whole = judged.length === 2
        return all.slice(2)
      }
      return concat(from(all.slice(0, 2)), defer(judgedFirst).pipe(mergeMap((rest) => rest)))
    },
  }
  const drawing: Drawing<{ readonly n: number }> = {
    ...{ stage: 'rl', reward, group: 2, sampling: { maxNewTokens: 1 }, groups: 2, rounds: 1, concurrency: 2 },
    ...{ selection: {}, advantages: {} },
  }
  let at = 0
  const episode = drawEpisode(drawing, {
    ...{ episode: 0, policy, asked: 0, recorded: [], imagesOf: async () => [] },
    next: async (count) => Array.from({ length: count }, () => taskOf(at++)),
  })
  for (let next = await episode.next(); next.done !== true; next = await episode.next());
  assert.ok(whole)
})

test('after so many rounds it goes on with what there is', async () => {
  const got = await drawn({ rounds: 2 })
  assert.is(got.groups.filter((g) => g.selection.kept).length, 2)
  assert.is(got.asked, 14)
})

test('a round that is recorded as a whole is not drawn; of one in part what is there is neither judged nor given again', async () => {
  const plain = await drawn({})
  for (const count of [1, 3, 4, 5]) {
    const got = await drawn({}, plain.events.slice(0, count))
    assert.equal(got.groups, plain.groups, `${count}`)
    assert.equal([...plain.events.slice(0, count), ...got.events], plain.events)
    assert.is(got.judged.length, 2 * (5 - count))
    assert.equal(
      got.rounds.map((r) => r.length / 2),
      count === 1 ? [3, 1, 1] : count === 3 ? [1, 1] : count === 4 ? [1] : [],
    )
  }
})

test.run()
