/** One node of the graph as operations of StableHLO: by a composite's own form, or by its row of the table. */
import { bodyOf, type Op, operandsOf, type Tensor } from '../../dsl/index.ts'
import type { Value } from './builder.ts'
import { natives } from './composites.ts'
import { operators, type Tabled } from './operators.ts'
import type { Work } from './value.ts'

const isNative = (t: Tensor): boolean =>
  t.op.op === 'composite' && natives[t.op.kind]?.fits(t, t.op.settings) === true

/** What a node is computed from. */
export const operandsUsed = (t: Tensor): readonly Tensor[] =>
  t.op.op !== 'composite' ? t.inputs : isNative(t) ? operandsOf(t) : [bodyOf(t)]

type AnyRow = (w: Work, t: Tensor, op: Op, operands: readonly Value[]) => Value

/** Emits a node that is no leaf and no loop. */
export const emitNode = (w: Work, t: Tensor, operands: readonly Value[]): Value => {
  const { op } = t
  if (op.op !== 'composite') return (operators[op.op as Tabled] as AnyRow)(w, t, op, operands)
  return isNative(t) ? natives[op.kind]!.emit(w, t, operands) : operands[0]!
}
