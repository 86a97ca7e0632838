/**
 * Rules that judge each step of a thought by itself: what a policy learns from besides whether the whole was right.
 *
 * @since 0.1.0
 */
import type { Judged, Reward } from '../../reward.ts'
import { failed, inWords, scored } from '../judgement.ts'
import type { AnyScene } from './scene-judge.ts'

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
 * (`Scored.steps`), of which `advantages: { steps: 1 }` of a stage makes advantages of tokens. What is behind the thought is a step that
 * holds where it is one box. Without a thought it is 0; of a
 * family without a rule it abstains.
 *
 * @category judges
 */
export const sceneSteps = <S extends AnyScene>(rules: StepRules<S>): Reward<{ readonly scene: S }> => ({
  name: 'sceneSteps',
  config: { kind: 'sceneSteps', families: Object.keys(rules).sort() },
  score:
    ({ task, completion: { text } }: Judged<{ readonly scene: S }>) =>
    async () => {
      const { scene } = task.columns
      const began = performance.now()
      try {
        if (!Object.hasOwn(rules, scene.family))
          return { _tag: 'Abstained', why: `there is no rule for the family ${scene.family}` }
        const start = opening.exec(text)?.[0].length ?? 0
        const closed = text.indexOf('</think>')
        if (start === 0 || (closed >= 0 && closed < start)) return scored(0, { why: 'no thinking' })
        const rule = rules[scene.family as S['family']] as (
          scene: S,
          thinking: string,
        ) => readonly JudgedStep[]
        const judged = rule(scene, text.slice(start, closed < 0 ? undefined : closed))
        const behind = {
          from: closed < 0 ? (judged.at(-1)?.to ?? 0) : closed - start,
          to: text.length - start,
          holds: closed >= 0 && box.test(text.slice(closed)),
          about: 'box',
        }
        const steps = [...judged, behind].map(({ from, to, holds, about }) => ({
          ...{ from: start + from, to: start + to, value: holds ? 1 : 0 },
          ...(about === undefined ? {} : { about }),
        }))
        const held = steps.filter((s) => s.value === 1).length
        const wrong = steps.filter((s) => s.value === 0).map((s) => text.slice(s.from, s.to))
        const value = judged.length === 0 ? 0 : held / steps.length
        return { ...scored(value, { steps: steps.length, wrong: wrong.slice(0, 20) }), steps }
      } catch (thrown) {
        return failed(inWords(thrown), performance.now() - began)
      }
    },
})
