/**
 * From samples to the arrays that a training step takes. Axis names: batch, token, tile, channel, row, column, patch.
 *
 * @since 0.1.0
 */

import { random } from '../random/index.ts'
import { type Mixture, sampleAt } from '../tasks/mixture.ts'
import { patchGrid } from '../tasks/patches.ts'
import type { Described, PatchLabels, Picture, Sample } from '../tasks/sample.ts'
import { captionRequest, type TextExample } from '../tasks/text.ts'
import { nanoTokenizer, promptOf, type TextTokenizer, visualTokens } from './tokens.ts'

/** What a label says where no loss is taken. */
export const noLoss = -100
/** Mean of red, green and blue over ImageNet, of 1. */
export const imagenetMean = [0.485, 0.456, 0.406] as const
/** Standard deviation of red, green and blue over ImageNet, of 1. */
export const imagenetStd = [0.229, 0.224, 0.225] as const

/** What can be wrong with a batch. */
export type CollateErrorTag = 'TooLong' | 'TooMany' | 'BadPicture' | 'VisualTokens'

/** A batch that cannot be made; the message names the sample. */
export class CollateError extends Error {
  readonly tag: CollateErrorTag
  /** The sample at fault. */
  readonly sample: string
  constructor(tag: CollateErrorTag, sample: string, message: string) {
    super(message)
    this.name = 'CollateError'
    this.tag = tag
    this.sample = sample
  }
}

/** One conversation as tokens. */
export interface Conversation {
  readonly id: string
  /** Token ids. Shape [token]. */
  readonly ids: readonly number[]
  /** Whether a token is to be learnt: the assistant's text and the `<|im_end|>` after it. Shape [token]. */
  readonly learnt: readonly boolean[]
  /** Tokens before the assistant's text: what a model is given when it is to answer. */
  readonly promptLength: number
  readonly pictures: readonly Picture[]
  readonly patches?: PatchLabels
  /** In place of a picture that was never drawn: what its patches would show. */
  readonly scene?: PatchLabels
}

const converse = (tokenizer: TextTokenizer, id: string, prompt: string, answer: string): Conversation => {
  const before = tokenizer.encode(prompt)
  const after = tokenizer.encode(`${answer}<|im_end|>`)
  return {
    id,
    ids: [...before, ...after],
    learnt: [...before.map(() => false), ...after.map(() => true)],
    promptLength: before.length,
    pictures: [],
  }
}

/** What a conversation about a sample is to be: its description (`caption`), or the answer to its question. */
export type Reply = 'caption' | 'answer'

/** The text of a conversation about a sample: either it is to be described or its question is to be answered. */
export const spoken = (
  { id, caption, question, answer }: Described,
  kind: Reply,
  tokenizer: TextTokenizer = nanoTokenizer(),
): Conversation =>
  kind === 'caption'
    ? converse(tokenizer, id, promptOf(captionRequest, 1), caption)
    : converse(tokenizer, id, promptOf(question, 1), answer)

/** A sample as a conversation with its picture. */
export const conversation = (
  sample: Sample,
  kind: Reply,
  tokenizer: TextTokenizer = nanoTokenizer(),
): Conversation => ({
  ...spoken(sample, kind, tokenizer),
  pictures: [sample.picture],
  patches: sample.patches,
})

/** A mixture whose samples are partly to be described and otherwise to be answered. */
export interface Talk {
  readonly mixture: Mixture
  /** Share of samples that are to be described, 0 to 1. */
  readonly captions: number
}

/** What the i-th conversation of a seed is, where a share of them are captions. */
export const replyAt = (seed: string | number, captions: number, i: number): Reply =>
  random(seed, 'reply', i).next() < captions ? 'caption' : 'answer'

/** The i-th conversation of a mixture: a pure function of both. */
export const conversationAt = (
  { mixture, captions }: Talk,
  i: number,
  tokenizer: TextTokenizer = nanoTokenizer(),
): Conversation => {
  return conversation(sampleAt(mixture, i), replyAt(mixture.seed, captions, i), tokenizer)
}

/** A text example as a conversation without a picture. */
export const textConversation = (
  id: string,
  { prompt, answer }: TextExample,
  tokenizer: TextTokenizer = nanoTokenizer(),
): Conversation => converse(tokenizer, id, promptOf(prompt, 0), answer)

/**
 * Writes a picture's channels as planes, scaled to 1 and normalised with ImageNet's mean and deviation
 * (SAIL-VL2's transform), into `into` from `offset` on. Shape [channel, row, column].
 */
export const imagenetNormalise = (
  picture: Picture,
  into: Float32Array = new Float32Array(3 * picture.width * picture.height),
  offset = 0,
): Float32Array => {
  const area = picture.width * picture.height
  for (let ch = 0; ch < 3; ch++) {
    const scale = 1 / (255 * imagenetStd[ch]!)
    const shift = imagenetMean[ch]! / imagenetStd[ch]!
    const start = offset + ch * area
    for (let p = 0; p < area; p++) into[start + p] = picture.data[p * 3 + ch]! * scale - shift
  }
  return into
}

/** Sizes of a batch. */
export interface CollateOptions {
  /** Rows; rows without a conversation are all padding. */
  readonly batch: number
  /** Tokens a row. */
  readonly length: number
  /** Tiles (pictures); default `batch`. Tiles without a picture are 0. */
  readonly tiles?: number
  /** Pixels along each side of a tile; default 112. */
  readonly side?: number
  /** The id that fills up rows; default that of `<|endoftext|>`. */
  readonly pad?: number
  /** The id whose embedding a visual token replaces; default that of `<IMG_CONTEXT>`. */
  readonly visual?: number
}

/** The arrays of a batch, row by row. */
export interface Batch {
  readonly batch: number
  readonly length: number
  readonly tiles: number
  /** Token ids. Shape [batch, token]. */
  readonly input_ids: Int32Array
  /** 1 where there is a token, 0 where there is padding (always on the right). Shape [batch, token]. */
  readonly attention_mask: Int32Array
  /** A token's place in its row; 0 in padding. Shape [batch, token]. */
  readonly position_ids: Int32Array
  /** The token itself where it is to be learnt, else -100; the loss compares position t with label t + 1. [batch, token]. */
  readonly labels: Int32Array
  /** The row of the flattened visual tokens [tile × 16] that stands here, or -1. Shape [batch, token]. */
  readonly visual_index: Int32Array
  /** Normalised pixels. Shape [tile, channel, row, column]. */
  readonly pixel_values: Float32Array
  /** Patch classes, -100 in tiles without labels. Shape [tile, patch]. */
  readonly patch_labels: Int32Array
  /** Centre classes, -100 in tiles without labels. Shape [tile, patch]. */
  readonly patch_centres: Int32Array
  /** Bar values, -100 where there is none. Shape [tile, patch]. */
  readonly patch_values: Int32Array
}

/** The arrays of a batch of labelled pictures without text. */
export type PictureBatch = Pick<
  Batch,
  'tiles' | 'pixel_values' | 'patch_labels' | 'patch_centres' | 'patch_values'
>

const emptyTiles = (tiles: number, side: number): PictureBatch => {
  const labels = () => new Int32Array(tiles * patchGrid * patchGrid).fill(noLoss)
  return {
    tiles,
    pixel_values: new Float32Array(tiles * 3 * side * side),
    patch_labels: labels(),
    patch_centres: labels(),
    patch_values: labels(),
  }
}

const fillTile = (
  out: PictureBatch,
  tile: number,
  side: number,
  picture: Picture | undefined,
  labels: PatchLabels | undefined,
  id: string,
): void => {
  if (tile >= out.tiles)
    throw new CollateError('TooMany', id, `sample ${id} has a picture too many: the batch holds ${out.tiles}`)
  if (picture !== undefined) {
    if (picture.width !== side || picture.height !== side)
      throw new CollateError(
        'BadPicture',
        id,
        `sample ${id} has a picture of ${picture.width} × ${picture.height} pixels; this batch takes ${side} × ${side}`,
      )
    imagenetNormalise(picture, out.pixel_values, tile * 3 * side * side)
  }
  if (labels === undefined) return
  const first = tile * patchGrid * patchGrid
  out.patch_labels.set(labels.classes, first)
  out.patch_centres.set(labels.centres, first)
  labels.values.forEach((v, p) => {
    if (v >= 0) out.patch_values[first + p] = v
  })
}

/**
 * Puts labelled pictures into the arrays of one batch; the tiles that are left over are 0, without labels.
 *
 * @throws CollateError `TooMany`, `BadPicture`
 */
export const collatePictures = (
  pictures: readonly { readonly id: string; readonly picture: Picture; readonly patches?: PatchLabels }[],
  { tiles = pictures.length, side = 112 }: Pick<CollateOptions, 'tiles' | 'side'> = {},
): PictureBatch => {
  const out = emptyTiles(tiles, side)
  pictures.forEach(({ id, picture, patches }, n) => {
    fillTile(out, n, side, picture, patches, id)
  })
  return out
}

/**
 * Puts conversations into the arrays of one batch. Nothing is ever cut: what does not fit is an error.
 *
 * @throws CollateError `TooLong` (a conversation over `length`), `TooMany` (more conversations than rows or more
 * pictures than tiles), `BadPicture` (a picture of another size), `VisualTokens` (their number is not 16 a picture)
 */
export const collate = (conversations: readonly Conversation[], options: CollateOptions): Batch => {
  const { batch, length, tiles = batch, side = 112 } = options
  const pad = options.pad ?? nanoTokenizer().id('<|endoftext|>')
  const visual = options.visual ?? nanoTokenizer().id('<IMG_CONTEXT>')
  const out: Batch = {
    ...{ batch, length, tiles },
    input_ids: new Int32Array(batch * length).fill(pad),
    attention_mask: new Int32Array(batch * length),
    position_ids: new Int32Array(batch * length),
    labels: new Int32Array(batch * length).fill(noLoss),
    visual_index: new Int32Array(batch * length).fill(-1),
    ...emptyTiles(tiles, side),
  }
  if (conversations.length > batch)
    throw new CollateError(
      'TooMany',
      conversations[batch]!.id,
      `${conversations.length} conversations were given for ${batch} rows; the first without a row is ${conversations[batch]!.id}`,
    )
  let tile = 0
  conversations.forEach((c, row) => {
    if (c.ids.length > length)
      throw new CollateError(
        'TooLong',
        c.id,
        `sample ${c.id} has ${c.ids.length} tokens and a row holds ${length}; raise the length or shorten the sample`,
      )
    let place = tile * visualTokens
    c.ids.forEach((id, t) => {
      const at = row * length + t
      out.input_ids[at] = id
      out.attention_mask[at] = 1
      out.position_ids[at] = t
      if (c.learnt[t]) out.labels[at] = id
      if (id === visual) out.visual_index[at] = place++
    })
    const expected = (tile + c.pictures.length + (c.scene === undefined ? 0 : 1)) * visualTokens
    if (place !== expected)
      throw new CollateError(
        'VisualTokens',
        c.id,
        `sample ${c.id} has ${c.pictures.length} pictures but ${place - tile * visualTokens} visual tokens; each picture takes ${visualTokens}`,
      )
    for (const picture of c.pictures) fillTile(out, tile++, side, picture, c.patches, c.id)
    if (c.scene !== undefined) fillTile(out, tile++, side, undefined, c.scene, c.id)
  })
  return out
}
