/** The passes one after the other, over graphs and over whole programs. */
import { onlySettings } from '../../settings/index.ts'
import { rewrite, type Tensor, topological } from '../graph.ts'
import { overBodies } from '../loop.ts'
import type { Program, Variant } from '../program.ts'
import { commonSubexpressions } from './common-subexpressions.ts'
import { foldConstants } from './fold-constants.ts'
import { foldTransposes } from './fold-transposes.ts'
import { mergeProjections, type Projections } from './merge-projections.ts'
import { narrow } from './narrow.ts'

/** What {@link optimise} may do beyond what always pays. */
export interface OptimiseOptions {
  /** Which products to merge; default none. */
  readonly merge?: (set: Projections) => boolean
}

/**
 * Takes `stopGradient` away: it is the identity once the gradient has been taken, and only then may this be used.
 *
 * @category passes
 */
export const dropStopGradients = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, (t) => (t.op.op === 'stopGradient' ? t.inputs[0]! : t))

/**
 * The default pipeline: common subexpressions, constants, repetitions, transposes, and what these leave behind. The roots keep their
 * axes and dtypes, the numbers stay the same up to rounding.
 *
 * What nothing depends on is gone without a pass: only what the roots reach is in a graph.
 *
 * @category passes
 */
export const optimise = (roots: readonly Tensor[], options: OptimiseOptions = {}): Tensor[] => {
  onlySettings('optimise', options, ['merge'])
  const { merge } = options
  const passes = [
    commonSubexpressions,
    foldConstants,
    narrow,
    foldTransposes,
    ...(merge === undefined ? [] : [mergeProjections(merge)]),
    foldConstants,
    commonSubexpressions,
  ]
  const now = passes.reduce<Tensor[]>((now, pass) => pass(now), [...roots])
  return [...overBodies(now, (body) => optimise(dropStopGradients(body), options))]
}

/**
 * A pass over outputs and next states of a variant jointly; the variant no longer lists states that it does not read.
 *
 * @category passes
 */
export const overVariant = (pass: (roots: readonly Tensor[]) => Tensor[], v: Variant): Variant => {
  const names = Object.keys(v.outputs)
  const keys = [...v.next.keys()]
  const roots = pass([...names.map((n) => v.outputs[n]!), ...v.next.values()])
  const outputs = Object.fromEntries(names.map((n, i) => [n, roots[i]!]))
  const next = new Map(keys.map((k, i) => [k, roots[names.length + i]!]))
  const inputs = new Map(v.inputs)
  const states = new Map<string, Tensor>()
  for (const t of topological(roots)) {
    if (t.op.op === 'input') inputs.set(t.op.name, t)
    if (t.op.op === 'state' && !states.has(t.op.key)) states.set(t.op.key, t)
  }
  return { inputs, states, outputs, next }
}

/**
 * A variant that is made when it is first read, but for its inputs, which are known: a program of many buckets costs what
 * is called of it.
 */
export const lazily = (v: Variant, make: () => Variant): Variant => {
  let made: Variant | undefined
  const whole = (): Variant => {
    made ??= make()
    return made
  }
  return {
    inputs: v.inputs,
    get states() {
      return whole().states
    },
    get outputs() {
      return whole().outputs
    },
    get next() {
      return whole().next
    },
  }
}

const isItself = (key: string, t: Tensor): boolean => t.op.op === 'state' && t.op.key === key

const optimiseVariant = (v: Variant, options: OptimiseOptions): Variant => {
  const w = overVariant((roots) => optimise(dropStopGradients(roots), options), v)
  const next = new Map([...w.next].filter(([k, t]) => !isItself(k, t)))
  return overVariant((roots) => [...roots], { ...w, next })
}

/** Variants by those that they were made of: what several programs, or several sessions, have in common is made once. */
export const madeOnce = (make: (v: Variant) => Variant): ((v: Variant) => Variant) => {
  const made = new WeakMap<Variant, Variant>()
  return (v) => {
    const had = made.get(v) ?? make(v)
    made.set(v, had)
    return had
  }
}

const optimised = madeOnce((v) => lazily(v, () => optimiseVariant(v, {})))

/**
 * {@link optimise} for each variant of each function, outputs and next states jointly. Names, inputs and the program's
 * states stay; a variant no longer lists states that it does not read, nor states that it would replace by themselves. Each
 * variant is optimised when it is first read.
 *
 * @category passes
 */
export const optimiseProgram = (p: Program, options: OptimiseOptions = {}): Program => {
  onlySettings('optimiseProgram', options, ['merge'])
  const change =
    options.merge === undefined ? optimised : (v: Variant) => lazily(v, () => optimiseVariant(v, options))
  return {
    ...p,
    functions: new Map([...p.functions].map(([name, variants]) => [name, variants.map(change)])),
  }
}
