/** Attention of long sequences in blocks of tokens, whose scores are not kept: memory grows with the length alone. */
import { onlySettings } from '../../settings/index.ts'
import { insideOf, operandsOf } from '../composite.ts'
import { findAxis, rewrite, type Tensor, topological } from '../graph.ts'
import { sliceOf, transposed } from '../shape.ts'
import { byKeys } from './attention-by-keys.ts'
import { byTokens } from './attention-by-tokens.ts'
import { type BlockSizes, type Cut, compositeSettings, cutter, type Flows, isLong } from './attention-cut.ts'

export type { BlockSizes } from './attention-cut.ts'

const isKind = (t: Tensor, kind: string): boolean => t.op.op === 'composite' && t.op.kind === kind

/** The attention that a node is, or is a gradient of. */
const attentionOf = (t: Tensor): Tensor | undefined =>
  isKind(t, 'attention') ? t : isKind(t, 'attentionGradient') ? operandsOf(t).at(-2) : undefined

/** What a definition computes of queries, keys and values. */
const computedIn = (t: Tensor): readonly Tensor[] => {
  const depends = new Set(operandsOf(t).slice(0, 3))
  return insideOf(t).filter((x) => {
    if (!x.inputs.some((y) => depends.has(y))) return false
    depends.add(x)
    return true
  })
}

/**
 * Attention and its gradient, where there are many scores, in blocks one after the other: forward of tokens, backward of
 * tokens too, or of keys where `runs` is asked for. The gradient computes the weights of each again. What no token of a block
 * may see is left out, and in `runs` what all see needs no mask. The numbers are the definition's up to rounding.
 *
 * @category passes
 */
export const attentionBlocks = (limits: BlockSizes) => {
  onlySettings('attentionBlocks', limits, ['from', 'block', 'tokens', 'runs'])
  return (roots: readonly Tensor[]): readonly Tensor[] => {
    const all = topological(roots).filter((t) => isKind(t, 'attention') && isLong(t, limits))
    if (all.length === 0) return roots
    // where a gradient was taken through a definition its inside is needed anyway
    const used = new Set(topological(roots, (t) => (attentionOf(t) === undefined ? t.inputs : operandsOf(t))))
    const long = new Set(all.filter((t) => !computedIn(t).some((x) => used.has(x))))
    const learnt = new Set(
      [...used].map((t) => (isKind(t, 'attentionGradient') ? attentionOf(t) : undefined)),
    )
    const cut = cutter(limits)
    const { forward, backward } = limits.runs ? byKeys : byTokens
    /** What each attention is cut into, and its numbers as `forward` gives them. */
    const cuts = new Map<Tensor, { readonly c: Cut; readonly whole: Tensor }>()
    const gradients = new Map<Tensor, Map<Tensor, Flows>>()
    return rewrite(roots, (t, before) => {
      const original = attentionOf(before)
      if (original === undefined || !long.has(original)) return t
      if (original === before) {
        const c = cut(t)
        if (c === undefined) return t
        const whole = forward(c, learnt.has(original))
        cuts.set(original, { c, whole })
        const y = sliceOf(whole, c.dim, 0, findAxis(c.q, c.dim)!.size, t.site)
        return transposed(y, t.names, t.site)
      }
      const made = cuts.get(original)
      if (made === undefined) return t
      const g = operandsOf(t).at(-1)!
      const flowing = gradients.get(original) ?? new Map<Tensor, Flows>()
      gradients.set(original, flowing)
      const { c, whole } = made
      const flows = flowing.get(g) ?? backward(c, whole, transposed(g, c.q.names, t.site))
      flowing.set(g, flows)
      return transposed(flows[compositeSettings(t).part as keyof Flows], t.names, t.site)
    })
  }
}
