/**
 * A written answer as a tree.
 *
 * @since 0.1.0
 */
import type { Rational } from './rational.ts'

/** A function of numbers. `log` has its base as second argument, `root` its degree. */
export type Fn = (typeof functionNames)[number]

export const functionNames = [
  ...(['sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'arcsin', 'arccos', 'arctan'] as const),
  ...(['sinh', 'cosh', 'tanh', 'ln', 'log', 'exp', 'sqrt', 'root', 'abs', 'floor', 'ceil'] as const),
  ...(['factorial', 'binomial', 'min', 'max'] as const),
] as const

/** How two sides compare. */
export type Relation = '=' | '<' | '>' | '<=' | '>=' | '!=' | 'in'

/** A number or an expression in symbols. */
export type Scalar =
  | { readonly t: 'number'; readonly value: Rational; readonly decimal: boolean }
  | { readonly t: 'symbol'; readonly name: string }
  | { readonly t: 'constant'; readonly name: 'pi' | 'e' | 'i' | 'infinity' }
  | { readonly t: 'sum' | 'product'; readonly of: readonly Node[] }
  | { readonly t: 'negative' | 'percent' | 'degrees'; readonly of: Node }
  | { readonly t: 'quotient' | 'power'; readonly a: Node; readonly b: Node }
  | { readonly t: 'call'; readonly fn: Fn; readonly of: readonly Node[] }
  /** `a ± b` */
  | { readonly t: 'plusMinus'; readonly a: Node | undefined; readonly b: Node }

/** Several of them. */
type Structured =
  /** A tuple, or an interval of two ends. */
  | { readonly t: 'tuple'; readonly open: '(' | '['; readonly close: ')' | ']'; readonly of: readonly Node[] }
  | { readonly t: 'set' | 'list' | 'union' | 'intersection'; readonly of: readonly Node[] }
  /** All numbers but those of a set. */
  | { readonly t: 'complement'; readonly of: Node }
  | { readonly t: 'matrix'; readonly rows: readonly (readonly Node[])[] }
  | { readonly t: 'relation'; readonly by: readonly Relation[]; readonly of: readonly Node[] }
  /** `a:b:c` */
  | { readonly t: 'ratio'; readonly of: readonly Node[] }
  /** `a (mod m)`, or an equation so */
  | { readonly t: 'modulo'; readonly a: Node; readonly b: Node }
  /** All numbers of a kind, by their letter: `R`, `Z`. */
  | { readonly t: 'numbers'; readonly name: string }

/** A node of the tree. */
export type Node = Scalar | Structured

/** The nodes right below a node. */
export const childrenOf = (node: Node): readonly Node[] => {
  switch (node.t) {
    case 'negative':
    case 'percent':
    case 'degrees':
    case 'complement':
      return [node.of]
    case 'quotient':
    case 'power':
    case 'modulo':
      return [node.a, node.b]
    case 'plusMinus':
      return node.a === undefined ? [node.b] : [node.a, node.b]
    case 'matrix':
      return node.rows.flat()
    case 'number':
    case 'symbol':
    case 'constant':
    case 'numbers':
      return []
    default:
      return node.of
  }
}

/** Whether a node or one below it is so. */
export const has = (node: Node, test: (n: Node) => boolean): boolean =>
  test(node) || childrenOf(node).some((child) => has(child, test))

/** The names of a tree's symbols. */
export const symbolsOf = (node: Node, into: Set<string> = new Set()): ReadonlySet<string> => {
  if (node.t === 'symbol') into.add(node.name)
  for (const child of childrenOf(node)) symbolsOf(child, into)
  return into
}

const structured = new Set(
  'tuple set list union intersection complement matrix relation ratio modulo numbers'.split(' '),
)

/** Whether the tree is one number or expression. */
export const isScalar = (node: Node): boolean => !has(node, (n) => structured.has(n.t) || n.t === 'plusMinus')
