/**
 * Adapters as files, in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`, whose keys are the model's
 * behind `base_model.model.`.
 *
 * @since 0.1.0
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import {
  type Entry,
  readSafetensors,
  replaceFile,
  type SafetensorsError,
  writeSafetensors,
} from '../formats/index.ts'
import { LoraError, loraKeys } from './lora.ts'
import { type Floats, loraPairs } from './lora-merge.ts'

/** Adapters with what is needed to use them. @category model */
export interface LoraAdapter {
  readonly rank: number
  readonly alpha: number
  /** The checkpoint that they adapt, as PEFT names it: a folder or a name of a published model; null where unknown. */
  readonly base: string | null
  /** What the model is for, in PEFT's words (`CAUSAL_LM`); null where unknown. */
  readonly task: string | null
  /** The pairs by key, as `loraKeysOf` says. */
  readonly tensors: ReadonlyMap<string, Floats>
}

const prefix = 'base_model.model.'
const configName = 'adapter_config.json'
const weightsName = 'adapter_model.safetensors'

/** What is read of PEFT's configuration. */
const Config = t.intersection([
  t.type({ peft_type: t.string, r: t.number, lora_alpha: t.number }),
  t.partial({
    base_model_name_or_path: t.union([t.string, t.null]),
    task_type: t.union([t.string, t.null]),
  }),
  t.UnknownRecord,
])

/** What a configuration may say that changes the numbers and is not done here, and the values under which it does not. */
const unsupported: Readonly<Record<string, (x: unknown) => boolean>> = {
  peft_type: (x) => x === 'LORA',
  bias: (x) => x === 'none',
  fan_in_fan_out: (x) => x === false,
  use_rslora: (x) => x === false,
  use_dora: (x) => x === false,
  lora_bias: (x) => x === false,
  rank_pattern: (x) => isEmpty(x),
  alpha_pattern: (x) => isEmpty(x),
  modules_to_save: (x) => isEmpty(x),
  layer_replication: (x) => isEmpty(x),
  trainable_token_indices: (x) => isEmpty(x),
}

const isEmpty = (x: unknown): boolean =>
  x === null || (typeof x === 'object' && Object.keys(x as object).length === 0)

const bad = (file: string, what: string, todo: string): LoraError => new LoraError(file, what, todo)

const decodeConfig = (file: string, text: string): E.Either<LoraError, t.TypeOf<typeof Config>> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return E.left(bad(file, 'it is not JSON', 'save the adapter again'))
  }
  if (!Config.is(json))
    return E.left(bad(file, 'peft_type, r or lora_alpha is missing or of another kind', 'save it again'))
  const found = Object.entries(unsupported).find(([k, fits]) => json[k] !== undefined && !fits(json[k]))
  if (found !== undefined)
    return E.left(
      bad(
        file,
        `${found[0]} is ${JSON.stringify(json[found[0]])}, which is not supported`,
        'merge it with PEFT',
      ),
    )
  return E.right(json)
}

/**
 * Writes adapters as PEFT does, so that `PeftModel.from_pretrained` reads them. Each file appears by rename, the weights
 * before the configuration.
 *
 * @throws nothing; fails with LoraError where a tensor is no adapter's, or half of a pair or of a rank; SafetensorsError
 * @category files
 */
export const saveAdapter = (
  folder: string,
  adapter: LoraAdapter,
): TE.TaskEither<LoraError | SafetensorsError, void> =>
  pipe(
    TE.fromEither(modulesOf(folder, adapter)),
    TE.chainW((modules) => {
      const entries = [...adapter.tensors].map(([key, { shape, data }]): [string, Entry] => [
        `${prefix}${key}`,
        { dtype: 'F32', shape, values: data },
      ])
      const config = {
        peft_type: 'LORA',
        task_type: adapter.task,
        base_model_name_or_path: adapter.base,
        r: adapter.rank,
        lora_alpha: adapter.alpha,
        target_modules: modules,
        lora_dropout: 0,
        bias: 'none',
        fan_in_fan_out: false,
        use_rslora: false,
        use_dora: false,
        rank_pattern: {},
        alpha_pattern: {},
        modules_to_save: null,
        init_lora_weights: true,
        inference_mode: true,
      }
      return pipe(
        writeSafetensors(join(folder, weightsName), new Map(entries), { format: 'pt' }),
        TE.chain(() =>
          replaceFile(join(folder, configName), async (handle) => {
            await handle.writeFile(`${JSON.stringify(config, null, 2)}\n`)
          }),
        ),
      )
    }),
  )

/** The modules that are adapted, after a check of every pair. */
const modulesOf = (where: string, adapter: LoraAdapter): E.Either<LoraError, readonly string[]> => {
  const { tensors, rank } = adapter
  const alien = [...tensors.keys()].find((k) => !loraKeys.has(k))
  if (alien !== undefined)
    return E.left(bad(where, `'${alien}' is no key of an adapter`, 'give lora_A and lora_B alone'))
  try {
    const pairs = loraPairs(tensors.keys())
    if (pairs.size === 0) return E.left(bad(where, 'it has no adapter', 'give one pair at least'))
    for (const [weight, { a, b }] of pairs) {
      const [ra, rb] = [tensors.get(a)!.shape[0], tensors.get(b)!.shape[1]]
      if (ra !== rank || rb !== rank)
        return E.left(
          bad(where, `the ranks of '${weight}' are ${ra} and ${rb}, not ${rank}`, 'save it again'),
        )
    }
    return E.right([...pairs.keys()].map((k) => k.replace(/\.weight$/, '')).sort())
  } catch (e) {
    if (e instanceof LoraError) return E.left(e)
    throw e
  }
}

/**
 * Reads what {@link saveAdapter} or PEFT wrote. A configuration that asks for what is not done here (DoRA, rsLoRA, biases,
 * ranks by pattern, whole modules) is refused and not half obeyed.
 *
 * Fails with LoraError, which names the setting, or SafetensorsError.
 *
 * @category files
 */
export const readAdapter = (folder: string): TE.TaskEither<LoraError | SafetensorsError, LoraAdapter> => {
  const file = join(folder, configName)
  return pipe(
    TE.tryCatch(
      () => readFile(file, 'utf8'),
      (e) => bad(file, (e as Error).message, 'give a folder that PEFT or saveAdapter wrote'),
    ),
    TE.chainEitherK((text) => decodeConfig(file, text)),
    TE.chainW((config) =>
      pipe(
        readSafetensors(join(folder, weightsName)),
        TE.chainW((stored) =>
          TE.traverseSeqArray((key: string) =>
            pipe(
              stored.floats(key),
              TE.map((data): readonly [string, Floats] => [
                key.startsWith(prefix) ? key.slice(prefix.length) : key,
                { shape: stored.info(key)!.shape, data },
              ]),
            ),
          )(stored.keys),
        ),
        TE.map(
          (tensors): LoraAdapter => ({
            rank: config.r,
            alpha: config.lora_alpha,
            base: config.base_model_name_or_path ?? null,
            task: config.task_type ?? null,
            tensors: new Map(tensors),
          }),
        ),
      ),
    ),
    TE.chainFirstEitherKW((adapter) => modulesOf(folder, adapter)),
  )
}
