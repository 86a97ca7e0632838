import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  all,
  clip,
  mapEvidence,
  reweighted,
  sailRl,
  scale,
  scored,
  weighted,
  weightsFrom,
  weightsOf,
} from '../../../src/rl/index.ts'
import { always, judge, scoreOf } from '../../support/judged.ts'

const test = suite('rl: weights by name')

const [one, two, four] = [always(scored(1)), always(scored(2)), always(scored(4))]
const inner = weighted({ answer: one, speed: two }, { answer: 1, speed: 10 }, 'substance')
const outer = clip(
  -1000,
  1000,
)(
  scale(2)(
    mapEvidence((e) => e)(
      weighted({ substance: inner, format: four }, { substance: 1, format: 100 }, 'mixed'),
    ),
  ),
)

test('weights are found by path, through wrappers', () => {
  assert.equal(weightsOf(outer), { substance: 1, format: 100, 'substance.answer': 1, 'substance.speed': 10 })
  assert.equal(weightsOf(sailRl({ answer: one, format: one })), { alpha: 0.9 })
  assert.equal(weightsOf(one), {})
})

test('another weight gives the reward that would have been written with it; the first one stays as it is', async () => {
  const other = reweighted(outer, { answer: 3, format: 0 })
  assert.is(scoreOf(await judge(outer, '', {})), 2 * (1 * (1 + 20) + 400))
  assert.is(scoreOf(await judge(other, '', {})), 2 * (1 * (3 + 20) + 0))
  const written = clip(
    -1000,
    1000,
  )(
    scale(2)(
      mapEvidence((e) => e)(
        weighted(
          {
            substance: weighted({ answer: one, speed: two }, { answer: 3, speed: 10 }, 'substance'),
            format: four,
          },
          { substance: 1, format: 0 },
          'mixed',
        ),
      ),
    ),
  )
  assert.equal(other.config, written.config)
  assert.not.equal(other.config, outer.config)
})

test('inside all, and alpha of sailRl', async () => {
  const both = all({
    a: weighted({ x: one }, { x: 1 }),
    b: sailRl({ answer: one, format: always(scored(0)) }),
  })
  assert.is(scoreOf(await judge(reweighted(both, { alpha: 0.25 }), '', {})), 0.25)
  assert.is(scoreOf(await judge(reweighted(both, { 'a.x': 0.5, alpha: 1 }), '', {})), 0.5)
})

test('an unknown name is refused with the nearest, and one of several with all', () => {
  assert.throws(
    () => reweighted(outer, { anser: 1 }),
    /weights\.anser: there is no such weight.*Did you mean 'answer'\?/,
  )
  assert.throws(() => reweighted(outer, { fromat: 1 }), /Did you mean 'format'\?/)
  assert.throws(() => reweighted(one, { answer: 1 }), /has no weights/)
  const twice = weighted(
    { a: weighted({ x: one }, { x: 1 }), b: weighted({ x: two }, { x: 1 }) },
    { a: 1, b: 1 },
  )
  assert.throws(() => reweighted(twice, { x: 2 }), /a\.x or b\.x/)
  assert.throws(() => reweighted(outer, { answer: Number.NaN }), /finite/)
  assert.throws(() => reweighted(sailRl({ answer: one, format: one }), { alpha: 2 }), /alpha/)
})

test('weights from a command line', () => {
  assert.equal(weightsFrom('answer=0.5, substance.speed=-1e-1,'), { answer: 0.5, 'substance.speed': -0.1 })
  for (const wrong of ['answer', 'answer=', '=1', 'answer=one', 'a=1=2', 'a=Infinity'])
    assert.throws(() => weightsFrom(wrong), /name=number/, wrong)
  assert.throws(() => reweighted(outer, weightsFrom('__proto__=1')), /no such weight/)
})

test.run()
