/**
 * A run that is carried out: recorded and shown while it goes on, reported when it has ended.
 *
 * @since 0.1.0
 */
import { rm } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { defer, EMPTY, type MonoTypeOperatorFunction, Subject } from 'rxjs'
import { type Compiling, inWorker, type Picked, threadsAtRest } from '../engine/index.ts'
import { tensorBoard, trackio } from '../log/index.ts'
import {
  advance,
  badRowsBlock,
  emptyRun,
  type FileError,
  type RunEvent,
  type RunFolder,
  type RunState,
  recordEvents,
  showProgress,
  withoutRepeats,
  writeImage,
  writeRolloutsTable,
} from '../run/index.ts'
import { called, inked, lookOf, shellWord } from '../terminal/index.ts'
import type { Experiment, RunContext } from '../train/index.ts'
import { withBadRows } from '../train/internal.ts'
import { blamed } from './blame.ts'
import { type Args, type CliError, failed, type Io, interrupted, printResult, shownPath } from './command.ts'
import { type Ended, follow, followRun } from './follow.ts'
import { despiteStrays } from './idle.ts'
import type { LoadedFile } from './load-file.ts'
import { resultOf, standing } from './run-result.ts'
import type { StageRange } from './stage-range.ts'

/** What a reader of a short pass must know before its figures. */
const shortPass =
  'A short pass (--quick): it shows that everything works, and is far too short to learn. Its accuracies say nothing about the recipe.'

/** Whether anything was done that a folder is kept for. */
const hasBegun = (state: RunState): boolean => state.stages.length > 0 || state.finished !== undefined

/**
 * Whether an earlier start has come to the end that this one is to come to. One that ended after an earlier stage has not; one
 * that went on to a later stage has, whether that ended or not.
 */
const hasEnded = (state: RunState, { stages }: Experiment, until: string | undefined): boolean => {
  const last = until ?? stages?.at(-1)?.name
  if (last === undefined) return state.finished !== undefined
  const own = state.stages.find((s) => s.stage === last)
  return (
    own?.finished !== undefined &&
    (state.finished !== undefined || state.stages.some((s) => s.index > own.index))
  )
}

/** The words that start the same run again in its folder. */
const goOn = (args: Args, folder: string): string => {
  const words = args.text('out') === undefined ? [...args.typed, '--out', folder] : args.typed
  return `To go on: ${called()} run ${words.map(shellWord).join(' ')}`
}

/** What was recorded of a run so far. */
interface Recorded {
  readonly events: readonly RunEvent[]
  readonly state: RunState
}

const recordedIn = async (run: RunFolder): Promise<Recorded> => {
  const events = await run.events()()
  if (E.isLeft(events)) throw events.left
  return { events: events.right, state: withoutRepeats(events.right).reduce(advance, emptyRun) }
}

/** What the run's folder does for the experiment. */
const keptIn = (run: RunFolder): Omit<RunContext, 'engine' | 'earlier'> => {
  const asError: <A>(task: TE.TaskEither<FileError, A>) => TE.TaskEither<Error, A> = TE.mapLeft(
    (e) => new Error(e.message),
  )
  return {
    pathOf: run.pathOf,
    saveImage: (name, image) => asError(writeImage(run, name, image)),
    rollouts: (stage, episode) => asError(run.rollouts(stage, episode)),
    setRolloutsAside: (stage, episode) => asError(run.setRolloutsAside(stage, episode)),
    tableRollouts: (stage) => asError(writeRolloutsTable(run.folder, stage)),
  }
}

/** Writes a run's numbers for the tools that `--log` names. */
const logged = (
  args: Args,
  run: RunFolder,
  earlier: readonly RunEvent[],
): MonoTypeOperatorFunction<RunEvent> => {
  const sinks = args.all('log').map((tool) => (tool === 'trackio' ? trackio : tensorBoard))
  return (events) => sinks.reduce((s, sink) => s.pipe(sink({ pathOf: run.pathOf, earlier })), events)
}

/** The report's path, as it is shown; undefined where it could not be written, which is said. */
const reported = async (run: RunFolder, io: Io): Promise<string | undefined> => {
  const { writeReport } = await import('../report/index.ts')
  const written = await writeReport(run.folder)()
  if (E.isRight(written)) return shownPath(io.cwd, written.right)
  io.stderr.write(`the report could not be written: ${written.left.message}\n`)
  return undefined
}

/** Carries a run out, from where an earlier start of it has come to. */
export const carriedOut = async (
  args: Args,
  io: Io,
  { experiment, path, data }: LoadedFile,
  picked: Picked,
  run: RunFolder,
  { until }: StageRange,
): Promise<E.Either<CliError, void>> => {
  const look = lookOf(io.stderr, io.env)
  const folder = shownPath(io.cwd, run.folder)
  const further = goOn(args, folder)
  const quick = args.on('quick')
  const say = (text: string): void => {
    io.stderr.write(`${text}\n`)
  }

  const before = await recordedIn(run)
  say(`${inked(look, 'bold', experiment.name)}, ${picked.engine.version}: ${picked.why}`)
  say(`run folder: ${folder}${run.continued ? ', which was there already' : ''}`)
  if (quick) say(shortPass)
  if (run.torn !== undefined) say('an event that the earlier start left half written was cut off')
  const logging = logged(args, run, before.events)
  const compiling = new Subject<Compiling>()
  const stream = defer(() =>
    experiment.run({
      ...keptIn(run),
      // in a thread: while a step is computed, signals are heard and the progress goes on
      engine: inWorker(picked.engine, { onCompiling: (c) => compiling.next(c) }),
      earlier: before.events,
      checkpointEvery: args.integer('checkpoint-every'),
      until: until?.name,
    }),
  ).pipe(
    withBadRows(data, before.events),
    logging,
    recordEvents(run),
    showProgress(io.stderr, { look, from: before.state, compiling }),
  )
  const done = hasEnded(before.state, experiment, until?.name)
  if (done)
    say(
      until === undefined
        ? 'this run is finished: nothing is trained again'
        : `this run has ended stage ${until.name} already: nothing is trained again`,
    )
  const ended: Ended = done
    ? // what is asked for now and was not then is written from its events
      await follow(logging(EMPTY), io)
    : await followRun(stream, io, further)
  const late: Error[] = []
  const concluded = async (): Promise<E.Either<CliError, void>> => {
    // what is left takes a moment: it is ended, so that the lock is given back; a second signal ends the process at once
    if (ended.how !== 'interrupted') io.onInterrupt(() => say('the report is being written'))
    if (!done && until !== undefined && ended.how === 'finished')
      say(`\nended after stage ${until.name}, as --until says`)
    if (quick && ended.how === 'finished') say(`\n${shortPass}`)
    // what cannot be recorded any more is in the message below all the same
    const problem = ended.how === 'failed' ? await blamed(path, ended.error) : ''
    if (ended.how === 'failed') run.record({ type: 'run-failed', message: problem })()
    // where the folder went away, so did all that could be said of it
    if (ended.how === 'failed' && E.isLeft(await run.events()())) return E.left(failed(problem))
    const { state } = await recordedIn(run)
    // a run that failed before its first step leaves no folder, and no report in it
    const leavesNone = ended.how === 'failed' && !run.continued && !hasBegun(state)
    const bad = badRowsBlock(state, look, !leavesNone)
    if (bad !== undefined) say(`\n${bad}`)

    const report = await reported(run, io)
    // a step that was begun is computed to its end; here a second signal is still heard
    await threadsAtRest()
    if (leavesNone) {
      run.close()
      await rm(run.folder, { recursive: true, force: true }).catch(() => {})
      return E.left(failed(`${problem}\nNothing was trained, and no run folder is left.`))
    }
    const kept = `What was done is in ${folder}${report === undefined ? '' : `, its report is ${report}`}.`
    if (ended.how === 'failed')
      return E.left(
        failed(`${problem}\n${kept}\n${further} (with --allow-changed-code, where code was changed)`),
      )
    if (ended.how === 'interrupted')
      return E.left(interrupted(`stopped ${standing(state)}.\n${kept}\n${further}`))
    if (late.length > 0)
      return E.left(
        failed(`${await blamed(path, late[0])}\nThat was after the run's end: nothing is lost. ${kept}`),
      )
    printResult(args, io, resultOf(folder, report, state), () => report ?? folder)
    return E.right(undefined)
  }
  return despiteStrays(concluded, (e) => late.push(e))
}
