/**
 * What a run says while it goes on: a stream of plain, typed events. The run folder, the progress display and the report
 * all read these and nothing else.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'

/**
 * A stage begins. `of` stages in all; `batch` examples a step, each an `example`, which is a `sample` where nothing is said; `trainable` counts the parameters that it changes, `parts` names them; `unit` is what
 * its loss is counted in, such as `nats per token`, and `nats` where nothing is said.
 */
export const StageStarted = t.intersection([
  t.type({
    type: t.literal('stage-started'),
    stage: t.string,
    index: t.number,
    of: t.number,
    steps: t.number,
    batch: t.number,
    trainable: t.number,
    parts: t.array(t.string),
  }),
  t.partial({ unit: t.string, example: t.string }),
])

/**
 * The weights that a stage begins with: how many keys were taken from what was there, which begin fresh, and which of those
 * that were there the stage has no place for (they are handed on).
 */
export const WeightsTaken = t.type({
  type: t.literal('weights'),
  stage: t.string,
  taken: t.number,
  fresh: t.array(t.string),
  unused: t.array(t.string),
})

/**
 * An optimizer step is done. `loss` in the stage's unit, `gradientNorm` before clipping, `samples` seen in this stage, those of
 * packs one by one, `tokens`
 * what the loss counted, `seconds` since the stage began; of this step: `dataSeconds` waiting for a batch, `computeSeconds` in the engine.
 */
export const Stepped = t.type({
  type: t.literal('step'),
  stage: t.string,
  step: t.number,
  steps: t.number,
  loss: t.number,
  learningRate: t.number,
  gradientNorm: t.number,
  samples: t.number,
  tokens: t.number,
  seconds: t.number,
  dataSeconds: t.number,
  computeSeconds: t.number,
})

/**
 * AdaLRS has ended a window of losses, or broken one off, and decided. `scale` is the factor on the schedule's learning rate
 * from now on, `from` what it was; `velocity` how fast the window's loss fell, a step (null where it was broken off),
 * `against` the velocity that it was compared with, `error` that of both; `why` weights were rolled back.
 */
export const RateDecided = t.intersection([
  t.type({
    type: t.literal('ada-lrs'),
    stage: t.string,
    step: t.number,
    decision: t.keyof({ Watched: null, Tried: null, Kept: null, Left: null, RolledBack: null }),
    scale: t.number,
    velocity: t.union([t.number, t.null]),
  }),
  t.partial({ from: t.number, against: t.number, error: t.number, why: t.string }),
])

/**
 * A stage has made its own examples before its first step: of `of` that were looked at it kept `kept`; `dropped` says how many
 * were left out, by why. `what` they are, in the plural.
 */
export const Curated = t.type({
  type: t.literal('curated'),
  stage: t.string,
  what: t.string,
  of: t.number,
  kept: t.number,
  dropped: t.record(t.string, t.number),
})

const Segment = t.type({ tokens: t.number, images: t.number })

/**
 * How samples share the rows of a stage's first update: for each pack the tokens and images of its rows' segments, and the
 * `sizes` of a pack.
 */
export const Packed = t.type({
  type: t.literal('packed'),
  stage: t.string,
  step: t.number,
  sizes: t.type({ rows: t.number, tokens: t.number, images: t.number }),
  packs: t.readonlyArray(t.readonlyArray(t.readonlyArray(Segment))),
})

/**
 * How much each expert of a model was used by the updates since the last such event: for each layer that has experts, from
 * the first, the shares of its tokens' choices that went to its experts, in their order. They add up to 1. `layers` are those layers'
 * numbers from 0; runs of older versions have none.
 */
export const ExpertLoad = t.intersection([
  t.type({
    type: t.literal('expert-load'),
    stage: t.string,
    step: t.number,
    load: t.readonlyArray(t.readonlyArray(t.number)),
  }),
  t.partial({ layers: t.readonlyArray(t.number) }),
])

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

/** Which weights were measured: the stage's own where nothing is said, `averaged` their moving averages, or others by name. */
const Weights = t.partial({ weights: t.string })

/** A share of one family on held-out samples after a stage: how many of `total` were `correct`. */
export const Evaluated = t.intersection([
  t.type({
    type: t.literal('evaluated'),
    stage: t.string,
    family: t.string,
    correct: t.number,
    total: t.number,
    seconds: t.number,
  }),
  Weights,
])

/**
 * What is no share, such as a loss, of one family on held-out samples after a stage: a mean in its `unit`, over what
 * `weight` counts (tokens, images).
 */
export const Measured = t.intersection([
  t.type({
    type: t.literal('measured'),
    stage: t.string,
    family: t.string,
    value: t.number,
    unit: t.string,
    weight: t.number,
    seconds: t.number,
  }),
  Weights,
])

const OnePredicted = t.type({
  type: t.literal('predicted'),
  stage: t.string,
  family: t.string,
  id: t.string,
  level: t.number,
  image: t.string,
  question: t.string,
  expected: t.string,
  answered: t.string,
  text: t.string,
  correct: t.boolean,
})
/**
 * One held-out prediction. `image` is a PNG's path inside the run folder, empty where there is no image; where there are
 * several it is the first, and `images` are all of them.
 */
export const Predicted = t.intersection([OnePredicted, t.partial({ images: t.array(t.string) })])

/** A checkpoint was written: a folder inside the run folder. */
export const Checkpointed = t.type({
  type: t.literal('checkpointed'),
  stage: t.string,
  step: t.number,
  path: t.string,
})

/** A stage ended. `loss` is the mean over its last tenth. */
export const StageFinished = t.type({
  type: t.literal('stage-finished'),
  stage: t.string,
  index: t.number,
  loss: t.number,
  samples: t.number,
  trainSeconds: t.number,
  evaluateSeconds: t.number,
})

/** The recipe ended. */
export const RunFinished = t.type({ type: t.literal('run-finished'), seconds: t.number })

/** The run stopped on an error. */
export const RunFailed = t.type({ type: t.literal('run-failed'), message: t.string })

/** Something that the reader of the run should know and that does not stop it. */
export const Warned = t.type({ type: t.literal('warned'), message: t.string })

/** A row of the user's data was set aside: of the first thousand each is told once. `line` from 1. */
export const BadRowMet = t.type({
  type: t.literal('bad-row'),
  file: t.string,
  line: t.number,
  reason: t.string,
})

/** How many rows were set aside in all, when the run ended. */
export const BadRowsCounted = t.type({ type: t.literal('bad-rows'), count: t.number })

/**
 * The run began from another's checkpoint: of stage `from`, after `step` of its steps. `begins` is the index of the first
 * stage that it trains, `path` the folder inside the run with the weights; of `everything` there are moments and the place in
 * the data besides.
 */
export const ForkedFrom = t.type({
  type: t.literal('forked'),
  run: t.string,
  from: t.string,
  step: t.number,
  taken: t.keyof({ weights: null, everything: null }),
  begins: t.number,
  path: t.string,
})

/** Codec of every event. */
export const RunEvent = t.union([
  StageStarted,
  WeightsTaken,
  Stepped,
  RateDecided,
  Curated,
  GroupDrawn,
  EpisodeDrawn,
  PolicyStepped,
  PolicyValidated,
  Packed,
  ExpertLoad,
  Evaluated,
  Measured,
  Predicted,
  Checkpointed,
  StageFinished,
  RunFinished,
  RunFailed,
  Warned,
  BadRowMet,
  BadRowsCounted,
  ForkedFrom,
])
/** Any event of a run. */
export type RunEvent = t.TypeOf<typeof RunEvent>
/** An event of one type, by its `type`. */
export type EventOf<K extends RunEvent['type']> = Extract<RunEvent, { readonly type: K }>

/** The number of the form of {@link Manifest}; it grows with every change after which older ones cannot be read. */
export const manifestFormat = 3

const Ran = t.type({
  format: t.literal(manifestFormat),
  sailwright: t.string,
  /** Checksum of the code of Sailwright itself. */
  ownCode: t.string,
  node: t.string,
  platform: t.string,
  /** Cores that the engine may use. */
  cores: t.number,
  engine: t.intersection([
    t.type({ name: t.string, version: t.string, why: t.string }),
    /**
     * What it computes in, without it float32; what compiles what it runs, without it nothing that was asked for; in what its
     * weights lie, without it float32; how many devices share a batch, without it one; where onnx computes, without it on the
     * processor.
     */
    t.partial({
      precision: t.string,
      compile: t.string,
      weights: t.string,
      devices: t.number,
      device: t.string,
    }),
  ]),
  name: t.string,
  file: t.string,
  /** SHA-256 of the experiment's file and of what it imports from outside of packages; paths from that file's folder. */
  code: t.array(t.type({ file: t.string, sha256: t.string })),
  command: t.string,
  seed: t.number,
  startedAt: t.string,
  /** The recipe as data: stages with mixture, parts, optimizer, schedule. */
  recipe: t.unknown,
  /** Fingerprints of the stages' programs by the stage's name; none where the experiment tells of none. */
  programs: t.record(t.string, t.string),
  model: t.type({
    name: t.string,
    parameters: t.number,
    config: t.unknown,
    /** Rows of the summary, one a block. */
    rows: t.array(
      t.type({
        path: t.string,
        layer: t.string,
        axes: t.string,
        parameters: t.number,
        flops: t.number,
        bytes: t.number,
      }),
    ),
    /** The block image. */
    svg: t.string,
  }),
  /** Families in display order. */
  families: t.array(t.string),
})
const Short = t.partial({
  /** Whether it is a short pass (`--quick`), too short to learn. */
  quick: t.boolean,
  /** What `--set` said, by key: with the file, the seed and `quick` it gives the experiment again. */
  settings: t.record(t.string, t.string),
  /** What `--reward` said, by name. */
  rewards: t.record(t.string, t.number),
  /** What `--data` said. */
  data: t.string,
  /** The checkpoint of another run that it began from, and what it took of it. */
  forked: t.type({
    run: t.string,
    stage: t.string,
    step: t.number,
    taken: t.keyof({ weights: null, everything: null }),
  }),
})
/** `manifest.json`: what ran. */
export const Manifest = t.intersection([Ran, Short])
/** `manifest.json`: what ran. */
export type Manifest = t.TypeOf<typeof Manifest>
