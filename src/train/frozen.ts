/**
 * Weights that a loss reads beside those of its model and that never learn: a teacher's, a reference's.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { rewrite, state, type Tensor, zeros } from '../dsl/index.ts'
import { frozenKey, isFrozenKey } from '../optim/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { Start } from './recipe-start.ts'
import { configSetting, folderSetting, jsonSetting, RecipeError } from './setting-checks.ts'

/** Weights that never learn, and how a graph reads them. */
export interface Frozen extends Pick<Start, 'config' | 'weights'> {
  /** What errors call them. */
  readonly name: string
  /** What the keys of their states begin with: it tells weights of another `config` apart. */
  readonly prefix: string
  /**
   * Graphs with each of their weights read from what is frozen, in the same order. These weights take no gradient.
   *
   * @param from tensors of the graphs that stay as they are, with all below them: what learns there learns through the graphs
   */
  readonly within: (roots: readonly Tensor[], from?: readonly Tensor[]) => readonly Tensor[]
}

/**
 * Frozen weights. An objective that reads them names them as its `frozen`: its stage puts them into the session as it begins
 * and as it goes on, never trains them, and keeps them in no checkpoint.
 *
 * @example
 * import { axis, input, linear, applyTo, at, parametersOf } from 'sailwright/dsl'
 * import { openCheckpoint } from 'sailwright/formats'
 *
 * const net = at('up')(linear(axis('embed', 8), axis('hidden', 16)))
 * const y = applyTo(net, input('x', [axis('embed', 8)]))
 * const teacher = frozen('teacher', { config: 'a', weights: openCheckpoint('teacher.safetensors') })
 * const [asTaught] = teacher.within([y])
 * Array.from(parametersOf(asTaught!).keys(), (key) => key.replace(teacher.prefix, '')) // ['up.weight', 'up.bias']
 *
 * @param config what the weights are, as plain JSON data; weights that differ need another
 * @throws RecipeError where the name or a setting is none
 * @category objectives
 */
export const frozen = (name: string, start: Pick<Start, 'config' | 'weights'>): Frozen => {
  folderSetting('frozen', 'name', name)
  const { config, weights } = onlySettings(`frozen '${name}'`, start, ['config', 'weights'])
  configSetting('frozen', `'${name}'`, { config })
  jsonSetting('frozen', `'${name}'.config`, config)
  if (weights === undefined)
    throw new RecipeError(
      `frozen '${name}'`,
      'weights',
      'it is undefined; give a source, such as openCheckpoint(…) or that of pretrained(…)',
    )
  const hash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 8)
  const owner = `${name}-${hash}`
  return {
    ...{ name, prefix: frozenKey(owner, ''), config, weights },
    within: (roots, from) =>
      rewrite(
        roots,
        (t) =>
          t.op.op === 'state' && !isFrozenKey(t.op.key)
            ? { ...state(frozenKey(owner, t.op.key), t.axes, zeros, t.dtype), site: t.site, marks: t.marks }
            : t,
        from,
      ),
  }
}
