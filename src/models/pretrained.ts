/**
 * Pretrained models: folders in Hugging Face's layout, as published or as written by a run.
 *
 * @since 0.1.0
 */
import { basename, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { parametersOf, sizes } from '../dsl/index.ts'
import {
  type Checkpoint,
  loadTokenizer,
  openCheckpoint,
  type SafetensorsError,
  type Tokenizer,
  type TokenizerError,
} from '../formats/index.ts'
import { kindOf, SettingsError } from '../settings/index.ts'
import { type ConfigError, readConfig } from './config.ts'
import { checkedImages } from './image-processing.ts'
import type { CausalLm, Model } from './model.ts'
import { type Preset, presetModel } from './presets.ts'
import { encoderKeys, type PretrainedWeights } from './published-keys.ts'
import type { SailVl2Model } from './sail-vl2.ts'
import { WeightsError } from './weights-error.ts'

export type { PretrainedWeights } from './published-keys.ts'

interface Parts<Kind, M extends Model> {
  readonly kind: Kind
  /** The folder's own name. */
  readonly name: string
  readonly model: M
  readonly source: PretrainedWeights
  /** Keys that are on disk and that the model has no place for. */
  readonly unread: readonly string[]
  /** Undefined where the folder has no `tokenizer.json`. */
  readonly tokenizer?: Tokenizer
}

/** What a folder holds: a model of one of three kinds, its weights, and its tokenizer where there is one. */
export type Pretrained =
  | Parts<'language', CausalLm>
  | Parts<'vision', Model>
  | Parts<'vision-language', SailVl2Model>

type Without<P, K extends string> = P extends unknown ? Omit<P, K> : never

/** A model and its weights, without what its folder says in words. */
export type PretrainedModel = Without<Pretrained, 'tokenizer'>

type Opened = Without<Pretrained, 'unread' | 'tokenizer'>

const joined = (name: string, preset: Preset, source: Checkpoint): Opened =>
  ({
    ...{ kind: preset.kind, name, model: presetModel(name, preset) },
    source: preset.kind === 'language' ? source : encoderKeys(source),
  }) as Opened

const some = (items: readonly string[]): string =>
  `${items.slice(0, 5).join(', ')}${items.length > 5 ? ` and ${items.length - 5} more` : ''}`

/** What is there against what the model reads: the keys that it does not read, or what is wrong. */
const compared = (folder: string, { model, source }: Opened): E.Either<WeightsError, readonly string[]> => {
  const wanted = new Map([...parametersOf(model.graph())].map(([key, t]) => [key, sizes(t.axes)]))
  const there = new Set(source.keys)
  const unread = source.keys.filter((key) => !wanted.has(key))
  const missing = [...wanted.keys()].filter((key) => !there.has(key))
  if (missing.length > 0)
    return E.left(
      new WeightsError(
        'MissingKeys',
        missing,
        `${folder}: its weights lack ${missing.length} of the ${wanted.size} keys that its config.json calls for: ${some(missing)}${
          unread.length === 0 ? '' : `; they have ${unread.length} that it does not: ${some(unread)}`
        }; is config.json that of these weights, and are all shards there?`,
      ),
    )
  const odd = [...wanted].filter(([key, shape]) => source.shape(key)!.join() !== shape.join())
  if (odd.length === 0) return E.right(unread)
  const told = odd.map(([key, shape]) => `${key} is [${source.shape(key)}], not [${shape}]`)
  return E.left(
    new WeightsError(
      'OtherShape',
      odd.map(([key]) => key),
      `${folder}: ${odd.length} of ${wanted.size} weights have other shapes than its config.json says: ${some(told)}; is config.json that of these weights?`,
    ),
  )
}

const orNone = (
  task: TE.TaskEither<TokenizerError, Tokenizer>,
): TE.TaskEither<TokenizerError, Tokenizer | undefined> =>
  pipe(
    task,
    TE.orElse((e) =>
      e.tag === 'NotFound' ? TE.right<TokenizerError, Tokenizer | undefined>(undefined) : TE.left(e),
    ),
  )

/** A folder's own name. @throws SettingsError where it is no path, such as a setting that was not given */
const nameOf = (folder: string): string => {
  if (typeof folder === 'string') return basename(resolve(folder))
  throw new SettingsError('pretrained', 'folder', `it is ${kindOf(folder)}; give a path`)
}

/**
 * The model and the weights of a folder, as {@link pretrained} opens them, and not its tokenizer.
 *
 * @param name what reports call the model; default: the folder's name
 * @category reading
 */
export const pretrainedModel = (
  folder: string,
  name: string = nameOf(folder),
): TE.TaskEither<ConfigError | SafetensorsError | WeightsError, PretrainedModel> =>
  pipe(
    TE.Do,
    TE.bind('preset', () => readConfig(folder)),
    TE.chainFirst(({ preset }) =>
      preset.kind === 'vision-language' ? checkedImages(folder) : TE.right(undefined),
    ),
    TE.bindW('source', () => openCheckpoint(folder)),
    TE.let('opened', ({ preset, source }) => joined(name, preset, source)),
    TE.bindW('unread', ({ opened }) => TE.fromEither(compared(folder, opened))),
    TE.map(({ opened, unread }) => ({ ...opened, unread })),
  )

/**
 * Opens a folder: `config.json` says which model it is (Qwen3, SAIL-VL2, or an AIMv2 encoder in Apple's or in transformers' key names), the
 * weights are `model.safetensors` or its shards, the tokenizer is `tokenizer.json` with what lies beside it. Only headers
 * are read of the weights.
 *
 * Fails with what is wrong with one of the files, naming it; where `preprocessor_config.json` of a vision-language model says that
 * its images were normalised or resized otherwise than they are here; with {@link WeightsError} where a key that the model reads is
 * missing or of another shape. Keys that it does not read are listed in `unread`.
 *
 * @param name what reports call the model; default: the folder's name
 * @category reading
 */
export const pretrained = (
  folder: string,
  name: string = nameOf(folder),
): TE.TaskEither<ConfigError | SafetensorsError | TokenizerError | WeightsError, Pretrained> =>
  pipe(
    TE.Do,
    TE.bind('opened', () => pretrainedModel(folder, name)),
    TE.bindW('tokenizer', () => orNone(loadTokenizer(folder))),
    TE.map(({ opened, tokenizer }) => ({ ...opened, tokenizer })),
  )
