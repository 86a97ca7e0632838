/**
 * AdamW (Loshchilov & Hutter 2019) as graph: decoupled weight decay, bias-corrected moments.
 *
 * With t the number of this update: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
 * p ← p(1 − ηλ) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
 *
 * @since 0.1.0
 */
import {
  type Axis,
  add,
  cast,
  composite,
  div,
  GraphError,
  inside,
  mul,
  neg,
  type Site,
  scalar,
  showAxes,
  siteOf,
  sqrt,
  square,
  state,
  sub,
  type Tensor,
  tanh,
  zeros,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'

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
 * @param parameters float32 state leaves by key
 * @param gradients one for each parameter, with its axes: in the same order, or by the same keys
 * @param learningRate η, float32 rank 0
 * @throws GraphError `SizeMismatch`, `BadDtype`, `BadArgument` where a gradient is missing, left over or not of its
 *   parameter's axes, or a setting is out of its range; with the line that called
 * @category optimizers
 */
export const adamW = (
  parameters: ReadonlyMap<string, Tensor>,
  gradients: readonly Tensor[] | ReadonlyMap<string, Tensor>,
  learningRate: Tensor,
  settings: AdamWSettings = {},
): Update => {
  onlySettings('adamW', settings, ['beta1', 'beta2', 'epsilon', 'decay', 'decays', 'rate'])
  const site = siteOf(adamW)
  checkSettings(settings, learningRate, site)
  const byKey = paired(parameters, gradients, site)
  return inside(site, () => updated(parameters, byKey, learningRate, settings, site))
}

const number = (
  what: string,
  x: number,
  fits: (x: number) => boolean,
  allowed: string,
  site: Site,
): number => {
  if (typeof x === 'number' && Number.isFinite(x) && fits(x)) return x
  throw new GraphError('BadArgument', `adamW: ${what} is ${x}; give ${allowed}`, site)
}

const atLeastZero = (what: string, x: number, site: Site): number =>
  number(what, x, (v) => v >= 0, 'a finite number from 0 up', site)

const checkSettings = (s: AdamWSettings, learningRate: Tensor, site: Site): void => {
  const beta = (x: number): boolean => x >= 0 && x < 1
  if (s.beta1 !== undefined) number('beta1', s.beta1, beta, 'a number from 0 to below 1', site)
  if (s.beta2 !== undefined) number('beta2', s.beta2, beta, 'a number from 0 to below 1', site)
  if (s.epsilon !== undefined) number('epsilon', s.epsilon, (x) => x > 0, 'a finite number above 0', site)
  if (s.decay !== undefined && typeof s.decay !== 'function') atLeastZero('decay', s.decay, site)
  if (learningRate.dtype !== 'float32' || learningRate.axes.length > 0)
    throw new GraphError(
      'BadArgument',
      `adamW: the learning rate is ${learningRate.dtype} with ${showAxes(learningRate.axes)}; one float32 number is needed`,
      site,
      learningRate.axes,
    )
}

/** The gradients by key, each of the axes of its parameter. */
const paired = (
  parameters: ReadonlyMap<string, Tensor>,
  gradients: readonly Tensor[] | ReadonlyMap<string, Tensor>,
  site: Site,
): ReadonlyMap<string, Tensor> => {
  const keys = [...parameters.keys()]
  const given: ReadonlyMap<string, Tensor> =
    gradients instanceof Map
      ? gradients
      : new Map((gradients as readonly Tensor[]).map((g, i) => [keys[i] ?? `${i}`, g]))
  const [missing, extra] = [
    keys.find((k) => !given.has(k)),
    [...given.keys()].find((k) => !parameters.has(k)),
  ]
  if (missing !== undefined || extra !== undefined)
    throw new GraphError(
      'BadArgument',
      `adamW: there are ${keys.length} parameters and ${given.size} gradients; ${
        missing === undefined ? `the gradient '${extra}' has no parameter` : `'${missing}' has no gradient`
      }`,
      site,
    )
  for (const [key, p] of parameters) {
    const g = given.get(key)!
    if (p.op.op !== 'state' || p.op.key !== key)
      throw new GraphError(
        'BadArgument',
        `adamW: what is to be trained under '${key}' is no state of that key; give the leaves that parametersOf finds`,
        site,
        p.axes,
      )
    if (p.dtype !== 'float32' || g.dtype !== 'float32')
      throw new GraphError(
        'BadDtype',
        `adamW: the parameter '${key}' is ${p.dtype} and its gradient ${g.dtype}; both must be float32`,
        site,
        p.axes,
      )
    if (p.axes.length !== g.axes.length || !p.axes.every((a, i) => sameAxis(a, g.axes[i]!)))
      throw new GraphError(
        'SizeMismatch',
        `adamW: the parameter '${key}' has ${showAxes(p.axes)} and its gradient ${showAxes(g.axes)}; gradients come in the order of the parameters, each with its axes`,
        site,
        [...p.axes, ...g.axes],
      )
  }
  return given
}

const sameAxis = (a: Axis, b: Axis): boolean => a.name === b.name && a.size === b.size

const updated = (
  parameters: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
  learningRate: Tensor,
  settings: AdamWSettings,
  site: Site,
): Update => {
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = 0.1, rate = () => 1 } = settings
  const decaying = settings.decays ?? decays
  const step = add(state(StepKey, [], zeros, 'int32'), scalar(1, 'int32'))
  const t = cast(step, 'float32')
  const [c1, c2] = [correction(beta1, t), correction(beta2, t)]
  const next = new Map<string, Tensor>([[StepKey, step]])
  for (const [key, p] of parameters) {
    const g = gradients.get(key)!
    const factor = atLeastZero(`the factor on the learning rate of '${key}'`, rate(key), site)
    const eta: Tensor = factor === 1 ? learningRate : mul(learningRate, factor)
    const lambda = atLeastZero(
      `the decay of '${key}'`,
      typeof decay === 'function' ? decay(key, p) : decaying(key, p) ? decay : 0,
      site,
    )
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
