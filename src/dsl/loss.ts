/** Losses. */
import { composite } from './composite.ts'
import { binaryOf, castTo, compareOf, selectOf, unaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { node, type Scalar, type Tensor } from './graph.ts'
import { reduceOf, softmaxOf } from './reduce.ts'
import { axisOf, transposed } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** The label that no loss is taken of (Hugging Face's and PyTorch's `ignore_index`). */
export const Ignored = -100

const checkedDtypes = (what: string, logits: Tensor, labels: Tensor, site: Site): void => {
  if (logits.dtype !== 'float32' || labels.dtype !== 'int32')
    throw new GraphError(
      'BadDtype',
      `${what}: logits are float32 and labels int32, not ${logits.dtype} and ${labels.dtype}`,
      site,
      [...logits.axes, ...labels.axes],
    )
}

/** −ln softmax(logits)[target] along an axis, for each position; targets lie in range. */
const crossEntropyAt = (logits: Tensor, target: Tensor, axis: string, site: Site): Tensor => {
  const a = axisOf('crossEntropy', logits, axis, site)
  const logP = softmaxOf('logSoftmax', logits, axis, site)
  const places = node({ op: 'iota' }, [], [a], 'int32', site)
  const hit = transposed(compareOf('equal', target, places, site), logits.names, site)
  const body = node(
    { op: 'unary', fn: 'neg' },
    [reduceOf('sum', selectOf(hit, logP, 0, site), [axis], site)],
    logits.axes.filter((x) => x.name !== axis),
    'float32',
    site,
  )
  return composite('crossEntropy', { axis }, body, [logits, transposed(target, body.names, site)], site)
}

/**
 * The negative logarithm of each target's probability, in nats: −ln softmax(logits)[target].
 *
 * @param logits float32 `[…, axis]`
 * @param targets int32 `[…]`, in range; what is not is refused as the indices of `gather` are
 * @returns float32 `[…]`
 * @throws GraphError `UnknownAxis`, `BadDtype`
 * @category losses
 */
export const negativeLogLikelihood = (logits: Tensor, targets: Tensor, axis: string): Tensor => {
  const site = siteOf(negativeLogLikelihood)
  checkedDtypes('negativeLogLikelihood', logits, targets, site)
  return crossEntropyAt(logits, targets, axis, site)
}

/** A mean with what it was taken over. */
export interface MaskedLoss {
  /** Nats, mean over the counted positions; 0 where there is none, and so is its gradient. */
  readonly mean: Scalar
  /** Nats, added up over the counted positions. */
  readonly sum: Scalar
  /** How many positions counted, float32. */
  readonly count: Scalar
}

/**
 * Mean cross-entropy over the positions whose label is not {@link Ignored}.
 *
 * @param logits float32 `[…, axis]`
 * @param labels int32 `[…]`, in range or −100; what is neither is refused as the indices of `gather` are
 * @throws GraphError `UnknownAxis`, `BadDtype`
 * @category losses
 */
export const crossEntropy = (logits: Tensor, labels: Tensor, axis: string): MaskedLoss => {
  const site = siteOf(crossEntropy)
  checkedDtypes('crossEntropy', logits, labels, site)
  const counted = unaryOf('not', compareOf('equal', labels, Ignored, site), site)
  const each = crossEntropyAt(logits, selectOf(counted, labels, 0, site), axis, site)
  const count = reduceOf('sum', castTo(counted, 'float32', site), labels.names, site)
  const total = reduceOf('sum', selectOf(counted, each, 0, site), each.names, site)
  return {
    mean: binaryOf('div', total, binaryOf('max', count, 1, site), site) as Scalar,
    sum: total as Scalar,
    count: count as Scalar,
  }
}
