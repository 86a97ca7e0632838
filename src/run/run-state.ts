/**
 * What is known of a run after some of its events: a pure fold, which the progress display and the report share.
 *
 * @since 0.1.0
 */
import { grouped } from '../terminal/index.ts'
import type { EventOf, RunEvent } from './events.ts'

/** What an evaluation came to: a share, or a mean in a unit. */
export type Measurement = EventOf<'evaluated'> | EventOf<'measured'>

/** One stage so far. Times in seconds, the loss in its `unit`. */
export interface StageState {
  readonly stage: string
  /** From 0. */
  readonly index: number
  readonly of: number
  readonly steps: number
  readonly batch: number
  /** What a step takes as many of, in the singular: `sample`, `pack`. */
  readonly example: string
  readonly trainable: number
  readonly parts: readonly string[]
  /** What the loss is counted in. */
  readonly unit: string
  /** The last step taken, 0 before the first. */
  readonly step: number
  /** Exponentially weighted mean of the loss, weight 0.9 a step, free of the start's bias; NaN before the first step. */
  readonly smoothLoss: number
  readonly learningRate: number
  readonly samples: number
  /** Samples a step, an exponentially weighted mean like the loss: packs hold as many as fit. */
  readonly stepSamples: number
  readonly tokens: number
  readonly seconds: number
  readonly dataSeconds: number
  readonly computeSeconds: number
  /** Seconds a step, an exponentially weighted mean like the loss. */
  readonly stepSeconds: number
  /** Shares, one a family, in the order in which they came; a family measured again replaces its older row. */
  readonly evaluations: readonly EventOf<'evaluated'>[]
  /** What was measured and is no share, likewise. */
  readonly measures: readonly EventOf<'measured'>[]
  /** Both of the moving averages of its weights, likewise. */
  readonly averaged: readonly Measurement[]
  /** Of other weights that the stage left beside its own, such as the runs of a soup, by their name, likewise. */
  readonly beside: readonly (Measurement & { readonly weights: string })[]
  readonly finished?: EventOf<'stage-finished'>
  /** How samples share the rows of its first step, where they do. */
  readonly packed?: EventOf<'packed'>
  /** What it began with. */
  readonly weights?: EventOf<'weights'>
  /** What came of the examples that it made for itself, where it did. */
  readonly curated?: EventOf<'curated'>
}

/** A run so far. */
export interface RunState {
  /** In the order of their index. */
  readonly stages: readonly StageState[]
  /** The stage that goes on, as an index into `stages`; -1 before the first. */
  readonly current: number
  readonly checkpoint?: EventOf<'checkpointed'>
  readonly finished?: EventOf<'run-finished'>
  readonly failed?: EventOf<'run-failed'>
  /** What the reader should know, in order. */
  readonly warnings: readonly string[]
  /** Rows of the user's data that were set aside: of how many it was told, and how many there are. */
  readonly badRows: { readonly rows: readonly EventOf<'bad-row'>[]; readonly count: number }
  /** The weights that the stage which begins next finds. */
  readonly found?: EventOf<'weights'>
}

/** Before the first event. */
export const emptyRun: RunState = { stages: [], current: -1, warnings: [], badRows: { rows: [], count: 0 } }

const keep = 0.9

/** Mean with exponential weights, without the start's bias: `before` covers `n` values. */
const smoothed = (before: number, n: number, value: number): number =>
  n === 0 || !Number.isFinite(before)
    ? value
    : (before * (keep - keep ** (n + 1)) + value * (1 - keep)) / (1 - keep ** (n + 1))

/** The state after one more event. */
export const advance = (state: RunState, event: RunEvent): RunState => {
  switch (event.type) {
    case 'stage-started': {
      const { type: _, ...about } = event
      const begun: StageState = {
        unit: 'nats',
        example: 'sample',
        ...about,
        step: 0,
        smoothLoss: Number.NaN,
        learningRate: 0,
        samples: 0,
        stepSamples: 0,
        tokens: 0,
        seconds: 0,
        dataSeconds: 0,
        computeSeconds: 0,
        stepSeconds: 0,
        evaluations: [],
        measures: [],
        averaged: [],
        beside: [],
        ...(state.found?.stage === event.stage ? { weights: state.found } : {}),
      }
      const stages = [...state.stages.filter((s) => s.index < event.index), begun]
      const { finished: _finished, failed: _failed, ...rest } = state
      return { ...rest, stages, current: stages.length - 1 }
    }
    case 'step':
      return change(state, event.stage, (s) => ({
        step: event.step,
        steps: event.steps,
        smoothLoss: smoothed(s.smoothLoss, s.step, event.loss),
        learningRate: event.learningRate,
        samples: event.samples,
        stepSamples: smoothed(
          s.stepSamples,
          s.step,
          (event.samples - s.samples) / Math.max(1, event.step - s.step),
        ),
        tokens: s.tokens + event.tokens,
        seconds: event.seconds,
        dataSeconds: s.dataSeconds + event.dataSeconds,
        computeSeconds: s.computeSeconds + event.computeSeconds,
        // a stage that goes on from a checkpoint begins with a later step than its first
        stepSeconds: smoothed(
          s.stepSeconds,
          s.step,
          (event.seconds - s.seconds) / Math.max(1, event.step - s.step),
        ),
      }))
    case 'evaluated':
    case 'measured': {
      const { weights } = event
      return change(state, event.stage, (s) => {
        if (weights === 'averaged') return { averaged: withLatest(s.averaged, event) }
        if (weights !== undefined) {
          const others = s.beside.filter((m) => m.weights !== weights || m.family !== event.family)
          return { beside: [...others, { ...event, weights }] }
        }
        return event.type === 'evaluated'
          ? { evaluations: withLatest(s.evaluations, event) }
          : { measures: withLatest(s.measures, event) }
      })
    }
    case 'checkpointed':
      return { ...state, checkpoint: event }
    case 'stage-finished':
      return change(state, event.stage, () => ({ finished: event }))
    case 'run-finished':
      return { ...state, finished: event }
    case 'run-failed':
      return { ...state, failed: event }
    case 'warned':
      return { ...state, warnings: [...state.warnings, event.message] }
    case 'bad-row': {
      const rows = [...state.badRows.rows, event]
      return { ...state, badRows: { rows, count: Math.max(state.badRows.count, rows.length) } }
    }
    case 'bad-rows':
      return { ...state, badRows: { ...state.badRows, count: event.count } }
    case 'weights':
      return { ...state, found: event }
    case 'packed':
      return change(state, event.stage, () => ({ packed: event }))
    case 'curated':
      return change(state, event.stage, () => ({ curated: event }))
    case 'ada-lrs':
    case 'expert-load':
    case 'forked':
    case 'predicted':
    case 'group':
    case 'episode':
    case 'rl-step':
    case 'validated':
      return state
  }
}

const withLatest = <M extends Measurement>(before: readonly M[], latest: M): readonly M[] => [
  ...before.filter((m) => m.family !== latest.family),
  latest,
]

/** `16 samples`, `1 pack`: what a stage's step takes. */
export const batchText = (s: Pick<StageState, 'batch' | 'example'>): string =>
  `${grouped(s.batch)} ${s.example}${s.batch === 1 ? '' : 's'}`

const change = (state: RunState, stage: string, to: (s: StageState) => Partial<StageState>): RunState => ({
  ...state,
  stages: state.stages.map((s) => (s.stage === stage ? { ...s, ...to(s) } : s)),
})

/**
 * Leaves out what a later start of the same run did again: where a stage begins anew, its earlier evaluations,
 * predictions and end, and every stage after it; where a step comes again, its earlier self and what followed, decisions among it; of the
 * whole run, any end but the last.
 *
 * @category traversal
 */
export const withoutRepeats = (events: readonly RunEvent[]): readonly RunEvent[] => {
  let kept: RunEvent[] = []
  type OfSteps = EventOf<'step' | 'ada-lrs' | 'packed' | 'expert-load' | 'episode' | 'rl-step' | 'validated'>
  const kinds: readonly RunEvent['type'][] = [
    'step',
    'ada-lrs',
    'packed',
    'expert-load',
    'episode',
    'rl-step',
    'validated',
  ]
  const ofSteps = (e: RunEvent, stage: string): e is OfSteps =>
    kinds.includes(e.type) && (e as OfSteps).stage === stage
  const index = new Map<string, number>()
  const last = new Map<string, number>()
  /** The largest episode among those that are kept, and the largest step of what was validated, by stage. */
  let episodes = new Map<string, number>()
  let validations = new Map<string, number>()
  const most = (of: Map<string, number>, stage: string, n: number): void => {
    of.set(stage, Math.max(of.get(stage) ?? n, n))
  }
  const note = (e: RunEvent): void => {
    if (e.type === 'episode') most(episodes, e.stage, e.episode)
    if (e.type === 'validated') most(validations, e.stage, e.step)
  }
  /** Walks over all that is kept: only where something came again, so that a long run is gone through once. */
  const keepOnly = (those: readonly RunEvent[]): void => {
    kept = [...those]
    episodes = new Map()
    validations = new Map()
    kept.forEach(note)
  }
  for (const event of events) {
    if (event.type === 'stage-started') {
      keepOnly(kept.filter((e) => e.type !== 'run-failed' && e.type !== 'run-finished'))
      const again = index.has(event.stage) || [...index.values()].some((i) => i > event.index)
      index.set(event.stage, event.index)
      if (again) {
        const own = kept.filter((e) => ofSteps(e, event.stage))
        const found = kept.findLast((e) => e.type === 'weights' && e.stage === event.stage)
        const before = kept.filter(
          (e) =>
            e.type === 'warned' ||
            e.type === 'bad-row' ||
            e.type === 'forked' ||
            e === found ||
            ('stage' in e && index.get(e.stage)! < event.index),
        )
        keepOnly([...before, event, ...own])
        continue
      }
    }
    // held-out tasks that were asked before the first update are asked again by a start that begins anew
    if (event.type === 'validated' && (validations.get(event.stage) ?? -1) >= event.step)
      keepOnly(
        kept.filter((e) => !(e.type === 'validated' && e.stage === event.stage && e.step >= event.step)),
      )
    // an episode comes before its first step
    if (event.type === 'step' || event.type === 'episode') {
      const isAgain = event.type === 'episode' && (episodes.get(event.stage) ?? -1) >= event.episode
      if (isAgain || event.step <= (last.get(event.stage) ?? 0))
        keepOnly(kept.filter((e) => !ofSteps(e, event.stage) || e.step < event.step))
      last.set(event.stage, event.type === 'step' ? event.step : event.step - 1)
    }
    note(event)
    kept.push(event)
  }
  return kept
}
