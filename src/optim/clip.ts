/** Clipping gradients by their global norm (Pascanu et al. 2013), as `torch.nn.utils.clip_grad_norm_` does. */
import {
  add,
  div,
  inside,
  minimum,
  mul,
  type Scalar,
  scalar,
  siteOf,
  sqrt,
  square,
  type Tensor,
  total,
} from '../dsl/index.ts'

/** Clipped gradients, and the norm that they had before. */
export interface Clipped {
  readonly gradients: readonly Tensor[]
  /** √Σ g² over all of them, before clipping. */
  readonly norm: Scalar
}

/** √Σ g² over all elements of all gradients. */
export const globalNorm = (gradients: readonly Tensor[]): Scalar =>
  inside(
    siteOf(globalNorm),
    () =>
      sqrt(gradients.map((g) => total(square(g))).reduce<Tensor>((a, b) => add(a, b), scalar(0))) as Scalar,
  )

/**
 * Scales all gradients by min(1, limit / (norm + 1e-6)).
 *
 * @param limit the largest global norm; `undefined` clips nothing and still tells the norm
 * @category optimizers
 */
export const clipByGlobalNorm = (gradients: readonly Tensor[], limit: number | undefined): Clipped => {
  const norm = globalNorm(gradients)
  if (limit === undefined) return { gradients, norm }
  return inside(siteOf(clipByGlobalNorm), () => {
    const factor = minimum(div(limit, add(norm, 1e-6)), 1)
    return { gradients: gradients.map((g) => mul(g, factor)), norm }
  })
}
