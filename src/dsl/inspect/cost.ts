/**
 * What a graph costs: floating-point operations, parameters, bytes.
 *
 * | operation | FLOPs |
 * |---|---|
 * | `contract` | 2 · batch · m · n · k: a multiplication and an addition for each term of each sum |
 * | `unary` `binary` `compare` `logic` `select` | 1 for each element of the result, whatever the function |
 * | `reduce` `argmax` | 1 for each element of the input |
 * | `softmax` `logSoftmax` | 5 for each element: maximum, difference, exponential, sum, quotient |
 * | `contractChosen` | 2 · rows · n · k, however many matrices there are; all `outerChosen` of one choice together as much |
 * | `scatterAdd` | 1 for each element that is added |
 * | `loop` | what one step costs, `times` over, counted at the first of what it carries |
 * | leaves, casts, and whatever only moves elements | 0 |
 *
 * A composite costs what its body costs. Activation bytes are those of every intermediate result, 4 for float32 and int32
 * and 1 for bool: what is held where nothing is freed or fused, as training without recomputation comes near to. Leaves,
 * composites (their body's result) and reshapes (a view) hold none of their own.
 *
 * @since 0.1.0
 */
import { elements } from '../axis.ts'
import { type Dtype, findAxis, type Tensor, topological } from '../graph.ts'
import { bodyRoots } from '../loop.ts'

/** What a part of a graph costs in one evaluation. */
export interface Cost {
  /** Floating-point operations. */
  readonly flops: number
  /** Bytes of all intermediate results. */
  readonly activationBytes: number
}

/** What a graph costs, with its weights. */
export interface GraphCost extends Cost {
  /** Elements of the distinct states. */
  readonly parameters: number
  /** Bytes of the distinct states as float32, int32 or bool. */
  readonly parameterBytes: number
}

/** Which states count as parameters; by default all that the graph reads. */
export type IsParameter = (key: string) => boolean

/** Bytes of one element. */
export const elementBytes = (dtype: Dtype): number => (dtype === 'bool' ? 1 : 4)

/** Bytes of a tensor's elements. */
export const bytesOf = (t: Tensor): number => elements(t.axes) * elementBytes(t.dtype)

const softmaxFlops = 5

/** Floating-point operations of one node, without its inputs. @category cost */
export const flopsOf = (t: Tensor): number => {
  switch (t.op.op) {
    case 'contract':
      return 2 * elements(t.axes) * elements(t.op.over.map((n) => findAxis(t.inputs[0]!, n)!))
    case 'unary':
    case 'binary':
    case 'compare':
    case 'logic':
    case 'select':
      return elements(t.axes)
    case 'reduce':
    case 'argmax':
      return elements(t.inputs[0]!.axes)
    case 'softmax':
    case 'logSoftmax':
      return softmaxFlops * elements(t.axes)
    case 'contractChosen':
      return 2 * elements(t.axes) * findAxis(t.inputs[0]!, t.op.over)!.size
    case 'outerChosen':
      return (2 * elements(t.inputs[2]!.axes) * elements(t.axes)) / t.op.of
    case 'loop':
      return t.op.of === 0 ? t.op.times * cost(bodyRoots(t.op.body)).flops : 0
    case 'scatterAdd':
      return elements(t.inputs[1]!.axes)
    default:
      return 0
  }
}

/** Bytes that one node's result takes, 0 for leaves, composites and reshapes. @category cost */
export const activationBytesOf = (t: Tensor): number => {
  switch (t.op.op) {
    case 'input':
    case 'state':
    case 'constant':
    case 'iota':
    case 'argument':
    case 'composite':
    case 'reshape':
    case 'stopGradient':
      return 0
    default:
      return bytesOf(t)
  }
}

/**
 * The whole graph that the roots depend on. A state counts once, however often it is read.
 *
 * @category cost
 */
export const cost = (roots: readonly Tensor[], isParameter: IsParameter = () => true): GraphCost => {
  const keys = new Set<string>()
  const sum = { flops: 0, activationBytes: 0, parameters: 0, parameterBytes: 0 }
  for (const t of topological(roots)) {
    if (t.op.op === 'state') {
      if (keys.has(t.op.key) || !isParameter(t.op.key)) continue
      keys.add(t.op.key)
      sum.parameters += elements(t.axes)
      sum.parameterBytes += bytesOf(t)
    } else {
      sum.flops += flopsOf(t)
      sum.activationBytes += activationBytesOf(t)
    }
  }
  return sum
}
