/**
 * The exponential moving average of weights, as graph: states `ema.<key>` beside the weights.
 *
 * With p the weight after update t (from 0): e ← d e + (1 − d) p, where d is the decay, or with warm-up
 * min(decay, (1 + t) / (10 + t)), as TensorFlow's `ExponentialMovingAverage` does with `num_updates`. Before the first
 * update the average is the weight as it is then, be it fresh or loaded.
 *
 * @since 0.1.0
 */
import {
  add,
  cast,
  div,
  equal,
  GraphError,
  maximum,
  mul,
  scalar,
  select,
  siteOf,
  state,
  sub,
  type Tensor,
  zeros,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'

/** Settings of {@link ema}. */
export interface EmaSettings {
  /** From 0 to below 1; 0.999 averages over about a thousand updates. */
  readonly decay: number
  /** Whether the decay rises from 0.1 while updates are few. Default true. */
  readonly warmup?: boolean
}

/** The state's key that counts updates of the averages. */
export const EmaStepKey = 'ema_step'
/** The key of a weight's average. */
export const emaKey = (key: string): string => `ema.${key}`
/** Whether a state belongs to the averages. */
export const isEmaKey = (key: string): boolean => key === EmaStepKey || key.startsWith('ema.')

/**
 * One update of the averages: what to add to a step's `next`.
 *
 * @example
 * import { axis, fixed, input, parameter, parametersOf, program, square, total, zeros } from 'sailwright/dsl'
 *
 * const weights = new Map([['w', parameter('w', [axis('row', 2)], zeros)]])
 * // what an optimizer gives
 * const moved = new Map([['w', input('moved', [axis('row', 2)])]])
 * const next = new Map([...moved, ...ema(weights, moved, { decay: 0.999 })])
 * Array.from(next.keys()) // ['w', 'ema_step', 'ema.w']
 *
 * @param parameters the weights to be averaged, state leaves by key
 * @param next the step's own next values; a weight that is not among them stays, and its average comes closer to it
 * @throws GraphError `BadArgument` where the decay is out of its range; `KeyConflict` where a weight has a key of the averages
 * @category optimizers
 */
export const ema = (
  parameters: ReadonlyMap<string, Tensor>,
  next: ReadonlyMap<string, Tensor>,
  settings: EmaSettings,
): ReadonlyMap<string, Tensor> => {
  onlySettings('ema', settings, ['decay', 'warmup'])
  const site = siteOf(ema)
  const { decay, warmup = true } = settings
  if (!(typeof decay === 'number' && decay >= 0 && decay < 1))
    throw new GraphError('BadArgument', `ema: decay is ${decay}; give a number from 0 to below 1`, site)
  const taken = [...parameters.keys()].find(isEmaKey)
  if (taken !== undefined)
    throw new GraphError(
      'KeyConflict',
      `ema: '${taken}' is the key of an average; average weights only`,
      site,
    )
  const step = state(EmaStepKey, [], zeros, 'int32')
  // 1 − (1 + t) / (10 + t) = 9 / (10 + t): nothing is lost to rounding
  const weight: Tensor = warmup
    ? maximum(1 - decay, div(9, add(cast(step, 'float32'), 10)))
    : scalar(1 - decay)
  const out = new Map<string, Tensor>([[EmaStepKey, add(step, scalar(1, 'int32'))]])
  for (const [key, p] of parameters) {
    const before = select(equal(step, 0), p, state(emaKey(key), p.axes, zeros))
    out.set(emaKey(key), add(before, mul(sub(next.get(key) ?? p, before), weight)))
  }
  return out
}
