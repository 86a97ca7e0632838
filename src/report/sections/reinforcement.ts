/**
 * A stage of reinforcement in the order in which one asks: is it alive, is it learning, is the signal real, is it stable,
 * where does the time go.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../../run/index.ts'
import { duration, grouped, percent, significant } from '../../terminal/index.ts'
import { colour, legend } from '../chart.ts'
import { type Gain, gainMark, gainOf } from '../gain.ts'
import { type Html, html, htmlTable, type Part, tile } from '../html.ts'
import type { Section } from '../page.ts'
import { type Picture, picture, type Series } from '../rl-charts.ts'
import type { RolloutSample } from '../rollout-sample.ts'
import { measuredOf, type RunView, type StageView } from '../view.ts'

type Episode = EventOf<'episode'>

/** The mean of rewards, where there are any. */
const meanOr = ({ mean, count }: { readonly mean: number; readonly count: number }, none: string): string =>
  count === 0 ? none : significant(mean)

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Over episodes, each at the first of its updates. */
const overEpisodes = (s: StageView, name: string, of: (e: Episode) => number): Series => ({
  name,
  points: s.episodes.map((e) => ({ x: e.step, y: of(e) })),
})

/** A line for each name of a record of spreads, where an episode has it. */
const named = (s: StageView, of: (e: Episode) => Episode['families']): readonly Series[] => {
  const names = [...new Set(s.episodes.flatMap((e) => Object.keys(of(e))))].sort()
  return names.map((name) => overEpisodes(s, name, (e) => of(e)[name]?.mean ?? Number.NaN))
}

const overUpdates = (s: StageView, name: string, metric: string): Series => ({
  name,
  points: s.updates.flatMap((u) => {
    const y = u.metrics[metric]
    return y === undefined ? [] : [{ x: u.step, y }]
  }),
})

/** What is known of the metrics of updates: title, what to look for. */
const known: Readonly<Record<string, readonly [title: string, note: string]>> = {
  entropy: [
    'Entropy, nats',
    'How undecided the policy is. Near 0 it draws one answer and groups have nothing to compare.',
  ],
  kl: [
    'KL from the policy that drew, nats',
    'How far updates of an episode move from its rollouts; 0 at the first of each.',
  ],
  mismatch: [
    'Sampling against training',
    'How differently the two compute the same probability; growing, it needs truncation.',
  ],
  referenceKl: ['KL from the reference, nats', 'How far the policy went from where it began.'],
}

/** Pictures beside each other; what is false has nothing to show. */
const grids = async (pictures: readonly (Picture | false)[]): Promise<Html> => {
  const all = await Promise.all(pictures.filter((p) => p !== false).map(picture))
  return html`<div class="grid">${all.filter((p) => p !== undefined)}</div>`
}

const question = (title: string, answer: Part, body: Part): Html =>
  html`<h3 class="question">${title}</h3><p class="note">${answer}</p>${body}`

const plural = (n: number, one: string): string => `${grouped(n)} ${one}${n === 1 ? '' : 's'}`

/** Seconds by phase. Updates are what the engine took for them; all else of the stage's time is `other`. */
const phases = (s: StageView) => {
  const rollout = sum(s.episodes.map((e) => e.rolloutSeconds))
  const score = sum(s.episodes.map((e) => e.scoreSeconds))
  const update = sum(s.taken.map((e) => e.computeSeconds))
  const trained = s.finished?.trainSeconds ?? s.seconds
  return [
    { name: 'drawing rollouts', seconds: rollout, colour: colour.strong },
    { name: 'judging, behind the last rollout', seconds: score, colour: colour.second },
    { name: 'updates', seconds: update, colour: colour.fourth },
    { name: 'other', seconds: Math.max(0, trained - rollout - score - update), colour: colour.third },
    { name: 'evaluation', seconds: s.finished?.evaluateSeconds ?? 0, colour: 'var(--run4)' },
  ]
}

/** What the stage's own held-out tasks came to, from the first time that they were asked to the last. */
const validated = (s: StageView): Html | false => {
  const judged = s.validations.filter((v) => v.rewards.count > 0)
  const [first, last] = [judged[0], judged.at(-1)]
  if (first === undefined || last === undefined) return false
  const told = (v: typeof first): string =>
    `a mean reward of ${significant(v.rewards.mean)} in ${significant(v.length)} tokens ${v.step === 0 ? 'before the first update' : `after update ${grouped(v.step)}`}`
  const questions = `${plural(last.rewards.count + last.unjudged, 'held-out task')} got`
  if (first === last) return html`${questions} ${told(last)}.`
  const by = last.rewards.mean - first.rewards.mean
  const gain: Gain = { by, sure: Math.abs(by) > 1.96 * Math.hypot(error(first.rewards), error(last.rewards)) }
  return html`${questions} ${told(first)}, and ${told(last)}: ${gainMark(gain, 'measured')}${!gain.sure && ', which may be chance'}.`
}

/** The standard error of a mean. */
const error = ({ std, count }: Episode['rewards']): number => std / Math.sqrt(count)

const heldOut = (view: RunView, s: StageView): Html => {
  const before = view.stages.filter((x) => x.index < s.index)
  const rows = [...s.evaluations, ...s.measures]
  const asked = validated(s)
  if (rows.length === 0 && asked !== false) return asked
  if (rows.length === 0)
    return html`Nothing was measured on held-out tasks${s.finished === undefined && ' yet'}; a reward that grows on the tasks that it is trained on shows less than that.`
  const cells = rows.map((m) => {
    const own = before.map((x) => measuredOf(x, m.family))
    const gain = gainOf(
      own.findLast((e) => e !== undefined),
      m,
    )
    const value = m.type === 'evaluated' ? percent(m.correct / m.total) : `${significant(m.value)} ${m.unit}`
    return html`${m.family} <b>${value}</b>${gain !== undefined && html` ${gainMark(gain, m.type)}`}`
  })
  return html`Held-out tasks after the stage${before.length > 0 && ', and what it gained over the stage before'}: ${cells.map((c, i) => html`${i > 0 && '; '}${c}`)}.${asked !== false && html` ${asked}`}`
}

const reasons = (sample: RolloutSample | undefined): Part => {
  const all = Object.entries(sample?.reasons ?? {}).sort(([, a], [, b]) => b - a)
  if (all.length === 0) return false
  return htmlTable(
    'Why groups were discarded',
    [{ head: 'why' }, { head: 'groups', number: true }],
    [
      ...all.slice(0, 8).map(([why, n]) => [why, grouped(n)]),
      ...(all.length > 8
        ? [[`${all.length - 8} other reasons`, grouped(sum(all.slice(8).map(([, n]) => n)))]]
        : []),
    ],
  )
}

const timeBar = (s: StageView): Html => {
  const all = phases(s)
  const total = sum(all.map((p) => p.seconds))
  const told = all.map((p) => `${p.name} ${percent(p.seconds / total)}`).join(', ')
  return html`<div class="time-bar" role="img" aria-label="${told}">${all.map((p) => html`<span style="width:${((100 * p.seconds) / total).toFixed(2)}%;background:${p.colour}"></span>`)}</div>
${legend(
  'box',
  all.map((p) => ({
    name: `${p.name} ${duration(p.seconds)} (${percent(p.seconds / total)})`,
    colour: p.colour,
  })),
)}`
}

/** What the episodes of a stage have together: counts, and seconds of drawing. */
const totalsOf = ({ episodes }: StageView) => {
  const total = (of: (e: Episode) => number): number => sum(episodes.map(of))
  return {
    completions: total((e) => e.completions),
    groups: total((e) => e.kept + e.discarded),
    kept: total((e) => e.kept),
    degenerate: total((e) => e.degenerate),
    failed: total((e) => e.failed),
    abstained: total((e) => e.abstained),
    drawing: total((e) => e.rolloutSeconds),
  }
}
type Totals = ReturnType<typeof totalsOf>

/** Rollouts and verdicts come at all, and how fast. */
const isItAlive = async (
  s: StageView,
  { completions, drawing, failed, abstained }: Totals,
): Promise<Html> => {
  const at = { steps: s.steps, as: 'number' as const }
  const updating = updatesSeconds(s)
  return question(
    'Is it alive?',
    html`${grouped(s.step)} of ${grouped(s.steps)} updates are done, from ${plural(s.episodes.length, 'episode')} of rollouts, ${significant(completions / drawing)} a second. ${
      failed + abstained === 0
        ? 'Every completion was judged.'
        : failed === 0
          ? `No reward speaks of ${plural(abstained, 'completion')}.`
          : `${plural(failed, 'completion')} could not be judged because a verifier failed${abstained === 0 ? '' : `, and no reward speaks of ${plural(abstained, 'completion')}`}.`
    }`,
    await grids([
      {
        ...{ ...at, title: 'Rollouts a second' },
        series: [overEpisodes(s, 'rollouts a second', (e) => e.completions / e.rolloutSeconds)],
        note: 'Completions over the time until the last of an episode was drawn.',
      },
      failed + abstained > 0 && {
        ...{ steps: s.steps, as: 'share', title: 'Without a reward' },
        series: [
          overEpisodes(s, 'failed', (e) => e.failed / e.completions),
          overEpisodes(s, 'abstained', (e) => e.abstained / e.completions),
        ],
        note: 'More than 5 % failed verifiers are a fault to look for: their evidence says why.',
      },
      {
        ...{ ...at, title: 'Seconds an episode' },
        series: [
          overEpisodes(s, 'drawing', (e) => e.rolloutSeconds),
          overEpisodes(s, 'judging after it', (e) => e.scoreSeconds),
          overEpisodes(s, 'updates', (e) => updating.get(e.episode) ?? 0),
        ],
        note: 'Judging overlaps with drawing; what is told is what comes behind it.',
      },
    ]),
  )
}

/** Rewards grow, on held-out tasks too. */
const isItLearning = async (view: RunView, s: StageView): Promise<Html> => {
  const at = { steps: s.steps, as: 'number' as const }
  return question(
    'Is it learning?',
    heldOut(view, s),
    await grids([
      s.validations.length > 0 && {
        ...{ ...at, title: 'Reward on held-out tasks' },
        series: [
          {
            name: 'held-out',
            points: s.validations.map((v) => ({ x: v.step, y: v.rewards.mean })),
            spread: s.validations.map((v) => v.rewards.std),
          },
        ],
        note: 'Each task answered once while the stage goes on; nothing of them is learnt from.',
      },
      {
        ...{ ...at, title: 'Reward' },
        series: [
          {
            ...overEpisodes(s, 'reward', (e) => e.rewards.mean),
            spread: s.episodes.map((e) => e.rewards.std),
          },
        ],
        note: 'Mean over all completions of an episode, discarded groups too; the band is one standard deviation.',
      },
      {
        ...{ ...at, title: 'Reward by component', series: named(s, (e) => e.components) },
        note: 'Each part before its weight.',
      },
      {
        ...{ ...at, title: 'Reward by family', series: named(s, (e) => e.families) },
        note: 'Families that differ much want another mixture or level.',
      },
    ]),
  )
}

/** Groups differ inside, so that there is something to learn from. */
const isSignalReal = async (
  s: StageView,
  { groups, kept, degenerate }: Totals,
  sample: RolloutSample | undefined,
): Promise<Html> => {
  const at = { steps: s.steps, as: 'number' as const }
  const formats = named(s, (e) => e.components).filter((c) => /(^|\.)format$/.test(c.name))
  return question(
    'Is the signal real?',
    html`${percent(degenerate / groups)} of ${plural(groups, 'group')} had one reward throughout and taught nothing; ${grouped(kept)} took part in updates.`,
    html`${await grids([
      {
        ...{ steps: s.steps, as: 'share', title: 'Groups without spread' },
        series: [overEpisodes(s, 'without spread', (e) => e.degenerate / (e.kept + e.discarded))],
        note: 'Too easy or too hard for the policy: all completions are worth the same.',
      },
      {
        ...{ ...at, title: 'Groups kept and discarded' },
        series: [overEpisodes(s, 'kept', (e) => e.kept), overEpisodes(s, 'discarded', (e) => e.discarded)],
        note: 'Fewer kept than wanted: updates are smaller, or fewer.',
      },
      {
        ...{ ...at, title: 'Format reward', series: formats },
        note: 'At 0 from the start the policy does not know the format; at 1 it says nothing any more.',
      },
    ])}${reasons(sample)}`,
  )
}

/** Updates stay small, and answers of a length. */
const isItStable = async (s: StageView, first: Episode, last: Episode): Promise<Html> => {
  const at = { steps: s.steps, as: 'number' as const }
  const share = { steps: s.steps, as: 'share' as const }
  const others = [...new Set(s.updates.flatMap((u) => Object.keys(u.metrics)))].filter(
    (m) => m !== 'clipLow' && m !== 'clipHigh',
  )
  return question(
    'Is it stable?',
    html`${percent(last.truncated)} of the last episode's completions were cut off at the longest that they may be; their mean length is ${significant(last.lengths.mean)} tokens${s.episodes.length > 1 && `, ${significant(first.lengths.mean)} in the first`}.`,
    await grids([
      ...others.map((m) => ({
        ...{ ...at, title: known[m]?.[0] ?? m, series: [overUpdates(s, m, m)] },
        note: known[m]?.[1] ?? 'As the loss measures it.',
      })),
      {
        ...{ ...share, title: 'Clipped tokens' },
        series: [overUpdates(s, 'low', 'clipLow'), overUpdates(s, 'high', 'clipHigh')],
        note: 'Shares whose ratio left the trust region below and above. Much of it: too many updates, or too high a rate.',
      },
      {
        ...{ ...at, title: 'Gradient norm' },
        series: [{ name: 'gradient norm', points: s.taken.map((e) => ({ x: e.step, y: e.gradientNorm })) }],
        note: 'Before clipping.',
      },
      {
        ...{ ...at, title: 'Length, tokens' },
        series: [
          { ...overEpisodes(s, 'mean', (e) => e.lengths.mean), spread: s.episodes.map((e) => e.lengths.std) },
          overEpisodes(s, 'longest', (e) => e.lengths.most),
        ],
        note: 'Lengths that collapse or run to the limit are a way around the task.',
      },
      {
        ...{ ...share, title: 'Cut off', series: [overEpisodes(s, 'cut off', (e) => e.truncated)] },
        note: 'Completions that had to end before they did.',
      },
    ]),
  )
}

const stageOf = async (view: RunView, s: StageView, sample: RolloutSample | undefined): Promise<Html> => {
  const [first, last] = [s.episodes[0]!, s.episodes.at(-1)!]
  const totals = totalsOf(s)
  const { completions, groups, kept, failed, abstained, drawing } = totals
  const advice = view.state.warnings.filter((w) => w.startsWith(`stage ${s.stage}: `))
  return html`<div class="rl"><h3>${s.index + 1}. ${s.stage}</h3>
${
  advice.length > 0 &&
  html`<ul class="warnings">${advice.map((w) => html`<li>${w.slice(`stage ${s.stage}: `.length)}</li>`)}</ul>`
}
<ul class="tiles">
${tile('mean reward', meanOr(last.rewards, '–'), `${last.rewards.count === 0 ? 'none ' : ''}in the last episode${s.episodes.length === 1 ? '' : `; ${meanOr(first.rewards, 'none')} in the first`}`)}
${tile('groups that teach', percent(kept / groups), `${grouped(kept)} of ${grouped(groups)}`)}
${tile('rollouts a second', significant(completions / drawing), `${plural(completions, 'completion')} in ${plural(s.episodes.length, 'episode')}`)}
${tile('without a reward', percent((failed + abstained) / completions), `${grouped(failed)} failed, ${grouped(abstained)} abstained`)}
</ul>
${await isItAlive(s, totals)}
${await isItLearning(view, s)}
${await isSignalReal(s, totals, sample)}
${await isItStable(s, first, last)}
${question('Where does the time go?', html`${duration(sum(phases(s).map((p) => p.seconds)))} in all.`, timeBar(s))}
</div>`
}

/** Seconds in the engine of each episode's updates. */
const updatesSeconds = ({ updates, taken }: StageView): ReadonlyMap<number, number> => {
  const episodeOf = new Map(updates.map((u) => [u.step, u.episode]))
  const seconds = new Map<number, number>()
  for (const { step, computeSeconds } of taken) {
    const episode = episodeOf.get(step)
    if (episode !== undefined) seconds.set(episode, (seconds.get(episode) ?? 0) + computeSeconds)
  }
  return seconds
}

/** The section, where the run has stages of reinforcement. */
export const reinforcement = async (
  view: RunView,
  samples: readonly RolloutSample[],
): Promise<readonly Section[]> => {
  const stages = view.stages.filter((s) => s.episodes.length > 0)
  if (stages.length === 0) return []
  const all = await Promise.all(
    stages.map((s) =>
      stageOf(
        view,
        s,
        samples.find((x) => x.stage === s.stage),
      ),
    ),
  )
  return [['reinforcement', 'Reinforcement learning', html`${all}`]]
}
