/** What the lowerings to the three engines have in common. */
import type { LoopBody, Op, OpName, Tensor } from '../dsl/index.ts'

/** The operations that are a row of a lowering's table: leaves, composites and loops are not. */
export type Tabled = Exclude<OpName, 'input' | 'state' | 'composite' | 'loop' | 'argument'>

/** The operation of a loop's results. */
export type LoopOp = Extract<Op, { op: 'loop' }>

/** Emits loops, and answers a node's value from its operands'. */
export type Loops<V> = (t: Tensor, operands: readonly V[]) => V

/**
 * Emits a loop once for all its results.
 *
 * @param nameOf under what the values of operands are known
 * @param emit the values of all results
 */
export const loopsOnce = <V>(
  nameOf: (v: V) => string,
  emit: (op: LoopOp, operands: readonly V[], t: Tensor) => readonly V[],
): Loops<V> => {
  const emitted = new Map<LoopBody, Map<string, readonly V[]>>()
  return (t, operands) => {
    const op = t.op as LoopOp
    const known = emitted.get(op.body) ?? new Map<string, readonly V[]>()
    emitted.set(op.body, known)
    const names = operands.map(nameOf).join()
    const results = known.get(names) ?? emit(op, operands, t)
    known.set(names, results)
    return results[op.of]!
  }
}
