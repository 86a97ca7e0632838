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

/** What was read so far. It is its fold's own: a run may have drawn more than can be copied for each group. */
export interface Reading {
  /** Groups and completions of the stages that are looked at. */
  groups: number
  completions: number
  matching: number
  rows: RolloutRow[]
  readonly stages: Set<string>
  readonly families: Set<string>
  readonly episodes: Set<number>
  discarded: number
}

export const nothingRead = (): Reading => ({
  ...{ groups: 0, completions: 0, matching: 0, discarded: 0, rows: [] },
  ...{ stages: new Set(), families: new Set(), episodes: new Set() },
})

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
  return rows.toSorted((a, b) => {
    const [x, y] = [a[sort], b[sort]]
    return x === null || y === null ? Number(x === null) - Number(y === null) : sign * (x - y)
  })
}

/** Takes one more group; of those that fit no more are kept than can be shown. */
export const read = (w: Wanted) => {
  const search = w.search?.toLowerCase()
  const found = (text: string): boolean => search === undefined || text.toLowerCase().includes(search)
  return (reading: Reading, g: EventOf<'group'>): Reading => {
    const own =
      (w.family === undefined || g.family === w.family) &&
      w.episode(g) &&
      (!w.discarded || g.discarded !== undefined)
    const aboutTask = own && (found(g.question) || found(g.task))
    const fitting = own ? rowsOf(g).filter((r) => aboutTask || found(r.text)) : []
    for (const r of fitting) if (w.sort !== undefined || reading.rows.length < w.limit) reading.rows.push(r)
    if (w.sort !== undefined && reading.rows.length > 4 * w.limit + 64)
      reading.rows = [...ordered(reading.rows, w).slice(0, w.limit)]
    reading.groups++
    reading.completions += g.completions.length
    reading.matching += fitting.length
    reading.stages.add(g.stage)
    reading.families.add(g.family)
    reading.episodes.add(g.episode)
    reading.discarded += Number(g.discarded !== undefined)
    return reading
  }
}
