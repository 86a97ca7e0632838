/** Normalisation over one axis. */
import type { Axis, Names } from '../axis.ts'
import { composite } from '../composite.ts'
import { add, mul, rsqrt, square, sub } from '../elementwise.ts'
import type { Tensor } from '../graph.ts'
import { ones, zeros } from '../init.ts'
import { andThen, builtIn, type EndsIn, join, type Layer, residual } from '../layer.ts'
import { parameter } from '../leaves.ts'
import { meanOf } from '../reduce.ts'
import { siteOf } from '../site.ts'

/** The plain mean: what the one of the language adds to be exact where all are equal is no matter here. */
const mean = (x: Tensor, over: string): Tensor => meanOf('mean', x, [over], siteOf(mean))

/**
 * Root mean square norm (Zhang & Sennrich 2019): x / √(mean x² + ε) · weight. Parameter `weight` [axis].
 *
 * @param epsilon 1e-6 in Qwen3, 1e-5 in AIMv2
 * @category layers
 */
export const rmsNorm = <N extends string>(a: Axis<N>, epsilon = 1e-6): Layer<readonly [N], readonly [N]> => {
  const site = siteOf(rmsNorm)
  return builtIn<readonly [Axis<N>]>(site, 'rmsNorm', [a], (x, path) => {
    const weight = parameter(join(path, 'weight'), [a], ones)
    const body = mul(mul(x, rsqrt(add(mean(square(x), a.name), epsilon))), weight)
    return composite('rmsNorm', { axis: a.name, epsilon }, body, [x, weight], site)
  })
}

/**
 * Layer norm (Ba et al. 2016): (x − mean) / √(var + ε) · weight + bias. Parameters `weight`, `bias` [axis].
 *
 * @category layers
 */
export const layerNorm = <N extends string>(
  a: Axis<N>,
  epsilon = 1e-5,
): Layer<readonly [N], readonly [N]> => {
  const site = siteOf(layerNorm)
  return builtIn<readonly [Axis<N>]>(site, 'layerNorm', [a], (x, path) => {
    const weight = parameter(join(path, 'weight'), [a], ones)
    const bias = parameter(join(path, 'bias'), [a], zeros)
    const centred = sub(x, mean(x, a.name))
    const body = add(mul(mul(centred, rsqrt(add(mean(square(centred), a.name), epsilon))), weight), bias)
    return composite('layerNorm', { axis: a.name, epsilon }, body, [x, weight, bias], site)
  })
}

/**
 * A pre-norm sublayer: x + f(norm(x)). A decoder layer is two of them.
 *
 * @example
 * const [Embed, Hidden] = [axis('embed', 16), axis('hidden', 64)]
 * const block = preNorm(at('norm')(rmsNorm(Embed)), at('mlp')(swiGlu(Embed, Hidden))) // Layer<['embed'], ['embed']>
 *
 * @category layers
 */
export const preNorm = <N extends Names, I extends Names>(
  norm: Layer<N, N>,
  f: Layer<I, I> & EndsIn<I, N>,
): Layer<I, I> => {
  // that f ends in the norm's axes is asked for above
  const after = andThen<Names, Names>(f as Layer<Names, Names>) as (g: unknown) => unknown
  return residual(after(norm) as Layer<I, I>)
}
