/** Rewards of shape and length, against the values that TRL and open-r1 give. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Abstained,
  answer,
  chartNumber,
  choice,
  cosineScaled,
  format,
  type Judgement,
  length,
  type Reward,
  regionOverlap,
  repetition,
  scored,
  softOverlong,
  textSimilarity,
  think,
  verifierPool,
} from '../../../src/rl/index.ts'
import { fixtureJson } from '../../support/fixtures.ts'
import { always, judge, scoreOf } from '../../support/judged.ts'
import { worked } from '../../support/worked.ts'

const test = suite('rl: rewards of shape, length and answer')

const pool = verifierPool({ workers: 1, timeoutMs: 20_000 })
test.after(() => pool.close())

type Solved = { readonly answer: string }
const reasoned = (a: { readonly reasoning_delimiters?: readonly string[] }): Reward<Solved> =>
  answer({
    ...{ from: 'boxes', delimited: true, mathematics: true, pool },
    ...(a.reasoning_delimiters === undefined ? {} : { delimiter: a.reasoning_delimiters[0]! }),
  })

// biome-ignore lint/suspicious/noExplicitAny: the settings differ from reward to reward
const made: Readonly<Record<string, (a: any) => Reward<Solved>>> = {
  think_format_reward: think,
  think_then_boxed_format: () => format(),
  'open_r1.format_reward': () => format({ then: 'answer' }),
  soft_overlong_punishment: (a) =>
    softOverlong({ maxLength: a.max_completion_len, cache: a.soft_punish_cache }),
  repetition_penalty: (a) => repetition({ size: a.ngram_size, penalty: a.max_penalty }),
  'open_r1.repetition_penalty': (a) =>
    repetition({ size: a.ngram_size, penalty: a.max_penalty, unit: 'word' }),
  cosine_scaled: (a) =>
    cosineScaled({
      maxLength: a.max_len,
      right: [a.max_value_correct, a.min_value_correct],
      wrong: [a.min_value_wrong, a.max_value_wrong],
    })(answer({ from: 'boxes', mathematics: true, pool })),
  accuracy_reward: () => answer({ from: 'boxes', mathematics: true, pool }),
  'open_r1.accuracy_reward': () => answer({ from: 'boxes', mathematics: true, pool }),
  reasoning_accuracy_reward: reasoned,
}

test('trl-rewards.json: every case', async () => {
  const { cases } = fixtureJson('text/trl-rewards.json')
  assert.is(cases.length, 46)
  for (const c of cases) {
    const ids: readonly number[] =
      c.completion_ids ?? Array<number>(c.completion_length ?? 0).fill(c.completion_ids_all ?? 0)
    const j = await judge(made[c.reward]!(c.args), c.completion ?? '', { answer: c.solution ?? '' }, { ids })
    if (c.expected === null) assert.is(j._tag, 'Abstained', c.id)
    else
      assert.ok(Math.abs(scoreOf(j) - c.expected) <= (c.tolerance ?? 1e-9), `${c.id}: ${JSON.stringify(j)}`)
  }
})

const why = (j: Judgement): unknown => (j._tag === 'Scored' ? j.evidence.why : j.why)

test('format: thinking, then a box; what is wrong is said', async () => {
  const of = (text: string) => judge(format(), text, {})
  assert.equal(await of('<think>a</think>so \\boxed{4}.'), scored(1))
  for (const [text, said] of [
    ['so \\boxed{4}', /does not begin/],
    [' <think>a</think>\\boxed{4}', /does not begin/],
    ['<think>a<think>b</think>\\boxed{4}', /<think> stands there twice/],
    ['<think>\\boxed{4}', /no <\/think>/],
    ['<think>\\boxed{4}</think>four', /no closed/],
    ['<think>a</think>\\boxed{4', /no closed/],
    ['<think>a</think>\\boxed{ }', /empty/],
    ['<think>a</think>b</think>\\boxed{4}', /<\/think> stands there twice/],
  ] as const) {
    const j = await of(text)
    assert.is(scoreOf(j), 0, text)
    assert.match(String(why(j)), said)
  }
})

test('format: a million tags take no time', async () => {
  for (const text of [
    '<think>'.repeat(3e5),
    '<think></think>'.repeat(1e5),
    `<think>${'</think>'.repeat(3e5)}`,
  ]) {
    const began = worked()
    assert.is(scoreOf(await judge(format(), text, {})), 0)
    assert.ok(worked() - began < 5_000)
  }
})

test('soft overlong: 0 up to where the cache begins, then down in a line, -1 above the end', async () => {
  const reward = softOverlong({ maxLength: 100, cache: 20 })
  const at = async (n: number) => scoreOf(await judge(reward, '', {}, { ids: Array<number>(n).fill(1) }))
  assert.equal(await Promise.all([0, 80, 81, 90, 100, 101, 5000].map(at)), [0, 0, -0.05, -0.5, -1, -1, -1])
  assert.throws(() => softOverlong({ maxLength: 10, cache: 11 }), /cache/)
})

test('length: within bounds', async () => {
  const at = async (n: number) =>
    scoreOf(await judge(length({ least: 2, most: 4 }), '', {}, { ids: Array<number>(n).fill(1) }))
  assert.equal(await Promise.all([1, 2, 4, 5].map(at)), [0, 1, 1, 0])
  assert.throws(() => length({ least: 5, most: 4 }), /most/)
})

test('cosineScaled leaves failures and silence alone', async () => {
  const scaled = cosineScaled({ maxLength: 10 })
  assert.is((await judge(scaled(always({ _tag: 'Failed', why: 'x', elapsedMs: 0 })), '', {}))._tag, 'Failed')
  assert.is((await judge(scaled(always({ _tag: 'Abstained', why: 'x' })), '', {}))._tag, 'Abstained')
})

test('answer: the column, several truths, numbers, none', async () => {
  assert.is(scoreOf(await judge(answer({ column: 'solution', pool }), '\\boxed{4}', { solution: 4 })), 1)
  assert.is(scoreOf(await judge(answer({ pool }), '\\boxed{NYC}', { answer: ['New York', 'nyc'] })), 1)
  const none = await judge(answer({ pool }), '\\boxed{4}', { answer: null })
  assert.match((none as Abstained).why, /no answer/)
  // an empty box would be right
  for (const blank of ['', ' ', [''], []]) {
    const said = await judge(answer(), '\\boxed{}', { answer: blank })
    assert.is(said._tag, 'Abstained', JSON.stringify(blank))
  }
  const j = await judge(answer({ pool }), '\\boxed{0.5}', { answer: '\\frac12' })
  assert.equal(j, scored(1, { extracted: '0.5', from: 'box', expected: '\\frac12', by: 'mathematics' }))
  const missing = await judge(answer({ pool }), 'it is 0.5', { answer: '\\frac12' })
  assert.equal(missing, scored(0, { extracted: null, why: 'no answer in box', expected: '\\frac12' }))
})

test('repetition: words are the same in capitals, tokens are as they are', async () => {
  const text = 'Go on go ON'
  assert.is(scoreOf(await judge(repetition({ size: 2, unit: 'word' }), text, {})), 2 / 3 - 1)
  const ids = [1, 2, 1, 3]
  assert.is(scoreOf(await judge(repetition({ size: 2 }), text, {}, { ids })), 0)
})

test('options, likeness, charts and rectangles', async () => {
  const columns = { choices: { A: 'a car', B: 'a bicycle' }, answer: 'B' }
  assert.is(scoreOf(await judge(choice({ pool }), '<think>A?</think>\\boxed{B}', columns)), 1)
  assert.is(scoreOf(await judge(choice({ pool }), 'It is a bicycle.', columns)), 1)
  assert.is(scoreOf(await judge(choice({ pool }), 'a car', columns)), 0)
  assert.is((await judge(choice({ pool }), 'B', { ...columns, answer: 'Z' }))._tag, 'Abstained')
  assert.is(scoreOf(await judge(textSimilarity({ pool }), 'abcdefghij', { answer: 'abcdefghix' })), 0.9)
  assert.is(scoreOf(await judge(chartNumber({ pool }), '\\boxed{104}', { answer: 100 })), 1)
  assert.is(scoreOf(await judge(chartNumber({ pool }), '106', { answer: 100 })), 0)
  assert.is(scoreOf(await judge(chartNumber({ pool, tolerance: 0.01 }), '104', { answer: 100 })), 0)
  const region = [0, 0, 1000, 500] as const
  assert.is(scoreOf(await judge(regionOverlap({ pool }), '[0, 0, 500, 500]', { region })), 0.5)
  assert.is(
    scoreOf(await judge(regionOverlap({ pool }), '[0, 0, 2, 2], no: [0, 0, 500, 500]', { region })),
    0.5,
  )
  assert.is(scoreOf(await judge(regionOverlap({ pool }), '[0, 0, 0.5, 0.5]', { region })), 0.5)
  assert.is(scoreOf(await judge(regionOverlap({ pool, threshold: 0.5 }), '(0,0),(500,500)', { region })), 1)
  assert.is(scoreOf(await judge(regionOverlap({ pool }), 'no box', { region })), 0)
})

test.run()
