/**
 * AdamW beside the graph: the update runs here, in place, over the session's own arrays, because carrying every weight
 * and both moments out of the ONNX graph in each step costs more than the arithmetic.
 *
 * Loshchilov & Hutter 2019, Decoupled weight decay regularization, algorithm 2:
 * m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p(1 − lr·decay) − lr·(m / c₁) / (√(v / c₂) + ε).
 */
import type { AdamWSettings } from '../adamw-updates.ts'

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
