/** Reinforcement of a model that sees: the completions of a task share its image, which is kept once. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { listed, repeated } from '../../src/data/index.ts'
import {
  gspo,
  policyGradient,
  type Reward,
  reinforcement,
  type Task,
  trainedPolicy,
} from '../../src/rl/index.ts'
import type { RunEvent } from '../../src/run/index.ts'
import { begin, experiment, fromScratch, next, unmeasured } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { contextIn, tinyConversation, tinyModel, tinyProcessor } from '../support/tiny.ts'

const [engine] = await hostEngines()

const tasks: readonly Task[] = [0, 1, 2].map((i) => ({
  ...{ id: `seen/${i}`, family: `f${i % 2}`, prompt: tinyConversation(i), question: '?', columns: {} },
}))
/** Even tokens are good: something differs in every group. */
const even: Reward = {
  name: 'even',
  config: 'even',
  score:
    ({ completion: { ids } }) =>
    async () => ({ _tag: 'Scored', value: ids.filter((id) => id % 2 === 0).length, evidence: {} }),
}

const test = suite('reinforcement: a model that sees')

test('an episode of images: rollouts, updates of all parts, images kept once a task', async () => {
  const longest = Math.max(...tasks.map((t) => t.prompt.promptLength))
  const stage = reinforcement({
    ...{ name: 'see', from: 'fresh', to: 'taught', train: Object.values(tinyModel.parts) },
    objective: policyGradient(tinyModel, tinyProcessor, {
      ...{ rows: 4, tokens: longest + 4, images: 3, completions: 4, answer: 4, loss: gspo() },
    }),
    policy: trainedPolicy(tinyModel, tinyProcessor, { rows: 4, prompt: longest, capacity: longest + 4 }),
    ...{ tasks: repeated(listed('seen', tasks)), reward: even, group: 4, sampling: { maxNewTokens: 4 } },
    ...{ episodes: 2, episode: { rollouts: 16, minibatch: 8, updates: 2, rounds: 3 }, learningRate: 1e-3 },
  })
  const run = experiment(
    pipe(begin({ name: 'see', seed: 2, model: tinyModel, start: fromScratch, now: 'fresh' }), next(stage)),
    unmeasured,
    { checkpointEvery: 0 },
  )
  const saved: string[] = []
  const { mkdtemp, rm } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const folder = await mkdtemp(`${tmpdir()}/sailwright-see-`)
  try {
    const context = {
      ...contextIn(folder, engine!),
      saveImage: (name: string) => {
        saved.push(name)
        return TE.right(`images/${name}.png`)
      },
    }
    const events: readonly RunEvent[] = await lastValueFrom(run.run(context).pipe(toArray()))
    const groups = events.filter((e) => e.type === 'group')
    assert.ok(groups.length >= 8)
    // a task that is asked again is another task, with the same image
    assert.is(new Set(groups.map((g) => g.task)).size, groups.length)
    for (const g of groups) assert.equal(g.images, [`images/see/${g.task.split('@')[0]}/0.png`])
    assert.equal(saved, ['see/seen/0/0', 'see/seen/1/0', 'see/seen/2/0'])
    const steps = events.filter((e) => e.type === 'step')
    assert.is(steps.length, 4)
    for (const s of steps) assert.ok(s.gradientNorm > 0)
    const episode = events.find((e) => e.type === 'episode')
    assert.equal(Object.keys(episode!.families), ['f0', 'f1'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test.run()
