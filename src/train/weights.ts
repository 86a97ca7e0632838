/** Weights between sessions and files: by published key, float32 in memory. */
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { elements, type Keys, type Program, sizes } from '../dsl/index.ts'
import type { EngineError, Session, TensorValue, WeightSource } from '../engine/index.ts'
import {
  type Entry,
  type FloatDtype,
  isFloatDtype,
  readSafetensors,
  type SafetensorsError,
  type StorageDtype,
  streamSafetensors,
} from '../formats/index.ts'
import { isCacheKey, WeightsError } from '../models/index.ts'
import {
  isEmaKey,
  isFrozenKey,
  isGradientKey,
  isOptimizerKey,
  isReferenceKey,
  isSoupKey,
} from '../optim/index.ts'
import { firstOf } from '../terminal/index.ts'

/** A model's weights by published key. */
export type Weights = ReadonlyMap<string, TensorValue>

/**
 * Weights somewhere else, by key: a checkpoint that was opened, `pretrained(…).source`. Shapes are known at once; each weight
 * is read when its turn comes.
 */
export interface StoredWeights extends WeightSource {
  /** Undefined where there is none of that key. */
  readonly shape: (key: string) => readonly number[] | undefined
  /** What a weight is stored as; where it is not known, its numbers are floats. */
  readonly dtype?: (key: string) => StorageDtype | undefined
}

/** Weights in memory as a source; whoever reads one gets a copy. */
export const inMemory = (weights: Weights): StoredWeights => ({
  keys: [...weights.keys()],
  shape: (key) => weights.get(key)?.shape,
  dtype: (key) => (weights.get(key)?.dtype === 'float32' ? 'F32' : 'I32'),
  read: (key) => {
    const value = weights.get(key)
    return value === undefined
      ? TE.left(new Error(`there is no weight ${key}`))
      : TE.right({ ...value, data: value.data.slice() })
  },
})

/** One state of a session. */
export const readOne = (s: Session, key: string): TE.TaskEither<Error, TensorValue> =>
  pipe(
    s.read([key]),
    TE.bimap(
      (e) => new Error(e.message, { cause: e }),
      (values) => values.get(key)!,
    ),
  )

const storedAs = (dtype: TensorValue['dtype']): StorageDtype => (dtype === 'float32' ? 'F32' : 'I32')

/** A session's weights, and those of `others` that it has no place for. */
export const withOthers = (s: Session, others: StoredWeights): StoredWeights => {
  const own = new Map(weightKeys(s.program).map((key) => [key, s.program.states.get(key)!]))
  return {
    keys: [...new Set([...others.keys, ...own.keys()])],
    shape: (key) => (own.has(key) ? sizes(own.get(key)!.axes) : others.shape(key)),
    dtype: (key) => (own.has(key) ? storedAs(own.get(key)!.dtype) : others.dtype?.(key)),
    read: (key) => (own.has(key) ? readOne(s, key) : others.read(key)),
  }
}

/** Weights by the source that has each; a source may be an instance of a class, and is asked as itself. */
const askedOf = (keys: readonly string[], of: (key: string) => StoredWeights): StoredWeights => ({
  keys,
  shape: (key) => of(key).shape(key),
  dtype: (key) => of(key).dtype?.(key),
  read: (key, room) => of(key).read(key, room),
  bfloat16: (key) => of(key).bfloat16?.(key),
})

/** Some of a source's weights. */
export const onlyKeys = (weights: StoredWeights, keys: readonly string[]): StoredWeights =>
  askedOf(keys, () => weights)

/** Weights of one source, and of another what the first lacks. */
export const overlaid = (first: StoredWeights, second: StoredWeights): StoredWeights => {
  const own = new Set(first.keys)
  return askedOf([...new Set([...first.keys, ...second.keys])], (key) => (own.has(key) ? first : second))
}

/** Whether a state is the model's own: no moment, no average, no cache, no gradient, no reference, no soup, nothing frozen. */
export const isWeightKey = (key: string): boolean =>
  ![
    ...[isOptimizerKey, isEmaKey, isCacheKey, isGradientKey],
    ...[isReferenceKey, isSoupKey, isFrozenKey],
  ].some((is) => is(key))

/** The keys of a program's states that are the model's own. */
export const weightKeys = (p: Program): readonly string[] => [...p.states.keys()].filter(isWeightKey)

/** Keys of a program in groups of at most 2²⁶ bytes, since an engine prepares for each time that it is read or written. */
export const inGroups = (p: Program, keys: readonly string[]): readonly (readonly string[])[] => {
  const groups: string[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const key of keys) {
    const size = elements(p.states.get(key)!.axes) * 4
    if (bytes + size > 2 ** 26) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(key)
    bytes += size
  }
  return groups
}

/** Reads a session's weights. */
export const readWeights = (s: Session): TE.TaskEither<EngineError, Weights> => s.read(weightKeys(s.program))

/** What a program takes of weights that are there. */
export interface Placement {
  readonly taken: readonly string[]
  /** Keys that begin as their initialisers say. */
  readonly fresh: readonly string[]
  /** Keys that the program has no place for. */
  readonly unused: readonly string[]
}

/** How many pieces two keys share, counted from their ends: a prefix is what conversions change. */
const shared = (a: string, b: string): number => {
  const [x, y] = [a.split('.').reverse(), b.split('.').reverse()]
  let n = 0
  while (n < x.length && n < y.length && x[n] === y[n]) n++
  return n
}

/** The keys among `there` that look most like `key`, at most two. */
const nearest = (key: string, there: readonly string[]): readonly string[] =>
  there
    .map((k) => ({ k, n: shared(key, k) }))
    .filter(({ n }) => n > 1)
    .sort((a, b) => b.n - a.n)
    .slice(0, 2)
    .map(({ k }) => k)

/**
 * Which of the weights that are there are taken. Strict: what is neither there nor may begin fresh is an error that names the
 * nearest keys, and so is another shape.
 *
 * @param whose weights they are: the error begins with it
 * @param wanted shapes of what is wanted, by key
 * @param there shapes of what is there, by key
 * @param fresh what may begin fresh; default: nothing
 */
export const placeKeys = (
  whose: string,
  wanted: ReadonlyMap<string, readonly number[]>,
  there: ReadonlyMap<string, readonly number[]>,
  fresh?: Keys,
): E.Either<WeightsError, Placement> => {
  const keys = [...wanted.keys()]
  const [taken, absent] = [keys.filter((k) => there.has(k)), keys.filter((k) => !there.has(k))]
  const unused = [...there.keys()].filter((k) => !wanted.has(k))
  const odd = taken.filter((k) => {
    const [is, want] = [there.get(k)!, wanted.get(k)!]
    return is.length !== want.length || is.some((n, i) => n !== want[i])
  })
  if (odd.length > 0) {
    const [key] = odd as [string]
    return E.left(
      new WeightsError(
        'OtherShape',
        odd,
        `${whose}: the weight ${key} has shape [${there.get(key)!.join(', ')}], and the model wants [${wanted.get(key)!.join(', ')}]${odd.length > 1 ? `; ${odd.length - 1} more differ` : ''}; is it the checkpoint of another model?`,
      ),
    )
  }
  const missing = absent.filter((k) => fresh?.has(k) !== true)
  if (missing.length > 0) {
    const near = nearest(missing[0]!, unused)
    return E.left(
      new WeightsError(
        'MissingKeys',
        missing,
        `${whose} lack ${missing.length} of ${keys.length} keys: ${firstOf(missing, 3)}. ${
          near.length > 0
            ? `There is ${near.join(', ')}: are the keys named otherwise? `
            : unused.length > 0
              ? `What is there and fits nothing: ${firstOf(unused, 3)}. `
              : ''
        }Give weights that have them${fresh === undefined ? '' : ', or say with fresh which keys may begin fresh'}`,
      ),
    )
  }
  return E.right({ taken, fresh: absent, unused })
}

/** Which of the weights that are there a program takes, as {@link placeKeys} says of its own weights. */
export const placeWeights = (
  p: Program,
  there: ReadonlyMap<string, readonly number[]>,
  fresh: Keys,
): E.Either<WeightsError, Placement> => {
  const wanted = new Map(weightKeys(p).map((key) => [key, sizes(p.states.get(key)!.axes)]))
  return placeKeys(`'${p.name}': the starting weights`, wanted, there, fresh)
}

/** The shapes of weights, as {@link placeWeights} takes them. */
export const shapesOf = (weights: StoredWeights): ReadonlyMap<string, readonly number[]> =>
  new Map(weights.keys.map((k) => [k, weights.shape(k) ?? []]))

/**
 * Writes weights as one safetensors file, replaced whole, one weight after the other: those of a source are never all in
 * memory.
 *
 * Fails with what the source says of a weight, or with what is wrong with the file.
 *
 * @param dtype of floats: `F32` keeps every bit; `F16`, `BF16` round to nearest. Integers are `I32`
 */
export const saveWeights = (
  path: string,
  weights: Weights | StoredWeights,
  metadata: Readonly<Record<string, string>>,
  dtype: FloatDtype = 'F32',
): TE.TaskEither<Error, void> => {
  const source = weights instanceof Map ? inMemory(weights) : (weights as StoredWeights)
  const isInteger = (key: string): boolean => {
    const stored = source.dtype?.(key)
    return stored !== undefined && !isFloatDtype(stored)
  }
  const heads = new Map(
    source.keys.map((key) => {
      const shape = source.shape(key) ?? []
      return [key, { dtype: isInteger(key) ? ('I32' as const) : dtype, shape }] as const
    }),
  )
  const read = (key: string): TE.TaskEither<Error, Entry> =>
    pipe(
      source.read(key),
      TE.map(({ shape, data }) => ({
        dtype: heads.get(key)!.dtype,
        shape,
        values: data instanceof Float32Array ? data : Int32Array.from(data),
      })),
    )
  return streamSafetensors(path, heads, read, metadata)
}

/** Reads all tensors of a safetensors file as float32, one after the other. */
export const loadWeights = (path: string): TE.TaskEither<SafetensorsError, Weights> =>
  pipe(
    readSafetensors(path),
    TE.chain((file) =>
      TE.traverseSeqArray((key: string) =>
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

/** The file of the weights' moving averages beside it. */
export const averagesFile = 'ema.safetensors'
