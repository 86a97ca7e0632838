/** A small invented run of reinforcement: two episodes of three groups, with what the report and the terminal show of them. */
import type { EventOf, RecordedJudgement, RunEvent } from '../../src/run/index.ts'

const spread = (mean: number, std = 0.2, count = 12) => ({ mean, std, count })

const judged = (answer: number, format: number, extracted: string): RecordedJudgement => ({
  ...{ _tag: 'Scored', value: Number((0.9 * answer + 0.1 * format).toFixed(3)), evidence: {} },
  parts: {
    answer: { _tag: 'Scored', value: answer, evidence: { extracted, expected: '7' } },
    format: { _tag: 'Scored', value: format, evidence: {} },
  },
})

/** Group `index` of an episode; those with `discarded` have one reward throughout. */
export const syntheticGroup = (
  episode: number,
  index: number,
  more: Partial<EventOf<'group'>> = {},
): EventOf<'group'> => {
  const alike = index % 3 === 2
  const texts = [`so <b>${index}</b>`, ' is', '\\boxed{7}', '</turn>']
  return {
    ...{ type: 'group', stage: 'rl', episode, index, task: `sum/${index}@${index}` },
    ...{ family: index % 2 === 0 ? 'sum' : 'chart', question: `What is ${index} & 7?` },
    ...{ images: index % 2 === 0 ? [] : ['images/one.png'], promptIds: [1, 2, 3] },
    completions: [0, 1, 2, 3].map((sample) => ({
      sample,
      ids: texts.slice(0, 4 - (sample % 2)).map((_, i) => i + 4),
      logProbs: texts.slice(0, 4 - (sample % 2)).map((_, i) => -0.02 * (i + 1) ** (sample + 1)),
      texts: texts.slice(0, 4 - (sample % 2)),
      text: texts.slice(0, 3).join(''),
      stop: sample % 2 === 0 ? 'end' : 'length',
      version: 4 * episode,
    })),
    judgements: [0, 1, 2, 3].map((sample) =>
      !alike && sample === 3
        ? { _tag: 'Failed', why: 'ran out of time', elapsedMs: 2000 }
        : judged(alike ? 0 : Number(sample === episode), alike ? 0 : Number(sample < 2), String(sample + 6)),
    ),
    advantages: [0, 1, 2, 3].map((sample) =>
      alike ? 0 : sample === 3 ? null : sample === episode ? 1.4 : -0.7,
    ),
    ...(alike ? { discarded: 'all 4 completions have the reward 0' } : {}),
    ...more,
  }
}

/** All groups. */
export const syntheticGroups: readonly EventOf<'group'>[] = [0, 1, 2, 3, 4, 5].map((i) =>
  syntheticGroup(Math.floor(i / 3), i),
)

/** The events of the stage, groups apart. */
export const syntheticReinforcement = (index = 0, of = 1): readonly RunEvent[] => [
  {
    ...{
      type: 'stage-started',
      stage: 'rl',
      index,
      of,
      steps: 4,
      batch: 4,
      trainable: 10,
      parts: ['language'],
    },
    unit: 'advantage per token',
  },
  ...[0, 1].flatMap((episode): readonly RunEvent[] => [
    {
      ...{
        type: 'episode',
        stage: 'rl',
        episode,
        step: 1 + 2 * episode,
        kept: 2,
        discarded: 1,
        degenerate: 1,
      },
      ...{ completions: 12, rewards: spread(0.3 + 0.2 * episode) },
      components: { answer: spread(0.2 + 0.2 * episode), format: spread(0.5) },
      families: { sum: spread(0.3), chart: spread(0.4) },
      ...{ lengths: { ...spread(3.5), most: 4 }, truncated: 0.5, failed: 2, abstained: 0 },
      ...{ rolloutSeconds: 4, scoreSeconds: 0.5 },
    },
    ...[1, 2].flatMap((n): readonly RunEvent[] => {
      const step = n + 2 * episode
      return [
        {
          ...{ type: 'step', stage: 'rl', step, steps: 4, loss: 0.01, learningRate: 1e-3, gradientNorm: 0.5 },
          ...{ samples: 4 * step, tokens: 14, seconds: 3 * step },
          ...{ dataSeconds: n === 1 ? 4.5 : 0, computeSeconds: 1 },
        },
        {
          ...{ type: 'rl-step', stage: 'rl', step, episode, completions: 4 },
          metrics: { entropy: 0.5 - 0.1 * step, kl: 0.001 * step, clipLow: 0.01, clipHigh: 0.02 * step },
        },
      ]
    }),
  ]),
  { type: 'warned', message: 'stage rl: 4 of 24 completions have no reward because a verifier failed' },
  { type: 'evaluated', stage: 'rl', family: 'sum', correct: 60, total: 100, seconds: 1 },
  {
    ...{ type: 'stage-finished', stage: 'rl', index, loss: 0.01, samples: 16 },
    ...{ trainSeconds: 13, evaluateSeconds: 1 },
  },
]
