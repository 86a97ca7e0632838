/** Feed-forward blocks. */
import { pipe } from 'fp-ts/lib/function.js'
import { onlySettings } from '../../settings/index.ts'
import type { Axis } from '../axis.ts'
import { mul } from '../elementwise.ts'
import { andThen, at, fanout, type Layer, merged, named } from '../layer.ts'
import { gelu, silu } from './activation.ts'
import { linear } from './linear.ts'

/** Names of the three maps of a {@link swiGlu}. */
export interface SwiGluNames {
  readonly gate: string
  readonly up: string
  readonly down: string
}

/**
 * SwiGLU (Shazeer 2020): down(silu(gate x) · up x), no biases. Parameters `<gate>.weight`, `<up>.weight` [hidden, embed],
 * `<down>.weight` [embed, hidden].
 *
 * @param names `gate_proj`, `up_proj`, `down_proj` in Qwen3 (the default); `fc1`, `fc3`, `fc2` in AIMv2
 * @category layers
 */
export const swiGlu = <E extends string, H extends string>(
  embed: Axis<E>,
  hidden: Axis<H>,
  names: SwiGluNames = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
): Layer<readonly [E], readonly [E]> => {
  onlySettings('swiGlu', names, ['gate', 'up', 'down'])
  return pipe(
    fanout(
      pipe(at(names.gate)(linear(embed, hidden, { bias: false })), andThen(silu)),
      at(names.up)(linear(embed, hidden, { bias: false })),
    ),
    merged(mul),
    andThen(at(names.down)(linear(hidden, embed, { bias: false }))),
    named('swiGlu'),
  )
}

/**
 * A two-layer perceptron with biases: second(gelu(first x)).
 *
 * @param scopes the two maps' scopes, default `fc1`, `fc2`
 * @category layers
 */
export const mlp = <I extends string, H extends string, O extends string>(
  from: Axis<I>,
  hidden: Axis<H>,
  to: Axis<O>,
  scopes: readonly [string, string] = ['fc1', 'fc2'],
): Layer<readonly [I], readonly [O]> =>
  pipe(
    at(scopes[0])(linear(from, hidden)),
    andThen(gelu),
    andThen(at(scopes[1])(linear(hidden, to))),
    named('mlp'),
  )
