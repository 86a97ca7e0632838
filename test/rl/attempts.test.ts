/** What weights make of tasks before a stage's first step: which they solve now and then, and the right answers they write. */
import { concatMap, delay, from, map, of } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, listed, repeated, type Source } from '../../src/data/index.ts'
import {
  type Completion,
  harvested,
  type Reward,
  type StopReason,
  solvable,
  type Task,
  type TrainedPolicy,
} from '../../src/rl/index.ts'
import { afterwards, type Prepared, type Preparing } from '../../src/train/index.ts'
import { scripted, thrown } from '../support/tiny.ts'

const test = suite('rl: attempts')

const prompt = (id: string, answered = true): Conversation => ({
  ...{ id, ids: [1, 2, 3, 9], promptLength: 3, images: [] },
  lossMask: [false, false, false, answered],
})
const task = (id: string, answered = true, family = 'hard'): Task => ({
  ...{ id, family, prompt: prompt(id, answered), question: id, columns: {} },
})

/** Attempts by task: `+` right, `-` wrong, `*` right without an end, `?` its verifier fails. */
type Script = Readonly<Record<string, string>>

/** Answers by script; later requests end first. Token 5 and the sample's number is what it writes. */
const policyOf = (script: Script): { readonly policy: TrainedPolicy; readonly asked: string[] } => {
  const asked: string[] = []
  return {
    asked,
    policy: {
      config: 'scripted',
      functions: { draw: 'the policy’s' as never },
      on: () => ({
        config: 'scripted',
        version: () => 0,
        sample: (requests) =>
          from([...requests].reverse()).pipe(
            concatMap((r) => of(r).pipe(delay(0))),
            map((r): Completion => {
              asked.push(`${r.task}.${r.sample}`)
              const mark = script[r.task.replace(/@.*/, '')]![r.sample]!
              const stop: StopReason = mark === '*' ? 'length' : 'end'
              return {
                ...{ task: r.task, sample: r.sample, promptIds: [1, 2, 3], ids: [5, 50 + r.sample] },
                ...{ logProbs: [-1, -1], text: mark, stop, version: 0 },
              }
            }),
          ),
      }),
    },
  }
}

const right: Reward = {
  name: 'right',
  config: 'right',
  score:
    ({ completion: { text } }) =>
    async () =>
      text === '?'
        ? { _tag: 'Failed', why: 'it fell over', elapsedMs: 1 }
        : { _tag: 'Scored', value: Number(text !== '-'), evidence: {} },
}

const about: Preparing = {
  session: scripted({ name: 'none', states: new Map(), functions: new Map() }, () => ({})),
  ...{ seed: 1, stage: 'rl' },
}
const tried = (script: Script, tasks?: readonly Task[]) => {
  const { policy, asked } = policyOf(script)
  const list = tasks ?? Object.keys(script).map((id) => task(id))
  const attempts = Object.values(script)[0]!.length
  const count = Object.keys(script).length
  const settings = { tasks: listed('tasks', list), count, attempts, policy, right }
  return { asked, settings: { ...settings, sampling: { maxNewTokens: 4 } } }
}

/** What is told, and the examples of the source that comes of it, as a checkpoint would keep it. */
const prepared = async <E>(p: Prepared<E>) => {
  const told: unknown[] = []
  const preparing = p.prepare(about)
  for (;;) {
    const { value, done } = await preparing.next()
    if (done === true) {
      const source = p.source(JSON.parse(JSON.stringify(value)))
      return { told, kept: value, source, examples: await all(source) }
    }
    told.push(value)
  }
}

const all = async <E>(source: Source<E>, place?: unknown): Promise<readonly E[]> => {
  const examples: E[] = []
  for await (const { example } of source.open(place)) examples.push(example)
  return examples
}

/** The rest of a source, from behind each of its examples. */
const rests = async <E>(source: Source<E>): Promise<readonly (readonly E[])[]> => {
  const places: unknown[] = []
  for await (const { next } of source.open()) places.push(JSON.parse(JSON.stringify(next)))
  return Promise.all(places.map((p) => all(source, p)))
}
const tails = <E>(list: readonly E[]): readonly (readonly E[])[] => list.map((_, i) => list.slice(i + 1))

test('solvable keeps what is solved in some attempts and not in all, in the tasks’ order, and says why not', async () => {
  const script = { a: '+++', b: '+--', c: '---', d: '++?', e: '-*-', f: '---' }
  const { settings, asked } = tried(
    script,
    [...Object.keys(script), 'more'].map((id) => task(id)),
  )
  const p = solvable(settings)
  const { told, kept, source, examples } = await prepared(p)
  assert.equal(kept, [1, 4])
  assert.equal(
    examples.map((t) => t.id),
    ['b', 'e'],
  )
  assert.equal(told, [
    {
      ...{ type: 'curated', stage: 'rl', what: 'tasks', of: 6, kept: 2 },
      dropped: { 'always solved': 1, 'never solved': 2, 'could not be judged': 1 },
    },
  ])
  // each task so often, by a name that no episode gives it, and none behind the count
  assert.is(asked.length, 18)
  assert.ok(asked.includes('c@attempt-2.0'))
  assert.equal(await rests(source), tails(examples))
  assert.equal(p.functions, settings.policy.functions)
  assert.is(p.example, settings.tasks)
  // with what is made of it
  const again = afterwards(p, repeated).source(kept).open()
  const ids: string[] = []
  for await (const { example } of again) if (ids.push(example.id) === 5) break
  assert.equal(ids, ['b', 'e', 'b', 'e', 'b'])
})

test('solvable: of an easy family nothing but what is always solved is left out', async () => {
  const script = { a: '++', b: '--', c: '--', d: '++' }
  const families = { a: 'easy', b: 'easy', c: 'hard', d: 'hard' }
  const list = Object.entries(families).map(([id, family]) => task(id, true, family))
  const { examples, told } = await prepared(solvable({ ...tried(script, list).settings, easy: ['easy'] }))
  assert.equal(
    examples.map((t) => t.id),
    ['b'],
  )
  assert.equal((told[0] as { dropped: unknown }).dropped, {
    'always solved': 2,
    'never solved': 1,
    'could not be judged': 0,
  })
  const misspelt = await prepared(solvable({ ...tried(script, list).settings, easy: ['esy'] }))
  assert.match(
    (misspelt.told[0] as { message: string }).message,
    /easy of solvable names 'esy', and none of the first 4 tasks is of that family; they are of easy, hard\. Did you mean 'easy'\?/,
  )
})

test('solvable: where nothing is left all that were tried are kept, and the run says so', async () => {
  const script = { a: '++', b: '--' }
  const list = ['a', 'b', 'more'].map((id) => task(id))
  const { examples, told } = await prepared(solvable(tried(script, list).settings))
  assert.equal(
    examples.map((t) => t.id),
    ['a', 'b'],
  )
  const [counted, warned] = told as [{ kept: number; dropped: unknown }, { type: string; message: string }]
  assert.is(counted.kept, 0)
  assert.equal(counted.dropped, { 'always solved': 1, 'never solved': 1, 'could not be judged': 0 })
  assert.is(warned.type, 'warned')
  assert.match(
    warned.message,
    /stage rl: none of 2 tasks is solved in some of 2 attempts and not in all, so that all/,
  )
})

test('harvested keeps of each task the first right answer that ended, token by token', async () => {
  const script = { a: '-++', b: '---', c: '**+', d: '***', e: '+?-' }
  const { settings } = tried(script)
  const p = harvested(settings)
  const { told, source, examples } = await prepared(p)
  assert.equal(
    examples.map((c) => [c.id, c.ids, c.lossMask, c.promptLength]),
    [
      ['a', [1, 2, 3, 5, 51], [false, false, false, true, true], 3],
      ['c', [1, 2, 3, 5, 52], [false, false, false, true, true], 3],
    ],
  )
  assert.equal(told, [
    {
      ...{ type: 'curated', stage: 'rl', what: 'tasks', of: 5, kept: 2 },
      dropped: { 'no right answer': 1, 'right, but without an end': 1, 'could not be judged': 1 },
    },
  ])
  assert.equal(await rests(source), tails(examples))
  // what is looked at before there are answers is as long as one can be
  const [longest] = await all(p.example)
  assert.equal([longest!.ids.length, longest!.lossMask.filter(Boolean).length], [3 + 4, 4])
})

test('harvested: where nothing is right the answers of the tasks that were tried stand in, and the run says so', async () => {
  const script = { a: '--', b: '**' }
  const list = [task('a'), task('b'), task('more', false)]
  const { told, source, examples } = await prepared(harvested(tried(script, list).settings))
  assert.equal(examples, [prompt('a'), prompt('b')])
  assert.equal(await rests(source), tails(examples))
  const [counted, warned] = told as [{ kept: number; dropped: unknown }, { type: string; message: string }]
  assert.is(counted.kept, 0)
  assert.equal(counted.dropped, {
    'no right answer': 1,
    'right, but without an end': 1,
    'could not be judged': 0,
  })
  assert.is(warned.type, 'warned')
  assert.match(
    warned.message,
    /of 2 tasks none has a right answer that ends in 2 attempts; the answers that the tasks have/,
  )
})

test('harvested: where nothing is right and a task has no answer the stage ends in words before its first step', async () => {
  const { settings } = tried({ a: '--', b: '--' }, [task('a'), task('b', false)])
  const e = await thrown(() => prepared(harvested(settings)))
  assert.is(e.name, 'SettingsError')
  assert.match(e.message, /stage 'rl', source: of 2 tasks none has a right answer that ends in 2 attempts/)
  assert.match(
    e.message,
    /the prompt of b has no answer that could stand in; give tasks that its weights can solve/,
  )
})

test('too few tasks, and settings that are none, are errors in words', async () => {
  const { settings } = tried({ a: '+-', b: '+-' })
  for (const made of [solvable, harvested]) {
    const e = await thrown(() => prepared(made({ ...settings, count: 3 }) as Prepared<unknown>))
    assert.match(e.message, /there are 2, and 3 are to be tried/)
    assert.throws(() => made({ ...settings, attempts: 0 }), /attempts/)
    assert.throws(() => made({ ...settings, policy: {} as never }), /policy/)
    assert.throws(() => made(settings).source('everything'), /no list of/)
  }
})

test.run()
