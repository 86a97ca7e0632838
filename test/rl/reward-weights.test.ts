/** Weights of rewards from the command line, by name: `--reward`. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { weighted } from '../../src/rl/index.ts'
import { begin, experiment, fromScratch, next, unmeasured } from '../../src/train/index.ts'
import { echoModel, echoReward, echoStage } from '../support/echo.ts'
import weightedEcho from '../support/experiments/echo-weighted.ts'
import { command, moduleAt } from '../support/program.ts'
import { messageThrown } from '../support/tiny.ts'

const test = suite('weights of rewards by name')
const root = mkdtempSync(join(tmpdir(), 'sailwright-weights-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const weightsOf = (e: typeof weightedEcho) => e.stages!.map((s) => s.reward?.weights)
test('an experiment with other weights is another run, and the first one stays as it is', () => {
  const other = weightedEcho.reweighted!({ answer: 0.5 })
  assert.equal(weightsOf(other), [{ answer: 0.5, brief: 0.1 }])
  assert.equal(weightsOf(weightedEcho), [{ answer: 0.9, brief: 0.1 }])
  assert.not.equal(other.recipe, weightedEcho.recipe)
  assert.equal(weightedEcho.reweighted!({ answer: 0.9 }).recipe, weightedEcho.recipe)
})

test('a name without a stage is of each stage that has it; one with a stage is of that one, whatever comes first', () => {
  const stage = echoStage({ reward: weighted({ answer: echoReward }, { answer: 0.9 }) })
  const second = {
    ...echoStage({ name: 'more', reward: weighted({ answer: echoReward }, { answer: 0.7 }) }),
    from: 'taught',
    to: 'better',
  } as const
  const two = experiment(
    pipe(
      begin({ name: 'two', seed: 1, model: echoModel, start: fromScratch, now: 'fresh' }),
      next(stage),
      next(second),
    ),
    unmeasured,
  )
  assert.equal(weightsOf(two.reweighted!({ answer: 0.2 })), [{ answer: 0.2 }, { answer: 0.2 }])
  assert.equal(weightsOf(two.reweighted!({ 'more/answer': 0.3, answer: 0.2 })), [
    { answer: 0.2 },
    { answer: 0.3 },
  ])
  assert.equal(weightsOf(two.reweighted!({ 'more/answer': 0.3 })), [{ answer: 0.9 }, { answer: 0.3 }])
})

test('what is none is told with what there is', () => {
  const of_ = (weights: Readonly<Record<string, number>>) =>
    messageThrown(() => weightedEcho.reweighted!(weights))
  assert.match(
    of_({ anser: 1 }),
    /reward anser: there is no such weight: echo has answer \(0\.9\), brief \(0\.1\).*Did you mean 'answer'/,
  )
  assert.match(of_({ 'echo/brif': 1 }), /Did you mean 'echo\/brief'/)
  assert.match(of_({ answer: Number.NaN }), /finite/)
  const plain = experiment(
    pipe(
      begin({ name: 'plain', seed: 1, model: echoModel, start: fromScratch, now: 'fresh' }),
      next(echoStage()),
    ),
    unmeasured,
  )
  assert.match(
    messageThrown(() => plain.reweighted!({ answer: 1 })),
    /no stage has a reward with weights/,
  )
})

const run = (...words: readonly string[]) =>
  spawnSync(
    process.execPath,
    [...command, 'run', moduleAt('test/support/experiments/echo-weighted.ts'), '--engine', 'onnx', ...words],
    { encoding: 'utf8' },
  )

test('the command reads them, keeps them in the manifest, and takes another weight for another run', () => {
  const out = join(root, 'run')
  const done = run('--out', out, '--reward', 'brief=0.4', '--reward', 'echo/answer=0.6')
  assert.is(done.status, 0, done.stderr)
  const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'))
  assert.equal(manifest.rewards, { brief: 0.4, 'echo/answer': 0.6 })
  assert.equal(manifest.recipe.stages[0].reward.weights, { answer: 0.6, brief: 0.4 })
  const other = run('--out', out, '--reward', 'brief=0.4')
  assert.is(other.status, 2)
  assert.match(other.stderr, /weights\.answer: 0\.6.* 0\.9/)
})

test('the command refuses what is no weight, before work begins', () => {
  const refused = (word: string): string => {
    const { status, stderr } = run('--out', join(root, 'none'), '--reward', word)
    assert.is(status, 2, stderr)
    return stderr
  }
  assert.match(refused('anser=1'), /echo has answer \(0\.9\), brief \(0\.1\)/)
  assert.match(
    refused('answer=much'),
    /--reward takes name=weight, such as answer=0\.8, and not 'answer=much'/,
  )
})

test.run()
