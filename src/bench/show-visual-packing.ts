/**
 * The simulation of visual packing as text: a table for the terminal, the same as Markdown for a file.
 *
 * @since 0.1.0
 */
import { type Column, type Look, textTable } from '../terminal/index.ts'
import type { PackingOutcome, VisualPackingResult } from './visual-packing.ts'

const encodings = { tiles: 'tile by tile', whole: 'whole (AnyRes)' } as const

const columns: readonly Column[] = [
  { head: 'mixture' },
  { head: 'images are encoded' },
  ...['slowest / mean', 'balanced', 'most tiles / mean', 'balanced', 'fill', 'balanced', 'gain'].map(
    (head): Column => ({ head, align: 'right' }),
  ),
]

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const row = (r: VisualPackingResult): readonly string[] => {
  const both = (of: (o: PackingOutcome) => string): readonly string[] => [of(r.data), of(r.visual)]
  return [
    r.mixture,
    encodings[r.encoding],
    ...both((o) => o.slowest.toFixed(2)),
    ...both((o) => o.mostTiles.toFixed(2)),
    ...both((o) => percent(o.fill)),
    `× ${r.gain.toFixed(2)}`,
  ]
}

const what =
  'SAIL-VL2-2B on 8 devices, a pack of 8,192 tokens each; a step ends with the slowest. Simulated: times are floating-point operations of the graphs, and the mixtures are drawn from a seed. In pairs: packed by tokens alone (data packing), then balanced by images too (visual packing); the gain is that in tokens a second.'

const mixtures = (results: readonly VisualPackingResult[]): readonly string[] => [
  ...new Set(results.map((r) => `${r.mixture}: ${r.about}`)),
]

/** The simulation for a terminal. @category showing */
export const showVisualPacking = (
  results: readonly VisualPackingResult[],
  look: Pick<Look, 'colour'>,
): string => [what, '', textTable(columns, results.map(row), look), '', ...mixtures(results)].join('\n')

/** The simulation as a section of Markdown. @category showing */
export const markdownVisualPacking = (results: readonly VisualPackingResult[]): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    what,
    '',
    line(columns.map((c) => c.head)),
    line(columns.map((c) => (c.align === 'right' ? '--:' : ':--'))),
    ...results.map((r) => line(row(r))),
    '',
    ...mixtures(results).map((m) => `- ${m}`),
  ].join('\n')
}
