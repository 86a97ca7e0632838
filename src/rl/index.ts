/**
 * Reinforcement learning: tasks, policies, completions, rewards, groups.
 *
 * @since 0.1.0
 */

export { type AdvantageSettings, advantages, haveSpread } from './advantages.ts'
export { type Advisory, type AdvisoryKind, advisories, type Recent } from './advisories.ts'
export { type AttemptSettings, harvested, solvable } from './attempts.ts'
export type { Completion, StopReason } from './completion.ts'
export { counts, type Experience, experienceOf, experiencesOf } from './experience.ts'
export {
  type ExperiencePack,
  type ExperienceSizes,
  type PlacedExperience,
  type PlacedPrompt,
  packExperiences,
} from './experience-pack.ts'
export type { Group, RatedGroup, ScoredGroup, SelectedGroup } from './group.ts'
export * from './losses/index.ts'
export type { ServerSettings } from './openai-client.ts'
export * from './operators/index.ts'
export { type Policy, PolicyError, type PolicyErrorTag, type Request } from './policy.ts'
export { type PolicyGradient, type PolicyGradientSettings, policyGradient } from './policy-gradient.ts'
export type { MissingColumn, OtherColumn, Reads } from './reads.ts'
export { reinforcement } from './reinforcement.ts'
export type {
  EpisodeSettings,
  ReinforcementSettings,
  RewardSearchSettings,
} from './reinforcement-settings.ts'
export type { Abstained, Evidence, Failed, Judged, Judgement, Reward, Scored, Step } from './reward.ts'
export * from './rewards/index.ts'
export { rewardsOf, type Selection, type SelectionSettings, selectionOf } from './selection.ts'
export { type ServerPolicyOptions, serverPolicy } from './server-policy.ts'
export { policyFunctions, type SessionPolicyOptions, sessionPolicy } from './session-policy.ts'
export { type EpisodeStatistics, type Spread, spreadOf, statisticsOf } from './statistics.ts'
export { type SteppedGroup, stepAdvantages, stepsOf, withStepAdvantages } from './step-advantages.ts'
export type { Columns, Task } from './task.ts'
export { type TrainedPolicy, trainedPolicy } from './trained-policy.ts'
export type { ValidationSettings } from './validation.ts'
export { valuesOf } from './values.ts'
export * from './verify/index.ts'
