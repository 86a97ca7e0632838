/** Untrusted text in worker threads: what hangs, eats memory or dies is a value, and the next check is not touched by it. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { answer, type Failed, verified, verifierPool } from '../../../src/rl/index.ts'
import { judge } from '../../support/judged.ts'
import { worked } from '../../support/worked.ts'

const test = suite('rl: pool of verifiers')

const module = new URL('../../support/checks/hostile.js', import.meta.url)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const hostile = (check: string, input: unknown = {}) => ({ module: module.href, check, input })
const right = { check: 'answer', input: answerInput('\\boxed{4}', '4') }

function answerInput(text: string, truth: string) {
  const settings = {
    from: 'box',
    delimiter: '</think>',
    delimited: false,
    mathematics: false,
    percent: 'either',
  }
  return { text, truths: [truth], decimals: 6, ...settings }
}

/** The pool of the tests that nothing must end. */
const steady = verifierPool({ workers: 1, timeoutMs: 20_000 })
test.after(() => steady.close())

test('a check gives its result and its time; what is no check fails', async () => {
  const done = await steady.run(right)
  assert.is(done._tag, 'Done')
  if (done._tag === 'Done') assert.is((done.result as { value: number }).value, 1)
  const none = await steady.run({ check: 'toString', input: {} })
  assert.match((none as Failed).why, /no check 'toString'/)
  assert.match(((await steady.run(hostile('missing'))) as Failed).why, /exports no function 'missing'/)
  assert.match(
    ((await steady.run({ module: 'file:///not/there.js', check: 'x', input: {} })) as Failed).why,
    /not\/there/,
  )
  assert.is(steady.counts().started, 1)
})

test('a loop without end, a pattern without end, memory without end, an exit: failed, and the next is right', async () => {
  const pool = verifierPool({ workers: 2, timeoutMs: 700, memoryMb: 64 })
  try {
    const cases: readonly (readonly [RegExp, ReturnType<typeof hostile>])[] = [
      [/longer than 700 ms/, hostile('forever')],
      [/longer than 700 ms/, hostile('backtracks', { text: `${'a'.repeat(60)}!` })],
      [/memory|longer than 700 ms/i, hostile('hoards')],
      [/exit code 3/, hostile('leaves')],
    ]
    for (const [why, call] of cases) {
      const [bad, good] = await Promise.all([pool.run(call), pool.run(right)])
      assert.is(bad._tag, 'Failed', call.check)
      assert.match((bad as Failed).why, why)
      assert.is(good._tag, 'Done', `beside ${call.check}`)
      assert.is((await pool.run(right))._tag, 'Done', `after ${call.check}`)
    }
    const { timedOut, died } = pool.counts()
    assert.ok(timedOut >= 2 && died >= 1 && timedOut + died === 4, JSON.stringify(pool.counts()))
  } finally {
    await pool.close()
  }
})

test('what throws, recurses without end or answers with what cannot be copied fails, and keeps its thread', async () => {
  const { started } = steady.counts()
  assert.match(((await steady.run(hostile('throws'))) as Failed).why, /not today/)
  assert.match(((await steady.run(hostile('recurses'))) as Failed).why, /call stack/)
  assert.match(((await steady.run(hostile('uncopied'))) as Failed).why, /clone/)
  const functions = await steady.run({ check: 'answer', input: { f: () => 1 } })
  assert.match((functions as Failed).why, /cannot be copied/)
  assert.is((await steady.run(right))._tag, 'Done')
  assert.is(steady.counts().started, started)
})

test('time in the queue does not count: ten checks of half the limit all end well on one thread', async () => {
  const pool = verifierPool({ workers: 1, timeoutMs: 1_000 })
  try {
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => pool.run(hostile('busy', { ms: 200 }))),
    )
    assert.equal(new Set(outcomes.map((o) => o._tag)), new Set(['Done']))
    assert.is(pool.counts().started, 1)
  } finally {
    await pool.close()
  }
})

test('a thread that trains and does not look for a while makes no late check of a timely one', async () => {
  const pool = verifierPool({ workers: 1, timeoutMs: 400 })
  try {
    await pool.run(right)
    const running = pool.run(hostile('busy', { ms: 20 }))
    // from here the loop goes to its timers first, and to messages after them
    await new Promise((done) => setImmediate(done))
    const end = performance.now() + 1_500
    while (performance.now() < end);
    const outcome = await running
    assert.is(outcome._tag, 'Done', JSON.stringify(outcome))
    assert.ok(outcome.elapsedMs < 1_400)
  } finally {
    await pool.close()
  }
})

test('no more threads than were asked for', async () => {
  const pool = verifierPool({ workers: 2, timeoutMs: 20_000 })
  try {
    await Promise.all(Array.from({ length: 40 }, () => pool.run(right)))
    assert.ok(pool.counts().started <= 2)
    assert.is(pool.counts().done, 40)
  } finally {
    await pool.close()
  }
})

test('a pool that is closed fails what waits and what comes', async () => {
  const pool = verifierPool({ workers: 1, timeoutMs: 20_000 })
  const waiting = [pool.run(hostile('forever')), pool.run(right), pool.run(right)]
  await pool.close()
  for (const outcome of await Promise.all(waiting)) assert.match((outcome as Failed).why, /closed/)
  assert.match(((await pool.run(right)) as Failed).why, /closed/)
})

test('settings that cannot be are refused', () => {
  assert.throws(() => verifierPool({ workers: 0 }), /workers/)
  assert.throws(() => verifierPool({ timeoutMs: 0 }), /timeoutMs/)
})

test("a user's check in a thread: numbers, promises, judgements; what hangs is Failed", async () => {
  const pool = steady
  const of = (check: string) => judge(verified('own', { module, check, pool, input: () => ({}) }), '', {})
  assert.equal(await of('later'), { _tag: 'Scored', value: 0.5, evidence: {} })
  assert.equal(await of('judges'), { _tag: 'Abstained', why: 'not mine' })
  assert.match(((await of('nothing')) as Failed).why, /gave nothing, which is neither/)
  const plain = verified<{ readonly answer: string }>('plain', { module, pool })
  assert.equal(await judge(plain, 'four', { answer: 'four' }), { _tag: 'Scored', value: 1, evidence: {} })
  const quick = verifierPool({ workers: 1, timeoutMs: 300 })
  try {
    const hung = await judge(verified('own', { module, check: 'forever', pool: quick }), '', {})
    assert.match((hung as Failed).why, /longer than 300 ms/)
    assert.ok((hung as Failed).elapsedMs >= 300)
  } finally {
    await quick.close()
  }
})

const hugeNumerals = [
  '10^{10^{10}}',
  '9^9^9^9^9^9',
  '9999999999!',
  '170!!!!!!!!',
  '2^{'.repeat(50) + '}'.repeat(50),
]
const huge: readonly string[] = [
  ...hugeNumerals,
  ...[
    '9'.repeat(1e6),
    'a'.repeat(1e6),
    ' '.repeat(1e6),
    '$'.repeat(1e6),
    '"'.repeat(1e6),
    `a${'\u0300'.repeat(1e6)}`,
  ],
  ...['('.repeat(1e5), '\\{'.repeat(1e5), '\\frac{1}{'.repeat(3e3), '|'.repeat(9_000), '|x'.repeat(4_000)],
  ...[
    '\\text{'.repeat(1e5),
    '\\sin'.repeat(2_000),
    'x^'.repeat(3_000),
    '([{'.repeat(3_000),
    '1+'.repeat(4_999),
  ],
  ...['1 '.repeat(4_000), '1,000'.repeat(1_500), '\\pm1'.repeat(2_000), '\\binom{10000}{5000}^{5000}'],
  ...[
    `\\{${Array.from({ length: 2_000 }, (_, i) => i).join(',')}\\}`,
    '\0'.repeat(1e5),
    '\ud800'.repeat(1e5),
  ],
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '٣',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '\\__proto__',
    '\\constructor',
  ],
  ...['<think>'.repeat(1e5), '</think>'.repeat(1e5), '\\boxed{'.repeat(1e5), '\\boxed{1}'.repeat(1e5)],
]

test('nothing that an answer has in it takes long, is right, or fails', async () => {
  const rewards = (['box', 'anywhere'] as const).map((from) => answer({ from, pool: steady }))
  await steady.run(right)
  for (const text of huge)
    for (const [written, reward] of [
      [`<think>x</think>\\boxed{${text}}`, rewards[0]!],
      [text, rewards[1]!],
    ] as const) {
      const began = worked()
      const j = await judge(reward, written, { answer: '4' })
      const ms = worked() - began
      const what = `${written.slice(0, 30)} of ${written.length}`
      assert.is(j._tag, 'Scored', `${what}: ${JSON.stringify(j).slice(0, 200)}`)
      if (j._tag === 'Scored') assert.is(j.value, 0, what)
      assert.ok(ms < 10_000, `${what} took ${ms} ms`)
    }
})

test('evidence stays small, whatever the answer is', async () => {
  const j = await judge(answer({ pool: steady }), `\\boxed{${'7'.repeat(1e6)}}`, { answer: '4' })
  assert.ok(JSON.stringify(j).length < 1_000)
})

test('built, it works as from source, and does not keep the process alive', async () => {
  const program = `
    import { answer, verifierPool } from '${root}dist/src/rl/index.js'
    const columns = { answer: '4' }
    const prompt = { id: 't', ids: [], lossMask: [], promptLength: 0, images: [] }
    const task = { id: 't', family: 'f', question: '', columns, prompt }
    const completion = { task: 't', sample: 0, promptIds: [], ids: [], logProbs: [], text: '\\\\boxed{4}', stop: 'end', version: 0 }
    console.log(JSON.stringify(await answer().score({ task, completion })()))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 600_000,
  })
  assert.is(JSON.parse(stdout).value, 1, stdout)
})

test.run()
