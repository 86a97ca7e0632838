/**
 * How an attention is cut: its tokens in blocks, its keys in columns, and which of the one side may be seen from the other. What
 * is computed of them is a way's own: by tokens (`attention-by-tokens.ts`) or by keys (`attention-by-keys.ts`).
 */
import { type Axis, elements } from '../axis.ts'
import { computedAfter, operandsOf } from '../composite.ts'
import { binaryOf, castTo, compareOf, selectOf } from '../elementwise.ts'
import { findAxis, type Settings, type Tensor } from '../graph.ts'
import { allSee } from '../layers/sees.ts'
import { reduceOf } from '../reduce.ts'
import { sliceOf, transposed } from '../shape.ts'
import { parts, possibility, type Range, type Ranges } from './mask-parts.ts'

/** When attention runs in blocks, and in how large ones. */
export interface BlockSizes {
  /** An attention of fewer scores runs as it is. */
  readonly from: number
  /** About so many scores are a block … */
  readonly block: number
  /** … but of so many tokens at least: each block costs copies of all keys. Default 1. */
  readonly tokens?: number
  /**
   * Whether blocks are computed in runs of keys without a softmax, and the gradient keys by keys, where a pass over scores costs
   * more than small operations. Default: the softmax of all keys, tokens by tokens.
   */
  readonly runs?: boolean
}

/** An attention that is cut. */
export interface Cut {
  /** `shared, own, dim`: queries times the scale; the tokens are the last of their own axes. */
  readonly q: Tensor
  /** `shared, key, dim` */
  readonly k: Tensor
  /** `shared, key, dim` */
  readonly v: Tensor
  readonly scale: number
  /** The axes of the queries that the keys lack. */
  readonly own: readonly string[]
  readonly token: string
  readonly key: Axis
  readonly dim: string
  /** By tokens, in their order: the keys that one of them may see. */
  readonly blocks: readonly Block[]
  /** By keys, in their order: the tokens that may see one of them. Planned when they are first asked for. */
  readonly columns: () => readonly Strip[]
  /** Which of some keys some tokens see; undefined where there is no mask. */
  readonly mask: (token: Range, key: Range) => Tensor | undefined
}

/** A range of one axis, and what of the other may be seen from it: runs side by side. */
export interface Strip {
  readonly range: Range
  readonly runs: readonly Run[]
}

/** Of tokens against keys. */
export interface Block extends Strip {
  /** Which tokens see a key at all; undefined where all are known to. */
  readonly sees: Tensor | undefined
}

/** A range of the other axis. */
interface Run {
  readonly range: Range
  /** Whether the mask may hide some of it; else all is seen. */
  readonly hides: boolean
}

/** The attention's gradient: what flows into queries, keys and values. */
export interface Flows {
  readonly q: Tensor
  readonly k: Tensor
  readonly v: Tensor
}

/** How blocks are computed, one after the other. */
export interface Way {
  /** Attention of the tokens, `shared, own, dim`. Where it is learnt, what the gradient needs may follow along `dim`. */
  readonly forward: (c: Cut, learnt: boolean) => Tensor
  /** What flows in, of what flows out, as the queries are, and of what `forward` gave. */
  readonly backward: (c: Cut, whole: Tensor, flow: Tensor) => Flows
}

export const compositeSettings = (t: Tensor): Settings => (t.op.op === 'composite' ? t.op.settings : {})

/** From where the first begins to where the last ends. */
export const spanOf = (all: readonly { readonly range: Range }[]): Range => {
  const start = Math.min(...all.map(({ range }) => range[0]))
  return [start, Math.max(...all.map(({ range }) => range[0] + range[1])) - start]
}

const ranges = (size: number, step: number): readonly Range[] =>
  Array.from({ length: Math.ceil(size / step) }, (_, i) => [i * step, Math.min(step, size - i * step)])

/** The axes that a block is cut along, where there are scores enough; undefined where not. */
const cutAxes = (t: Tensor, limits: BlockSizes) => {
  const [q, k] = operandsOf(t) as readonly [Tensor, Tensor]
  const key = k.axes.find((a) => !q.names.includes(a.name))
  const dim = k.axes.find((a) => a.name === compositeSettings(t).axis)
  const own = q.axes.filter((a) => !k.names.includes(a.name)).sort((a, b) => a.size - b.size)
  const token = own.at(-1)
  if (key === undefined || dim === undefined || token === undefined) return undefined
  const rows = elements(q.axes) / dim.size
  if (rows * key.size < limits.from) return undefined
  const most = Math.max(limits.tokens ?? 1, Math.floor(limits.block / ((rows / token.size) * key.size)))
  const count = Math.ceil(token.size / most)
  return count < 2 ? undefined : { key, dim, own, token, step: Math.ceil(token.size / count) }
}

/** Whether an attention has scores enough to be cut. */
export const isLong = (t: Tensor, limits: BlockSizes): boolean => cutAxes(t, limits) !== undefined

/** So many steps are a run at most: a runtime that plans which value gets whose memory has one piece of it for each shape. */
const most = 8

/** Cuts attentions; what of a mask is seen from where, and the parts of it, are found once, however many share it. */
export const cutter = (limits: BlockSizes): ((t: Tensor) => Cut | undefined) => {
  const part = parts()
  const may = possibility()
  const seeing = new Map<Tensor, Tensor>()
  const planned = new Map<Tensor | undefined, Map<string, Pick<Cut, 'blocks' | 'columns'>>>()

  const seesOf = (mask: Tensor, key: string): Tensor => {
    const had = seeing.get(mask)
    if (had !== undefined) return had
    const { site } = mask
    const sees =
      findAxis(mask, key) === undefined
        ? mask
        : compareOf('less', 0, reduceOf('max', castTo(mask, 'float32', site), [key], site), site)
    seeing.set(mask, sees)
    return sees
  }

  /**
   * What of an axis may be seen from a range of the other, in runs side by side, each of which is seen whole or needs the
   * mask. Where nothing is seen one range is taken all the same, so that there is a softmax.
   */
  const runsOf = (mask: Tensor | undefined, from: Ranges, along: Axis, step: number): readonly Run[] => {
    const all = ranges(along.size, step)
    const at = (range: Range): Ranges => ({ ...from, [along.name]: range })
    const sees = (r: Range): boolean => mask === undefined || may(mask, at(r))
    const first = Math.max(0, all.findIndex(sees))
    const found: { range: Range; hides: boolean; count: number }[] = []
    for (const range of all.slice(first, Math.max(first, all.findLastIndex(sees)) + 1)) {
      const hides = mask !== undefined && may(mask, at(range), false)
      const before = found.at(-1)
      if (before?.hides === hides && before.count < most) {
        before.range = spanOf([before, { range }])
        before.count++
      } else found.push({ range, hides, count: 1 })
    }
    return found
  }

  const plan = (mask: Tensor | undefined, token: Axis, key: Axis, step: number) => {
    const strips = (of: Axis, size: number, along: Axis): readonly Strip[] =>
      ranges(of.size, size).map((range) => ({
        range,
        runs: runsOf(mask, { [of.name]: range }, along, step),
      }))
    const allOf = mask === undefined || allSee(mask, key.name)
    const blocks = strips(token, step, key).map((b): Block => {
      const all = allOf || b.runs.some((r) => !r.hides)
      const at = { [token.name]: b.range, [key.name]: spanOf(b.runs) }
      return { ...b, sees: all ? undefined : seesOf(part(mask!, at), key.name) }
    })
    let columns: readonly Strip[] | undefined
    return {
      blocks,
      // of no more scores than the blocks
      columns: () =>
        (columns ??= strips(key, Math.max(1, Math.floor((step * key.size) / token.size)), token)),
    }
  }

  return (t) => {
    const axes = cutAxes(t, limits)
    if (axes === undefined) return undefined
    const [q, k, v, mask] = operandsOf(t) as readonly [Tensor, Tensor, Tensor, Tensor | undefined]
    const { key, dim, token, step } = axes
    const scale = Number(compositeSettings(t).scale)
    const shared = k.names.filter((n) => n !== key.name && n !== dim.name)
    const own = axes.own.map((a) => a.name)
    const plans = planned.get(mask) ?? new Map<string, Pick<Cut, 'blocks' | 'columns'>>()
    planned.set(mask, plans)
    const form = [token.name, token.size, key.name, key.size, step].join('\u0001')
    const found = plans.get(form) ?? plan(mask, token, key, step)
    plans.set(form, found)
    const { site } = t
    return {
      q: transposed(binaryOf('mul', q, scale, site), [...shared, ...own, dim.name], site),
      k: transposed(k, [...shared, key.name, dim.name], site),
      v: transposed(v, [...shared, key.name, dim.name], site),
      ...{ scale, own, key, token: token.name, dim: dim.name },
      ...found,
      mask: (tokens, keys) =>
        mask === undefined ? undefined : part(mask, { [token.name]: tokens, [key.name]: keys }),
    }
  }
}

/** A piece is a copy: it is made when its block is due, and again for the gradient, so that none is kept. */
export const piece = (x: Tensor, along: string, range: Range, before: readonly Tensor[]): Tensor =>
  range[1] === findAxis(x, along)!.size ? x : sliceOf(computedAfter(x, ...before), along, ...range, x.site)

/** A tensor where a mask says so, elsewhere something else; all of it where there is no mask. */
export const where = (mask: Tensor | undefined, x: Tensor, otherwise: Tensor | number): Tensor =>
  mask === undefined ? x : transposed(selectOf(mask, x, otherwise, x.site), x.names, x.site)

/** What stands for a score that is not seen: −∞, but 0 for a token that sees none, whose softmax would be none. */
export const hidden = (b: Block): Tensor | number =>
  b.sees === undefined ? Number.NEGATIVE_INFINITY : selectOf(b.sees, Number.NEGATIVE_INFINITY, 0, b.sees.site)
