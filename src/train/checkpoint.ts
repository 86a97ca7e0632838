/**
 * A stage in the middle: everything that training needs to go on from there as if it had never stopped.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { EngineError } from '../engine/error.ts'
import type { Session, TensorValue } from '../engine/session.ts'
import {
  type Entry,
  readSafetensors,
  type Safetensors,
  type SafetensorsError,
  writeSafetensors,
} from '../formats/safetensors.ts'
import { isCacheKey } from '../models/generate.ts'

/** How far a stage has come, beside the session's state. The place in the data follows from the step. */
export interface StageProgress {
  /** Steps taken. */
  readonly step: number
  /** Seconds that they took. */
  readonly seconds: number
  /** Sum of the losses over those of them that are among the stage's last tenth. */
  readonly tailLoss: number
}

/** Before the first step. */
export const atBeginning: StageProgress = { step: 0, seconds: 0, tailLoss: 0 }

/** The file of a stage in the middle, inside its checkpoint folder; there is one at most, the latest. */
export const progressFile = 'training.safetensors'

/**
 * Writes a session's weights, moments and step counter with the progress as one safetensors file, replaced whole. A
 * generation cache is left out.
 *
 * Fails with what the engine or the file system says.
 */
export const saveProgress = (path: string, session: Session, at: StageProgress): TE.TaskEither<Error, void> =>
  pipe(
    session.read([...session.program.states.keys()].filter((k) => !isCacheKey(k))),
    TE.mapLeft((e) => new Error(e.message, { cause: e })),
    TE.chainW((states) => {
      const entries = [...states].map(([k, v]): [string, Entry] => [
        k,
        v.data instanceof Float32Array
          ? { dtype: 'F32', shape: v.shape, values: v.data }
          : { dtype: 'I32', shape: v.shape, values: Int32Array.from(v.data) },
      ])
      return writeSafetensors(path, new Map(entries), {
        step: String(at.step),
        seconds: String(at.seconds),
        tailLoss: String(at.tailLoss),
      })
    }),
  )

/**
 * Puts what {@link saveProgress} wrote back into a session of the same program, bit for bit.
 *
 * Fails where the file is not one of its, or the session's program has other states.
 */
export const loadProgress = (path: string, session: Session): TE.TaskEither<Error, StageProgress> =>
  pipe(
    TE.Do,
    TE.bind('file', () => readSafetensors(path)),
    TE.bindW('at', ({ file }) => TE.fromEither(progressOf(path, file.metadata))),
    TE.bindW('states', ({ file }) => TE.traverseArray(stateIn(file))(file.keys)),
    TE.chainFirstW(({ states }) => pipe(session.write(new Map(states)), TE.mapLeft(inFile(path)))),
    TE.map(({ at }) => at),
  )

const stateIn =
  (file: Safetensors) =>
  (key: string): TE.TaskEither<SafetensorsError, readonly [string, TensorValue]> => {
    const { dtype, shape } = file.info(key)!
    return dtype === 'I32'
      ? pipe(
          file.ints(key),
          TE.map((data) => [key, { shape, dtype: 'int32', data }]),
        )
      : pipe(
          file.floats(key),
          TE.map((data) => [key, { shape, dtype: 'float32', data }]),
        )
  }

const inFile =
  (path: string) =>
  (e: EngineError): Error =>
    new Error(`${path}: ${e.message}; delete the file, and the stage begins anew`, { cause: e })

const progressOf = (
  path: string,
  metadata: Readonly<Record<string, string>>,
): E.Either<Error, StageProgress> => {
  const number = (key: keyof StageProgress): number => Number(metadata[key] || Number.NaN)
  const at = { step: number('step'), seconds: number('seconds'), tailLoss: number('tailLoss') }
  return Number.isSafeInteger(at.step) && Number.isFinite(at.seconds) && Number.isFinite(at.tailLoss)
    ? E.right(at)
    : E.left(
        new Error(
          `${path}: this is no stage in the middle: its metadata lacks step, seconds or tailLoss; delete it, and the stage begins anew`,
        ),
      )
}
