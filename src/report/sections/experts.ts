/**
 * How much each expert of each layer is used.
 *
 * @since 0.1.0
 */
import type { EventOf } from '../../run/index.ts'
import { percent } from '../../terminal/index.ts'
import { type Html, html, trusted } from '../html.ts'
import type { Section } from '../page.ts'
import type { RunView, StageView } from '../view.ts'

/** Entropy of shares that add up to 1, by that of even ones: 1 where all are used alike, 0 where one takes all. */
export const evenness = (load: readonly number[]): number =>
  load.length < 2 ? 1 : load.reduce((h, f) => (f > 0 ? h - f * Math.log(f) : h), 0) / Math.log(load.length)

/** Side of a cell, so that few experts are no wider than a page and many are still seen. */
const sideOf = (experts: number): number => Math.max(5, Math.min(22, Math.floor(700 / experts)))

/** A row a layer, a column an expert; the more of the layer's tokens, the darker. */
const grid = ({ load, layers = load.map((_, l) => l) }: EventOf<'expert-load'>): string => {
  const experts = load[0]?.length ?? 0
  const side = sideOf(experts)
  const [left, top] = [26, 4]
  const cells = load.flatMap((row, l) =>
    row.map((f, e) => {
      // twice an even share is as dark as it gets
      const shade = Math.min(1, (f * experts) / 2)
      const fill =
        f === 0
          ? 'class="idle" fill="var(--second)" fill-opacity="0.40"'
          : `fill="var(--strong)" fill-opacity="${(0.06 + 0.94 * shade).toFixed(2)}"`
      return `<rect ${fill} x="${left + e * side}" y="${top + l * side}" width="${side - 1}" height="${side - 1}"><title>layer ${layers[l]}, expert ${e}: ${percent(f)}</title></rect>`
    }),
  )
  const labels = load.flatMap((_, l) =>
    l % Math.ceil(14 / side) === 0
      ? [
          `<text x="${left - 5}" y="${top + l * side + side / 2 + 3.5}" text-anchor="end" font-size="10" fill="var(--muted)">${layers[l]}</text>`,
        ]
      : [],
  )
  const [width, height] = [left + experts * side + 1, top + load.length * side + 1]
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" style="width:${width}px;max-width:none" role="img" aria-label="load of ${experts} experts in ${load.length} layers">${labels.join('')}${cells.join('')}</svg>`
}

const figure = ({ index, stage, loads }: StageView): Html => {
  const [first, last] = [loads[0]!, loads.at(-1)!]
  const ends = (load: readonly (readonly number[])[]): string => {
    const all = load.map(evenness)
    return `${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)}`
  }
  const idle = last.load.flat().filter((f) => f === 0).length
  return html`<figure class="chart"><h3>${index + 1}. ${stage}</h3>
<div class="scroll" tabindex="0" role="region" aria-label="load of the experts of ${stage}">${trusted(grid(last))}</div>
<figcaption>At step ${last.step}; evenness by layer ${ends(last.load)}, at step ${first.step} ${ends(first.load)}.${idle > 0 && ` ${idle} ${idle === 1 ? 'expert has' : 'experts have'} no token.`}</figcaption></figure>
`
}

/** The section, where a stage trains a model with experts: the load at the end of each. */
export const experts = (view: RunView): readonly Section[] => {
  const stages = view.stages.filter((s) => s.loads.length > 0)
  if (stages.length === 0) return []
  return [
    [
      'experts',
      'How much each expert is used',
      html`<p class="note">A row a layer that has experts, by its number from 0, a column an expert; the darker, the more of the layer’s tokens go through it, up to twice an even share; one that has none is orange. Evenness is the entropy of a layer’s load by that of an even one: 1 where all experts are used alike.</p>
<div class="grid">${stages.map(figure)}</div>`,
    ],
  ]
}
