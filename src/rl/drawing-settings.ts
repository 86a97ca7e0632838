/**
 * How answers are drawn, checked where it is given.
 *
 * @since 0.1.0
 */
import { type DecodingSizes, type Sampling, type Settled, settled } from '../generation/index.ts'
import { onlySettings } from '../settings/index.ts'
import { RecipeError, wholeSetting } from '../train/index.ts'

/**
 * Sizes of a policy's cache, each a whole number.
 *
 * @throws RecipeError
 */
export const checkedSizes = (where: string, s: DecodingSizes): DecodingSizes => {
  onlySettings(where, s, ['rows', 'prompt', 'capacity', 'images'], 'sizes')
  wholeSetting(where, 'sizes.rows', s.rows, 1)
  const prompt = wholeSetting(where, 'sizes.prompt', s.prompt, 1)
  wholeSetting(where, 'sizes.capacity', s.capacity, prompt + 1)
  if (s.images !== undefined) wholeSetting(where, 'sizes.images', s.images, 0)
  return s
}

/**
 * How a policy draws, and that the longest prompt and the longest answer fit its cache together.
 *
 * @throws RecipeError, which names the setting
 */
export const checkedSampling = (
  where: string,
  setting: string,
  sampling: Sampling,
  { sizes }: { readonly sizes?: DecodingSizes },
): Settled => {
  const made = settled(sampling, where, setting)
  if (sizes !== undefined && sizes.prompt + made.maxNewTokens > sizes.capacity)
    throw new RecipeError(
      where,
      `${setting}.maxNewTokens`,
      `it is ${made.maxNewTokens}, and a prompt of ${sizes.prompt} tokens leaves ${sizes.capacity - sizes.prompt} of the policy's capacity of ${sizes.capacity}; raise its capacity to ${sizes.prompt + made.maxNewTokens}, or lower its prompt`,
    )
  return made
}
