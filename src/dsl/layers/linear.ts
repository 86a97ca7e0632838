/** Linear maps and embeddings. Weights are `[out, in]`, as every published checkpoint stores them. */
import { onlySettings } from '../../settings/index.ts'
import { type Axis, as } from '../axis.ts'
import { contractOf } from '../contract.ts'
import { add } from '../elementwise.ts'
import { GraphError } from '../error.ts'
import { findAxis, type Tensor } from '../graph.ts'
import { gatherOf } from '../indexing.ts'
import { type Init, truncatedNormal, xavierUniform, zeros } from '../init.ts'
import { builtIn, join, type Layer } from '../layer.ts'
import { parameter } from '../leaves.ts'
import { renamed } from '../shape.ts'
import { type Site, siteOf } from '../site.ts'

const sameName = (a: Axis, b: Axis): boolean => a.name === b.name

/** x · Wᵀ over one axis; a weight from an axis to itself calls its own side ` out`. */
const project = (x: Tensor, weight: Tensor, from: Axis, to: Axis, site: Site): Tensor => {
  if (x.axes.slice(0, -1).some((a) => a.name === to.name))
    throw new GraphError(
      'DuplicateAxis',
      `linear: the input already has an axis '${to.name}', which is also the output's name; rename one of them`,
      site,
      [...x.axes, to],
    )
  const made = contractOf(x, weight, [from.name], site)
  return sameName(from, to) ? renamed(made, { ' out': to.name }, site) : made
}

/** Settings of {@link linear}. */
export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean
  /** Default Xavier uniform. */
  readonly init?: Init
  /** Parameter names, for checkpoints that call them otherwise. */
  readonly weight?: string
}

/**
 * y = x Wᵀ + b. Parameters `weight` [out, in] and `bias` [out].
 *
 * @example
 * const up = linear(axis('embed', 16), axis('hidden', 64)) // Layer<['embed'], ['hidden']>
 *
 * @category layers
 */
export const linear = <I extends string, O extends string>(
  from: Axis<I>,
  to: Axis<O>,
  options: LinearOptions = {},
): Layer<readonly [I], readonly [O]> => {
  onlySettings('linear', options, ['bias', 'init', 'weight'])
  const site = siteOf(linear)
  const { bias = true, init = xavierUniform(from.size, to.size), weight = 'weight' } = options
  // a map from an axis to itself is no contraction over both: there the weight's output side goes by a private name
  const out = sameName(from, to) ? as(to, ' out') : to
  return builtIn<readonly [Axis<I>], readonly [O]>(site, 'linear', [from], (x, path) => {
    const y = project(x, parameter(join(path, weight), [out, from], init), from, to, site)
    return bias ? add(y, parameter(join(path, 'bias'), [to], zeros)) : y
  })
}

/**
 * Rows of a table by int32 ids. Parameter `weight` [vocab, embed].
 *
 * @category layers
 */
export const embedding = <V extends string, E extends string>(
  vocab: Axis<V>,
  embed: Axis<E>,
  init: Init = truncatedNormal(0.02),
): Layer<readonly [], readonly [E]> => {
  const site = siteOf(embedding)
  return builtIn<readonly [], readonly [E]>(site, 'embedding', [], (ids, path) => {
    if (ids.dtype !== 'int32')
      throw new GraphError('BadDtype', `embedding: ids are int32, not ${ids.dtype}`, site, ids.axes)
    return gatherOf(parameter(join(path, 'weight'), [vocab, embed], init), ids, site)
  })
}

/**
 * Logits over the vocabulary: x Wᵀ. With the path of an {@link embedding} the head is tied to it.
 *
 * @category layers
 */
export const head = <E extends string, V extends string>(
  embed: Axis<E>,
  vocab: Axis<V>,
  init: Init = truncatedNormal(0.02),
): Layer<readonly [E], readonly [V]> => {
  const site = siteOf(head)
  return builtIn<readonly [Axis<E>], readonly [V]>(site, 'head', [embed], (x, path) => {
    if (findAxis(x, vocab.name) !== undefined)
      throw new GraphError(
        'DuplicateAxis',
        `head: the input already has an axis '${vocab.name}'`,
        site,
        x.axes,
      )
    return contractOf(x, parameter(join(path, 'weight'), [vocab, embed], init), [embed.name], site)
  })
}
