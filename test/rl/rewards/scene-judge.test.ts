/** A judge without a network, over the scenes of the rendered families. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Judgement, type Scored, sceneJudge } from '../../../src/rl/index.ts'
import { describeSample, type Family, type Level, type Scene, sceneRules } from '../../../src/tasks/index.ts'
import { judge, scoreOf } from '../../support/judged.ts'
import { worked } from '../../support/worked.ts'

const test = suite('rl: the judge of scenes')

const reward = sceneJudge<Scene>(sceneRules)
const described = (family: Family, level: Level, i: number) =>
  describeSample(family, level, 'train', `judge/${i}`)
const verdicts = (j: Judgement): readonly number[] =>
  ['soundness', 'grounding', 'consistency'].map((name) => (j.parts![name] as Scored).value)
const of = (scene: Scene, thinking: string, answer: string) =>
  judge(reward, `<think>${thinking}</think>\\boxed{${answer}}`, { scene })

const families = ['arithmetic', 'chart', 'count'] as const
test('the true steps and answer are sound, true and consistent, in every family and level', async () => {
  for (const family of families)
    for (const level of [1, 2, 3, 4] as const)
      for (let i = 0; i < 25; i++) {
        const d = described(family, level, i)
        assert.equal(d.family, family)
        assert.equal(verdicts(await of(d.scene, d.steps, d.final)), [1, 1, 1], `${d.id}: ${d.steps}`)
      }
})

test('another answer than the steps lead to is not consistent', async () => {
  for (const family of families)
    for (let i = 0; i < 25; i++) {
      const d = described(family, 3, i)
      const other = d.final === 'A' ? 'B' : /^\d+$/.test(d.final) ? String(Number(d.final) + 1) : 'A'
      assert.equal(verdicts(await of(d.scene, d.steps, other)), [1, 1, 0], d.id)
    }
})

test('sound steps about another image are not grounded', async () => {
  for (const family of families)
    for (let i = 0; i < 25; i++) {
      const [d, other] = [described(family, 3, i), described(family, 3, i + 100)]
      if (d.steps === other.steps) continue
      const [, grounding] = verdicts(await of(d.scene, other.steps, other.final))
      assert.is(grounding, 0, `${d.id} and ${other.id}`)
    }
})

const arithmetic = { ...described('arithmetic', 2, 0).scene, a: 47, b: 38, sign: '+' } as Scene
const chart = {
  ...described('chart', 2, 0).scene,
  bars: [
    { letter: 'A', value: 3 },
    { letter: 'B', value: 9 },
  ],
  asked: null,
} as unknown as Scene

test('a wrong step is not sound, and is named', async () => {
  const wrong = await of(arithmetic, '47+38: 7+8=16, 4+3+1=8', '86')
  assert.equal(verdicts(wrong), [0, 1, 1])
  assert.equal((wrong as Scored).evidence.wrong, ['7+8=16'])
  assert.equal(verdicts(await of(arithmetic, '47+38: 7+8=15', '85')), [0, 1, 0])
  assert.equal(verdicts(await of(chart, 'A=3 B=9, B=9', 'B')), [1, 1, 1])
  assert.equal(verdicts(await of(chart, 'A=3 B=9, A=3', 'A')), [0, 1, 1])
  assert.equal(verdicts(await of(chart, 'A=3 B=8, B=8', 'B')), [1, 0, 1])
  assert.equal(verdicts(await of(chart, 'A=3 A=9, A=9', 'A')), [0, 0, 1])
})

test('without thinking it is 0; of a family without a rule it abstains; a scene that is none fails', async () => {
  assert.is(scoreOf(await judge(reward, '\\boxed{85}', { scene: arithmetic })), 0)
  const generous = sceneJudge<Scene>({
    arithmetic: () => ({ ...{ soundness: 1, grounding: 1, consistency: 1 }, wrong: [] }),
  })
  assert.is(scoreOf(await judge(generous, '<think>x</think>\\boxed{85}', { scene: arithmetic })), 1)
  assert.is(scoreOf(await judge(generous, '\\boxed{85}', { scene: arithmetic })), 0)
  const read = described('read', 1, 0)
  assert.is((await of(read.scene, 'x', read.final))._tag, 'Abstained')
  const none = await judge(sceneJudge<Scene>(sceneRules), '<think>x</think>1', { scene: undefined as never })
  assert.is(none._tag, 'Failed')
})

test('nothing that a thought has in it takes long or passes', async () => {
  const d = described('count', 3, 0)
  for (const thinking of [
    '1+'.repeat(1e5),
    '1+1=2,'.repeat(1e5),
    'A=1 '.repeat(2e5),
    '9'.repeat(1e6),
    '0 '.repeat(5e5),
  ])
    for (const scene of [arithmetic, chart, d.scene]) {
      const began = worked()
      assert.ok(scoreOf(await of(scene, thinking, '9'.repeat(1e5))) < 1)
      assert.ok(worked() - began < 5_000, thinking.slice(0, 10))
    }
})

test.run()
