/** What the report shows of reinforcement: metrics in reading order, a sample of groups, the gain of each stage. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gainMark, gainOf } from '../../src/report/gain.ts'
import { renderReport, writeReport } from '../../src/report/index.ts'
import {
  knownRewards,
  meanReward,
  picksOf,
  type RolloutSample,
  withGroup,
} from '../../src/report/rollout-sample.ts'
import { type EventOf, type RunEvent, rolloutsFile } from '../../src/run/index.ts'
import { unbalanced } from '../support/balanced.ts'
import { syntheticGroup, syntheticGroups, syntheticReinforcement } from '../support/synthetic-rollouts.ts'
import { syntheticEvents, syntheticManifest, writeSyntheticRun } from '../support/synthetic-run.ts'

const test = suite('report: reinforcement')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-report-rl-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

type Group = EventOf<'group'>
const sampled = (groups: readonly Group[]): readonly RolloutSample[] =>
  groups.reduce(withGroup, [] as readonly RolloutSample[])
const render = (
  events: readonly RunEvent[],
  groups: readonly Group[] = [],
  images: ReadonlyMap<string, string> = new Map(),
): Promise<string> =>
  renderReport({ folder: '/nowhere', manifest: syntheticManifest(), events }, images, {
    ...{ samples: sampled(groups), damaged: [] },
  })
/** One section of a page. */
const section = (page: string, id: string): string => {
  const from = page.indexOf(`<section aria-labelledby="${id}"`)
  return from < 0 ? '' : page.slice(from, page.indexOf('</section>', from))
}

test('a run without reinforcement has neither section', async () => {
  const page = await render(syntheticEvents(0).slice(0, 40))
  assert.equal([section(page, 'reinforcement'), section(page, 'rollouts')], ['', ''])
})

test('metrics in reading order, with advisories in words above them', async () => {
  const page = await render(syntheticReinforcement(), syntheticGroups)
  assert.equal(unbalanced(page), [])
  const own = section(page, 'reinforcement')
  const order = [
    'completions have no reward because a verifier failed',
    'Is it alive?',
    'Rollouts a second',
    'Without a reward',
    'Seconds an episode',
    'Is it learning?',
    'Held-out tasks after the stage: sum <b>60.0 %</b>',
    'Reward by component',
    'Reward by family',
    'Is the signal real?',
    'Groups without spread',
    'Groups kept and discarded',
    'Format reward',
    'all 4 completions have the reward 0',
    'Is it stable?',
    'Entropy, nats',
    'KL from the policy that drew, nats',
    'Clipped tokens',
    'Gradient norm',
    'Length, tokens',
    'Cut off',
    'Where does the time go?',
  ]
  const places = order.map((text) => own.indexOf(text))
  assert.equal(
    places,
    [...places].sort((a, b) => a - b),
    order.filter((_, i) => places[i]! < (places[i - 1] ?? 0)).join(),
  )
  assert.ok(places[0]! > 0)
  assert.match(own, '4 of 4 updates are done, from 2 episodes of rollouts, 3.00 a second')
  assert.match(own, '4 completions could not be judged because a verifier failed')
  assert.match(own, '33.3 % of 6 groups had one reward throughout and taught nothing; 4 took part in updates')
  assert.match(
    own,
    '<div class="value">0.500</div><span class="note">in the last episode; 0.300 in the first',
  )
  // 8 s of rollouts, 1 s of judging, 4 s of updates, 0 s of 13 besides, 1 s of evaluation
  assert.match(own, 'drawing rollouts 8.0 s (57.1 %)')
  assert.match(own, 'judging, behind the last rollout 1.0 s (7.1 %)')
  assert.match(own, 'updates 4.0 s (28.6 %)')
  assert.match(own, 'evaluation 1.0 s (7.1 %)')
  assert.match(own, /<th scope="row">all 4 completions have the reward 0<\/th><td class="number">2<\/td>/)
  assert.match(own, /aria-label="Entropy, nats: entropy 0.400 → 0.100, over 4 updates\."/)
  assert.match(own, /aria-label="Clipped tokens: low 1.0 %; high 2.0 % → 8.0 %, over 4 updates\."/)
})

const asked = (step: number, mean: number, length: number): EventOf<'validated'> => ({
  ...{ type: 'validated', stage: 'rl', step, rewards: { mean, std: 0.4, count: 60 }, families: {} },
  ...{ length, truncated: 0, unjudged: 4, seconds: 1 },
})

test('held-out tasks of the stage itself: from before the first update to the last, with lengths, and whether it may be chance', async () => {
  const stage = syntheticReinforcement()
  const page = (last: number) =>
    render([stage[0]!, asked(0, 0.25, 40), ...stage.slice(1, -1), asked(4, last, 31.5), stage.at(-1)!])
  const own = section(await page(0.75), 'reinforcement')
  assert.match(
    own,
    '64 held-out tasks got a mean reward of 0.250 in 40.0 tokens before the first update, and a mean reward of 0.750 in 31.5 tokens after update 4: <small class="gain right">▲ 0.500</small>.',
  )
  assert.not.match(own, 'Nothing was measured')
  // a standard error of 0.073
  assert.match(section(await page(0.35), 'reinforcement'), '▲ 0.100</small>, which may be chance.')
  assert.not.match(section(await page(0.4), 'reinforcement'), 'which may be chance')
})

test('a finished run that measures nothing after its stages says so, and what became of the rewards', async () => {
  const events = syntheticReinforcement().filter((e) => e.type !== 'evaluated' && e.type !== 'measured')
  const page = await render([...events, { type: 'run-finished', seconds: 9 }])
  assert.match(page, 'After its stages nothing was evaluated: the experiment measures nothing there.')
  assert.not.match(page, 'evaluated yet')
  assert.match(
    page,
    /reward of rl<\/span>\s*<div class="value">0.500<\/div>\s*<span class="note">on the tasks that it learns from, 0.300 at first/,
  )
  assert.equal(unbalanced(page), [])
  // a time at which nothing was judged has no mean, and is no beginning and no end
  const none = (step: number): EventOf<'validated'> => {
    const one = asked(step, Number.NaN, 40)
    return { ...one, rewards: { ...one.rewards, count: 0 } }
  }
  const tiles = async (...all: readonly EventOf<'validated'>[]) =>
    /<ul class="tiles" aria-label="Rewards.*?<\/ul>/s.exec(
      await render([events[0]!, ...all, ...events.slice(1), { type: 'run-finished', seconds: 9 }]),
    )![0]
  assert.match(
    await tiles(none(0), asked(1, 0.25, 40), asked(2, 0.75, 40), none(3)),
    /<div class="value">0.750<\/div>\s*<span class="note">on held-out tasks, 0.250 at first/,
  )
  assert.match(await tiles(none(0), asked(1, 0.25, 40)), 'on the tasks that it learns from')
})

test('a stage that was begun and has no update yet is shown too', async () => {
  const begun = syntheticReinforcement().slice(0, 2)
  const own = section(await render(begun), 'reinforcement')
  assert.match(own, '0 of 4 updates are done')
  assert.match(own, 'Nothing was measured on held-out tasks yet')
  assert.not.match(own, 'NaN')
})

test('one episode is not compared with itself, and kinds of judgements that there are not are not told', async () => {
  const page = await render([...syntheticReinforcement().slice(0, 2), { type: 'run-finished', seconds: 9 }])
  assert.match(page, 'on the tasks that it learns from, in one episode')
  const own = section(page, 'reinforcement')
  assert.match(own, /in the last episode<\/span>/)
  assert.not.match(own, 'in the first')
  assert.not.match(own, /no reward speaks/i)
  const judged = async (failed: number, abstained: number) => {
    const events = syntheticReinforcement().map((e) =>
      e.type === 'episode' ? { ...e, failed, abstained } : e,
    )
    return section(await render(events), 'reinforcement')
  }
  assert.match(await judged(0, 1), 'a second. No reward speaks of 2 completions.')
  assert.match(await judged(1, 1), 'because a verifier failed, and no reward speaks of 2 completions.')
})

test('a stage whose last episodes had no update says so, and no loss at its end', async () => {
  const ended = syntheticReinforcement().map((e) =>
    e.type === 'stage-finished' ? { ...e, loss: Number.NaN } : e,
  )
  const page = await render(ended)
  assert.match(page, '; no update at its end')
  assert.not.match(page, 'loss at the end')
})

test('episodes without one reward have none, and not NaN', async () => {
  const none = { mean: Number.NaN, std: Number.NaN, count: 0 }
  const events = syntheticReinforcement().map((e) => (e.type === 'episode' ? { ...e, rewards: none } : e))
  const own = section(await render(events), 'reinforcement')
  assert.match(own, 'none in the last episode; none in the first')
  assert.not.match(own, 'NaN')
})

test('a group: task and image once, completions side by side with all that is known of them', async () => {
  const images = new Map([['images/one.png', 'data:image/png;base64,AAAA']])
  const page = await render(syntheticReinforcement(), syntheticGroups, images)
  const own = section(page, 'rollouts')
  assert.match(own, '5 of 6 groups (24 completions)')
  const group = own.slice(own.indexOf('What is 1 &amp; 7?'), own.indexOf('What is 2 &amp; 7?'))
  assert.is(group.split('data:image/png;base64,AAAA').length, 2)
  assert.is(group.split('<div class="completion"').length, 5)
  assert.match(group, 'chart; episode 0, group 1; after 0 updates; task <code>sum/1@1</code>')
  assert.match(group, '<b>1</b> <span>advantage +1.40</span>')
  assert.match(group, '<b>no reward</b> <span>no advantage</span>')
  assert.match(group, 'ran out of time')
  assert.match(group, '<dt>answer</dt><dd><b>1</b> <small>extracted “6”, expected “7”</small>')
  assert.match(group, '3 tokens, <b class="cut-off">cut off</b>')
  // what a policy wrote is text
  assert.match(group, 'so &lt;b&gt;1&lt;/b&gt;')
  assert.not.match(group, '<b>1</b> is')
  // exp(-0.02 · 3⁴) is 20 %: shaded, and told; exp(-0.02) is not shaded
  assert.match(group, '<i class="p3" title="20 %">\\boxed{7}</i>')
  const discarded = own.slice(own.indexOf('What is 2 &amp; 7?'), own.indexOf('What is 3 &amp; 7?'))
  assert.match(discarded, 'Discarded: all 4 completions have the reward 0.')
  assert.match(own, '<span class="badge discarded">discarded</span>')
  assert.match(
    await render(syntheticReinforcement(), syntheticGroups),
    '<div class="missing">image missing</div>',
  )
})

const rated = fc
  .array(
    fc.record({
      rewards: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 5 }),
      reason: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((all) =>
    all.map(({ rewards, reason }, i): Group => {
      const { discarded: _, ...plain } = syntheticGroup(Math.floor(i / 5), i)
      return {
        ...plain,
        judgements: rewards.map((value) => ({ _tag: 'Scored', value: value / 4, evidence: {} })),
        ...(reason === undefined ? {} : { discarded: reason }),
      }
    }),
  )

test('the sample: first, last, best, worst and of each of four reasons one, however many were drawn', () => {
  fc.assert(
    fc.property(rated, (groups) => {
      const [s] = sampled(groups)
      const picks = picksOf(s!)
      const kept = groups.filter((g) => g.discarded === undefined)
      const of = (as: string) => picks.filter((p) => p.as.includes(as)).map((p) => p.group)
      assert.ok(picks.length <= 14)
      assert.is(new Set(picks.map((p) => p.group.index)).size, picks.length)
      assert.is(s!.groups, groups.length)
      assert.equal(
        of('first').map((g) => g.index),
        kept.slice(0, 2).map((g) => g.index),
      )
      const last = kept.filter((g) => g.episode === kept.at(-1)!.episode)
      assert.equal(
        of('last').map((g) => g.index),
        last.slice(0, 2).map((g) => g.index),
      )
      const means = kept.map(meanReward).sort((a, b) => b - a)
      assert.equal(
        of('best')
          .map(meanReward)
          .sort((a, b) => b - a),
        means.slice(0, 2),
      )
      assert.equal(
        of('worst')
          .map(meanReward)
          .sort((a, b) => b - a),
        means.slice(-2),
      )
      const reasons = [...new Set(groups.flatMap((g) => g.discarded ?? []))]
      assert.equal(
        of('discarded')
          .map((g) => g.discarded)
          .sort(),
        reasons.slice(0, 4).sort(),
      )
      assert.is(
        Object.values(s!.reasons).reduce((a, b) => a + b, 0),
        groups.length - kept.length,
      )
      const all = groups.flatMap(knownRewards)
      assert.equal(s!.range, [Math.min(...all), Math.max(...all)])
    }),
    { numRuns: 100 },
  )
})

test('the page stays small, whatever was drawn', async () => {
  const tokens = Array.from({ length: 4000 }, (_, i) => `word${i} `)
  const long = (index: number): Group => {
    const g = syntheticGroup(Math.floor(index / 50), index)
    const c = {
      ...g.completions[0]!,
      ids: tokens.map((_, i) => i),
      // each token has another shade than its neighbours: the worst case
      ...{ texts: tokens, text: tokens.join(''), logProbs: tokens.map((_, i) => -((i % 5) ** 2)) },
    }
    const samples = Array.from({ length: 64 }, (_, sample) => sample)
    return {
      ...g,
      completions: samples.map((sample) => ({ ...c, sample })),
      judgements: samples.map(() => g.judgements[0]!),
      advantages: samples.map(() => 0),
    }
  }
  const page = await render(
    syntheticReinforcement(),
    Array.from({ length: 300 }, (_, i) => long(i)),
  )
  assert.ok(page.length < 8e6, `${page.length}`)
  const own = section(page, 'rollouts')
  assert.match(own, 'of 300 groups (19,200 completions)')
  assert.match(own, '16 of 64 completions.')
  assert.match(own, '3,400 tokens left out')
  assert.ok(own.includes('word299 ') && !own.includes('word300 ') && own.includes('word3999 '))
})

test('a folder: rollouts are read from their files, a damaged line is named, the rest is shown', async () => {
  const folder = join(root, 'run')
  await writeSyntheticRun(folder, [...syntheticReinforcement(), ...syntheticGroups])
  appendFileSync(join(folder, rolloutsFile('rl', 1)), 'no JSON\n')
  const written = await writeReport(folder)()
  assert.ok(E.isRight(written))
  const own = section(readFileSync(join(folder, 'report.html'), 'utf8'), 'rollouts')
  assert.match(own, '5 of 6 groups')
  assert.match(own, /passed over: [^<]*000001\.jsonl:4: this is not JSON/)
})

// --- what a stage gained ------------------------------------------------------------------------------------

const share = (correct: number, total = 100): EventOf<'evaluated'> => ({
  ...{ type: 'evaluated', stage: 's', family: 'f', correct, total, seconds: 1 },
})
const mean = (value: number, unit = 'nats'): EventOf<'measured'> => ({
  ...{ type: 'measured', stage: 's', family: 'f', value, unit, weight: 10, seconds: 1 },
})

test('a gain is sure where the interval of the difference is without 0', () => {
  // the differences’ intervals: 5 to 33, −9 to 18, −42 to −16 points
  assert.equal(gainOf(share(48, 80), share(56, 70)), { by: 100 * (56 / 70 - 48 / 80), sure: true })
  assert.is(gainOf(share(50), share(55))!.sure, false)
  assert.is(gainOf(share(70), share(40))!.sure, true)
  assert.is(gainOf(undefined, share(1)), undefined)
  assert.is(gainOf(mean(1), share(1)), undefined)
  assert.is(gainOf(mean(1, 'nats'), mean(1, 'bits')), undefined)
  const shown = (before: EventOf<'evaluated'>, after: EventOf<'evaluated'>) =>
    (gainMark(gainOf(before, after), 'evaluated') as { readonly text: string }).text
  assert.is(shown(share(40), share(70)), '<small class="gain right">▲ 30.0 points</small>')
  assert.is(shown(share(70), share(40)), '<small class="gain wrong">▼ 30.0 points</small>')
  assert.is(shown(share(50), share(51)), '<small class="gain">▲ 1.0 points</small>')
  assert.is(shown(share(50), share(50)), '<small class="gain">= as before</small>')
})

test('the accuracy table and the stage of reinforcement say what was gained over the stage before', async () => {
  const before: readonly RunEvent[] = [
    { ...syntheticReinforcement()[0]!, stage: 'sft', index: 0, of: 2 } as RunEvent,
    { ...share(30), stage: 'sft', family: 'sum' },
  ]
  const page = await render([...before, ...syntheticReinforcement(1, 2)], syntheticGroups)
  assert.match(section(page, 'accuracy'), '<small class="gain right">▲ 30.0 points</small>')
  assert.match(
    section(page, 'reinforcement'),
    'what it gained over the stage before: sum <b>60.0 %</b> <small class="gain right">▲ 30.0 points</small>.',
  )
})

test.run()
