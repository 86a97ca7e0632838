/**
 * Recorded completions as rows: which are asked for, in what order, how many.
 *
 * @since 0.1.0
 */
import { type EventOf, type RecordedJudgement, rewardOf } from '../run/index.ts'

/** A completion with what is known of its group. `reward` and `advantage` are null where it has none; `length` counts tokens. */
export interface RolloutRow {
  readonly stage: string
  readonly episode: number
  readonly index: number
  readonly task: string
  readonly family: string
  readonly question: string
  readonly images: readonly string[]
  readonly sample: number
  readonly reward: number | null
  readonly advantage: number | null
  readonly length: number
  readonly stop: string
  readonly version: number
  readonly text: string
  readonly judgement: RecordedJudgement | null
  readonly discarded: string | null
}

/** What a person asks for. */
export interface Wanted {
  readonly family?: string
  /** Whether a group's episode is one of those that are asked for. */
  readonly episode: (g: EventOf<'group'>) => boolean
  readonly discarded: boolean
  /** In the completion, the question or the task's id, whatever the case. */
  readonly search?: string
  readonly sort?: 'reward' | 'advantage' | 'length'
  readonly ascending: boolean
  readonly limit: number
}

/** What was read so far. */
export interface Reading {
  /** Groups and completions of the stages that are looked at. */
  readonly groups: number
  readonly completions: number
  readonly matching: number
  readonly rows: readonly RolloutRow[]
  readonly stages: readonly string[]
  readonly families: readonly string[]
  readonly episodes: readonly number[]
  readonly discarded: number
}

export const nothingRead: Reading = {
  ...{ groups: 0, completions: 0, matching: 0, discarded: 0 },
  ...{ rows: [], stages: [], families: [], episodes: [] },
}

const rowsOf = (g: EventOf<'group'>): readonly RolloutRow[] =>
  g.completions.map((c, i) => ({
    ...{ stage: g.stage, episode: g.episode, index: g.index, task: g.task, family: g.family },
    ...{ question: g.question, images: g.images, sample: c.sample },
    reward: rewardOf(g.judgements[i]) ?? null,
    advantage: g.advantages[i] ?? null,
    ...{ length: c.ids.length, stop: c.stop, version: c.version, text: c.text },
    judgement: g.judgements[i] ?? null,
    discarded: g.discarded ?? null,
  }))

/** In the order that is asked for; what has no number comes last, what is equal stays as recorded. */
export const ordered = (rows: readonly RolloutRow[], { sort, ascending }: Wanted): readonly RolloutRow[] => {
  if (sort === undefined) return rows
  const sign = ascending ? 1 : -1
  return [...rows].sort((a, b) => {
    const [x, y] = [a[sort], b[sort]]
    return x === null || y === null ? Number(x === null) - Number(y === null) : sign * (x - y)
  })
}

const withNew = <A>(all: readonly A[], one: A): readonly A[] => (all.includes(one) ? all : [...all, one])

/** Takes one more group; of those that fit no more are kept than can be shown. */
export const read =
  (w: Wanted) =>
  (before: Reading, g: EventOf<'group'>): Reading => {
    const search = w.search?.toLowerCase()
    const found = (text: string): boolean => search === undefined || text.toLowerCase().includes(search)
    const own =
      (w.family === undefined || g.family === w.family) &&
      w.episode(g) &&
      (!w.discarded || g.discarded !== undefined)
    const aboutTask = own && (found(g.question) || found(g.task))
    const fitting = own ? rowsOf(g).filter((r) => aboutTask || found(r.text)) : []
    const all = fitting.length === 0 ? before.rows : [...before.rows, ...fitting]
    const rows =
      w.sort === undefined
        ? all.slice(0, w.limit)
        : all.length > 4 * w.limit + 64
          ? ordered(all, w).slice(0, w.limit)
          : all
    return {
      groups: before.groups + 1,
      completions: before.completions + g.completions.length,
      matching: before.matching + fitting.length,
      rows,
      stages: withNew(before.stages, g.stage),
      families: withNew(before.families, g.family),
      episodes: withNew(before.episodes, g.episode),
      discarded: before.discarded + Number(g.discarded !== undefined),
    }
  }
