/** A contraction as one matrix product, batched or not, through the plan that both engines share. */
import { byRow, contractionPlan, type Op, type OperandPlan, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'
import { permute, place } from './value.ts'

/** An operand as the product takes it; `transposed` is the product's own flag. */
interface Operand extends Ref {
  readonly transposed: boolean
}

/**
 * An operand as the product takes it. Where it must be moved anyway, its innermost axis stays innermost, because that
 * moves whole rows; the product's own flag says which way round the matrix lies.
 */
const operandView = (
  g: Builder,
  x: Ref,
  { perm, view, transposed }: OperandPlan,
  batchAxes: number,
  lastAxes: number,
): Operand => {
  if (perm === undefined) return { ...g.reshape(x, view), transposed }
  const lead = perm.slice(0, batchAxes)
  const first = perm.slice(batchAxes, perm.length - lastAxes)
  const second = perm.slice(perm.length - lastAxes)
  if (first.at(-1) !== x.shape.length - 1) return { ...g.reshape(permute(g, x, perm), view), transposed }
  const turned = permute(g, x, [...lead, ...second, ...first])
  const shape = [...view.slice(0, -2), view.at(-1)!, view.at(-2)!]
  return { ...g.reshape(turned, shape), transposed: !transposed }
}

/** The name of an operand with a dimension of size 1 at this place. */
const widened = (g: Builder, x: Operand, at: number): string =>
  g.reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]).name

/** Lowers a contraction. */
export const contract = (
  g: Builder,
  t: Tensor,
  op: Extract<Op, { op: 'contract' }>,
  [ra, rb]: readonly Ref[],
): Ref => {
  const plan = contractionPlan(t)
  const [ta, tb] = t.inputs as readonly [Tensor, Tensor]
  const swapped = plan.left.tensor !== ta
  const sum = op.over.length
  const batch = ta.axes.filter((x) => !op.over.includes(x.name) && place(tb.axes, x.name) >= 0).length
  const free = (side: OperandPlan): number => side.tensor.axes.length - batch - sum
  // the left matrix has the sum last unless it is transposed, the right one if it is
  const x = operandView(
    g,
    swapped ? rb! : ra!,
    plan.left,
    batch,
    plan.left.transposed ? free(plan.left) : sum,
  )
  const y = operandView(
    g,
    swapped ? ra! : rb!,
    plan.right,
    batch,
    plan.right.transposed ? sum : free(plan.right),
  )
  const rows = !x.transposed && byRow(plan)
  const name = plan.batched
    ? g.op('BatchMatMulV2', rows ? [widened(g, x, 2), widened(g, y, 1)] : [x.name, y.name], {
        T: attr.type('float32'),
        adj_x: attr.bool(x.transposed),
        adj_y: attr.bool(y.transposed),
      })
    : g.op('MatMul', [x.name, y.name], {
        T: attr.type('float32'),
        transpose_a: attr.bool(x.transposed),
        transpose_b: attr.bool(y.transposed),
      })
  const shape = [...(plan.batched ? [plan.batch] : []), plan.m, ...(rows ? [1] : []), plan.n]
  const produced = g.reshape({ name, dtype: 'float32', shape }, sizes(plan.produced))
  return plan.perm === undefined ? produced : permute(g, produced, plan.perm)
}
