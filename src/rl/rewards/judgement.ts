/**
 * Judgements: how they are made, and how a reward is asked for one so that nothing it does is thrown.
 *
 * @since 0.1.0
 */

import type { Abstained, Evidence, Failed, Judged, Judgement, Reward, Scored } from '../reward.ts'
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

/** What was thrown, in words. */
export const inWords = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
  } catch {
    return 'something that cannot be shown was thrown'
  }
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null

const shown = (x: unknown): string => {
  if (x === undefined || x === null) return x === null ? 'null' : 'nothing'
  if (typeof x !== 'object') return `${typeof x === 'string' ? 'the text' : `a ${typeof x},`} ${inWords(x)}`
  return Array.isArray(x) ? 'a list' : 'a record'
}

/** Why data cannot be recorded, such as a bigint in it or a record that holds itself; undefined where it can be. */
export const unrecordable = (data: unknown): string | undefined => {
  try {
    JSON.stringify(data)
    return undefined
  } catch (e) {
    return inWords(e).split('\n')[0]!
  }
}

/** What a judgement says whose evidence cannot be recorded. */
export const noPlainEvidence = (why: string): string => `its evidence is no plain JSON data (${why})`

/**
 * A judgement as it was given, a number as `Scored`; anything else, a number that is not finite, and evidence that cannot be
 * recorded are `Failed`.
 */
export const asJudgement = (given: unknown, elapsedMs: number): Judgement => {
  if (typeof given === 'number')
    return Number.isFinite(given) ? scored(given) : failed(`its value is ${given}`, elapsedMs)
  if (isRecord(given)) {
    if (given._tag === 'Scored' && typeof given.value === 'number') {
      const parts = given.parts as JudgedParts | undefined
      if (!Number.isFinite(given.value)) return failed(`its value is ${given.value}`, elapsedMs, parts)
      if (!isRecord(given.evidence)) return { ...given, evidence: {} } as Scored
      const why = unrecordable(given.evidence)
      return why === undefined ? (given as unknown as Scored) : failed(noPlainEvidence(why), elapsedMs, parts)
    }
    if (given._tag === 'Scored') return failed(`its value is no number: ${shown(given.value)}`, elapsedMs)
    if ((given._tag === 'Abstained' || given._tag === 'Failed') && typeof given.why === 'string')
      return given._tag === 'Abstained'
        ? (given as unknown as Abstained)
        : ({ elapsedMs, ...given } as unknown as Failed)
  }
  return failed(`it gave ${shown(given)}, which is neither a number nor a judgement`, elapsedMs)
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
