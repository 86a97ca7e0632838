/** A contraction as one matrix product, batched or not, through the plan that both engines share. */
import { byRow, contractionPlan, type Op, type OperandPlan, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Ref } from './builder.ts'
import { permute, place, typeOf, type Work } from './value.ts'

/** An operand as the product takes it; `transposed` is the product's own flag. */
interface Operand extends Ref {
  readonly transposed: boolean
}

/**
 * An operand as the product takes it. Where it must be moved anyway, its innermost axis stays innermost, because that
 * moves whole rows; the product's own flag says which way round the matrix lies.
 */
const operandView = (
  w: Work,
  x: Ref,
  { perm, view, transposed }: OperandPlan,
  batchAxes: number,
  lastAxes: number,
): Operand => {
  if (perm === undefined) return { ...w.g.reshape(x, view), transposed }
  const lead = perm.slice(0, batchAxes)
  const first = perm.slice(batchAxes, perm.length - lastAxes)
  const second = perm.slice(perm.length - lastAxes)
  if (first.at(-1) !== x.shape.length - 1) return { ...w.g.reshape(permute(w, x, perm), view), transposed }
  const turned = permute(w, x, [...lead, ...second, ...first])
  const shape = [...view.slice(0, -2), view.at(-1)!, view.at(-2)!]
  return { ...w.g.reshape(turned, shape), transposed: !transposed }
}

/** The name of an operand with a dimension of size 1 at this place. */
const widened = (w: Work, x: Operand, at: number): string =>
  w.g.reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]).name

/** Lowers a contraction. */
export const contract = (
  w: Work,
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
    w,
    swapped ? rb! : ra!,
    plan.left,
    batch,
    plan.left.transposed ? free(plan.left) : sum,
  )
  const y = operandView(
    w,
    swapped ? ra! : rb!,
    plan.right,
    batch,
    plan.right.transposed ? sum : free(plan.right),
  )
  const rows = !x.transposed && byRow(plan)
  const name = plan.batched
    ? w.g.op('BatchMatMulV2', rows ? [widened(w, x, 2), widened(w, y, 1)] : [x.name, y.name], {
        T: typeOf('float32'),
        adj_x: attr.bool(x.transposed),
        adj_y: attr.bool(y.transposed),
      })
    : w.g.op('MatMul', [x.name, y.name], {
        T: typeOf('float32'),
        transpose_a: attr.bool(x.transposed),
        transpose_b: attr.bool(y.transposed),
      })
  const shape = [...(plan.batched ? [plan.batch] : []), plan.m, ...(rows ? [1] : []), plan.n]
  const produced = w.g.reshape({ name, dtype: 'float32', shape }, sizes(plan.produced))
  return plan.perm === undefined ? produced : permute(w, produced, plan.perm)
}
