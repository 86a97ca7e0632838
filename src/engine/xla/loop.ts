/** A loop as `stablehlo.while`: the step's number and what is carried go around, what is captured is read from outside. */
import {
  bodyRoots,
  type LoopBody,
  mergeProjections,
  sizes,
  type Tensor,
  topological,
} from '../../dsl/index.ts'
import { type Loops, loopsOnce } from '../lowering.ts'
import { carriedSlotWrites, type SlotWrite } from '../state-writes.ts'
import { type Element, typeOfValue, type Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { emitNode } from './node.ts'
import { isWeight, keeping } from './precision.ts'
import { operandsWith, writeSlots } from './slots.ts'
import type { Work } from './value.ts'

/** The loops of one function; the nodes of one loop are one operation. */
export const loopsIn = (w: Work): Loops<Value> =>
  loopsOnce(
    (x) => x.name,
    ({ times, body }, operands, { inputs }) => {
      // what is read from outside stays a weight inside: what a product with one gives may be kept narrower
      const from = body.results.length
      const weights = new Set(inputs.flatMap((x, i) => (i >= from && isWeight(x) ? [i + 1] : [])))
      const inside = { ...w, keptIn: keeping(w.precision, weights), dealt: (x: Value) => x }
      return emitLoop(inside, times, prepared(w, body, weights), operands)
    },
  )

/** Weights are joined once, before the first step: products of one tensor with several are one in each step. */
const prepared = (w: Work, body: LoopBody, weights: ReadonlySet<number>): LoopBody => {
  if (!w.alone) return body
  const join = mergeProjections((t) => t.op.op === 'argument' && weights.has(t.op.at))
  const roots = join(bodyRoots(body))
  const count = body.results.length
  return { ...body, results: roots.slice(0, count), done: body.done && roots[count] }
}

/**
 * The places of what is carried as products take it: where nothing but products reads it, and slots of it are written, it
 * goes around in bfloat16, and no step converts all of it.
 */
const multipliedAlone = (
  w: Work,
  body: LoopBody,
  operands: (t: Tensor) => readonly Tensor[],
  slots: ReadonlyMap<Tensor, SlotWrite>,
): ReadonlySet<number> => {
  if (w.precision !== 'bfloat16' || w.platform === 'cpu') return new Set()
  const roots = bodyRoots(body)
  const users = new Map<Tensor, Tensor[]>()
  for (const t of topological(roots, operands))
    for (const x of operands(t)) users.set(x, [...(users.get(x) ?? []), t])
  const multiplied = (t: Tensor): boolean => {
    const all = users.get(t) ?? []
    const onward = (u: Tensor): boolean =>
      u.op.op === 'contract' || ((u.op.op === 'reshape' || u.op.op === 'transpose') && multiplied(u))
    return all.length > 0 && all.every(onward)
  }
  return new Set(
    body.results.flatMap((next, i) => {
      const slot = slots.get(next)
      const whole = slot === undefined ? undefined : next.inputs[2]!
      const fits =
        whole?.op.op === 'argument' &&
        whole.op.at === i + 1 &&
        whole.dtype === 'float32' &&
        users.get(whole)!.every((u) => u === next) &&
        roots.filter((r) => r === next).length === 1 &&
        multiplied(next)
      return fits ? [i] : []
    }),
  )
}

const emitLoop = (w: Work, times: number, body: LoopBody, operands: readonly Value[]): readonly Value[] => {
  const { g } = w
  const count = body.results.length
  const slots = new Map(carriedSlotWrites(body).map((s) => [s.next, s]))
  const operandsOf = operandsWith(w, slots)
  const narrower = multipliedAlone(w, body, operandsOf, slots)
  const typeAt = (i: number): Element => (narrower.has(i) ? 'bfloat16' : body.results[i]!.dtype)
  const carried = body.results.map((_, i) => hlo.convert(g, operands[i]!, typeAt(i)))
  const captured = operands.slice(count)
  const first = [g.scalar('int32', 0), g.scalar('bool', 1), ...carried]
  const condition = g.region(first, ([i, going]) => [
    hlo.pointwise(g, 'stablehlo.and', hlo.compare(g, 'LT', i!, g.scalar('int32', times)), going!),
  ])
  const step = g.region(first, ([i, , ...now]) => {
    const given = [i!, ...now, ...captured]
    const values = new Map<Tensor, Value>()
    const loop = loopsIn(w)
    const emit = (t: Tensor): Value => {
      const own = operandsOf(t).map((x) => values.get(x)!)
      const slot = slots.get(t)
      if (slot !== undefined) return writeSlots(w, slot, own)
      if (t.op.op === 'argument') return given[t.op.at]!
      return t.op.op === 'loop' ? loop(t, own) : emitNode(w, t, own)
    }
    for (const t of topological(bodyRoots(body), operandsOf)) {
      g.blame(t)
      values.set(t, emit(t))
    }
    const results = body.results.map((t, i) => hlo.convert(g, values.get(t)!, typeAt(i)))
    const going =
      body.done === undefined
        ? g.scalar('bool', 1)
        : hlo.pointwise(g, 'stablehlo.not', values.get(body.done)!)
    return [hlo.pointwise(g, 'stablehlo.add', i!, g.scalar('int32', 1)), going, ...results]
  })
  const types = first.map(typeOfValue).join(', ')
  const names = first.map((x) => x.name).join(', ')
  return g
    .ops(`"stablehlo.while"(${names}) (${condition}, ${step}) : (${types}) -> (${types})`, first)
    .slice(2)
    .map((v, i) => ({ ...v, shape: sizes(body.results[i]!.axes) }))
}
