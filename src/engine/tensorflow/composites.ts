/** Composites that TensorFlow computes in one operation; any other composite is lowered as its definition. */
import { elements, sizes } from '../../dsl/axis.ts'
import { operandsOf } from '../../dsl/composite.ts'
import { findAxis, type Settings, type Tensor } from '../../dsl/graph.ts'
import { attr } from '../proto/tensorflow.ts'
import { type Value, type Work, whole } from './operators.ts'

/** How one kind of composite runs natively. */
export interface Native {
  readonly fits: (t: Tensor, settings: Settings) => boolean
  /** `operands` are the composite's operands, without its body. */
  readonly emit: (w: Work, t: Tensor, operands: readonly Value[]) => Value
}

/** The class axis comes last, and the target has the axes before it, in order. */
const classesLast = (t: Tensor, settings: Settings): boolean => {
  const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
  const rows = logits.axes.slice(0, -1)
  return (
    logits.axes.at(-1)?.name === settings.axis &&
    target.axes.length === rows.length &&
    target.axes.every((a, i) => a.name === rows[i]!.name)
  )
}

/** One operation gives both the loss (output 0) and softmax − one-hot (output 1); it is shared by both composites. */
const sparseCrossEntropy = (output: 0 | 1): Native => ({
  fits: classesLast,
  emit: (w, t, [l, y]) => {
    const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
    const classes = logits.axes.at(-1)!.size
    const rows = elements(logits.axes.slice(0, -1))
    const x = w.g.reshape(whole(w, l!, logits.axes), [rows, classes])
    const labels = w.g.reshape(whole(w, y!, target.axes), [rows])
    const name = w.g.once(`crossEntropy ${x.name} ${labels.name}`, () =>
      w.g.op('SparseSoftmaxCrossEntropyWithLogits', [x.name, labels.name], {
        T: attr.type('float32'),
        Tlabels: attr.type('int32'),
      }),
    )
    const shape = output === 0 ? [rows] : [rows, classes]
    const ref = { name: output === 0 ? name : `${name}:1`, dtype: 'float32' as const, shape }
    return { ref: w.g.reshape(ref, sizes(t.axes)), axes: t.axes }
  },
})

/** The composites by kind. */
export const natives: Readonly<Record<string, Native>> = {
  crossEntropy: sparseCrossEntropy(0),
  crossEntropyGradient: sparseCrossEntropy(1),
  addN: {
    fits: (t) =>
      operandsOf(t).length > 0 && operandsOf(t).every((x) => x.axes.every((a) => findAxis(t, a.name))),
    emit: (w, t, operands) => {
      const parts = operands.map((v, i) => whole(w, v, operandsOf(t)[i]!.axes).name)
      const name = w.g.op('AddN', parts, { N: attr.int(parts.length), T: attr.type('float32') })
      return { ref: { name, dtype: t.dtype, shape: sizes(t.axes) }, axes: t.axes }
    },
  },
}
