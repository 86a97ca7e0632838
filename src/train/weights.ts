/** Weights between sessions and files: by published key, float32 in memory. */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Program } from '../dsl/index.ts'
import type { EngineError } from '../engine/error.ts'
import type { Session, TensorValue } from '../engine/session.ts'
import {
  type Entry,
  readSafetensors,
  type SafetensorsError,
  writeSafetensors,
} from '../formats/safetensors.ts'
import { isCacheKey } from '../models/generate.ts'
import { isOptimizerKey } from '../optim/index.ts'

/** A model's weights by published key. */
export type Weights = ReadonlyMap<string, TensorValue>

/** The keys of a program's states that are the model's own: no moments, no cache. */
export const weightKeys = (p: Program): readonly string[] =>
  [...p.states.keys()].filter((k) => !isOptimizerKey(k) && !isCacheKey(k))

/** Reads a session's weights. */
export const readWeights = (s: Session): TE.TaskEither<EngineError, Weights> => s.read(weightKeys(s.program))

/** Puts those of the weights that the program has into the session; the others stay as initialised. */
export const writeWeights = (s: Session, weights: Weights): TE.TaskEither<EngineError, void> =>
  s.write(new Map([...weights].filter(([k]) => s.program.states.has(k))))

/**
 * Writes weights as one safetensors file, replaced whole.
 *
 * @param dtype `F32` keeps every bit; `F16`, `BF16` round to nearest
 */
export const saveWeights = (
  path: string,
  weights: Weights,
  metadata: Readonly<Record<string, string>>,
  dtype: 'F32' | 'F16' | 'BF16' = 'F32',
): TE.TaskEither<SafetensorsError, void> =>
  writeSafetensors(
    path,
    new Map(
      [...weights].map(([k, v]): [string, Entry] => [
        k,
        { dtype, shape: v.shape, values: v.data as Float32Array },
      ]),
    ),
    metadata,
  )

/** Reads all tensors of a safetensors file as float32. */
export const loadWeights = (path: string): TE.TaskEither<SafetensorsError, Weights> =>
  pipe(
    readSafetensors(path),
    TE.chain((file) =>
      TE.traverseArray((key: string) =>
        pipe(
          file.floats(key),
          TE.map((data): readonly [string, TensorValue] => [
            key,
            { shape: file.info(key)!.shape, dtype: 'float32', data },
          ]),
        ),
      )(file.keys),
    ),
    TE.map((entries) => new Map(entries)),
  )

/** The folder of a stage's checkpoint inside a run folder. */
export const checkpointFolder = (stage: string): string => join('checkpoints', stage)

/** The file of a model's weights inside a checkpoint's folder. */
export const weightsFile = 'model.safetensors'
