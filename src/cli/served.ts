/**
 * A trained model that answers: found as for an export, loaded into a session, with what lays out its chats.
 *
 * @since 0.1.0
 */
import { basename, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Processor } from '../data/index.ts'
import type { Compiling, EngineName, Picked, Session } from '../engine/index.ts'
import type { CausalLm } from '../models/index.ts'
import type { Batching, BatchingSizes } from '../serve/index.ts'
import { compilingLines, numberIn } from '../terminal/index.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Flag,
  failed,
  type Io,
  noEngine,
  refuse,
  usage,
} from './command.ts'
import { askedFor, holding, overDevices } from './engine-options.ts'
import { type Found, found, weightsFlags, withoutPlace } from './exported.ts'

/** The argument and the options by which a command names a model that answers. */
export const modelArgument = {
  name: 'model',
  help: "a run's folder (its last stage), a checkpoint in it (runs/x/checkpoints/sft), or a model in Hugging Face's layout",
  required: true,
} as const
export const modelFlags = {
  ...weightsFlags,
  engine: {
    value: 'name',
    help: 'what computes',
    choices: ['auto', 'tensorflow', 'onnx', 'xla'],
    otherwise: 'auto',
  },
  devices: {
    value: 'n',
    help: 'how many devices share the rows that are answered at a time, by the engine xla',
    integerFrom: 1,
    otherwise: '1',
  },
  weights: {
    value: 'kind',
    help: 'in what they lie in memory: stored leaves those in bfloat16 in 16 bits, half the memory, by the engine onnx',
    choices: ['float32', 'stored'],
    otherwise: 'float32',
  },
  context: {
    value: 'tokens',
    help: 'of prompt and answer together, visual ones included',
    integerFrom: 2,
    otherwise: '512',
  },
  images: {
    value: 'n',
    help: 'images of one prompt at most, each tile and each frame of a video counted',
    integerFrom: 0,
    otherwise: '4, or the most tiles of one image, and 0 where the model reads text alone',
  },
} satisfies Readonly<Record<string, Flag>>

/** A model that answers. */
export interface Answering {
  /** Its name for others. */
  readonly name: string
  /** How its weights are called in messages. */
  readonly what: string
  readonly engine: EngineName
  readonly processor: Processor
  readonly batching: Batching
  readonly session: Session
}

/** What a prompt may have, where the command line does not say. */
interface Room {
  readonly context: number
  readonly images: number
}

/**
 * Room for the pictures that are shown with the first words, besides 512 tokens. Images of a prompt are at most 4, or as many
 * tiles as an image may be cut into; where images have any size, as many visual tokens as the context holds.
 */
const roomOf = async ({ image }: Processor, args: Args, shown: readonly string[]): Promise<Room> => {
  const [context, images] = [args.integer('context'), args.integer('images')]
  if (image === undefined) return { context: context ?? 512, images: 0 }
  const { isVideo } = await import('../data/index.ts')
  const tiles = await Promise.all(
    shown.map(async (path) => ((await isVideo(path)) ? image.frames : image.most)),
  )
  const all = tiles.reduce((n, m) => n + m, 0)
  const tokens = context ?? 512 + (image.patchSize === undefined ? all * image.tokens : 0)
  return {
    context: tokens,
    images: images ?? (image.patchSize === undefined ? Math.max(4, image.most, all) : tokens),
  }
}

/** What lays out the model's chats. */
const processorOf = (
  { what, stage, tokenizer }: Found,
  model: CausalLm,
): TE.TaskEither<CliError, Processor> => {
  if (stage?.processor !== undefined) return TE.right(stage.processor)
  if (tokenizer !== undefined)
    return attempt(async () => (await import('../data/index.ts')).publishedProcessor(tokenizer, model))
  return TE.left(
    failed(
      stage === undefined
        ? `${what} has no tokenizer.json, without which nothing can be said to it.`
        : `${what}: the stage names no processor, so that nothing can be said to the model.`,
    ),
  )
}

/** The engine that answers: where several devices share the rows, xla over them. */
const engineFor = (args: Args, io: Io, rows: number): TE.TaskEither<CliError, Picked> => {
  const [wanted, devices] = [(args.text('engine') ?? 'auto') as 'auto' | EngineName, args.integer('devices')]
  const stored = args.text('weights') === 'stored'
  if (devices === undefined || devices === 1)
    return pipe(
      attempt(() => import('../engine/index.ts')),
      TE.chain(({ pickEngine }) =>
        // what was measured on a GPU are steps of training, of which answers are none
        pipe(pickEngine(askedFor(wanted, { stored }), io.env, { webgpu: false }), TE.mapLeft(noEngine)),
      ),
      TE.chain((picked) => holding(picked, stored)),
    )
  if (stored)
    return TE.left(
      usage(`--weights stored is for the engine onnx, and --devices ${devices} for xla; leave out one`),
    )
  if (rows === 1)
    return TE.left(
      usage(
        `--devices ${devices}: what devices share are rows, and one conversation is one row; leave it out, or use serve`,
      ),
    )
  if (rows % devices !== 0)
    return TE.left(
      usage(
        `--devices ${devices}: it does not divide the ${rows} rows that are answered at a time; give a number that does`,
      ),
    )
  return overDevices(wanted, devices)
}

const loaded = (
  args: Args,
  io: Io,
  from: Found,
  rows: number,
  pictures: readonly string[],
): TE.TaskEither<CliError, Answering> =>
  pipe(
    attempt(() => import('../models/index.ts')),
    TE.chainEitherK(({ isCausalLm }) =>
      isCausalLm(from.exported.model)
        ? E.right(from.exported.model)
        : E.left(failed(`${from.what}: the model (${from.exported.model.name}) writes no text.`)),
    ),
    TE.bindTo('model'),
    TE.bind('processor', ({ model }) => processorOf(from, model)),
    TE.chainFirstEitherK(({ processor }) =>
      pictures.length > 0 && processor.image === undefined
        ? refuse(`--picture ${pictures[0]}: the model of ${from.what} reads text alone; leave it out.`)
        : E.right(undefined),
    ),
    TE.bind('picked', () => engineFor(args, io, rows)),
    TE.bind('batching', ({ model, processor }) =>
      attempt(async () => {
        const { batching } = await import('../serve/index.ts')
        const shown = pictures.map((path) => resolve(io.cwd, path))
        const sizes: BatchingSizes = { rows, ...(await roomOf(processor, args, shown)) }
        return batching(model, processor, sizes)
      }),
    ),
    TE.bind('session', ({ model, picked, batching }) =>
      pipe(
        attempt(async () => {
          const { program } = await import('../dsl/index.ts')
          const { inWorker } = await import('../engine/index.ts')
          const { placeWeights, shapesOf } = await import('../train/index.ts')
          const made = program({ name: model.name, functions: batching.functions })
          const { weights } = from.exported
          const placed = placeWeights(made, shapesOf(weights), { name: 'nothing', has: () => false })
          if (E.isLeft(placed)) throw placed.left
          const compilingLine = compilingLines()
          const onCompiling = (c: Compiling): void => {
            const line = compilingLine(c)
            if (line !== undefined) io.stderr.write(`${line}\n`)
          }
          const { unread = [] } = from
          if (unread.length > 0) io.stderr.write(`${withoutPlace('not read', unread)}\n`)
          if (args.text('weights') === 'stored' && !weights.keys.some((k) => weights.dtype?.(k) === 'BF16'))
            io.stderr.write('--weights stored: none is stored in bfloat16, so that all lie in float32\n')
          return inWorker(picked.engine, { onCompiling }).load(made, { values: weights })
        }),
        TE.chain(
          TE.mapLeft((e) =>
            failed(
              e._tag === 'OutOfMemory'
                ? `${e.message}: --context is ${batching.sizes.context}${rows > 1 ? `, and --rows ${rows}` : ''}.`
                : e.message,
            ),
          ),
        ),
      ),
    ),
    TE.map(({ processor, picked, batching, session }) => ({
      ...{ name: basename(from.beside), what: from.what, engine: picked.engine.name },
      ...{ processor, batching, session },
    })),
  )

/**
 * Loads the model that the command line names, uses it, and closes it.
 *
 * @param pictures those that will be shown with the first words
 */
export const withAnswering = <A>(
  args: Args,
  io: Io,
  rows: number,
  use: (a: Answering) => TE.TaskEither<CliError, A>,
  pictures: readonly string[] = [],
): TE.TaskEither<CliError, A> =>
  pipe(
    found(args, io),
    TE.chain((from) =>
      TE.bracket(loaded(args, io, from, rows, pictures), use, ({ session }) =>
        pipe(
          session.close(),
          TE.bimap(
            (e) => failed(e.message),
            () => undefined,
          ),
        ),
      ),
    ),
  )

/** An option that is a number. Fails with `Usage` where it is none from `least` to `most`. */
export const numberOf = (
  args: Args,
  flag: string,
  least: number,
  most: number,
): E.Either<CliError, number | undefined> => {
  const given = args.text(flag)
  if (given === undefined) return E.right(undefined)
  const n = numberIn(given)
  return n >= least && n <= most
    ? E.right(n)
    : refuse(`--${flag} is a number from ${least} to ${most}, and not '${given}'.`)
}
