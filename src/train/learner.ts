/**
 * A learner: a loss, the parameters that it moves, and the optimizer that moves them, as the functions of one program.
 *
 * - `step`: forward, backward, clipping and update in one call, for an update of one micro-batch.
 * - `accumulate` and `apply`: the gradient of a micro-batch is added to states `gradient.<key>`, and an update divides what
 *   was added up once, by all counted weight. So n micro-batches give the numbers of one batch n times as large.
 * - `observe`: where there are losses of the update as a whole, such as the balance of experts, adds up the sums that they
 *   are built of over its micro-batches before the first gradient is taken: a forward pass more, for the same numbers.
 *
 * @since 0.1.0
 */
import {
  add,
  broadcast,
  buckets,
  div,
  type FunctionSpec,
  fixed,
  GraphError,
  gradient,
  input,
  type Keys,
  less,
  matches,
  mul,
  type Program,
  parametersOf,
  program,
  rewrite,
  type Scalar,
  scalar,
  select,
  showAxes,
  state,
  type Tensor,
  zeros,
} from '../dsl/index.ts'
import {
  accumulatedBatch,
  accumulatedSum,
  accumulatedWeight,
  clipByGlobalNorm,
  ema,
  gradientKey,
  isFrozenKey,
  isOptimizerKey,
  type Optimizer,
  unmatchedGroups,
} from '../optim/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import { batchLossOf, type LossTerms, lossOf, lossSum, type Objective, type Sizes } from './objective.ts'
import { ofStage, RecipeError } from './setting-checks.ts'
import type { GraphTransform } from './transform.ts'
import { isWeightKey } from './weights.ts'

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

/** What the outputs of a step's metrics begin with. */
export const metricPrefix = 'metric.'
/** What the outputs of sums over the whole update begin with. */
export const batchPrefix = 'batch.'

/** Sees that what is added up and divided is one float32 number each. @throws GraphError at the line that made another */
const onlyNumbers = (terms: LossTerms): LossTerms => {
  const { sum, weight, auxiliary = {}, batch, stepMetrics = {} } = terms
  const numbers: readonly (readonly [name: string, number: Tensor])[] = [
    ...([
      ['sum', sum],
      ['weight', weight],
    ] as const),
    ...Object.entries(auxiliary).map(([name, t]) => [`auxiliary.${name}`, t] as const),
    ...Object.entries(batch?.losses ?? {}).map(([name, t]) => [`batch.losses.${name}`, t] as const),
    ...Object.entries(stepMetrics).flatMap(
      ([name, m]) =>
        [
          [`stepMetrics.${name}.sum`, m.sum],
          [`stepMetrics.${name}.weight`, m.weight],
        ] as const,
    ),
  ]
  for (const [name, t] of numbers)
    if (t.dtype !== 'float32' || t.axes.length > 0)
      throw new GraphError(
        'NotDifferentiable',
        `objective.terms gives ${name} as ${t.dtype} with ${showAxes(t.axes)}; reduce it to one number by total(…), and cast it to float32`,
        t.site,
        t.axes,
      )
  return terms
}

/** The loss, as the objective builds it. @throws RecipeError where that is no graph */
const givenTerms = (spec: LearnerSpec, sizes: Sizes): LossTerms => {
  const given = spec.objective.terms(sizes)
  if (given?.sum?.op !== undefined && given.weight?.op !== undefined) return onlyNumbers(given)
  throw new RecipeError(
    `stage '${spec.name}'`,
    'objective.terms',
    `it gives ${kindOf(given)}; it gives { sum, weight }, both as graph`,
  )
}

/** Graphs by name, each replaced. */
const mapped = <T extends Tensor>(
  all: Readonly<Record<string, T>> | undefined,
  to: <A extends Tensor>(t: A) => A,
): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(all ?? {}).map(([name, t]) => [name, to(t)]))

/** A loss whose graphs are rewritten together. What is measured in evaluations alone is left out. */
const rewritten = (terms: LossTerms, apply: GraphTransform['apply']): LossTerms => {
  const { sum, weight, auxiliary, stepMetrics = {}, batch } = terms
  const fractions = Object.values(stepMetrics).flatMap((m) => [m.sum, m.weight])
  const roots = [
    ...[sum, weight, ...Object.values(auxiliary ?? {}), ...fractions],
    ...[...Object.values(batch?.sums ?? {}), ...Object.values(batch?.losses ?? {})],
  ]
  const made = apply(roots)
  const after = new Map(roots.map((t, i) => [t, made[i]!]))
  const to = <A extends Tensor>(t: A): A => after.get(t) as A
  const measured = Object.entries(stepMetrics).map(([name, m]) => [
    name,
    { sum: to(m.sum), weight: to(m.weight) },
  ])
  return {
    ...{ sum: to(sum), weight: to(weight), auxiliary: mapped(auxiliary, to) },
    stepMetrics: Object.fromEntries(measured),
    ...(batch && {
      batch: { ...batch, sums: mapped(batch.sums, to), losses: mapped(batch.losses, to) },
    }),
  }
}

/** The loss, rewritten by each transform. @throws RecipeError where one does not fit it */
const termsOf = (spec: LearnerSpec, sizes: Sizes): LossTerms =>
  (spec.transforms ?? []).reduce(
    (terms: LossTerms, { apply }, i) => {
      try {
        return rewritten(terms, apply)
      } catch (e) {
        throw new RecipeError(`stage '${spec.name}'`, `transforms[${i}]`, (e as Error).message, e)
      }
    },
    givenTerms(spec, sizes),
  )

/** The loss at one of the objective's sizes. */
type TermsAt = (sizes: Sizes) => LossTerms

/** What a loss or an optimizer gives, which may be the user's: what it throws names the stage. */
const ofSpec = <A>({ name }: LearnerSpec, make: () => A): A => {
  try {
    return make()
  } catch (e) {
    throw ofStage(name, e)
  }
}

/** The loss is built once at each size, whatever asks for it. */
const builtOnce = (spec: LearnerSpec): TermsAt => {
  const built = new Map<Sizes, LossTerms>()
  return (sizes) => {
    const terms = built.get(sizes) ?? ofSpec(spec, () => termsOf(spec, sizes))
    built.set(sizes, terms)
    return terms
  }
}

/** The parameters that the loss depends on and that may learn, by key. */
const learnable = (terms: LossTerms): ReadonlyMap<string, Tensor> =>
  new Map([...parametersOf(lossOf(terms))].filter(([key]) => !isFrozenKey(key)))

/** The parameters that learn, of those that the loss depends on. @throws RecipeError where there is none */
const chosenOf = (spec: LearnerSpec, terms: LossTerms): ReadonlyMap<string, Tensor> => {
  const chosen = new Map([...learnable(terms)].filter(([key]) => spec.train.some((k) => k.has(key))))
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

/** The sums over the whole update, as outputs. */
const batchOutputs = (all: Iterable<readonly [string, Tensor]>): Readonly<Record<string, Tensor>> =>
  Object.fromEntries([...all].map(([name, t]) => [`${batchPrefix}${name}`, t]))

/** The sums of a loss over the whole update, as states that micro-batches add to; and the weight of all of them. */
const batchStates = (terms: LossTerms) => {
  const sums = new Map(
    Object.entries(terms.batch?.sums ?? {}).map(([name, t]) => [
      name,
      state(accumulatedBatch(name), t.axes, zeros),
    ]),
  )
  return { sums, weight: state(accumulatedBatch('weight'), [], zeros) }
}

/** Whether the sums have to be known before a gradient is taken. */
const isObserved = (terms: LossTerms): boolean => batchLossOf(terms) !== undefined

/**
 * The loss's sum of a micro-batch with its part of the losses of the whole update: of these the sums are those of the update in
 * place of its own. The parts add up, and count once, as all weight together.
 */
const lossPart = (terms: LossTerms): Scalar => {
  const { sums, weight } = batchStates(terms)
  const own = new Map(Object.entries(terms.batch!.sums).map(([name, t]) => [t, sums.get(name)!] as const))
  const [part] = rewrite([batchLossOf(terms)!], (t, before) => own.get(before) ?? t)
  return add(lossSum(terms), mul(part!, weight)) as Scalar
}

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
  const made = ofSpec(spec, () => spec.optimizer.update(chosen, gradients, input('learning_rate', [])))
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
  const keys = [...learnable(terms).keys()]
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

/**
 * Sees that no parameter has a key by which a stage knows what it keeps beside weights: it would be saved with no checkpoint.
 *
 * @throws RecipeError, which names the parameter
 */
const keysAreWeights = (spec: LearnerSpec, terms: LossTerms): void => {
  const key = [...learnable(terms).keys()].find((k) => !isWeightKey(k))
  if (key === undefined) return
  throw new RecipeError(
    `stage '${spec.name}'`,
    'objective',
    `its loss has the parameter '${key}', and keys that begin so are those of what a stage keeps beside weights: no checkpoint would hold it; put its layer under another name`,
  )
}

const stepOf = (spec: LearnerSpec, termsAt: TermsAt): FunctionSpec =>
  buckets(spec.objective.buckets, (sizes) => {
    const terms = termsAt(sizes)
    const loss = lossOf(terms)
    const chosen = chosenOf(spec, terms)
    const { gradients, norm } = clipped(
      byKey(chosen, gradient(loss, [...chosen.values()])),
      spec.maxGradientNorm,
    )
    const next = movedBy(spec, chosen, gradients)
    return {
      outputs: {
        ...{ loss, weight: terms.weight, gradientNorm: norm },
        ...metricOutputs(terms),
        ...batchOutputs(Object.entries(terms.batch?.sums ?? {})),
      },
      next,
    }
  })

/** Adds tensors up in states. */
const addedUp = (all: Iterable<readonly [key: string, t: Tensor]>): Map<string, Tensor> =>
  new Map([...all].map(([key, t]) => [key, add(state(key, t.axes, zeros), t)]))

/** The sums over the whole update and its weight, by the state that adds them up. */
const batchSums = (terms: LossTerms): readonly (readonly [key: string, t: Tensor])[] => [
  ...Object.entries(terms.batch?.sums ?? {}).map(([name, t]) => [accumulatedBatch(name), t] as const),
  [accumulatedBatch('weight'), terms.weight],
]

const observeOf = (spec: LearnerSpec, termsAt: TermsAt): FunctionSpec =>
  buckets(spec.objective.buckets, (sizes) => ({
    outputs: {},
    next: addedUp(batchSums(termsAt(sizes))),
  }))

const accumulateOf = (spec: LearnerSpec, termsAt: TermsAt): FunctionSpec =>
  buckets(spec.objective.buckets, (sizes) => {
    const terms = termsAt(sizes)
    const chosen = chosenOf(spec, terms)
    const sum = isObserved(terms) ? lossPart(terms) : lossSum(terms)
    const gradients = byKey(chosen, gradient(sum, [...chosen.values()]))
    const next = addedUp([
      [accumulatedSum, sum],
      [accumulatedWeight, terms.weight],
      ...(terms.batch === undefined || isObserved(terms) ? [] : batchSums(terms)),
      ...[...gradients].map(([key, g]) => [gradientKey(key), g] as const),
    ])
    return { outputs: { weight: terms.weight, ...metricOutputs(terms) }, next }
  })

const applyOf = (spec: LearnerSpec, termsAt: TermsAt): FunctionSpec =>
  fixed(() => {
    const terms = termsAt(spec.objective.buckets[0]!)
    const chosen = chosenOf(spec, terms)
    const [sum, weight] = [state(accumulatedSum, [], zeros), state(accumulatedWeight, [], zeros)]
    const divisor = select(less(0, weight), weight, 1)
    const means = new Map(
      [...chosen].map(([key, p]) => [key, div(state(gradientKey(key), p.axes, zeros), divisor)]),
    )
    const { gradients, norm } = clipped(means, spec.maxGradientNorm)
    const next = movedBy(spec, chosen, gradients)
    const batch = terms.batch === undefined ? undefined : batchStates(terms)
    const cleared: readonly (readonly [string, Tensor])[] = [
      [accumulatedSum, scalar(0)],
      [accumulatedWeight, scalar(0)],
      ...(batch === undefined
        ? []
        : batchSums(terms).map(([key, t]) => [key, broadcast(scalar(0), t.axes)] as const)),
      ...[...chosen].map(([key, p]) => [gradientKey(key), broadcast(scalar(0), p.axes)] as const),
    ]
    return {
      outputs: {
        ...{ loss: div(sum, divisor), weight, gradientNorm: norm },
        ...batchOutputs(batch?.sums ?? []),
      },
      next: new Map<string, Tensor>([...next, ...cleared]),
    }
  })

/** What a learner runs to learn, and what it trains. */
interface Learning {
  readonly updates: Readonly<Record<string, FunctionSpec>>
  readonly trained: readonly string[]
}

const learningOf = (spec: LearnerSpec): Learning => {
  const termsAt = builtOnce(spec)
  const terms = termsAt(spec.objective.buckets[0]!)
  const trained = [...chosenOf(spec, terms).keys()]
  keysAreWeights(spec, terms)
  groupsFit(spec, terms)
  for (const [i, { adds }] of (spec.transforms ?? []).entries())
    if (adds !== undefined && !trained.some(adds.keys.has))
      throw new RecipeError(
        `stage '${spec.name}'`,
        'train',
        `it is ${spec.train.map((k) => k.name).join(', ')}, and nothing that transforms[${i}] adds would learn; put the keys that it adds there, such as loraKeys`,
      )
  const updates: Readonly<Record<string, FunctionSpec>> =
    spec.accumulate === 1
      ? { step: stepOf(spec, termsAt) }
      : {
          ...(isObserved(terms) ? { observe: observeOf(spec, termsAt) } : {}),
          ...{ accumulate: accumulateOf(spec, termsAt), apply: applyOf(spec, termsAt) },
        }
  return { updates, trained }
}

/**
 * The programs of a learner: its updates, and beside them whatever else a session is to run. Its graph is built when the first
 * program is asked for, and the same in all of them.
 *
 * @throws RecipeError where the loss depends on no parameter that is to be trained
 * @throws GraphError where objective or optimizer build no graph
 */
export const learnerPrograms = (spec: Omit<LearnerSpec, 'functions'>) => {
  let made: Learning | undefined
  return (functions: Readonly<Record<string, FunctionSpec>>): LearnerProgram => {
    made ??= learningOf(spec)
    const { updates, trained } = made
    const taken = Object.keys(functions).find((name) => Object.hasOwn(updates, name))
    if (taken !== undefined)
      throw new RecipeError(
        `stage '${spec.name}'`,
        'evaluation',
        `it has a function '${taken}', which is what the stage trains with; give it another name`,
      )
    return { program: program({ name: spec.name, functions: { ...updates, ...functions } }), trained }
  }
}

/**
 * The program of a learner: its updates, and whatever else its session is to run.
 *
 * @throws RecipeError where the loss depends on no parameter that is to be trained
 * @throws GraphError where objective or optimizer build no graph
 */
export const learnerProgram = (spec: LearnerSpec): LearnerProgram => {
  const names = ['name', 'objective', 'train', 'optimizer', 'maxGradientNorm', 'accumulate', 'transforms']
  onlySettings('learnerProgram', spec, [...names, 'ema', 'functions'])
  return learnerPrograms(spec)(spec.functions ?? {})
}
