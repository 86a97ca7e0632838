/**
 * A model as a folder in Hugging Face's layout.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  languageConfig,
  type Model,
  toPublished,
  visionConfig,
  visionLanguageConfig,
} from '../models/index.ts'
import { writeWhole } from '../run/index.ts'
import { type ExportedModel, type ExportedText, placedIn } from './exported-model.ts'
import { type StoredWeights, saveWeights, weightsFile } from './weights.ts'

/** What {@link exportHuggingFace} wrote. */
export interface WrittenFolder {
  /** Names of files inside the folder. */
  readonly files: readonly string[]
  /** Weights that were there and that the model has no place for. */
  readonly unused: readonly string[]
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

/**
 * A model's `config.json`: in published words where it is a Qwen3, a SAIL-VL2 or a SAIL-ViT, else what the model says of
 * itself, which for a model of the user's own is the configuration that it was built from.
 */
const configOf = (model: Model): Readonly<Record<string, unknown>> => {
  const said = model.config
  if (!isRecord(said))
    throw new TypeError(
      `model '${model.name}': its config is no record, so that there is no config.json to write; give the model its configuration`,
    )
  const { kind, ...config } = said
  if (kind === 'qwen3' && languageConfig.is(config)) return toPublished({ kind: 'language', config })
  if (kind === 'sail-vit' && visionConfig.is(config)) return toPublished({ kind: 'vision', config })
  if (kind === 'sail-vl2' && visionLanguageConfig.is(config))
    return toPublished({ kind: 'vision-language', config })
  return said
}

const present = (ids: Readonly<Record<string, number | undefined>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(ids).filter((e): e is [string, number] => e[1] !== undefined))

/** The configuration with the ids of tokens, and with what the weights are stored as. */
const withTokens = (model: Model, text: ExportedText | undefined): Readonly<Record<string, unknown>> => ({
  ...present({
    eos_token_id: text?.end,
    pad_token_id: text?.pad,
    img_context_token_id: text?.placeholder,
  }),
  ...configOf(model),
  torch_dtype: 'float32',
  dtype: 'float32',
})

/** An encoder alone is published without the prefix that it has inside a joined model. */
const encoderPrefix = 'vision_model.'

/** The weights that the model reads, by the keys under which they are published. */
const publishedWeights = (weights: StoredWeights, taken: readonly string[]): StoredWeights => {
  const alone = taken.every((key) => key.startsWith(encoderPrefix))
  const own = new Map(taken.map((key) => [alone ? key.slice(encoderPrefix.length) : key, key]))
  return {
    keys: [...own.keys()],
    shape: (key) => weights.shape(own.get(key) ?? key),
    dtype: (key) => weights.dtype?.(own.get(key) ?? key),
    read: (key) => weights.read(own.get(key) ?? key),
  }
}

/** What {@link exportHuggingFace} writes beside the weights, by name. @throws TypeError where the model's config is no record */
const textFiles = (model: Model, text: ExportedText | undefined): ReadonlyMap<string, unknown> => {
  const files = new Map<string, unknown>([['config.json', withTokens(model, text)]])
  if (text === undefined) return files
  for (const [name, content] of Object.entries(text.files))
    if (content !== undefined) files.set(name, content)
  if (text.template !== undefined) files.set('chat_template.jinja', text.template)
  const ids = present({ eos_token_id: text.end, pad_token_id: text.pad })
  if ('vocabSize' in model && Object.keys(ids).length > 0)
    files.set('generation_config.json', { ...ids, do_sample: false })
  return files
}

const writeFiles = (folder: string, files: ReadonlyMap<string, unknown>): TE.TaskEither<Error, unknown> =>
  pipe(
    [...files],
    TE.traverseSeqArray(([name, content]) =>
      pipe(
        writeWhole(
          join(folder, name),
          typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`,
        ),
        TE.mapLeft((e) => new Error(e.message, { cause: e })),
      ),
    ),
  )

/**
 * Writes what belongs beside a checkpoint's weights, as {@link exportHuggingFace} does: `config.json`, and of a model that
 * reads text its tokenizer. Of a model whose configuration is no record there is no `config.json`.
 */
export const describeCheckpoint = (
  folder: string,
  model: Model,
  text: ExportedText | undefined,
): TE.TaskEither<Error, unknown> =>
  isRecord(model.config) ? writeFiles(folder, textFiles(model, text)) : TE.right(undefined)

/**
 * Writes a model as a folder in Hugging Face's layout: `config.json`, `model.safetensors` in published keys as float32, and
 * where the model reads text `tokenizer.json`, `tokenizer_config.json`, the chat template (`chat_template.jinja` where it
 * is not in the tokenizer's configuration) and `generation_config.json`. `pretrained(folder)` reads it back bit for bit
 * where it is a Qwen3, a SAIL-VL2 or a SAIL-ViT; transformers reads a Qwen3, and any model of the user's own whose
 * configuration and keys are those of one that it knows. Weights are read one by one.
 *
 * Fails with WeightsError where the model reads a weight that is missing or of another shape, and with what the file
 * system says.
 *
 * @category export
 */
export const exportHuggingFace = (
  folder: string,
  { model, weights, text }: ExportedModel,
): TE.TaskEither<Error, WrittenFolder> =>
  pipe(
    TE.fromEither(
      E.tryCatch(() => ({ ...placedIn(model, weights), files: textFiles(model, text) }), E.toError),
    ),
    TE.chainFirst(({ taken }) =>
      saveWeights(join(folder, weightsFile), publishedWeights(weights, taken), { format: 'pt' }),
    ),
    TE.chainFirst(({ files }) => writeFiles(folder, files)),
    TE.map(({ files, unused }) => ({ files: [weightsFile, ...files.keys()], unused })),
  )
