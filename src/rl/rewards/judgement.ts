/**
 * Judgements: how they are made, and how a reward is asked for one so that nothing it does is thrown.
 *
 * @since 0.1.0
 */
import type { Task as Effect } from 'fp-ts/lib/Task.js'
import { mostReward } from '../advantages.ts'
import type { Completion } from '../completion.ts'
import type { Group, ScoredGroup } from '../group.ts'
import type { Reads } from '../reads.ts'
import type { Abstained, Evidence, Failed, Judged, Judgement, Reward, Scored } from '../reward.ts'
import type { Columns, Task } from '../task.ts'
import { asked } from './bounded.ts'

/** Judgements by name. */
export type JudgedParts = Readonly<Record<string, Judgement>>

const withParts = <J extends Judgement>(judgement: J, parts?: JudgedParts): J =>
  parts === undefined ? judgement : { ...judgement, parts }

/** A value, and what it rests on. */
export const scored = (value: number, evidence: Evidence = {}, parts?: JudgedParts): Scored =>
  withParts({ _tag: 'Scored', value, evidence }, parts)

/** No word about this completion, and why. */
export const abstained = (why: string, parts?: JudgedParts): Abstained =>
  withParts({ _tag: 'Abstained', why }, parts)

/** A verifier that failed: why, and after how many milliseconds. */
export const failed = (why: string, elapsedMs = 0, parts?: JudgedParts): Failed =>
  withParts({ _tag: 'Failed', why, elapsedMs }, parts)

/** V8's words for a change of what is frozen. */
const frozenChanged = /read only property|not extensible|^Cannot delete property/

/** What was thrown, in words. */
export const inWords = (thrown: unknown): string => {
  try {
    if (!(thrown instanceof Error)) {
      const said = String(thrown)
      return said === '[object Object]' ? (JSON.stringify(thrown) ?? said) : said
    }
    const words = thrown.message || thrown.name
    return thrown instanceof TypeError && frozenChanged.test(words)
      ? `${words}; a task and its completions, which others read and are learnt from, cannot be changed: change a copy`
      : words
  } catch {
    return 'something that cannot be shown was thrown'
  }
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null

const shown = (x: unknown): string => {
  if (x === undefined || x === null) return x === null ? 'null' : 'nothing'
  if (typeof x !== 'object') return `${typeof x === 'string' ? 'the text' : `a ${typeof x},`} ${inWords(x)}`
  return Array.isArray(x) ? 'a list' : x instanceof Date ? 'a Date' : 'a record'
}

/** Whether something is read as a record again after it was recorded: no list, and nothing that writes itself otherwise, as a date. */
const isPlainRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  isRecord(x) && !Array.isArray(x) && typeof (x as { readonly toJSON?: unknown }).toJSON !== 'function'

/** Why data cannot be recorded, such as a bigint in it or a record that holds itself; undefined where it can be. */
const unrecordable = (data: unknown): string | undefined => {
  try {
    JSON.stringify(data)
    return undefined
  } catch (e) {
    return inWords(e).split('\n')[0]!
  }
}

const noPlainEvidence = (why: string): string => `its evidence is no plain JSON data (${why})`

/** Why a number can be no reward; undefined where it can be one. */
const valueFault = (value: unknown): string | undefined =>
  typeof value !== 'number' || !Number.isFinite(value)
    ? `its value is ${typeof value === 'number' ? value : `no number: ${shown(value)}`}; give a finite number`
    : Math.abs(value) > mostReward
      ? `its value is ${value}; give a number from −1e12 to 1e12, since gradients are computed of it in float32`
      : undefined

/** Why a step of what was scored can be none; undefined where it can be one. */
const stepFault = (step: unknown): string | undefined => {
  if (!isRecord(step)) return `it is ${shown(step)}; give { from, to, value }`
  const { value, from, to, about } = step
  const fault = valueFault(value)
  if (fault !== undefined) return fault
  for (const [name, place] of Object.entries({ from, to }))
    if (!Number.isInteger(place))
      return `its ${name} is ${typeof place === 'number' ? place : shown(place)}; give the number of a character of the completion's text`
  return about === undefined || typeof about === 'string'
    ? undefined
    : `its about is ${shown(about)}; give a text`
}

/** Why the values of what was scored can be none: its own, or that of a step. */
const scoredFault = ({ value, evidence, steps }: Readonly<Record<string, unknown>>): string | undefined => {
  const fault = valueFault(value)
  if (fault !== undefined) return fault
  if (!isPlainRecord(evidence)) return `its evidence is ${shown(evidence)}; give a plain record`
  if (steps === undefined) return undefined
  if (!Array.isArray(steps)) return `its steps are ${shown(steps)}; give a list of them`
  for (const [i, step] of steps.entries()) {
    const of = stepFault(step)
    if (of !== undefined) return `step ${i}: ${of}`
  }
  return undefined
}

/** Why something is no judgement, or has one in its parts that is none; undefined where it is one. */
const shapeFault = (said: unknown): string | undefined => {
  if (!isRecord(said)) return `it gave ${shown(said)}, which is no judgement`
  const { _tag: tag, why, elapsedMs, parts } = said
  if (tag !== 'Scored' && tag !== 'Abstained' && tag !== 'Failed')
    return `it gave ${unrecordable(said) === undefined ? JSON.stringify(said) : shown(said)}, which is no judgement`
  const fault = tag === 'Scored' ? scoredFault(said) : undefined
  if (fault !== undefined) return fault
  if (tag !== 'Scored' && typeof why !== 'string') return `its why is ${shown(why)}; give a text`
  if (tag === 'Failed' && typeof elapsedMs !== 'number')
    return `its elapsedMs is ${shown(elapsedMs)}; give a number`
  if (parts === undefined) return undefined
  if (!isPlainRecord(parts)) return `its parts are ${shown(parts)}; give a record of judgements`
  for (const [name, part] of Object.entries(parts)) {
    const of = shapeFault(part)
    if (of !== undefined) return `part '${name}': ${of}`
  }
  return undefined
}

/** Why what a reward gave can be no judgement that is recorded and learnt from; undefined where it can be one. */
export const judgementFault = (said: unknown): string | undefined => {
  const fault = shapeFault(said)
  if (fault !== undefined) return fault
  const why = unrecordable(said)
  return why === undefined ? undefined : noPlainEvidence(why)
}

/** What is frozen with all that is in it: a task is judged with each of its completions. */
const frozen = new WeakSet<object>()

/**
 * Freezes lists and plain records, and what is in them, however deep. What else there is, such as pixels, stays as it is.
 */
const freeze = (whole: unknown): void => {
  const waiting = [whole]
  while (waiting.length > 0) {
    const x = waiting.pop()
    if (typeof x !== 'object' || x === null || frozen.has(x)) continue
    if (!Array.isArray(x) && ![Object.prototype, null].includes(Object.getPrototypeOf(x))) continue
    frozen.add(Object.freeze(x))
    if (Array.isArray(x)) for (const one of x) waiting.push(one)
    else for (const { value } of Object.values(Object.getOwnPropertyDescriptors(x))) waiting.push(value)
  }
}

/**
 * What a reward is given. Nobody can change it: other rewards read it, and it is learnt from after them. In a reward's module,
 * which is strict, a change throws, and the judgement says so.
 */
export const judgedOf = <C extends Columns>(task: Task<C>, completion: Completion): Judged<C> => {
  freeze(task)
  freeze(completion)
  return { task, completion }
}

/**
 * A judgement as it was given, a number as `Scored`; anything else, a number that is not finite or is too large, also of a step, and
 * evidence that cannot be recorded are `Failed`.
 */
export const asJudgement = (given: unknown, elapsedMs: number): Judgement => {
  if (typeof given === 'number') return asJudgement(scored(given), elapsedMs)
  const { _tag: tag, parts } = isRecord(given) ? given : {}
  if (!isRecord(given) || (tag !== 'Scored' && tag !== 'Abstained' && tag !== 'Failed'))
    return failed(`it gave ${shown(given)}, which is neither a number nor a judgement`, elapsedMs)
  const whole =
    tag === 'Scored'
      ? { ...given, evidence: given.evidence ?? {} }
      : tag === 'Failed'
        ? { ...given, elapsedMs: given.elapsedMs ?? elapsedMs }
        : given
  const why = judgementFault(whole)
  if (why === undefined) return whole as unknown as Judgement
  // its parts may still say something
  const whatSaid = failed(why, elapsedMs, parts as JudgedParts | undefined)
  return judgementFault(whatSaid) === undefined ? whatSaid : failed(why, elapsedMs)
}

/** The judgement of a reward, whatever the reward does: what it throws and what is no judgement are `Failed`. */
export const judgementOf = async (reward: Reward<never>, judged: Judged): Promise<Judgement> => {
  const began = performance.now()
  try {
    const given: unknown = await asked(reward, reward.score(judged as Judged<never>))
    return asJudgement(given, performance.now() - began)
  } catch (thrown) {
    return failed(inWords(thrown), performance.now() - began)
  }
}

/**
 * Judges each completion of a group, all at the same time. Where the group's tasks lack a column that the reward reads, it
 * does not compile, and the message names the column.
 *
 * @category rewards
 */
export const scoreGroup = <R extends Columns, C extends Columns>(
  reward: Reward<R> & Reads<C, R>,
  group: Group<C>,
): Effect<ScoredGroup<C>> => {
  const { task, completions } = group
  return async () => ({
    ...group,
    judgements: await Promise.all(
      completions.map((completion) => judgementOf(reward, judgedOf(task, completion))),
    ),
  })
}
