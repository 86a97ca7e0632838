/** Reductions and softmax, over axes by name. */
import { onlySettings } from '../settings/index.ts'
import { elements, type Names } from './axis.ts'
import { namedOnce } from './axis-error.ts'
import { binaryOf, compareOf, selectOf, unaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { node, type Tensor } from './graph.ts'
import type { Without } from './names.ts'
import { axisOf, sliceOf, transposed } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** A reduction node, for builders and adjoints. */
export const reduceOf = (fn: 'sum' | 'max', t: Tensor, over: Names, site: Site): Tensor => {
  for (const n of over) axisOf(fn, t, n, site)
  namedOnce(fn, over, site, t.axes)
  if (t.dtype === 'bool')
    throw new GraphError(
      'BadDtype',
      `${fn}: a bool cannot be reduced; cast it to int32 or float32`,
      site,
      t.axes,
    )
  if (over.length === 0) return t
  return node(
    { op: 'reduce', fn, over },
    [t],
    t.axes.filter((a) => !over.includes(a.name)),
    t.dtype,
    site,
  )
}

/** Σ over the named axes. @throws GraphError `UnknownAxis`, `BadArgument` for an axis that is named twice @category reductions */
export const sum = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => reduceOf('sum', t, over, siteOf(sum)) as Tensor<Without<N, K>>

/** The largest over the named axes; the gradient goes in equal parts to all that are largest. @category reductions */
export const max = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => reduceOf('max', t, over, siteOf(max)) as Tensor<Without<N, K>>

/**
 * The mean over the named axes: the sum divided by the number of its terms, float32, and of equal numbers (up to 2,048)
 * exactly that number.
 *
 * A sum is rounded, so 41 times 0.1 divided by 41 is only near 0.1. The mean of what the terms are off by is added, which is
 * a second pass over them; the gradient does not see it.
 *
 * @throws GraphError `UnknownAxis`, `BadDtype`, `BadArgument` for an axis that is named twice
 * @category reductions
 */
export const mean = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => {
  const site = siteOf(mean)
  const near = meanOf('mean', t, over, site)
  if (near === t) return near as Tensor<Without<N, K>>
  const off = meanOf('mean', binaryOf('sub', t, near, site), over, site)
  // where the sum is infinite there is nothing to be off by
  const finite = compareOf('less', unaryOf('abs', off, site), Number.POSITIVE_INFINITY, site)
  const added = selectOf(finite, off, 0, site)
  const still = node({ op: 'stopGradient' }, [added], added.axes, 'float32', site)
  return binaryOf('add', near, still, site) as Tensor<Without<N, K>>
}

/** The rounded sum divided by the number of its terms. */
export const meanOf = (what: string, t: Tensor, over: Names, site: Site): Tensor => {
  if (t.dtype !== 'float32')
    throw new GraphError('BadDtype', `${what}: ${t.dtype} where float32 is needed; cast it`, site, t.axes)
  const n = elements(over.map((k) => axisOf(what, t, k, site)))
  namedOnce(what, over, site, t.axes)
  return over.length === 0 ? t : binaryOf('div', reduceOf('sum', t, over, site), n, site)
}

/** Settings of {@link standardise}. */
export interface StandardiseOptions {
  /** What is added to the standard deviation. Default 1e-6. */
  readonly epsilon?: number
  /** What is taken from the number of terms in the variance's mean, as in `torch.std`: 0, or 1 for the unbiased. Default 0. */
  readonly correction?: 0 | 1
}

/**
 * (x − mean) / (standard deviation + ε) along an axis, axes unchanged: z-scores, as a group's rewards become advantages (GRPO, Shao et al.
 * 2024, arXiv:2402.03300).
 *
 * Where all along the axis are equal the result is exactly 0, whatever they are and however many: the terms are taken
 * relative to the first one before they are added. The gradient there is that of the centred terms alone, finite.
 *
 * @example
 * const rewards = input('rewards', [axis('prompt', 1), axis('completion', 3)])
 * evaluate([standardise(rewards, 'completion')], { inputs: { rewards: [0.1, 0.1, 0.1] } }) // [new Float64Array([0, 0, 0])]
 *
 * @throws GraphError `UnknownAxis`, `BadDtype`; `BadArgument` where ε is negative or not finite, or the correction leaves no term
 * @category reductions
 */
export const standardise = <N extends Names>(
  t: Tensor<N>,
  over: N[number],
  options: StandardiseOptions = {},
): Tensor<N> => {
  onlySettings('standardise', options, ['epsilon', 'correction'])
  const site = siteOf(standardise)
  const { epsilon = 1e-6, correction = 0 } = options
  const { size } = axisOf('standardise', t, over, site)
  if (!(epsilon >= 0 && epsilon < Number.POSITIVE_INFINITY))
    throw new GraphError('BadArgument', `standardise: ε is ${epsilon}; give a finite number from 0 up`, site)
  if ((correction !== 0 && correction !== 1) || size <= correction)
    throw new GraphError(
      'BadArgument',
      `standardise: a correction of ${correction} over '${over}' of size ${size}; give 0, or 1 for two terms and more`,
      site,
      t.axes,
    )
  if (t.dtype !== 'float32')
    throw new GraphError('BadDtype', `standardise: ${t.dtype} where float32 is needed; cast it`, site, t.axes)
  const s = (fn: 'sub' | 'div' | 'mul' | 'add', a: Tensor, b: Tensor | number): Tensor =>
    binaryOf(fn, a, b, site)
  const sumOf = (x: Tensor): Tensor => reduceOf('sum', x, [over], site)
  const first = reduceOf('sum', sliceOf(t, over, 0, 1, site), [over], site)
  // what the terms are taken relative to is no matter of the result: no gradient goes through it
  const relative = s('sub', t, node({ op: 'stopGradient' }, [first], first.axes, 'float32', site))
  const centred = s('sub', relative, s('div', sumOf(relative), size))
  const variance = s('div', sumOf(s('mul', centred, centred)), size - correction)
  // the root's argument is kept from 0, where its gradient is infinite
  const varies = compareOf('less', 0, variance, site)
  const deviation = unaryOf('sqrt', selectOf(varies, variance, 1, site), site)
  const divisor = selectOf(varies, s('add', deviation, epsilon), 1, site)
  const scaled = s('div', centred, divisor)
  return transposed(scaled, t.names, site) as Tensor<N>
}

/** Σ over all axes: rank 0. @category reductions */
export const total = (t: Tensor): Tensor<readonly []> =>
  reduceOf('sum', t, t.names, siteOf(total)) as Tensor<readonly []>

/** int32 index of the first largest element along an axis. @category reductions */
export const argmax = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  over: K,
): Tensor<Without<N, K>> => {
  const site = siteOf(argmax)
  axisOf('argmax', t, over, site)
  if (t.dtype === 'bool')
    throw new GraphError('BadDtype', 'argmax: bools have no order; cast them to int32', site, t.axes)
  return node(
    { op: 'argmax', over },
    [t],
    t.axes.filter((a) => a.name !== over),
    'int32',
    site,
  ) as Tensor<Without<N, K>>
}

/** Any softmax node, for builders. */
export const softmaxOf = (op: 'softmax' | 'logSoftmax', t: Tensor, over: string, site: Site): Tensor => {
  axisOf(op, t, over, site)
  if (t.dtype !== 'float32')
    throw new GraphError('BadDtype', `${op}: ${t.dtype} where float32 is needed; cast it`, site, t.axes)
  return node({ op, over }, [t], t.axes, 'float32', site)
}

/** eˣ / Σ eˣ along an axis. @category reductions */
export const softmax = <N extends Names>(t: Tensor<N>, over: N[number]): Tensor<N> =>
  softmaxOf('softmax', t, over, siteOf(softmax)) as Tensor<N>

/** ln softmax along an axis. @category reductions */
export const logSoftmax = <N extends Names>(t: Tensor<N>, over: N[number]): Tensor<N> =>
  softmaxOf('logSoftmax', t, over, siteOf(logSoftmax)) as Tensor<N>
