/**
 * Batches as inputs of a call.
 *
 * @since 0.1.0
 */
import { type ImageBatch, type Processor, placeNumbers } from '../data/index.ts'
import type { Program } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import { orThrow } from './task.ts'

type Inputs = Readonly<Record<string, TensorValue>>

/** Whole numbers as a value. */
export const ints = (data: Int32Array, ...shape: number[]): TensorValue => ({ shape, dtype: 'int32', data })

/** Numbers as a value. */
export const floats = (data: Float32Array, ...shape: number[]): TensorValue => ({
  shape,
  dtype: 'float32',
  data,
})

/** What is true (1) or not (0), as a value. */
export const bools = (data: Uint8Array, ...shape: number[]): TensorValue => ({ shape, dtype: 'bool', data })

/** The text of a batch as inputs: `input_ids`, `position_ids`. */
export const textValues = (
  b: { readonly input_ids: Int32Array; readonly position_ids: Int32Array },
  { rows, tokens }: { readonly rows: number; readonly tokens: number },
): Inputs => ({
  input_ids: ints(b.input_ids, rows, tokens),
  position_ids: ints(b.position_ids, rows, tokens),
})

/** The images of a batch as a value: `[tile, channel, height, width]`. */
export const pixelInput = (pixels: Float32Array, images: number, size: number): TensorValue =>
  floats(pixels, images, 3, size, size)

/**
 * The images of a batch as inputs: `visual_index`, `pixel_values`, and `patch_places` where the processor is of any resolution.
 * Nothing where the batch has no place for an image.
 */
export const imageValues = (
  { visual_index, pixel_values, patch_places }: ImageBatch,
  { rows, tokens, images }: { readonly rows: number; readonly tokens: number; readonly images: number },
  { image }: Processor,
): Inputs => {
  if (images === 0) return {}
  const index = { visual_index: ints(visual_index, rows, tokens) }
  const size = image?.size ?? 0
  if (patch_places === undefined) return { ...index, pixel_values: pixelInput(pixel_values, images, size) }
  const side = image?.patchSize ?? size
  const patches = images * (size / side) ** 2
  return {
    ...{ ...index, pixel_values: pixelInput(pixel_values, patches, side) },
    patch_places: ints(patch_places, patches, placeNumbers),
  }
}

/**
 * The inputs that a function reads, of those that are offered: a model without positions reads none. What it reads and nobody
 * offers is missed by the session.
 */
export const readBy = (program: Program, name: string, offered: Inputs): Inputs => {
  const variants = program.functions.get(name)
  // the session says that there is no such function
  if (variants === undefined) return offered
  return Object.fromEntries(
    Object.entries(offered).filter(([input]) => variants.some((v) => v.inputs.has(input))),
  )
}

/** Calls a function with what it reads of what is offered ({@link readBy}). Throws what the engine says. */
export const callWith = (session: Session, name: string, offered: Inputs) =>
  orThrow(session.call(name, readBy(session.program, name, offered)))
