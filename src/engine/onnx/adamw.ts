/**
 * AdamW beside the graph: the update runs here, in place, over the session's own arrays, because carrying every weight
 * and both moments out of the ONNX graph in each step costs more than the arithmetic.
 *
 * Loshchilov & Hutter 2019, Decoupled weight decay regularization, algorithm 2:
 * m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p(1 − lr·decay) − lr·(m / c₁) / (√(v / c₂) + ε).
 */
import { operandsOf, type Tensor, type Variant } from '../../dsl/index.ts'

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

const sameAxes = (a: Tensor, b: Tensor): boolean =>
  a.axes.length === b.axes.length &&
  a.axes.every((x, i) => x.name === b.axes[i]!.name && x.size === b.axes[i]!.size)

/** A gradient times a number of rank 0: the two apart, so that the product needs no pass of its own. */
const factored = (g: Tensor): { readonly gradient: Tensor; readonly factor: Tensor | undefined } => {
  if (g.op.op === 'binary' && g.op.fn === 'mul' && g.axes.length > 0) {
    const [a, b] = g.inputs as readonly [Tensor, Tensor]
    if (b.axes.length === 0 && sameAxes(a, g)) return { gradient: a, factor: b }
    if (a.axes.length === 0 && sameAxes(b, g)) return { gradient: b, factor: a }
  }
  return { gradient: g, factor: undefined }
}

/**
 * The updates that a variant's next states ask for. One is recognised where a weight and both its moments are replaced
 * by the three parts of one AdamW over the same operands and settings, of which weight, moments and gradient have the same
 * axes; everything else stays with the graph.
 */
export const adamWUpdates = (variant: Variant): readonly AdamWUpdate<Tensor>[] => {
  const updates: AdamWUpdate<Tensor>[] = []
  for (const [key, next] of variant.next) {
    if (partOf(next) !== 'parameter') continue
    const operands = operandsOf(next)
    const [parameter, first, second, gradient, learningRate, correction1, correction2] = operands
    const [m, v] = [keyOf(first), keyOf(second)]
    if (keyOf(parameter) !== key || m === undefined || v === undefined || correction2 === undefined) continue
    if (![first, second, gradient].every((x) => sameAxes(x!, parameter!))) continue
    const settings = settingsOf(next)
    const agrees = (state: string, part: string): boolean => {
      const t = variant.next.get(state)
      if (t === undefined || partOf(t) !== part) return false
      const others = operandsOf(t)
      const s = settingsOf(t)
      return (
        operands.every((x, i) => x === others[i] || (i < 3 && keyOf(x) === keyOf(others[i]))) &&
        (Object.keys(settings) as (keyof AdamWSettings)[]).every((k) => s[k] === settings[k])
      )
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
      settings,
    })
  }
  return updates
}

/** The numbers of one step. */
export interface AdamWScalars {
  readonly learningRate: number
  readonly factor: number
  readonly correction1: number
  readonly correction2: number
}

/** Refuses arrays of different lengths: one that is short would be read past its end, or another's numbers be taken for it. */
export const sameLength = (
  parameter: Float32Array,
  first: Float32Array,
  second: Float32Array,
  gradient: Float32Array,
): void => {
  if ([first, second, gradient].some((a) => a.length !== parameter.length))
    throw new RangeError(
      `AdamW over ${parameter.length} numbers was given moments of ${first.length} and ${second.length} and a gradient of ${gradient.length}`,
    )
}

/**
 * One AdamW step in place over `parameter` and its moments, all of one length.
 *
 * The arithmetic is double precision between one read and one write an element; against the definition in float32 the
 * results agree to about 1e-7 relative.
 *
 * @throws RangeError where the lengths differ
 */
export const adamWStep = (
  parameter: Float32Array,
  first: Float32Array,
  second: Float32Array,
  gradient: Float32Array,
  step: AdamWScalars,
  settings: AdamWSettings,
): void => {
  const { beta1, beta2, epsilon, decay } = settings
  sameLength(parameter, first, second, gradient)
  const n = parameter.length
  const factor = step.factor
  const rest1 = 1 - beta1
  const rest2 = 1 - beta2
  const keep = 1 - step.learningRate * decay
  const rate = step.learningRate / step.correction1
  const scale = 1 / Math.sqrt(step.correction2)
  for (let i = 0; i < n; i++) {
    const g = gradient[i]! * factor
    const m = beta1 * first[i]! + rest1 * g
    const v = beta2 * second[i]! + rest2 * g * g
    first[i] = m
    second[i] = v
    parameter[i] = keep * parameter[i]! - (rate * m) / (Math.sqrt(v) * scale + epsilon)
  }
}
