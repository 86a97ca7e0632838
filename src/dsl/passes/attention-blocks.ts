/** Attention of long sequences in blocks of tokens, whose scores are not kept: memory grows with the length alone. */
import { type Axis, elements } from '../axis.ts'
import { after, bodyOf, operandsOf } from '../composite.ts'
import { contractOf } from '../contract.ts'
import { binaryOf, castTo, compareOf, selectOf } from '../elementwise.ts'
import { findAxis, rewrite, type Settings, type Tensor, topological } from '../graph.ts'
import { allSee } from '../layers/sees.ts'
import { reduceOf, softmaxOf } from '../reduce.ts'
import { concat, pad, sliceOf, transposed } from '../shape.ts'
import { parts, possibility, type Range } from './mask-parts.ts'

/** When attention runs in blocks, and in how large ones. */
export interface BlockSizes {
  /** An attention of fewer scores runs as it is. */
  readonly from: number
  /** About so many scores are a block … */
  readonly block: number
  /** … but of so many tokens at least: each block costs copies of all keys. Default 1. */
  readonly tokens?: number
}

/** An attention that is cut. */
interface Cut {
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
  readonly blocks: readonly Block[]
}

/** Some tokens, and the keys from the first to the last that one of them may see. */
interface Block {
  readonly tokens: Range
  readonly keys: Range
  /** Which of the keys a token may see; undefined where all. */
  readonly mask: Tensor | undefined
  /** Which tokens see a key at all; undefined where all are known to. */
  readonly sees: Tensor | undefined
}

const isKind = (t: Tensor, kind: string): boolean => t.op.op === 'composite' && t.op.kind === kind

const settingsOf = (t: Tensor): Settings => (t.op.op === 'composite' ? t.op.settings : {})

/** The attention that a node is, or is a gradient of. */
const attentionOf = (t: Tensor): Tensor | undefined =>
  isKind(t, 'attention') ? t : isKind(t, 'attentionGradient') ? operandsOf(t).at(-2) : undefined

/** What a definition computes of queries, keys and values. */
const insideOf = (t: Tensor): readonly Tensor[] => {
  const operands = operandsOf(t)
  const ends = new Set(operands)
  const depends = new Set(operands.slice(0, 3))
  return topological([bodyOf(t)], (x) => (ends.has(x) ? [] : x.inputs)).filter((x) => {
    if (ends.has(x) || !x.inputs.some((y) => depends.has(y))) return false
    depends.add(x)
    return true
  })
}

const ranges = (size: number, step: number): readonly Range[] =>
  Array.from({ length: Math.ceil(size / step) }, (_, i) => [i * step, Math.min(step, size - i * step)])

/** The axes that a block is cut along, where there are scores enough; undefined where not. */
const cutAxes = (t: Tensor, limits: BlockSizes) => {
  const [q, k] = operandsOf(t) as readonly [Tensor, Tensor]
  const key = k.axes.find((a) => !q.names.includes(a.name))
  const dim = k.axes.find((a) => a.name === settingsOf(t).axis)
  const own = q.axes.filter((a) => !k.names.includes(a.name)).sort((a, b) => a.size - b.size)
  const token = own.at(-1)
  if (key === undefined || dim === undefined || token === undefined) return undefined
  const rows = elements(q.axes) / dim.size
  if (rows * key.size < limits.from) return undefined
  const most = Math.max(limits.tokens ?? 1, Math.floor(limits.block / ((rows / token.size) * key.size)))
  const count = Math.ceil(token.size / most)
  return count < 2 ? undefined : { key, dim, own, token, step: Math.ceil(token.size / count) }
}

/** Cuts attentions; the blocks of a mask that several share, and their parts of it, are found once. */
const cutter = (limits: BlockSizes): ((t: Tensor) => Cut | undefined) => {
  const part = parts()
  const mayBeTrue = possibility()
  const seeing = new Map<Tensor, Tensor>()
  const blocksOf = new Map<Tensor | undefined, Map<string, readonly Block[]>>()

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

  const blocks = (
    mask: Tensor | undefined,
    token: Axis,
    key: Axis,
    step: number,
    known: boolean,
  ): readonly Block[] => {
    const forms = blocksOf.get(mask) ?? new Map<string, readonly Block[]>()
    blocksOf.set(mask, forms)
    const form = [token.name, token.size, key.name, key.size, step].join('\u0001')
    const keys = ranges(key.size, step)
    const blockOf = (tokens: Range): Block => {
      if (mask === undefined) return { tokens, keys: [0, key.size], mask, sees: undefined }
      const isSeen = (r: Range): boolean => mayBeTrue(mask, { [token.name]: tokens, [key.name]: r })
      // where nothing is seen one range is taken all the same, so that there is a softmax
      const [first, last] = [keys.find(isSeen) ?? keys[0]!, keys.findLast(isSeen) ?? keys[0]!]
      const seen: Range = [first[0], last[0] + last[1] - first[0]]
      const own = part(mask, { [token.name]: tokens, [key.name]: seen })
      return { tokens, keys: seen, mask: own, sees: known ? undefined : seesOf(own, key.name) }
    }
    const made = forms.get(form) ?? ranges(token.size, step).map(blockOf)
    forms.set(form, made)
    return made
  }

  return (t) => {
    const axes = cutAxes(t, limits)
    if (axes === undefined) return undefined
    const [q, k, v, mask] = operandsOf(t) as readonly [Tensor, Tensor, Tensor, Tensor | undefined]
    const { key, dim, token, step } = axes
    const scale = Number(settingsOf(t).scale)
    const shared = k.names.filter((n) => n !== key.name && n !== dim.name)
    const own = axes.own.map((a) => a.name)
    const { site } = t
    return {
      q: transposed(binaryOf('mul', q, scale, site), [...shared, ...own, dim.name], site),
      k: transposed(k, [...shared, key.name, dim.name], site),
      v: transposed(v, [...shared, key.name, dim.name], site),
      ...{ scale, own, key, token: token.name, dim: dim.name },
      blocks: blocks(mask, token, key, step, mask !== undefined && allSee(mask, key.name)),
    }
  }
}

/** A piece is a copy: it is made when its block is due, and again for the gradient, so that none is kept. */
const piece = (x: Tensor, along: string, range: Range, before: readonly Tensor[]): Tensor =>
  range[1] === findAxis(x, along)!.size ? x : sliceOf(after(x, ...before), along, ...range, x.site)

/** A block's operands and its softmax, computed after what is given. */
const weighed = (c: Cut, b: Block, before: readonly Tensor[]) => {
  const { site } = c.q
  const q = piece(c.q, c.token, b.tokens, before)
  const k = piece(c.k, c.key.name, b.keys, before)
  const v = piece(c.v, c.key.name, b.keys, before)
  const scores = contractOf(q, k, [c.dim], site)
  const order = scores.names
  const none = Number.NEGATIVE_INFINITY
  const hidden = b.sees === undefined ? none : selectOf(b.sees, none, 0, site)
  const allowed =
    b.mask === undefined ? scores : transposed(selectOf(b.mask, scores, hidden, site), order, site)
  return { q, k, v, weights: softmaxOf('softmax', allowed, c.key.name, site) }
}

/** What no token sees is 0. */
const whereSeen = (b: Block, x: Tensor): Tensor =>
  b.sees === undefined ? x : transposed(selectOf(b.sees, x, 0, x.site), x.names, x.site)

const forward = (t: Tensor, c: Cut): Tensor => {
  const { site } = t
  const done: Tensor[] = []
  for (const b of c.blocks) {
    const { v, weights } = weighed(c, b, done.slice(-1))
    done.push(whereSeen(b, contractOf(weights, v, [c.key.name], site, c.q.names)))
  }
  return transposed(concat(done, c.token), t.names, site)
}

/** What flows into queries, keys and values: y = P v, P = softmax(q kᵀ), dP = g vᵀ, and P (dP − Σ g y) flows into the scores. */
const backward = (t: Tensor, c: Cut): Readonly<Record<string, Tensor>> => {
  const { site } = t
  const [y, g] = operandsOf(t).slice(-2) as [Tensor, Tensor]
  const flow = transposed(g, c.q.names, site)
  const sums = reduceOf('sum', binaryOf('mul', flow, transposed(y, c.q.names, site), site), [c.dim], site)
  const whole = (x: Tensor, [start, size]: Range): Tensor =>
    pad(x, c.key.name, start, c.key.size - start - size) as Tensor
  const q: Tensor[] = []
  let [k, v]: (Tensor | undefined)[] = []
  // a product that turns the scores round takes tensorflow four times as long as one that turns the queries
  const flat = [...c.k.names.slice(0, -2), c.dim, c.key.name]
  const sum = (a: Tensor | undefined, b: Tensor): Tensor =>
    a === undefined ? b : binaryOf('add', a, b, site)
  for (const b of c.blocks) {
    // the first one waits too: what the forward pass computed of it is not kept
    const before = k === undefined ? [sums] : [q.at(-1)!, k, v!]
    const w = weighed(c, b, before)
    const own = whereSeen(b, piece(flow, c.token, b.tokens, before))
    const rise = contractOf(own, w.v, [c.dim], site, w.weights.names)
    const level = piece(sums, c.token, b.tokens, before)
    const slope = binaryOf('mul', w.weights, binaryOf('sub', rise, level, site), site)
    q.push(contractOf(slope, w.k, [c.key.name], site, c.q.names))
    k = sum(k, whole(contractOf(w.q, slope, c.own, site, flat), b.keys))
    v = sum(v, whole(contractOf(own, w.weights, c.own, site, flat), b.keys))
  }
  return { q: binaryOf('mul', concat(q, c.token), c.scale, site), k: k!, v: v! }
}

/**
 * Attention and its gradient, where there are many scores, in blocks of tokens one after the other: the softmax of a block
 * is that of the definition, and the gradient computes it again. Keys that no token of a block may see are left out. The
 * numbers are the definition's up to rounding.
 *
 * @category passes
 */
export const attentionBlocks =
  (limits: BlockSizes) =>
  (roots: readonly Tensor[]): readonly Tensor[] => {
    const all = topological(roots).filter((t) => isKind(t, 'attention') && cutAxes(t, limits) !== undefined)
    if (all.length === 0) return roots
    // where a gradient was taken through a definition its inside is needed anyway
    const used = new Set(topological(roots, (t) => (attentionOf(t) === undefined ? t.inputs : operandsOf(t))))
    const long = new Set(all.filter((t) => !insideOf(t).some((x) => used.has(x))))
    const cut = cutter(limits)
    const cuts = new Map<Tensor, Cut | undefined>()
    const gradients = new Map<Tensor, Map<Tensor, Readonly<Record<string, Tensor>>>>()
    return rewrite(roots, (t, before) => {
      const original = attentionOf(before)
      if (original === undefined || !long.has(original)) return t
      const c = cuts.has(original) ? cuts.get(original) : cut(t)
      cuts.set(original, c)
      if (c === undefined) return t
      if (original === before) return forward(t, c)
      const g = operandsOf(t).at(-1)!
      const made = gradients.get(original) ?? new Map<Tensor, Readonly<Record<string, Tensor>>>()
      gradients.set(original, made)
      const flows = made.get(g) ?? backward(t, c)
      made.set(g, flows)
      return transposed(flows[String(settingsOf(t).part)]!, t.names, t.site)
    })
  }
