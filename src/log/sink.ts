/**
 * A sink of a run's numbers: a subscriber that reads events and writes a file beside them, also of a run that is gone on
 * with. A file holds each step once: whatever comes again replaces what it was.
 *
 * @since 0.1.0
 */
import { readFileSync } from 'node:fs'
import { defer, finalize, type MonoTypeOperatorFunction, mergeMap, of } from 'rxjs'
import { type RunEvent, withoutRepeats } from '../run/index.ts'
import { kindOf, SettingsError } from '../settings/index.ts'
import type { Experiment } from '../train/index.ts'
import { advanceClock, atStart, type Clock, type Scalars } from './scalars.ts'

/** The run that is written down. */
export interface Logged {
  /** A path inside the run's folder. */
  readonly pathOf: (...parts: readonly string[]) => string
  /** Events of earlier starts. */
  readonly earlier: readonly RunEvent[]
  /** When the run began, in seconds since 1970; default: as its manifest says, else now. */
  readonly startedAt?: number
}

/** A file of numbers that is open. Its functions throw what the system says. */
export interface Writing {
  readonly append: (s: Scalars) => void
  readonly close: () => void
}

/** A kind of file. */
export interface LogFormat {
  readonly name: string
  /** Begins the file anew with these numbers, in place of the one before. @throws what the system says */
  readonly begin: (run: Required<Logged>, all: readonly Scalars[]) => Writing
}

/** A sink: `experiment.run(context).pipe(sink(run))`. */
export type Sink = (run: Logged) => MonoTypeOperatorFunction<RunEvent>

const scalarsOf = (events: readonly RunEvent[]): { readonly clock: Clock; readonly all: Scalars[] } => {
  let clock = atStart
  const all: Scalars[] = []
  for (const e of withoutRepeats(events)) {
    const next = advanceClock(clock, e)
    clock = next.clock
    if (next.told !== undefined) all.push(next.told)
  }
  return { clock, all }
}

/** When the run began: its manifest says so, else it does now. */
const beganAt = ({ pathOf }: Logged): number => {
  try {
    const at = Date.parse(JSON.parse(readFileSync(pathOf('manifest.json'), 'utf8')).startedAt)
    if (Number.isFinite(at)) return at / 1000
  } catch {
    // a run without a folder of its own
  }
  return Date.now() / 1000
}

/**
 * A format as a sink. What earlier starts told is written first; then each event's numbers as it passes, unchanged and
 * before it is passed on. A file that cannot be begun is an error of the stream, before the first event; one that cannot be
 * written later is told of once, as a `warned` event, and the run goes on without it.
 *
 * ```text
 * source:  ---a---b--|
 * output:  ---a---b--|      each after its numbers are in the file
 * ```
 */
export const sinkOf =
  (format: LogFormat): Sink =>
  (logged) =>
  (source) =>
    defer(() => {
      const run: Required<Logged> = { ...logged, startedAt: logged.startedAt ?? beganAt(logged) }
      let { clock, all } = scalarsOf(run.earlier)
      let last = all.findLast((s) => 'train/loss' in s.values)?.step ?? 0
      let file: Writing | undefined = format.begin(run, all)
      const take = (e: RunEvent): void => {
        const next = advanceClock(clock, e)
        clock = next.clock
        const { told } = next
        if (told === undefined || file === undefined) return
        // a start that goes on from a checkpoint does some steps again
        const isAgain = e.type === 'step' && told.step <= last
        if (e.type === 'step') last = told.step
        if (isAgain) {
          all = [...all.filter((s) => s.step < told.step), told]
          file.close()
          file = format.begin(run, all)
        } else {
          all.push(told)
          file.append(told)
        }
      }
      return source.pipe(
        mergeMap((e) => {
          try {
            take(e)
            return of(e)
          } catch (error) {
            file = undefined
            const why = error instanceof Error ? error.message : String(error)
            return of<RunEvent[]>({ type: 'warned', message: `${format.name}: no longer written: ${why}` }, e)
          }
        }),
        finalize(() => {
          file?.close()
        }),
      )
    })

/**
 * An experiment whose numbers are written down wherever it runs: `export default logged(experiment(…), tensorBoard)`. It is
 * the same run: sinks change no number and belong to no identity.
 *
 * @category sinks
 */
export const logged = (experiment: Experiment, ...sinks: readonly Sink[]): Experiment => {
  for (const [i, sink] of sinks.entries())
    if (typeof sink !== 'function')
      throw new SettingsError(
        'logged',
        `sinks[${i}]`,
        `it is ${kindOf(sink)}; give a sink, such as tensorBoard`,
      )
  return {
    ...experiment,
    run: (context) => sinks.reduce((events, sink) => events.pipe(sink(context)), experiment.run(context)),
  }
}
