/**
 * What an experiment file exports, told apart from what newcomers export instead.
 *
 * @since 0.1.0
 */
import { didYouMean } from '../terminal/index.ts'
import type { Experiment } from '../train/index.ts'

/** Whether a value is an experiment, as far as its shape says. */
export const isExperiment = (value: unknown): value is Experiment =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Experiment).name === 'string' &&
  typeof (value as Experiment).run === 'function' &&
  typeof (value as Experiment).model === 'object'

const make = "make it with experiment() of 'sailwright/train'"

/** What a value is, and what to do about it; nothing where it is of no kind that is known. */
const kindOf = (value: unknown): string | undefined => {
  if (value === null || ['string', 'number', 'boolean', 'bigint', 'symbol'].includes(typeof value))
    return `it is ${typeof value === 'string' ? `the text '${value.slice(0, 40)}'` : String(value)}; ${make}`
  if (Array.isArray(value)) return `it is a list of ${value.length}; ${make}`
  if (typeof value === 'function')
    return "it is a function that gives another function: a TaskEither is run by calling it, 'await task()', and gives an Either"
  const v = value as Readonly<Record<string, unknown>>
  if (v._tag === 'Left')
    return `it is the left side of an Either: ${String((v.left as { message?: unknown } | null)?.message ?? v.left)}`
  if (v._tag === 'Right') return 'it is an Either: give what stands on its right side'
  if (typeof v.subscribe === 'function')
    return `it is an Observable, and an experiment is what gives one when it is run; ${make}`
  if (Array.isArray(v.stages)) return "it is a recipe: give it to experiment() of 'sailwright/train'"
  if ('source' in v && 'objective' in v)
    return `it is a stage: append it to a recipe with next(…), and ${make.replace('it', 'the experiment')}`
  if ('functions' in v) return `it is a program, and an experiment trains one; ${make}`
  return undefined
}

/**
 * Why a file's default export gives no experiment, in words.
 *
 * @param module all that the file exports
 * @param made what its default export is, or what it returned where it is a function
 */
export const notExperiment = (
  word: string,
  module: Readonly<Record<string, unknown>>,
  made: unknown,
): string => {
  const isFunction = typeof module.default === 'function'
  if (made === undefined && isFunction)
    return `the function that ${word} exports as default returns nothing: it ends in 'return experiment(…)', or has no braces around what it gives.`
  if (made === undefined && 'default' in module)
    return `the default export of ${word} is undefined: is it assigned before 'export default'?`
  if (made === undefined) {
    const named = Object.keys(module)
    return `${word} has no default export: an experiment file ends in 'export default', an experiment or a function that makes one.${named.length > 0 ? ` It exports ${named.join(', ')}.${didYouMean('experiment', named)}` : ''}`
  }
  const what = isFunction ? `what the function that ${word} exports gives` : `the default export of ${word}`
  return `${what} is no experiment: ${kindOf(made) ?? `it needs name, model and run; ${make}`}.`
}
