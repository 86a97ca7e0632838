/** A notation for formulas whose every node belongs to one line: `const { mul, sub } = notation(site)`. */
import type { Names } from './axis.ts'
import { binaryOf, castTo, compareOf, logicOf, selectOf, unaryOf } from './elementwise.ts'
import type { BinaryFn, Tensor, UnaryFn } from './graph.ts'
import { reduceOf } from './reduce.ts'
import type { Site } from './site.ts'

type Operand = Tensor | number

/** The functions of a formula, each of whose nodes has the site `s`. */
export const notation = (s: Site) => {
  const unary =
    (fn: UnaryFn) =>
    (x: Tensor): Tensor =>
      unaryOf(fn, x, s)
  const binary =
    (fn: BinaryFn) =>
    (a: Operand, b: Operand): Tensor =>
      binaryOf(fn, a, b, s)
  return {
    neg: unary('neg'),
    exp: unary('exp'),
    log: unary('log'),
    sin: unary('sin'),
    cos: unary('cos'),
    add: binary('add'),
    mul: binary('mul'),
    div: binary('div'),
    sub: binary('sub'),
    pow: binary('pow'),
    and: (a: Tensor, b: Tensor): Tensor => logicOf('and', a, b, s),
    equal: (a: Operand, b: Operand): Tensor => compareOf('equal', a, b, s),
    less: (a: Operand, b: Operand): Tensor => compareOf('less', a, b, s),
    lessEqual: (a: Operand, b: Operand): Tensor => compareOf('lessEqual', a, b, s),
    /** `a` where `c` holds, else `b`. */
    where: (c: Tensor, a: Operand, b: Operand): Tensor => selectOf(c, a, b, s),
    float: (x: Tensor): Tensor => castTo(x, 'float32', s),
    sum: (x: Tensor, over: Names): Tensor => reduceOf('sum', x, over, s),
  }
}
