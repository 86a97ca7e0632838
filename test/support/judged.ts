/** Completions and rewards for tests of rewards. */
import type { Completion, Judged, Judgement, Reward } from '../../src/rl/index.ts'

/** A completion with this text, of which each token is one character. */
export const completionOf = (text: string, of: Partial<Completion> = {}): Completion => ({
  ...{ task: 'task', sample: 0, promptIds: [], logProbs: [], text, stop: 'end', version: 0 },
  ids: Array.from(text, (c) => c.codePointAt(0)!),
  ...of,
})

/** What a reward reads: a task with these columns, and a completion with this text. */
export const judgedOf = <C extends Readonly<Record<string, unknown>>>(
  text: string,
  columns: C,
  of: Partial<Completion> = {},
  question = 'How many?',
): Judged<C> => ({
  task: {
    ...{ id: 'task', family: 'family', question, columns },
    prompt: { id: 'task', ids: [], lossMask: [], promptLength: 0, images: [] },
  },
  completion: completionOf(text, of),
})

/** A reward that always gives this, and counts how often it is asked. */
export const always = (judgement: Judgement, name = 'always') => {
  const asked = { times: 0 }
  const made: Reward = {
    ...{ name, config: { kind: 'always', judgement } },
    score: () => async () => {
      asked.times++
      return judgement
    },
  }
  return Object.assign(made, { asked })
}

/** What a reward says of a text. */
export const judge = <C extends Readonly<Record<string, unknown>>>(
  reward: Reward<C>,
  text: string,
  columns: C,
  of: Partial<Completion> = {},
): Promise<Judgement> => reward.score(judgedOf(text, columns, of))()

/** The value of a judgement that must be `Scored`. */
export const scoreOf = (judgement: Judgement): number => {
  if (judgement._tag !== 'Scored') throw new Error(`${judgement._tag}: ${judgement.why}`)
  return judgement.value
}
