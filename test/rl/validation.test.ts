/** Held-out tasks: which are asked and how, and what is said of their answers. */
import { from, lastValueFrom } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { listed, type Source } from '../../src/data/index.ts'
import { type Policy, type Request, type Reward, type Task, trainedPolicy } from '../../src/rl/index.ts'
import { checkedValidation, heldOutTasks, validated } from '../../src/rl/validation.ts'
import { echoModel, echoProcessor } from '../support/echo.ts'
import { messageThrown } from '../support/tiny.ts'

const test = suite('rl: held-out tasks')

const prompt = { id: 'p', ids: [1], lossMask: [false], promptLength: 1, images: [] }
/** What is answered to a task: so many tokens, and what that is worth; undefined where it cannot be judged. */
type Answered = { readonly tokens: number; readonly cut: boolean; readonly worth: number | undefined }
const taskOf = (family: string, tokens: number, worth: number | undefined, cut = false): Task<Answered> => ({
  ...{ id: 'same', family, prompt, question: '?' },
  columns: { tokens, cut, worth },
})
const all = [
  taskOf('b', 1, 1),
  taskOf('a', 2, undefined, true),
  taskOf('b', 3, 0),
  taskOf('a', 4, 0.5, true),
  taskOf('c', 7, undefined),
]

test('their rewards, all and by family; how long answers are, how many were cut off and could not be judged', async () => {
  const tasks = await heldOutTasks('here', { tasks: listed('all', all), count: 5 })
  const asked: Request[][] = []
  const policy: Policy = {
    ...{ config: 'fake', version: () => 3 },
    sample: (requests) => {
      asked.push([...requests])
      return from(
        requests.map((r) => {
          const { tokens, cut } = tasks.find((t) => t.id === r.task)!.columns
          return {
            ...{ task: r.task, sample: r.sample, promptIds: [1], ids: Array<number>(tokens).fill(2) },
            ...{ logProbs: Array<number>(tokens).fill(-1), text: '', version: 3 },
            stop: cut ? ('length' as const) : ('end' as const),
          }
        }),
      )
    },
  }
  let [now, most] = [0, 0]
  const reward: Reward<Answered> = {
    ...{ name: 'worth', config: 'worth' },
    score:
      ({ task }) =>
      async () => {
        most = Math.max(most, ++now)
        await new Promise((go) => setImmediate(go))
        now--
        const { worth } = task.columns
        return worth === undefined
          ? { _tag: 'Abstained', why: 'nobody knows' }
          : { _tag: 'Scored', value: worth, evidence: {} }
      },
  }
  const sampling = { maxNewTokens: 8, temperature: 0 }
  const { seconds, ...told } = await lastValueFrom(
    validated<Answered>({ stage: 's', policy, reward, sampling, concurrency: 2 }, tasks, 7),
  )
  assert.ok(seconds >= 0)
  assert.equal(told, {
    ...{ type: 'validated', stage: 's', step: 7 },
    rewards: { mean: 0.5, std: 0.5, count: 3 },
    families: {
      a: { mean: 0.5, std: 0, count: 1 },
      b: { mean: 0.5, std: Math.SQRT1_2, count: 2 },
    },
    ...{ length: 17 / 5, truncated: 2 / 5, unjudged: 2 },
  })
  assert.equal(Object.keys(told.families), ['a', 'b'])
  // each once, all at once
  assert.equal(
    asked.map((requests) => requests.map((r) => r.sample)),
    [[0, 0, 0, 0, 0]],
  )
  assert.is(most, 2)
})

test('the first of their source, under ids of their own, and the source is closed behind them', async () => {
  let closed = 0
  const source: Source<Task<Answered>> = {
    config: 'endless',
    async *open() {
      try {
        for (let i = 0; ; i++) yield { example: taskOf('f', 1, i), next: i + 1 }
      } finally {
        closed++
      }
    },
  }
  const tasks = await heldOutTasks('here', { tasks: source, count: 3 })
  assert.equal(
    tasks.map((t) => t.columns.worth),
    [0, 1, 2],
  )
  // what is drawn for a task depends on its id: theirs are no task's that is learnt from, nor each other's
  assert.is(new Set(['same', ...tasks.map((t) => t.id)]).size, 4)
  assert.is(closed, 1)
  const few = await heldOutTasks('here', { tasks: listed('all', all), count: 6 }).catch(
    (e: Error) => e.message,
  )
  assert.match(few as string, /here, validation.tasks: the source has 5 tasks, and count is 6/)
})

test('they are answered greedily where nothing else is said; what determines them is said', () => {
  const policy = trainedPolicy(echoModel, echoProcessor, { rows: 4, prompt: 12, capacity: 14 })
  const given = { tasks: listed('all', all), count: 2, every: 5 }
  const of = (more: object = {}) => checkedValidation('here', { ...given, ...more }, 2, policy)
  assert.equal(of().sampling, { maxNewTokens: 2, temperature: 0 })
  assert.is(of().atStart, true)
  const sampling = { maxNewTokens: 1, temperature: 0.5 }
  assert.equal(of({ atStart: false, sampling }).config, {
    ...{ tasks: given.tasks.config, count: 2, every: 5, atStart: false, sampling },
  })
  assert.match(
    messageThrown(() => of({ sampling: { maxNewTokens: 3 } })),
    /validation.sampling.maxNewTokens: it is 3, and a prompt of 12 tokens leaves 2/,
  )
  assert.match(
    messageThrown(() => of({ every: 0 })),
    /validation.every: it is 0; give a whole number from 1/,
  )
})

test.run()
