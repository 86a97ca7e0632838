/**
 * A stage's frozen weights: opened, checked, and put into its session beside those that it trains.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { elements, type Program, sizes } from '../dsl/index.ts'
import { isFrozenKey } from '../optim/index.ts'
import type { Frozen } from './frozen.ts'
import { startingWeights } from './recipe-start.ts'
import { RecipeError } from './setting-checks.ts'
import type { Stage } from './stage.ts'
import { orThrow } from './task.ts'
import { onlyKeys, placeKeys, type StoredWeights, shapesOf } from './weights.ts'

/** A stage's frozen weights, by the keys of their states. */
export interface OpenedFrozen extends StoredWeights {
  /** A checksum of some of them, which are read for it. Throws what the source says. */
  readonly checksum: () => Promise<string>
}

/** As they are stored: keys without what their states' keys begin with. @throws WeightsError where one is missing or has another shape */
const checked = async (where: string, f: Frozen, p: Program): Promise<StoredWeights> => {
  const stored = await startingWeights(where, f, `frozen '${f.name}', weights`).catch((e: Error) => {
    if (!e.message.startsWith(where)) e.message = `${where}: the weights of '${f.name}': ${e.message}`
    throw e
  })
  const wanted = new Map(
    [...p.states].flatMap(([key, s]) =>
      key.startsWith(f.prefix) ? [[key.slice(f.prefix.length), sizes(s.axes)] as const] : [],
    ),
  )
  const placement = placeKeys(`${where}: the weights of '${f.name}'`, wanted, shapesOf(stored))
  if (E.isLeft(placement)) throw placement.left
  return onlyKeys(stored, placement.right.taken)
}

/** Bytes of weights that a checksum is of, about: which takes some tenths of a second to read. */
const summed = 2 ** 26

/** The smallest weights, of every layer those that are cheap to read: all where there is room, and at least one. */
const someOf = (keys: readonly string[], p: Program): readonly string[] => {
  const bytes = (key: string): number => 4 * elements(p.states.get(key)!.axes)
  const [least, ...more] = [...keys].sort((a, b) => bytes(a) - bytes(b))
  let room = summed - bytes(least!)
  return [
    least!,
    ...more.filter((key) => {
      room -= bytes(key)
      return room >= 0
    }),
  ]
}

const checksumOf = async (weights: StoredWeights, keys: readonly string[]): Promise<string> => {
  const hash = createHash('sha256')
  for (const key of keys) {
    const { data } = await orThrow(weights.read(key))
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Sees that no weights have the keys of others. @throws RecipeError */
const apart = (where: string, all: readonly Frozen[]): void => {
  const same = all.find((f, i) =>
    all.some((g, j) => j < i && g.prefix === f.prefix && g.weights !== f.weights),
  )
  if (same !== undefined)
    throw new RecipeError(
      where,
      'objective.frozen',
      `two are called '${same.name}' and have the same config, and one's weights would be read for the other's; give them other names or configs`,
    )
}

/**
 * Opens the frozen weights that a stage's program reads; undefined where it reads none. Nothing of them is read yet.
 *
 * @throws RecipeError where the program reads what the stage does not bring, or two have the same name and config; WeightsError
 *   where a weight is missing or has another shape
 */
export const openFrozen = async (stage: Stage, p: Program): Promise<OpenedFrozen | undefined> => {
  const keys = [...p.states.keys()].filter(isFrozenKey)
  if (keys.length === 0) return undefined
  const where = `stage '${stage.name}'`
  const all = stage.frozen ?? []
  const strange = keys.find((key) => !all.some((f) => key.startsWith(f.prefix)))
  if (strange !== undefined)
    throw new RecipeError(
      where,
      'objective.frozen',
      `its program reads '${strange}', which no frozen weights of its objective have; name them there, and measure an objective with frozen weights after a stage that has them (stage: '…')`,
    )
  const opened = new Map<Frozen, StoredWeights>()
  apart(where, all)
  for (const f of all) opened.set(f, await checked(where, f, p))
  const ownerOf = (key: string): readonly [StoredWeights, string] => {
    const f = all.find(({ prefix }) => key.startsWith(prefix))!
    return [opened.get(f)!, key.slice(f.prefix.length)]
  }
  const of =
    <A>(take: (w: StoredWeights, key: string) => A) =>
    (key: string): A =>
      take(...ownerOf(key))
  const source: StoredWeights = {
    keys,
    shape: of((w, key) => w.shape(key)),
    dtype: of((w, key) => w.dtype?.(key)),
    read: (key, room) => of((w, own) => w.read(own, room))(key),
    bfloat16: of((w, key) => w.bfloat16?.(key)),
  }
  return { ...source, checksum: () => checksumOf(source, someOf(keys, p)) }
}
