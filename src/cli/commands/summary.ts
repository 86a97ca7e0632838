/** `sailwright summary`: a model's blocks with shapes, parameters, FLOPs and bytes; its image. */
import { resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Tensor } from '../../dsl/index.ts'
import type { Model } from '../../models/index.ts'
import { didYouMean } from '../../terminal/index.ts'
import {
  type Args,
  type CliError,
  type Command,
  failed,
  type Io,
  messageOf,
  printJson,
  usage,
} from '../command.ts'
import { loadExperiment, looksLikeFile } from '../load-file.ts'

/** `sailwright summary <model>`. */
export const summaryCommand: Command = {
  name: 'summary',
  summary: 'Prints a model block by block: axes, parameters, FLOPs, bytes. Draws it.',
  positionals: [
    {
      name: 'model',
      help: 'a preset (nano, moe-nano, aimv2-large, aimv2-huge, qwen3-0.6b, qwen3-1.7b, qwen3-8b, qwen3-30b-a3b, sail-vl2-2b, sail-vl2-8b, sail-vl2-30b-a3b) or an experiment file',
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
    json: { help: 'prints one JSON object: parameters, flops, bytes, and a row a block' },
    mermaid: { help: 'prints a Mermaid flowchart instead' },
    svg: { value: 'file', help: 'writes the image as SVG, too' },
  },
  oneOf: ['json', 'mermaid'],
  examples: [
    ['sailwright summary sail-vl2-2b --depth 2', 'the model in a few lines'],
    ['sailwright summary nano --svg nano.svg', 'its image'],
    ['sailwright summary examples/recipe.ts --json', "an experiment's model, for scripts"],
  ],
  notes: [
    'Building a preset allocates no weights. FLOPs are of one forward pass at the given sizes, a multiplication and an addition counted as two; bytes are of the parameters as float32.',
  ],
  run: (args, io) =>
    pipe(
      chosen(args, io),
      TE.chain((model) =>
        TE.tryCatch(
          async () => print(model, graphOf(model, args), args, io),
          (e): CliError => failed(messageOf(e)),
        ),
      ),
    ),
}

const chosen = (args: Args, io: Io): TE.TaskEither<CliError, Model> => {
  const word = args.positionals[0]!
  if (looksLikeFile(word))
    return pipe(
      loadExperiment(word, io.cwd, { quick: false, seed: 0, settings: {} }),
      TE.map(({ experiment }) => experiment.model),
    )
  return pipe(
    TE.tryCatch(
      () => import('../../models/index.ts'),
      (e): CliError => failed(messageOf(e)),
    ),
    TE.chain(({ presets, presetModel }) => {
      const preset = Object.hasOwn(presets, word) ? presets[word] : undefined
      return preset === undefined
        ? TE.left(
            usage(
              `there is no preset '${word}'.${didYouMean(word, Object.keys(presets))} The presets are ${Object.keys(presets).join(', ')}; an experiment file ends in .ts.`,
            ),
          )
        : TE.right(presetModel(word, preset))
    }),
  )
}

const graphOf = (model: Model, args: Args): Tensor => {
  const [batch, tokens] = [args.integer('batch'), args.integer('tokens')]
  return model.graph({
    ...(batch === undefined ? {} : { batch }),
    ...(tokens === undefined ? {} : { tokens }),
  })
}

const print = async (model: Model, graph: Tensor, args: Args, io: Io): Promise<void> => {
  const { name, activeShare } = model
  const { mermaid, showSummary, summary, summaryJson, svg } = await import('../../dsl/index.ts')
  const given = args.integer('depth')
  const depth = given === undefined ? {} : { depth: given }
  const file = args.text('svg')
  if (file !== undefined) {
    const { writeWhole } = await import('../../run/index.ts')
    const path = resolve(io.cwd, file)
    const written = await writeWhole(path, svg([graph], { name, ...depth }))()
    if (written._tag === 'Left') throw new Error(written.left.message)
    io.stderr.write(`${path}\n`)
  }
  const active = activeShare === undefined ? {} : { activeShare }
  if (args.on('json')) printJson(io, summaryJson(summary([graph], { name, ...active, ...depth })))
  else if (args.on('mermaid')) io.stdout.write(`${mermaid([graph], { name, ...depth })}\n`)
  else io.stdout.write(`${showSummary(summary([graph], { name, depth: 4, ...active, ...depth }))}\n`)
}
