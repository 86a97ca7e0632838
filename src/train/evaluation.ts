/**
 * Measurements after a stage.
 *
 * @since 0.1.0
 */
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { EventOf } from '../run/index.ts'
import type { RunContext } from './experiment.ts'
import { listSetting, valueSetting } from './setting-checks.ts'

/** The stage that is measured. */
export interface MeasuredStage {
  readonly name: string
  /** Whether it is the recipe's last. */
  readonly last: boolean
  /** Families that an earlier start of the run has measured after this stage: they are left out. */
  readonly done: ReadonlySet<string>
  /** What the session holds: the weights that the stage ended with, or where this is said others that it left beside them. */
  readonly weights?: string
}

/** A measurement after a stage. It may replace caches, and no weights. */
export interface Evaluation {
  /** What it measures, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  readonly families: readonly string[]
  /** The stages that it is about; default: all. A name that no stage has is an error before the first step. */
  readonly stages?: readonly string[]
  /** Functions that it needs in the program of a stage. */
  readonly functions: (stage: string) => Readonly<Record<string, FunctionSpec>>
  /** What can be known to fail before the first step, such as a question that does not fit. Rejects with the error. */
  readonly preflight?: () => Promise<void>
  /** Measures: for each family its predictions, then one `evaluated` (a share) or `measured` (a mean in a unit). */
  readonly run: (
    session: Session,
    stage: MeasuredStage,
    context: RunContext,
  ) => AsyncIterable<EventOf<'evaluated'> | EventOf<'measured'> | EventOf<'predicted'>>
}

/** An evaluation, also where a file is not type-checked. @throws SettingsError */
const givenEvaluation = (where: string, setting: string, e: Evaluation): Evaluation => {
  valueSetting(where, setting, e, ['functions', 'run'], 'an evaluation, such as exactAnswers({ … })')
  return e
}

/**
 * Several evaluations as one, one after the other.
 *
 * @throws RangeError (of `functions`) where two of them give one function name to different functions
 * @category evaluations
 */
export const allOf = (...evaluations: readonly Evaluation[]): Evaluation => ({
  config: evaluations.map((e, i) => givenEvaluation('allOf', `evaluations[${i}]`, e).config),
  families: evaluations.flatMap((e) => e.families),
  stages: evaluations.flatMap((e) => e.stages ?? []),
  functions: (stage) => {
    const all = evaluations.flatMap((e) => Object.entries(e.functions(stage)))
    const twice = all.find(([name, f]) => all.some(([other, g]) => other === name && g !== f))
    if (twice !== undefined)
      throw new RangeError(
        `allOf: two evaluations of stage '${stage}' have a function '${twice[0]}'; measure one of them after another stage`,
      )
    return Object.fromEntries(all)
  },
  preflight: async () => {
    for (const e of evaluations) await e.preflight?.()
  },
  async *run(session, stage, context) {
    for (const e of evaluations) yield* e.run(session, stage, context)
  },
})

/**
 * An evaluation after some of a recipe's stages alone. A name that no stage has is an error before the first step.
 *
 * @category evaluations
 */
export const after = (stages: readonly string[], e: Evaluation): Evaluation => ({
  ...e,
  config: {
    kind: 'after',
    stages: [...listSetting('after', 'stages', stages)],
    evaluation: givenEvaluation('after', 'evaluation', e).config,
  },
  stages,
  functions: (stage) => (stages.includes(stage) ? e.functions(stage) : {}),
  async *run(session, stage, context) {
    if (stages.includes(stage.name)) yield* e.run(session, stage, context)
  },
})

/** Measures nothing. @category evaluations */
export const unmeasured: Evaluation = allOf()
