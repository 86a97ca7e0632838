/**
 * Held-out samples with their images, and what was answered.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../../run/index.ts'
import { grouped } from '../../terminal/index.ts'
import { type Html, html, trusted } from '../html.ts'
import type { Section } from '../page.ts'
import { endedRight, type RunView, type SampleView, selection } from '../view.ts'

/** At most this many samples are shown; more would make the page heavy. */
export const mostSamples = 240

/** The section, where answers were recorded: a classifier, say, has none. `images` maps an image's path to its data URL. */
export const predictions = (view: RunView, images: ReadonlyMap<string, string>): readonly Section[] =>
  view.samples.length === 0 ? [] : [['predictions', 'What it answers', cards(view, images)]]

/** Cards, and a filter that shows itself where scripts run. */
const cards = (view: RunView, images: ReadonlyMap<string, string>): Html => {
  const shown = selection(view.samples, mostSamples)
  const levels = [...new Set(shown.map((s) => s.level))].sort((a, b) => a - b)
  const families = view.families.filter((f) => shown.some((s) => s.family === f))
  const right = shown.filter(endedRight).length
  return html`<p class="note">${grouped(shown.length)} ${shown.length < view.samples.length && `of the ${grouped(view.samples.length)} recorded `}samples that were never trained on: ${grouped(right)} right and ${grouped(shown.length - right)} wrong in the end. The selection is for looking at; accuracies are above.</p>
<form class="filter" hidden>
${choice('family', 'family', families)}
${choice('outcome', 'in the end', ['right', 'wrong'])}
${levels.length > 1 && choice('level', 'level', levels.map(String))}
<output aria-live="polite"></output>
</form>
<div class="grid">${shown.map((s) => card(s, images))}</div>`
}

const choice = (name: string, label: string, values: readonly string[]): Html =>
  html`<label>${label} <select name="${name}"><option value="">all</option>${values.map((v) => html`<option value="${v}">${v}</option>`)}</select></label>`

const mark = (correct: boolean): Html =>
  correct ? html`<span class="mark right">✓ right</span>` : html`<span class="mark wrong">✗ wrong</span>`

const shownAnswer = (a: EventOf<'predicted'>): Html =>
  a.answered === '' ? html`<i>no answer</i>` : html`<code>${a.answered}</code>`

const imageOf = (s: SampleView, data: string | undefined, i: number): Html => {
  const which = s.images.length === 1 ? 'held-out image' : `image ${i + 1} of ${s.images.length}`
  return data === undefined
    ? html`<div class="missing">image missing</div>`
    : html`<img src="${trusted(data)}" alt="${which} of the family ${s.family}, level ${s.level}; the right answer is ${s.expected}" loading="lazy">`
}

const card = (s: SampleView, images: ReadonlyMap<string, string>): Html => {
  const last = s.answers[s.answers.length - 1]!
  const wrote = last.text.trim() !== '' && last.text.trim() !== last.answered.trim()
  return html`<article class="card" data-family="${s.family}" data-outcome="${endedRight(s) ? 'right' : 'wrong'}" data-level="${s.level}">
${
  s.images.length === 1
    ? imageOf(s, images.get(s.images[0]!), 0)
    : html`<div class="several">${s.images.map((path, i) => imageOf(s, images.get(path), i))}</div>`
}
<div><h3>${s.question}</h3><div class="tags">${s.family}, level ${s.level}</div></div>
<dl><dt>expected</dt><dd><code>${s.expected}</code></dd><dt>answered</dt><dd>${shownAnswer(last)} ${mark(last.correct)}</dd></dl>
${wrote && html`<details><summary>all that it wrote</summary><pre>${last.text}</pre></details>`}
${
  s.answers.length > 1 &&
  html`<details><summary>after each stage</summary><table>
<thead><tr><th scope="col">stage</th><th scope="col">answered</th><th scope="col"></th></tr></thead>
<tbody>${s.answers.map((a) => html`<tr><th scope="row">${a.stage}</th><td>${shownAnswer(a)}</td><td>${mark(a.correct)}</td></tr>`)}</tbody></table></details>`
}
</article>
`
}
