/**
 * A recorded run, arranged as the report shows it. Pure.
 *
 * @since 0.1.0
 */
import {
  advance,
  type EventOf,
  emptyRun,
  type Measurement,
  type RunEvent,
  type RunState,
  type StageState,
  withoutRepeats,
} from '../run/index.ts'

/** One stage with every step that counts. */
export interface StageView extends StageState {
  readonly taken: readonly EventOf<'step'>[]
  /** What a search for its learning rate decided. */
  readonly decisions: readonly EventOf<'ada-lrs'>[]
  /** Of a stage of reinforcement: what its episodes came to, and its updates. */
  readonly episodes: readonly EventOf<'episode'>[]
  readonly updates: readonly EventOf<'rl-step'>[]
  /** Of a model with experts: how much each was used. */
  readonly loads: readonly EventOf<'expert-load'>[]
  /** Answers to held-out tasks while it went on. */
  readonly validations: readonly EventOf<'validated'>[]
}

/** One held-out sample and what was answered after each stage, in the order of the stages. */
export interface SampleView {
  readonly family: string
  readonly id: string
  readonly level: number
  /** Paths, in the order in which they were shown. */
  readonly images: readonly string[]
  readonly question: string
  readonly expected: string
  readonly answers: readonly EventOf<'predicted'>[]
}

/** Everything that the report shows of the events. */
export interface RunView {
  readonly state: RunState
  readonly stages: readonly StageView[]
  /** Families in display order: those of the manifest first, then whatever else was measured. */
  readonly families: readonly string[]
  readonly samples: readonly SampleView[]
}

/** Arranges a run's events. `families` gives the display order. */
export const viewOf = (events: readonly RunEvent[], families: readonly string[]): RunView => {
  const kept = withoutRepeats(events)
  const state = kept.reduce(advance, emptyRun)
  const byStage = groupBy(kept, (e) => ('stage' in e ? e.stage : ''))
  /** The events of one kind that a stage has told. */
  const told = <K extends RunEvent['type']>(stage: string, type: K): readonly EventOf<K>[] =>
    (byStage.get(stage) ?? []).filter((e): e is EventOf<K> => e.type === type)
  const predicted = kept.filter((e) => e.type === 'predicted')
  const seen = new Set([
    ...state.stages.flatMap((s) => [...s.evaluations, ...s.measures].map((e) => e.family)),
    ...predicted.map((p) => p.family),
  ])
  const order = [...families.filter((f) => seen.has(f)), ...[...seen].filter((f) => !families.includes(f))]
  return {
    state,
    stages: state.stages.map((s) => ({
      ...s,
      taken: told(s.stage, 'step'),
      decisions: told(s.stage, 'ada-lrs'),
      episodes: told(s.stage, 'episode'),
      updates: told(s.stage, 'rl-step'),
      loads: told(s.stage, 'expert-load'),
      validations: told(s.stage, 'validated'),
    })),
    families: order,
    samples: samplesOf(predicted, order),
  }
}

const groupBy = <A>(items: readonly A[], key: (a: A) => string): ReadonlyMap<string, readonly A[]> => {
  const groups = new Map<string, A[]>()
  for (const item of items) {
    const k = key(item)
    const group = groups.get(k)
    if (group === undefined) groups.set(k, [item])
    else group.push(item)
  }
  return groups
}

const samplesOf = (
  predicted: readonly EventOf<'predicted'>[],
  families: readonly string[],
): readonly SampleView[] =>
  [...groupBy(predicted, (p) => JSON.stringify([p.family, p.id])).values()]
    .map((answers) => {
      const { family, id, level, image, images, question, expected } = answers[answers.length - 1]!
      return { family, id, level, images: images ?? [image], question, expected, answers }
    })
    .sort((a, b) => families.indexOf(a.family) - families.indexOf(b.family) || a.level - b.level)

/** What was measured of a family after a stage. */
export const measuredOf = (s: StageView, family: string): Measurement | undefined =>
  [...s.evaluations, ...s.measures].find((m) => m.family === family)

/** What to say where nothing was measured after a stage. */
export const nothingEvaluated = ({ state }: RunView): string =>
  state.finished !== undefined
    ? 'After its stages nothing was evaluated: the experiment measures nothing there.'
    : 'Nothing was evaluated yet.'

/** Whether the last answer to a sample was right. */
export const endedRight = (s: SampleView): boolean => s.answers[s.answers.length - 1]?.correct === true

/**
 * At most `most` samples, taken in turns from every family and from right and wrong, so that none of them crowds out the
 * others; in the given order.
 */
export const selection = (samples: readonly SampleView[], most: number): readonly SampleView[] => {
  if (samples.length <= most) return samples
  const groups = [...groupBy(samples, (s) => `${s.family} ${endedRight(s)}`).values()]
  const chosen = new Set<SampleView>()
  for (let i = 0; chosen.size < most; i++)
    for (const group of groups) {
      const s = group[i]
      if (s !== undefined && chosen.size < most) chosen.add(s)
    }
  return samples.filter((s) => chosen.has(s))
}
