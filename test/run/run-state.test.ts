/** What is known of a run after its events, and its events without what a later start did again. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { advance, batchText, emptyRun, withoutRepeats } from '../../src/run/run-state.ts'

const test = suite('run state')

const started = (stage: string, index = 0): RunEvent => ({
  ...{ type: 'stage-started', stage, index, of: 2, steps: 60, batch: 4, trainable: 9, parts: ['all'] },
})
const step = (stage: string, n: number): RunEvent => ({
  ...{ type: 'step', stage, step: n, steps: 60, loss: 1 / n, learningRate: 1e-3, gradientNorm: 1 },
  ...{ samples: 4 * n, tokens: 40, seconds: 2 * n, dataSeconds: 0.5, computeSeconds: 1.5 },
})
const taken = (stage: string): RunEvent => ({ type: 'weights', stage, taken: 2, fresh: [], unused: [] })
const folded = (...events: readonly RunEvent[]) => events.reduce(advance, emptyRun)

test('a stage has the weights that were found for it, and no other’s', () => {
  assert.equal(folded(taken('a'), started('a')).stages[0]!.weights, taken('a'))
  assert.is(folded(taken('a'), started('b')).stages[0]!.weights, undefined)
})

test('a stage that begins anew takes its own place, and those behind it are gone', () => {
  const names = (...events: readonly RunEvent[]) => folded(...events).stages.map((s) => [s.stage, s.step])
  const both = [started('a'), step('a', 1), started('b', 1), step('b', 1)]
  assert.equal(names(...both, started('b', 1)), [
    ['a', 1],
    ['b', 0],
  ])
  assert.equal(names(...both, started('a')), [['a', 0]])
})

test('a run that is started again has neither ended nor failed', () => {
  const ends: readonly RunEvent[] = [
    { type: 'run-finished', seconds: 1 },
    { type: 'run-failed', message: 'no' },
  ]
  assert.ok(folded(started('a'), ends[0]!).finished !== undefined)
  const again = folded(started('a'), ...ends, started('a'))
  assert.equal([again.finished, again.failed], [undefined, undefined])
})

test('tokens and seconds add up; pace is by the step where a stage goes on behind its first', () => {
  const [s] = folded(started('a'), step('a', 50), step('a', 51), step('a', 52)).stages
  assert.equal([s!.tokens, s!.dataSeconds, s!.computeSeconds], [120, 1.5, 4.5])
  assert.ok(Math.abs(s!.stepSeconds - 2) < 1e-9 && Math.abs(s!.stepSamples - 4) < 1e-9)
})

test('bad rows are as many as were counted, where not each of them was told', () => {
  const row: RunEvent = { type: 'bad-row', file: 'f', line: 1, reason: 'empty' }
  const count = (...events: readonly RunEvent[]): readonly number[] => {
    const { rows, count: all } = folded(...events).badRows
    return [rows.length, all]
  }
  assert.equal(count(row, row), [2, 2])
  assert.equal(count(row, { type: 'bad-rows', count: 7 }), [1, 7])
  assert.equal(count(row, { type: 'bad-rows', count: 7 }, row), [2, 7])
})

test('of other weights each family of each is kept, the latest', () => {
  const share = (weights: string, family: string, correct: number): RunEvent => ({
    ...{ type: 'evaluated', stage: 'a', family, correct, total: 4, seconds: 1, weights },
  })
  const [s] = folded(
    started('a'),
    ...[share('x', 'f', 1), share('y', 'f', 2), share('x', 'g', 3), share('x', 'f', 4)],
  ).stages
  assert.equal(
    s!.beside.map((m) => [m.weights, m.family, m.type === 'evaluated' && m.correct]),
    [
      ['y', 'f', 2],
      ['x', 'g', 3],
      ['x', 'f', 4],
    ],
  )
})

test('a family that is measured again has its later row alone', () => {
  const share = (correct: number): RunEvent => ({
    ...{ type: 'evaluated', stage: 'a', family: 'f', correct, total: 4, seconds: 1 },
  })
  const [s] = folded(started('a'), share(1), share(3)).stages
  assert.equal(s!.evaluations, [share(3)])
})

test('one example is no plural', () => {
  assert.equal(
    [1, 2, 1200].map((batch) => batchText({ batch, example: 'pack' })),
    ['1 pack', '2 packs', '1,200 packs'],
  )
})

// --- without repeats --------------------------------------------------------------------------------------------

const spread = { mean: 1, std: 0, count: 1 }
const validated = (n: number): EventOf<'validated'> => ({
  ...{ type: 'validated', stage: 'rl', step: n, rewards: spread, families: {}, length: 1 },
  ...{ truncated: 0, unjudged: 0, seconds: 1 },
})
const [updates, episodes, every] = [3, 3, 2]
const episodeAt = (episode: number): EventOf<'episode'> => ({
  ...{ type: 'episode', stage: 'rl', episode, step: episode * updates + 1, kept: 4, discarded: 0 },
  ...{ degenerate: 0, completions: 8, rewards: spread, components: {}, families: {} },
  ...{ lengths: { ...spread, most: 1 }, truncated: 0, failed: 0, abstained: 0 },
  ...{ rolloutSeconds: 1, scoreSeconds: 1 },
})
/** What follows a step: its figures, and held-out tasks after every second. */
const stepOf = (n: number): readonly RunEvent[] => [
  step('rl', n),
  { type: 'rl-step', stage: 'rl', step: n, episode: Math.ceil(n / updates) - 1, completions: 8, metrics: {} },
  ...(n % every === 0 ? [validated(n)] : []),
]
/** What a start says that goes on after so many steps: of an episode that has begun nothing again. */
const from = (done: number): readonly RunEvent[] => [
  started('rl', 1),
  ...(done === 0 ? [validated(0)] : []),
  ...Array.from({ length: updates * episodes - done }, (_, i) => done + i + 1).flatMap((n) => [
    ...(n % updates === 1 ? [episodeAt((n - 1) / updates)] : []),
    ...stepOf(n),
  ]),
]
const before: readonly RunEvent[] = [
  { type: 'forked', run: 'old', from: 'x', step: 2, taken: 'weights', begins: 0, path: 'fork' },
  ...[taken('a'), started('a'), step('a', 1), step('a', 2)],
  { type: 'bad-row', file: 'f', line: 1, reason: 'empty' },
  { type: 'warned', message: 'mind' },
]
const bare = (events: readonly RunEvent[]): readonly RunEvent[] =>
  events.filter((e) => e.type !== 'stage-started' || e.stage !== 'rl')

test('of a stage that was stopped anywhere and went on from any step before: the events of one that never was', () => {
  const whole = [...before, taken('rl'), ...from(0)]
  const said = bare(whole)
  const last = (events: readonly RunEvent[]): number =>
    events.reduce((n, e) => (e.type === 'step' && e.stage === 'rl' ? e.step : n), 0)
  const places = whole.map((_, i) => i).filter((i) => i >= before.length + 2)
  let cases = 0
  for (const at of places) {
    const first = whole.slice(0, at)
    // a step is kept once all that follows it was said
    const kept =
      bare(first).length === bare([...before, taken('rl')]).length ? 0 : last(whole.slice(0, at - 2))
    for (let done = 0; done <= kept; done++) {
      const stopped: RunEvent = { type: 'run-failed', message: 'stopped' }
      const second = [...first, stopped, ...from(done)]
      assert.equal(bare(withoutRepeats(second)), said, `stopped at ${at}, went on from ${done}`)
      cases++
    }
    // and stopped once more, soon after it went on
    const again = [
      ...first,
      ...from(kept).slice(0, 3),
      { type: 'run-finished', seconds: 1 } as const,
      ...from(kept),
    ]
    assert.equal(bare(withoutRepeats(again)), said, `stopped at ${at} and once more`)
  }
  assert.ok(cases > 60, `${cases}`)
})

test('a run that ended and went on with its next stage has not ended there', () => {
  const end: RunEvent = { type: 'run-finished', seconds: 1 }
  const one = [started('a'), step('a', 1)]
  assert.equal(withoutRepeats([...one, end, started('b', 1)]), [...one, started('b', 1)])
})

test('what a start said of a later stage is gone where one begins before it', () => {
  const one = [started('a'), step('a', 1)]
  assert.equal(withoutRepeats([started('b', 1), step('b', 1), ...one]), one)
})

test('a stage before the last that begins again takes all behind it away', () => {
  const first = [...before, taken('rl'), ...from(0)]
  const again = [started('a'), step('a', 1)]
  assert.equal(withoutRepeats([...first, ...again]), [
    ...before.filter((e) => !('stage' in e) || e.type === 'weights'),
    ...again,
  ])
})

test('a long run is gone through once, whatever it is made of', () => {
  const spread = { mean: 0, std: 0, count: 1 }
  let looked = 0
  const counted = (e: RunEvent): RunEvent => {
    const { type } = e
    const get = () => {
      looked++
      return type
    }
    return Object.defineProperty({ ...e }, 'type', { enumerable: true, get })
  }
  const episodes = Array.from({ length: 500 }, (_, i): readonly RunEvent[] => [
    {
      ...{ type: 'episode', stage: 'a', episode: i, step: i + 1, kept: 1, discarded: 0, degenerate: 0 },
      ...{ completions: 8, rewards: spread, components: {}, families: {}, lengths: { ...spread, most: 1 } },
      ...{ truncated: 0, failed: 0, abstained: 0, rolloutSeconds: 1, scoreSeconds: 0 },
    },
    step('a', i + 1),
    {
      ...{ type: 'validated', stage: 'a', step: i + 1, rewards: spread, families: {}, length: 1 },
      ...{ truncated: 0, unjudged: 0, seconds: 1 },
    },
  ]).flat()
  const events = [started('a'), ...episodes]
  assert.equal(withoutRepeats(events), events)
  withoutRepeats(events.map(counted))
  assert.ok(looked < 20 * events.length, `${looked} looks at ${events.length} events`)
  // what comes again is left out as before
  const [again, from] = [episodes.slice(300), 100]
  assert.equal(withoutRepeats([...events, started('a'), ...again]), [started('a'), ...episodes])
  assert.equal(withoutRepeats([...events, started('a'), ...episodes.slice(3 * from, 3 * from + 3)]), [
    started('a'),
    ...episodes.slice(0, 3 * from + 3),
  ])
})

test.run()
