/** Composites: a name and operands beside a definition, so that an engine with a fused kernel may use it. */
import { type CompositeKind, node, type Settings, type Tensor, topological } from './graph.ts'
import type { Site } from './site.ts'

/** A node that equals `body` and says that it is `kind` of `operands`. */
export const composite = <T extends Tensor>(
  kind: CompositeKind,
  settings: Settings,
  body: T,
  operands: readonly Tensor[],
  site: Site = body.site,
): T =>
  node({ op: 'composite', kind, settings }, [body, ...operands], body.axes, body.dtype, site) as Tensor as T

/** The definition of a composite. */
export const bodyOf = (t: Tensor): Tensor => t.inputs[0]!

/** What a composite is computed from, by name. */
export const operandsOf = (t: Tensor): readonly Tensor[] => t.inputs.slice(1)

/** The nodes of a composite's definition: what lies between it and its operands. */
export const insideOf = (t: Tensor): readonly Tensor[] => {
  const operands = new Set(operandsOf(t))
  return topological([bodyOf(t)], (x) => (operands.has(x) ? [] : x.inputs)).filter((x) => !operands.has(x))
}

/**
 * The value itself, to be computed once those others are: what an engine computes of it comes later, when what they were
 * computed from may be gone.
 */
export const computedAfter = <T extends Tensor>(x: T, ...before: readonly Tensor[]): T =>
  before.length === 0 ? x : composite('after', {}, x, [x, ...before])
