/**
 * What a loss has beside itself where the model has experts: their balance and the router z-loss, and how much each expert is
 * used.
 *
 * @since 0.1.0
 */
import { mul, type Scalar, type Tensor } from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import {
  balanceLoss,
  type CausalLm,
  type MoeConfig,
  routerSums,
  routersOf,
  routerZLoss,
  sparseLayers,
} from '../models/index.ts'
import type { EventOf } from '../run/index.ts'
import { present } from '../settings/internal.ts'
import type { LossTerms } from './objective.ts'

const [load, tokens] = ['expertLoad', 'expertTokens'] as const

/**
 * The terms of a model with experts: losses of the whole update `balance` and `routerZ`, as its configuration scales them, over all
 * tokens of an update; and the load of experts, which each update gives. Other models' terms stay as they are.
 *
 * @param root what the model computed, such as its logits: the routers on the way to it are balanced
 * @param counted bool `[batch, token]`: which tokens are no padding
 * @category losses
 */
export const withExperts = (
  model: Pick<CausalLm, 'experts'>,
  root: Tensor,
  counted: Tensor,
  terms: LossTerms,
): LossTerms => {
  const c = model.experts
  const routers = c === undefined ? [] : routersOf(root)
  if (c === undefined || routers.length === 0) return terms
  const sums = routerSums(c, routers, counted)
  const scaled = (by: number | undefined, loss: () => Scalar): Scalar | undefined =>
    by === undefined || by === 0 ? undefined : (mul(loss(), by) as Scalar)
  const balance = scaled(c.balance, () => balanceLoss(c, sums))
  const routerZ = scaled(c.zLoss, () => routerZLoss(sums))
  const losses = {
    ...present({ balance, routerZ }),
  }
  return {
    ...terms,
    batch: { losses, counted, sums: { [load]: sums.load, [tokens]: sums.tokens } },
  }
}

/** How many records of the load a stage makes, at most. */
const records = 50

/**
 * Records of the load of experts over a stage's updates: `add` takes what each update gave and answers an event where one is
 * due, of all updates since the last.
 *
 * @param experts those of the model, which say the numbers of its layers
 */
export const expertLoads = (
  stage: string,
  steps: number,
  experts?: MoeConfig,
): {
  readonly add: (
    step: number,
    batch: Readonly<Record<string, TensorValue>>,
  ) => EventOf<'expert-load'> | undefined
} => {
  const every = Math.ceil(steps / records)
  let added: Float64Array | undefined
  return {
    add: (step, batch) => {
      const given = batch[load]
      if (given === undefined) return undefined
      added ??= new Float64Array(given.data.length)
      const sum = added
      for (let i = 0; i < sum.length; i++) sum[i]! += given.data[i]!
      if (step % every !== 0 && step !== 1 && step !== steps) return undefined
      added = undefined
      const [layers, each] = given.shape as readonly [number, number]
      return {
        ...{ type: 'expert-load', stage, step },
        ...(experts === undefined ? {} : { layers: sparseLayers(experts, layers) }),
        load: Array.from({ length: layers }, (_, l) => {
          const row = sum.subarray(l * each, (l + 1) * each)
          const all = row.reduce((a, b) => a + b, 0)
          return Array.from(row, (n) => (all === 0 ? 0 : n / all))
        }),
      }
    },
  }
}
