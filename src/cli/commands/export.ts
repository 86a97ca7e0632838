/** `sailwright export`: a trained model in a form that others read. */
import { readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { WrittenFolder } from '../../train/index.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  messageOf,
  printJson,
  refuse,
  shownPath,
  usage,
} from '../command.ts'
import { type Found, found, weightsFlags, withoutPlace } from '../exported.ts'

const forms = ['hf', 'onnx', 'savedmodel', 'adapter'] as const
type Form = (typeof forms)[number]

/** `sailwright export <run> --hf | --onnx | --savedmodel | --adapter`. */
export const exportCommand: Command = {
  name: 'export',
  summary: 'Writes a trained model for others: Hugging Face, ONNX, TensorFlow, PEFT.',
  positionals: [
    {
      name: 'run',
      help: "a run's folder (its last stage), a checkpoint in it (runs/x/checkpoints/sft), or a model in Hugging Face's layout",
      required: true,
    },
  ],
  flags: {
    hf: {
      help: "a folder in Hugging Face's layout: configuration, weights, tokenizer, chat template; adapters are merged",
    },
    onnx: { help: 'model.onnx, which any ONNX runtime runs' },
    savedmodel: { help: 'a TensorFlow SavedModel, in which the stage can be trained on' },
    adapter: { help: "a stage's LoRA adapter in PEFT's layout, over the weights that the stage began with" },
    out: { value: 'folder', help: 'where to; it must not be there yet', otherwise: '<run>-<form>' },
    ...weightsFlags,
    batch: {
      value: 'n',
      help: 'rows, and images, of --onnx and of the forward signature',
      integerFrom: 1,
      otherwise: '1',
    },
    tokens: {
      value: 'n',
      help: 'tokens a row, visual ones included; shorter texts are padded on the right',
      integerFrom: 1,
      otherwise: '64 and the visual tokens of one image',
    },
    json: {
      help: 'prints one JSON object: folder, files, weights that were left out, what was exported, and of an adapter what it belongs over',
    },
  },
  oneOf: [...forms],
  examples: [
    [
      'sailwright export runs/sft-20260102-030405 --hf --out my-model',
      'for transformers, and for pretrained()',
    ],
    ['sailwright export runs/sft-20260102-030405 --onnx --tokens 256', 'for onnxruntime'],
    ['sailwright export Qwen3-0.6B --onnx', 'a published model'],
  ],
  notes: [
    'Of a run the model is what its experiment file makes: the file is asked again, with the settings, the seed and --quick of the run, and must make the graph that was trained. A graph has fixed sizes: --batch and --tokens say which. The README.md beside a graph says what goes in and comes out.',
  ],
  run: (args, io) =>
    pipe(
      TE.fromEither(formOf(args)),
      TE.bindTo('form'),
      TE.bind('what', () => found(args, io)),
      TE.bind('out', ({ form, what }) => freeFolder(args, io, what, form)),
      TE.chain(({ form, what, out }) =>
        pipe(
          placedWhole(out, (folder) => written(args, form, what, folder)),
          TE.map((done) => said(args, io, what, out, done)),
        ),
      ),
    ),
}

const formOf = (args: Args): E.Either<CliError, Form> => {
  const form = forms.find(args.on)
  if (form === undefined) return refuse(`say in which form: ${forms.map((f) => `--${f}`).join(', ')}.`)
  const sized = ['batch', 'tokens'].find(args.on)
  if (sized !== undefined && (form === 'hf' || form === 'adapter'))
    return refuse(`--${sized} is a size of a graph, and --${form} writes none; leave it out.`)
  if (form === 'adapter' && args.on('ema'))
    return refuse('--ema takes averages of whole weights, and --adapter writes none; take one of them.')
  return E.right(form)
}

/** The folder to be written, which holds nothing yet. */
const freeFolder = (args: Args, io: Io, what: Found, form: Form): TE.TaskEither<CliError, string> => {
  const out = resolve(io.cwd, args.text('out') ?? `${what.beside}-${form}`)
  return pipe(
    TE.tryCatch(
      () => readdir(out).catch((e: NodeJS.ErrnoException) => (e.code === 'ENOENT' ? [] : Promise.reject(e))),
      (e) => usage(`--out: ${messageOf(e)}.`),
    ),
    TE.filterOrElse(
      (entries) => entries.length === 0,
      () => usage(`${shownPath(io.cwd, out)} is there already; choose another folder with --out.`),
    ),
    TE.map(() => out),
  )
}

/** Writes into a folder beside, which gets its name when it is whole. */
const placedWhole = <A>(
  out: string,
  write: (folder: string) => TE.TaskEither<CliError, A>,
): TE.TaskEither<CliError, A> => {
  const temporary = `${out}.${process.pid}.tmp`
  const step = (act: () => Promise<unknown>): TE.TaskEither<CliError, unknown> => attempt(act)
  return pipe(
    step(async () => (await import('../../formats/index.ts')).makeFolder(temporary)),
    TE.chain(() => write(temporary)),
    TE.chainFirst(() =>
      step(async () => {
        await (await import('../../formats/index.ts')).makeFolder(dirname(out))
        // an empty folder of that name makes room
        await rmdir(out).catch(() => undefined)
        await rename(temporary, out)
      }),
    ),
    TE.orElse((e) =>
      pipe(
        step(() => rm(temporary, { recursive: true, force: true })),
        TE.chain(() => TE.left(e)),
      ),
    ),
  )
}

const written = (
  args: Args,
  form: Form,
  { exported, stage, folder: from, base }: Found,
  folder: string,
): TE.TaskEither<CliError, WrittenFolder> =>
  pipe(
    TE.tryCatch(
      () => import('../../train/index.ts'),
      (e) => e as Error,
    ),
    TE.chain(({ exportHuggingFace, exportOnnxModel, exportSavedModel }) => {
      const sizes = { batch: args.integer('batch'), tokens: args.integer('tokens') }
      switch (form) {
        case 'hf':
          return exportHuggingFace(folder, exported)
        case 'onnx':
          return exportOnnxModel(folder, exported, sizes)
        case 'savedmodel':
          return exportSavedModel(folder, exported, stage, sizes)
        case 'adapter':
          return adapterOf(from, folder, exported.weights.keys, base)
      }
    }),
    TE.mapLeft((e) => failed(messageOf(e))),
  )

/** The adapter that a stage left, over its base where that is known; refused where PEFT would read it as another. */
const adapterOf = (
  from: string,
  folder: string,
  weights: readonly string[],
  base: string | undefined,
): TE.TaskEither<Error, WrittenFolder> =>
  TE.tryCatch(async () => {
    const [{ adapterFolder, orThrow }, { readAdapter, saveAdapter }] = await Promise.all([
      import('../../train/index.ts'),
      import('../../optim/index.ts'),
    ])
    const files = await readdir(join(from, adapterFolder)).catch(() => [])
    if (files.length === 0)
      throw new Error('there is no adapter: a stage leaves one where its transforms have withLora(…)')
    const adapter = await orThrow(readAdapter(join(from, adapterFolder)))
    const dense = [...adapter.tensors.keys()].find((key) => key.includes('.mlp.'))
    if (dense !== undefined && weights.some((key) => key.includes('.mlp.experts.')))
      throw new Error(
        `the model has experts, and PEFT takes '${dense}' for theirs and drops it without an error: export the merged model with --hf, or adapt attention alone`,
      )
    await orThrow(saveAdapter(folder, { ...adapter, base: base ?? null }))
    return { files, unused: [] }
  }, E.toError)

/** Over which weights an adapter belongs. */
const belongsTo = ({ base, over }: Found): string => {
  if (base !== undefined) return `It belongs over ${base}, which its adapter_config.json names.`
  const unnamed = 'its adapter_config.json names no base, so name it where PEFT loads the model'
  return over === undefined
    ? `It belongs over what the stage began with, which is no folder or published name that the experiment's start gives: ${unnamed}.`
    : `It belongs over ${over}, and over no others: PEFT loads it on those, exported with --hf where they are not published; ${unnamed}.`
}

const said = (args: Args, io: Io, what: Found, out: string, { files, unused }: WrittenFolder): void => {
  const folder = shownPath(io.cwd, out)
  if (unused.length > 0) io.stderr.write(`${withoutPlace('left out', unused)}\n`)
  const adapter = args.on('adapter')
  if (args.on('json'))
    printJson(io, {
      ...{ folder, files, unused, what: what.what },
      ...(adapter ? { base: what.base ?? null, over: what.over ?? null } : {}),
    })
  else {
    io.stderr.write(`${what.what}: ${[...files].sort().join(', ')}\n`)
    if (adapter) io.stderr.write(`${belongsTo(what)}\n`)
    io.stdout.write(`${folder}\n`)
  }
}
