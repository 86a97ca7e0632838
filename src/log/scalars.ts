/**
 * A run as numbers over steps, for tools that draw curves. Pure: a fold over events, which knows a step that comes again.
 *
 * A step is counted over the whole run: those of earlier stages come before it. Time is the run's own: seconds spent in its
 * stages, so that a pause between two starts leaves no gap.
 *
 * @since 0.1.0
 */
import type { RunEvent } from '../run/index.ts'

/** Numbers by tag at one step of the whole run. */
export interface Scalars {
  readonly step: number
  /** Seconds since the run began, spent in stages. */
  readonly seconds: number
  readonly values: Readonly<Record<string, number>>
}

/** Where a run stands, as far as its numbers go. */
export interface Clock {
  readonly stages: readonly Stage[]
}

interface Stage {
  readonly name: string
  readonly index: number
  /** Steps and seconds of the stages before it. */
  readonly steps: number
  readonly seconds: number
  /** Its own last step, its seconds, and those of evaluations after it. */
  readonly step: number
  readonly spent: number
}

/** Before the first event. */
export const atStart: Clock = { stages: [] }

const begun = (c: Clock, name: string, index: number): Clock => {
  const there = c.stages.find((s) => s.name === name)
  if (there !== undefined) return { stages: c.stages.filter((s) => s.index <= there.index) }
  const before = c.stages.filter((s) => s.index < index)
  const last = before.at(-1)
  const [steps, seconds] = last === undefined ? [0, 0] : [last.steps + last.step, last.seconds + last.spent]
  return { stages: [...before, { name, index, steps, seconds, step: 0, spent: 0 }] }
}

const changed = (c: Clock, name: string, to: Partial<Stage>): Clock => ({
  stages: c.stages.map((s) => (s.name === name ? { ...s, ...to } : s)),
})

/** The clock after an event, and the numbers that it told; none where it told of none. */
export const advanceClock = (c: Clock, e: RunEvent): { readonly clock: Clock; readonly told?: Scalars } => {
  if (e.type === 'stage-started') return { clock: begun(c, e.stage, e.index) }
  const stage = 'stage' in e ? c.stages.find((s) => s.name === e.stage) : undefined
  if (stage === undefined) return { clock: c }
  const at = (step: number, spent: number, values: Scalars['values']) => ({
    clock: changed(c, stage.name, { step: Math.max(step, 0), spent }),
    told: { step: stage.steps + step, seconds: stage.seconds + spent, values },
  })
  if (e.type === 'step')
    return at(e.step, e.seconds, {
      'train/loss': e.loss,
      'train/learning_rate': e.learningRate,
      'train/gradient_norm': e.gradientNorm,
      'train/samples': e.samples,
      'train/tokens': e.tokens,
      'train/stage': stage.index + 1,
      'time/data_seconds': e.dataSeconds,
      'time/compute_seconds': e.computeSeconds,
    })
  if (e.type === 'ada-lrs')
    return at(stage.step, stage.spent, {
      'ada_lrs/scale': e.scale,
      ...(e.velocity === null ? {} : { 'ada_lrs/velocity': e.velocity }),
    })
  if (e.type === 'evaluated' || e.type === 'measured') {
    const tag = `${e.weights === 'averaged' ? 'eval_averaged' : 'eval'}/${e.family}`
    const value = e.type === 'measured' ? e.value : e.correct / e.total
    return at(stage.step, stage.spent + e.seconds, { [tag]: value })
  }
  return { clock: c }
}
