/** What a stage of reinforcement says: its groups of rollouts, its episodes, its updates, its validations. */
import * as t from 'io-ts'

/** What a reward said of a completion, with what it was put together from. */
export type RecordedJudgement =
  | {
      readonly _tag: 'Scored'
      readonly value: number
      readonly evidence: { readonly [key: string]: unknown }
      readonly steps?: readonly {
        readonly from: number
        readonly to: number
        readonly value: number
        readonly about?: string
      }[]
      readonly parts?: { readonly [name: string]: RecordedJudgement }
    }
  | {
      readonly _tag: 'Abstained'
      readonly why: string
      readonly parts?: { readonly [name: string]: RecordedJudgement }
    }
  | {
      readonly _tag: 'Failed'
      readonly why: string
      readonly elapsedMs: number
      readonly parts?: { readonly [name: string]: RecordedJudgement }
    }

/** Codec of {@link RecordedJudgement}. */
export const RecordedJudgement: t.Type<RecordedJudgement> = t.recursion('judgement', () => {
  const parts = t.partial({ parts: t.record(t.string, RecordedJudgement) })
  const steps = t.partial({
    steps: t.readonlyArray(
      t.intersection([
        t.type({ from: t.number, to: t.number, value: t.number }),
        t.partial({ about: t.string }),
      ]),
    ),
  })
  return t.union([
    t.intersection([
      t.type({ _tag: t.literal('Scored'), value: t.number, evidence: t.UnknownRecord }),
      parts,
      steps,
    ]),
    t.intersection([t.type({ _tag: t.literal('Abstained'), why: t.string }), parts]),
    t.intersection([t.type({ _tag: t.literal('Failed'), why: t.string, elapsedMs: t.number }), parts]),
  ]) as t.Type<RecordedJudgement>
})

/**
 * A group of rollouts: the completions of one task, judged. It is kept in a file of its episode under `rollouts/`, once,
 * and not among the events. `index` is the task's place among all that the stage has asked, `task` its id; of each completion `logProbs`
 * are natural logarithms by token at the sampling temperature, `texts` what each token reads as, `version` the updates that its policy had seen; `advantages`
 * are null where a completion could not be judged; `discarded` says why the group takes part in no update; `images` are paths
 * inside the run folder.
 */
export const GroupDrawn = t.intersection([
  t.type({
    type: t.literal('group'),
    stage: t.string,
    episode: t.number,
    index: t.number,
    task: t.string,
    family: t.string,
    question: t.string,
    images: t.array(t.string),
    promptIds: t.array(t.number),
    completions: t.array(
      t.intersection([
        t.type({
          sample: t.number,
          ids: t.array(t.number),
          logProbs: t.array(t.number),
          text: t.string,
          stop: t.keyof({ end: null, length: null }),
          version: t.number,
        }),
        t.partial({ texts: t.array(t.string) }),
      ]),
    ),
    judgements: t.array(RecordedJudgement),
    advantages: t.array(t.union([t.number, t.null])),
  }),
  t.partial({ discarded: t.string }),
])

const Spread = t.type({ mean: t.number, std: t.number, count: t.number })

/**
 * The rollouts of an episode are drawn and judged; its updates begin with `step`. `kept` groups take part in them and
 * `discarded` do not, of which `degenerate` had one reward throughout. `rewards` is over all completions that have one, then by component and by family;
 * `truncated` the share that was cut off; `lengths` in tokens; `failed` and `abstained` count completions, and
 * `failure` is the reason that most failed ones give.
 * `rolloutSeconds` until the last group was drawn, `scoreSeconds` from there until the last was judged.
 */
export const EpisodeDrawn = t.intersection([
  t.type({
    type: t.literal('episode'),
    stage: t.string,
    episode: t.number,
    step: t.number,
    kept: t.number,
    discarded: t.number,
    degenerate: t.number,
    completions: t.number,
    rewards: Spread,
    components: t.record(t.string, Spread),
    families: t.record(t.string, Spread),
    lengths: t.intersection([Spread, t.type({ most: t.number })]),
    truncated: t.number,
    failed: t.number,
    abstained: t.number,
    rolloutSeconds: t.number,
    scoreSeconds: t.number,
  }),
  t.partial({ failure: t.string }),
])

/**
 * What an update of a policy measured, beside its `step`: `metrics` by name, such as `entropy` (nats), `clipLow` and
 * `clipHigh` (shares of tokens) and `kl` (nats, of the policy that drew from the one that learns, before the update).
 */
export const PolicyStepped = t.type({
  type: t.literal('rl-step'),
  stage: t.string,
  step: t.number,
  episode: t.number,
  completions: t.number,
  metrics: t.record(t.string, t.number),
})

/**
 * Held-out tasks were answered by the policy after `step` updates of a stage that goes on, each once: their rewards over all
 * and by family, the mean `length` of the answers in tokens, the share that was cut off, and how many had no reward (the mean of none is
 * NaN).
 */
export const PolicyValidated = t.type({
  type: t.literal('validated'),
  stage: t.string,
  step: t.number,
  rewards: Spread,
  families: t.record(t.string, Spread),
  length: t.number,
  truncated: t.number,
  unjudged: t.number,
  seconds: t.number,
})
