/** Steps of thoughts judged one by one, and what tokens are worth by them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Judgement,
  type Scored,
  type SteppedGroup,
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
  (j as Scored).steps!.map(
    ({ from, to, value }) => [`<think>${thinking}</think>\\boxed{0}`.slice(from, to), value] as const,
  )
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
        const bare = (text: string): string => text.replaceAll(/[ ,]/g, '')
        assert.is(bare(said.join('')), bare(`${d.steps}</think>\\boxed{0}`), d.id)
      }
})

test('a wrong step alone does not hold: what follows from it does', async () => {
  const count = described('count', 3, 1)
  const digits = [...count.steps].map(Number)
  const at = digits.findIndex((d, i) => i > 2 && i < 12 && d < 9)
  const more = digits.map((d, i) => (i < at ? d : d + 1)).join('')
  if (!/\d{17}/.test(more)) assert.equal(wrongOf(await of(count.scene, more), more), [more[at]])
  const sum = { ...described('arithmetic', 2, 0).scene, a: 47, b: 38, sign: '+' } as Scene
  const copied = '48+38: 8+8=16, 4+3+1=8'
  assert.equal(wrongOf(await of(sum, copied), copied), ['8'])
  const added = '47+38: 7+8=16, 4+3+1=8'
  assert.equal(wrongOf(await of(sum, added), added), [' 7+8=16,'])
})

test('of a chart, which bar comes next and what it shows are steps of their own', async () => {
  const bars = ['A=3', 'B=12', 'C=7', 'D=15'].map((b) => ({ letter: b[0]!, value: Number(b.slice(2)) }))
  const scene = { ...(described('chart', 3, 1).scene as object), bars, asked: 'C' } as unknown as Scene
  const wrong = async (thinking: string, s = scene) => wrongOf(await of(s, thinking), thinking)
  assert.equal(await wrong('A=3 B=12 C=7 D=15, C=7'), [])
  assert.equal(await wrong('A=3 B=11 C=7 D=15, C=7'), ['=11'])
  assert.equal(await wrong('A=3 C=7 D=15, C=7'), [' C'], 'one left out')
  assert.equal(await wrong('A=3 X=12 C=7 D=15, C=7'), [' X'], 'a wrong letter, and what its bar shows')
  assert.equal(await wrong('A=3 B=12 C=7, C=7'), [','], 'ended too early')
  assert.equal(await wrong('A=3 B=12 C=7 D=15 D=15, C=7'), [' D'], 'one too many')
  assert.equal(await wrong('A=3 B=12 C=7 D=15, D=15'), ['D'], 'not what was asked')
  assert.equal(await wrong('A=3 B=12 C=7 D=15, C=15'), ['=15'], 'not as it was read')
  assert.equal(await wrong('A=3 B=12 C=7 D=15, C=7 C=7'), ['C'], 'and again')
  const largest = { ...(scene as object), asked: null } as unknown as Scene
  assert.equal(await wrong('A=3 B=19 C=7 D=15, B=19', largest), ['=19'], 'the highest as it was read')
  assert.equal(await wrong('A=3 B=12 C=7 D=15, B=12', largest), ['B'])
})

test('what is behind the thought holds where it is one box', async () => {
  const { scene, steps } = described('chart', 3, 1)
  const behind = async (text: string) => {
    const j = await judge(reward, `<think>${steps}</think>${text}`, { scene })
    return (j as Scored).steps!.at(-1)!.value
  }
  assert.equal(
    await Promise.all(['\\boxed{7}', '\\boxed{7} ', '\\boxed7}', '\\boxed{}', '\\boxed{7}7'].map(behind)),
    [1, 1, 0, 0, 0],
  )
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

test('of a thought without its end, where it went wrong is a step', async () => {
  const { scene, steps } = described('chart', 3, 1)
  const open = await judge(reward, `<think>${steps}thinkboxed{7}`, { scene })
  const all = (open as Scored).steps!
  assert.is(scoreOf(open), (all.length - 1) / all.length)
  assert.equal(
    all.map((s) => s.value),
    all.map((_, i) => (i < all.length - 1 ? 1 : 0)),
  )
  assert.is(`<think>${steps}`.length, all.at(-1)!.from)
})

test('a step is compared with what is about the same in all tasks of its family, and a token is worth what its step is', () => {
  const two = ['aabb', 'ccdd'].map((text) =>
    completionOf(text, { ids: [1, 2, 3], texts: [text[0]!, text.slice(1, 3), text[3]!] }),
  )
  const group = (family: string, ...judgements: readonly Judgement[]): SteppedGroup => ({
    ...{ task: { family }, completions: two, judgements },
  })
  const worth = (...groups: readonly SteppedGroup[]) => stepAdvantages(groups, { scale: 'none' })
  const judged = [stepped(1, 1), stepped(0, 1)]
  assert.equal(
    stepsOf(judged[1]!).map((s) => s.value),
    [0, 1],
  )
  // three of four hold
  assert.equal(worth(group('a', ...judged)), [
    [
      [0.25, 0.5, 0.25],
      [-0.75, -0.5, 0.25],
    ],
  ])
  const named = (about: readonly string[], ...values: readonly number[]): Judgement => ({
    ...scored(0),
    steps: values.map((value, i) => ({ from: 2 * i, to: 2 * i + 2, value, about: about[i]! })),
  })
  // in another task too, but not in another family
  const more = [
    group('a', named(['x', 'y'], 1, 0), named(['y', 'z'], 1, 0)),
    group('a', named(['y'], 1), named(['y'], 1)),
    group('b', named(['y'], 0), named(['x'], 1)),
  ]
  assert.equal(worth(...more), [
    [
      [0, -0.75, -0.75],
      [0.25, 0.25, 0],
    ],
    [
      [0.25, 0.25, 0],
      [0.25, 0.25, 0],
    ],
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  ])
  const bare = [completionOf('ab'), completionOf('cd')]
  assert.equal(worth({ ...group('a', ...judged), completions: bare })[0]![0], [0, 0], 'without texts')
  const failed: Judgement = { _tag: 'Failed', why: 'x', elapsedMs: 1 }
  assert.equal(worth(group('a', stepped(1), failed)), [
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  ])
})

test.run()
