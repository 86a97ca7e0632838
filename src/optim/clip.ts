/** Clipping gradients by their global norm (Pascanu et al. 2013), as `torch.nn.utils.clip_grad_norm_` does. */
import {
  add,
  div,
  GraphError,
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
export interface ClippedGradients {
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
 * @param limit the largest global norm, above 0; `undefined` clips nothing and still tells the norm
 * @throws GraphError `BadArgument` where the limit is 0, negative or no number
 * @category optimizers
 */
export const clipByGlobalNorm = (
  gradients: readonly Tensor[],
  limit: number | undefined,
): ClippedGradients => {
  const site = siteOf(clipByGlobalNorm)
  if (limit !== undefined && !(limit > 0))
    throw new GraphError(
      'BadArgument',
      `clipByGlobalNorm: the limit is ${limit}; give a number above 0, or leave it out to clip nothing`,
      site,
    )
  const norm = globalNorm(gradients)
  if (limit === undefined || limit === Number.POSITIVE_INFINITY) return { gradients, norm }
  return inside(site, () => {
    const factor = minimum(div(limit, add(norm, 1e-6)), 1)
    return { gradients: gradients.map((g) => mul(g, factor)), norm }
  })
}
