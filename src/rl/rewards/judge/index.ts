/**
 * Judges: models behind an endpoint, and rules over the scene of an image.
 *
 * @since 0.1.0
 */
export { dataMessage, judgePrompt } from './data-message.ts'
export {
  type JudgeAnswer,
  type JudgeCounts,
  type JudgeModel,
  type JudgeModelOptions,
  type JudgeQuestion,
  judgeModel,
} from './judge-model.ts'
export {
  type Agreement,
  answerJudge,
  audited,
  type JudgeOptions,
  type Reference,
  type ThinkVerdict,
  thinkJudge,
} from './judges.ts'
export {
  type AnyScene,
  type JudgedStep,
  type SaidOfScene,
  type SceneRules,
  type SceneVerdict,
  type StepRules,
  sceneJudge,
  sceneSteps,
} from './scenes.ts'
