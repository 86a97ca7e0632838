/** One node of the graph as TensorFlow's: by a pattern, by a composite's own operation, or by its row of the table. */
import { bodyOf, type Op, operandsOf, type Tensor } from '../../dsl/index.ts'
import type { Tabled } from '../lowering.ts'
import type { Builder, Ref } from './builder.ts'
import { natives } from './composites.ts'
import { operators } from './operators.ts'
import { type Match, match } from './patterns.ts'

/** Whether a composite is computed from its operands. */
export const isNative = (t: Tensor): boolean =>
  t.op.op === 'composite' && natives[t.op.kind]?.fits(t, t.op.settings) === true

const matches = new WeakMap<Tensor, { readonly found: Match | undefined }>()

const matchOf = (t: Tensor): Match | undefined => {
  const had = matches.get(t) ?? { found: match(t) }
  matches.set(t, had)
  return had.found
}

/** What a node is computed from. */
export const operandsUsed = (t: Tensor): readonly Tensor[] =>
  matchOf(t)?.operands ?? (t.op.op !== 'composite' ? t.inputs : isNative(t) ? operandsOf(t) : [bodyOf(t)])

type AnyRow = (g: Builder, t: Tensor, op: Op, operands: readonly Ref[]) => Ref

/** Emits a node that is no leaf and no loop. */
export const emitNode = (g: Builder, t: Tensor, operands: readonly Ref[]): Ref => {
  const { op } = t
  const found = matchOf(t)
  if (found !== undefined) return found.emit(g, operands)
  if (op.op !== 'composite') return (operators[op.op as Tabled] as AnyRow)(g, t, op, operands)
  return isNative(t) ? natives[op.kind]!.emit(g, t, operands) : operands[0]!
}
