import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Script } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  abstained,
  type Failed,
  type Group,
  type Judgement,
  type Reward,
  reward,
  type Scored,
  scored,
  scoreGroup,
  weighted,
} from '../../../src/rl/index.ts'
import { bounded } from '../../../src/rl/rewards/bounded.ts'
import { RecordedJudgement } from '../../../src/run/index.ts'
import { always, completionOf, judge, judgedOf } from '../../support/judged.ts'
import { loader, moduleAt } from '../../support/program.ts'
import { worked } from '../../support/worked.ts'

const test = suite("rl: a user's own reward")

const named = reward<{ readonly city: string }>('named', ({ task, completion }) =>
  completion.text.includes(task.columns.city) ? 1 : 0,
)

test('a number is a value, a judgement stays, a promise is awaited', async () => {
  assert.equal(await judge(named, 'it is Rome', { city: 'Rome' }), scored(1))
  assert.equal(await judge(named, 'it is Paris', { city: 'Rome' }), scored(0))
  const kept = scored(0.5, { seen: 'half' })
  assert.equal(
    await judge(
      reward('kept', () => kept),
      '',
      {},
    ),
    kept,
  )
  assert.equal(
    await judge(
      reward('later', async () => 0.25),
      '',
      {},
    ),
    scored(0.25),
  )
  assert.equal(
    await judge(
      reward('silent', () => abstained('not mine')),
      '',
      {},
    ),
    abstained('not mine'),
  )
})

test('a loop without end is stopped, wherever it stands, and says whose it is', async () => {
  const endless = (): never => {
    for (;;);
  }
  const quick = { timeoutMs: 50 }
  const loops = reward('loops', endless, quick)
  const failure = /held the thread for 0\.05 s and was stopped; .*verified\(…\)/
  const fails = async (r: Reward<never>, why: RegExp) => {
    const j = await judge(r as Reward, 'a', {})
    assert.ok(j._tag === 'Failed' && why.test(j.why), JSON.stringify(j))
  }
  await fails(loops, failure)
  await fails(
    reward('pattern', () => Number(/^(a+)+$/.test(`${'a'.repeat(60)}b`)), quick),
    failure,
  )
  // before the first await, and what its own catch and finally would keep
  await fails(
    reward(
      'async',
      async () => {
        try {
          return endless()
        } finally {
          endless()
        }
      },
      quick,
    ),
    failure,
  )
  await fails(
    weighted({ loops, right: always(scored(1)) }, { loops: 1, right: 1 }),
    /^loops: it held the thread/,
  )
  assert.equal(await judge(named, 'it is Rome', { city: 'Rome' }), scored(1))
})

test('a process that was itself stopped gives its rewards their time again', async () => {
  const script = moduleAt('test/support/stood-still.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [...loader, script])
  assert.equal(stdout.trim().split('\n'), [
    JSON.stringify(scored(1)),
    JSON.stringify(scored(0.5)),
    JSON.stringify({ waited: true }),
  ])
})

test('a function that hardly worked is called again, three times in all; one that worked is not', () => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const stands = (ms?: number) => Atomics.wait(cell, 0, 0, ms)
  let calls = 0
  const late = () => (++calls === 1 ? stands(500) : calls)
  // also where it is stopped inside of another
  for (const once of [late, () => bounded({}, 60_000, late)]) {
    calls = 0
    // on a busy machine the second call may be stopped too
    const answer = bounded({}, 50, once)
    assert.ok(answer === calls && calls > 1, `${answer} of ${calls}`)
  }
  calls = 0
  const waits = () => {
    calls++
    stands()
  }
  assert.throws(() => bounded({}, 20, waits), /held the thread for 0\.02 s/)
  assert.is(calls, 3)
  const began: number[] = []
  const works = (): never => {
    began.push(worked())
    for (;;);
  }
  assert.throws(() => bounded({}, 100, works), /held the thread for 0\.1 s/)
  // a busy machine may have let it stand
  for (const [i, at] of began.entries()) assert.ok(i === 0 || at - began[i - 1]! < 75, `${began}`)
})

test('one that is stopped again and again is not asked any more; one answer clears it', () => {
  let calls = 0
  const sticky = (): never => {
    calls++
    for (;;);
  }
  const answers = () => bounded(sticky, 60_000, () => 1)
  const stops = () => assert.throws(() => bounded(sticky, 20, sticky), /held the thread for 0\.02 s/)
  for (let i = 0; i < 15; i++) stops()
  assert.is(answers(), 1)
  for (let i = 0; i < 16; i++) stops()
  const asked = calls
  assert.throws(answers, /stopped 16 times in a row, and is not asked any more/)
  assert.throws(() => bounded(sticky, 20, sticky), /is not asked any more/)
  assert.is(calls, asked)
})

test('a reward written by hand, and a change of evidence, are stopped as well', () => {
  const hand: Reward = {
    ...{ name: 'hand', config: 0 },
    score: () => () => {
      for (;;);
    },
  }
  assert.throws(() => bounded(hand, 20, hand.score(judgedOf('', {}))), /held the thread for 0\.02 s/)
  assert.throws(() => bounded(hand, 20, () => bounded({}, 60_000, hand.score(judgedOf('', {})))), /0\.02 s/)
  assert.is(
    bounded(hand, 60_000, () => 1),
    1,
  )
  assert.throws(
    () =>
      bounded(hand, 60_000, () => {
        throw new RangeError('mine')
      }),
    (e: unknown) => e instanceof RangeError && e.message === 'mine',
  )
})

test('what it throws, NaN and other types are failures that say what happened', async () => {
  const wrong: readonly (readonly [RegExp, () => unknown])[] = [
    [
      /no such city/,
      () => {
        throw new Error('no such city')
      },
    ],
    [
      /plain text/,
      () => {
        throw 'plain text'
      },
    ],
    [
      /undefined/,
      () => {
        throw undefined
      },
    ],
    [
      /\{"status":503\}/,
      () => {
        throw { status: 503 }
      },
    ],
    [
      /cannot be shown/,
      () => {
        throw {
          toString: () => {
            throw new Error()
          },
        }
      },
    ],
    [
      /no such city/,
      async () => {
        throw new Error('no such city')
      },
    ],
    [/its value is NaN/, () => Number.NaN],
    [/its evidence is no plain JSON data \(.*BigInt/, () => scored(1, { count: 1n })],
    [
      /its evidence is no plain JSON data \(.*circular/,
      () => {
        const around: Record<string, unknown> = {}
        around.around = around
        return scored(1, around)
      },
    ],
    [/its value is Infinity/, () => scored(Number.POSITIVE_INFINITY)],
    [/its value is NaN/, async () => Number.NaN],
    [/^its value is 1e\+308; give a number from −1e12 to 1e12, since gradients are computed/, () => 1e308],
    [/^its value is -1e\+308; give/, () => scored(-1e308)],
    [
      /^step 1: its value is NaN; give a finite number$/,
      () => ({ ...scored(1), steps: [0.5, Number.NaN].map((value) => ({ from: 0, to: 1, value })) }),
    ],
    [/^step 0: it is the text half; give \{ from, to, value \}$/, () => ({ ...scored(1), steps: ['half'] })],
    [
      /^step 0: its from is nothing; give the number of a character/,
      () => ({ ...scored(1), steps: [{ value: 1 }] }),
    ],
    [/^step 0: its to is 1\.5; give/, () => ({ ...scored(1), steps: [{ from: 0, to: 1.5, value: 1 }] })],
    [
      /^step 0: its about is a number, 7; give a text$/,
      () => ({ ...scored(1), steps: [{ from: 0, to: 1, value: 1, about: 7 }] }),
    ],
    [/^its evidence is a list; give a plain record$/, () => ({ ...scored(1), evidence: ['seen'] })],
    [/^its evidence is a Date; give a plain record$/, () => ({ ...scored(1), evidence: new Date(0) })],
    [/^its evidence is the text seen; give/, () => ({ ...scored(1), evidence: 'seen' })],
    [/^its parts are a list; give a record of judgements$/, () => ({ ...scored(1), parts: [scored(1)] })],
    [
      /^part 'half': it gave a number, 0\.5, which is no judgement$/,
      () => ({ ...scored(1), parts: { half: 0.5 } }),
    ],
    [
      /^part 'sum': part 'one': its value is NaN; give a finite number$/,
      () => abstained('nothing', { sum: scored(1, {}, { one: scored(Number.NaN) }) }),
    ],
    [/^its why is nothing; give a text$/, () => ({ _tag: 'Abstained' })],
    [
      /^its elapsedMs is the text long; give a number$/,
      () => ({ ...scored(1), _tag: 'Failed', why: 'no', elapsedMs: 'long' }),
    ],
    [/^it gave nothing, which is neither a number nor a judgement$/, () => undefined],
    [/^it gave the text 1, which/, () => '1'],
    [/^it gave a boolean, true, which/, () => true],
    [/a list/, () => [1]],
    [/a record/, () => ({ value: 1 })],
    [
      /^its value is no number: the text 1; give a finite number$/,
      () => ({ _tag: 'Scored', value: '1', evidence: {} }),
    ],
  ]
  for (const [why, judgeIt] of wrong) {
    const j: Judgement = await judge(reward('own', judgeIt as () => number), '', {})
    assert.is(j._tag, 'Failed', String(judgeIt))
    if (j._tag !== 'Failed') return
    assert.match(j.why, why)
    // as it is recorded, or the run ends with it
    assert.ok(RecordedJudgement.is(JSON.parse(JSON.stringify(j))), j.why)
    assert.ok(j.elapsedMs >= 0 && j.elapsedMs < 10_000)
  }
})

test('a promise that is not kept is a failure', async () => {
  const never = reward('never', () => new Promise<number>(() => {}), { timeoutMs: 200 })
  const j = await judge(never, '', {})
  assert.is(j._tag, 'Failed')
  if (j._tag !== 'Failed') return
  assert.match(j.why, /no answer in 200 ms/)
  assert.ok(j.elapsedMs >= 195)
})

test('nothing waits for an answer that is there or that failed', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((r) => r === 'Timeout').length
  const before = timers()
  await judge(
    reward('later', async () => 1),
    '',
    {},
  )
  await judge(
    reward('fails', () => Promise.reject(new Error('no'))),
    '',
    {},
  )
  // others may end meanwhile
  assert.ok(timers() <= before)
})

test('its configuration is its name and what it says of itself', () => {
  assert.equal(reward('short', () => 1, { config: { least: 3 } }).config, {
    ...{ kind: 'own', name: 'short', timeoutMs: 60_000, of: { least: 3 } },
  })
  assert.throws(() => reward('', () => 1), /name/)
})

const group = <C extends Readonly<Record<string, unknown>>>(columns: C, ...texts: string[]): Group<C> => ({
  index: 0,
  task: judgedOf('', columns).task,
  completions: texts.map((text, sample) => completionOf(text, { sample })),
})

test('a group is judged in the order of its completions', async () => {
  const cities = group({ city: 'Rome', river: 'Tiber' }, 'Rome', 'Paris', 'in Rome')
  const { judgements, task } = await scoreGroup(named, cities)()
  assert.equal(
    judgements.map((j) => (j as Scored).value),
    [1, 0, 1],
  )
  assert.is(task.columns.river, 'Tiber')
})

/** The milliseconds that V8 is told to end scripts after: each time is a thread. The first of them has at most so many. */
const guards = async (
  work: () => Promise<unknown>,
  first = Number.POSITIVE_INFINITY,
): Promise<readonly number[]> => {
  const { runInThisContext } = Script.prototype
  const limits: number[] = []
  Script.prototype.runInThisContext = function (options) {
    const { timeout } = options as { readonly timeout: number }
    const most = limits.push(timeout) === 1 ? first : Number.POSITIVE_INFINITY
    return runInThisContext.call(this, { ...(options as object), timeout: Math.min(timeout, most) })
  }
  try {
    await work()
  } finally {
    Script.prototype.runInThisContext = runInThisContext
  }
  return limits
}

test('one guard is over all answers of a group, of each reward that is asked', async () => {
  const hand: Reward = { ...{ name: 'hand', config: 0 }, score: () => async () => scored(0.5) }
  const long = reward('long', ({ completion }) => completion.text.length)
  const broken = reward('broken', () => {
    throw new Error('no')
  })
  const all = weighted({ hand, long, broken }, { hand: 1, long: 1, broken: 0 })
  const texts = ['a', 'bb', 'ccc', 'dddd']
  let judgements: readonly Judgement[] = []
  const limits = await guards(async () => {
    judgements = (await scoreGroup(all, group({}, ...texts))()).judgements
  })
  assert.is(limits.length, 1)
  assert.equal(
    judgements.map((j) => (j as Scored).value),
    [1.5, 2.5, 3.5, 4.5],
  )
  assert.equal(
    judgements.map((j) => j.parts?.broken?._tag),
    texts.map(() => 'Failed'),
  )
})

test('of answers under one guard only the one that holds the thread fails, however many do', async () => {
  const loops = reward(
    'loops',
    ({ completion }) => {
      while (completion.text === 'loop');
      return completion.text.length
    },
    { timeoutMs: 200 },
  )
  const texts = ['a', 'bb', 'loop', 'ccc', 'loop', 'dddd']
  const { judgements } = await scoreGroup(loops, group({}, ...texts))()
  assert.equal(
    judgements.map((j) =>
      j._tag === 'Scored' ? j.value : /held the thread for 0\.2 s/.test((j as Failed).why),
    ),
    [1, 2, true, 3, true, 4],
  )
})

test('a group that takes longer than one answer may is answered all the same, one by one', async () => {
  const slow = reward('slow', ({ completion }) => {
    for (const until = worked() + 50; worked() < until; );
    return completion.text.length
  })
  const texts = ['a', 'bb', 'ccc', 'dddd', 'eeeee']
  let judgements: readonly Judgement[] = []
  const limits = await guards(async () => {
    judgements = (await scoreGroup(slow, group({}, ...texts))()).judgements
  }, 20)
  assert.is(limits.length, 1 + texts.length)
  assert.equal(
    judgements.map((j) => (j as Scored).value),
    [1, 2, 3, 4, 5],
  )
})

/** Runs an action by a clock of its own, which goes on as it is told. */
const byClock = async (act: (pass: (ms: number) => void) => Promise<void>): Promise<void> => {
  const { now } = performance
  let time = 0
  performance.now = () => time
  try {
    await act((ms) => {
      time += ms
    })
  } finally {
    performance.now = now
  }
}

test('an answer has half of its time at least under the guard of others, and its own time is told', () =>
  byClock(async (pass) => {
    let calls = 0
    const slow = reward('slow', ({ completion }) => {
      calls++
      pass(3000)
      if (completion.text === 'no') throw new Error('no')
      return completion.text.length
    })
    let judgements: readonly Judgement[] = []
    const limits = await guards(async () => {
      judgements = (await scoreGroup(slow, group({}, 'a', 'bb', 'ccc', 'dddd', 'no'))()).judgements
    })
    // 0 and 3 s, 6 and 9 s, 12 s
    assert.equal(limits, [10_000, 10_000, 10_000])
    assert.is(calls, 5)
    assert.equal(
      judgements.map((j) => (j._tag === 'Scored' ? j.value : (j as Failed).elapsedMs)),
      [1, 2, 3, 4, 3000],
    )
  }))

test('no answer has the limit of another reward', async () => {
  const asked: string[] = []
  const of = (name: string, timeoutMs?: number) =>
    reward(
      name,
      ({ completion }) => asked.push(`${name} ${completion.text}`),
      timeoutMs === undefined ? {} : { timeoutMs },
    )
  const [quick, again, long] = [of('quick', 5000), of('again', 5000), of('long')]
  const all = weighted({ quick, again, long }, { quick: 1, again: 1, long: 1 })
  const limits = await guards(() => scoreGroup(all, group({}, 'a', 'b'))())
  assert.equal(limits, [5000, 10_000, 5000, 10_000])
  assert.equal(asked, ['quick a', 'again a', 'long a', 'quick b', 'again b', 'long b'])
})

test('one that is stopped while it asks another leaves nothing that waits for ever', async () => {
  const { queueMicrotask } = globalThis
  const asks = reward(
    'asks',
    (judged) => {
      globalThis.queueMicrotask = () => {
        for (;;);
      }
      void named.score(judged as never)()
      return 1
    },
    { timeoutMs: 20 },
  )
  const asking = judge(asks, '', {})
  await new Promise((done) => setImmediate(done))
  globalThis.queueMicrotask = queueMicrotask
  assert.is((await asking)._tag, 'Failed')
  assert.equal(await judge(named, 'it is Rome', { city: 'Rome' }), scored(1))
})

test('between loops that are stopped the event loop turns, so that a signal that ends the run is heard', async () => {
  let turns = 0
  const turning = () => {
    turns++
    next = setImmediate(turning)
  }
  let next = setImmediate(turning)
  // the turns that had been when each was asked; one that is asked again because the machine is busy does not count
  const seen = new Map<string, number>()
  const loops = reward(
    'loops',
    ({ completion }) => {
      if (!seen.has(completion.text)) seen.set(completion.text, turns)
      for (;;);
    },
    { timeoutMs: 20 },
  )
  const judged = await Promise.all(['a', 'b', 'c', 'd'].map((text) => judge(loops, text, {})))
  clearImmediate(next)
  assert.ok(judged.every(({ _tag }) => _tag === 'Failed'))
  const [, ...later] = [...seen.values()]
  assert.is(later.length, 3)
  assert.is(new Set(later).size, 3, `turns when they were asked: ${[...seen.values()]}`)
})

test('columns that are missing or of another type do not compile', () => {
  const [cities, rivers, numbers] = [group({ city: 'Rome' }), group({ river: 'Tiber' }), group({ city: 3 })]
  const both = weighted({ named, steady: always(scored(1)) }, { named: 1, steady: 1 })
  const made = [
    scoreGroup(named, cities),
    scoreGroup(both, cities),
    scoreGroup(always(scored(1)), rivers),
    // @ts-expect-error the tasks have no city
    scoreGroup(named, rivers),
    // @ts-expect-error the tasks have no city
    scoreGroup(both, rivers),
    // @ts-expect-error a city is text
    scoreGroup(named, numbers),
    // @ts-expect-error a reward reads its own columns alone
    reward<{ readonly city: string }>('typo', ({ task }) => task.columns.citty.length),
  ]
  assert.is(made.length, 7)
})

/** What a user writes who has tasks with a river and a city that is a number. */
const wrong = `import { type Group, reward, scoreGroup } from 'sailwright/rl'
const named = reward<{ readonly city: string }>('named', ({ task }) => task.columns.city.length)
declare const rivers: Group<{ readonly river: string }>
declare const numbers: Group<{ readonly city: number }>
scoreGroup(named, rivers)
scoreGroup(named, numbers)
declare const open: Group<{ readonly river: string; readonly [column: string]: unknown }>
scoreGroup(named, open)
`

test('the message says which column is missing, in a sentence', async () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-columns-'))
  try {
    writeFileSync(join(folder, 'wrong.ts'), wrong)
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const compilerOptions = {
      paths: { 'sailwright/*': [join(root, 'src', '*', 'index.ts')] },
      typeRoots: [join(root, 'node_modules', '@types')],
    }
    const config = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['wrong.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const { stdout } = await promisify(execFile)(tsc, ['-p', folder, '--pretty', 'false'], {
      cwd: folder,
    }).catch((e: { readonly stdout: string }) => e)
    const messages = stdout.split(/\n(?=\S)/).filter((m) => m.trim() !== '')
    assert.is(messages.length, 3, stdout)
    assert.match(messages[0]!, /^wrong\.ts\(5,/)
    assert.match(messages[0]!, 'the reward reads a column that these tasks do not have')
    assert.match(messages[0]!, 'MissingColumn<"city">')
    assert.match(messages[1]!, /^wrong\.ts\(6,/)
    assert.match(messages[1]!, 'the reward reads a column as another type than these tasks have it')
    assert.match(messages[1]!, 'OtherColumn<"city">')
    assert.match(messages[2]!, /^wrong\.ts\(8,/)
    assert.match(messages[2]!, 'MissingColumn<"city">')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a column that is nested however deep is frozen to its ground', async () => {
  const ground = { hint: 'x' }
  let deep: object = ground
  for (let i = 0; i < 200_000; i++) deep = i % 2 === 0 ? { deep } : [deep]
  const rule = reward<{ readonly deep: object }>('rule', ({ task }) => {
    let at: unknown = task.columns.deep
    while (at !== ground) at = Array.isArray(at) ? at[0] : (at as { readonly deep: unknown }).deep
    ;(at as { hint: string }).hint = 'other'
    return 1
  })
  const { judgements } = await scoreGroup(rule, group({ deep }, 'x'))()
  const judgement = judgements[0]!
  assert.is(judgement._tag, 'Failed')
  assert.match(JSON.stringify(judgement), /read only|read-only/)
  assert.is(ground.hint, 'x')
})

test.run()
