/** The tokens of a row that somebody asks for, out of all that are read. */
import { add, axis, gather, iota, mul, reshape, type Tensor } from '../dsl/index.ts'

/**
 * What stands at the places of a row: `[batch, token, …]` of as many tokens as there are places.
 *
 * @param x `[batch, token, …]`, or `[token, …]` where all rows have the same
 * @param places int32 `[batch, token]`: places among the tokens of x
 */
export const atPlaces = (x: Tensor, places: Tensor): Tensor => {
  const [batch] = places.axes
  if (x.axes[0]!.name === 'token') return gather(x, places)
  const [rows, token, ...rest] = x.axes
  const flat = reshape(x, [axis('place', rows!.size * token!.size), ...rest])
  return gather(flat, add(places, mul(iota(batch!), token!.size)))
}
