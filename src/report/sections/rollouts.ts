/**
 * The rollouts, a group at a time: what was asked once, then the completions side by side.
 *
 * @since 0.1.0
 */
import { type EventOf, judgementLines, rewardOf, rewardText } from '../../run/index.ts'
import { advantageText } from '../../run/internal.ts'
import { called, grouped } from '../../terminal/index.ts'
import { type Html, html, type Part, trusted } from '../html.ts'
import type { Section } from '../page.ts'
import { knownRewards, meanReward, type Pick, picksOf, type RolloutSample } from '../rollout-sample.ts'

type Group = EventOf<'group'>
type Completion = Group['completions'][number]

/** More completions of a group, and longer ones, would make the page heavy. */
const mostCompletions = 16
const mostTokens = 600

/** Probabilities below which a token gets the next stronger shade. */
const shades = [0.9, 0.5, 0.2, 0.05] as const
const shadeOf = (logProb: number): number => shades.filter((p) => Math.exp(logProb) < p).length

const plain = (text: string): string => text.replace(/\p{Bidi_Control}/gu, '\uFFFD')

/** Neighbours of one shade are one piece; what the policy was unsure of says how sure it was. */
const pieces = (texts: readonly string[], logProbs: readonly number[]): Part => {
  const out: { shade: number; text: string; logProb: number }[] = []
  for (const [i, text] of texts.entries()) {
    const logProb = logProbs[i] ?? 0
    const shade = Number.isFinite(logProb) ? shadeOf(logProb) : 0
    const last = out.at(-1)
    // an unsure token stays alone, since it has a number of its own
    if (last !== undefined && last.shade === shade && shade < 2) last.text += text
    else out.push({ shade, text, logProb })
  }
  return out.map(({ shade, text, logProb }) =>
    shade === 0
      ? plain(text)
      : shade === 1
        ? html`<i class="p1">${plain(text)}</i>`
        : html`<i class="p${shade}" title="${probability(logProb)}">${plain(text)}</i>`,
  )
}

const probability = (logProb: number): string => {
  const p = 100 * Math.exp(logProb)
  return `${p >= 1 ? p.toFixed(0) : p.toPrecision(1)} %`
}

const written = (c: Completion): Part => {
  if (c.ids.length === 0) return html`<i>nothing</i>`
  if (c.texts === undefined) return plain(c.text.length > 4000 ? `${c.text.slice(0, 4000)}…` : c.text)
  const half = mostTokens / 2
  if (c.texts.length <= mostTokens) return pieces(c.texts, c.logProbs)
  const end = c.texts.length - half
  return [
    pieces(c.texts.slice(0, half), c.logProbs.slice(0, half)),
    html`<b class="cut"> … ${grouped(end - half)} tokens left out … </b>`,
    pieces(c.texts.slice(end), c.logProbs.slice(end)),
  ]
}

/** Where a reward lies between the lowest and the highest of the stage, as the dots and edges are coloured. */
const heat = (reward: number | undefined, [low, high]: RolloutSample['range']): Html =>
  trusted(
    reward === undefined
      ? '--r:var(--third)'
      : `--r:color-mix(in srgb,var(--right) ${high > low ? Math.round((100 * (reward - low)) / (high - low)) : 50}%,var(--wrong))`,
  )

const completionCard = (g: Group, i: number, range: RolloutSample['range']): Html => {
  const c = g.completions[i]!
  const judgement = g.judgements[i]
  const reward = rewardOf(judgement)
  const advantage = g.advantages[i]
  const lines = judgement === undefined ? [] : judgementLines(judgement)
  const parts = lines.length > 1 ? lines.slice(1) : lines
  return html`<div class="completion" style="${heat(reward, range)}">
<div class="verdict"><b>${reward === undefined ? (judgement?._tag === 'Abstained' ? 'abstained' : 'no reward') : rewardText(reward)}</b> <span>${advantage === null || advantage === undefined ? 'no advantage' : `advantage ${advantageText(advantage)}`}</span></div>
<pre>${written(c)}</pre>
<div class="tags">${grouped(c.ids.length)} ${c.ids.length === 1 ? 'token' : 'tokens'}, ${c.stop === 'end' ? 'ended by itself' : html`<b class="cut-off">cut off</b>`}</div>
<dl>${parts.map(
    (l) =>
      html`<dt>${l.name === '' ? 'reward' : l.name}</dt><dd><b>${l.said}</b>${l.why !== '' && html` <small>${plain(l.why.length > 300 ? `${l.why.slice(0, 300)}…` : l.why)}</small>`}</dd>`,
  )}</dl></div>
`
}

const groupBlock = (p: Pick, s: RolloutSample, images: ReadonlyMap<string, string>, open: boolean): Html => {
  const g = p.group
  const rewards = knownRewards(g)
  const shown = g.completions.slice(0, mostCompletions)
  const about =
    rewards.length === 0
      ? 'no completion has a reward'
      : `rewards ${rewardText(Math.min(...rewards))} to ${rewardText(Math.max(...rewards))}, mean ${rewardText(Number(meanReward(g).toPrecision(3)))}`
  return html`<details class="group"${open && trusted(' open')}><summary><span class="badges">${p.as.map((a) => html`<span class="badge ${a}">${a}</span>`)}</span> <span class="asked">${plain(g.question)}</span> <span class="dots" aria-hidden="true">${g.judgements.map((j) => html`<i style="${heat(rewardOf(j), s.range)}"></i>`)}</span> <small>${about}</small></summary>
<div class="task">${g.images.map((path) => {
    const data = images.get(path)
    return data === undefined
      ? html`<div class="missing">image missing</div>`
      : html`<img src="${trusted(data)}" alt="image of task ${g.task}" loading="lazy">`
  })}<div><p class="prompt">${plain(g.question)}</p><p class="tags">${g.family}; episode ${g.episode}, group ${grouped(g.index)}; after ${grouped(g.completions[0]?.version ?? 0)} updates; task <code>${g.task}</code></p>${
    g.discarded !== undefined && html`<p class="discarded">Discarded: ${g.discarded}.</p>`
  }</div></div>
<div class="completions">${shown.map((_, i) => completionCard(g, i, s.range))}</div>${
    shown.length < g.completions.length &&
    html`<p class="note">${grouped(shown.length)} of ${grouped(g.completions.length)} completions.</p>`
  }</details>
`
}

/** The images of the groups that are shown. */
export const rolloutImages = (samples: readonly RolloutSample[]): readonly string[] =>
  samples.flatMap((s) => picksOf(s).flatMap((p) => p.group.images))

/** The section, where rollouts were recorded. `damaged` counts lines that could not be read. */
export const rollouts = (
  samples: readonly RolloutSample[],
  damaged: readonly string[],
  images: ReadonlyMap<string, string>,
): readonly Section[] => {
  if (samples.length === 0 && damaged.length === 0) return []
  const coloured = samples.some((s) =>
    picksOf(s).some((p) => p.group.completions.some((c) => c.texts !== undefined)),
  )
  const stages = samples.map((s) => {
    const picks = picksOf(s)
    return html`<h3>${s.stage}</h3><p class="note">${grouped(picks.length)} of ${grouped(s.groups)} groups (${grouped(s.completions)} completions): the first, those that began the last episode, the best and the worst by their mean reward, some that were discarded or whose verifiers failed. All of them: <code>${called()} rollouts</code> with the run's folder.</p>
${picks.map((p, i) => groupBlock(p, s, images, i === 0))}`
  })
  return [
    [
      'rollouts',
      'What was drawn, and what it was worth',
      html`<p class="note">A group is one task and the completions that were drawn for it. Dots and edges go from the lowest reward of the stage <i class="dot" style="--r:var(--wrong)"></i> to the highest <i class="dot" style="--r:var(--right)"></i>; grey has none.${
        coloured
          ? html` Letters are shaded by how improbable the policy held their token: <span class="shades"><i class="p1">below 90 %</i> <i class="p2">50 %</i> <i class="p3">20 %</i> <i class="p4">5 %</i></span>.`
          : ' What each token reads as was not recorded, so that they are not shaded.'
      }</p>${
        damaged.length > 0 &&
        html`<ul class="warnings">${damaged.slice(0, 5).map((d) => html`<li>passed over: ${d}</li>`)}${damaged.length > 5 && html`<li>and ${grouped(damaged.length - 5)} more lines</li>`}</ul>`
      }${stages}`,
    ],
  ]
}
