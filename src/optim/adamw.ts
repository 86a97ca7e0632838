/**
 * AdamW (Loshchilov & Hutter 2019) as graph: decoupled weight decay, bias-corrected moments.
 *
 * With t the number of this update: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
 * p ← p(1 − ηλ) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
 *
 * @since 0.1.0
 */
import {
  add,
  cast,
  composite,
  div,
  inside,
  mul,
  neg,
  scalar,
  siteOf,
  sqrt,
  square,
  state,
  sub,
  type Tensor,
  tanh,
  zeros,
} from '../dsl/index.ts'

/** Settings of one AdamW. */
export interface AdamWSettings {
  /** Default 0.9. */
  readonly beta1?: number
  /** Default 0.95, as language models are trained. */
  readonly beta2?: number
  /** Default 1e-8. */
  readonly epsilon?: number
  /** Decoupled decay λ, of what {@link decays}; or λ by key. Default 0.1. */
  readonly decay?: number | ((key: string, t: Tensor) => number)
  /** Which parameters decay; default {@link decays}: no norms, biases or positions. */
  readonly decays?: (key: string, t: Tensor) => boolean
  /** A factor on the learning rate for a parameter, by key; default 1 for all. */
  readonly rate?: (key: string) => number
}

/** The state's key that counts updates. */
export const StepKey = 'optimizer.step'
/** The first moment's key of a parameter, as PyTorch calls it. */
export const firstMomentKey = (key: string): string => `optimizer.exp_avg.${key}`
/** The second moment's key of a parameter. */
export const secondMomentKey = (key: string): string => `optimizer.exp_avg_sq.${key}`
/** Whether a state belongs to the optimizer and not to the model. */
export const isOptimizerKey = (key: string): boolean => key.startsWith('optimizer.')

/** Whether weight decay applies: to matrices, not to norms, biases or learned positions (one axis longer than 1, or `pos_embed`). */
export const decays = (key: string, t: Tensor): boolean =>
  t.axes.filter((a) => a.size > 1).length >= 2 && !key.endsWith('pos_embed')

/**
 * 1 − βᵗ without cancellation: −expm1(t ln β), with expm1(x) = 2 tanh(x/2) / (1 − tanh(x/2)).
 *
 * @param t float32 rank 0
 */
const correction = (beta: number, t: Tensor): Tensor => {
  const h = tanh(mul(t, Math.log(beta) / 2))
  return neg(div(mul(h, 2), sub(1, h)))
}

/** What one update gives. */
export interface Update {
  /** Next values of the parameters, their moments and the step counter, by key. */
  readonly next: ReadonlyMap<string, Tensor>
}

/**
 * One update of all parameters.
 *
 * @example
 * import { axis, fixed, gradient, input, parameter, parametersOf, program, square, total, zeros } from 'sailwright/dsl'
 *
 * const loss = total(square(parameter('weight', [axis('row', 2)], zeros)))
 * const weights = parametersOf(loss)
 * const { next } = adamW(weights, gradient(loss, [...weights.values()]), input('learning_rate', []))
 * const learner = program({ name: 'learner', functions: { step: fixed(() => ({ outputs: { loss }, next })) } })
 * Array.from(next.keys()) // ['optimizer.step', 'weight', 'optimizer.exp_avg.weight', 'optimizer.exp_avg_sq.weight']
 *
 * @param parameters state leaves by key
 * @param gradients one for each parameter, with its axes, in the same order
 * @param learningRate η, float32 rank 0
 * @category optimizers
 */
export const adamW = (
  parameters: ReadonlyMap<string, Tensor>,
  gradients: readonly Tensor[],
  learningRate: Tensor,
  settings: AdamWSettings = {},
): Update => inside(siteOf(adamW), () => updated(parameters, gradients, learningRate, settings))

const updated = (
  parameters: ReadonlyMap<string, Tensor>,
  gradients: readonly Tensor[],
  learningRate: Tensor,
  settings: AdamWSettings,
): Update => {
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = 0.1, rate = () => 1 } = settings
  const decaying = settings.decays ?? decays
  const step = add(state(StepKey, [], zeros, 'int32'), scalar(1, 'int32'))
  const t = cast(step, 'float32')
  const [c1, c2] = [correction(beta1, t), correction(beta2, t)]
  const next = new Map<string, Tensor>([[StepKey, step]])
  let i = 0
  for (const [key, p] of parameters) {
    const g = gradients[i++]!
    const factor = rate(key)
    const eta: Tensor = factor === 1 ? learningRate : mul(learningRate, factor)
    const lambda = typeof decay === 'function' ? decay(key, p) : decaying(key, p) ? decay : 0
    const m0 = state(firstMomentKey(key), p.axes, zeros)
    const v0 = state(secondMomentKey(key), p.axes, zeros)
    const m1 = add(mul(m0, beta1), mul(g, 1 - beta1))
    const v1 = add(mul(v0, beta2), mul(square(g), 1 - beta2))
    const moved = div(mul(eta, div(m1, c1)), add(sqrt(div(v1, c2)), epsilon))
    const p1 = sub(lambda === 0 ? p : mul(p, sub(1, mul(eta, lambda))), moved)
    const part = (name: 'parameter' | 'first' | 'second', body: Tensor): Tensor =>
      composite('adamW', { part: name, beta1, beta2, epsilon, decay: lambda }, body, [
        p,
        m0,
        v0,
        g,
        eta,
        c1,
        c2,
      ])
    next.set(key, part('parameter', p1))
    next.set(firstMomentKey(key), part('first', m1))
    next.set(secondMomentKey(key), part('second', v1))
  }
  return { next }
}
