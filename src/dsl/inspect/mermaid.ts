/**
 * The picture of a model as Mermaid text.
 *
 * @since 0.1.0
 */

import type { Tensor } from '../graph.ts'
import { countOf, type DiagramOptions, detailOf, diagram, type End, type Item, titleOf } from './diagram.ts'

const escaped = (s: string): string =>
  s.replace(/[&"<>#]/g, (c) => ({ '&': '#amp;', '"': '#quot;', '<': '#lt;', '>': '#gt;', '#': '#35;' })[c]!)

const label = (lines: readonly string[]): string =>
  `"${lines
    .filter((l) => l !== '')
    .map(escaped)
    .join('<br/>')}"`

/**
 * A flowchart: layers as boxes, containers as subgraphs with a small circle where data comes in and where it leaves.
 *
 * @category pictures
 */
export const mermaid = (roots: readonly Tensor[], options: DiagramOptions = {}): string => {
  const lines: string[] = ['flowchart TB']
  const opens = (x: Item): boolean => x.items.length > 0
  const write = (x: Item, indent: string): void => {
    if (x.kind === 'input') lines.push(`${indent}${x.id}([${label([x.label, detailOf(x)])}])`)
    else if (x.kind === 'join') lines.push(`${indent}${x.id}((${label([x.label])}))`)
    else if (!opens(x)) lines.push(`${indent}${x.id}[${label([titleOf(x), detailOf(x), countOf(x)])}]`)
    else {
      const inside = `${indent}  `
      const uses = (end: End): boolean => x.arrows.some((a) => a.from === end || a.to === end)
      lines.push(
        `${indent}subgraph ${x.id}[${label([[...new Set([titleOf(x), x.layer, countOf(x)])].filter((s) => s !== '').join(' · ')])}]`,
      )
      lines.push(`${inside}direction TB`)
      if (uses('in')) lines.push(`${inside}${x.id}in(( ))`)
      for (const y of x.items) write(y, inside)
      if (uses('out')) lines.push(`${inside}${x.id}out(( ))`)
      for (const a of x.arrows) lines.push(`${inside}${leaves(a.from, x)} --> ${enters(a.to, x)}`)
      lines.push(`${indent}end`)
    }
  }
  /** The node at which an arrow into `end` arrives. */
  const enters = (end: End, around: Item): string =>
    typeof end === 'string'
      ? `${around.id}${end}`
      : end.arrows.some((a) => a.from === 'in')
        ? `${end.id}in`
        : end.id
  /** The node from which an arrow out of `end` starts. */
  const leaves = (end: End, around: Item): string =>
    typeof end === 'string'
      ? `${around.id}${end}`
      : end.arrows.some((a) => a.to === 'out')
        ? `${end.id}out`
        : end.id
  write(diagram(roots, options), '  ')
  return `${lines.join('\n')}\n`
}
