/** The operators of reinforcement as marbles: completion, errors, unsubscription in flight, back-pressure, order. */
import * as E from 'fp-ts/lib/Either.js'
import {
  asapScheduler,
  from,
  interval,
  map,
  type Observable,
  type OperatorFunction,
  of,
  Subject,
  scheduled,
  take,
} from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { atMost } from '../../src/async/index.ts'
import type { Conversation } from '../../src/data/index.ts'
import { program } from '../../src/dsl/index.ts'
import {
  type Completion,
  dynamicSampling,
  type Experience,
  evaluateEvery,
  type Group,
  groupAdvantages,
  inTaskOrder,
  type Judgement,
  type Minibatch,
  minibatches,
  type Policy,
  policyUpdate,
  type RatedGroup,
  type Reward,
  recomputed,
  rollout,
  type ScoredGroup,
  type SelectedGroup,
  score,
  scoreGroup,
  type Task,
  withReference,
} from '../../src/rl/index.ts'
import { referenceFunction } from '../../src/rl/reference.ts'
import { messageThrown, scripted } from '../support/tiny.ts'
import { until } from '../support/until.ts'

const prompt: Conversation = { id: 'p', ids: [1], lossMask: [false], promptLength: 1, images: [] }
const taskOf = (id: string): Task => ({ id, family: 'f', prompt, question: id, columns: {} })
const completionOf = (task: string, sample: number): Completion => ({
  ...{ task, sample, promptIds: [1], ids: [2], logProbs: [-1], text: `${task}${sample}` },
  ...{ stop: 'end', version: 0 },
})
const groupOf = (id: string, size = 2, index = 0): Group => ({
  index,
  task: taskOf(id),
  completions: Array.from({ length: size }, (_, i) => completionOf(id, i)),
})
const scored = (value: number): Judgement => ({ _tag: 'Scored', value, evidence: {} })

/** Runs marbles; a frame is a millisecond of virtual time. */
const marbles = (check: (h: RunHelpers) => void): void =>
  new TestScheduler((got, want) => assert.equal(got, want)).run(check)

/** Ids and samples of groups, such as `a01`. */
const shown = map((g: Group) => `${g.task.id}${g.completions.map((c) => c.sample).join('')}`)

/** A policy that answers from marbles: `a` is task a's next completion. Requests are kept. */
const policyOf = (answers: (requests: readonly string[]) => Observable<string>) => {
  const asked: string[][] = []
  const policy: Policy = {
    config: 'fake',
    version: () => 0,
    sample: (requests) => {
      const all = requests.map((r) => `${r.task}${r.sample}`)
      asked.push(all)
      return answers(all).pipe(map((a) => completionOf(a.slice(0, -1), Number(a.slice(-1)))))
    },
  }
  return { policy, asked }
}

const sampling = { maxNewTokens: 4 }

// --- rollout ------------------------------------------------------------------------------------------------

const rollouts = suite('rollout')

rollouts(
  'emits a group when its last completion is there, in the order of samples; then the next batch',
  () => {
    let requests: string[][] = []
    marbles(({ cold, expectObservable }) => {
      const values = { p: 'a1', q: 'b0', r: 'b1', s: 'a0', t: 'c1', u: 'c0' }
      const answers = [cold('  -p-q-r-s|', values), cold('-t-u|', values)]
      const { policy, asked } = policyOf(() => answers[asked.length - 1]!)
      const tasks = cold('ab---c|').pipe(map(taskOf))
      const out = tasks.pipe(rollout({ policy, group: 2, sampling, batch: 2 }), shown)
      // a and b are there at 1 and answered from then on; c's turn comes when they are
      expectObservable(out).toBe('------x-y---z|', { x: 'b01', y: 'a01', z: 'c01' })
      requests = asked
    })
    assert.equal(requests, [
      ['a0', 'a1', 'b0', 'b1'],
      ['c0', 'c1'],
    ])
  },
)

rollouts('the index of a group is its task’s place', () => {
  const { policy } = policyOf((all) => from([...all].reverse()))
  const got: (readonly [string, number])[] = []
  of('a', 'b', 'c')
    .pipe(map(taskOf), rollout({ policy, group: 1, sampling, batch: 2 }))
    .subscribe((g) => got.push([g.task.id, g.index]))
  assert.equal(got, [
    ['b', 1],
    ['a', 0],
    ['c', 2],
  ])
})

rollouts('fails with its source and with its policy', () => {
  marbles(({ cold, expectObservable }) => {
    const { policy } = policyOf(() => cold('-#'))
    expectObservable(cold('a#').pipe(map(taskOf), rollout({ policy, group: 1, sampling }))).toBe('-#')
    expectObservable(cold('a---|').pipe(map(taskOf), rollout({ policy, group: 1, sampling, batch: 1 }))).toBe(
      '-#',
    )
  })
})

rollouts('unsubscribing stops the policy', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const answers = cold('-p-q-|', { p: 'a0', q: 'a1' })
    const { policy } = policyOf(() => answers)
    expectObservable(
      cold('a-|').pipe(map(taskOf), rollout({ policy, group: 2, sampling, batch: 1 })),
      '--!',
    ).toBe('--')
    expectSubscriptions(answers.subscriptions).toBe('^-!')
  })
})

rollouts('back-pressure: a batch is asked for when the one before it is drawn', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const one = ['a', 'b'].map((id) => cold('---x|', { x: `${id}0` }))
    const { policy } = policyOf((all) => one[all[0] === 'a0' ? 0 : 1]!)
    const out = cold('(ab|)').pipe(map(taskOf), rollout({ policy, group: 1, sampling, batch: 1 }), shown)
    expectObservable(out).toBe('---x---y|', { x: 'a0', y: 'b0' })
    expectSubscriptions(one[0]!.subscriptions).toBe('^---!')
    expectSubscriptions(one[1]!.subscriptions).toBe('----^---!')
  })
})

rollouts(
  'a policy that leaves a request out, or answers what was not asked, is an error that names the task',
  () => {
    const errorOf = (answers: readonly string[], ids = ['a']): string => {
      let said = ''
      const { policy } = policyOf(() => from(answers))
      from(ids)
        .pipe(map(taskOf), rollout({ policy, group: 2, sampling }))
        .subscribe({ error: (e: Error) => (said = e.message) })
      return said
    }
    assert.match(errorOf(['a0']), /the policy ended with 1 of 2 completions of task a/)
    assert.match(errorOf(['a0', 'z0']), /the policy answered task z/)
    assert.match(
      errorOf(['a0', 'a1', 'a1']),
      /the policy answered task a, of which all completions are there/,
    )
    assert.match(errorOf(['a1', 'a1']), /the policy answered sample 1 of task a, which is there already/)
    assert.match(errorOf(['a0', 'a2']), /the policy answered sample 2 of task a, which .* was not asked for/)
    assert.match(errorOf([], ['a', 'a']), /two tasks of a batch are called a/)
  },
)

rollouts('what fails ends what is under way and asks for no other batch', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const answers = cold('-----p|', { p: 'a0' })
    const { policy } = policyOf(() => answers)
    const source = cold('a--#')
    expectObservable(source.pipe(map(taskOf), rollout({ policy, group: 1, sampling, batch: 1 }))).toBe('---#')
    expectSubscriptions(answers.subscriptions).toBe('^--!')
    expectSubscriptions(source.subscriptions).toBe('^--!')
  })
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const broken = cold('--#')
    const { policy } = policyOf(() => broken)
    const source = cold('ab----c|')
    expectObservable(source.pipe(map(taskOf), rollout({ policy, group: 1, sampling, batch: 1 }))).toBe('--#')
    expectSubscriptions(broken.subscriptions).toBe('^-!')
    expectSubscriptions(source.subscriptions).toBe('^-!')
  })
})

rollouts.run()

// --- score --------------------------------------------------------------------------------------------------

const scores = suite('score')

/** Rewards whose results come after so many turns, by a completion's text; `started` and the most at once are kept. */
const rewardOf = (
  of: (text: string) => number | Error | Judgement,
  turns: (text: string) => number = () => 1,
) => {
  const started: string[] = []
  let [now, most] = [0, 0]
  const reward: Reward = {
    name: 'fake',
    config: 'fake',
    score:
      ({ completion: { text } }) =>
      async () => {
        started.push(text)
        most = Math.max(most, ++now)
        for (let i = 0; i < turns(text); i++) await new Promise((r) => setImmediate(r))
        now--
        const value = of(text)
        if (value instanceof Error) throw value
        return typeof value === 'number' ? scored(value) : value
      },
  }
  return { reward, started, most: () => most }
}

const gathered = <A>(source: Observable<A>): Promise<A[]> =>
  new Promise((resolve, reject) => {
    const all: A[] = []
    source.subscribe({ next: (a) => all.push(a), error: reject, complete: () => resolve(all) })
  })

scores('judges so many at once and no more, and keeps the order of groups and completions', async () => {
  const { reward, most } = rewardOf(
    (t) => t.charCodeAt(0) + Number(t[1]),
    (t) => (t === 'a0' ? 20 : 1),
  )
  const out = await gathered(
    of('a', 'b', 'c').pipe(
      map((id) => groupOf(id)),
      score({ reward, concurrency: 3 }),
    ),
  )
  assert.equal(
    out.map((g) => g.task.id),
    ['a', 'b', 'c'],
  )
  assert.equal(
    out.map((g) => g.judgements.map((j) => (j._tag === 'Scored' ? j.value : Number.NaN))),
    [97, 98, 99].map((n) => [n, n + 1]),
  )
  assert.is(most(), 3)
})

scores('a group without completions keeps its place, and those behind it come', async () => {
  const reward: Reward = { name: 'one', config: {}, score: () => async () => scored(1) }
  const out = await gathered(of(groupOf('a'), groupOf('b', 0), groupOf('c')).pipe(score({ reward })))
  assert.equal(
    out.map((g) => [g.task.id, g.judgements.length]),
    [
      ['a', 2],
      ['b', 0],
      ['c', 2],
    ],
  )
})

scores('begins while groups are still drawn', async () => {
  const { reward, started } = rewardOf(() => 1)
  const groups = new Subject<Group>()
  const out = gathered(groups.pipe(score({ reward })))
  groups.next(groupOf('a'))
  await until(() => started.length >= 2)
  assert.equal(started, ['a0', 'a1'])
  groups.next(groupOf('b'))
  groups.complete()
  assert.is((await out).length, 2)
})

scores(
  'a reward whose score gives a judgement and not a function has failed, with what to give',
  async () => {
    const reward = { name: 'bare', config: {}, score: () => scored(1) } as unknown as Reward
    const what =
      /its score gave no function; give \(\) => a judgement there, or make it with reward\(name, judge\)$/
    const [group] = await gathered(of(groupOf('a')).pipe(score({ reward })))
    const alone = await scoreGroup(reward, groupOf('a'))()
    for (const j of [...group!.judgements, ...alone.judgements])
      assert.match((j as { readonly why: string }).why, what)
  },
)

scores('what throws or gives no judgement has failed, with why, and the stream goes on', async () => {
  const said = new Map<string, unknown>([
    ['a0', new Error('no such column')],
    ['a1', { value: 1 }],
    ['b0', { _tag: 'Scored', value: '1', evidence: {} }],
    ['b1', { _tag: 'Abstained', why: 'nothing to say' }],
    ['c0', { _tag: 'Scored', value: 1, evidence: { of: 1n } }],
    ['c1', { ...scored(1), parts: { inner: { ...scored(1), evidence: { of: 1n } } } }],
  ])
  const { reward } = rewardOf((t) => said.get(t) as Judgement)
  const out = await gathered(
    of('a', 'b', 'c').pipe(
      map((id) => groupOf(id)),
      score({ reward }),
    ),
  )
  const words = out.flatMap((g) =>
    g.judgements.map((j) => (j._tag === 'Scored' ? 'scored' : `${j._tag}: ${j.why}`)),
  )
  assert.equal(words, [
    "Failed: reward 'fake' threw: no such column",
    'Failed: reward \'fake\': it gave {"value":1}, which is no judgement',
    "Failed: reward 'fake': its value is no number: the text 1; give a finite number",
    'Abstained: nothing to say',
    "Failed: reward 'fake': its evidence is no plain JSON data (Do not know how to serialize a BigInt)",
    "Failed: reward 'fake': its evidence is no plain JSON data (Do not know how to serialize a BigInt)",
  ])
})

scores('a reward that changes a completion or a task, which others read, has failed, with why', async () => {
  const columns = { answer: ['7'], scene: { shapes: [{ colour: 'red' }], pixels: new Uint8Array(3) } }
  const group = (): Group<typeof columns> => {
    const made = groupOf('a')
    return { ...made, task: { ...made.task, columns: structuredClone(columns) } }
  }
  const before = JSON.stringify(group())
  type Changed = { [K in keyof Completion]: unknown[] }
  const changes: readonly ((c: Changed, t: typeof columns) => void)[] = [
    (c) => Object.assign(c, { text: 'another' }),
    (c) => void c.ids.push(7),
    (c) => void c.logProbs.fill(0),
    (c) => void c.promptIds.push(7),
    (_, t) => void t.answer.push('8'),
    (_, t) => Object.assign(t.scene.shapes[0]!, { colour: 'blue' }),
    (_, t) => {
      delete (t as Partial<typeof t>).answer
    },
  ]
  for (const change of changes) {
    const reward: Reward<typeof columns> = {
      name: 'wild',
      config: {},
      score:
        ({ task, completion }) =>
        async () => {
          // pixels are not frozen, and can be read as ever
          assert.is(task.columns.scene.pixels.length, 3)
          change(completion as unknown as Changed, task.columns)
          return scored(1)
        },
    }
    const [judged] = await gathered(of(group()).pipe(score({ reward })))
    for (const j of judged!.judgements)
      assert.match(
        (j as { readonly why: string }).why,
        /^reward 'wild' threw: Cannot .*; a task and its completions.* cannot be changed: change a copy$/,
      )
    const { judgements: _, ...asked } = judged!
    assert.is(JSON.stringify(asked), before)
    const alone = await scoreGroup(reward, group())()
    for (const j of alone.judgements)
      assert.match((j as { readonly why: string }).why, /^Cannot .*: change a copy$/)
  }
})

scores('no number and no answer have failed, in a time that is set', async () => {
  const reward: Reward = {
    ...{ name: 'lost', config: 'lost' },
    score:
      ({ completion: { text } }) =>
      () =>
        text === 'a0' ? Promise.resolve(scored(Number.NaN)) : new Promise<never>(() => undefined),
  }
  const [group] = await gathered(of(groupOf('a')).pipe(score({ reward, seconds: 0.02 })))
  assert.equal(
    group!.judgements.map((j) => (j._tag === 'Failed' ? j.why : j._tag)),
    ["reward 'lost': its value is NaN; give a finite number", "reward 'lost' gave no answer in 0.02 s"],
  )
})

scores(
  'what waits for a judge that answers one after the other is not late; what never comes is',
  async () => {
    const inTurn = atMost(1)
    let open = 0
    const reward: Reward = {
      ...{ name: 'slow', config: 'slow' },
      score:
        ({ completion: { text } }) =>
        () =>
          text === 'a7'
            ? new Promise<never>(() => undefined)
            : inTurn(async () => {
                open++
                await new Promise((go) => setTimeout(go, 20))
                return scored(open)
              }),
    }
    // together they take three times the limit
    const [group] = await gathered(of(groupOf('a', 16)).pipe(score({ reward, seconds: 0.1 })))
    assert.equal(
      group!.judgements.map((j) => (j._tag === 'Scored' ? j.value : j._tag === 'Failed' ? j.why : j._tag)),
      [1, 2, 3, 4, 5, 6, 7, "reward 'slow' gave no answer in 0.1 s", 8, 9, 10, 11, 12, 13, 14, 15],
    )
  },
)

scores('answers that never come are given up together, each in its time', async () => {
  const reward: Reward = {
    ...{ name: 'lost', config: 'lost' },
    score: () => () => new Promise<never>(() => undefined),
  }
  const began = performance.now()
  const [group] = await gathered(of(groupOf('a', 40)).pipe(score({ reward, seconds: 0.25 })))
  assert.ok(group!.judgements.every((j) => j._tag === 'Failed'))
  // one after the other they would take ten seconds
  const latest = Math.max(...group!.judgements.map((j) => (j as { readonly elapsedMs: number }).elapsedMs))
  assert.ok(latest <= performance.now() - began)
  assert.ok(latest < 5_000, `${latest}`)
})

scores('a reward that never gives the thread back has failed, and the others are judged', async () => {
  const reward: Reward = {
    ...{ name: 'endless', config: 'endless' },
    score:
      ({ completion: { text } }) =>
      async () => {
        while (text === 'a0');
        return scored(1)
      },
  }
  const [group] = await gathered(of(groupOf('a')).pipe(score({ reward, seconds: 0.05 })))
  assert.equal(
    group!.judgements.map((j) => (j._tag === 'Failed' ? j.why.slice(0, 58) : j._tag)),
    ["reward 'endless' threw: it held the thread for 0.05 s and w", 'Scored'].map((w) => w.slice(0, 58)),
  )
})

scores('unsubscribing starts no further judgement', async () => {
  const { reward, started } = rewardOf(
    () => 1,
    () => 3,
  )
  const subscription = of('a', 'b', 'c')
    .pipe(
      map((id) => groupOf(id)),
      score({ reward, concurrency: 1 }),
    )
    .subscribe()
  await new Promise((r) => setImmediate(r))
  subscription.unsubscribe()
  await new Promise((r) => setTimeout(r, 20))
  assert.equal(started, ['a0'])
})

scores('unsubscribing, and a source that fails, wait for no answer that is under way', () => {
  // a timer that is left keeps the process alive as long as a judge may take
  const wait = 1_234_567
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const lost: Reward = {
    name: 'lost',
    config: 'lost',
    score: () => () => new Promise<never>(() => undefined),
  }
  const before = timers()
  const source = new Subject<Group>()
  const ends: string[] = []
  const judged$ = source.pipe(score({ reward: lost, seconds: wait }))
  const left = judged$.subscribe()
  judged$.subscribe({ error: (e: Error) => ends.push(e.message), complete: () => ends.push('complete') })
  source.next(groupOf('a', 3))
  assert.is(timers(), before + 6)
  left.unsubscribe()
  assert.is(timers(), before + 3)
  source.error(new Error('no more'))
  assert.is(timers(), before)
  assert.equal(ends, ['no more'])
})

scores('fails with its source, and completes with it', () => {
  marbles(({ cold, expectObservable }) => {
    const { reward } = rewardOf(() => 1)
    expectObservable(cold<Group>('--#').pipe(score({ reward }))).toBe('--#')
    expectObservable(cold<Group>('--|').pipe(score({ reward }))).toBe('--|')
  })
})

scores.run()

// --- in task order, dynamic sampling, advantages -----------------------------------------------------------

const groups = suite('groups')

groups('in the order of tasks, each held back until those before it are there', () => {
  marbles(({ cold, expectObservable }) => {
    const of_ = (index: number) => ({ index })
    const values = { a: of_(0), b: of_(1), c: of_(2), d: of_(3) }
    expectObservable(cold('-b-a---d-c----|', values).pipe(inTaskOrder())).toBe('---(ab)--(cd)-|', values)
    expectObservable(cold('-b-#', values).pipe(inTaskOrder())).toBe('---#')
    expectObservable(cold('-a-|', values).pipe(inTaskOrder())).toBe('-a-|', values)
    const source = cold('-a-b', values)
    expectObservable(source.pipe(inTaskOrder()), '--!').toBe('-a', values)
  })
})

groups('one that never comes, or comes twice, is an error and no silence', () => {
  const errorOf = (...indices: readonly number[]): string => {
    const got: string[] = []
    from(indices)
      .pipe(
        map((index) => ({ index })),
        inTaskOrder(),
      )
      .subscribe({ next: (g) => got.push(`${g.index}`), error: (e: Error) => got.push(e.message) })
    return got.join()
  }
  assert.is(errorOf(0, 2, 3), '0,inTaskOrder: the groups ended without the one of index 1, for which 2 wait')
  assert.is(errorOf(0, 0), '0,inTaskOrder: the group of index 0 came twice')
  assert.is(errorOf(1, 1), 'inTaskOrder: the group of index 1 came twice')
})

const kept: ScoredGroup = { ...groupOf('k'), judgements: [scored(0), scored(1)] }
const flat: ScoredGroup = { ...groupOf('f'), judgements: [scored(1), scored(1)] }

groups('dynamic sampling marks what teaches nothing, and shows it', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const values = { k: kept, f: flat }
    const marked = {
      k: { ...kept, selection: { kept: true } },
      f: { ...flat, selection: { kept: false, why: 'all 2 completions have the reward 1' } },
    }
    expectObservable(cold('-k-f-|', values).pipe(dynamicSampling())).toBe('-k-f-|', marked)
    expectObservable(cold('-k-#', values).pipe(dynamicSampling())).toBe('-k-#', marked)
    // so many are wanted: it is full with the second that is kept, and no more is drawn
    const source = cold('-k-f-k-k-|', values)
    expectObservable(source.pipe(dynamicSampling({ wanted: 2 }))).toBe('-k-f-(k|)', marked)
    expectSubscriptions(source.subscriptions).toBe('^----!')
  })
})

groups('dynamic sampling of groups that are all left out goes on, and ends with its source', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const out = map((g: SelectedGroup) => `${g.selection.kept}`)
    const none = { f: 'false' }
    const source = cold('-f-f-f-|', { f: flat })
    expectObservable(source.pipe(dynamicSampling({ wanted: 1 }), out)).toBe('-f-f-f-|', none)
    const endless = interval(2).pipe(map(() => flat))
    expectObservable(endless.pipe(dynamicSampling({ wanted: 1 }), out), '-----!').toBe('--f-f', none)
    expectSubscriptions(source.subscriptions).toBe('^------!')
  })
})

groups('advantages are those of the group', () => {
  marbles(({ cold, expectObservable }) => {
    const selected = { ...kept, selection: { kept: true } as const }
    const failed: Judgement = { _tag: 'Failed', why: 'x', elapsedMs: 0 }
    const partly = { ...selected, judgements: [failed, scored(1)] }
    const values = { k: selected, p: partly }
    expectObservable(cold('-k-p|', values).pipe(groupAdvantages({ scale: 'none' }))).toBe('-k-p|', {
      k: { ...selected, advantages: [-0.5, 0.5] },
      p: { ...partly, advantages: [undefined, 0] },
    })
    const weighted = groupAdvantages({ scale: 'none', families: { f: 3, g: 5 } })
    expectObservable(cold('-k|', values).pipe(weighted)).toBe('-k|', {
      k: { ...selected, advantages: [-1.5, 1.5] },
    })
    expectObservable(cold<typeof selected>('-#').pipe(groupAdvantages())).toBe('-#')
  })
})

groups.run()

// --- minibatches --------------------------------------------------------------------------------------------

const batches = suite('minibatches')

const rated = (id: string, isKept = true): RatedGroup => ({
  ...kept,
  task: taskOf(id),
  selection: isKept ? { kept: true } : { kept: false, why: 'no' },
  advantages: [-1, 1],
})
const values = Object.fromEntries([...'ABCDEFGH'].map((id) => [id, rated(id)]))
const idsOf = (m: { readonly groups: readonly RatedGroup[] }): string =>
  m.groups
    .map((g) => g.task.id)
    .sort()
    .join('')

batches('an episode is dealt into equal parts in each pass; what was left out is in none', () => {
  marbles(({ cold, expectObservable }) => {
    const out = cold('A-B-x-C-D-----|', { ...values, x: rated('x', false) }).pipe(
      minibatches({ groups: 4, updates: 4, passes: 2, seed: 1 }),
      map((m) => `${m.episode} ${m.index}/${m.of} ${m.groups.length}`),
    )
    const four = { p: '0 0/4 2', q: '0 1/4 2', r: '0 2/4 2', s: '0 3/4 2' }
    expectObservable(out).toBe('--------(pqrs)|', four)
  })
})

batches('each pass has every group once, in an order that seed, episode and pass determine', async () => {
  const of_ = (seed: number, episode: number) =>
    gathered(
      from([...'ABCDEFGH'].map((id) => values[id]!)).pipe(
        minibatches({ groups: 8, updates: 8, passes: 2, seed, episode }),
        map((m) => m.groups.map((g) => g.task.id).join('')),
      ),
    )
  const first = await of_(1, 0)
  const passes = [first.slice(0, 4).join(''), first.slice(4).join('')]
  for (const pass of passes) assert.is([...pass].sort().join(''), 'ABCDEFGH')
  assert.is.not(passes[0], passes[1])
  assert.equal(await of_(1, 0), first)
  assert.is.not((await of_(2, 0)).join(), first.join())
  assert.is.not((await of_(1, 1)).join(), first.join())
})

batches(
  'episode after episode; what is left over at the end is a smaller one, in fewer parts where it is too small',
  async () => {
    const out = await gathered(
      from([...'ABCDE'].map((id) => values[id]!)).pipe(
        minibatches({ groups: 4, updates: 2, seed: 1, episode: 5 }),
      ),
    )
    assert.equal(
      out.map((m) => [m.episode, m.index, m.of, m.groups.length]),
      [
        [5, 0, 2, 2],
        [5, 1, 2, 2],
        [6, 0, 1, 1],
      ],
    )
    assert.is(idsOf(out[2]!), 'E')
  },
)

batches('fails with its source, and refuses updates that are no multiple of the passes', () => {
  marbles(({ cold, expectObservable }) => {
    expectObservable(cold('A-#', values).pipe(minibatches({ groups: 4, updates: 1, seed: 1 }))).toBe('--#')
  })
  assert.throws(() => minibatches({ groups: 4, updates: 3, passes: 2, seed: 1 }), /3 updates in 2 passes/)
})

batches('an episode in which all was left out has none; one group is one minibatch', () => {
  marbles(({ cold, expectObservable }) => {
    const few = { x: rated('x', false), A: values.A! }
    const dealt = (marble: string) =>
      cold(marble, few).pipe(
        minibatches({ groups: 4, updates: 4, passes: 2, seed: 1 }),
        map((m) => `${m.index}/${m.of} ${idsOf(m)}`),
      )
    expectObservable(dealt('x-x-x-x-x-|')).toBe('----------|')
    expectObservable(dealt('x-A-|')).toBe('----(pq|)', { p: '0/2 A', q: '1/2 A' })
  })
})

batches.run()

// --- update and measurements --------------------------------------------------------------------------------

const updates = suite('policyUpdate')

/** A session that counts what runs at once; each call takes a turn of the event loop. */
const sessionOf = (fails = false) => {
  const calls: string[] = []
  let [now, most] = [0, 0]
  const session = {
    ...scripted(program({ name: 'none', functions: {} }), () => ({})),
    call: (name: string) => async () => {
      calls.push(name)
      most = Math.max(most, ++now)
      await new Promise((r) => setImmediate(r))
      now--
      return fails ? E.left({ _tag: 'Failed' as const, message: 'no memory' }) : E.right({})
    },
  }
  return { session, calls, most: () => most }
}
const objective = {
  collate: (all: readonly Experience[]) => all.map(() => ({ sizes: {}, inputs: {} })),
}
const minibatchOf = (index: number, ...ids: string[]): Minibatch => ({
  ...{ episode: 0, index, of: 9 },
  groups: ids.map((id) => values[id]!),
})

updates('one minibatch after the other, in order, each with its rate', async () => {
  const { session, calls, most } = sessionOf()
  const out = await gathered(
    of(minibatchOf(0, 'A'), minibatchOf(1, 'B', 'C')).pipe(
      policyUpdate({ session, objective, rate: (m) => m.index + 1 }),
    ),
  )
  assert.equal(
    out.map((u) => [u.minibatch.index, u.learningRate, u.completions]),
    [
      [0, 1, 2],
      [1, 2, 4],
    ],
  )
  const first = ['accumulate', 'accumulate', 'apply']
  assert.equal(calls, [...first, 'accumulate', 'accumulate', ...first])
  assert.is(most(), 1)
})

updates('unsubscribing lets the update in progress end and starts no other', async () => {
  const { session, calls } = sessionOf()
  const out: number[] = []
  const subscription = of(minibatchOf(0, 'A'), minibatchOf(1, 'B'))
    .pipe(policyUpdate({ session, objective, rate: () => 1 }))
    .subscribe((u) => out.push(u.minibatch.index))
  await new Promise((r) => setImmediate(r))
  subscription.unsubscribe()
  await until(() => calls.includes('apply'))
  await new Promise((r) => setTimeout(r, 30))
  assert.equal(calls, ['accumulate', 'accumulate', 'apply'])
  assert.equal(out, [])
})

updates('a source that fails, and a rate that throws, start no other', async () => {
  const { session, calls } = sessionOf()
  const ends: string[] = []
  const source = new Subject<Minibatch>()
  source
    .pipe(policyUpdate({ session, objective, rate: () => 1 }))
    .subscribe({ next: () => ends.push('next'), error: (e: Error) => ends.push(e.message) })
  source.next(minibatchOf(0, 'A'))
  source.next(minibatchOf(1, 'B'))
  source.error(new Error('no more'))
  await until(() => calls.includes('apply'))
  await new Promise((r) => setTimeout(r, 30))
  assert.equal(ends, ['no more'])
  assert.equal(calls, ['accumulate', 'accumulate', 'apply'])
  const rate = (): number => {
    throw new Error('no rate')
  }
  const thrown = await gathered(
    of(minibatchOf(0, 'A'), minibatchOf(1, 'B')).pipe(policyUpdate({ session, objective, rate })),
  ).catch((e: Error) => e.message)
  assert.is(thrown, 'no rate')
  assert.is(calls.length, 3)
})

updates('where no completion counts, the weights stay as they are', async () => {
  const { session, calls } = sessionOf()
  const none: RatedGroup = { ...values.A!, advantages: [undefined, undefined] }
  const [out] = await gathered(
    of({ ...minibatchOf(0), groups: [none] }).pipe(policyUpdate({ session, objective, rate: () => 1 })),
  )
  assert.is(out?.updated, undefined)
  assert.equal(calls, [])
})

updates('fails with the engine and with its source', async () => {
  const { session } = sessionOf(true)
  const failed = await gathered(
    of(minibatchOf(0, 'A')).pipe(policyUpdate({ session, objective, rate: () => 1 })),
  ).catch((e: Error) => e.message)
  assert.is(failed, 'no memory')
  marbles(({ cold, expectObservable }) => {
    expectObservable(cold<Minibatch>('-#').pipe(policyUpdate({ session, objective, rate: () => 1 }))).toBe(
      '-#',
    )
  })
})

updates.run()

const anew = suite('log-probabilities anew')

anew('of kept groups alone, all their completions, those that wait in one call', async () => {
  let [now, most] = [0, 0]
  const asked: string[][] = []
  const logProbs = async (_: unknown, all: readonly Experience[]) => {
    most = Math.max(most, ++now)
    asked.push(all.map((e) => e.id))
    await new Promise((r) => setImmediate(r))
    now--
    return all.map((e) => [e.id.length, asked.length])
  }
  const { session } = sessionOf()
  const operator = recomputed({ session, objective: { logProbs } })
  const given = [rated('A'), rated('B', false), { ...rated('CC'), advantages: [undefined, 1] }]
  const source = new Subject<RatedGroup>()
  const out = gathered(source.pipe(operator))
  for (const g of given) source.next(g)
  await until(() => asked.length > 0)
  source.next(rated('DDD'))
  source.complete()
  const groups = await out
  assert.equal(
    groups.map((g) => g.oldLogProbs?.map(([, call]) => call)),
    [[1, 1], undefined, [1, 1], [2, 2]],
  )
  const longer = groups.map((g) => g.oldLogProbs?.[0]?.[0])
  assert.equal(longer, [longer[0], undefined, longer[0]! + 1, longer[0]! + 2])
  assert.equal(
    asked.map((ids) => ids.length),
    [4, 2],
  )
  assert.is(most, 1)
})

/** Log-probabilities that come when they are let; what was asked for is kept. */
const letGo = () => {
  const asked: string[] = []
  const open: ((e?: Error) => void)[] = []
  const logProbs = async (_: unknown, all: readonly Experience[], name?: string) => {
    asked.push(`${name ?? ''}${all.map((e) => e.id).join()}`)
    const failed = await new Promise<Error | undefined>((go) => open.push(go))
    if (failed !== undefined) throw failed
    return all.map(() => [asked.length])
  }
  return { asked, open, learner: { session: sessionOf().session, objective: { logProbs } } }
}
const turn = () => new Promise((r) => setImmediate(r))

anew('of the reference are asked of its function, and stand where they belong', async () => {
  const { asked, open, learner } = letGo()
  const out = gathered(of(rated('A')).pipe(withReference(learner)))
  await until(() => open.length > 0)
  open[0]!()
  const [group] = await out
  assert.match(asked[0]!, new RegExp(`^${referenceFunction}`))
  assert.equal(group!.referenceLogProbs, [[1], [1]])
  assert.is(group!.oldLogProbs, undefined)
})

anew('of nothing that is kept nothing is asked', async () => {
  const { asked, learner } = letGo()
  const left = [rated('A', false), rated('B', false)]
  assert.equal(await gathered(from(left).pipe(recomputed(learner))), left)
  assert.equal(await gathered(from([] as RatedGroup[]).pipe(recomputed(learner))), [])
  assert.equal(asked, [])
})

anew('unsubscribing, and whatever fails, compute no other; an error comes once', async () => {
  for (const end of ['unsubscribed at once', 'unsubscribed', 'source', 'engine'] as const) {
    const { asked, open, learner } = letGo()
    const told: string[] = []
    const source = new Subject<RatedGroup>()
    const subscription = source
      .pipe(recomputed(learner))
      .subscribe({ next: () => told.push('next'), error: (e: Error) => told.push(e.message) })
    source.next(rated('A'))
    if (end === 'unsubscribed at once') subscription.unsubscribe()
    await turn()
    source.next(rated('B'))
    if (end === 'unsubscribed') subscription.unsubscribe()
    if (end === 'source') source.error(new Error('no more'))
    open[0]?.(end === 'engine' ? new Error('no memory') : undefined)
    await turn()
    await turn()
    assert.is(asked.length, end === 'unsubscribed at once' ? 0 : 1, end)
    assert.equal(told, end === 'source' ? ['no more'] : end === 'engine' ? ['no memory'] : [], end)
  }
})

anew.run()

const measurements = suite('evaluateEvery')

measurements('measures behind every n-th step, and the next step waits for it', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const evaluation = cold('--e--(f|)')
    const out = cold('1-2-3-------4---------|').pipe(evaluateEvery({ every: 2, evaluate: () => evaluation }))
    expectObservable(out).toBe('1-2-e--(f3)-4-e--f----|')
    expectSubscriptions(evaluation.subscriptions).toBe(['--^----!', '------------^----!'])
  })
})

measurements('fails with its source and with a measurement; unsubscribing stops the measurement', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const broken = { every: 1, evaluate: () => cold('-#') }
    expectObservable(cold('1-').pipe(evaluateEvery(broken))).toBe('1#')
    expectObservable(cold('1--#').pipe(evaluateEvery({ every: 2, evaluate: () => cold('e|') }))).toBe('1--#')
    const long = cold('-----e|')
    expectObservable(cold('1-').pipe(evaluateEvery({ every: 1, evaluate: () => long })), '---!').toBe('1')
    expectSubscriptions(long.subscriptions).toBe('^--!')
  })
})

measurements('completion waits for a measurement; what is not taken is not measured', () => {
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const evaluation = cold('---e-|')
    const every = evaluateEvery({ every: 2, evaluate: () => evaluation })
    expectObservable(cold('12|').pipe(every)).toBe('12--e-|')
    expectSubscriptions(evaluation.subscriptions).toBe('-^----!')
  })
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const evaluation = cold('---e-|')
    const every = evaluateEvery({ every: 2, evaluate: () => evaluation })
    expectObservable(cold('12345|').pipe(every, take(2))).toBe('1(2|)')
    expectSubscriptions(evaluation.subscriptions).toBe([])
  })
  marbles(({ cold, expectObservable, expectSubscriptions }) => {
    const evaluation = cold('---e-|')
    const every = evaluateEvery({ every: 2, evaluate: () => evaluation })
    expectObservable(cold('12-#').pipe(every)).toBe('12-#')
    expectSubscriptions(evaluation.subscriptions).toBe('-^-!')
  })
  const thrown = (): never => {
    throw new Error('none')
  }
  const got: unknown[] = []
  of(1, 2)
    .pipe(evaluateEvery({ every: 1, evaluate: thrown }))
    .subscribe({ next: (s) => got.push(s), error: (e: Error) => got.push(e.message) })
  assert.equal(got, [1, 'none'])
})

measurements.run()

const lives = suite('operators: subscriptions')

/** Every operator, what it is given, and how much it gives of that. */
const every = (): readonly {
  readonly operator: OperatorFunction<never, unknown>
  readonly given: readonly unknown[]
  readonly count: number
}[] => {
  const { policy } = policyOf((all) => from(all))
  const learner = {
    session: sessionOf().session,
    objective: {
      ...objective,
      logProbs: async (_: unknown, all: readonly Experience[]) => all.map(() => [0]),
    },
  }
  const reward: Reward = { name: 'one', config: 0, score: () => async () => scored(1) }
  const selected = { ...kept, selection: { kept: true } }
  const indexed = [1, 0, 2].map((index) => ({ ...kept, index }))
  return [
    {
      operator: rollout({ policy, group: 2, sampling, batch: 2 }),
      given: ['a', 'b', 'c'].map(taskOf),
      count: 3,
    },
    { operator: score({ reward, concurrency: 2 }), given: [groupOf('a'), groupOf('b')], count: 2 },
    { operator: inTaskOrder(), given: indexed, count: 3 },
    { operator: dynamicSampling({ wanted: 2 }), given: [kept, flat, kept, kept], count: 3 },
    { operator: groupAdvantages(), given: [selected], count: 1 },
    { operator: recomputed(learner), given: [rated('A'), rated('B', false)], count: 2 },
    { operator: withReference(learner), given: [rated('A'), rated('B', false)], count: 2 },
    {
      operator: minibatches({ groups: 2, updates: 2, seed: 1 }),
      given: [...'ABCD'].map((id) => values[id]),
      count: 4,
    },
    { operator: policyUpdate({ ...learner, rate: () => 1 }), given: [minibatchOf(0, 'A')], count: 1 },
    { operator: evaluateEvery({ every: 2, evaluate: (s) => of(s) }), given: [1, 2, 3], count: 4 },
  ].map((o) => ({ ...o, operator: o.operator as OperatorFunction<never, unknown> }))
}

/** What does not differ from one subscription to the next. */
const alike = (all: readonly unknown[]): string =>
  JSON.stringify(all, (key, value) => (key === 'seconds' || key === 'elapsedMs' ? 0 : value))

lives('an operator is a value: each subscription begins anew, also while another goes on', async () => {
  for (const [i, { operator, given, count }] of every().entries()) {
    const out$ = scheduled(given as readonly never[], asapScheduler).pipe(operator)
    const [first, second] = await Promise.all([gathered(out$), gathered(out$)])
    assert.is(first.length, count, `operator ${i}`)
    for (const again of [second, await gathered(out$)]) assert.is(alike(again), alike(first), `operator ${i}`)
  }
})

lives(
  'nothing gives nothing, what was begun and fails fails once, and who leaves frees the source',
  async () => {
    for (const [i, { operator, given }] of every().entries()) {
      assert.equal(await gathered(from([] as never[]).pipe(operator)), [], `operator ${i}`)
      const ends: string[] = []
      const source = new Subject<never>()
      source
        .pipe(operator)
        .subscribe({ error: (e: Error) => ends.push(e.message), complete: () => ends.push('complete') })
      source.next(given[0] as never)
      source.error(new Error('broken'))
      await turn()
      await turn()
      assert.equal(ends, ['broken'], `operator ${i}`)
      const left = new Subject<never>()
      const subscription = left.pipe(operator).subscribe()
      left.next(given[0] as never)
      assert.ok(left.observed)
      subscription.unsubscribe()
      assert.not(left.observed, `operator ${i}`)
    }
  },
)

lives.run()

const settings = suite('operators: settings')

settings('what is misspelt or cannot be is refused where it is written', () => {
  const { policy } = policyOf(() => of())
  const minibatch = { groups: 4, updates: 2, seed: 1 }
  const reward: Reward = { name: 'r', config: 0, score: () => async () => scored(1) }
  const learner = { session: { call: () => {} }, objective: { collate: () => [] } }
  for (const [make, message] of [
    [() => rollout({ policy, group: 0, sampling }), 'rollout, group: it is 0; give a whole number from 1'],
    [
      () => rollout({ policy, grup: 2, sampling } as never),
      "rollout, grup: there is no such setting; there are policy, group, sampling, batch. Did you mean 'group'?",
    ],
    [() => rollout({ group: 2, sampling } as never), 'rollout, policy: it is undefined; give a policy'],
    [
      () => rollout({ policy, group: 2, sampling: { maxNewTokens: 0 } }),
      'rollout, sampling.maxNewTokens: it is 0',
    ],
    [() => rollout({ policy, group: 2, sampling, batch: 1.5 }), 'rollout, batch: it is 1.5'],
    [() => score({ reward: undefined as never }), 'score, reward: it is undefined; give a reward'],
    [
      () => score({ reward: (() => 1) as never }),
      'score, reward: it is a function; is it to be called first?',
    ],
    [() => score({ reward, concurrency: 0 }), 'score, concurrency: it is 0'],
    [() => score({ reward, seconds: 0 }), 'score, seconds: it is 0; give a finite number above 0'],
    [
      () => groupAdvantages({ scale: 'sd' as never }),
      "groupAdvantages, scale: it is 'sd'; give 'std' or 'none'",
    ],
    [() => groupAdvantages({ epsilon: -1 }), 'groupAdvantages, epsilon: it is -1'],
    [() => groupAdvantages({ families: { f: Number.NaN } }), 'groupAdvantages, families.f: it is NaN'],
    [
      () => dynamicSampling({ wantd: 3 } as never),
      "dynamicSampling, wantd: there is no such setting; there are wanted, least. Did you mean 'wanted'?",
    ],
    [() => dynamicSampling({ wanted: 0 }), 'dynamicSampling, wanted: it is 0'],
    [() => dynamicSampling({ least: 1 }), 'dynamicSampling, least: it is 1; give a whole number from 2'],
    [() => minibatches({ ...minibatch, groups: 0 }), 'minibatches, groups: it is 0'],
    [() => minibatches({ ...minibatch, passes: 0 }), 'minibatches, passes: it is 0'],
    [() => minibatches({ groups: 4, updates: 2 } as never), 'minibatches, seed: it is undefined'],
    [() => evaluateEvery({ every: 0, evaluate: () => of() }), 'evaluateEvery, every: it is 0'],
    [
      () => policyUpdate({ ...learner, rate: 1e-5 } as never),
      'policyUpdate, rate: it is 0.00001; give a function',
    ],
    [
      () => policyUpdate({ ...learner, session: undefined, rate: () => 1 } as never),
      'policyUpdate, session: it is undefined',
    ],
  ] as const)
    assert.match(messageThrown(make), message)
  dynamicSampling({ wanted: Number.POSITIVE_INFINITY })
  groupAdvantages()
})

settings.run()
