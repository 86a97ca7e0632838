/**
 * Whether those that are measured compute the same thing: the losses of the first steps, and the norm of the first gradient.
 *
 * @since 0.1.0
 */

/** What one of them computed in its first steps, before anything is timed. */
export interface FirstSteps {
  readonly name: string
  /** Nats, one a step. */
  readonly losses: readonly number[]
  /** Before clipping, one a step. */
  readonly gradientNorms: readonly number[]
}

/** How far one of them is from the reference. */
export interface Agreement {
  readonly name: string
  /** Largest relative difference of a loss, and the step (from 1) where it is. */
  readonly loss: { readonly difference: number; readonly step: number }
  /** Relative difference of the first step's gradient norm: it alone is taken at the same weights. */
  readonly gradientNorm: number
  readonly agrees: boolean
}

/** How near losses must be to count as the same computation, relative. */
export const lossTolerance = 1e-4
/** How near the first gradient's norm must be, relative. */
export const gradientTolerance = 1e-3

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.abs(b)

/** Compares first steps with the reference's. What is not a number agrees with nothing. */
export const agreement = (reference: FirstSteps, other: FirstSteps): Agreement => {
  const differences = reference.losses.map((loss, i) => relative(other.losses[i] ?? Number.NaN, loss))
  const worst = differences.reduce((w, d, i) => (Number.isNaN(d) || d > differences[w]! ? i : w), 0)
  const gradientNorm = relative(
    other.gradientNorms[0] ?? Number.NaN,
    reference.gradientNorms[0] ?? Number.NaN,
  )
  return {
    name: other.name,
    loss: { difference: differences[worst] ?? Number.NaN, step: worst + 1 },
    gradientNorm,
    agrees: differences.every((d) => d <= lossTolerance) && gradientNorm <= gradientTolerance,
  }
}
