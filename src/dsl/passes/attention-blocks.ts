/** Attention of long sequences in blocks of tokens, whose scores are not kept: memory grows with the length alone. */
import { type Axis, elements } from '../axis.ts'
import { after, bodyOf, operandsOf } from '../composite.ts'
import { contractOf } from '../contract.ts'
import { binaryOf, castTo, compareOf, selectOf, unaryOf } from '../elementwise.ts'
import { findAxis, rewrite, type Settings, type Tensor, topological } from '../graph.ts'
import { allSee } from '../layers/sees.ts'
import { scalarOf } from '../leaves.ts'
import { reduceOf, softmaxOf } from '../reduce.ts'
import { broadcasted, concat, pad, reshaped, sliceOf, transposed } from '../shape.ts'
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
  /** By tokens, in their order: the keys that one of them may see. */
  readonly blocks: readonly Block[]
  /** By keys, in their order: the tokens that may see one of them. */
  readonly columns: readonly Column[]
}

/** A range of one axis against what of the other may be seen from it: of keys against tokens. */
interface Column {
  readonly range: Range
  /** Side by side. */
  readonly runs: readonly Run[]
}

/** Of tokens against keys. */
interface Block extends Column {
  /** All runs together, and what of them is seen; undefined where all is. */
  readonly span: Range
  readonly mask: Tensor | undefined
  /** Which tokens see a key at all; undefined where all are known to. */
  readonly sees: Tensor | undefined
}

/** A range of the other axis. */
interface Run {
  readonly range: Range
  /** What of it is seen; undefined where all is. */
  readonly mask: Tensor | undefined
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

/** From where the first begins to where the last ends. */
const spanOf = (all: readonly Range[]): Range => {
  const start = Math.min(...all.map((r) => r[0]))
  return [start, Math.max(...all.map((r) => r[0] + r[1])) - start]
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

/** So many steps are a run at most: a runtime that plans which value gets whose memory has one piece of it for each shape. */
const most = 8

/** Cuts attentions; the blocks of a mask that several share, and their parts of it, are found once. */
const cutter = (limits: BlockSizes): ((t: Tensor) => Cut | undefined) => {
  const part = parts()
  const may = possibility()
  const seeing = new Map<Tensor, Tensor>()
  const made = new Map<Tensor | undefined, Map<string, Pick<Cut, 'blocks' | 'columns'>>>()

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
        before.range = spanOf([before.range, range])
        before.count++
      } else found.push({ range, hides, count: 1 })
    }
    return found.map(({ range, hides }) => ({ range, mask: hides ? part(mask!, at(range)) : undefined }))
  }

  const blocks = (mask: Tensor | undefined, token: Axis, key: Axis, step: number, known: boolean) => {
    const forms = made.get(mask) ?? new Map<string, Pick<Cut, 'blocks' | 'columns'>>()
    made.set(mask, forms)
    const form = [token.name, token.size, key.name, key.size, step].join('\u0001')
    const blockOf = (range: Range): Block => {
      const from = { [token.name]: range }
      const runs = runsOf(mask, from, key, step)
      const span = spanOf(runs.map((r) => r.range))
      if (mask === undefined) return { range, runs, span, mask, sees: undefined }
      const own = part(mask, { ...from, [key.name]: span })
      const all = known || runs.some((r) => r.mask === undefined)
      return { range, runs, span, mask: own, sees: all ? undefined : seesOf(own, key.name) }
    }
    const columnOf = (range: Range): Column => ({
      range,
      runs: runsOf(mask, { [key.name]: range }, token, step),
    })
    const found = forms.get(form) ?? {
      blocks: ranges(token.size, step).map(blockOf),
      // of no more scores than the blocks
      columns: ranges(key.size, Math.max(1, Math.floor((step * key.size) / token.size))).map(columnOf),
    }
    forms.set(form, found)
    return found
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
      ...blocks(mask, token, key, step, mask !== undefined && allSee(mask, key.name)),
    }
  }
}

/** A piece is a copy: it is made when its block is due, and again for the gradient, so that none is kept. */
const piece = (x: Tensor, along: string, range: Range, before: readonly Tensor[]): Tensor =>
  range[1] === findAxis(x, along)!.size ? x : sliceOf(after(x, ...before), along, ...range, x.site)

/** One more number at the end of the last axis. */
const withLast = (x: Tensor, last: Tensor | number, dim: string): Tensor => {
  const axes = [...x.axes.slice(0, -1), { name: dim, size: 1 }]
  const column =
    typeof last === 'number'
      ? broadcasted(scalarOf(last, 'float32', x.site), axes, x.site)
      : reshaped(transposed(last, x.names.slice(0, -1), x.site), axes, x.site)
  return concat([x, column], dim) as Tensor
}

/** A piece of a larger range, with zeros around. */
const widened = (x: Tensor, along: string, [start, size]: Range, [from, count]: Range): Tensor =>
  pad(x, along, start - from, from + count - start - size) as Tensor

/** A block's operands and its softmax, computed after what is given. */
const weighed = (c: Cut, b: Block, before: readonly Tensor[]) => {
  const { site } = c.q
  const q = piece(c.q, c.token, b.range, before)
  const k = piece(c.k, c.key.name, b.span, before)
  const v = piece(c.v, c.key.name, b.span, before)
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

/** Attention of the tokens. */
const forwardWhole = (c: Cut): Tensor => {
  const { site } = c.q
  const done: Tensor[] = []
  for (const b of c.blocks) {
    const { v, weights } = weighed(c, b, done.slice(-1))
    done.push(whereSeen(b, contractOf(weights, v, [c.key.name], site, c.q.names)))
  }
  return concat(done, c.token) as Tensor
}

/**
 * What flows into queries, keys and values, tokens by tokens: y = P v, P = softmax(q kᵀ), dP = g vᵀ, and P (dP − Σ g y)
 * flows into the scores.
 */
const backwardWhole = (t: Tensor, c: Cut): Readonly<Record<string, Tensor>> => {
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
    const own = whereSeen(b, piece(flow, c.token, b.range, before))
    const rise = contractOf(own, w.v, [c.dim], site, w.weights.names)
    const level = piece(sums, c.token, b.range, before)
    const slope = binaryOf('mul', w.weights, binaryOf('sub', rise, level, site), site)
    q.push(contractOf(slope, w.k, [c.key.name], site, c.q.names))
    k = sum(k, whole(contractOf(w.q, slope, c.own, site, flat), b.span))
    v = sum(v, whole(contractOf(own, w.weights, c.own, site, flat), b.span))
  }
  return { q: binaryOf('mul', concat(q, c.token), c.scale, site), k: k!, v: v! }
}

/** Attention of the tokens; where it is learnt, ln Σ exp of each token's scores follows its numbers along `dim`. */
const forward = (c: Cut, learnt: boolean): Tensor => {
  const { site } = c.q
  const none = Number.NEGATIVE_INFINITY
  const done: Tensor[] = []
  for (const { range, runs, sees } of c.blocks) {
    const before = done.slice(-1)
    const q = piece(c.q, c.token, range, before)
    const hidden = sees === undefined ? none : selectOf(sees, none, 0, site)
    const along = [c.key.name]
    const scores = runs.map((r) => {
      const all = contractOf(q, piece(c.k, c.key.name, r.range, before), [c.dim], site)
      return r.mask === undefined ? all : transposed(selectOf(r.mask, all, hidden, site), all.names, site)
    })
    const largest = scores
      .map((x) => reduceOf('max', x, along, site))
      .reduce((a, b) => binaryOf('max', a, b, site))
    const weights = scores.map((x) => unaryOf('exp', binaryOf('sub', x, largest, site), site))
    const add = (all: readonly Tensor[]): Tensor => all.reduce((a, b) => binaryOf('add', a, b, site))
    const total = add(weights.map((x) => reduceOf('sum', x, along, site)))
    const mixed = add(
      runs.map((r, i) =>
        contractOf(weights[i]!, piece(c.v, c.key.name, r.range, before), along, site, c.q.names),
      ),
    )
    const mean = binaryOf('div', mixed, total, site)
    const y = sees === undefined ? mean : transposed(selectOf(sees, mean, 0, site), mean.names, site)
    const level = (): Tensor => binaryOf('add', largest, unaryOf('log', total, site), site)
    done.push(learnt ? withLast(y, level(), c.dim) : y)
  }
  return concat(done, c.token) as Tensor
}

/**
 * What flows into queries, keys and values, keys by keys: y = P v, P = exp(q kᵀ − l) with l = ln Σ exp q kᵀ of each token,
 * dP = g vᵀ, and P (dP − Σ g y) flows into the scores. Products subtract: q and l follow one another along `dim`, and so do
 * k and −1.
 */
const backward = (t: Tensor, c: Cut, whole: Tensor): Readonly<Record<string, Tensor>> => {
  const { site } = t
  const g = transposed(operandsOf(t).at(-1)!, c.q.names, site)
  const size = findAxis(c.q, c.dim)!.size
  const y = sliceOf(whole, c.dim, 0, size, site)
  const level = sliceOf(whole, c.dim, size, 1, site)
  const sums = reduceOf('sum', binaryOf('mul', g, y, site), [c.dim], site)
  const [q1, g1] = [concat([c.q, level], c.dim) as Tensor, withLast(g, sums, c.dim)]
  const [k1, v1] = [withLast(c.k, -1, c.dim), withLast(c.v, -1, c.dim)]
  const sum = (all: readonly Tensor[]): Tensor => all.reduce((a, b) => binaryOf('add', a, b, site))
  // a product that turns the scores round takes tensorflow four times as long as one that turns the keys
  const flat = [...c.k.names.slice(0, -2), c.dim, ...c.own]
  const [ks, vs]: [Tensor[], Tensor[]] = [[], []]
  /** The tokens that something flows into so far, and what. */
  let into: { readonly range: Range; readonly q: Tensor } | undefined
  // from the last one on: under a causal mask each is seen by more tokens than the one before
  for (const { range, runs } of c.columns.toReversed()) {
    // the first one waits too: what the forward pass computed of it is not kept
    const before = into === undefined ? [sums] : [into.q, ks[0]!, vs[0]!]
    const keys = (x: Tensor): Tensor => piece(x, c.key.name, range, before)
    const flows = runs.map((r) => {
      const tokens = (x: Tensor): Tensor => piece(x, c.token, r.range, before)
      const all = contractOf(keys(k1), tokens(q1), [c.dim], site)
      const none = Number.NEGATIVE_INFINITY
      const allowed =
        r.mask === undefined ? all : transposed(selectOf(r.mask, all, none, site), all.names, site)
      const weights = unaryOf('exp', allowed, site)
      const slope = binaryOf('mul', weights, contractOf(keys(v1), tokens(g1), [c.dim], site), site)
      return {
        q: contractOf(keys(c.k), slope, [c.key.name], site, flat),
        k: contractOf(slope, tokens(c.q), c.own, site, c.k.names),
        v: contractOf(weights, tokens(g), c.own, site, c.k.names),
      }
    })
    ks.unshift(sum(flows.map((f) => f.k)))
    vs.unshift(sum(flows.map((f) => f.v)))
    const own = {
      range: spanOf(runs.map((r) => r.range)),
      q: concat(
        flows.map((f) => f.q),
        c.token,
      ) as Tensor,
    }
    const both = into === undefined ? [own] : [into, own]
    const span = spanOf(both.map((x) => x.range))
    into = { range: span, q: sum(both.map((x) => widened(x.q, c.token, x.range, span))) }
  }
  const everything = widened(into!.q, c.token, into!.range, [0, findAxis(c.q, c.token)!.size])
  return {
    q: binaryOf('mul', everything, c.scale, site),
    k: concat(ks, c.key.name) as Tensor,
    v: concat(vs, c.key.name) as Tensor,
  }
}

/**
 * Attention and its gradient, where there are many scores, in blocks one after the other: forward of tokens, backward of
 * tokens too, or of keys where `runs` is asked for. The gradient computes the weights of each again. What no token of a block
 * may see is left out, and in `runs` what all see needs no mask. The numbers are the definition's up to rounding.
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
    const learnt = new Set(
      [...used].map((t) => (isKind(t, 'attentionGradient') ? attentionOf(t) : undefined)),
    )
    const cut = cutter(limits)
    /** What each attention is cut into, and its numbers as `forward` gives them. */
    const cuts = new Map<Tensor, { readonly c: Cut; readonly whole: Tensor } | undefined>()
    const gradients = new Map<Tensor, Map<Tensor, Readonly<Record<string, Tensor>>>>()
    return rewrite(roots, (t, before) => {
      const original = attentionOf(before)
      if (original === undefined || !long.has(original)) return t
      if (original === before) {
        const c = cut(t)
        if (c === undefined) return t
        const whole = limits.runs ? forward(c, learnt.has(original)) : forwardWhole(c)
        cuts.set(original, { c, whole })
        const y = sliceOf(whole, c.dim, 0, findAxis(c.q, c.dim)!.size, t.site)
        return transposed(y, t.names, t.site)
      }
      const made = cuts.get(original)
      if (made === undefined) return t
      const g = operandsOf(t).at(-1)!
      const flowing = gradients.get(original) ?? new Map<Tensor, Readonly<Record<string, Tensor>>>()
      gradients.set(original, flowing)
      const flows =
        flowing.get(g) ?? (limits.runs ? backward(t, made.c, made.whole) : backwardWhole(t, made.c))
      flowing.set(g, flows)
      return transposed(flows[String(settingsOf(t).part)]!, t.names, t.site)
    })
  }
