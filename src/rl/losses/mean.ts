/**
 * How losses of tokens become one number, before the division: by token, by completion, or by a constant. Values are
 * `[batch, token]`, or `[batch]` where all tokens of a completion have one.
 *
 * @since 0.1.0
 */
import { cast, div, greater, maximum, mul, sum, type Tensor, total } from '../../dsl/index.ts'
import type { Fraction } from '../../train/index.ts'

const counted = (mask: Tensor): Tensor => sum(mask, 'token')

/** Completions of which a token counts, as 1 and 0. `[batch]`. */
const present = (mask: Tensor): Tensor => cast(greater(counted(mask), 0), 'float32')

/** Each token counts alike (DAPO): a long completion weighs more than a short one. */
export const tokenMean = (values: Tensor, mask: Tensor): Fraction => ({
  sum: total(mul(values, mask)),
  weight: total(mask),
})

/** Each completion counts alike (GRPO, GSPO): the mean over completions of the mean over their tokens. Those without a token that counts are left out. */
export const sequenceMean = (values: Tensor, mask: Tensor): Fraction => ({
  sum: total(div(sum(mul(values, mask), 'token'), maximum(counted(mask), 1))),
  weight: total(present(mask)),
})

/** The sum over tokens, divided by completions and a constant (Dr. GRPO): no length is favoured. */
export const constantMean = (values: Tensor, mask: Tensor, tokens: number): Fraction => ({
  sum: div(total(mul(values, mask)), tokens) as Fraction['sum'],
  weight: total(present(mask)),
})
