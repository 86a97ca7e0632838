/** Reductions and softmax, over axes by name. */
import { elements, type Names } from './axis.ts'
import { binaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { node, type Tensor } from './graph.ts'
import type { Without } from './names.ts'
import { axisOf } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** A reduction node, for builders and adjoints. */
export const reduceOf = (fn: 'sum' | 'max', t: Tensor, over: Names, site: Site): Tensor => {
  for (const n of over) axisOf(fn, t, n, site)
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

/** Σ over the named axes. @throws GraphError `UnknownAxis` @category reductions */
export const sum = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => reduceOf('sum', t, over, siteOf(sum)) as Tensor<Without<N, K>>

/** The largest over the named axes; the gradient goes in equal parts to all that are largest. @category reductions */
export const max = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => reduceOf('max', t, over, siteOf(max)) as Tensor<Without<N, K>>

/** The mean over the named axes, float32. @category reductions */
export const mean = <N extends Names, const K extends N[number]>(
  t: Tensor<N>,
  ...over: readonly K[]
): Tensor<Without<N, K>> => {
  const site = siteOf(mean)
  const n = elements(over.map((k) => axisOf('mean', t, k, site)))
  return binaryOf('mul', reduceOf('sum', t, over, site), 1 / n, site) as Tensor<Without<N, K>>
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
  return node(
    { op: 'argmax', over },
    [t],
    t.axes.filter((a) => a.name !== over),
    'int32',
    site,
  ) as Tensor<Without<N, K>>
}

const along = (op: 'softmax' | 'logSoftmax', t: Tensor, over: string, site: Site): Tensor => {
  axisOf(op, t, over, site)
  if (t.dtype !== 'float32')
    throw new GraphError('BadDtype', `${op}: ${t.dtype} where float32 is needed`, site, t.axes)
  return node({ op, over }, [t], t.axes, 'float32', site)
}

/** eˣ / Σ eˣ along an axis. @category reductions */
export const softmax = <N extends Names>(t: Tensor<N>, over: N[number]): Tensor<N> =>
  along('softmax', t, over, siteOf(softmax)) as Tensor<N>

/** ln softmax along an axis. @category reductions */
export const logSoftmax = <N extends Names>(t: Tensor<N>, over: N[number]): Tensor<N> =>
  along('logSoftmax', t, over, siteOf(logSoftmax)) as Tensor<N>
