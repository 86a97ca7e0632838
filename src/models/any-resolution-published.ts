/**
 * Any resolution in the words of a published `config.json`. SAIL-VL2's own is not released; these are the words of the
 * published AIMv2 encoders that read images of any size (Ovis).
 *
 * @since 0.1.0
 */
import type * as t from 'io-ts'
import { type AnyResolution, type Interpolation, rotaryTheta } from './any-resolution.ts'
import { flag, none, oneOf, only, optional, positive } from './config-words.ts'

const methods: Readonly<Record<string, Interpolation>> = {
  two_dim: 'bicubic',
  bilinear: 'bilinear',
  bilinear_align_corners: 'bilinearCorners',
}

/** The words of a `config.json` that are about any resolution. An encoder of one has none of the first two. */
export const anyResolutionWords = {
  preserve_original_pe: flag("whether learned positions are resized to an image's grid", undefined),
  disable_rope: flag('whether there are no rotary positions', undefined),
  interpolate_pe_method: optional(
    oneOf(Object.keys(methods), 'positions are resized in two dimensions', 'Unsupported'),
    'two_dim',
  ),
  rope_theta: optional(positive('the base of the rotary frequencies, 10000'), rotaryTheta),
  hidden_stride: only(2, 'the adapter folds 2 × 2 tokens into one'),
  temporal_patch_size: only(1, 'a patch is of one image'),
  fullatt_block_indexes: none('every block attends to its whole image'),
}

type Words = { readonly [K in keyof typeof anyResolutionWords]: t.TypeOf<(typeof anyResolutionWords)[K]> }

/** What the words say; undefined where they say nothing; where they contradict each other, which and what to do. */
export const anyResolutionOf = (
  w: Words,
  headDim: number,
): AnyResolution | undefined | readonly [key: string, what: string] => {
  if (w.preserve_original_pe === undefined && w.disable_rope === undefined) return undefined
  const [learned, rotary] = [w.preserve_original_pe === true, w.disable_rope !== true]
  if (!learned && !rotary)
    return ['disable_rope', 'is true, and preserve_original_pe is not; one of them tells where a patch is']
  if (rotary && headDim % 4 !== 0)
    return [
      'num_attention_heads',
      `gives heads of ${headDim}; rotary positions of row and column need a multiple of 4`,
    ]
  const interpolation = methods[w.interpolate_pe_method]!
  return {
    positions: learned ? (rotary ? 'both' : 'learned') : 'rotary',
    ...(learned && interpolation !== 'bicubic' ? { interpolation } : {}),
    ...(rotary && w.rope_theta !== rotaryTheta ? { ropeTheta: w.rope_theta } : {}),
  }
}

/** Any resolution in published words. */
export const anyResolutionPublished = (c: AnyResolution) => ({
  preserve_original_pe: c.positions !== 'rotary',
  interpolate_pe_method: Object.keys(methods).find((k) => methods[k] === (c.interpolation ?? 'bicubic'))!,
  disable_rope: c.positions === 'learned',
  rope_theta: c.ropeTheta ?? rotaryTheta,
  hidden_stride: 2,
})
