/** One node of the graph as operations of StableHLO: by a composite's own form, or by its row of the table. */
import { bodyOf, type Op, operandsOf, type Tensor } from '../../dsl/index.ts'
import type { Tabled } from '../lowering.ts'
import { attention, attentionGradient } from './attention.ts'
import type { Value } from './builder.ts'
import { crossEntropy, crossEntropyGradient, type Native } from './composites.ts'
import { operators } from './operators.ts'
import type { Work } from './value.ts'

/** The composites by kind. */
const natives: Readonly<Record<string, Native>> = {
  attention,
  attentionGradient,
  crossEntropy,
  crossEntropyGradient,
}

const isNative = (w: Work, t: Tensor): boolean =>
  t.op.op === 'composite' && natives[t.op.kind]?.fits(t, t.op.settings, w) === true

/** What a node is computed from. */
export const operandsUsed = (w: Work, t: Tensor): readonly Tensor[] =>
  t.op.op !== 'composite' ? t.inputs : isNative(w, t) ? operandsOf(t) : [bodyOf(t)]

type AnyRow = (w: Work, t: Tensor, op: Op, operands: readonly Value[]) => Value

/** Emits a node that is no leaf and no loop. */
export const emitNode = (w: Work, t: Tensor, operands: readonly Value[]): Value => {
  const { op } = t
  if (op.op !== 'composite') return (operators[op.op as Tabled] as AnyRow)(w, t, op, operands)
  return isNative(w, t) ? natives[op.kind]!.emit(w, t, operands) : operands[0]!
}
