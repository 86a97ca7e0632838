/**
 * Pretrained models: folders in Hugging Face's layout, as published or as written by a run.
 *
 * @since 0.2.0
 */
import { basename, resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type Checkpoint,
  loadTokenizer,
  openCheckpoint,
  type SafetensorsError,
  type Tokenizer,
  type TokenizerError,
} from '../formats/index.ts'
import { type ConfigError, readConfig } from './config.ts'
import type { CausalLm, Model } from './model.ts'
import type { Preset } from './presets.ts'
import { qwen3Model } from './qwen3.ts'
import { sailVitModel } from './sail-vit.ts'
import { type SailVl2Model, sailVl2Model } from './sail-vl2.ts'

/** Weights on disk, by the model's own keys, read one by one: a source for an engine's `load` and for a recipe's start. */
export type PretrainedWeights = Pick<Checkpoint, 'keys' | 'shape' | 'dtype' | 'read'>

interface Parts<Kind, M extends Model> {
  readonly kind: Kind
  /** The folder's own name. */
  readonly name: string
  readonly model: M
  readonly source: PretrainedWeights
  /** Undefined where the folder has no `tokenizer.json`. */
  readonly tokenizer?: Tokenizer
}

/** What a folder holds: a model of one of three kinds, its weights, and its tokenizer where there is one. */
export type Pretrained =
  | Parts<'language', CausalLm>
  | Parts<'vision', Model>
  | Parts<'vision-language', SailVl2Model>

/** An encoder alone is published without the prefix that it has inside a joined model. */
const encoderPrefix = 'vision_model.'

const underPrefix = (c: PretrainedWeights): PretrainedWeights => {
  if (c.keys.some((k) => k.startsWith(encoderPrefix))) return c
  const own = (key: string): string => key.slice(encoderPrefix.length)
  return {
    keys: c.keys.map((k) => `${encoderPrefix}${k}`),
    shape: (key) => c.shape(own(key)),
    dtype: (key) => c.dtype(own(key)),
    read: (key) => c.read(own(key)),
  }
}

const joined = (name: string, preset: Preset, source: Checkpoint): Pretrained => {
  switch (preset.kind) {
    case 'language':
      return { kind: preset.kind, name, model: qwen3Model(name, preset.config), source }
    case 'vision':
      return {
        kind: preset.kind,
        name,
        model: sailVitModel(name, preset.config),
        source: underPrefix(source),
      }
    case 'vision-language':
      return { kind: preset.kind, name, model: sailVl2Model(name, preset.config), source }
  }
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

/**
 * Opens a folder: `config.json` says which model it is (Qwen3, SAIL-VL2, or an AIMv2 encoder in Apple's own key names), the
 * weights are `model.safetensors` or its shards, the tokenizer is `tokenizer.json` with what lies beside it. Only headers
 * are read of the weights.
 *
 * Fails with what is wrong with one of the files, naming it. Whether the weights are those of the model is seen where they
 * are used: a recipe refuses a key that is missing or of another shape before its first step.
 *
 * @param name what reports call the model; default: the folder's name
 * @category reading
 */
export const pretrained = (
  folder: string,
  name: string = basename(resolve(folder)),
): TE.TaskEither<ConfigError | SafetensorsError | TokenizerError, Pretrained> =>
  pipe(
    TE.Do,
    TE.bind('preset', () => readConfig(folder)),
    TE.bindW('source', () => openCheckpoint(folder)),
    TE.bindW('tokenizer', () => orNone(loadTokenizer(folder))),
    TE.map(({ preset, source, tokenizer }) => ({
      ...joined(name, preset, source),
      ...(tokenizer === undefined ? {} : { tokenizer }),
    })),
  )
