/**
 * Where something is learnt: a step computes its last block, its head and its loss there alone, in one of a few sizes.
 *
 * @since 0.1.0
 */
import { CollateError, noLoss } from '../data/index.ts'
import { type Axis, axis, findAxis, input, type Tensor, topological } from '../dsl/index.ts'
import type { TensorValue } from '../engine/index.ts'
import {
  atPlaces,
  type CausalInputs,
  type CausalLm,
  imageInputs,
  logitsOf,
  routersOf,
} from '../models/index.ts'
import { kindOf } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { RecipeError, wholeSetting } from './setting-checks.ts'

/**
 * Tokens of a row that are learnt at most: a number, `auto` for what each batch has, or `all`, where everything is computed.
 * What is left out of the last block, the head and the loss changes neither the loss nor a gradient.
 */
export type Learnt = number | 'auto' | 'all'

/** Sizes of a batch at one number of places; without it everything is computed. */
export type AtPlaces<S> = S & { readonly learnt?: number }

/** Fewer places a row than this save less than another program costs. */
const least = 32

/** The setting as it is meant. @throws RecipeError where it is none */
export const learntSetting = (where: string, learnt: unknown, tokens: number): Learnt => {
  if (learnt === undefined) return 'auto'
  if (learnt === 'auto' || learnt === 'all') return learnt
  if (typeof learnt !== 'number')
    throw new RecipeError(where, 'learnt', `it is ${kindOf(learnt)}; give a number, 'auto' or 'all'`)
  if (wholeSetting(where, 'learnt', learnt, 1) < tokens) return learnt
  throw new RecipeError(
    where,
    'learnt',
    `it is ${learnt}, and a row of ${tokens} tokens has less to learn; leave it out`,
  )
}

/** What a configuration says of the setting: nothing where it is found by itself. */
export const learntConfig = (learnt: Learnt): { readonly learnt?: Learnt } =>
  learnt === 'auto' ? {} : { learnt }

/** The places as an input of a graph: int32 `[batch, token]`, of as many tokens as there are places. */
export const learntPlacesInput = (batch: Axis, places: number): Tensor =>
  input('learnt_places', [batch, axis('token', places)], 'int32')

/**
 * Whether what was taken out of a row stays what it is: nothing mixes it along the tokens, of which there are `n`, and nothing
 * meets it that counts them by itself, as positions from 0 do.
 */
const staysApart = (logits: Tensor, wanted: Tensor, n: number): boolean => {
  const after = new Set([wanted])
  return topological([logits]).every(({ op, inputs, axes }, i, all) => {
    if (!inputs.some((t) => after.has(t))) return true
    after.add(all[i]!)
    const kept = axes.some((a) => a.name === 'token' && a.size === n)
    const mixed = 'over' in op && [op.over].flat().includes('token')
    const reordered = op.op === 'gather' && after.has(inputs[0]!)
    // of a table of all tokens those that are wanted are taken
    const met = op.op === 'gather' ? inputs.slice(1) : inputs
    const stay = met.every((t) => findAxis(t, 'token') === undefined || (kept && after.has(t)))
    return !mixed && !reordered && stay
  })
}

/**
 * Why what a model gave are not the wanted tokens, each as it is among all: one that takes no notice of them, that mixes or
 * numbers them afterwards, or that chooses experts for them alone has to be asked for all. Nothing where they are.
 */
const otherThanWanted = (given: Tensor, wanted: Tensor): string | undefined => {
  const n = findAxis(wanted, 'token')!.size
  if (findAxis(given, 'token')?.size !== n) return 'gives other tokens than its context wants'
  // experts are balanced over all tokens, as they are chosen for all
  if (routersOf(given).some((r) => findAxis(r.input, 'token')?.size === n))
    return 'chooses experts for the tokens alone that its context wants'
  return staysApart(given, wanted, n) ? undefined : 'mixes or numbers the tokens that its context wants'
}

/** Whether a model's decode and head give the tokens that the context wants. */
const givesWanted = (model: CausalLm, x: CausalInputs, n: number): boolean => {
  const wanted = learntPlacesInput(x.ids.axes[0]!, n)
  try {
    return otherThanWanted(logitsOf(model, { ...x, wanted }), wanted) === undefined
  } catch {
    // what is wrong with a model is told where its loss is built
    return false
  }
}

/** What a model gave of all tokens, or of those that are wanted. @throws RecipeError where it gave others */
export const givenOf = (where: string, model: CausalLm, given: Tensor, wanted?: Tensor): Tensor => {
  const why = wanted && otherThanWanted(given, wanted)
  if (why === undefined) return given
  throw new RecipeError(
    where,
    'learnt',
    `it is ${findAxis(wanted!, 'token')!.size}, and the decode of model '${model.name}' ${why}; leave it out`,
  )
}

/**
 * Logits of all tokens, or where `learnt` says so of as many places a row; and what takes a tensor of all tokens to them.
 *
 * @throws RecipeError where the model gives others
 */
export const learntLogits = (
  where: string,
  model: CausalLm,
  x: CausalInputs & { readonly batch: Axis<'batch'>; readonly token: Axis<'token'> },
  { images, learnt }: { readonly images: number; readonly learnt?: number | undefined },
): { readonly logits: Tensor; readonly at: (t: Tensor) => Tensor } => {
  const wanted = learnt === undefined ? undefined : learntPlacesInput(x.batch, learnt)
  const inputs: CausalInputs = {
    ...x,
    ...present({ wanted }),
    ...(images === 0 ? {} : { images: imageInputs(model, images, x.batch, x.token) }),
  }
  return {
    logits: givenOf(where, model, logitsOf(model, inputs), wanted),
    at: (t) => (wanted === undefined ? t : atPlaces(t, wanted)),
  }
}

/**
 * Logits of another model that reads the same, at the same places: one whose decode gives others computes all.
 *
 * @param at what takes a tensor of all tokens to the places
 */
export const logitsAt = (
  where: string,
  model: CausalLm,
  x: Parameters<typeof learntLogits>[2],
  { images, learnt }: Parameters<typeof learntLogits>[3],
  at: (t: Tensor) => Tensor,
): Tensor => {
  if (learnt === undefined || givesWanted(model, x, learnt))
    return learntLogits(where, model, x, { images, learnt }).logits
  return at(learntLogits(where, model, x, { images }).logits)
}

/**
 * The sizes that a step is compiled for: as given, with fewer places where that is told. Found by themselves they are all places,
 * half of a row and a quarter of it, each of at least 32 places, where the model gives what is wanted. They are found when
 * they are first read.
 *
 * @param inputs what the model reads, but for images
 * @param mean places that a row needs on the average, where that is known: fewer are no size
 */
export const learntSizes = <S extends { readonly tokens: number }>(
  learnt: Learnt,
  sizes: S,
  model: CausalLm,
  inputs: () => CausalInputs,
  mean = 0,
): (() => readonly [AtPlaces<S>, ...AtPlaces<S>[]]) => {
  const find = (): readonly [AtPlaces<S>, ...AtPlaces<S>[]] => {
    if (learnt === 'all') return [sizes]
    if (learnt !== 'auto') return [{ ...sizes, learnt }]
    const fewer = [2, 4]
      .map((parts) => Math.ceil(sizes.tokens / parts))
      .filter((n) => n >= Math.max(least, mean))
    if (fewer.length === 0 || !givesWanted(model, inputs(), fewer[0]!)) return [sizes]
    return [sizes, ...fewer.map((n) => ({ ...sizes, learnt: n }))]
  }
  let found: readonly [AtPlaces<S>, ...AtPlaces<S>[]] | undefined
  return () => {
    found ??= find()
    return found
  }
}

/** Where a label of the next token stands, row by row, in order. */
export const labelledPlaces = (
  labels: Int32Array,
  { rows, tokens }: { readonly rows: number; readonly tokens: number },
): readonly (readonly number[])[] =>
  Array.from({ length: rows }, (_, row) => {
    const own = labels.subarray(row * tokens + 1, (row + 1) * tokens)
    return Array.from(own.keys()).filter((i) => own[i] !== noLoss)
  })

/**
 * The smallest of some sizes that has a place for all that a batch learns, and the places as its input. Those left over are the
 * last one of the row, behind which there is nothing to learn.
 *
 * @param places row by row
 * @param idOf a sample of a row, for errors
 * @throws CollateError `TooMany` where a row learns more than every size has places
 */
export const placed = <S extends { readonly rows: number; readonly tokens: number }>(
  all: readonly AtPlaces<S>[],
  places: readonly (readonly number[])[],
  idOf: (row: number) => string,
): { readonly sizes: AtPlaces<S>; readonly inputs: Readonly<Record<string, TensorValue>> } => {
  const counts = places.map((row) => row.length)
  const most = Math.max(...counts)
  const room = ({ learnt, tokens }: AtPlaces<S>): number => learnt ?? tokens
  const [sizes] = all.filter((s) => room(s) >= most).sort((a, b) => room(a) - room(b))
  if (sizes === undefined) {
    const id = idOf(counts.indexOf(most))
    throw new CollateError(
      'TooMany',
      id,
      `the row of sample ${id} has ${most} tokens to learn and a row has place for ${room(all[0]!)}; raise learnt, or leave it out`,
    )
  }
  const { rows, tokens, learnt } = sizes
  if (learnt === undefined) return { sizes, inputs: {} }
  const data = new Int32Array(rows * learnt).fill(tokens - 1)
  places.forEach((own, row) => {
    data.set(own, row * learnt)
  })
  return { sizes, inputs: { learnt_places: { shape: [rows, learnt], dtype: 'int32', data } } }
}
