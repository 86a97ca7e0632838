/**
 * An optimizer as a value: what it is, as data, and one update of all parameters, as graph. A stage takes any.
 *
 * @since 0.1.0
 */
import { matches, type Tensor } from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { adamW, decays, type Update } from './adamw.ts'

/** How a stage updates its parameters. */
export interface Optimizer {
  /** What it is, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** Its parameter groups, where it has some: one that no parameter of the loss belongs to is refused. */
  readonly groups?: readonly ParameterGroup[]
  /**
   * One update. The states that it keeps beside the parameters have keys that begin with `optimizer.`.
   *
   * @param parameters state leaves by key
   * @param gradients by the same keys, each with its parameter's axes
   * @param learningRate float32 rank 0
   */
  readonly update: (
    parameters: ReadonlyMap<string, Tensor>,
    gradients: ReadonlyMap<string, Tensor>,
    learningRate: Tensor,
  ) => Update
}

/** Parameters that are updated in another way than the rest. The first group that matches a key holds for it. */
export interface ParameterGroup {
  /** Patterns over published keys: `*` any characters but a dot, `**` any characters. */
  readonly match: string | readonly string[]
  /** The factor on the stage's learning rate; default 1. */
  readonly learningRateMultiplier?: number
  /** Weight decay in place of the optimizer's; 0 for none. */
  readonly weightDecay?: number
}

/** Settings of {@link adamWith}. */
export interface AdamWithSettings {
  /** Default 0.9. */
  readonly beta1?: number
  /** Default 0.95, as language models are trained. */
  readonly beta2?: number
  /** Default 1e-8. */
  readonly epsilon?: number
  /** Decoupled weight decay of matrices; norms, biases and positions have none unless a group says so. Default 0.1. */
  readonly weightDecay?: number
  readonly groups?: readonly ParameterGroup[]
}

/** A setting of an optimizer that is none: `setting` names it, the message says what it is and what it may be. */
export class OptimizerError extends Error {
  readonly tag = 'BadOptimizer'
  readonly setting: string
  constructor(setting: string, value: unknown, allowed: string) {
    super(`optimizer, ${setting}: it is ${String(value)}; give ${allowed}`)
    this.name = 'OptimizerError'
    this.setting = setting
  }
}

const within = (
  setting: string,
  value: number | undefined,
  fits: (x: number) => boolean,
  allowed: string,
) => {
  if (value !== undefined && !(typeof value === 'number' && Number.isFinite(value) && fits(value)))
    throw new OptimizerError(setting, value, allowed)
}

export const adamNames: readonly (keyof AdamWithSettings)[] = [
  'beta1',
  'beta2',
  'epsilon',
  'weightDecay',
  'groups',
]
const groupNames: readonly (keyof ParameterGroup)[] = ['match', 'learningRateMultiplier', 'weightDecay']

const checked = (s: AdamWithSettings): void => {
  onlySettings('optimizer', s, adamNames)
  const beta = 'a number from 0 to below 1'
  within('beta1', s.beta1, (x) => x >= 0 && x < 1, beta)
  within('beta2', s.beta2, (x) => x >= 0 && x < 1, beta)
  within('epsilon', s.epsilon, (x) => x > 0, 'a number above 0')
  within('weightDecay', s.weightDecay, (x) => x >= 0, 'a number from 0 up')
  if (s.groups !== undefined && !Array.isArray(s.groups))
    throw new OptimizerError('groups', 'no list', "a list, such as [{ match: 'mlp1.**', weightDecay: 0 }]")
  s.groups?.forEach((g, i) => {
    const at = (name: string): string => `groups[${i}].${name}`
    onlySettings('optimizer', g, groupNames, `groups[${i}]`)
    const patterns = [g.match].flat()
    if (patterns.length === 0 || patterns.some((p) => typeof p !== 'string' || p === ''))
      throw new OptimizerError(at('match'), JSON.stringify(g.match), 'a pattern over keys, such as mlp1.**')
    within(at('learningRateMultiplier'), g.learningRateMultiplier, (x) => x >= 0, 'a number from 0 up')
    within(at('weightDecay'), g.weightDecay, (x) => x >= 0, 'a number from 0 up')
  })
}

/** The first group that a key belongs to. */
export const groupOf = (groups: readonly ParameterGroup[]): ((key: string) => ParameterGroup | undefined) => {
  const compiled = groups.map((g) => ({ g, fits: [g.match].flat().map(matches) }))
  return (key) => compiled.find(({ fits }) => fits.some((f) => f(key)))?.g
}

/**
 * The groups that no key belongs to, by their index: a pattern that is misspelt, or hidden behind an earlier group.
 *
 * @param keys the keys of all parameters
 */
export const unmatchedGroups = (
  groups: readonly ParameterGroup[],
  keys: Iterable<string>,
): readonly number[] => {
  const group = groupOf(groups)
  const used = new Set([...keys].map(group))
  return groups.flatMap((g, i) => (used.has(g) ? [] : [i]))
}

/**
 * AdamW with parameter groups as data.
 *
 * @example
 * const optimizer = adamWith({ weightDecay: 0.05, groups: [{ match: 'mlp1.**', learningRateMultiplier: 4 }] })
 *
 * @throws OptimizerError where a setting is out of its range
 * @category optimizers
 */
export const adamWith = (settings: AdamWithSettings = {}): Optimizer => {
  checked(settings)
  const { beta1, beta2, epsilon, weightDecay = 0.1, groups = [] } = settings
  const group = groupOf(groups)
  return {
    config: { kind: 'adamW', ...settings },
    groups,
    update: (parameters, gradients, learningRate) =>
      adamW(parameters, gradients, learningRate, {
        ...present({ beta1, beta2, epsilon }),
        decay: (key, t) => group(key)?.weightDecay ?? (decays(key, t) ? weightDecay : 0),
        rate: (key) => group(key)?.learningRateMultiplier ?? 1,
      }),
  }
}
