/**
 * A trained model that a command is asked to use: found by a word that names a run, a checkpoint in it, or a model's folder.
 *
 * @since 0.1.0
 */
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Tokenizer } from '../formats/index.ts'
import type { Manifest, RunState } from '../run/index.ts'
import { asCalled, didYouMean, firstOf } from '../terminal/index.ts'
import type { ExportedModel, Stage } from '../train/index.ts'
import { attemptOf } from './blame.ts'
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
import { type LoadedFile, loadExperiment } from './load-file.ts'

/** The options by which a command says which weights are meant. */
export const weightsFlags = {
  stage: { value: 'name', help: 'the stage whose weights are taken', otherwise: 'the last one' },
  ema: { help: "the moving averages of the weights, where the stage's settings say ema" },
  file: {
    value: 'file.ts',
    help: "the run's experiment file, where it has moved",
    otherwise: 'the one that the run names, from this folder',
  },
  'allow-changed-code': { help: 'goes on although the file makes another graph than the run trained' },
} as const

/** What the command line says of it: its argument and {@link weightsFlags}. */
const requestOf = (args: Args, io: Io) => ({
  word: args.positionals[0]!,
  cwd: io.cwd,
  stage: args.text('stage'),
  file: args.text('file'),
  averages: args.on('ema'),
  allowChangedCode: args.on('allow-changed-code'),
})
type Request = ReturnType<typeof requestOf>

/** What is exported. */
export interface Found {
  readonly exported: ExportedModel
  /** How the weights are called in messages: `stage sft of runs/x`. */
  readonly what: string
  /** The folder that the weights are in. */
  readonly folder: string
  /** Where an export goes, but for its kind: `runs/x-sft`. */
  readonly beside: string
  /** The stage that ended with the weights, where they are of a run. */
  readonly stage?: Stage
  /**
   * What the stage began with, where another stage or another run made it: `the weights after stage sft of runs/x`. A fork that
   * goes on inside a stage has what that began with, under adapters that are not merged yet.
   */
  readonly over?: string
  /**
   * The folder or the published model that the stage began with, as the experiment names it, where no other stage or run made
   * its weights.
   */
  readonly base?: string
  /** Of a model's folder, where it has one. */
  readonly tokenizer?: Tokenizer
  /** Of a model's folder: weights that the model has no place for. */
  readonly unread?: readonly string[]
}

/** `not read, because the model has no place for it: a, b, c and 4 more`. */
export const withoutPlace = (what: 'not read' | 'left out', keys: readonly string[]): string =>
  `${what}, because the model has no place for it: ${firstOf(keys, 3)}`

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** Finds what the command's first argument names. Fails with `Usage` where there is no such thing, and says what there is. */
export const found = (args: Args, io: Io): TE.TaskEither<CliError, Found> => {
  const r = requestOf(args, io)
  const path = resolve(r.cwd, r.word)
  if (!existsSync(path)) return TE.left(usage(`there is no folder ${r.word}.`))
  if (!statSync(path).isDirectory())
    return TE.left(usage(`${r.word} is a file; name a run's folder, a checkpoint's, or a model's.`))
  if (isFile(join(path, 'manifest.json'))) return ofRun(r, path, r.stage)
  const run = dirname(dirname(path))
  if (basename(dirname(path)) === 'checkpoints' && isFile(join(run, 'manifest.json')))
    return r.stage !== undefined && r.stage !== basename(path)
      ? TE.left(usage(`${r.word} is the checkpoint of stage ${basename(path)}, and --stage says ${r.stage}.`))
      : ofRun(r, run, basename(path))
  if (isFile(join(path, 'config.json'))) return ofFolder(r, path)
  return TE.left(
    usage(
      `${r.word} is no run (it has no manifest.json), no checkpoint of one (runs/x/checkpoints/<stage>), and no model in Hugging Face's layout (it has no config.json).`,
    ),
  )
}

/** A published model, or one that was exported before. */
const ofFolder = (r: Request, path: string): TE.TaskEither<CliError, Found> => {
  const odd = r.averages ? 'ema' : r.stage !== undefined ? 'stage' : r.file !== undefined ? 'file' : undefined
  if (odd !== undefined)
    return TE.left(usage(`--${odd} is about a run, and ${r.word} is a model's folder; leave it out.`))
  return attemptEither(async () => {
    const { pretrained } = await import('../models/index.ts')
    const opened = await pretrained(path)()
    if (E.isLeft(opened)) return E.left(failed(opened.left.message))
    const { model, source: weights, tokenizer, unread } = opened.right
    const text = tokenizer && { files: tokenizer.files, end: tokenizer.eos, pad: tokenizer.pad }
    const exported = { model, weights, text }
    return E.right({ exported, what: shownPath(r.cwd, path), folder: path, beside: path, unread, tokenizer })
  })
}

/** The stage of a run whose weights are meant, by its name: `named`, else the last of those that have ended. */
const stageMeant = (
  named: string | undefined,
  shown: string,
  { finished }: RunState,
  ended: readonly string[],
  { command }: Manifest,
): E.Either<CliError, string> => {
  const there =
    ended.length === 0 ? 'no stage of it has ended' : `these stages have ended: ${ended.join(', ')}`
  if (named !== undefined && !ended.includes(named))
    return refuse(`${shown} has no weights after a stage '${named}': ${there}.${didYouMean(named, ended)}`)
  if (named === undefined && finished === undefined)
    return refuse(
      `the run in ${shown} is not finished: ${there}. Finish it (${asCalled(command)} --out ${shown})${ended.length === 0 ? '' : `, or export what there is with --stage ${ended.at(-1)}`}.`,
    )
  const stage = named ?? ended.at(-1)
  return stage === undefined ? refuse(`${shown} has no weights: ${there}.`) : E.right(stage)
}

/** What the stage began with, as {@link Found} says it. */
const beganOver = (
  stage: string,
  before: string | undefined,
  shown: string,
  { forked }: Manifest,
): string | undefined => {
  if (before !== undefined) return `the weights after stage ${before} of ${shown}`
  if (forked === undefined) return undefined
  return forked.taken === 'everything'
    ? `the weights that stage ${stage} of ${forked.run} began with, which this run goes on with`
    : `the weights after step ${forked.step} of stage ${forked.stage} of ${forked.run}, from which this run was forked`
}

/** What a recipe says that it begins with, where that is a model's folder or has the form of a published model's name. */
const baseOf = (cwd: string, recipe: unknown): string | undefined => {
  const { start } = Object(recipe) as { readonly start?: unknown }
  if (typeof start !== 'string') return undefined
  return isFile(join(resolve(cwd, start), 'config.json')) || /^[\w.-]+\/[\w.-]+$/.test(start)
    ? start
    : undefined
}

/** The weights after a stage of a run. */
const ofRun = (r: Request, path: string, named: string | undefined): TE.TaskEither<CliError, Found> =>
  attemptEither(async () => {
    const { advance, emptyRun, readRun } = await import('../run/index.ts')
    const read = await readRun(path)()
    if (E.isLeft(read)) return E.left(failed(read.left.message))
    const { manifest, events } = read.right
    const shown = shownPath(r.cwd, path)
    const state = events.reduce(advance, emptyRun)
    const ended = state.stages.filter((s) => s.finished !== undefined).map((s) => s.stage)
    const meant = stageMeant(named, shown, state, ended, manifest)
    if (E.isLeft(meant)) return meant
    const stage = meant.right
    const { averagesFile, checkpointFolder, exportedText, weightsFile } = await import('../train/index.ts')
    const folder = join(path, checkpointFolder(stage))
    const file = join(folder, r.averages ? averagesFile : weightsFile)
    if (!isFile(file))
      return refuse(
        r.averages
          ? `stage ${stage} of ${shown} keeps no moving averages; a stage keeps them where its settings say ema.`
          : `stage ${stage} of ${shown} has ended and left no weights: there is no ${shownPath(r.cwd, file)}.`,
      )
    const experimentFile = r.file ?? manifest.file
    if (!existsSync(resolve(r.cwd, experimentFile)))
      return refuse(
        `the run in ${shown} is of ${experimentFile}, which is not here; name the file with --file, or go to the folder in which the run was started.`,
      )
    const { openCheckpoint } = await import('../formats/index.ts')
    return pipe(
      loadExperiment(experimentFile, r.cwd, {
        quick: manifest.quick ?? false,
        seed: manifest.seed,
        settings: manifest.settings ?? {},
        rewards: manifest.rewards,
        data: { path: manifest.data },
      }),
      TE.chain((loaded) => stageOf(loaded, stage, manifest.programs[stage], r)),
      TE.bindTo('stage'),
      TE.bind('weights', () =>
        pipe(
          openCheckpoint(file),
          TE.mapLeft((e) => failed(e.message)),
        ),
      ),
      TE.bind('text', ({ stage: { processor } }) =>
        attempt(async () => processor && exportedText(processor)),
      ),
      TE.let('over', () => beganOver(stage, ended[ended.indexOf(stage) - 1], shown, manifest)),
      TE.map(({ stage: ofStage, weights, text, over }) => ({
        exported: { model: ofStage.model, weights, text },
        what: `${r.averages ? 'the moving averages' : 'the weights'} after stage ${stage} of ${shown}`,
        folder,
        beside: named === undefined ? path : `${path}-${stage}`,
        stage: ofStage,
        over,
        base: over === undefined ? baseOf(r.cwd, manifest.recipe) : undefined,
      })),
    )()
  })

/** The stage by name, as the experiment makes it now. Fails where it would compute something else than the run did. */
const stageOf = (
  { experiment, path }: LoadedFile,
  name: string,
  program: string | undefined,
  r: Request,
): TE.TaskEither<CliError, Stage> => {
  const shown = shownPath(r.cwd, path)
  if (experiment.stages === undefined)
    return TE.left(
      failed(
        `${shown} gives an experiment that names no stages, so that there is no model to export; make it with experiment(…), or give it stages.`,
      ),
    )
  const stage = experiment.stages.find((s) => s.name === name)
  if (stage === undefined)
    return TE.left(
      failed(
        `${shown} has no stage '${name}' any more; it has ${experiment.stages.map((s) => s.name).join(', ')}. Put it back as it was when the run began.`,
      ),
    )
  if (program === undefined || r.allowChangedCode) return TE.right(stage)
  return pipe(
    attemptOf(path, async () => {
      const { fingerprint } = await import('../dsl/index.ts')
      return fingerprint(stage.program({}).program)
    }),
    TE.chain((now) =>
      now === program
        ? TE.right(stage)
        : TE.left(
            failed(
              `${shown} now makes another graph of stage ${name} than the one that the run trained: it, or Sailwright, has changed since; put back what has, or go on all the same with --allow-changed-code.`,
            ),
          ),
    ),
  )
}
