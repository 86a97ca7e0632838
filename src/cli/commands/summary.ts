/** `sailwright summary`: a model's blocks with shapes, parameters, FLOPs and bytes; how it reads pictures; what training takes. */
import { existsSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { identity, pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Tensor } from '../../dsl/index.ts'
import type { CausalLm, Model } from '../../models/index.ts'
import { didYouMean, grouped, lookOf } from '../../terminal/index.ts'
import type { Experiment } from '../../train/index.ts'
import { attemptOf } from '../blame.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  printJson,
  printResult,
  refuse,
  usage,
} from '../command.ts'
import { withoutPlace } from '../exported.ts'
import { loadExperiment, looksLikeFile } from '../load-file.ts'
import { readPictures, showPictures } from '../pictures.ts'
import { planExperiment, planModel, showPlan } from '../plan.ts'

/** `sailwright summary <model>`. */
export const summaryCommand: Command = {
  name: 'summary',
  summary:
    'Prints a model block by block, how it reads pictures, or what training it takes in memory. Draws it.',
  positionals: [
    {
      name: 'model',
      help: 'a preset (nano, moe-nano, nano-anyres, aimv2-large, aimv2-huge, qwen3-0.6b, qwen3-1.7b, qwen3-8b, qwen3-30b-a3b, sail-vl2-2b, sail-vl2-anyres-2b, sail-vl2-8b, sail-vl2-30b-a3b), the folder of a published model, or an experiment file',
      required: true,
    },
  ],
  flags: {
    depth: {
      value: 'n',
      help: 'levels of blocks inside blocks',
      integerFrom: 0,
      otherwise: '4, and all with --json',
    },
    batch: { value: 'n', help: 'rows, and images', integerFrom: 1, otherwise: '1' },
    tokens: {
      value: 'n',
      help: 'tokens a row, visual ones included',
      integerFrom: 1,
      otherwise: '64 and the visual tokens of one image',
    },
    pictures: {
      value: 'file …',
      help: 'prints in which tiles it reads these images and videos of one conversation, and as how many tokens, instead',
      list: true,
    },
    tiles: {
      value: 'n',
      help: 'most tiles of a picture, with --pictures',
      integerFrom: 1,
      otherwise: 'what config.json says, else 10, as SAIL-VL2 is evaluated; 1 is no tiling',
    },
    plan: {
      help: 'prints what training it takes in memory instead: weights, gradients, moments, activations; of an experiment, stage by stage',
    },
    json: { help: 'prints one JSON object: parameters, flops, bytes, and a row a block' },
    mermaid: { help: 'prints a Mermaid flowchart instead' },
    svg: { value: 'file', help: 'writes the image as SVG, too' },
  },
  oneOf: ['json', 'mermaid'],
  examples: [
    ['sailwright summary sail-vl2-2b --depth 2', 'the model in a few lines'],
    ['sailwright summary nano --svg nano.svg', 'its image'],
    ['sailwright summary examples/recipe.ts --json', "an experiment's model, for scripts"],
    ['sailwright summary sail-vl2-2b --pictures a.png b.jpg', 'the tiles and tokens of two pictures'],
    ['sailwright summary qwen3-0.6b --plan --batch 4 --tokens 512', 'whether it can be trained here'],
  ],
  notes: [
    'Building a preset allocates no weights. FLOPs are of one forward pass at the given sizes, a multiplication and an addition counted as two; bytes are of the parameters as float32.',
  ],
  run: (args, io) =>
    pipe(
      oneView(args),
      TE.chain(() => chosen(args, io)),
      TE.chain((found) =>
        pipe(
          attemptOf(found.path, () => shown(found, args, io)),
          TE.chainEitherK(identity),
        ),
      ),
    ),
}

const views = ['mermaid', 'pictures', 'plan'] as const
/** Options that these views do not take. */
const idle = { pictures: ['depth', 'batch', 'tokens', 'svg'], plan: ['depth', 'svg'] }

const oneView = (args: Args): TE.TaskEither<CliError, void> => {
  const given = views.filter((v) => args.on(v))
  if (given.length > 1)
    return TE.left(usage(`only one of ${given.map((v) => `--${v}`).join(', ')} at a time.`))
  if (args.on('tiles') && !args.on('pictures')) return TE.left(usage('--tiles is of --pictures.'))
  for (const [view, options] of Object.entries(idle)) {
    const odd = args.on(view) ? options.find(args.on) : undefined
    if (odd !== undefined) return TE.left(usage(`--${view} has no --${odd}; leave one of both out.`))
  }
  return TE.right(undefined)
}

interface Chosen {
  readonly model: Model
  readonly experiment?: Experiment
  /** Of the experiment's file. */
  readonly path?: string
  /** Of a published model's folder. */
  readonly folder?: string
}

/** Whether a folder's weights are those of the model that its `config.json` says; undefined where it has none. */
const weightsIn = async (
  folder: string | undefined,
): Promise<
  { readonly read: number; readonly unread: readonly string[] } | { readonly wrong: string } | undefined
> => {
  const files = ['model.safetensors', 'model.safetensors.index.json']
  if (folder === undefined || !files.some((f) => existsSync(join(folder, f)))) return undefined
  const { pretrainedModel } = await import('../../models/index.ts')
  const opened = await pretrainedModel(folder)()
  if (opened._tag === 'Left') return { wrong: opened.left.message }
  const { source, unread } = opened.right
  return { read: source.keys.length - unread.length, unread }
}

const showWeights = (w: NonNullable<Awaited<ReturnType<typeof weightsIn>>>): string =>
  'wrong' in w
    ? `Its weights do not make this model. ${w.wrong}`
    : w.unread.length === 0
      ? `Its weights are those of this model: all ${grouped(w.read)} are read.`
      : `${grouped(w.read)} of its weights are read; ${withoutPlace('not read', w.unread)}`

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const chosen = (args: Args, io: Io): TE.TaskEither<CliError, Chosen> => {
  const word = args.positionals[0]!
  return pipe(
    attempt(() => import('../../models/index.ts')),
    TE.chain(({ presets, presetModel, readConfig }): TE.TaskEither<CliError, Chosen> => {
      const preset = Object.hasOwn(presets, word) ? presets[word] : undefined
      if (preset !== undefined) return TE.right({ model: presetModel(word, preset) })
      const path = resolve(io.cwd, word)
      if (isFolder(path))
        return pipe(
          readConfig(path),
          TE.mapLeft((e): CliError => failed(e.message)),
          TE.map((config) => ({ model: presetModel(basename(path), config), folder: path })),
        )
      if (looksLikeFile(word))
        return pipe(
          loadExperiment(word, io.cwd, { quick: false, seed: 0, settings: {} }),
          TE.map(({ experiment, path }) => ({ model: experiment.model, experiment, path })),
        )
      return TE.left(
        usage(
          `there is no preset '${word}'.${didYouMean(word, Object.keys(presets))} The presets are ${Object.keys(presets).join(', ')}; an experiment file ends in .ts.`,
        ),
      )
    }),
  )
}

const shown = async (
  { model, experiment, folder }: Chosen,
  args: Args,
  io: Io,
): Promise<E.Either<CliError, void>> => {
  if (args.on('pictures')) return pictures(model, args, io)
  if (args.on('plan')) return plan(model, experiment, args, io)
  const weights = await weightsIn(folder)
  const graph = model.graph({ batch: args.integer('batch'), tokens: args.integer('tokens') })
  await print(model, graph, weights, args, io)
  return weights !== undefined && 'wrong' in weights
    ? E.left(failed(showWeights(weights)))
    : E.right(undefined)
}

/** `--pictures`. */
const pictures = async (model: Model, args: Args, io: Io): Promise<E.Either<CliError, void>> => {
  const { name, image } = model as Pick<Model, 'name'> & Partial<CausalLm>
  if (image === undefined)
    return refuse(`'${name}' is no model that answers about pictures; leave --pictures out, or name another.`)
  if (args.on('tiles') && image.patchSize !== undefined)
    return refuse(`'${name}' reads pictures of any size, uncut; leave --tiles out.`)
  const read = await readPictures(image, args.all('pictures'), args.integer('tiles'), io.cwd)
  const look = lookOf(io.stdout, io.env)
  return E.right(printResult(args, io, { name, ...read }, () => showPictures(name, image, read, look)))
}

/** `--plan`. */
const plan = async (
  model: Model,
  experiment: Experiment | undefined,
  args: Args,
  io: Io,
): Promise<E.Either<CliError, void>> => {
  const { isCausalLm } = await import('../../models/index.ts')
  if (experiment === undefined && !isCausalLm(model))
    return refuse(
      `'${model.name}' writes no text, and --plan is of training on text; name the experiment's file instead.`,
    )
  const sized = ['batch', 'tokens'].find(args.on)
  if (experiment?.stages !== undefined && sized !== undefined)
    return refuse(`--${sized}: the stages of an experiment have sizes of their own; leave it out.`)
  const made =
    experiment?.stages !== undefined
      ? await planExperiment(experiment)
      : await planModel(model as CausalLm, { rows: args.integer('batch'), tokens: args.integer('tokens') })
  return E.right(printResult(args, io, made, () => showPlan(made, lookOf(io.stdout, io.env))))
}

const print = async (
  model: Model,
  graph: Tensor,
  weights: Awaited<ReturnType<typeof weightsIn>>,
  args: Args,
  io: Io,
): Promise<void> => {
  const { name, activeShare } = model
  const { mermaid, showSummary, summary, summaryJson, svg } = await import('../../dsl/index.ts')
  const depth = args.integer('depth')
  const file = args.text('svg')
  if (file !== undefined) {
    const { writeWhole } = await import('../../run/index.ts')
    const path = resolve(io.cwd, file)
    const written = await writeWhole(path, svg([graph], { name, depth }))()
    if (written._tag === 'Left') throw new Error(written.left.message)
    io.stderr.write(`${path}\n`)
  }
  if (args.on('json'))
    printJson(io, { ...summaryJson(summary([graph], { name, activeShare, depth })), weights })
  else if (args.on('mermaid')) io.stdout.write(`${mermaid([graph], { name, depth })}\n`)
  else {
    const table = showSummary(summary([graph], { name, activeShare, depth: depth ?? 4 }))
    io.stdout.write(`${table}\n${weights === undefined ? '' : `\n${showWeights(weights)}\n`}`)
  }
}
