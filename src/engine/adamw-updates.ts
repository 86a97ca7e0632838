/** Weights whose next values are AdamW's: engines update them and their moments where they lie. */
import { operandsOf, type Tensor, type Variant } from '../dsl/index.ts'
import { sameAxes } from '../dsl/internal.ts'

/** What AdamW is set to. */
export interface AdamWSettings {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly decay: number
}

/** The three states of one weight and what their update is computed from; `V` is a graph node, or what stands for it. */
export interface AdamWUpdate<V> {
  readonly parameter: string
  readonly first: string
  readonly second: string
  /** The gradient, and a factor of rank 0 (a clip) that it is multiplied with. */
  readonly gradient: V
  readonly factor: V | undefined
  readonly learningRate: V
  /** 1 − β₁ᵗ and 1 − β₂ᵗ. */
  readonly correction1: V
  readonly correction2: V
  readonly settings: AdamWSettings
}

/** What an update is computed from, its weight and moments apart. */
export const updateRoots = (u: AdamWUpdate<Tensor>): readonly Tensor[] => [
  u.gradient,
  ...(u.factor === undefined ? [] : [u.factor]),
  u.learningRate,
  u.correction1,
  u.correction2,
]

const partOf = (t: Tensor | undefined): string | undefined =>
  t?.op.op === 'composite' && t.op.kind === 'adamW' ? String(t.op.settings.part) : undefined

const keyOf = (t: Tensor | undefined): string | undefined => (t?.op.op === 'state' ? t.op.key : undefined)

const settingsOf = (t: Tensor): AdamWSettings => {
  const s = t.op.op === 'composite' ? t.op.settings : {}
  return {
    beta1: Number(s.beta1),
    beta2: Number(s.beta2),
    epsilon: Number(s.epsilon),
    decay: Number(s.decay),
  }
}

/** A gradient times a number of rank 0: the two apart, so that the product needs no pass of its own. */
const factored = (g: Tensor): { readonly gradient: Tensor; readonly factor: Tensor | undefined } => {
  if (g.op.op === 'binary' && g.op.fn === 'mul' && g.axes.length > 0) {
    const [a, b] = g.inputs as readonly [Tensor, Tensor]
    if (b.axes.length === 0 && sameAxes(a.axes, g.axes)) return { gradient: a, factor: b }
    if (a.axes.length === 0 && sameAxes(b.axes, g.axes)) return { gradient: b, factor: a }
  }
  return { gradient: g, factor: undefined }
}

/**
 * The updates that a variant's next states ask for. One is recognised where a weight and both its moments are replaced
 * by the three parts of one AdamW over the same operands; everything else stays with the graph.
 */
export const adamWUpdates = (variant: Variant): readonly AdamWUpdate<Tensor>[] => {
  const updates: AdamWUpdate<Tensor>[] = []
  for (const [key, next] of variant.next) {
    if (partOf(next) !== 'parameter') continue
    const operands = operandsOf(next)
    const [parameter, first, second, gradient, learningRate, correction1, correction2] = operands
    const [m, v] = [keyOf(first), keyOf(second)]
    if (keyOf(parameter) !== key || m === undefined || v === undefined || correction2 === undefined) continue
    const agrees = (state: string, part: string): boolean => {
      const t = variant.next.get(state)
      if (t === undefined || partOf(t) !== part) return false
      const others = operandsOf(t)
      // β₁ and β₂ are those of the corrections, and moments know no other setting
      return operands.every((x, i) => x === others[i] || (i < 3 && keyOf(x) === keyOf(others[i])))
    }
    if (!agrees(m, 'first') || !agrees(v, 'second')) continue
    updates.push({
      parameter: key,
      first: m,
      second: v,
      ...factored(gradient!),
      learningRate: learningRate!,
      correction1: correction1!,
      correction2: correction2!,
      settings: settingsOf(next),
    })
  }
  return updates
}
