/** The likeliest tokens at a place. */
import type { Drawn } from '../generation/index.ts'

/**
 * The `count` likeliest tokens, the likeliest first, the lower id first among equals: with natural logarithms of their
 * probabilities under softmax(logits / temperature), at temperature 0 under softmax(logits).
 */
export const likeliest = (logits: Float32Array, temperature: number, count: number): readonly Drawn[] => {
  const scale = temperature === 0 ? 1 : 1 / temperature
  const ids = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b)
  const top = logits[ids[0]!]! * scale
  let total = 0
  for (const x of logits) total += Math.exp(x * scale - top)
  return ids.slice(0, count).map((id) => ({ id, logProb: logits[id]! * scale - top - Math.log(total) }))
}
