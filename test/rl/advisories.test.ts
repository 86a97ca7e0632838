/** Advisories: each known disease is told in words, and a healthy run is left alone. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type AdvisoryKind,
  advisories,
  type Judgement,
  type Recent,
  spreadOf,
  statisticsOf,
} from '../../src/rl/index.ts'
import type { EventOf } from '../../src/run/index.ts'

const spread = (mean: number) => ({ mean, std: 0, count: 64 })

/** A healthy episode, but for what is said. */
const episode = (i: number, some: Partial<EventOf<'episode'>> = {}): EventOf<'episode'> => ({
  ...{ type: 'episode', stage: 'rl', episode: i, step: i + 1, kept: 8, discarded: 2, degenerate: 2 },
  ...{ completions: 80, rewards: spread(0.4), families: {}, failed: 2, abstained: 0, truncated: 0.1 },
  ...{ components: { answer: spread(0.4), format: spread(0.7) } },
  lengths: { ...spread(30), most: 60 },
  ...{ rolloutSeconds: 1, scoreSeconds: 0 },
  ...some,
})
const step = (i: number, entropy = 1): EventOf<'rl-step'> => ({
  ...{ type: 'rl-step', stage: 'rl', step: i, episode: i, completions: 64, metrics: { entropy } },
})
const recent = (some: (i: number) => Partial<EventOf<'episode'>>, count = 10, entropy = 1): Recent => ({
  groups: 8,
  episodes: Array.from({ length: count }, (_, i) => episode(i, some(i))),
  steps: Array.from({ length: count }, (_, i) => step(i, entropy)),
})
const kinds = (r: Recent): readonly AdvisoryKind[] => advisories(r).map((a) => a.kind)
const only = (r: Recent, kind: AdvisoryKind, words: RegExp): void => {
  assert.equal(kinds(r), [kind])
  assert.match(advisories(r)[0]!.message, words)
}

const test = suite('advisories')

test('a healthy run has none, at its beginning neither', () => {
  for (const n of [0, 1, 2, 3, 6, 50]) assert.equal(kinds(recent(() => ({}), n)), [])
})

test('all groups have one reward throughout: too hard, or too easy', () => {
  const flat = { kept: 0, discarded: 10, degenerate: 10 }
  only(
    recent(() => ({ ...flat, rewards: spread(0) })),
    'no-signal',
    /all 20 groups of the last 2 episodes.*too hard.*read some rollouts/,
  )
  only(
    recent(() => ({ ...flat, rewards: spread(1) })),
    'no-signal',
    /too easy: take harder ones/,
  )
  // what could not be judged is said to, and an episode without a reward has no mean
  only(
    recent((i) => ({
      ...flat,
      ...(i === 9
        ? { degenerate: 0, rewards: { mean: Number.NaN, std: Number.NaN, count: 0 } }
        : { degenerate: 7, rewards: spread(0.25) }),
    })),
    'no-signal',
    /^of the 20 groups of the last 2 episodes 7 have one reward throughout \(mean 0\.25\) and 13 have fewer than two/,
  )
  // one episode may be chance, and one that is kept ends it
  assert.equal(kinds(recent((i) => (i === 9 ? flat : {}))), [])
  assert.equal(kinds(recent((i) => (i === 8 ? { ...flat, kept: 4, discarded: 6 } : flat))), [])
  // groups that could not be judged are another matter
  assert.equal(kinds(recent(() => ({ ...flat, degenerate: 0 }))), [])
})

test('fewer than half of the groups that were wanted', () => {
  const few = { kept: 3, discarded: 77, degenerate: 77 }
  only(
    recent(() => few),
    'few-groups',
    /episode 9 has 3 groups of 8 to learn from: 77 others had one reward throughout/,
  )
  assert.equal(kinds(recent(() => ({ ...few, kept: 4 }))), [])
})

test('the format is never right', () => {
  const none = { components: { answer: spread(0.1), format: spread(0) } }
  only(
    recent(() => none),
    'format',
    /'format' was 0 for each of 240 completions.*maxNewTokens.*supervised stage/,
  )
  only(
    recent(() => ({ components: { 'total.format': spread(0) } })),
    'format',
    /'total.format' was 0/,
  )
  assert.equal(kinds(recent((i) => (i === 8 ? {} : none))), [])
  // another part that is 0 is no disease
  assert.equal(kinds(recent(() => ({ components: { judge: spread(0), format: spread(1) } }))), [])
})

test('lengths collapse', () => {
  const long = (i: number) => ({ lengths: { ...spread(i < 5 ? 30 : 6), most: 60 } })
  only(recent(long), 'lengths', /answers have 6.0 tokens on average, 30.0 some episodes ago/)
  assert.equal(kinds(recent((i) => ({ lengths: { ...spread(30 - i), most: 60 } }))), [])
  // answers that were always short are no collapse
  assert.equal(kinds(recent((i) => ({ lengths: { ...spread(i < 5 ? 4 : 1), most: 4 } }))), [])
})

test('entropy near 0', () => {
  only(
    recent(() => ({}), 10, 0.001),
    'entropy',
    /entropy of the last 5 updates is 0.001 nats.*earlier checkpoint/,
  )
  assert.equal(kinds(recent(() => ({}), 4, 0.001)), [])
  assert.equal(kinds(recent(() => ({}), 10, 0.1)), [])
  assert.equal(kinds(recent(() => ({}), 10, Number.NaN)), [])
})

test('more than 5 % failed verifiers', () => {
  only(
    recent(() => ({ failed: 5 })),
    'verifiers',
    /15 of 240 completions of the last 3 episodes \(6.3 %\).*time limit/,
  )
  only(
    recent(() => ({ failed: 40 }), 1),
    'verifiers',
    /40 of 80 completions of the last episode \(50 %\)/,
  )
  assert.equal(kinds(recent(() => ({ failed: 4 }))), [])
  const why = { failed: 40, failure: 'boom' }
  only(
    recent(() => why),
    'verifiers',
    /a verifier failed \(most often: boom\); read why/,
  )
})

test('several show together, the one that says that nothing is alive first', () => {
  const sick = { kept: 0, discarded: 10, degenerate: 10, failed: 60, components: { format: spread(0) } }
  assert.equal(kinds(recent(() => sick, 10, 0)), ['no-signal', 'verifiers', 'format', 'entropy'])
})

test.run()

const numbers = suite('statistics of an episode')

numbers('by component and family, with what could not be judged counted beside', () => {
  const scored = (value: number, format: number): Judgement =>
    ({
      ...{ _tag: 'Scored' as const, value, evidence: {} },
      parts: {
        format: { _tag: 'Scored', value: format, evidence: {} },
        answer: {
          _tag: 'Abstained',
          why: 'no box',
          parts: { inner: { _tag: 'Scored', value: 3, evidence: {} } },
        },
      },
    }) as const
  const prompt = { id: 'p', ids: [1], lossMask: [false], promptLength: 1, images: [] }
  const completion = (sample: number, tokens: number, stop: 'end' | 'length') => ({
    ...{ task: 't', sample, promptIds: [1], ids: Array<number>(tokens).fill(2), text: '', stop, version: 0 },
    logProbs: Array<number>(tokens).fill(-1),
  })
  const group = (
    family: string,
    kept: boolean,
    ...judgements: Parameters<typeof statisticsOf>[0][number]['judgements'][number][]
  ) => ({
    index: 0,
    task: { id: 't', family, prompt, question: '', columns: {} },
    completions: judgements.map((_, i) =>
      completion(i, i + 1, i === 0 ? ('length' as const) : ('end' as const)),
    ),
    judgements,
    selection: kept ? ({ kept } as const) : ({ kept, why: 'no' } as const),
    advantages: [],
  })
  const got = statisticsOf([
    group('a', true, scored(1, 1), scored(0, 0)),
    group('b', false, scored(1, 1), { _tag: 'Failed', why: 'x', elapsedMs: 1 }),
    group('b', false, scored(1, 0), scored(1, 0), { _tag: 'Abstained', why: 'y' }),
  ])
  const failed = (why: string) => ({ _tag: 'Failed', why, elapsedMs: 1 }) as const
  assert.is(got.failure, 'x')
  assert.is(statisticsOf([group('a', false, failed('x'), failed('y\n  z'), failed('y\n  z'))]).failure, 'y z')
  assert.not.ok('failure' in statisticsOf([group('a', true, scored(1, 1), scored(0, 0))]))
  assert.equal(
    [got.kept, got.discarded, got.degenerate, got.completions, got.failed, got.abstained],
    [1, 2, 1, 7, 1, 1],
  )
  assert.equal(got.rewards, spreadOf([1, 0, 1, 1, 1]))
  assert.equal(got.components, {
    'answer.inner': spreadOf([3, 3, 3, 3, 3]),
    format: spreadOf([1, 0, 1, 0, 0]),
  })
  assert.equal(got.families, { a: spreadOf([1, 0]), b: spreadOf([1, 1, 1]) })
  assert.equal(got.lengths, { ...spreadOf([1, 2, 1, 2, 1, 2, 3]), most: 3 })
  assert.is(got.truncated, 3 / 7)
  assert.equal(spreadOf([2]), { mean: 2, std: 0, count: 1 })
  assert.ok(Math.abs(spreadOf([1, 2, 3, 4]).std - Math.sqrt(5 / 3)) < 1e-12)
})

numbers.run()
