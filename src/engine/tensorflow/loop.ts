/**
 * A loop as TensorFlow's own nodes of control: what is carried goes around through `Merge`, `Switch` and `NextIteration`
 * in a frame of its own. No function has to be named, and the nodes of the body are those of any graph.
 */
import { bodyRoots, type LoopBody, sizes, type Tensor, topological } from '../../dsl/index.ts'
import { type Loops, loopsOnce } from '../lowering.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'
import { emitNode, operandsUsed } from './node.ts'

/** The loops of one variant; the nodes of one loop are one loop. */
export const loopsIn = (g: Builder): Loops<Ref> =>
  loopsOnce(
    (x) => x.name,
    ({ times, body }, operands) => g.frame('loop', () => emitLoop(g, times, body, operands)),
  )

/** One value that goes around: its place at the beginning of a step, and how the next one gets it. */
interface Round {
  readonly merge: string
  readonly ref: Ref
}

const emitLoop = (g: Builder, times: number, body: LoopBody, operands: readonly Ref[]): readonly Ref[] => {
  const count = body.results.length
  const around = (first: Ref): Round => {
    const entered = g.enter(first, 'first').name
    // the second input is the end of the step, which is not there yet
    const merge = g.op('Merge', [entered, entered], { T: attr.type(first.dtype), N: attr.int(2) })
    return { merge, ref: first }
  }
  const int = { T: attr.type('int32') }
  const counter = around(g.constant('int32', [], Int32Array.of(0)))
  const going = body.done === undefined ? undefined : around(g.constant('bool', [], Uint8Array.of(1)))
  const carried = operands.slice(0, count).map(around)
  const more = g.op('Less', [counter.merge, g.int(times)], int)
  const condition = g.op('LoopCond', [going === undefined ? more : g.op('LogicalAnd', [more, going.merge])])
  /** Out of the loop, or into a step. */
  const ways = ({ merge, ref }: Round) => {
    const name = g.op('Switch', [merge, condition], { T: attr.type(ref.dtype) })
    const type = { T: attr.type(ref.dtype) }
    return { out: name, inside: { ...ref, name: g.op('Identity', [`${name}:1`], type) } }
  }
  const again = ({ merge, ref }: Round, name: string): void =>
    g.rewire(merge, 1, g.op('NextIteration', [name], { T: attr.type(ref.dtype) }))

  const i = ways(counter)
  const steps = carried.map(ways)
  const captured = operands.slice(count).map((x) => g.enter(x, 'every'))
  const given = [i.inside, ...steps.map((s) => s.inside), ...captured]
  const values = new Map<Tensor, Ref>()
  const loop = loopsIn(g)
  const roots = bodyRoots(body)
  for (const t of topological(roots, operandsUsed)) {
    g.blame(t)
    const own = operandsUsed(t).map((x) => values.get(x)!)
    values.set(
      t,
      t.op.op === 'argument' ? given[t.op.at]! : t.op.op === 'loop' ? loop(t, own) : emitNode(g, t, own),
    )
  }
  // what is read from outside is there in every step: a step that is not taken must give nothing to a next one
  const inFrame = (t: Tensor): string => {
    const name = g.op('Identity', [values.get(t)!.name], { T: attr.type(t.dtype) })
    g.after(name, i.inside.name)
    return name
  }
  again(counter, g.op('AddV2', [i.inside.name, g.int(1)], int))
  if (going !== undefined) again(going, g.op('LogicalNot', [inFrame(body.done!)]))
  carried.forEach((c, k) => {
    again(c, inFrame(body.results[k]!))
  })
  return steps.map(({ out }, k) => {
    const { dtype, axes } = body.results[k]!
    return g.leave({ name: out, dtype, shape: sizes(axes) })
  })
}
