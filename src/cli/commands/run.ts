/** `sailwright run`: an experiment from its file to its report. */
import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { identity, pipe } from 'fp-ts/lib/function.js'
import * as IO from 'fp-ts/lib/IO.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { MonoTypeOperatorFunction, Observable } from 'rxjs'
import type { Compiling, Picked } from '../../engine/index.ts'
import type { EventOf, RunEvent, RunFolder, RunState } from '../../run/index.ts'
import { called, inked, lookOf } from '../../terminal/index.ts'
import type { Experiment, Fork } from '../../train/index.ts'
import { blamed } from '../blame.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  printJson,
  shownPath,
  usage,
} from '../command.ts'
import { type Ended, follow } from '../follow.ts'
import { type BegunFork, forkOf, isPlanned, placed } from '../fork.ts'
import { neverSettles, unlessIdle, unlessStray, withLastWords } from '../idle.ts'
import { type LoadedFile, loadExperiment } from '../load-file.ts'
import { pickedEngine } from '../run-engine.ts'
import { shellWord } from '../shell-word.ts'
import { type StageRange, stageRangeOf } from '../stage-range.ts'

/** `sailwright run <file.ts>`. */
export const runCommand: Command = {
  name: 'run',
  summary: 'Runs an experiment: trains, measures, writes the run folder and its report.',
  positionals: [
    { name: 'file.ts', help: 'the experiment: a file whose default export it is', required: true },
  ],
  flags: {
    quick: { help: 'a short pass through everything, to see that it works; it is too short to learn' },
    seed: { value: 'n', help: 'of everything random', integerFrom: 0, otherwise: '0' },
    engine: {
      value: 'name',
      help: 'what computes',
      choices: ['auto', 'tensorflow', 'onnx', 'xla'],
      otherwise: 'auto, which takes the one that is faster here; a run that goes on keeps its own',
    },
    precision: {
      value: 'name',
      help: 'what products are computed in; the state stays float32, and only xla, and tensorflow with --compile xla, have another',
      choices: ['float32', 'tf32', 'bfloat16'],
      otherwise: 'float32; a run that goes on keeps its own',
    },
    compile: {
      value: 'name',
      help: 'has tensorflow compile what it runs, by the compiler XLA that is inside it',
      choices: ['xla'],
      otherwise: 'nothing: it runs its own kernels; a run that goes on keeps its own',
    },
    weights: {
      value: 'kind',
      help: 'in what weights lie in memory: stored leaves those in 16 bits that are stored in bfloat16 and do not learn, by the engine onnx',
      choices: ['float32', 'stored'],
      otherwise: 'float32; a run that goes on keeps its own',
    },
    device: {
      value: 'name',
      help: 'where the engine onnx computes: webgpu is a GPU by Vulkan, Metal or Direct3D',
      choices: ['cpu', 'webgpu'],
      otherwise: 'cpu; a run that goes on keeps its own',
    },
    devices: {
      value: 'n',
      help: 'how many devices share each batch, by the engine xla: GPUs, or parts of a processor',
      integerFrom: 1,
      otherwise: '1; a run that goes on keeps its own',
    },
    out: { value: 'folder', help: 'the run folder', otherwise: 'runs/<name>-<date>-<time>' },
    'checkpoint-every': {
      value: 'steps',
      help: 'steps between checkpoints inside a stage, from which a run that was stopped goes on; 0: only at the end of each stage',
      integerFrom: 0,
      otherwise: 'what the experiment says, else 200',
    },
    log: {
      value: 'tool',
      help: "also writes the run's numbers for another tool, into the run folder: event files in tensorboard/, the table trackio.csv",
      choices: ['tensorboard', 'trackio'],
      many: true,
    },
    'allow-changed-code': {
      help: 'goes on with a run although code, versions or the number of cores have changed since it began; the run tells of it',
    },
    data: {
      value: 'path',
      help: 'your own rows: JSONL, Parquet, WebDataset shards (.tar, .tar.gz), a folder of those or of images with metadata.jsonl',
      otherwise: 'what the experiment says',
    },
    strict: {
      help: 'the first bad row of the data stops the run; else bad rows are set aside, counted and listed',
    },
    fork: {
      value: 'run@where',
      help: 'begins from a checkpoint of another run: after a stage (runs/a@sft), after a number of steps (runs/a@400), or its latest (runs/a)',
    },
    from: {
      value: 'stage',
      help: 'begins with this stage, after the one before it: with the weights that it left in the run that --fork names, else in the newest run of the experiment in runs/ that has them',
    },
    until: { value: 'stage', help: 'ends after this stage', otherwise: 'the last' },
    reward: {
      value: 'name=weight',
      help: "another weight for a part of the stages' rewards, by name, or of one stage as stage/name=weight; a wrong name lists those that there are",
      many: true,
    },
    set: { value: 'key=value', help: "a setting that the experiment's file leaves open", many: true },
    json: { help: 'prints one JSON object at the end: folder, report, stages with what was measured' },
  },
  examples: [
    ['sailwright run examples/recipe.ts', 'the recipe at the scale nano'],
    ['sailwright run examples/recipe.ts --quick --out runs/try', 'a short pass, in a folder of that name'],
    ['sailwright run examples/recipe.ts --from longcot --until longcot', 'one stage alone'],
    ['sailwright run examples/text-sft.ts --set model=Qwen3-0.6B --data chats.jsonl', 'your own data'],
  ],
  notes: [
    'A run that was stopped goes on when it is started again with the same words and --out <its folder>: the experiment is given the events of the earlier start, and a recipe goes on from its last checkpoint. How often there is one does not change the numbers that come out. It goes on only where settings, code, versions and cores are those that it began with; what differs is named.',
    'With --fork a recipe leaves out the stages before the checkpoint. After the end of a stage the next one begins with its weights (the last stage once more); inside a stage, the stage goes on with weights, moments and its place in the data where its settings and its graph are the same, and else begins anew with the weights. A recipe that has no stage of that name begins at its beginning with these weights. What differs from the other run is shown; a checkpoint of another model is refused.',
    'With --from the stages before it are left out, as by --fork <run>@<the stage before>; runs of a short pass (--quick) are taken by short passes alone, unless --fork names one. The first stage needs no other run. With --until the run ends there, with its report; started again in its folder with a later --until or none, it goes on from there, and ends with the weights of a run that did not stop.',
    'One process at a time writes a run: its lock.json in the folder keeps others out. A run that was killed leaves it behind, and the next start on the same host takes it over.',
    'Exit codes: 0 finished, 1 the run failed, 2 the command line is wrong; interrupted by Ctrl-C 130, by SIGTERM 143, by SIGHUP (the terminal was closed) 129. An interrupted run writes its report before it ends; a second signal ends it at once. A run whose output nobody reads any more goes on.',
  ],
  run: (args, io) =>
    pipe(
      TE.fromEither(settingsOf(args)),
      TE.bindTo('settings'),
      TE.bind('rewards', () => TE.fromEither(rewardsOf(args))),
      TE.chain(({ settings, rewards }) =>
        loadExperiment(args.positionals[0]!, io.cwd, {
          quick: args.on('quick'),
          seed: args.integer('seed') ?? 0,
          settings,
          rewards,
          data: { path: args.text('data'), strict: args.on('strict') },
        }),
      ),
      TE.bindTo('loaded'),
      TE.bind('range', ({ loaded }) => TE.fromEither(stageRangeOf(args, loaded.experiment))),
      TE.bind('fork', ({ loaded, range }) => forkOf(args, io, loaded, range)),
      TE.bind('picked', () => pickedEngine(args, io)),
      TE.chain(({ loaded, picked, fork, range }) =>
        TE.bracket(
          openFolder(args, io, loaded, picked, fork),
          (run) => carriedOut(args, io, loaded, picked, run, range),
          // every event is with the system already: what closing says changes nothing
          (run) => TE.fromIO(IO.asUnit(run.close)),
        ),
      ),
    ),
}

/** `--set key=value`, once a key. */
export const settingsOf = (args: Pick<Args, 'all'>): E.Either<CliError, Readonly<Record<string, string>>> => {
  const settings = new Map<string, string>()
  for (const pair of args.all('set')) {
    const at = pair.indexOf('=')
    if (at < 1) return E.left(usage(`--set takes key=value, and not '${pair}'.`))
    const key = pair.slice(0, at)
    if (settings.has(key)) return E.left(usage(`--set ${key} is given twice; say it once.`))
    settings.set(key, pair.slice(at + 1))
  }
  return E.right(Object.fromEntries(settings))
}

/** `--reward name=weight`, once a name. */
const rewardsOf = (args: Pick<Args, 'all'>): E.Either<CliError, Readonly<Record<string, number>>> => {
  const weights = new Map<string, number>()
  for (const pair of args.all('reward')) {
    const at = pair.lastIndexOf('=')
    const text = pair.slice(at + 1).trim()
    const weight = text === '' ? Number.NaN : Number(text)
    if (at < 1 || !Number.isFinite(weight))
      return E.left(usage(`--reward takes name=weight, such as answer=0.8, and not '${pair}'.`))
    const name = pair.slice(0, at).trim()
    if (weights.has(name)) return E.left(usage(`--reward ${name} is given twice; say it once.`))
    weights.set(name, weight)
  }
  return E.right(Object.fromEntries(weights))
}

const openFolder = (
  args: Args,
  io: Io,
  loaded: LoadedFile,
  picked: Picked,
  fork: BegunFork | Fork | undefined,
): TE.TaskEither<CliError, RunFolder> =>
  pipe(
    attempt(async () => {
      const { manifestOf } = await import('../manifest.ts')
      const { version } = await import('../version.ts')
      const { defaultRunFolder, openRun } = await import('../../run/index.ts')
      const at = new Date()
      const words = ['run', ...args.typed]
      const quick = args.on('quick')
      const manifest = manifestOf({
        ...{ ...loaded, picked, cwd: io.cwd, version: version(), words, at, quick },
        ...(fork === undefined ? {} : { forked: fork.forked }),
      })
      return openRun(
        resolve(io.cwd, args.text('out') ?? defaultRunFolder(loaded.experiment.name, at)),
        manifest,
        { allowChangedCode: args.on('allow-changed-code') },
      )
    }),
    TE.chain((opening) =>
      pipe(
        opening,
        TE.mapLeft((e) => (e._tag === 'OtherRun' ? usage(e.message) : failed(e.message))),
      ),
    ),
    TE.chainFirst((run) => (isPlanned(fork) ? placed(io, fork, run) : TE.right(undefined))),
  )

const carriedOut = (
  args: Args,
  io: Io,
  { experiment, path, data }: LoadedFile,
  picked: Picked,
  run: RunFolder,
  { until }: StageRange,
): TE.TaskEither<CliError, void> =>
  pipe(
    attempt(async (): Promise<E.Either<CliError, void>> => {
      const { defer, EMPTY, Subject } = await import('rxjs')
      const { withBadRows } = await import('../../train/index.ts')
      const { advance, badRowsBlock, emptyRun, recordEvents, showProgress, withoutRepeats } = await import(
        '../../run/index.ts'
      )
      const { writeImage, writeRolloutsTable } = await import('../../run/index.ts')
      const { inWorker, threadsAtRest } = await import('../../engine/index.ts')
      const look = lookOf(io.stderr, io.env)
      const every = args.integer('checkpoint-every')
      const folder = shownPath(io.cwd, run.folder)
      const say = (text: string): void => {
        io.stderr.write(`${text}\n`)
      }
      const stateNow = async (): Promise<{
        readonly events: readonly RunEvent[]
        readonly state: RunState
      }> => {
        const events = await run.events()()
        if (E.isLeft(events)) throw events.left
        return { events: events.right, state: withoutRepeats(events.right).reduce(advance, emptyRun) }
      }

      const before = await stateNow()
      say(`${inked(look, 'bold', experiment.name)}, ${picked.engine.version}: ${picked.why}`)
      say(`run folder: ${folder}${run.continued ? ', which was there already' : ''}`)
      const quick = args.on('quick')
      if (quick) say(shortPass)
      if (run.torn !== undefined) say('an event that the earlier start left half written was cut off')
      const { tensorBoard, trackio } = await import('../../log/index.ts')
      const sinks = args.all('log').map((tool) => (tool === 'trackio' ? trackio : tensorBoard))
      const about = { pathOf: run.pathOf, earlier: before.events }
      const logging: MonoTypeOperatorFunction<RunEvent> = (events) =>
        sinks.reduce((s, sink) => s.pipe(sink(about)), events)
      const compiling = new Subject<Compiling>()
      const stream = defer(() =>
        experiment.run({
          // in a thread: while a step is computed, signals are heard and the progress goes on
          engine: inWorker(picked.engine, { onCompiling: (c) => compiling.next(c) }),
          saveImage: (name, image) =>
            pipe(
              writeImage(run, name, image),
              TE.mapLeft((e) => new Error(e.message)),
            ),
          pathOf: run.pathOf,
          earlier: before.events,
          rollouts: (stage, episode) =>
            pipe(
              run.rollouts(stage, episode),
              TE.mapLeft((e) => new Error(e.message)),
            ),
          setRolloutsAside: (stage, episode) =>
            pipe(
              run.setRolloutsAside(stage, episode),
              TE.mapLeft((e) => new Error(e.message)),
            ),
          tableRollouts: (stage) =>
            pipe(
              writeRolloutsTable(run.folder, stage),
              TE.mapLeft((e) => new Error(e.message)),
            ),
          ...(every === undefined ? {} : { checkpointEvery: every }),
          ...(until === undefined ? {} : { until: until.name }),
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
        : await followed(stream, io, goOn(args, folder))
      if (!done && until !== undefined && ended.how === 'finished')
        say(`\nended after stage ${until.name}, as --until says`)
      if (quick && ended.how === 'finished') say(`\n${shortPass}`)
      // what cannot be recorded any more is in the message below all the same
      const problem = ended.how === 'failed' ? await blamed(path, ended.error) : ''
      if (ended.how === 'failed') run.record({ type: 'run-failed', message: problem })()
      const { state } = await stateNow()
      const bad = badRowsBlock(state, look)
      if (bad !== undefined) say(`\n${bad}`)

      const { writeReport } = await import('../../report/index.ts')
      const written = await writeReport(run.folder)()
      if (E.isLeft(written)) say(`the report could not be written: ${written.left.message}`)
      const report = E.isRight(written) ? shownPath(io.cwd, written.right) : undefined
      // a step that was begun is computed to its end; here a second signal is still heard
      await threadsAtRest()
      if (ended.how === 'failed' && !run.continued && !hasBegun(state)) {
        run.close()
        await rm(run.folder, { recursive: true, force: true }).catch(() => {})
        return E.left(failed(`${problem}\nNothing was trained, and no run folder is left.`))
      }
      const kept = `What was done is in ${folder}${report === undefined ? '' : `, its report is ${report}`}.`
      if (ended.how === 'failed')
        return E.left(
          failed(
            `${problem}\n${kept}\n${goOn(args, folder)} (with --allow-changed-code, where code was changed)`,
          ),
        )
      if (ended.how === 'interrupted')
        return E.left({
          _tag: 'Interrupted',
          message: `stopped ${where(state)}.\n${kept}\n${goOn(args, folder)}`,
        })
      if (args.on('json')) printJson(io, resultOf(folder, report, state))
      else io.stdout.write(`${report ?? folder}\n`)
      return E.right(undefined)
    }),
    TE.chainEitherK(identity),
  )

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

/** What a reader of a short pass must know before its figures. */
const shortPass =
  'A short pass (--quick): it shows that everything works, and is far too short to learn. Its accuracies say nothing about the recipe.'

/** What the process ends with for a signal, of which the user knows. */
const bySignal: readonly number[] = [129, 130, 143]

/**
 * Follows a stream. One that neither goes on nor ends has failed, and so has one beside which something is thrown that nobody
 * catches. Where the experiment ends the process, that is said.
 *
 * @param further how the run goes on
 */
const followed = async (stream: Observable<RunEvent>, io: Io, further: string): Promise<Ended> => {
  const { Subject, takeUntil } = await import('rxjs')
  const stop = new Subject<void>()
  const left = (code: number): void => {
    if (bySignal.includes(code)) return
    process.stderr.write(
      `${called()} run: the experiment ended the process (process.exit) before the run's end. ${further}\n`,
    )
    if (code === 0) process.exitCode = 1
  }
  const ended = await withLastWords(left, () =>
    unlessStray(() => unlessIdle(follow(stream.pipe(takeUntil(stop)), io))),
  ).catch((error): Ended => {
    stop.next()
    return { how: 'failed', error }
  })
  return ended === neverSettles
    ? {
        how: 'failed',
        error: new Error(
          'the run neither goes on nor ends: it waits for something that nothing settles any more',
        ),
      }
    : ended
}

/** Whether anything was done that a folder is kept for. */
const hasBegun = (state: RunState): boolean => state.stages.length > 0 || state.finished !== undefined

const where = (state: RunState): string => {
  const stage = state.stages[state.current]
  if (stage === undefined) return 'before the first stage'
  return stage.finished === undefined
    ? `in stage ${stage.index + 1} of ${stage.of}, ${stage.stage}, after step ${stage.step} of ${stage.steps}`
    : `after stage ${stage.index + 1} of ${stage.of}, ${stage.stage}`
}

/** The words that start the same run again in its folder. */
const goOn = (args: Args, folder: string): string => {
  const words = args.text('out') === undefined ? [...args.typed, '--out', folder] : args.typed
  return `To go on: ${called()} run ${words.map(shellWord).join(' ')}`
}

const shareOf = ({ family, correct, total }: EventOf<'evaluated'>) => ({
  ...{ family, correct, total },
  accuracy: correct / total,
})
const meanOf = ({ family, value, unit, weight }: EventOf<'measured'>) => ({ family, value, unit, weight })

const resultOf = (folder: string, report: string | undefined, state: RunState): unknown => ({
  folder,
  report: report ?? null,
  badRows: state.badRows.count,
  stages: state.stages.map((s) => ({
    stage: s.stage,
    steps: s.step,
    samples: s.finished?.samples ?? s.samples,
    loss: s.finished?.loss ?? null,
    trainSeconds: s.finished?.trainSeconds ?? s.seconds,
    evaluateSeconds: s.finished?.evaluateSeconds ?? null,
    families: s.evaluations.map(shareOf),
    measures: s.measures.map(meanOf),
    ...(s.averaged.length === 0
      ? {}
      : {
          averaged: {
            families: s.averaged.flatMap((m) => (m.type === 'evaluated' ? [shareOf(m)] : [])),
            measures: s.averaged.flatMap((m) => (m.type === 'measured' ? [meanOf(m)] : [])),
          },
        }),
  })),
})
