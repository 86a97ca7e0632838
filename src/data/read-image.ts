/**
 * Image files as the pixels that a model reads.
 *
 * @since 0.1.0
 */
import { readFile, stat } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { Sharp } from 'sharp'
import { isBmp, readBmp } from './bmp.ts'
import { type FileInput, headOf, nameOf } from './file-input.ts'
import type { RgbImage } from './image.ts'
import { resize } from './resize.ts'

/** An image or a video that cannot be read. The message names it. */
export class ImageError extends Error {
  readonly tag: 'NotFound' | 'BadImage' | 'NoFfmpeg'
  /** The file, or the name of what was in memory. */
  readonly image: string
  constructor(tag: ImageError['tag'], image: string, what: string, cause?: unknown) {
    super(`image ${image}: ${what}`, cause === undefined ? undefined : { cause })
    this.name = 'ImageError'
    this.tag = tag
    this.image = image
  }
}

/** An image: a file, an image file's bytes under a name for messages, or pixels. */
export type ImageInput = FileInput | { readonly pixels: RgbImage }

/** Whether a file is an image by the end of its name. */
export const isImageName = (name: string): boolean => /\.(png|jpe?g|webp|gif|tiff?|bmp|avif)$/i.test(name)

interface Inks {
  readonly width: number
  readonly height: number
  /** Cyan, magenta, yellow, black of each pixel. */
  readonly data: Uint8Array
}

const inksOf = async (image: Sharp): Promise<Inks> => {
  const raw = image.pipelineColourspace('cmyk').toColourspace('cmyk').raw({ depth: 'uchar' })
  const { data, info } = await raw.toBuffer({ resolveWithObject: true })
  if (info.channels !== 4) throw new Error(`it came to ${info.channels} inks`)
  return { width: info.width, height: info.height, data }
}

/** Light is what the inks leave of white: Pillow's conversion, which knows no colour profile. */
const fromInks = ({ width, height, data: inks }: Inks): RgbImage => {
  const data = new Uint8Array(width * height * 3)
  for (let p = 0; p < width * height; p++)
    for (let c = 0; c < 3; c++)
      data[3 * p + c] = Math.round(((255 - inks[4 * p + c]!) * (255 - inks[4 * p + 3]!)) / 255)
  return { width, height, channels: 3, data }
}

/** What to do about a failure that `sharp` tells. */
const adviceOn = (message: string): string =>
  /unsupported image format/.test(message)
    ? ': PNG, JPEG, WebP, TIFF, GIF, BMP and AVIF are read; convert it to one of those'
    : /pixel limit/.test(message)
      ? ': it has more than 268 million pixels; make it smaller'
      : ''

/** What is wrong with what holds nothing, whatever its kind; undefined of all else. */
const oddityOf = async (input: FileInput): Promise<string | undefined> => {
  const at = 'bytes' in input ? undefined : await stat(input.path).catch(() => undefined)
  const size = 'bytes' in input ? input.bytes.length : at?.size
  return at?.isDirectory() === true ? 'it is a folder; name a file' : size === 0 ? 'it is empty' : undefined
}

/** What sharp does not read as a BMP; undefined where it is none. */
const bmpOf = async (input: FileInput): Promise<E.Either<Error, RgbImage> | undefined> => {
  if (!isBmp(await headOf(input, 2).catch(() => new Uint8Array()))) return undefined
  const bytes = 'bytes' in input ? input.bytes : await readFile(input.path)
  return await readBmp(bytes).then(E.right, E.left<Error>)
}

/**
 * Reads an image as 8-bit sRGB, of its own size. What a camera says of the image's direction is applied; what is transparent
 * is white; grey, CMYK and 16 bits are converted. A colour profile inside the file is
 * not applied: published models were trained on what Pillow reads, and it applies none.
 *
 * @param page which frame of an animation; default the first, 0
 * @throws ImageError `NotFound`, `BadImage` (no image, or a damaged one)
 * @category reading
 */
export const readWholeImage = async (input: ImageInput, page = 0): Promise<RgbImage> => {
  if ('pixels' in input) return input.pixels
  const name = nameOf(input)
  const { default: sharp } = await import('sharp')
  try {
    const opened = () =>
      sharp('path' in input ? input.path : input.bytes, {
        failOn: 'error',
        ...(page === 0 ? {} : { page }),
        autoOrient: true,
        ignoreIcc: true,
      })
    if ((await opened().metadata()).space === 'cmyk') return fromInks(await inksOf(opened()))
    const { data, info } = await opened()
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels !== 3) throw new Error(`it came to ${info.channels} channels`)
    return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) }
  } catch (e) {
    const odd = await oddityOf(input)
    if (odd !== undefined) throw new ImageError('BadImage', name, odd, e)
    const bmp = /unsupported image format/.test((e as Error).message) ? await bmpOf(input) : undefined
    if (bmp?._tag === 'Right') return bmp.right
    const { message } = bmp?.left ?? (e as Error)
    if (/^Input file is missing/.test(message))
      throw new ImageError(
        'NotFound',
        name,
        `there is no such file${name.includes('\\') ? '; write / between folders' : ''}`,
        e,
      )
    throw new ImageError(
      'BadImage',
      name,
      `it cannot be read (${message.trim().split('\n')[0]})${adviceOn(message)}`,
      e,
    )
  }
}

/**
 * Reads an image as {@link readWholeImage} does, stretched to `size` × `size` pixels by {@link resize}. The pixels are those of
 * Pillow's `convert('RGB')` and `resize(…, BICUBIC)` within 1 grey level, within 2 where something is transparent.
 *
 * @throws ImageError `NotFound`, `BadImage` (no image, or a damaged one)
 * @category reading
 */
export const readImage = async (input: ImageInput, size: number): Promise<RgbImage> =>
  resize(await readWholeImage(input), size, size)
