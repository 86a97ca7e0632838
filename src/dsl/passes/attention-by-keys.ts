/**
 * Attention in blocks of tokens whose keys are taken run by run, without a softmax: runs that all see need no mask. Backward it
 * goes by columns of keys, of which none is computed for a token that may not see it.
 */
import { contractOf } from '../contract.ts'
import { binaryOf, unaryOf } from '../elementwise.ts'
import { findAxis, type Tensor } from '../graph.ts'
import { scalarOf } from '../leaves.ts'
import { reduceOf } from '../reduce.ts'
import { broadcasted, concat, pad, reshaped, sliceOf, transposed } from '../shape.ts'
import { hidden, piece, spanOf, type Way, where } from './attention-cut.ts'
import type { Range } from './mask-parts.ts'

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

const sum = (all: readonly Tensor[]): Tensor => all.reduce((a, b) => binaryOf('add', a, b, a.site))

/** Where it is learnt, ln Σ exp of each token's scores follows its numbers along `dim`. */
const forward: Way['forward'] = (c, learnt) => {
  const { site } = c.q
  const along = [c.key.name]
  const done: Tensor[] = []
  for (const b of c.blocks) {
    const before = done.slice(-1)
    const q = piece(c.q, c.token, b.range, before)
    const otherwise = hidden(b)
    const scores = b.runs.map((r) => {
      const all = contractOf(q, piece(c.k, c.key.name, r.range, before), [c.dim], site)
      return where(r.hides ? c.mask(b.range, r.range) : undefined, all, otherwise)
    })
    const largest = scores
      .map((x) => reduceOf('max', x, along, site))
      .reduce((a, b) => binaryOf('max', a, b, site))
    const weights = scores.map((x) => unaryOf('exp', binaryOf('sub', x, largest, site), site))
    const total = sum(weights.map((x) => reduceOf('sum', x, along, site)))
    const mixed = sum(
      b.runs.map((r, i) =>
        contractOf(weights[i]!, piece(c.v, c.key.name, r.range, before), along, site, c.q.names),
      ),
    )
    const y = where(b.sees, binaryOf('div', mixed, total, site), 0)
    const level = (): Tensor => binaryOf('add', largest, unaryOf('log', total, site), site)
    done.push(learnt ? withLast(y, level(), c.dim) : y)
  }
  return concat(done, c.token) as Tensor
}

/**
 * y = P v, P = exp(q kᵀ − l) with l = ln Σ exp q kᵀ of each token, dP = g vᵀ, and P (dP − Σ g y) flows into the scores.
 * Products subtract: q and l follow one another along `dim`, and so do k and −1.
 */
const backward: Way['backward'] = (c, whole, g) => {
  const { site } = g
  const size = findAxis(c.q, c.dim)!.size
  const y = sliceOf(whole, c.dim, 0, size, site)
  const level = sliceOf(whole, c.dim, size, 1, site)
  const sums = reduceOf('sum', binaryOf('mul', g, y, site), [c.dim], site)
  const [q1, g1] = [concat([c.q, level], c.dim) as Tensor, withLast(g, sums, c.dim)]
  const [k1, v1] = [withLast(c.k, -1, c.dim), withLast(c.v, -1, c.dim)]
  // a product that turns the scores round takes tensorflow four times as long as one that turns the keys
  const flat = [...c.k.names.slice(0, -2), c.dim, ...c.own]
  const [ks, vs]: [Tensor[], Tensor[]] = [[], []]
  /** The tokens that something flows into so far, and what. */
  let into: { readonly range: Range; readonly q: Tensor } | undefined
  // from the last one on: under a causal mask each is seen by more tokens than the one before
  for (const { range, runs } of c.columns().toReversed()) {
    // the first one waits too: what the forward pass computed of it is not kept
    const before = into === undefined ? [sums] : [into.q, ks[0]!, vs[0]!]
    const keys = (x: Tensor): Tensor => piece(x, c.key.name, range, before)
    const flows = runs.map((r) => {
      const tokens = (x: Tensor): Tensor => piece(x, c.token, r.range, before)
      const all = contractOf(keys(k1), tokens(q1), [c.dim], site)
      const mask = r.hides ? c.mask(r.range, range) : undefined
      const weights = unaryOf('exp', where(mask, all, Number.NEGATIVE_INFINITY), site)
      const slope = binaryOf('mul', weights, contractOf(keys(v1), tokens(g1), [c.dim], site), site)
      return {
        q: contractOf(keys(c.k), slope, [c.key.name], site, flat),
        k: contractOf(slope, tokens(c.q), c.own, site, c.k.names),
        v: contractOf(weights, tokens(g), c.own, site, c.k.names),
      }
    })
    ks.unshift(sum(flows.map((f) => f.k)))
    vs.unshift(sum(flows.map((f) => f.v)))
    const here = flows.map((f) => f.q)
    const own = { range: spanOf(runs), q: concat(here, c.token) as Tensor }
    const both = into === undefined ? [own] : [into, own]
    const span = spanOf(both)
    into = { range: span, q: sum(both.map((x) => widened(x.q, c.token, x.range, span))) }
  }
  const everything = widened(into!.q, c.token, into!.range, [0, findAxis(c.q, c.token)!.size])
  return {
    q: binaryOf('mul', everything, c.scale, site),
    k: concat(ks, c.key.name) as Tensor,
    v: concat(vs, c.key.name) as Tensor,
  }
}

/** Fewest passes over scores: for a runtime where one costs more than small operations. */
export const byKeys: Way = { forward, backward }
