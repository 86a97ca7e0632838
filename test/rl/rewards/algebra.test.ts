/** The laws of the algebra of rewards. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  abstained,
  all,
  any,
  clip,
  failed,
  firstThatSpeaks,
  gate,
  type Judgement,
  mapEvidence,
  product,
  type Reward,
  reward,
  sailRl,
  scale,
  scored,
  weighted,
} from '../../../src/rl/index.ts'
import { always, judge, scoreOf } from '../../support/judged.ts'

const test = suite('rl: algebra of rewards')

/** What matters of a judgement: its kind, and its value to twelve digits. */
const outcome = (j: Judgement): string =>
  j._tag === 'Scored' ? `Scored ${Number(j.value.toPrecision(12)) + 0}` : j._tag
const of = async (r: Reward): Promise<string> => outcome(await judge(r, 'text', {}))
const same = async (a: Reward, b: Reward): Promise<void> => assert.is(await of(a), await of(b))

const truth = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 1e-9, max: 1, noNaN: true }))
const truthJudgement: fc.Arbitrary<Judgement> = fc.oneof(
  { weight: 4, arbitrary: truth.map((x) => scored(x)) },
  fc.constant(abstained('no word')),
  fc.constant(failed('broken', 3)),
)
const anyJudgement: fc.Arbitrary<Judgement> = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((x) => scored(x)) },
  fc.constant(abstained('no word')),
  fc.constant(failed('broken', 3)),
)
const holds = (property: fc.IAsyncProperty<unknown>): Promise<void> => fc.assert(property, { numRuns: 200 })
const number = fc.double({ min: -100, max: 100, noNaN: true })

for (const [name, join, decides] of [
  ['all', all, 0],
  ['any', any, 1],
  ['product', product, 0],
] as const) {
  test(`${name}: order and grouping do not matter`, () =>
    holds(
      fc.asyncProperty(truthJudgement, truthJudgement, truthJudgement, async (x, y, z) => {
        const [a, b, c] = [always(x), always(y), always(z)]
        await same(join({ a, b }), join({ b, a }))
        await same(join({ a, bc: join({ b, c }) }), join({ ab: join({ a, b }), c }))
        await same(join({ a, b, c }), join({ ab: join({ a, b }), c }))
      }),
    ))

  test(`${name}: one that abstains changes nothing, alone it abstains`, () =>
    holds(
      fc.asyncProperty(truthJudgement, async (x) => {
        await same(join({ a: always(x), b: always(abstained('no word')) }), always(x))
        await same(join({ a: always(x) }), always(x))
      }),
    ))

  test(`${name}: a failure fails it, but where the others decide it alone`, () =>
    holds(
      fc.asyncProperty(truth, async (x) => {
        const joined = join({ a: always(scored(x)), b: always(failed('broken', 3)) })
        assert.is(await of(joined), x === decides ? `Scored ${decides}` : 'Failed')
      }),
    ))

  test(`${name}: what is no truth value is a failure that names the part`, async () => {
    for (const x of [-0.5, 1.5]) {
      const j = await judge(join({ a: always(scored(1)), low: always(scored(x)) }), '', {})
      assert.is(j._tag, 'Failed')
      assert.match((j as { why: string }).why, /^low: .*from 0 to 1/)
    }
  })
}

test('all and any absorb each other, are idempotent, and obey De Morgan', () =>
  holds(
    fc.asyncProperty(truth, truth, async (x, y) => {
      const [a, b] = [always(scored(x)), always(scored(y))]
      const not = (r: Reward): Reward => reward('not', async () => 1 - scoreOf(await judge(r, '', {})))
      await same(all({ a, b: any({ a, b }) }), a)
      await same(any({ a, b: all({ a, b }) }), a)
      await same(all({ a, again: a }), a)
      await same(any({ a, again: a }), a)
      await same(not(all({ a, b })), any({ a: not(a), b: not(b) }))
    }),
  ))

test('weighted: a sum; those that abstain add nothing and move no weight', () =>
  holds(
    fc.asyncProperty(anyJudgement, anyJudgement, number, number, async (x, y, v, w) => {
      fc.pre(v !== 0 && w !== 0)
      const made = weighted({ a: always(x), b: always(y) }, { a: v, b: w })
      const part = (j: Judgement, weight: number) => (j._tag === 'Scored' ? weight * j.value : 0)
      const tags = [x._tag, y._tag]
      const expected = tags.includes('Failed')
        ? 'Failed'
        : tags.every((tag) => tag === 'Abstained')
          ? 'Abstained'
          : outcome(scored(part(x, v) + part(y, w)))
      assert.is(await of(made), expected)
      await same(made, weighted({ b: always(y), a: always(x) }, { a: v, b: w }))
    }),
  ))

test('weighted: a part of weight 0 is a metric; it is kept, and its failure does not count', async () => {
  const made = weighted({ a: always(scored(2)), seen: always(failed('broken')) }, { a: 1, seen: 0 })
  const j = await judge(made, '', {})
  assert.is(scoreOf(j), 2)
  assert.is(j.parts?.seen?._tag, 'Failed')
  const silent = weighted({ a: always(abstained('no word')), seen: always(scored(1)) }, { a: 1, seen: 0 })
  assert.is((await judge(silent, '', {}))._tag, 'Abstained')
})

test('weighted: the sum of one is that one, and scale goes in', () =>
  holds(
    fc.asyncProperty(anyJudgement, number, async (x, k) => {
      fc.pre(k !== 0)
      await same(weighted({ a: always(x) }, { a: 1 }), always(x))
      await same(weighted({ a: always(x) }, { a: k }), scale(k)(always(x)))
    }),
  ))

test('scale: 1 changes nothing, and twice is once by the product', () =>
  holds(
    fc.asyncProperty(
      anyJudgement,
      fc.integer({ min: -9, max: 9 }),
      fc.integer({ min: -9, max: 9 }),
      async (x, j, k) => {
        await same(scale(1)(always(x)), always(x))
        await same(scale(j)(scale(k)(always(x))), scale(j * k)(always(x)))
      },
    ),
  ))

test('clip: within the bounds nothing changes, and twice is once', () =>
  holds(
    fc.asyncProperty(anyJudgement, number, number, async (x, a, b) => {
      const [least, most] = [Math.min(a, b), Math.max(a, b)]
      const once = clip(least, most)(always(x))
      await same(clip(least, most)(once), once)
      const j = await judge(once, '', {})
      if (j._tag === 'Scored') {
        assert.ok(j.value >= least && j.value <= most)
        if (x._tag === 'Scored' && x.value >= least && x.value <= most) assert.is(j.value, x.value)
      } else assert.is(j._tag, x._tag)
    }),
  ))

test('mapEvidence: identity and composition; value, parts and configuration stay', () =>
  holds(
    fc.asyncProperty(anyJudgement, fc.dictionary(fc.string(), fc.integer()), async (x, more) => {
      const f = (e: object) => ({ ...e, f: 1 })
      const g = (e: object) => ({ more, inner: e })
      assert.equal(await judge(mapEvidence((e) => e)(always(x)), '', {}), x)
      assert.equal(
        await judge(mapEvidence(g)(mapEvidence(f)(always(x))), '', {}),
        await judge(mapEvidence((e) => g(f(e)))(always(x)), '', {}),
      )
      await same(mapEvidence(g)(always(x)), always(x))
      assert.equal(mapEvidence(g)(always(x)).config, always(x).config)
    }),
  ))

test('mapEvidence: a function that throws is a failure', async () => {
  const made = mapEvidence(() => {
    throw new Error('lost')
  })(always(scored(1)))
  const j = await judge(made, '', {})
  assert.is(j._tag, 'Failed')
  assert.match((j as { why: string }).why, /lost/)
})

test('gate: open it is the reward, closed 0, and gates in gates are one gate', () =>
  holds(
    fc.asyncProperty(truthJudgement, truthJudgement, anyJudgement, async (c, d, x) => {
      await same(gate(always(scored(1)), always(x)), always(x))
      await same(gate(always(scored(0)), always(x)), always(scored(0)))
      const inner = gate(always(c), gate(always(d), always(x)))
      if (c._tag === 'Scored' && d._tag === 'Scored')
        await same(inner, gate(all({ c: always(c), d: always(d) }), always(x)))
      if (c._tag !== 'Scored') assert.is(await of(inner), c._tag)
    }),
  ))

test('gate: what is behind a closed gate is not asked', async () => {
  const costly = always(scored(1))
  await judge(gate(always(scored(0)), costly), '', {})
  assert.is(costly.asked.times, 0)
  await judge(gate(always(scored(1)), costly), '', {})
  assert.is(costly.asked.times, 1)
})

test('firstThatSpeaks: grouping does not matter, abstaining is neutral, a failure is not passed over', () =>
  holds(
    fc.asyncProperty(anyJudgement, anyJudgement, anyJudgement, async (x, y, z) => {
      const [a, b, c] = [always(x), always(y), always(z)]
      const first = firstThatSpeaks
      await same(first({ a, bc: first({ b, c }) }), first({ ab: first({ a, b }), c }))
      await same(first({ none: always(abstained('no word')), a }), a)
      await same(first({ a, none: always(abstained('no word')) }), a)
      assert.is(await of(first({ a, b })), outcome(x._tag === 'Abstained' ? y : x))
    }),
  ))

test('sailRl is what the paper writes', () =>
  holds(
    fc.asyncProperty(truth, truth, truth, truth, truth, async (j, t, a, f, alpha) => {
      const parts = {
        ...{ judge: always(scored(j)), think: always(scored(t)) },
        ...{ answer: always(scored(a)), format: always(scored(f)) },
      }
      const got = await judge(sailRl(parts, alpha), '', {})
      assert.is(outcome(got), outcome(scored(alpha * (j * t * a) + (1 - alpha) * f)))
      assert.equal(Object.keys(got.parts!), ['judge', 'think', 'answer', 'format'])
    }),
  ))

test('sailRl is the weighted sum of a product and a format', () =>
  holds(
    fc.asyncProperty(truthJudgement, truthJudgement, truthJudgement, async (t, a, f) => {
      const [think, answer, format] = [always(t), always(a), always(f)]
      const spelled = weighted(
        { substance: product({ think, answer }), format },
        { substance: 0.75, format: 0.25 },
      )
      await same(sailRl({ think, answer, format }, 0.75), spelled)
    }),
  ))

test('sailRl: 0.9 where nothing is said, and a wrong answer needs no judge that works', async () => {
  const format = always(scored(1))
  assert.is(await of(sailRl({ answer: always(scored(1)), format })), 'Scored 1')
  assert.is(await of(sailRl({ answer: always(scored(0)), format })), 'Scored 0.1')
  const think = always(failed('the judge is not there'))
  assert.is(await of(sailRl({ think, answer: always(scored(0)), format })), 'Scored 0.1')
  assert.is(await of(sailRl({ think, answer: always(scored(1)), format })), 'Failed')
})

test('a part that throws, rejects, or gives NaN fails the whole with the name of the part', async () => {
  const broken: Record<string, Reward> = {
    throws: {
      name: 'x',
      config: {},
      score: () => {
        throw new Error('no')
      },
    },
    rejects: { name: 'x', config: {}, score: () => () => Promise.reject(new Error('no')) },
    nan: { name: 'x', config: {}, score: () => async () => scored(Number.NaN) },
    nothing: { name: 'x', config: {}, score: () => async () => undefined as never },
  }
  for (const [name, part] of Object.entries(broken))
    for (const whole of [
      weighted({ [name]: part, fine: always(scored(1)) }, { [name]: 1, fine: 1 }),
      all({ [name]: part, fine: always(scored(1)) }),
      any({ [name]: part, fine: always(scored(0.5)) }),
      firstThatSpeaks({ [name]: part }),
      sailRl({ answer: part, format: always(scored(1)) }),
      gate(part, always(scored(1))),
      gate(always(scored(1)), part),
      scale(2)(part),
    ]) {
      const j = await judge(whole as Reward, '', {})
      assert.is(j._tag, 'Failed', `${name} in ${whole.name}`)
    }
})

test('settings that cannot be are refused', () => {
  const a = always(scored(1))
  assert.throws(() => weighted({ a }, { a: Number.NaN }), /weights\.a/)
  assert.throws(() => weighted({ a }, { a: 0 }), /all are 0/)
  assert.throws(() => weighted({ a }, { a: 1, b: 1 } as { a: number }), /weights\.b.*there are a/)
  assert.throws(() => weighted({}, {}), /there is none/)
  assert.throws(() => all({ a: 3 as unknown as Reward }), /rewards\.a.*no reward/)
  assert.throws(() => scale(Number.POSITIVE_INFINITY)(a), /scale/)
  assert.throws(() => clip(1, 0)(a), /1 is above 0/)
  assert.throws(() => sailRl({ answer: a, format: a }, 1.5), /alpha/)
  assert.throws(
    () => sailRl({ answer: a } as unknown as { answer: Reward; format: Reward }),
    /format.*missing/,
  )
})

test.run()
