/** Attention in blocks of tokens, forward and backward, each with the softmax of all keys that it may see. */
import { contractOf } from '../contract.ts'
import { binaryOf } from '../elementwise.ts'
import type { Tensor } from '../graph.ts'
import { reduceOf, softmaxOf } from '../reduce.ts'
import { concat, pad } from '../shape.ts'
import { type Block, type Cut, hidden, piece, spanOf, type Way, where } from './attention-cut.ts'
import type { Range } from './mask-parts.ts'

/** A block's operands and its softmax, computed after what is given. */
const weighed = (c: Cut, b: Block, before: readonly Tensor[]) => {
  const { site } = c.q
  const span = spanOf(b.runs)
  const q = piece(c.q, c.token, b.range, before)
  const k = piece(c.k, c.key.name, span, before)
  const v = piece(c.v, c.key.name, span, before)
  const scores = where(c.mask(b.range, span), contractOf(q, k, [c.dim], site), hidden(b))
  return { q, k, v, span, weights: softmaxOf('softmax', scores, c.key.name, site) }
}

/** What no token sees is 0. */
const whereSeen = (b: Block, x: Tensor): Tensor => where(b.sees, x, 0)

const forward: Way['forward'] = (c) => {
  const { site } = c.q
  const done: Tensor[] = []
  for (const b of c.blocks) {
    const { v, weights } = weighed(c, b, done.slice(-1))
    done.push(whereSeen(b, contractOf(weights, v, [c.key.name], site, c.q.names)))
  }
  return concat(done, c.token) as Tensor
}

/** y = P v, P = softmax(q kᵀ), dP = g vᵀ, and P (dP − Σ g y) flows into the scores. */
const backward: Way['backward'] = (c, y, g) => {
  const { site } = g
  const sums = reduceOf('sum', binaryOf('mul', g, y, site), [c.dim], site)
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
    const own = whereSeen(b, piece(g, c.token, b.range, before))
    const rise = contractOf(own, w.v, [c.dim], site, w.weights.names)
    const level = piece(sums, c.token, b.range, before)
    const slope = binaryOf('mul', w.weights, binaryOf('sub', rise, level, site), site)
    q.push(contractOf(slope, w.k, [c.key.name], site, c.q.names))
    k = sum(k, whole(contractOf(w.q, slope, c.own, site, flat), w.span))
    v = sum(v, whole(contractOf(own, w.weights, c.own, site, flat), w.span))
  }
  return { q: binaryOf('mul', concat(q, c.token), c.scale, site), k: k!, v: v! }
}

/** Fewest operations: for a runtime whose every operation costs much beside a pass over scores. */
export const byTokens: Way = { forward, backward }
