import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  anyOf,
  axis,
  evaluate,
  everyKey,
  keys,
  matches,
  ones,
  parameter,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { adamWith, firstMomentKey, secondMomentKey, unmatchedGroups } from '../../src/optim/index.ts'

const patterns = suite('dsl: keys by pattern')

patterns('one star stops at a dot, two go on, all else is itself', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['a.*', 'a.b', true],
    ['a.*', 'a.b.c', false],
    ['a.**', 'a.b.c', true],
    ['a.**', 'a', false],
    ['**.weight', 'x.y.weight', true],
    ['**.weight', 'x.weights', false],
    ['model.layers.*.mlp.**', 'model.layers.12.mlp.up_proj.weight', true],
    ['a+b', 'a+b', true],
    ['a+b', 'aab', false],
    ['a.b', 'axb', false],
    ['(a|b)', '(a|b)', true],
    ['**', '', true],
  ]
  for (const [pattern, key, fits] of table) assert.is(matches(pattern)(key), fits, `${pattern} on ${key}`)
})

patterns('named predicates, one of several, all', () => {
  const [a, b] = [keys('a', 'a.**', 'x'), keys('b', 'b.**')]
  assert.equal(['a.1', 'x', 'b.1', 'c'].map(a.has), [true, true, false, false])
  const both = anyOf([a, b])
  assert.is(both.name, 'a + b')
  assert.equal(['a.1', 'x', 'b.1', 'c'].map(both.has), [true, true, true, false])
  assert.ok(everyKey.has('anything'))
  assert.not(anyOf([]).has('anything'))
})

patterns.run()

const groups = suite('optim: AdamW with groups')

/** One update of three parameters in float64: the numbers of the evaluator. */
const updated = (settings: Parameters<typeof adamWith>[0]) => {
  const [row, column] = [axis('row', 2), axis('column', 2)]
  const parameters = new Map<string, Tensor>([
    ['head.weight', parameter('head.weight', [row, column], ones)],
    ['body.weight', parameter('body.weight', [row, column], ones)],
    ['body.bias', parameter('body.bias', [row], zeros)],
  ])
  const learningRate = parameter('rate', [], zeros)
  const gradients = new Map([...parameters].map(([k, t]) => [k, parameter(`g.${k}`, t.axes, ones)]))
  const { next } = adamWith(settings).update(parameters, gradients, learningRate)
  const states: Record<string, number[]> = { 'optimizer.step': [0], rate: [0.1] }
  for (const [key, t] of parameters) {
    const n = t.axes.reduce((m, a) => m * a.size, 1)
    states[key] = Array(n).fill(2)
    states[`g.${key}`] = Array(n).fill(3)
    states[firstMomentKey(key)] = Array(n).fill(0)
    states[secondMomentKey(key)] = Array(n).fill(0)
  }
  const wanted = [...parameters.keys()]
  const out = evaluate(
    wanted.map((k) => next.get(k)!),
    { states },
  )
  return Object.fromEntries(wanted.map((k, i) => [k, Array.from(out[i]!)[0]!]))
}

groups('the first group that matches holds: its factor on the rate, its weight decay', () => {
  // at the first update m̂ / √v̂ is the gradient's sign
  const p = (rate: number, decay: number): number => 2 * (1 - rate * decay) - rate
  const near = (got: number, want: number): void => {
    assert.ok(Math.abs(got - want) < 1e-6, `${got} for ${want}`)
  }
  const plain = updated({ weightDecay: 0.5 })
  near(plain['head.weight']!, p(0.1, 0.5))
  near(plain['body.bias']!, p(0.1, 0))
  const grouped = updated({
    weightDecay: 0.5,
    groups: [
      { match: 'head.**', learningRateMultiplier: 3 },
      { match: ['body.bias', 'none'], weightDecay: 0.25 },
      { match: '**', learningRateMultiplier: 0.5, weightDecay: 0 },
    ],
  })
  near(grouped['head.weight']!, p(0.3, 0.5))
  near(grouped['body.bias']!, p(0.1, 0.25))
  near(grouped['body.weight']!, p(0.05, 0))
})

groups('a setting out of its range is named', () => {
  const table: readonly (readonly [Parameters<typeof adamWith>[0], string])[] = [
    [{ beta1: 1 }, 'beta1'],
    [{ beta2: Number.NaN }, 'beta2'],
    [{ beta2: -0.1 }, 'beta2'],
    [{ epsilon: 0 }, 'epsilon'],
    [{ weightDecay: -1 }, 'weightDecay'],
    [{ weightDecay: Infinity }, 'weightDecay'],
    [{ groups: [{ match: 'a' }, { match: '' }] }, 'groups[1].match'],
    [{ groups: [{ match: [] }] }, 'groups[0].match'],
    [{ groups: [{ match: 'a', learningRateMultiplier: Number.NaN }] }, 'groups[0].learningRateMultiplier'],
    [{ groups: [{ match: 'a', weightDecay: -1 }] }, 'groups[0].weightDecay'],
  ]
  for (const [settings, setting] of table)
    assert.throws(
      () => adamWith(settings),
      (e: { setting: string; message: string }) => e.setting === setting && /give a/.test(e.message),
      setting,
    )
})

groups('groups that nothing belongs to are told, those behind an earlier one among them', () => {
  const all = [{ match: 'a.**' }, { match: 'a.b' }, { match: ['x', 'c'] }, { match: 'd*' }]
  assert.equal(unmatchedGroups(all, ['a.b', 'a.c', 'c', 'e']), [1, 3])
  assert.equal(unmatchedGroups([], ['a']), [])
})

groups('what it is, as data', () => {
  const settings = { beta2: 0.98, groups: [{ match: 'a.**', weightDecay: 0 }] }
  assert.equal(JSON.parse(JSON.stringify(adamWith(settings).config)), { kind: 'adamW', ...settings })
})

groups.run()
