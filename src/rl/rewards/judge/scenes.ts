/**
 * Judges that need no network: rules over the scene that an image was rendered from.
 *
 * @since 0.1.0
 */
import { present } from '../../../settings/internal.ts'
import type { Judged, Reward, Scored } from '../../reward.ts'
import { abstained, failed, inWords, scored } from '../judgement.ts'
import { saidIn, type ThinkVerdict, threefold } from './judges.ts'

/** A scene: whatever it has, it names its family. */
export interface AnyScene {
  readonly family: string
}

/** A reward by the rule of a scene's family; of a family without one it abstains. */
const byRule = <S extends AnyScene, Rule>(
  kind: string,
  rules: { readonly [F in S['family']]?: unknown },
  judge: (rule: Rule, judged: Judged<{ readonly scene: S }>) => Scored,
): Reward<{ readonly scene: S }> => ({
  name: kind,
  config: { kind, families: Object.keys(rules).sort() },
  score: (judged) => async () => {
    const { scene } = judged.task.columns
    const began = performance.now()
    try {
      return Object.hasOwn(rules, scene.family)
        ? judge(rules[scene.family as S['family']] as Rule, judged)
        : abstained(`there is no rule for the family ${scene.family}`)
    } catch (thrown) {
      return failed(inWords(thrown), performance.now() - began)
    }
  },
})

/** What a completion said about a scene. */
export interface SaidOfScene {
  readonly question: string
  readonly thinking: string
  readonly answer: string
}

/** The verdicts of a rule, and what they rest on. */
export interface SceneVerdict extends ThinkVerdict {
  /** The statements that are wrong, as they were written. */
  readonly wrong: readonly string[]
}

/** A rule a family, where it has one: from a scene and what was said of it to three verdicts. */
export type SceneRules<S extends AnyScene> = {
  readonly [F in S['family']]?: (scene: Extract<S, { readonly family: F }>, said: SaidOfScene) => SceneVerdict
}

/**
 * The mean of three verdicts of 0 or 1 on a completion's thinking, as {@link thinkJudge} gives them, by rules over the task's
 * column `scene`. Without thinking it is 0; of a family without a rule it abstains.
 *
 * @category judges
 */
export const sceneJudge = <S extends AnyScene>(rules: SceneRules<S>): Reward<{ readonly scene: S }> =>
  byRule<S, (scene: S, said: SaidOfScene) => SceneVerdict>(
    'sceneJudge',
    rules,
    (rule, { task, completion }) => {
      const said = saidIn(completion.text)
      if (said.thinking === '')
        return threefold({ soundness: 0, grounding: 0, consistency: 0 }, { why: 'no thinking' })
      const { wrong, ...verdict } = rule(task.columns.scene, { question: task.question, ...said })
      return threefold(verdict, { wrong })
    },
  )

/** A step of a thought, by the characters of the thought, and whether it holds. */
export interface JudgedStep {
  readonly from: number
  readonly to: number
  readonly holds: boolean
  /** What it is about, in a word: steps about the same are compared with one another. */
  readonly about?: string
}

/** A rule a family, where it has one: from a scene and a thought to the steps of the thought. */
export type StepRules<S extends AnyScene> = {
  readonly [F in S['family']]?: (
    scene: Extract<S, { readonly family: F }>,
    thinking: string,
  ) => readonly JudgedStep[]
}

const opening = /^\s*<think>/
const box = /^<\/think>\s*\\boxed\{[^{}]{1,200}\}\s*$/

/**
 * The share of a thought's steps that hold, each judged by rules over the task's column `scene`, and the steps themselves
 * (`Scored.steps`), of which `advantages: { steps: 1 }` of a stage makes advantages of tokens. What is behind the thought is a
 * step that holds where it is one box. Without a thought it is 0; of a family without a rule it abstains.
 *
 * @category judges
 */
export const sceneSteps = <S extends AnyScene>(rules: StepRules<S>): Reward<{ readonly scene: S }> =>
  byRule<S, (scene: S, thinking: string) => readonly JudgedStep[]>(
    'sceneSteps',
    rules,
    (rule, { task, completion: { text } }) => {
      const start = opening.exec(text)?.[0].length ?? 0
      const closed = text.indexOf('</think>')
      if (start === 0 || (closed >= 0 && closed < start)) return scored(0, { why: 'no thinking' })
      const judged = rule(task.columns.scene, text.slice(start, closed < 0 ? undefined : closed))
      const behind = {
        from: closed < 0 ? (judged.at(-1)?.to ?? 0) : closed - start,
        to: text.length - start,
        holds: closed >= 0 && box.test(text.slice(closed)),
        about: 'box',
      }
      const steps = [...judged, behind].map(({ from, to, holds, about }) => ({
        ...{ from: start + from, to: start + to, value: holds ? 1 : 0 },
        ...present({ about }),
      }))
      const held = steps.filter((s) => s.value === 1).length
      const wrong = steps.filter((s) => s.value === 0).map((s) => text.slice(s.from, s.to))
      const value = judged.length === 0 ? 0 : held / steps.length
      return { ...scored(value, { steps: steps.length, wrong: wrong.slice(0, 20) }), steps }
    },
  )
