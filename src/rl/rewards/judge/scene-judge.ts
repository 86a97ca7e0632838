/**
 * A judge that needs no network: rules over the scene that an image was rendered from.
 *
 * @since 0.1.0
 */

import type { Judged, Reward } from '../../reward.ts'
import { failed, inWords } from '../judgement.ts'
import { saidIn, type ThinkVerdict, threefold } from './judges.ts'

/** A scene: whatever it has, it names its family. */
export interface AnyScene {
  readonly family: string
}

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
export const sceneJudge = <S extends AnyScene>(rules: SceneRules<S>): Reward<{ readonly scene: S }> => ({
  name: 'sceneJudge',
  config: { kind: 'sceneJudge', families: Object.keys(rules).sort() },
  score:
    ({ task, completion }: Judged<{ readonly scene: S }>) =>
    async () => {
      const { scene } = task.columns
      const began = performance.now()
      try {
        const said = saidIn(completion.text)
        if (!Object.hasOwn(rules, scene.family))
          return { _tag: 'Abstained', why: `there is no rule for the family ${scene.family}` }
        if (said.thinking === '')
          return threefold({ soundness: 0, grounding: 0, consistency: 0 }, { why: 'no thinking' })
        const rule = rules[scene.family as S['family']] as (scene: S, said: SaidOfScene) => SceneVerdict
        const { wrong, ...verdict } = rule(scene, { question: task.question, ...said })
        return threefold(verdict, { wrong })
      } catch (thrown) {
        return failed(inWords(thrown), performance.now() - began)
      }
    },
})
