/** What a stage of reinforcement may have besides: a reference, adapters, averages, a search, held-out tasks; and that it goes on from any update with them. */
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { keys, parametersOf } from '../../src/dsl/index.ts'
import { isReferenceKey, loraKeys } from '../../src/optim/index.ts'
import { dapo, grpo, type PolicyLoss, policyGradient, trainedPolicy } from '../../src/rl/index.ts'
import { type RunEvent, withoutRepeats } from '../../src/run/index.ts'
import { loadWeights, orThrow, withLora } from '../../src/train/index.ts'
import {
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

const engines = await hostEngines()
const { folder, remove } = temporaryFolders('sailwright-rl-options-')

const objectiveOf = (loss: PolicyLoss, more: { readonly entropyBonus?: number } = {}) =>
  policyGradient(echoModel, echoProcessor, {
    ...{ rows: 16, tokens: 40, completions: 64, answer: 1, loss },
    ...more,
  })

const projections = keys('projections', '**_proj.weight')
const matrices = keys('matrices', '**_proj.weight', '**embed_tokens.weight')
const adapters: EchoSettings = {
  train: [loraKeys],
  transforms: [withLora({ rank: 4, alpha: 8, on: matrices })],
}
const validation: EchoSettings['validation'] = { tasks: echoTasks, count: 12, every: 3 }
const metric = (events: readonly RunEvent[], name: string): readonly number[] =>
  events.flatMap((e) => (e.type === 'rl-step' ? [e.metrics[name]!] : []))
const rewards = (events: readonly RunEvent[]): readonly number[] =>
  events.flatMap((e) => (e.type === 'episode' ? [e.rewards.mean] : []))
const weightsIn = async (at: string) => orThrow(loadWeights(`${at}/checkpoints/echo/model.safetensors`))

const test = suite(`reinforcement: what a stage may have, on ${engines.map((e) => e.name).join(' and ')}`)
test.after(remove)

for (const engine of engines)
  test(`a penalty on leaving the reference holds the policy near to where the stage began, on ${engine.name}`, async () => {
    const of_ = async (referenceKl: number) =>
      ran(echo({ episodes: 3, objective: objectiveOf(grpo({ referenceKl })) }), await folder(), engine)
    const [free, held] = [await of_(0), await of_(2)]
    // the first update is under the weights that the reference has
    assert.ok(metric(free, 'referenceKl')[0]! < 1e-6)
    const [far, near] = [metric(free, 'referenceKl').at(-1)!, metric(held, 'referenceKl').at(-1)!]
    // it is of the stage's beginning and not of the episode's: it grows over the episodes
    assert.ok(far > 0.02 && far > 2 * metric(free, 'referenceKl')[3]!, `${metric(free, 'referenceKl')}`)
    assert.ok(near < far / 3, `${near} of ${far}`)
  })

test('the stage names the processor of its objective, with which its weights are talked to and exported', async () => {
  assert.is(echoStage({ objective: objectiveOf(dapo()) }).processor, echoProcessor)
})

test('the reference is states of the program that no checkpoint at the end has', async () => {
  const at = await folder()
  const stage = echoStage({ objective: objectiveOf(grpo({ referenceKl: 0.1 })) })
  const states = [...stage.program({}).program.states.keys()]
  const kept = states.filter(isReferenceKey)
  assert.is(kept.length, parametersOf(echoModel.graph()).size)
  await ran(echo({ episodes: 1, objective: objectiveOf(grpo({ referenceKl: 0.1 })) }), at, engines[0]!)
  assert.is([...(await weightsIn(at)).keys()].filter(isReferenceKey).length, 0)
})

for (const engine of engines)
  test(`adapters alone learn, are drawn with, and are handed on inside the weights, on ${engine.name}`, async () => {
    const at = await folder()
    const loss = dapo({ truncate: 2 })
    const settings: EchoSettings = {
      ...adapters,
      episodes: 8,
      learningRate: 5e-2,
      objective: objectiveOf(loss),
    }
    const stage = echoStage(settings)
    assert.ok(stage.program({}).trained.every(loraKeys.has))
    const events = await ran(echo(settings), at, engine)
    // what draws has the adapters: log-probabilities taken anew by the loss's own graph are those drawn with
    assert.ok(Math.max(...metric(events, 'mismatch')) < 1e-5, `${metric(events, 'mismatch')}`)
    const [first, last] = [rewards(events)[0]!, rewards(events).at(-1)!]
    assert.ok(last > first + 0.1, `${rewards(events)}`)
    const whole = await weightsIn(at)
    assert.equal([...whole.keys()].filter(loraKeys.has), [])
    await access(join(at, 'checkpoints/echo/adapter/adapter_config.json'))
  })

test('where adapters alone learn, the reference is the model without them', async () => {
  const settings: EchoSettings = {
    ...adapters,
    episodes: 2,
    learningRate: 5e-2,
    objective: objectiveOf(grpo({ referenceKl: 0 })),
  }
  const states = [...echoStage(settings).program({}).program.states.keys()]
  assert.equal(states.filter(isReferenceKey), [])
  const kl = metric(await ran(echo(settings), await folder(), engines[0]!), 'referenceKl')
  assert.ok(kl[0]! < 1e-6 && kl.at(-1)! > 1e-3, `${kl}`)
})

test('averages of the weights are kept beside them', async () => {
  const at = await folder()
  await ran(echo({ episodes: 2, ema: 0.9 }), at, engines[0]!)
  const [last, mean] = [
    await weightsIn(at),
    await orThrow(loadWeights(`${at}/checkpoints/echo/ema.safetensors`)),
  ]
  const key = [...last.keys()].find((k) => k.endsWith('q_proj.weight'))!
  assert.not.equal(mean.get(key)!.data, last.get(key)!.data)
})

const searching: EchoSettings = { adaLrs: { window: 3, search: [0, 0.95], error: 0 }, learningRate: 2e-2 }

test('a search for the learning rate goes by the reward of episodes', async () => {
  const events = await ran(echo({ ...searching, episodes: 30 }), await folder(), engines[0]!)
  const decisions = events.filter((e) => e.type === 'ada-lrs')
  assert.ok(decisions.length >= 3, `${decisions.length}`)
  assert.ok(
    decisions.some((d) => d.scale !== 1),
    `${decisions.map((d) => d.decision)}`,
  )
  let scale = 1
  for (const e of events) {
    if (e.type === 'ada-lrs') scale = e.scale
    if (e.type === 'step') assert.ok(Math.abs(e.learningRate - 2e-2 * scale) < 1e-12)
  }
  // a velocity is how fast minus the reward falls: the slope of the window's rewards
  const first = decisions[0]!
  const [a, , c] = rewards(events)
  assert.ok(Math.abs(first.velocity! - (c! - a!) / 2) < 1e-9, `${first.velocity}`)
})

test('a search by the loss goes by the mean of an episode’s updates', async () => {
  const adaLrs = { ...searching.adaLrs, on: 'loss' as const }
  const run = echo({ ...searching, adaLrs, episodes: 30 })
  const events = await ran(run, await folder(), engines[0]!, [], (e) => e.type === 'ada-lrs')
  const losses = events.flatMap((e) => (e.type === 'step' ? [e.loss] : []))
  assert.is(losses.length, 12)
  const mean = (episode: number): number =>
    losses.slice(4 * episode, 4 * episode + 4).reduce((a, b) => a + b / 4, 0)
  const [decided] = events.slice(-1)
  assert.ok(decided?.type === 'ada-lrs')
  assert.ok(Math.abs(decided.velocity! - (mean(0) - mean(2)) / 2) < 1e-9, `${decided.velocity}`)
})

test('what was waited for an episode’s answers is told with its first update', async () => {
  const events = await ran(echo({ episodes: 1 }), await folder(), engines[0]!)
  const [first, ...others] = events.flatMap((e) => (e.type === 'step' ? [e.dataSeconds] : []))
  assert.ok(first! > 0)
  assert.equal(others, [0, 0, 0])
})

test('held-out tasks are asked before the first update and after every so many, greedily', async () => {
  const events = await ran(echo({ episodes: 3, validation }), await folder(), engines[0]!)
  const all = events.filter((e) => e.type === 'validated')
  assert.equal(
    all.map((e) => e.step),
    [0, 3, 6, 9, 12],
  )
  assert.ok(all.every((e) => e.rewards.count === 12 && e.families.echo!.count === 12 && e.length === 1))
  assert.ok(all.at(-1)!.rewards.mean > all[0]!.rewards.mean)
  // it comes behind the step that it measures
  const third = events.findIndex((e) => e.type === 'rl-step' && e.step === 3)
  assert.is(events.slice(third + 1).find((e) => e.type !== 'warned')!.type, 'validated')
  const without = await ran(echo({ episodes: 3 }), await folder(), engines[0]!)
  // asking changes nothing
  assert.equal(
    events.flatMap((e) => (e.type === 'step' ? [e.loss] : [])),
    without.flatMap((e) => (e.type === 'step' ? [e.loss] : [])),
  )
})

test('a policy may ask for its version while it is made', async () => {
  const versions: number[] = []
  const policy = trainedPolicy(echoModel, echoProcessor, { rows: 32, prompt: 12, capacity: 14 })
  const asking: typeof policy = {
    ...policy,
    on: (session, about) => {
      versions.push(about.version())
      return policy.on(session, about)
    },
  }
  await ran(echo({ episodes: 1, policy: asking }), await folder(), engines[0]!)
  assert.equal(versions, [0])
})

test('an entropy bonus keeps the policy from always drawing the same', async () => {
  const of_ = async (entropyBonus: number) =>
    metric(
      await ran(
        echo({ episodes: 6, objective: objectiveOf(dapo(), { entropyBonus }) }),
        await folder(),
        engines[0]!,
      ),
      'entropy',
    ).at(-1)!
  const [without, withBonus] = [await of_(0), await of_(1)]
  assert.ok(withBonus > 1.5 * without, `${withBonus} and ${without}`)
})

test('a family weighs as much as it is told to', async () => {
  const events = await ran(
    echo({ episodes: 2, advantages: { families: { echo: 0 } } }),
    await folder(),
    engines[0]!,
  )
  assert.ok(events.flatMap((e) => (e.type === 'step' ? [e.gradientNorm] : [])).every((n) => n === 0))
})

test('a family that is weighted and that no task has is told after the first episode', async () => {
  const families = { ecko: 2, echo: 1 }
  const events = await ran(echo({ episodes: 2, advantages: { families } }), await folder(), engines[0]!)
  const told = events.flatMap((e) => (e.type === 'warned' && /families/.test(e.message) ? [e.message] : []))
  assert.is(told.length, 1)
  assert.match(
    told[0]!,
    /advantages\.families names 'ecko', and none of the first \d+ tasks is of that family/,
  )
  assert.match(told[0]!, /they are of echo\. Did you mean 'echo'\?/)
})

test('a prompt longer than the policy reads is refused before the first step, where the first tasks show it', async () => {
  /** The task at a place is longer. */
  const longAt = (place: number): EchoSettings['tasks'] => ({
    config: { kind: 'one is long' },
    async *open(from) {
      let at = 0
      for await (const { example, next } of echoTasks.open(from)) {
        const ids = [...example.prompt.ids, ...Array<number>(at++ === place ? 20 : 0).fill(6)]
        const prompt = { ...example.prompt, ids, promptLength: ids.length, lossMask: ids.map(() => false) }
        yield { example: { ...example, prompt }, next }
      }
    },
  })
  const refused = async (place: number): Promise<readonly [string, number]> => {
    let steps = 0
    const stage = echo({ episodes: 2, tasks: longAt(place) })
    const count = (e: { readonly type: string }) => {
      steps += Number(e.type === 'step')
    }
    const at = await folder()
    const message = await ran(stage, at, engines[0]!, [], undefined, count).then(
      () => '',
      (e: Error) => e.message,
    )
    return [message, steps]
  }
  const [early, before] = await refused(15)
  assert.match(
    early,
    /^stage 'echo', policy: task echo\/15: its prompt has \d+ tokens, and the policy reads 12;/,
  )
  assert.is(before, 0)
  const [late] = await refused(16 * 3)
  assert.match(late, /^stage 'echo': task echo\/48@48: its prompt has \d+ tokens, and the policy reads 12;/)
})

test('an episode without an update leaves the course of the learning rate as it is', async () => {
  // of the first episode, whose three rounds ask 48 tasks, all rewards are alike
  const late: EchoSettings['reward'] = {
    ...echoReward,
    score: (judged) =>
      Number(judged.task.id.split('@')[1]) < 48
        ? async () => ({ _tag: 'Scored', value: 0, evidence: {} })
        : echoReward.score(judged),
  }
  const events = await ran(
    echo({ episodes: 2, reward: late, schedule: { kind: 'linear', minRatio: 0 } }),
    await folder(),
    engines[0]!,
  )
  const steps = events.flatMap((e) => (e.type === 'step' ? [[e.step, e.learningRate / 2e-2] as const] : []))
  assert.equal(
    steps.map(([step]) => step),
    [5, 6, 7, 8],
  )
  const whole = await ran(
    echo({ episodes: 2, schedule: { kind: 'linear', minRatio: 0 } }),
    await folder(),
    engines[0]!,
  )
  const rates = whole.flatMap((e) => (e.type === 'step' ? [e.learningRate / 2e-2] : []))
  assert.equal(
    steps.map(([, rate]) => rate),
    rates.slice(4),
  )
  for (const [i, rate] of rates.entries())
    assert.ok(Math.abs(rate - (1 - (i + 1) / 8)) < 1e-12, `${i}: ${rate}`)
})

// --- going on -------------------------------------------------------------------------------------------------

const recordedIn = async (at: string): Promise<string> => {
  const names = (await readdir(join(at, 'rollouts/echo'))).filter((n) => n.endsWith('.jsonl')).sort()
  return (await Promise.all(names.map((n) => readFile(join(at, 'rollouts/echo', n), 'utf8')))).join('')
}

const cases: readonly (readonly [string, EchoSettings])[] = [
  ['a reference', { objective: objectiveOf(grpo({ referenceKl: 0.1 })) }],
  ['log-probabilities taken anew', { objective: objectiveOf(dapo({ truncate: 2 })) }],
  ['adapters, averages and held-out tasks', { ...adapters, ema: 0.9, validation }],
]
for (const [what, some] of cases)
  test(`stopped between two updates of an episode and started again, with ${what}: the same bits`, async () => {
    const settings = { ...some, episodes: 3 }
    const run = () => echo(settings, 1, 1)
    const whole = await folder()
    const plain = await ran(run(), whole, engines[0]!)
    const weights = await weightsIn(whole)
    const marks = plain.flatMap((e, i) => (e.type === 'checkpointed' && e.step < 12 ? [i] : []))
    // a checkpoint behind each update but the last
    assert.equal(
      plain.flatMap((e) => (e.type === 'checkpointed' ? [e.step] : [])),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    )
    for (const point of what === cases[0]![0] ? [marks[1]!, marks[5]! + 2] : [marks[5]! + 2]) {
      const at = await folder()
      const before = await ran(run(), at, engines[0]!, [], (_, n) => n === point)
      const after = await ran(run(), at, engines[0]!, before)
      const done = before.findLast((e) => e.type === 'checkpointed')!.step
      const again = after.flatMap((e) => (e.type === 'step' ? [e.step] : []))
      assert.is(again[0], done + 1, `stopped at event ${point}`)
      assert.ok((await recordedIn(at)) === (await recordedIn(whole)), `${point}: other rollouts`)
      for (const [key, { data }] of await weightsIn(at))
        assert.equal(data, weights.get(key)!.data, `${point} ${key}`)
      const told = (events: readonly RunEvent[]) =>
        events.flatMap((e) =>
          e.type === 'step'
            ? [[e.step, e.loss, e.samples]]
            : e.type === 'validated'
              ? [['v', e.step, e.rewards.mean]]
              : e.type === 'episode'
                ? [['e', e.episode]]
                : [],
        )
      const both = withoutRepeats([...before, ...after])
      assert.equal(told(both), told(plain))
      const seconds = both.flatMap((e) => (e.type === 'step' ? [e.seconds] : []))
      assert.equal(
        seconds,
        seconds.toSorted((a, b) => a - b),
        'seconds go on',
      )
      const end = (events: readonly RunEvent[]) => events.find((e) => e.type === 'stage-finished')?.loss
      assert.is(end(after), end(plain))
      assert.is(end(plain), plain.findLast((e) => e.type === 'step')!.loss)
    }
  })

test('a search goes on from its last mark: the same bits', async () => {
  const run = () => echo({ ...searching, episodes: 20 }, 1, 5)
  const whole = await folder()
  const plain = await ran(run(), whole, engines[0]!)
  const weights = await weightsIn(whole)
  const marks = plain.flatMap((e, i) => (e.type === 'checkpointed' && e.step < 80 ? [i] : []))
  // at the first mark behind every fifth update: its windows are twelve
  const kept = plain.flatMap((e) => (e.type === 'checkpointed' && e.step < 80 ? [e.step] : []))
  assert.ok(
    kept.some((step) => step % 5 !== 0),
    `${kept}`,
  )
  const at = await folder()
  const before = await ran(run(), at, engines[0]!, [], (_, n) => n === marks[0]! + 9)
  await ran(run(), at, engines[0]!, before)
  for (const [key, { data }] of await weightsIn(at)) assert.equal(data, weights.get(key)!.data, key)
})

test('rollouts that the checkpoint has learnt from and that are gone are an error', async () => {
  const at = await folder()
  const run = () => echo({ episodes: 2 }, 1, 1)
  const before = await ran(run(), at, engines[0]!, [], (e) => e.type === 'checkpointed' && e.step === 6)
  await writeFile(join(at, 'rollouts/echo/1.jsonl'), '').catch(() => undefined)
  for (const n of await readdir(join(at, 'rollouts/echo')))
    if (/1\.jsonl$/.test(n)) await rm(join(at, 'rollouts/echo', n))
  const failed = await ran(run(), at, engines[0]!, before).catch((e: Error) => e.message)
  assert.match(failed as string, /groups of episode 1 are not in rollouts\/ any more/)
})

// --- what cannot be -------------------------------------------------------------------------------------------

test('settings that are none are named', () => {
  const of_ = (some: object) => messageThrown(() => echoStage(some as EchoSettings))
  assert.match(
    of_({ advantages: { scale: 'batch' } }),
    /advantages.scale: it is 'batch'; give 'std' or 'none'/,
  )
  assert.match(
    of_({ advantages: { epsilon: -1 } }),
    /advantages.epsilon: it is -1; give a finite number from 0/,
  )
  assert.match(of_({ advantages: { std: true } }), /advantages\.std: there is no such setting/)
  assert.match(of_({ selection: { least: 9 } }), /selection.least: it is 9, and a group has 8 completions/)
  assert.match(of_({ filterOverlong: 'yes' }), /filterOverlong: it is 'yes'; give true or false/)
  assert.match(of_({ optimizer: 'adam' }), /optimizer: it is 'adam'; give an optimizer/)
  assert.match(
    of_({ transforms: withLora({ rank: 1, alpha: 1, on: projections }) }),
    /transforms: it is a record; give a list/,
  )
  assert.match(of_({ ema: 1 }), /ema: it is 1; give a decay/)
  assert.match(of_({ adaLrs: { on: 'kl' } }), /adaLrs.on: it is 'kl'; give 'reward' or 'loss'/)
  for (const adaLrs of [null, 'loss', 3, []] as unknown[])
    assert.match(of_({ adaLrs }), /adaLrs: it is .*; give a record of settings, such as \{\}/)
  assert.match(of_({ adaLrs: { alpha: 0.5 } }), /adaLrs\.alpha: .* \(its steps are the stage's 30 episodes\)/)
  assert.match(of_({ validation: { tasks: echoTasks, count: 0, every: 1 } }), /validation.count: it is 0/)
  assert.match(
    of_({ validation: { tasks: echoTasks, count: 4, every: 1, samples: 3 } }),
    /validation.samples: there is no such/,
  )
  assert.match(of_({ checkpointEvery: 0.5 }), /checkpointEvery: it is 0.5; give a whole number from 0/)
})

test.run()
