/**
 * `--fork` and `--from`: a run that begins from another's checkpoint, planned before its folder is made, and placed into it
 * once.
 *
 * @since 0.1.0
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { RunFolder } from '../run/index.ts'
import type { Experiment } from '../train/index.ts'
import type { Forked, PlannedFork } from '../train/internal.ts'
import { manifestIn } from './begun.ts'
import {
  type Args,
  attempt,
  attemptEither,
  type CliError,
  failed,
  type Io,
  refuse,
  shownPath,
  usage,
} from './command.ts'
import type { LoadedFile } from './load-file.ts'
import type { FirstStage, StageRange } from './stage-range.ts'

/** A fork that an earlier start of the run has placed: the other run is not asked again. */
export interface BegunFork {
  readonly forked: Forked
  /** The index of its first stage. */
  readonly begins: number
}

/** Whether a fork is still to be placed. */
export const isPlanned = (fork: BegunFork | PlannedFork | undefined): fork is PlannedFork =>
  fork !== undefined && 'place' in fork

/** The fork with which the run in this folder has begun. */
const begunIn = (folder: string): BegunFork | undefined => {
  try {
    const line = readFileSync(join(folder, 'events.jsonl'), 'utf8')
      .split('\n')
      .find((l) => l.includes('"type":"forked"'))
    const forked = manifestIn(folder)?.forked
    return line === undefined || forked === undefined
      ? undefined
      : { forked, begins: Number(JSON.parse(line).begins) }
  } catch {
    return undefined
  }
}

/** The run and the checkpoint that are asked for. */
interface Asked {
  /** As messages begin. */
  readonly words: string
  /** Absolute. */
  readonly run: string
  readonly at?: string
}

/** The run whose weights `--from` takes: the one that this run has begun with, else the newest that has them. */
const sourceOf = async (
  args: Args,
  io: Io,
  name: string,
  from: string,
  after: string,
): Promise<E.Either<CliError, string>> => {
  const out = args.text('out')
  const begun = out === undefined ? undefined : manifestIn(resolve(io.cwd, out))?.forked
  if (begun?.stage === after) return E.right(resolve(io.cwd, begun.run))
  const { runsFolder, runsWithStage } = await import('./newest-run.ts')
  const about = { experiment: name, stage: after, quick: args.on('quick') }
  const { fitting, others } = runsWithStage(join(io.cwd, runsFolder), about)
  const [newest] = fitting
  if (newest !== undefined) {
    io.stderr.write(
      `--from ${from}: of the runs of '${name}' in ${runsFolder}/, the newest with the end of stage ${after} is taken, ${shownPath(io.cwd, newest)}\n`,
    )
    return E.right(newest)
  }
  const other =
    others[0] === undefined
      ? ''
      : ` (${shownPath(io.cwd, others[0])} has it, and is ${args.on('quick') ? 'no short pass' : 'a short pass'})`
  return refuse(
    `--from ${from}: it begins with the weights of stage ${after}, and no run of '${name}' in ${runsFolder}/ has them${other}. Name a run with --fork <run>, or run the stages up to there: --until ${after}`,
  )
}

/** Puts `--fork` and `--from` together; undefined where the run begins with its recipe's own weights. */
const askedOf = (
  args: Args,
  io: Io,
  name: string,
  from: FirstStage | undefined,
): TE.TaskEither<CliError, Asked | undefined> =>
  attemptEither(async () => {
    const { forkWord } = await import('../train/internal.ts')
    const word = args.text('fork')
    const isRun = (folder: string): boolean => existsSync(join(resolve(io.cwd, folder), 'manifest.json'))
    const named = word === undefined ? undefined : forkWord(word, isRun)
    const run = named && resolve(io.cwd, named.run)
    if (from === undefined)
      return E.right(named && { words: `--fork ${word}`, run: run!, at: named.at || undefined })
    const words = `--from ${from.name}${word === undefined ? '' : ` --fork ${word}`}`
    const at = from.after
    if (at === undefined)
      return word === undefined
        ? E.right(undefined)
        : refuse(
            `${words}: ${from.name} is the first stage and begins with the recipe's own weights; leave one of both out.`,
          )
    if (named?.at !== undefined && named.at !== at)
      return refuse(
        `${words}: stage ${from.name} begins with the weights of the end of stage ${at}, and --fork names ${named.at}; say --fork ${named.run}, or leave --from out.`,
      )
    const source = run === undefined ? await sourceOf(args, io, name, from.name, at) : E.right(run)
    return pipe(
      source,
      E.map((run) => ({ words, run, at })),
    )
  })

/** Plans a fork; one that the run in the folder has begun with is taken as it is. */
const planned = (
  { words, run, at }: Asked,
  { experiment, from }: { readonly experiment: Experiment; readonly from: FirstStage | undefined },
  shown: string,
  begun: BegunFork | undefined,
): TE.TaskEither<CliError, BegunFork | PlannedFork> => {
  const there = begun?.forked
  // a run that goes on has what it needs; one that forks from elsewhere is seen by its manifest
  const isSame =
    there?.run === shown &&
    (from === undefined
      ? at === undefined || at === there.stage || at === String(there.step)
      : at === there.stage && begun?.begins === from.index)
  if (isSame) return TE.right(begun!)
  return pipe(
    attempt(() => import('../train/internal.ts')),
    TE.chain(({ ForkError, planFork }) =>
      pipe(
        planFork(run, at, experiment, shown, from !== undefined),
        TE.mapLeft((e) =>
          e instanceof ForkError && e.tag !== 'OtherModel'
            ? usage(`${words}: ${e.message}`)
            : failed(`${words}: ${e.message}`),
        ),
      ),
    ),
  )
}

/**
 * Reads `--fork` and `--from` and plans what they ask for; undefined where the run begins with its recipe's own weights. Of
 * a run that has begun so, the other run is not asked again.
 */
export const forkOf = (
  args: Args,
  io: Io,
  { experiment }: LoadedFile,
  { from, until }: StageRange,
): TE.TaskEither<CliError, BegunFork | PlannedFork | undefined> => {
  const out = args.text('out')
  const begun = out === undefined ? undefined : begunIn(resolve(io.cwd, out))
  return pipe(
    askedOf(args, io, experiment.name, from),
    TE.chain((asked) =>
      asked === undefined
        ? TE.right(undefined)
        : planned(asked, { experiment, from }, shownPath(io.cwd, asked.run), begun),
    ),
    TE.filterOrElse(
      (fork) => fork === undefined || until === undefined || fork.begins <= until.index,
      (fork) =>
        usage(
          `--until ${until!.name}: this run begins with stage ${experiment.stages![fork!.begins]!.name}, which comes after it.`,
        ),
    ),
  )
}

/** Puts the checkpoint into the new run's folder, records where it comes from, and says what differs. */
export const placeFork = (io: Io, fork: PlannedFork, run: RunFolder): TE.TaskEither<CliError, void> =>
  pipe(
    run.events(),
    TE.mapLeft((e) => failed(e.message)),
    TE.chain((events) =>
      events.some((e) => e.type === 'forked')
        ? TE.right(undefined)
        : pipe(
            fork.place(run.pathOf),
            TE.chainIOEitherKW(run.record),
            TE.mapLeft((e) => failed(e.message)),
            TE.chain(() =>
              attempt(async () => {
                const { changesBetween } = await import('../run/index.ts')
                const { forked: _, ...here } = run.manifest
                const { forked: __, ...there } = fork.manifest
                const { settings, data } = changesBetween(there, here)
                const all = [...data, ...settings]
                const lines = all.length === 0 ? ['no setting differs'] : all
                io.stderr.write(
                  `this run ${fork.told}\nagainst ${fork.forked.run}:${lines.map((l) => `\n  ${l}`).join('')}\n`,
                )
              }),
            ),
          ),
    ),
    TE.orElse((e) =>
      pipe(
        TE.fromIO(run.close),
        TE.chain(() => TE.left(e)),
      ),
    ),
  )
