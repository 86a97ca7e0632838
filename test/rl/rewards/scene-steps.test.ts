/** Steps of thoughts judged one by one, and what tokens are worth by them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Judgement,
  type Scored,
  sceneSteps,
  scored,
  stepAdvantages,
  stepsOf,
} from '../../../src/rl/index.ts'
import { describeSample, type Family, type Level, type Scene, stepRules } from '../../../src/tasks/index.ts'
import { completionOf, judge, scoreOf } from '../../support/judged.ts'

const test = suite('rl: steps of thoughts')

const reward = sceneSteps<Scene>(stepRules)
const described = (family: Family, level: Level, i: number) =>
  describeSample(family, level, 'train', `steps/${i}`)
const of = (scene: Scene, thinking: string) =>
  judge(reward, `<think>${thinking}</think>\\boxed{0}`, { scene })

/** The steps of a judgement as they are written in `<think>…`. */
const written = (j: Judgement, thinking: string) =>
  (j as Scored).steps!.map(({ from, to, value }) => [`<think>${thinking}`.slice(from, to), value] as const)
const wrongOf = (j: Judgement, thinking: string) =>
  written(j, thinking).flatMap(([said, value]) => (value === 0 ? [said] : []))

test('all steps of the true thought hold, and each lies where it is written', async () => {
  for (const family of ['arithmetic', 'chart', 'count'] as const)
    for (const level of [1, 2, 3, 4] as const)
      for (let i = 0; i < 20; i++) {
        const d = described(family, level, i)
        const j = await of(d.scene, d.steps)
        assert.is(scoreOf(j), 1, `${d.id}: ${d.steps}: ${wrongOf(j, d.steps)}`)
        const said = written(j, d.steps).map(([text]) => text)
        assert.is(said.join('').replaceAll(/[ ,]/g, ''), d.steps.replaceAll(/[ ,]/g, ''), d.id)
      }
})

test('a wrong step alone does not hold: what follows from it does', async () => {
  const count = described('count', 3, 1)
  const digits = [...count.steps].map(Number)
  const at = digits.findIndex((d, i) => i > 2 && i < 12 && d < 9)
  const more = digits.map((d, i) => (i < at ? d : d + 1)).join('')
  if (!/\d{17}/.test(more)) assert.equal(wrongOf(await of(count.scene, more), more), [more[at]])
  const chart = described('chart', 4, 2)
  const misread = chart.steps.replace(/=\d+/, '=99')
  assert.ok(wrongOf(await of(chart.scene, misread), misread)[0]!.endsWith('=99'))
  const sum = { ...described('arithmetic', 2, 0).scene, a: 47, b: 38, sign: '+' } as Scene
  const copied = '48+38: 8+8=16, 4+3+1=8'
  assert.equal(wrongOf(await of(sum, copied), copied), ['8'])
  const added = '47+38: 7+8=16, 4+3+1=8'
  assert.equal(wrongOf(await of(sum, added), added), [' 7+8=16,'])
})

test('no thought is worth nothing, strange ones are judged, and a family without a rule is not', async () => {
  const { scene } = described('chart', 3, 0)
  assert.is(scoreOf(await judge(reward, '\\boxed{3}', { scene })), 0)
  assert.is(scoreOf(await of(scene, '')), 0)
  for (const family of ['arithmetic', 'chart', 'count'] as const)
    for (const odd of ['=', '::::', 'A=1'.repeat(5000), '9'.repeat(5000), '1+1: ,,,:', '-1+-2:'])
      assert.ok(scoreOf(await of(described(family, 3, 0).scene, odd)) < 1, `${family}: ${odd.slice(0, 9)}`)
  assert.is((await of(described('read', 1, 0).scene, 'K'))._tag, 'Abstained')
})

const stepped = (...values: readonly number[]): Judgement => ({
  ...scored(0),
  parts: {
    inner: { ...scored(0), steps: values.map((value, i) => ({ from: 2 * i, to: 2 * i + 2, value })) },
  },
})

test('a step is compared with the same step of the others, and a token is worth what its step is', () => {
  const two = ['aabb', 'ccdd'].map((text) =>
    completionOf(text, { ids: [1, 2, 3], texts: [text[0]!, text.slice(1, 3), text[3]!] }),
  )
  const judged = [stepped(1, 1), stepped(0, 1)]
  assert.equal(
    stepsOf(judged[1]!).map((s) => s.value),
    [0, 1],
  )
  // the second step holds in both
  assert.equal(stepAdvantages(two, judged, { scale: 'none' }), [
    [0.5, 0.5, 0],
    [-0.5, -0.5, 0],
  ])
  // a token across two steps is worth both
  assert.equal(stepAdvantages(two, [stepped(1, 0), stepped(0, 1)], { scale: 'none' })[0], [0.5, 0, -0.5])
  assert.equal(stepAdvantages([completionOf('ab'), completionOf('cd')], judged)[0], [0, 0], 'without texts')
  const failed: Judgement = { _tag: 'Failed', why: 'x', elapsedMs: 1 }
  assert.equal(stepAdvantages(two, [stepped(1), failed]), [
    [0, 0, 0],
    [0, 0, 0],
  ])
})

test.run()
