/**
 * What a graph keeps for its gradient.
 *
 * @since 0.1.0
 */
import { type Tensor, topological } from '../graph.ts'
import { activationBytesOf } from './cost.ts'

/** The result that a node shows in another form: reshapes are views, and a composite's result is its body's. */
const held = (t: Tensor): Tensor =>
  t.op.op === 'reshape' || t.op.op === 'stopGradient' || t.op.op === 'composite' ? held(t.inputs[0]!) : t

/**
 * Bytes of the results that `first` is computed of, or is, and that what comes after it on the way to `then` reads: of a loss
 * and its gradients the activations that are kept from the forward pass for the backward pass. Weights, inputs and constants are
 * not counted, nor is what is made and read on one side alone.
 *
 * @example
 * const x = input('x', [axis('row', 8), axis('embed', 4)])
 * const w = parameter('w', [axis('hidden', 16), axis('embed', 4)], zeros)
 * const loss = total(tanh(contract(x, w, 'embed')))
 * keptBytes([loss], gradient(loss, [w])) // 8 * 16 * 4
 *
 * @category cost
 */
export const keptBytes = (first: readonly Tensor[], then: readonly Tensor[]): number => {
  const before = new Set(topological(first))
  const kept = new Set<Tensor>()
  for (const t of topological(then))
    if (!before.has(t)) for (const x of t.inputs) if (before.has(x)) kept.add(held(x))
  return [...kept].reduce((bytes, t) => bytes + activationBytesOf(t), 0)
}

/**
 * Bytes of the results that are there at the fullest moment while `first` is computed, node after node in the graph's order:
 * each lies from where it is made to where it is last read, and what the way to `then` reads of it stays. Weights, inputs and
 * constants are not counted. An engine that takes another order, or computes several nodes as one, has another number.
 *
 * @example
 * const x = input('x', [axis('row', 8)])
 * const y = tanh(tanh(x))
 * // the first lies beside the second while that is made
 * peakBytes([total(y)], []) // 4 * 8 * 2
 *
 * @category cost
 */
export const peakBytes = (first: readonly Tensor[], then: readonly Tensor[]): number => {
  const order = topological(first)
  const inside = new Set(order)
  const stays = new Set(first.map(held))
  for (const t of topological(then))
    if (!inside.has(t)) for (const x of t.inputs) if (inside.has(x)) stays.add(held(x))
  const last = new Map<Tensor, number>()
  order.forEach((t, i) => {
    for (const x of t.inputs) last.set(held(x), i)
  })
  const ending = new Map<number, Tensor[]>()
  for (const [t, i] of last) if (!stays.has(t)) ending.set(i, [...(ending.get(i) ?? []), t])
  let [there, most] = [0, 0]
  order.forEach((t, i) => {
    there += activationBytesOf(t)
    most = Math.max(most, there)
    for (const x of ending.get(i) ?? []) there -= activationBytesOf(x)
  })
  return most
}
