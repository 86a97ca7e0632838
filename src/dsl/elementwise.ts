/** Elementwise operations. Operands meet by axis name: an axis that one of them lacks is broadcast. */
import type { Axis, Names } from './axis.ts'
import { sizeMismatch } from './axis-error.ts'
import { GraphError } from './error.ts'
import {
  type BinaryFn,
  type CompareFn,
  type Dtype,
  type LogicFn,
  node,
  type Tensor,
  type UnaryFn,
} from './graph.ts'
import { scalarOf } from './leaves.ts'
import type { Joined } from './names.ts'
import { onlyTensors } from './only-tensors.ts'
import { alignedTo } from './shape.ts'
import { type Site, siteOf } from './site.ts'

type Operand<N extends Names> = Tensor<N> | number

/** Two operands as tensors: a number becomes one of the other's dtype. */
const lifted = (a: Tensor | number, b: Tensor | number, site: Site): readonly [Tensor, Tensor] => {
  const dtype = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32'
  const lift = (x: Tensor | number): Tensor => (typeof x === 'number' ? scalarOf(x, dtype, site) : x)
  return [lift(a), lift(b)]
}

/** The axes under which two operands meet: `Joined` of the type system, on axes. */
const joinedAxes = (what: string, a: readonly Axis[], b: readonly Axis[], site: Site): readonly Axis[] => {
  const own: Axis[] = []
  for (const x of b) {
    const had = a.find((y) => y.name === x.name)
    if (had === undefined) own.push(x)
    else if (had.size !== x.size) throw sizeMismatch(what, had, x, site)
  }
  return a.every((x) => b.some((y) => y.name === x.name)) && own.length > 0 ? b : [...a, ...own]
}

/** Any elementwise binary node, for builders and adjoints. */
export const binaryOf = (fn: BinaryFn, a: Tensor | number, b: Tensor | number, site: Site): Tensor => {
  onlyTensors(fn, [a, b], site)
  const [x, y] = lifted(a, b, site)
  if (x.dtype !== y.dtype || x.dtype === 'bool')
    throw new GraphError('BadDtype', `${fn}: ${x.dtype} and ${y.dtype}; cast one of them`, site, [
      ...x.axes,
      ...y.axes,
    ])
  if ((fn === 'div' || fn === 'pow') && x.dtype !== 'float32')
    throw new GraphError('BadDtype', `${fn}: ${x.dtype} where float32 is needed; cast it`, site, [
      ...x.axes,
      ...y.axes,
    ])
  const axes = joinedAxes(fn, x.axes, y.axes, site)
  return node({ op: 'binary', fn }, [alignedTo(x, axes, site), alignedTo(y, axes, site)], axes, x.dtype, site)
}

/** Any elementwise unary node, for builders and adjoints. */
export const unaryOf = (fn: UnaryFn, x: Tensor, site: Site): Tensor => {
  onlyTensors(fn, [x], site, false)
  const wanted = fn === 'not' ? ['bool'] : fn === 'neg' || fn === 'abs' ? ['float32', 'int32'] : ['float32']
  if (!wanted.includes(x.dtype))
    throw new GraphError(
      'BadDtype',
      `${fn}: ${x.dtype} where ${wanted.join(' or ')} is needed; ${fn === 'not' ? 'compare it first, as equal(x, 0) does' : 'cast it'}`,
      site,
      x.axes,
    )
  return node({ op: 'unary', fn }, [x], x.axes, x.dtype, site)
}

/** Any comparison node; flipped, of b with a, with the axes in the order of a and b all the same. */
export const compareOf = (
  fn: CompareFn,
  a: Tensor | number,
  b: Tensor | number,
  site: Site,
  flip = false,
): Tensor => {
  onlyTensors(fn, [a, b], site)
  const [x, y] = lifted(a, b, site)
  const both = [...x.axes, ...y.axes]
  if (x.dtype !== y.dtype)
    throw new GraphError('BadDtype', `${fn}: ${x.dtype} against ${y.dtype}; cast one of them`, site, both)
  if (fn !== 'equal' && x.dtype === 'bool')
    throw new GraphError('BadDtype', `${fn}: bools have no order; cast them to int32`, site, both)
  const axes = joinedAxes(fn, x.axes, y.axes, site)
  const operands = (flip ? [y, x] : [x, y]).map((t) => alignedTo(t, axes, site))
  return node({ op: 'compare', fn }, operands, axes, 'bool', site)
}

/** Any choice node. */
export const selectOf = (condition: Tensor, a: Tensor | number, b: Tensor | number, site: Site): Tensor => {
  onlyTensors('select', [condition], site, false)
  onlyTensors('select', [a, b], site)
  const [x, y] = lifted(a, b, site)
  if (condition.dtype !== 'bool' || x.dtype !== y.dtype)
    throw new GraphError(
      'BadDtype',
      `select: the condition is ${condition.dtype}, the choices are ${x.dtype} and ${y.dtype}; a bool and one dtype are needed`,
      site,
      condition.axes,
    )
  const axes = joinedAxes('select', joinedAxes('select', x.axes, y.axes, site), condition.axes, site)
  return node(
    { op: 'select' },
    [condition, x, y].map((t) => alignedTo(t, axes, site)),
    axes,
    x.dtype,
    site,
  )
}

/** Any cast node. */
export const castTo = (x: Tensor, dtype: Dtype, site: Site): Tensor =>
  x.dtype === dtype ? x : node({ op: 'cast' }, [x], x.axes, dtype, site)

type Binary = <A extends Names = readonly [], B extends Names = readonly []>(
  a: Operand<A>,
  b: Operand<B>,
) => Tensor<Joined<A, B>>

const binary = (fn: BinaryFn): Binary => {
  const op = ((a: Tensor | number, b: Tensor | number) => binaryOf(fn, a, b, siteOf(op as never))) as Binary
  return op
}

/** a + b. @category elementwise */
export const add = binary('add')
/** a − b. @category elementwise */
export const sub = binary('sub')
/** a · b. @category elementwise */
export const mul = binary('mul')
/** a / b, float32. @category elementwise */
export const div = binary('div')
/** The larger; a tie shares the gradient in equal parts. @category elementwise */
export const maximum = binary('max')
/** The smaller; a tie shares the gradient in equal parts. @category elementwise */
export const minimum = binary('min')
/** aᵇ, float32; 0⁰ is 1. NaN where a is negative and b no whole number. @category elementwise */
export const pow = binary('pow')

type Unary = <N extends Names>(x: Tensor<N>) => Tensor<N>

const unary = (fn: UnaryFn): Unary => {
  const op = ((x: Tensor) => unaryOf(fn, x, siteOf(op as never))) as Unary
  return op
}

/** −x. @category elementwise */
export const neg = unary('neg')
/** eˣ. @category elementwise */
export const exp = unary('exp')
/** ln x. @category elementwise */
export const log = unary('log')
/** √x; its gradient at 0 is infinite. @category elementwise */
export const sqrt = unary('sqrt')
/** 1 / √x. @category elementwise */
export const rsqrt = unary('rsqrt')
/** Hyperbolic tangent. @category elementwise */
export const tanh = unary('tanh')
/** The error function. @category elementwise */
export const erf = unary('erf')
/** 1 / (1 + e⁻ˣ). @category elementwise */
export const sigmoid = unary('sigmoid')
/** Sine, radians. @category elementwise */
export const sin = unary('sin')
/** Cosine, radians. @category elementwise */
export const cos = unary('cos')
/** |x|; its gradient at 0 is 0. @category elementwise */
export const abs = unary('abs')
/** The next whole number below; no gradient. @category elementwise */
export const floor = unary('floor')
/** Logical not. @category elementwise */
export const not = unary('not')

const compare = (fn: CompareFn, flip = false): Binary => {
  const op = ((a: Tensor | number, b: Tensor | number) =>
    compareOf(fn, a, b, siteOf(op as never), flip)) as Binary
  return op
}

/** a = b, bool. @category elementwise */
export const equal = compare('equal')
/** a < b, bool. @category elementwise */
export const less = compare('less')
/** a ≤ b, bool. @category elementwise */
export const lessEqual = compare('lessEqual')
/** a > b, bool. @category elementwise */
export const greater = compare('less', true)
/** a ≥ b, bool. @category elementwise */
export const greaterEqual = compare('lessEqual', true)

/** Any node of two bools. */
export const logicOf = (fn: LogicFn, a: Tensor, b: Tensor, site: Site): Tensor => {
  if (a.dtype !== 'bool' || b.dtype !== 'bool')
    throw new GraphError(
      'BadDtype',
      `${fn}: ${a.dtype} and ${b.dtype} where bools are needed; compare them first, as greater(x, 0) does`,
      site,
      [...a.axes, ...b.axes],
    )
  const axes = joinedAxes(fn, a.axes, b.axes, site)
  return node({ op: 'logic', fn }, [alignedTo(a, axes, site), alignedTo(b, axes, site)], axes, 'bool', site)
}

const logic = (fn: LogicFn) => {
  const op = <A extends Names, B extends Names>(a: Tensor<A>, b: Tensor<B>): Tensor<Joined<A, B>> =>
    logicOf(fn, a, b, siteOf(op as never)) as Tensor<Joined<A, B>>
  return op
}

/** Both. @category elementwise */
export const and = logic('and')
/** Either. @category elementwise */
export const or = logic('or')

/**
 * `a` where the condition holds, else `b`; all three meet by name.
 *
 * @throws GraphError `BadDtype`, `SizeMismatch`
 * @category elementwise
 */
export const select = <C extends Names, A extends Names = readonly [], B extends Names = readonly []>(
  condition: Tensor<C>,
  a: Operand<A>,
  b: Operand<B>,
): Tensor<Joined<Joined<A, B>, C>> =>
  selectOf(condition, a, b, siteOf(select)) as Tensor<Joined<Joined<A, B>, C>>

/** To another dtype: float → int truncates, bool → number gives 0 and 1. @category elementwise */
export const cast = <N extends Names>(x: Tensor<N>, dtype: Dtype): Tensor<N> =>
  castTo(x, dtype, siteOf(cast)) as Tensor<N>

/** The same value, through which no gradient flows. @category elementwise */
export const stopGradient = <N extends Names>(x: Tensor<N>): Tensor<N> =>
  node({ op: 'stopGradient' }, [x], x.axes, x.dtype, siteOf(stopGradient)) as Tensor<N>

/** x². @category elementwise */
export const square = <N extends Names>(x: Tensor<N>): Tensor<N> =>
  binaryOf('mul', x, x, siteOf(square)) as Tensor<N>
