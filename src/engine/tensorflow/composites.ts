/** Composites that run better than their definition; any other composite is lowered as its definition. */
import { elements, operandsOf, type Settings, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'
import { resultOf } from './value.ts'

/** How one kind of composite runs natively. */
export interface Native {
  readonly fits: (t: Tensor, settings: Settings) => boolean
  /** `operands` are the composite's operands, without its body. */
  readonly emit: (g: Builder, t: Tensor, operands: readonly Ref[]) => Ref
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

/**
 * What both cross-entropies share: log-softmax of the logits as rows × classes, and where each row's target stands.
 * `SparseSoftmaxCrossEntropyWithLogits` computes the same in one operation, and is four times slower on a processor.
 */
const targets = (g: Builder, t: Tensor, [l, y]: readonly Ref[]) => {
  const [logits] = operandsOf(t) as readonly [Tensor, Tensor]
  const classes = logits.axes.at(-1)!.size
  const rows = elements(logits.axes.slice(0, -1))
  const x = g.reshape(l!, [rows, classes])
  const column = g.reshape(y!, [rows, 1])
  return {
    rows,
    classes,
    logP: g.once(`logSoftmax ${x.name}`, () => g.op('LogSoftmax', [x.name], { T: attr.type('float32') })),
    places: g.once(`places ${column.name}`, () => {
      const row = g.constant(
        'int32',
        [rows, 1],
        Int32Array.from({ length: rows }, (_, i) => i),
      )
      return g.op('ConcatV2', [row.name, column.name, g.int(1)], {
        N: attr.int(2),
        T: attr.type('int32'),
        Tidx: attr.type('int32'),
      })
    }),
  }
}

const crossEntropy: Native = {
  fits: classesLast,
  emit: (g, t, operands) => {
    const { rows, logP, places } = targets(g, t, operands)
    const picked = g.op('GatherNd', [logP, places], {
      Tparams: attr.type('float32'),
      Tindices: attr.type('int32'),
    })
    const name = g.op('Neg', [picked], { T: attr.type('float32') })
    return g.reshape({ name, dtype: 'float32', shape: [rows] }, sizes(t.axes))
  },
}

const crossEntropyGradient: Native = {
  fits: classesLast,
  emit: (g, t, operands) => {
    const { rows, classes, logP, places } = targets(g, t, operands)
    const ones = g.constant('float32', [rows], new Float32Array(rows).fill(1))
    const p = g.op('Exp', [logP], { T: attr.type('float32') })
    const name = g.op('TensorScatterSub', [p, places, ones.name], {
      T: attr.type('float32'),
      Tindices: attr.type('int32'),
    })
    return g.reshape({ name, dtype: 'float32', shape: [rows, classes] }, sizes(t.axes))
  },
}

/** The composites by kind. */
export const natives: Readonly<Record<string, Native>> = {
  crossEntropy,
  crossEntropyGradient,
  after: {
    fits: () => true,
    emit: (g, t, [x, ...before]) => {
      const name = g.op('Identity', [x!.name], { T: attr.type(t.dtype) })
      g.after(name, ...before.map((b) => b.name))
      return resultOf(t, name)
    },
  },
  addN: {
    fits: (t) =>
      t.dtype === 'float32' &&
      operandsOf(t).length > 0 &&
      operandsOf(t).every((x) => x.names.join('\u0001') === t.names.join('\u0001')),
    emit: (g, t, operands) => {
      const parts = operands.map((x) => x.name)
      return resultOf(t, g.op('AddN', parts, { N: attr.int(parts.length), T: attr.type('float32') }))
    },
  },
}
