/** A loop as `stablehlo.while`: the step's number and what is carried go around, what is captured is read from outside. */
import { bodyRoots, type LoopBody, sizes, type Tensor, topological } from '../../dsl/index.ts'
import { typeOfValue, type Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { emitNode, operandsUsed } from './node.ts'
import { isWeight, keeping } from './precision.ts'
import type { Work } from './value.ts'

/** Emits loops, and answers a node's value from its operands'; the nodes of one loop are one operation. */
export type Loops = (t: Tensor, operands: readonly Value[]) => Value

/** The loops of one function. */
export const loopsIn = (w: Work): Loops => {
  const emitted = new Map<LoopBody, { readonly operands: string; readonly results: readonly Value[] }[]>()
  return (t, operands) => {
    const { op } = t
    if (op.op !== 'loop') throw new Error(`loopsIn: a ${op.op} is no loop`)
    const key = operands.map((x) => x.name).join()
    const all = emitted.get(op.body) ?? []
    emitted.set(op.body, all)
    let found = all.find((l) => l.operands === key)
    if (found === undefined) {
      // weights stay weights inside: what a product with one gives may be kept narrower
      const weights = new Set(t.inputs.flatMap((x, i) => (isWeight(x) ? [i + 1] : [])))
      const inside = { ...w, keptIn: keeping(w.precision, weights), dealt: (x: Value) => x }
      found = { operands: key, results: emitLoop(inside, op.times, op.body, operands) }
      all.push(found)
    }
    return found.results[op.of]!
  }
}

const emitLoop = (w: Work, times: number, body: LoopBody, operands: readonly Value[]): readonly Value[] => {
  const { g } = w
  const count = body.results.length
  const carried = body.results.map((t, i) => hlo.convert(g, operands[i]!, t.dtype))
  const captured = operands.slice(count)
  const first = [g.scalar('int32', 0), g.scalar('bool', 1), ...carried]
  const condition = g.region(first, ([i, going]) => [
    hlo.pointwise(g, 'stablehlo.and', hlo.compare(g, 'LT', i!, g.scalar('int32', times)), going!),
  ])
  const step = g.region(first, ([i, , ...now]) => {
    const given = [i!, ...now, ...captured]
    const values = new Map<Tensor, Value>()
    const loop = loopsIn(w)
    const roots = bodyRoots(body)
    for (const t of topological(roots, (x) => operandsUsed(w, x))) {
      g.blame(t)
      const own = operandsUsed(w, t).map((x) => values.get(x)!)
      values.set(
        t,
        t.op.op === 'argument' ? given[t.op.at]! : t.op.op === 'loop' ? loop(t, own) : emitNode(w, t, own),
      )
    }
    const results = body.results.map((t) => hlo.convert(g, values.get(t)!, t.dtype))
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
