/**
 * How several devices share a program: what lies along the batch is dealt out over them, each has the weights, and XLA's
 * partitioner puts in what they tell each other (the sum of the gradients). What a program computes does not depend on it.
 */
import { type Axis, elements, type StateSpec } from '../../dsl/index.ts'

/** Over how many devices, and what of it. */
export interface Sharding {
  readonly devices: number
  /** Inputs whose first axis has this name are dealt out along it, where it divides by the devices. */
  readonly axis: string
  /** Whether states that begin as zeros, which is what an optimizer keeps, are dealt out along their first axis too. */
  readonly optimizer: 'whole' | 'parted'
}

const divides = ({ devices }: Sharding, axes: readonly Axis[]): boolean =>
  devices > 1 && axes.length > 0 && axes[0]!.size % devices === 0

/** Whether an input is dealt out. */
export const dealtInput = (s: Sharding, axes: readonly Axis[]): boolean =>
  divides(s, axes) && axes[0]!.name === s.axis

/** Whether a state is dealt out: the same in every function of a program. */
export const dealtState = (s: Sharding, { axes, init }: Pick<StateSpec, 'axes' | 'init'>): boolean =>
  s.optimizer === 'parted' && init.kind === 'zeros' && elements(axes) > 1 && divides(s, axes)

/** What an argument or a result of the text says of itself; nothing where there is one device. */
export const annotation = ({ devices }: Sharding, rank: number, dealt: boolean): string | undefined => {
  if (devices === 1) return undefined
  const tiles = [devices, ...Array<number>(Math.max(rank - 1, 0)).fill(1)]
  return `mhlo.sharding = "${dealt ? `{devices=[${tiles.join(',')}]<=[${devices}]}` : '{replicated}'}"`
}
