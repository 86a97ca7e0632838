/**
 * Visual packing (SAIL-VL2 §5.1): samples over devices that wait for one another at every step, so that none of them has
 * many more tokens, or many more images, than the others.
 *
 * @since 0.2.0
 */
import type { Load } from './pack.ts'

/** What is to be equal on all devices. */
export type Balanced = keyof Load

/** What devices hold together: the load of each. */
export const loadsOf = (loads: readonly Load[], groups: readonly (readonly number[])[]): readonly Load[] =>
  groups.map((group) => ({
    tokens: group.reduce((n, i) => n + loads[i]!.tokens, 0),
    images: group.reduce((n, i) => n + loads[i]!.images, 0),
  }))

/**
 * Divides samples among devices: the largest first, each to the device that it leaves the least loaded. A sample's size and
 * a device's load are the largest of its shares of what is balanced; equal ones go in the order that they have.
 *
 * @param by what is to be equal: tokens alone (data packing), or tokens and images (visual packing)
 * @returns for each device the indices of its samples
 * @throws RangeError where there is no device, or nothing to balance by
 * @category packing
 */
export const balance = (
  loads: readonly Load[],
  devices: number,
  by: readonly Balanced[],
): readonly (readonly number[])[] => {
  if (!Number.isSafeInteger(devices) || devices < 1)
    throw new RangeError(`balance, devices: it is ${devices}; give a whole number from 1`)
  if (by.length === 0) throw new RangeError(`balance, by: it is empty; give 'tokens', 'images' or both`)
  const totals = by.map((what) => loads.reduce((n, l) => n + l[what], 0))
  const shares = loads.map((l) => by.map((what, k) => (totals[k] === 0 ? 0 : l[what] / totals[k]!)))
  const groups = Array.from({ length: devices }, () => ({
    held: [] as number[],
    shares: by.map(() => 0),
  }))
  const order = [...loads.keys()].sort((a, b) => Math.max(...shares[b]!) - Math.max(...shares[a]!))
  for (const i of order) {
    const after = groups.map((g) => Math.max(...g.shares.map((s, k) => s + shares[i]![k]!)))
    const group = groups[after.indexOf(Math.min(...after))]!
    group.held.push(i)
    group.shares = group.shares.map((s, k) => s + shares[i]![k]!)
  }
  return groups.map((g) => g.held)
}

/**
 * How long a step takes in which every device reads its images and then its tokens, and all wait for the slowest; against
 * devices that all were as busy as their mean, which is 1.
 *
 * @param cost time of an image, and of a token, in any one unit
 */
export const slowest = (held: readonly Load[], cost: Readonly<Record<Balanced, number>>): number => {
  const times = held.map((l) => l.tokens * cost.tokens + l.images * cost.images)
  const all = times.reduce((a, b) => a + b, 0)
  return all === 0 ? 1 : (Math.max(...times) * times.length) / all
}
