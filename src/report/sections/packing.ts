/**
 * How samples share the rows of a batch.
 *
 * @since 0.1.0
 */
import { drawPlan, type PackLayout, planLine } from '../../data/index.ts'
import { html, trusted } from '../html.ts'
import type { Section } from '../page.ts'
import type { RunView } from '../view.ts'

/** The section, where a stage trains on packs: the packs of its first step, drawn. */
export const packing = (view: RunView): readonly Section[] => {
  const stages = view.stages.flatMap(({ packed, ...s }) =>
    packed === undefined
      ? []
      : [{ ...s, layouts: packed.packs.map((rows): PackLayout => ({ sizes: packed.sizes, rows })) }],
  )
  if (stages.length === 0) return []
  const figures = stages.map(
    ({ index, stage, layouts }) => html`<figure class="chart"><h3>${index + 1}. ${stage}</h3>
<div class="scroll" tabindex="0" role="region" aria-label="packs of ${stage}">${trusted(drawPlan(layouts))}</div>
<figcaption>First step: ${planLine(layouts)}.</figcaption></figure>
`,
  )
  return [
    [
      'packing',
      'How samples share rows',
      html`<p class="note">Samples one after the other in rows of one length; none sees another. Two shades tell neighbours apart, a dot is an image, grey is padding.</p>
<div class="grid">${figures}</div>`,
    ],
  ]
}
