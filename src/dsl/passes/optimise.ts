/** The passes one after the other, over graphs and over whole programs. */
import { rewrite, type Tensor } from '../graph.ts'
import { overBodies } from '../loop.ts'
import { type Program, rootsOf, type Variant, withRoots } from '../program.ts'
import { clampIndices } from './clamp-indices.ts'
import { commonSubexpressions } from './common-subexpressions.ts'
import { foldConstants } from './fold-constants.ts'
import { foldTransposes } from './fold-transposes.ts'
import { narrow } from './narrow.ts'

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
export const optimise = (roots: readonly Tensor[]): Tensor[] => {
  const passes = [
    commonSubexpressions,
    foldConstants,
    narrow,
    foldTransposes,
    foldConstants,
    commonSubexpressions,
  ]
  const now = passes.reduce<Tensor[]>((now, pass) => pass(now), [...roots])
  return [...overBodies(now, (body) => optimise(dropStopGradients(body)))]
}

/**
 * A pass over outputs and next states of a variant jointly; the variant no longer lists states that it does not read.
 *
 * @category passes
 */
export const overVariant = (pass: (roots: readonly Tensor[]) => Tensor[], v: Variant): Variant =>
  withRoots(v, pass(rootsOf(v)))

/**
 * A variant that is made when it is first read, but for its inputs, which are known: a program of many buckets costs what
 * is called of it.
 */
const lazily = (v: Variant, make: () => Variant): Variant => {
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

const optimiseVariant = (v: Variant): Variant => {
  const w = overVariant((roots) => optimise(dropStopGradients(roots)), v)
  const next = new Map([...w.next].filter(([k, t]) => !isItself(k, t)))
  return overVariant((roots) => [...roots], { ...w, next })
}

const clampVariant = (v: Variant): Variant => {
  const roots = rootsOf(v)
  const now = clampIndices(roots)
  return now === roots ? v : withRoots(v, now)
}

/**
 * A change of each variant of each function, when it is first read: what several programs, or several sessions, have in common is
 * changed once.
 */
const overProgram = (change: (v: Variant) => Variant): ((p: Program) => Program) => {
  const made = new WeakMap<Variant, Variant>()
  const changed = (v: Variant): Variant => {
    const had = made.get(v) ?? lazily(v, () => change(v))
    made.set(v, had)
    return had
  }
  return (p) => ({
    ...p,
    functions: new Map([...p.functions].map(([name, variants]) => [name, variants.map(changed)])),
  })
}

/**
 * {@link optimise} for each variant of each function, outputs and next states jointly. Names, inputs and the program's
 * states stay; a variant no longer lists states that it does not read, nor states that it would replace by themselves. Each
 * variant is optimised when it is first read.
 *
 * @category passes
 */
export const optimiseProgram: (p: Program) => Program = overProgram(optimiseVariant)

/**
 * {@link clampIndices} for each variant of each function, when it is first read.
 *
 * @category passes
 */
export const clampProgram: (p: Program) => Program = overProgram(clampVariant)
