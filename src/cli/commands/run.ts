/** `sailwright run`: an experiment from its file to its report. */
import { resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as IO from 'fp-ts/lib/IO.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Picked } from '../../engine/index.ts'
import { version } from '../../package/index.ts'
import type { RunFolder } from '../../run/index.ts'
import { numberIn } from '../../terminal/index.ts'
import type { PlannedFork } from '../../train/internal.ts'
import { attemptOf } from '../blame.ts'
import {
  type Args,
  attemptEither,
  type CliError,
  type Command,
  failed,
  type Io,
  refuse,
  usage,
} from '../command.ts'
import { type BegunFork, forkOf, isPlanned, placeFork } from '../fork.ts'
import { type LoadedFile, loadExperiment } from '../load-file.ts'
import { pickedEngine } from '../run-engine.ts'
import { stageRangeOf } from '../stage-range.ts'

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
      help: 'your own rows: JSONL, a JSON list, CSV, TSV, Parquet, WebDataset shards (.tar, .tar.gz), a folder of those, of images with metadata.jsonl or in folders by class',
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
          (run) =>
            attemptEither(async () => {
              const { carriedOut } = await import('../carried-out.ts')
              return carriedOut(args, io, loaded, picked, run, range)
            }),
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
    if (at < 1) return refuse(`--set takes key=value, and not '${pair}'.`)
    const key = pair.slice(0, at)
    if (settings.has(key)) return refuse(`--set ${key} is given twice; say it once.`)
    settings.set(key, pair.slice(at + 1))
  }
  return E.right(Object.fromEntries(settings))
}

/** `--reward name=weight`, once a name. */
const rewardsOf = (args: Pick<Args, 'all'>): E.Either<CliError, Readonly<Record<string, number>>> => {
  const weights = new Map<string, number>()
  for (const pair of args.all('reward')) {
    const at = pair.lastIndexOf('=')
    const weight = numberIn(pair.slice(at + 1).trim())
    if (at < 1 || !Number.isFinite(weight))
      return refuse(`--reward takes name=weight, such as answer=0.8, and not '${pair}'.`)
    const name = pair.slice(0, at).trim()
    if (weights.has(name)) return refuse(`--reward ${name} is given twice; say it once.`)
    weights.set(name, weight)
  }
  return E.right(Object.fromEntries(weights))
}

const openFolder = (
  args: Args,
  io: Io,
  loaded: LoadedFile,
  picked: Picked,
  fork: BegunFork | PlannedFork | undefined,
): TE.TaskEither<CliError, RunFolder> =>
  pipe(
    attemptOf(loaded.path, async () => {
      const { manifestOf } = await import('../manifest.ts')
      const { defaultRunFolder, openRun } = await import('../../run/index.ts')
      const at = new Date()
      const words = ['run', ...args.typed]
      const quick = args.on('quick')
      const manifest = manifestOf({
        ...{ ...loaded, picked, cwd: io.cwd, version: version(), words, at, quick },
        forked: fork?.forked,
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
    TE.chainFirst((run) => (isPlanned(fork) ? placeFork(io, fork, run) : TE.right(undefined))),
  )
