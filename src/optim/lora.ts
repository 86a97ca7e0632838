/**
 * LoRA (Hu et al., arXiv:2106.09685) as one rewrite of a graph, over any model: beside each product x · Wᵀ with a named
 * weight stands α/r · (x · Aᵀ) · Bᵀ, so that the weight in effect is W + α/r · B A (§4.1).
 *
 * Keys, shapes and fresh values are those of PEFT. For a weight `<module>.weight` [out, in]:
 *
 * | use | key | shape | fresh |
 * |---|---|---|---|
 * | product | `<module>.lora_A.weight` | [r, in] | uniform in ±1/√in (Kaiming with a = √5) |
 * | product | `<module>.lora_B.weight` | [out, r] | zeros |
 * | rows by index (an embedding [vocab, embed]) | `<module>.lora_embedding_A` | [r, vocab] | zeros |
 * | rows by index | `<module>.lora_embedding_B` | [embed, r] | normal, deviation 1 |
 *
 * A table that is also the head (tied) has the embedding's pair, and both uses take it: it stays one weight. PEFT leaves
 * the head without, and then merging changes it.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  add,
  axis,
  contract,
  gather,
  type Keys,
  mul,
  normal,
  parameter,
  rewrite,
  showAxes,
  state,
  type Tensor,
  topological,
  transpose,
  uniform,
  zeros,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'

/** What {@link lora} adapts and how. */
export interface LoraSettings {
  /** r: at most the smaller side of every weight that is adapted. */
  readonly rank: number
  /** α above 0: what is added is scaled by α / r. */
  readonly alpha: number
  /** Which weights, by published key: matrices in products, or tables of an embedding. */
  readonly on: (key: string) => boolean
}

/**
 * A setting of LoRA that does not fit: `setting` names it, the message says what it is and what it may be.
 *
 * @category model
 */
export class LoraError extends Error {
  readonly tag = 'BadLora'
  readonly setting: string
  constructor(setting: string, what: string, todo: string) {
    super(`lora, ${setting}: ${what}; ${todo}`)
    this.name = 'LoraError'
    this.setting = setting
  }
}

// --- keys -------------------------------------------------------------------------------------------------

const suffixes = /\.(lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B)$/

/** The keys of adapters: what a run with LoRA trains, and all that it need save. */
export const loraKeys: Keys = { name: 'lora', has: (key) => suffixes.test(key) }

/** The two keys that adapt a weight. */
export const loraKeysOf = (
  weight: string,
  use: 'product' | 'embedding',
): { readonly a: string; readonly b: string } => {
  const module = weight.replace(/\.weight$/, '')
  return use === 'product'
    ? { a: `${module}.lora_A.weight`, b: `${module}.lora_B.weight` }
    : { a: `${module}.lora_embedding_A`, b: `${module}.lora_embedding_B` }
}

/** The weight that an adapter's key adapts: the other way of {@link loraKeysOf}. */
export const adaptedWeight = (key: string): string => `${key.replace(suffixes, '')}.weight`

// --- the rewrite ------------------------------------------------------------------------------------------

/** A weight in other words: what its two axes are called there. */
interface Worded {
  readonly key: string
  readonly leaf: Tensor
  readonly first: string
  readonly second: string
}

const Rank = ' rank'

/** The same axes in the same order under other names. */
const isRename = (t: Tensor): boolean =>
  t.op.op === 'reshape' &&
  t.axes.length === t.inputs[0]!.axes.length &&
  t.axes.every((a, i) => a.size === t.inputs[0]!.axes[i]!.size)

const weightIn = (t: Tensor, on: (key: string) => boolean): Worded | undefined => {
  if (t.op.op === 'state')
    return on(t.op.key) && t.axes.length === 2
      ? { key: t.op.key, leaf: t, first: t.axes[0]!.name, second: t.axes[1]!.name }
      : undefined
  if (t.op.op !== 'transpose' && !isRename(t)) return undefined
  const x = t.inputs[0]!
  const w = weightIn(x, on)
  if (w === undefined || t.op.op === 'transpose') return w
  const renamed = (name: string): string => t.axes[x.axes.findIndex((a) => a.name === name)]!.name
  return { ...w, first: renamed(w.first), second: renamed(w.second) }
}

const has = (t: Tensor, name: string): boolean => t.axes.some((a) => a.name === name)

const checked = (s: LoraSettings): void => {
  if (!(Number.isSafeInteger(s.rank) && s.rank >= 1))
    throw new LoraError('rank', `it is ${s.rank}`, 'give a whole number from 1 up')
  if (!(Number.isFinite(s.alpha) && s.alpha > 0))
    throw new LoraError('alpha', `it is ${s.alpha}`, 'give a number above 0')
}

/** Sees that a state can be adapted: a matrix, no narrower than the rank. @throws LoraError */
const adaptable = ({ axes, dtype }: Tensor, key: string, rank: number): void => {
  if (axes.length !== 2 || dtype !== 'float32')
    throw new LoraError(
      'on',
      `it names '${key}', which is ${dtype} with ${showAxes(axes)}`,
      'name matrices only',
    )
  const side = Math.min(...axes.map((a) => a.size))
  if (rank > side)
    throw new LoraError(
      'rank',
      `it is ${rank}, and the smaller side of '${key}' is ${side}`,
      `give a rank up to ${side}, or leave that weight out`,
    )
}

/** Whether a node takes a weight as rows by index, or in a product over one of its sides with what has not the other. */
const takes = (t: Tensor, at: number, w: Worded, on: (key: string) => boolean): boolean => {
  const x = t.inputs[at]!
  if (t.op.op === 'gather') return at === 0 && x.axes[0]!.name === w.first
  if (t.op.op !== 'contract' || t.op.over.length !== 1 || !has(x, t.op.over[0]!)) return false
  const other = t.inputs[1 - at]!
  return weightIn(other, on) === undefined && !has(other, t.op.over[0] === w.first ? w.second : w.first)
}

/** Why a node's use of a weight has no adapter. */
const misused = ({ op, axes, site }: Tensor, x: Tensor, { key }: Worded): LoraError =>
  // a further axis is made to stack matrices along, as those of experts are, of which tokens then choose
  op.op === 'contractChosen' || (op.op === 'reshape' && axes.length > x.axes.length)
    ? new LoraError(
        'on',
        `it names '${key}', which is stacked with others, as matrices of experts are: their product has no pair of PEFT's layout`,
        "leave it out, and name projections outside of experts, such as those of '**.self_attn.**'",
      )
    : new LoraError(
        'on',
        `it names '${key}', which is used by a ${op.op} that is neither a product with one of its sides nor rows by index${site.line === '' ? '' : ` (${site.line})`}`,
        'leave that weight out',
      )

/** What is adapted, each with its use. @throws LoraError */
const usesOf = (
  roots: readonly Tensor[],
  { rank, on }: LoraSettings,
): ReadonlyMap<string, 'product' | 'embedding'> => {
  const uses = new Map<string, 'product' | 'embedding'>()
  const all: string[] = []
  for (const t of topological(roots)) {
    if (t.op.op === 'state') {
      const { key } = t.op
      all.push(key)
      if (!on(key)) continue
      adaptable(t, key, rank)
      if (!uses.has(key)) uses.set(key, 'product')
    }
    if (t.op.op === 'composite' || weightIn(t, on) !== undefined) continue
    for (const [i, x] of t.inputs.entries()) {
      const w = weightIn(x, on)
      if (w === undefined) continue
      if (!takes(t, i, w, on)) throw misused(t, x, w)
      if (t.op.op === 'gather') uses.set(w.key, 'embedding')
    }
  }
  if (uses.size === 0)
    throw new LoraError(
      'on',
      `it names none of the graph's ${all.length} weights`,
      `they are ${all.slice(0, 5).join(', ')}${all.length > 5 ? ', …' : ''}`,
    )
  return uses
}

/**
 * The rewrite, for the loss and the outputs together, before the gradient is taken and before any pass that merges
 * weights. What trains are then the parameters that {@link loraKeys} has.
 *
 * @example
 * import { axis, input, linear, applyTo, at, parametersOf } from 'sailwright/dsl'
 *
 * const y = applyTo(at('up')(linear(axis('embed', 8), axis('hidden', 16))), input('x', [axis('embed', 8)]), '')
 * const [adapted] = lora({ rank: 2, alpha: 4, on: (key) => key === 'up.weight' })([y])
 * Array.from(parametersOf(adapted!).keys()) // ['up.weight', 'up.lora_A.weight', 'up.lora_B.weight', 'up.bias']
 *
 * @throws LoraError where rank or alpha is out of its range, no key matches, a named weight is no matrix or is used
 *   otherwise than in products and as a table
 * @category rewrites
 */
export const lora = (settings: LoraSettings): ((roots: readonly Tensor[]) => Tensor[]) => {
  onlySettings('lora', settings, ['rank', 'alpha', 'on'])
  checked(settings)
  const { rank, alpha, on } = settings
  return (roots) => {
    const uses = usesOf(roots, settings)
    const r = axis(Rank, rank)

    /** The factor that has one of a weight's sides, that side under the name that it goes by here. */
    const factor = (w: Worded, side: 'first' | 'second', name: string): Tensor => {
      const use = uses.get(w.key)!
      const { a, b } = loraKeysOf(w.key, use)
      const own: Axis = axis(name, w.leaf.axes[side === 'first' ? 0 : 1]!.size)
      if (use === 'embedding')
        return side === 'first' ? parameter(a, [r, own], zeros) : parameter(b, [own, r], normal(1))
      return side === 'first'
        ? parameter(b, [own, r], zeros)
        : parameter(a, [r, own], uniform(1 / Math.sqrt(own.size)))
    }

    const product = (t: Tensor, x: Tensor, w: Worded, over: string): Tensor => {
      const [summed, other] =
        over === w.first ? (['first', 'second'] as const) : (['second', 'first'] as const)
      const inner = contract(x, factor(w, summed, over), over as never)
      const outer = contract(inner as Tensor, factor(w, other, w[other]), Rank as never) as Tensor
      return transpose(outer, t.names as string[])
    }

    const rows = (t: Tensor, w: Worded, index: Tensor): Tensor => {
      const table = transpose(factor(w, 'first', w.first), [w.first, Rank])
      const inner = gather(table, index) as Tensor
      return transpose(
        contract(inner, factor(w, 'second', w.second), Rank as never) as Tensor,
        t.names as string[],
      )
    }

    const adapted = (t: Tensor, delta: Tensor): Tensor => ({
      ...add({ ...t, marks: [] } as Tensor, mul(delta, alpha / rank)),
      marks: t.marks,
    })

    return rewrite(roots, (t) => {
      // what an engine would compute from the bare weight is computed from its definition
      if (t.op.op === 'composite' && t.inputs.slice(1).some((x) => weightIn(x, on) !== undefined))
        return { ...t.inputs[0]!, marks: [...t.inputs[0]!.marks, ...t.marks] }
      if (t.op.op === 'gather') {
        const w = weightIn(t.inputs[0]!, on)
        return w === undefined ? t : adapted(t, rows(t, w, t.inputs[1]!))
      }
      if (t.op.op !== 'contract') return t
      for (const i of [0, 1] as const) {
        const w = weightIn(t.inputs[i]!, on)
        if (w !== undefined) return adapted(t, product(t, t.inputs[1 - i]!, w, t.op.over[0]!))
      }
      return t
    })
  }
}

/**
 * The rewrite for graphs that take no gradient, such as generation: each weight is replaced by what it is with its adapter,
 * whatever uses it, inside a loop as well. The numbers are those of {@link lora} up to rounding.
 *
 * @param leaves the adapters' states by key, of a graph that {@link lora} rewrote
 * @category rewrites
 */
export const loraInWeights = (
  options: Pick<LoraSettings, 'rank' | 'alpha'>,
  leaves: ReadonlyMap<string, Tensor>,
) => {
  const { rank, alpha } = onlySettings('loraInWeights', options, ['rank', 'alpha'])
  return (roots: readonly Tensor[]): Tensor[] => {
    const r = axis(Rank, rank)
    const leaf = (key: string, axes: readonly Axis[]): Tensor | undefined => {
      const { op } = leaves.get(key) ?? {}
      return op?.op === 'state' ? (state(key, axes, op.init) as Tensor) : undefined
    }
    return rewrite(roots, (t) => {
      if (t.op.op !== 'state' || t.axes.length !== 2) return t
      const [first, second] = t.axes as readonly [Axis, Axis]
      const [product, table] = [loraKeysOf(t.op.key, 'product'), loraKeysOf(t.op.key, 'embedding')]
      const [a, b] = [leaf(product.a, [r, second]), leaf(product.b, [first, r])]
      const [ta, tb] = [leaf(table.a, [r, first]), leaf(table.b, [second, r])]
      const delta =
        a !== undefined && b !== undefined
          ? contract(b, a, Rank as never)
          : ta !== undefined && tb !== undefined
            ? transpose(contract(tb, ta, Rank as never) as Tensor, t.names as string[])
            : undefined
      return delta === undefined ? t : (add(t, mul(delta as Tensor, alpha / rank)) as Tensor)
    })
  }
}
