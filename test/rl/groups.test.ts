/** Advantages, dynamic sampling and overlong filtering: the pure decisions about a group. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { advantages, counts, type Judgement, rewardsOf, selectionOf } from '../../src/rl/index.ts'
import { loadCase, maxRelativeError } from '../support/fixtures.ts'

const c = loadCase('rl-losses')

const scored = (value: number): Judgement => ({ _tag: 'Scored', value, evidence: {} })
const failed: Judgement = { _tag: 'Failed', why: 'ran out of time', elapsedMs: 5 }
const abstained: Judgement = { _tag: 'Abstained', why: 'no box' }

const rated = suite('advantages')

for (const [rewards, named] of [
  ['rewards', 'advantage_binary'],
  ['rewards_real', 'advantage'],
] as const)
  rated(`of ${rewards}: as TRL, verl and Dr. GRPO have them`, () => {
    const all = [...c.floats(rewards)]
    const groups = [all.slice(0, 4), all.slice(4)]
    const of = (settings: Parameters<typeof advantages>[1]): number[] =>
      groups.flatMap((g) => advantages(g, settings).map((a) => a!))
    assert.ok(maxRelativeError(of({}), c.floats(`${named}_trl`)) <= 1e-6)
    assert.ok(maxRelativeError(of({ epsilon: 1e-6 }), c.floats(`${named}_verl`)) <= 1e-6)
    assert.ok(maxRelativeError(of({ scale: 'none' }), c.floats(`${named}_mean`)) <= 1e-6)
  })

rated('rewards of which no gradient can be computed are refused and not taken for equal ones', () => {
  for (const odd of [1e308, -1e13, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => advantages([odd, 0]), /^advantages: a reward is .*; give numbers from −1e12 to 1e12$/)
  assert.equal(
    advantages([1e12, -1e12], { epsilon: 0 }).map((a) => Math.sign(a!)),
    [1, -1],
  )
})

rated('by hand: rewards 1, 0, 0, 0 have the sample deviation 1/2', () => {
  assert.equal(advantages([1, 0, 0, 0], { epsilon: 0 }), [1.5, -0.5, -0.5, -0.5])
  assert.equal(advantages([1, 0, 0, 0], { scale: 'none' }), [0.75, -0.25, -0.25, -0.25])
})

rated(
  'groups whose rewards are all equal: exactly 0, at every size from 2 to 64 and whatever they are',
  () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 64 }),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
        fc.constantFrom('std' as const, 'none' as const),
        (n, reward, scale) => {
          for (const a of advantages(Array<number>(n).fill(reward), { scale })) assert.is(a, 0)
        },
      ),
    )
    for (let n = 2; n <= 64; n++)
      for (const reward of [0, 1, 0.1, -0.3, 1 / 3])
        assert.ok(advantages(Array<number>(n).fill(reward)).every((a) => a === 0))
  },
)

rated('rewards that differ by rounding alone are equal', () => {
  assert.equal(advantages([0.1 + 0.2, 0.3, 0.3]), [0, 0, 0])
})

rated('what has no reward has no advantage, and the others are compared without it', () => {
  assert.equal(advantages([1, undefined, 0], { scale: 'none' }), [0.5, undefined, -0.5])
  assert.equal(advantages([undefined, 1]), [undefined, 0])
  assert.equal(advantages([undefined, undefined]), [undefined, undefined])
  assert.equal(advantages([]), [])
})

rated('their mean is 0, and so is what a constant added to all rewards does', () => {
  const reward = fc.double({ noNaN: true, min: -10, max: 10 })
  fc.assert(
    fc.property(fc.array(reward, { minLength: 2, maxLength: 16 }), (rewards) => {
      const all = advantages(rewards).map((a) => a!)
      assert.ok(Math.abs(all.reduce((a, b) => a + b, 0)) < 1e-6)
      const moved = advantages(rewards.map((r) => r + 1))
      moved.forEach((a, i) => {
        assert.ok(Math.abs(a! - all[i]!) < 1e-3)
      })
    }),
  )
})

rated.run()

const selected = suite('dynamic sampling')

selected('keeps a group whose rewards differ', () => {
  assert.equal(selectionOf([scored(1), scored(0)]), { kept: true })
})

selected('leaves out one whose rewards are all equal, and says which', () => {
  assert.equal(selectionOf([scored(1), scored(1), scored(1)]), {
    kept: false,
    why: 'all 3 completions have the reward 1',
  })
  assert.equal(selectionOf([scored(0.1 + 0.2), scored(0.3)]), {
    kept: false,
    why: 'all 2 completions have the reward 0.3',
  })
})

selected('failed and abstained completions are no reason to keep it', () => {
  assert.equal(selectionOf([scored(0), failed, abstained, scored(0)]), {
    kept: false,
    why: 'all 2 completions have the reward 0',
  })
  assert.equal(selectionOf([scored(0), failed, abstained]), {
    kept: false,
    why: '1 of 3 completions have a reward, and 2 are needed: 2 could not be judged',
  })
  assert.equal(selectionOf([scored(0), failed, scored(1)]), { kept: true })
  assert.is(selectionOf([scored(0), failed, scored(1)], { least: 3 }).kept, false)
})

selected('a reward that is no finite number is none', () => {
  assert.equal(rewardsOf([scored(Number.NaN), scored(Infinity), failed, scored(2)]), [
    undefined,
    undefined,
    undefined,
    2,
  ])
})

selected.run()

const overlong = suite('overlong filtering')

overlong('leaves out what was cut off, where it is asked for', () => {
  assert.is(counts({ stop: 'length' }, true), false)
  assert.is(counts({ stop: 'length' }, false), true)
  assert.is(counts({ stop: 'end' }, true), true)
})

overlong.run()
