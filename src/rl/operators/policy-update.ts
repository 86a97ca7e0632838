/**
 * Minibatches become updates of the policy.
 *
 * @since 0.1.0
 */
import { concatMap, defer, type OperatorFunction } from 'rxjs'
import type { Session } from '../../engine/index.ts'
import { kindOf, onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { RecipeError, type Updated, update, valueSetting } from '../../train/index.ts'
import { experiencesOf } from '../experience.ts'
import type { PolicyGradient } from '../policy-gradient.ts'
import type { Columns } from '../task.ts'
import type { Minibatch } from './minibatches.ts'

/** Settings of {@link policyUpdate}. */
export interface UpdateOptions {
  /** Of a learner's program that accumulates. */
  readonly session: Session
  readonly objective: Pick<PolicyGradient, 'collate'>
  /** The learning rate of a minibatch. */
  readonly rate: (minibatch: Minibatch) => number
  /** Leaves out completions that were cut off; default false. */
  readonly filterOverlong?: boolean
}

/** An update, and what it learnt from. */
export interface UpdatedMinibatch<out C extends Columns = Columns> {
  readonly minibatch: Minibatch<C>
  readonly learningRate: number
  /** Completions that it learnt from. */
  readonly completions: number
  /** Undefined where no completion counts: the weights stay as they are. */
  readonly updated?: Updated
  readonly seconds: number
}

/** Learns from one minibatch. Rejects with what the engine says. */
export const learntFrom = async <C extends Columns>(
  { session, objective, rate, filterOverlong = false }: UpdateOptions,
  minibatch: Minibatch<C>,
): Promise<UpdatedMinibatch<C>> => {
  const began = performance.now()
  const learningRate = rate(minibatch)
  const experiences = minibatch.groups.flatMap((g) => experiencesOf(g, filterOverlong))
  const batches = objective.collate(experiences)
  const updated = batches.length === 0 ? undefined : await update(session, batches, learningRate)
  return {
    ...{ minibatch, learningRate, completions: experiences.length },
    ...present({ updated }),
    seconds: (performance.now() - began) / 1000,
  }
}

/**
 * Learns from each minibatch, one after the other: it alone changes weights. Those that come meanwhile wait. Unsubscribing
 * lets the call in progress end and starts no other minibatch. The stream fails with the source and with the engine.
 *
 * ```text
 * minibatches  -xy------|
 * session        ---
 *                   ---
 * result       ----x--y-|
 * ```
 *
 * @throws RecipeError where a setting is none, at once
 * @category operators
 */
export const policyUpdate = <C extends Columns>(
  options: UpdateOptions,
): OperatorFunction<Minibatch<C>, UpdatedMinibatch<C>> => {
  const where = 'policyUpdate'
  const known = ['session', 'objective', 'rate', 'filterOverlong'] as const
  const { session, objective, rate } = onlySettings(where, options, known)
  valueSetting(where, 'session', session, ['call'], 'a session of a learner, of engine.load(…)')
  valueSetting(where, 'objective', objective, ['collate'], 'an objective, such as policyGradient(…)')
  if (typeof rate !== 'function')
    throw new RecipeError(where, 'rate', `it is ${kindOf(rate)}; give a function, such as () => 1e-5`)
  return concatMap((minibatch) => defer(() => learntFrom(options, minibatch)))
}
