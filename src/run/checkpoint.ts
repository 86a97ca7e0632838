/**
 * A stage in the middle: everything that training needs to go on from there as if it had never stopped.
 *
 * @since 0.1.0
 */
import { link, rm } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type StateSpec, sizes } from '../dsl/index.ts'
import type { EngineError, Session, TensorValue } from '../engine/index.ts'
import {
  type Entry,
  readSafetensors,
  type Safetensors,
  type SafetensorsError,
  streamSafetensors,
} from '../formats/index.ts'
import { isCacheKey } from '../models/index.ts'
import { AdaLrsState, isFrozenKey, isGradientKey } from '../optim/index.ts'
import { firstOf } from '../terminal/index.ts'
import { exists } from './files.ts'

/** How far a stage has come, beside the session's state. */
export interface StageProgress {
  /** Steps taken. */
  readonly step: number
  /** Seconds that they took. */
  readonly seconds: number
  /** Samples seen; default: as many as the steps take where none is a pack. */
  readonly samples?: number
  /** Sum of the losses over those of them that are among the stage's last tenth. */
  readonly tailLoss: number
  /** Those of the last tenth whose loss was not finite and is not in the sum; default 0. */
  readonly tailSkipped?: number
  /** Where its search for a learning rate stands. */
  readonly adaLrs?: AdaLrsState
  /** Where its source goes on, as plain data; undefined at the beginning. */
  readonly place?: unknown
}

/** Progress as read back. */
export interface Resumed extends StageProgress {
  /** Where the latest checkpoint could not be used and the one before it was: what is wrong with the latest. */
  readonly instead?: string
}

/** Before the first step. */
export const atBeginning: StageProgress = { step: 0, seconds: 0, tailLoss: 0 }

/** The latest checkpoint of a stage in the middle, inside its checkpoint folder. */
export const progressFile = 'training.safetensors'

/** The checkpoint before the latest, which is kept in case the latest is damaged. */
const beforeOf = (path: string): string => path.replace(/(\.safetensors)?$/, '.before$1')

/** The files that may hold a stage in the middle, the latest last. */
export const progressFiles = (path: string): readonly string[] => [beforeOf(path), path]

// --- writing ------------------------------------------------------------------------------------------------

/**
 * Writes a session's weights, moments and step counter with the progress as one safetensors file, by rename: there is the
 * whole new checkpoint under its name, or still the old one. The old one is kept as `….before.safetensors`. A generation
 * cache, gradients that add up (0 between updates) and frozen weights are left out. States are read one after the other.
 *
 * Fails with what the engine or the file system says.
 */
export const saveProgress = (
  path: string,
  session: Session,
  at: StageProgress,
): TE.TaskEither<Error, void> => {
  const heads = new Map(
    [...savedStates(session)].map(([key, { dtype, axes }]) => [
      key,
      { dtype: storedAs(dtype), shape: sizes(axes) },
    ]),
  )
  const read = (key: string): TE.TaskEither<Error, Entry> =>
    pipe(
      session.read([key]),
      TE.bimap(
        (e) => new Error(e.message, { cause: e }),
        (states) => {
          const { data } = states.get(key)!
          return { ...heads.get(key)!, values: data instanceof Float32Array ? data : Int32Array.from(data) }
        },
      ),
    )
  return pipe(
    keepBefore(path),
    TE.chainW(() =>
      streamSafetensors(path, heads, read, {
        step: String(at.step),
        seconds: String(at.seconds),
        tailLoss: String(at.tailLoss),
        ...(at.samples === undefined ? {} : { samples: String(at.samples) }),
        ...(at.tailSkipped === undefined ? {} : { tailSkipped: String(at.tailSkipped) }),
        ...(at.adaLrs === undefined ? {} : { adaLrs: JSON.stringify(at.adaLrs) }),
        ...(at.place === undefined ? {} : { place: JSON.stringify(at.place) }),
      }),
    ),
  )
}

/** A second name for the latest checkpoint, which it keeps when it is replaced. */
const keepBefore = (path: string): TE.TaskEither<Error, void> =>
  TE.tryCatch(async () => {
    await rm(beforeOf(path), { force: true })
    try {
      await link(path, beforeOf(path))
    } catch {
      // the first checkpoint, or a file system without links, where only the latest is kept
    }
  }, E.toError)

/** Takes a stage's checkpoints in the middle away: after its end they are of no use. */
export const removeProgress = (path: string): TE.TaskEither<Error, void> =>
  TE.tryCatch(async () => {
    for (const file of [path, beforeOf(path)]) await rm(file, { force: true })
  }, E.toError)

/** The states that a checkpoint holds: what is frozen is read again where it comes from. */
const savedStates = (session: Session): ReadonlyMap<string, StateSpec> =>
  new Map([...session.program.states].filter(([k]) => !isCacheKey(k) && !isGradientKey(k) && !isFrozenKey(k)))

const storedAs = (dtype: StateSpec['dtype']): 'F32' | 'I32' | 'BOOL' =>
  dtype === 'float32' ? 'F32' : dtype === 'bool' ? 'BOOL' : 'I32'

// --- reading ------------------------------------------------------------------------------------------------

/** Whether a stage has a checkpoint in the middle. */
export const hasProgress = (path: string): TE.TaskEither<never, boolean> =>
  pipe(
    exists(path),
    TE.chain((there) => (there ? TE.right(true) : exists(beforeOf(path)))),
  )

/**
 * Puts what {@link saveProgress} wrote back into a session of the same program, bit for bit. Where the latest checkpoint is
 * damaged, the one before it is used, and the result says so.
 *
 * Fails where no file holds exactly the states of the session's program, each with its shape and dtype, and then changes
 * nothing in the session.
 */
export const loadProgress = (path: string, session: Session): TE.TaskEither<Error, Resumed> =>
  pipe(
    loadFrom(path, session),
    TE.orElse((latest) =>
      pipe(
        exists(beforeOf(path)),
        TE.chain((there) => (there ? loadFrom(beforeOf(path), session) : TE.left(latest))),
        TE.bimap(
          (e) =>
            new Error(
              `${e === latest ? '' : `${latest.message}; the checkpoint before it cannot be used either: `}${e.message}; delete what is damaged, and the stage begins anew`,
              { cause: latest },
            ),
          (at): Resumed => ({ ...at, instead: latest.message }),
        ),
      ),
    ),
  )

const loadFrom = (path: string, session: Session): TE.TaskEither<Error, Resumed> =>
  pipe(
    TE.Do,
    TE.bind('file', () => readSafetensors(path)),
    TE.bindW('at', ({ file }) => TE.fromEither(progressOf(path, file.metadata))),
    TE.chainFirstEitherKW(({ file }) => fitting(file, savedStates(session))),
    TE.bindW('states', ({ file }) => TE.traverseArray(stateIn(file))([...savedStates(session).values()])),
    TE.chainFirstW(({ states }) => pipe(session.write(new Map(states)), TE.mapLeft(inFile(path)))),
    TE.map(({ at }) => at),
  )

/** Checks that a file holds all states of a program and nothing else. */
const fitting = (file: Safetensors, states: ReadonlyMap<string, StateSpec>): E.Either<Error, void> => {
  const missing = [...states.keys()].filter((k) => file.info(k) === undefined)
  const unknown = file.keys.filter((k) => !states.has(k))
  const other = [...states].flatMap(([k, spec]) => {
    const info = file.info(k)
    if (info === undefined) return []
    const [there, here] = [
      `${info.dtype} [${info.shape}]`,
      `${storedAs(spec.dtype)} [${spec.axes.map((a) => a.size)}]`,
    ]
    return there === here ? [] : [`${k} (${there} there, ${here} in the program)`]
  })
  const wrong = [
    ...(missing.length > 0
      ? [`lacks ${missing.length} of the program's ${states.size} states: ${firstOf(missing, 3)}`]
      : []),
    ...(unknown.length > 0 ? [`has ${unknown.length} that the program has not: ${firstOf(unknown, 3)}`] : []),
    ...(other.length > 0 ? [`has ${other.length} of another shape or dtype: ${firstOf(other, 3)}`] : []),
  ]
  return wrong.length === 0
    ? E.right(undefined)
    : E.left(new Error(`${file.path}: this is no checkpoint of this stage: it ${wrong.join('; it ')}`))
}

const stateIn =
  (file: Safetensors) =>
  ({ key, dtype, axes }: StateSpec): TE.TaskEither<SafetensorsError, readonly [string, TensorValue]> => {
    const shape = axes.map((a) => a.size)
    return dtype === 'float32'
      ? pipe(
          file.floats(key),
          TE.map((data) => [key, { shape, dtype, data }]),
        )
      : pipe(
          file.ints(key),
          TE.map((data) => [key, { shape, dtype, data: dtype === 'bool' ? Uint8Array.from(data) : data }]),
        )
  }

const inFile =
  (path: string) =>
  (e: EngineError): Error =>
    new Error(`${path}: ${e.message}`, { cause: e })

/** @throws where it is none */
const searchIn = (text: string): AdaLrsState => {
  const search: unknown = JSON.parse(text)
  if (AdaLrsState.is(search)) return search
  throw new TypeError('this is no search for a learning rate')
}

const progressOf = (
  path: string,
  metadata: Readonly<Record<string, string>>,
): E.Either<Error, StageProgress> => {
  const number = (key: keyof StageProgress): number => Number(metadata[key] || Number.NaN)
  const at = { step: number('step'), seconds: number('seconds'), tailLoss: number('tailLoss') }
  const rest = E.tryCatch(
    () => ({
      ...(metadata.place === undefined ? {} : { place: JSON.parse(metadata.place) as unknown }),
      ...(metadata.samples === undefined ? {} : { samples: Number(metadata.samples) }),
      ...(metadata.tailSkipped === undefined ? {} : { tailSkipped: Number(metadata.tailSkipped) }),
      ...(metadata.adaLrs === undefined ? {} : { adaLrs: searchIn(metadata.adaLrs) }),
    }),
    E.toError,
  )
  return Number.isSafeInteger(at.step) &&
    Number.isFinite(at.seconds) &&
    Number.isFinite(at.tailLoss) &&
    E.isRight(rest)
    ? E.right({ ...at, ...rest.right })
    : E.left(
        new Error(
          `${path}: this is no stage in the middle: its metadata lacks step, seconds or tailLoss, or has a place or a search for a learning rate that is none`,
        ),
      )
}
