/**
 * Composites that the runtime computes in one operation. A row answers undefined where this node does not fit the
 * operation; then the definition is lowered.
 */
import { sizes } from '../../dsl/axis.ts'
import { operandsOf } from '../../dsl/composite.ts'
import type { Settings, Tensor } from '../../dsl/graph.ts'
import { type Emitter, type Mode, runtimeDomain } from './emitter.ts'
import type { ValueOf } from './operators.ts'

/** How one kind of composite runs natively. */
export interface Native {
  /** Whether this node fits the operation. */
  readonly fits: (t: Tensor, settings: Settings, mode: Mode) => boolean
  readonly emit: (t: Tensor, settings: Settings, e: Emitter, value: ValueOf) => string
}

const lastIs = (t: Tensor, axis: unknown): boolean => t.axes.at(-1)?.name === axis

const always = (): boolean => true

/** The class axis comes last, and the target has the axes before it, in order. */
const fitsTarget = (t: Tensor, s: Settings): boolean => {
  const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
  return (
    lastIs(logits, s.axis) &&
    target.axes.length === logits.axes.length - 1 &&
    target.axes.every((a, i) => a.name === logits.axes[i]!.name)
  )
}

/** The composites by kind. */
export const natives: Readonly<Record<string, Native>> = {
  gelu: { fits: always, emit: (t, _s, e, value) => e.node('Gelu', operandsOf(t).map(value)) },
  geluTanh: {
    fits: always,
    emit: (t, _s, e, value) => e.node('Gelu', operandsOf(t).map(value), { approximate: 'tanh' }),
  },
  silu: {
    fits: (_t, _s, mode) => mode === 'run',
    emit: (t, _s, e, value) =>
      e.node('QuickGelu', operandsOf(t).map(value), { alpha: { float: 1 } }, { domain: runtimeDomain }),
  },
  rmsNorm: {
    fits: (t, s, mode) => mode === 'run' && lastIs(operandsOf(t)[0]!, s.axis) && lastIs(t, s.axis),
    emit: (t, s, e, value) =>
      e.node('SimplifiedLayerNormalization', operandsOf(t).map(value), {
        axis: -1,
        epsilon: { float: Number(s.epsilon) },
      }),
  },
  layerNorm: {
    fits: (t, s) => lastIs(operandsOf(t)[0]!, s.axis) && lastIs(t, s.axis),
    emit: (t, s, e, value) =>
      e.node('LayerNormalization', operandsOf(t).map(value), {
        axis: -1,
        epsilon: { float: Number(s.epsilon) },
      }),
  },
  crossEntropy: {
    fits: fitsTarget,
    emit: (t, _s, e, value) => {
      const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
      const index = targetIndex(logits, target, e, value)
      const picked = e.node('GatherElements', [logProbabilities(logits, e, value), index], { axis: -1 })
      const dims = [...sizes(logits.axes.slice(0, -1)), 1]
      return e.node('Neg', [e.reshape(picked, dims, sizes(t.axes))])
    },
  },
  crossEntropyGradient: {
    fits: fitsTarget,
    emit: (t, _s, e, value) => {
      const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
      const dims = [...sizes(logits.axes.slice(0, -1)), 1]
      const count = dims.reduce((n, d) => n * d, 1)
      return e.node(
        'ScatterElements',
        [
          e.node('Exp', [logProbabilities(logits, e, value)]),
          targetIndex(logits, target, e, value),
          e.constant('float32', dims, new Float32Array(count).fill(-1)),
        ],
        { axis: -1, reduction: 'add' },
      )
    },
  },
}

const targetIndex = (logits: Tensor, target: Tensor, e: Emitter, value: ValueOf): string =>
  e.reshape(value(target), sizes(target.axes), [...sizes(logits.axes.slice(0, -1)), 1])

const logProbabilities = (logits: Tensor, e: Emitter, value: ValueOf): string =>
  e.node('LogSoftmax', [value(logits)], { axis: -1 })
