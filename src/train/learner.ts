/**
 * A learner: a loss, the parameters that it moves, and the optimizer that moves them, as the functions of one program; and
 * the updates over a session that runs it.
 *
 * - `step`: forward, backward, clipping and update in one call, for an update of one micro-batch.
 * - `accumulate` and `apply`: the gradient of a micro-batch is added to states `gradient.<key>`, and an update divides what
 *   was added up once, by all counted weight. So n micro-batches give the numbers of one batch n times as large.
 *
 * @since 0.2.0
 */
import {
  add,
  broadcast,
  buckets,
  div,
  type FunctionSpec,
  fixed,
  gradient,
  input,
  type Keys,
  less,
  matches,
  type Program,
  parametersOf,
  program,
  type Scalar,
  scalar,
  select,
  state,
  type Tensor,
  zeros,
} from '../dsl/index.ts'
import { type Session, scalarValue, type TensorValue } from '../engine/index.ts'
import {
  accumulatedSum,
  accumulatedWeight,
  clipByGlobalNorm,
  ema,
  gradientKey,
  isGradientKey,
  isOptimizerKey,
  type Optimizer,
  unmatchedGroups,
} from '../optim/index.ts'
import { type LossTerms, lossOf, lossSum, type MicroBatch, type Objective, type Sizes } from './objective.ts'
import { kindOf, RecipeError } from './recipe-error.ts'
import { orThrow } from './task.ts'
import type { GraphTransform } from './transform.ts'

/** What a learner is made of. */
export interface LearnerSpec {
  /** The stage that it belongs to: errors name it. */
  readonly name: string
  readonly objective: Objective<never>
  /** The parameters that learn; all others cost no gradient, no moments and no backward time. */
  readonly train: readonly Keys[]
  readonly optimizer: Optimizer
  /** Largest global gradient norm. */
  readonly maxGradientNorm: number
  /** Micro-batches of one update. */
  readonly accumulate: number
  /** Rewrites of the loss before its gradient is taken, one after the other. */
  readonly transforms?: readonly GraphTransform[]
  /** The decay of an exponential moving average of what learns, kept as states `ema.<key>`; default: there is none. */
  readonly ema?: number
  /** What else the session is to run, such as evaluations. */
  readonly functions?: Readonly<Record<string, FunctionSpec>>
}

/** A learner's program, and the keys that it trains. */
export interface LearnerProgram {
  readonly program: Program
  readonly trained: readonly string[]
}

const metricPrefix = 'metric.'

/** The loss, rewritten. @throws RecipeError where a transform does not fit it */
const termsOf = (spec: LearnerSpec, sizes: Sizes): LossTerms =>
  (spec.transforms ?? []).reduce((terms: LossTerms, { apply }, i) => {
    const auxiliary = Object.entries(terms.auxiliary ?? {})
    const measured = Object.entries(terms.stepMetrics ?? {})
    const fractions = measured.flatMap(([, m]) => [m.sum, m.weight])
    const roots = [terms.sum, terms.weight, ...auxiliary.map(([, t]) => t), ...fractions]
    try {
      const [sum, weight, ...others] = apply(roots) as readonly Scalar[]
      const after = others.slice(auxiliary.length)
      return {
        ...{ sum: sum!, weight: weight! },
        ...(auxiliary.length === 0
          ? {}
          : { auxiliary: Object.fromEntries(auxiliary.map(([name], k) => [name, others[k]!])) }),
        ...(measured.length === 0
          ? {}
          : {
              stepMetrics: Object.fromEntries(
                measured.map(([name], k) => [name, { sum: after[2 * k]!, weight: after[2 * k + 1]! }]),
              ),
            }),
      }
    } catch (e) {
      throw new RecipeError(`stage '${spec.name}'`, `transforms[${i}]`, (e as Error).message, e)
    }
  }, spec.objective.terms(sizes))

/** The parameters that learn, of those that the loss depends on. @throws RecipeError where there is none */
const chosenOf = (spec: LearnerSpec, terms: LossTerms): ReadonlyMap<string, Tensor> => {
  const all = parametersOf(lossOf(terms))
  const chosen = new Map([...all].filter(([key]) => spec.train.some((k) => k.has(key))))
  if (chosen.size > 0) return chosen
  const parts = Object.values(spec.objective.model.parts).map((k) => k.name)
  throw new RecipeError(
    `stage '${spec.name}'`,
    'train',
    `it is ${spec.train.map((k) => k.name).join(', ') || 'nothing'}, and the loss depends on no such parameter; the model's parts are ${parts.join(', ')}`,
  )
}

/** What an update measures beside its loss, as outputs: sums and weights, which add up over micro-batches. */
const metricOutputs = (terms: LossTerms): Readonly<Record<string, Scalar>> =>
  Object.fromEntries(
    Object.entries(terms.stepMetrics ?? {}).flatMap(([name, { sum, weight }]) => [
      [`${metricPrefix}${name}.sum`, sum],
      [`${metricPrefix}${name}.weight`, weight],
    ]),
  )

const byKey = (chosen: ReadonlyMap<string, Tensor>, gradients: readonly Tensor[]): Map<string, Tensor> =>
  new Map([...chosen.keys()].map((key, i) => [key, gradients[i]!]))

const clipped = (all: ReadonlyMap<string, Tensor>, limit: number) => {
  const { gradients, norm } = clipByGlobalNorm([...all.values()], limit)
  return { gradients: byKey(all, gradients), norm }
}

/**
 * The optimizer's update. What it keeps beside the parameters has to have names of its own, else it would be taken for
 * weights; and it moves what it is given.
 *
 * @throws RecipeError
 */
const movedBy = (
  spec: LearnerSpec,
  chosen: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> => {
  const where = `stage '${spec.name}'`
  const made = spec.optimizer.update(chosen, gradients, input('learning_rate', []))
  if (!(made?.next instanceof Map))
    throw new RecipeError(
      where,
      'optimizer',
      `its update gives ${kindOf(made)}; it gives { next: a Map by key }`,
    )
  const still = [...chosen.keys()].find((key) => !made.next.has(key))
  if (still !== undefined)
    throw new RecipeError(where, 'optimizer', `its update leaves out ${still}, which the stage trains`)
  const strange = [...made.next.keys()].find((key) => !chosen.has(key) && !isOptimizerKey(key))
  if (strange !== undefined)
    throw new RecipeError(
      where,
      'optimizer',
      `it keeps the state '${strange}'; let the keys of its states begin with 'optimizer.', so that they are not taken for weights`,
    )
  return spec.ema === undefined
    ? made.next
    : new Map([...made.next, ...ema(chosen, made.next, { decay: spec.ema })])
}

/**
 * Sees that each parameter group is about something: a pattern that is misspelt, or hidden behind an earlier group, would
 * do nothing and say nothing. A stage that trains a part may carry the groups of the whole model.
 *
 * @throws RecipeError, which names the group
 */
const groupsFit = (spec: LearnerSpec, terms: LossTerms): void => {
  const { groups = [] } = spec.optimizer
  const keys = [...parametersOf(lossOf(terms)).keys()]
  const [idle] = unmatchedGroups(groups, keys)
  if (idle === undefined) return
  const patterns = [groups[idle]!.match].flat()
  const hidden = keys.some((key) => patterns.some((p) => matches(p)(key)))
  throw new RecipeError(
    `stage '${spec.name}'`,
    `optimizer.groups[${idle}]`,
    hidden
      ? `each key that ${patterns.join(', ')} matches belongs to an earlier group; put the narrower group first`
      : `${patterns.join(', ')} matches no parameter of the loss, such as ${keys.slice(0, 3).join(', ')}`,
  )
}

const stepOf = (spec: LearnerSpec): FunctionSpec =>
  buckets(spec.objective.buckets, (sizes) => {
    const terms = termsOf(spec, sizes)
    const loss = lossOf(terms)
    const chosen = chosenOf(spec, terms)
    const { gradients, norm } = clipped(
      byKey(chosen, gradient(loss, [...chosen.values()])),
      spec.maxGradientNorm,
    )
    const next = movedBy(spec, chosen, gradients)
    return { outputs: { loss, weight: terms.weight, gradientNorm: norm, ...metricOutputs(terms) }, next }
  })

const accumulateOf = (spec: LearnerSpec): FunctionSpec =>
  buckets(spec.objective.buckets, (sizes) => {
    const terms = termsOf(spec, sizes)
    const chosen = chosenOf(spec, terms)
    const sum = lossSum(terms)
    const next = new Map<string, Tensor>()
    const addUp = (key: string, t: Tensor): void => {
      next.set(key, add(state(key, t.axes, zeros), t))
    }
    addUp(accumulatedSum, sum)
    addUp(accumulatedWeight, terms.weight)
    for (const [key, g] of byKey(chosen, gradient(sum, [...chosen.values()]))) addUp(gradientKey(key), g)
    return { outputs: { weight: terms.weight, ...metricOutputs(terms) }, next }
  })

const applyOf = (spec: LearnerSpec): FunctionSpec =>
  fixed(() => {
    const chosen = chosenOf(spec, termsOf(spec, spec.objective.buckets[0]!))
    const [sum, weight] = [state(accumulatedSum, [], zeros), state(accumulatedWeight, [], zeros)]
    const divisor = select(less(0, weight), weight, 1)
    const means = new Map(
      [...chosen].map(([key, p]) => [key, div(state(gradientKey(key), p.axes, zeros), divisor)]),
    )
    const { gradients, norm } = clipped(means, spec.maxGradientNorm)
    const next = movedBy(spec, chosen, gradients)
    const cleared: readonly (readonly [string, Tensor])[] = [
      [accumulatedSum, scalar(0)],
      [accumulatedWeight, scalar(0)],
      ...[...chosen].map(([key, p]) => [gradientKey(key), broadcast(scalar(0), p.axes)] as const),
    ]
    return {
      outputs: { loss: div(sum, divisor), weight, gradientNorm: norm },
      next: new Map<string, Tensor>([...next, ...cleared]),
    }
  })

/**
 * The program of a learner: its updates, and whatever else its session is to run.
 *
 * @throws RecipeError where the loss depends on no parameter that is to be trained
 * @throws GraphError where objective or optimizer build no graph
 */
export const learnerProgram = (spec: LearnerSpec): LearnerProgram => {
  const [first] = spec.objective.buckets
  const given = spec.objective.terms(first!)
  if (given?.sum?.op === undefined || given.weight?.op === undefined)
    throw new RecipeError(
      `stage '${spec.name}'`,
      'objective.terms',
      `it gives ${kindOf(given)}; it gives { sum, weight }, both as graph`,
    )
  const terms = termsOf(spec, first!)
  const trained = [...chosenOf(spec, terms).keys()]
  groupsFit(spec, terms)
  for (const [i, { adds }] of (spec.transforms ?? []).entries())
    if (adds !== undefined && !trained.some(adds.keys.has))
      throw new RecipeError(
        `stage '${spec.name}'`,
        'train',
        `it is ${spec.train.map((k) => k.name).join(', ')}, and nothing that transforms[${i}] adds would learn; put the keys that it adds there, such as loraKeys`,
      )
  const updates: Readonly<Record<string, FunctionSpec>> =
    spec.accumulate === 1 ? { step: stepOf(spec) } : { accumulate: accumulateOf(spec), apply: applyOf(spec) }
  const taken = Object.keys(spec.functions ?? {}).find((name) => Object.hasOwn(updates, name))
  if (taken !== undefined)
    throw new RecipeError(
      `stage '${spec.name}'`,
      'evaluation',
      `it has a function '${taken}', which is what the stage trains with; give it another name`,
    )
  return {
    program: program({ name: spec.name, functions: { ...updates, ...spec.functions } }),
    trained,
  }
}

/** What one update gives. */
export interface Updated {
  /** In the objective's unit, over all micro-batches of the update. */
  readonly loss: number
  /** What the loss was divided by: counted tokens, images. */
  readonly weight: number
  /** Before clipping. */
  readonly gradientNorm: number
  /** The loss's `stepMetrics` over all micro-batches of the update; NaN where nothing was counted. Empty where it has none. */
  readonly metrics: Readonly<Record<string, number>>
}

const numberOf = (v: TensorValue | undefined): number => Number(v?.data[0] ?? Number.NaN)

/** The metrics of an update, of what its calls gave. */
const metricsIn = (
  given: readonly Readonly<Record<string, TensorValue>>[],
): Readonly<Record<string, number>> => {
  const names = Object.keys(given[0] ?? {}).flatMap((key) =>
    key.startsWith(metricPrefix) && key.endsWith('.sum')
      ? [key.slice(metricPrefix.length, -'.sum'.length)]
      : [],
  )
  const added = (name: string, side: string): number =>
    given.reduce((n, out) => n + numberOf(out[`${metricPrefix}${name}.${side}`]), 0)
  return Object.fromEntries(names.map((name) => [name, added(name, 'sum') / added(name, 'weight')]))
}

/**
 * One update: of a single micro-batch in one call, else gradients added up and applied once.
 *
 * Throws what the engine says.
 */
export const update = async (
  session: Session,
  batches: readonly MicroBatch[],
  learningRate: number,
): Promise<Updated> => {
  const rate = { learning_rate: scalarValue(learningRate) }
  const fused = session.program.functions.has('step')
  if (fused && batches.length !== 1)
    throw new RangeError(
      `an update of ${batches.length} micro-batches needs a learner that accumulates; give the stage accumulate above 1`,
    )
  const given: Readonly<Record<string, TensorValue>>[] = []
  for (const b of fused ? [] : batches) given.push(await orThrow(session.call('accumulate', b.inputs)))
  const out = await orThrow(
    fused ? session.call('step', { ...batches[0]!.inputs, ...rate }) : session.call('apply', rate),
  )
  return {
    loss: numberOf(out.loss),
    weight: numberOf(out.weight),
    gradientNorm: numberOf(out.gradientNorm),
    metrics: metricsIn(fused ? [out] : given),
  }
}

/** A copy of all that updates change: what learns, its moments, its averages. It outlives later updates. */
export interface Mark {
  readonly states: ReadonlyMap<string, TensorValue>
}

/** Between updates, what is added up is 0: it is no part of a mark. */
const changedBy = (p: Program): readonly string[] => {
  const variants = ['step', 'apply'].flatMap((name) => p.functions.get(name) ?? [])
  return [...new Set(variants.flatMap((v) => [...v.next.keys()]))].filter((key) => !isGradientKey(key))
}

/** Marks where a learner stands between two updates. Throws what the engine says. */
export const mark = async (session: Session): Promise<Mark> => ({
  states: await orThrow(session.read(changedBy(session.program))),
})

/** Puts a learner back to a mark, bit for bit. Throws what the engine says. */
export const rollBack = (session: Session, to: Mark): Promise<void> => orThrow(session.write(to.states))
