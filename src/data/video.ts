/**
 * Videos as a few of their frames: a folder of frames, an animated GIF or WebP, or a video file where ffmpeg is installed.
 *
 * @since 0.1.0
 */
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { framesByFfmpeg } from './ffmpeg.ts'
import { type FileInput, headOf, nameOf } from './file-input.ts'
import type { RgbImage } from './image.ts'
import { ImageError, type ImageInput, isImageName, readWholeImage } from './read-image.ts'

/** Most frames that are read of a video, as SAIL-VL2 is evaluated. */
export const mostFrames = 16

/** A video: a file, a folder of frames, a file's bytes under a name for messages, or its frames, each an image. */
export type VideoInput = FileInput | { readonly frames: readonly ImageInput[] }

/**
 * Of `of` things in a row those in the middle of `most` equal stretches; all of them where they are no more.
 *
 * @returns their places, ascending
 */
export const evenly = (of: number, most: number): readonly number[] =>
  of <= most
    ? Array.from({ length: of }, (_, i) => i)
    : Array.from({ length: most }, (_, i) => Math.floor(((i + 0.5) * of) / most))

/** The frames of an animation in the middle of `most` equal stretches of its time. `delays` are their milliseconds. */
export const evenlyInTime = (delays: readonly number[], most: number): readonly number[] => {
  if (delays.length <= most) return delays.map((_, i) => i)
  // a frame without a duration is shown for a tenth of a second, as browsers show it
  const shownFor = delays.map((d) => (d > 0 ? d : 100))
  const all = shownFor.reduce((a, b) => a + b, 0)
  let [frame, end] = [0, shownFor[0]!]
  return Array.from({ length: most }, (_, i) => {
    const at = ((i + 0.5) * all) / most
    while (end <= at && frame < shownFor.length - 1) end += shownFor[++frame]!
    return frame
  })
}

/** The frames of a folder: its images, in the order of their names, numbers in them as numbers. */
const framesOfFolder = (folder: string): readonly ImageInput[] => {
  const names = readdirSync(folder).filter((name) => !name.startsWith('.') && isImageName(name))
  if (names.length === 0)
    throw new ImageError('BadImage', folder, 'the folder has no images; give one with a file a frame')
  const order = new Intl.Collator('en', { numeric: true })
  return names.sort(order.compare).map((name) => ({ path: join(folder, name) }))
}

/** Bytes by which images are told from videos. */
const headBytes = 16

/** Whether a file begins as one that sharp reads, and not as a video. */
const isImageFile = (head: Uint8Array): boolean => {
  const text = Buffer.from(head).toString('latin1')
  return /^(GIF8|RIFF....WEBP|\x89PNG|\xff\xd8\xff|II\*\0|MM\0\*)/s.test(text)
}

/** The frames of an animation; one of a still image. */
const framesOfImage = async (input: FileInput, most: number): Promise<readonly RgbImage[]> => {
  const { default: sharp } = await import('sharp')
  const { pages = 1, delay } = await sharp('path' in input ? input.path : input.bytes)
    .metadata()
    .catch((e: Error) => {
      throw new ImageError('BadImage', nameOf(input), `it cannot be read (${e.message})`, e)
    })
  const delays = delay?.length === pages ? delay : Array<number>(pages).fill(0)
  const frames: RgbImage[] = []
  for (const page of evenlyInTime(delays, most)) frames.push(await readWholeImage(input, page))
  return frames
}

/** Gives bytes a file of their own as long as it is needed. */
const withFile = async <A>(bytes: Uint8Array, use: (path: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), 'sailwright-video-'))
  try {
    const path = join(folder, 'video')
    await writeFile(path, bytes)
    return await use(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * At most `most` frames of a video, from the middles of equal stretches of it, in their order; all of them where there are no
 * more. A folder's frames are its images by name, a still image is one frame, an animated GIF or WebP is read by `sharp`, any
 * other file by `ffmpeg` and `ffprobe`, which must be installed.
 *
 * @param most default {@link mostFrames}
 * @throws ImageError `NotFound`, `BadImage` (no video, or a damaged one), `NoFfmpeg`
 * @category reading
 */
export const readVideo = async (
  input: VideoInput,
  most: number = mostFrames,
): Promise<readonly RgbImage[]> => {
  const inOrder = async (frames: readonly ImageInput[]): Promise<readonly RgbImage[]> =>
    Promise.all(evenly(frames.length, most).map((i) => readWholeImage(frames[i]!)))
  if ('frames' in input) return inOrder(input.frames)
  if ('path' in input) {
    const seen = statSync(input.path, { throwIfNoEntry: false })
    if (seen === undefined) throw new ImageError('NotFound', input.path, 'there is no such file or folder')
    if (seen.isDirectory()) return inOrder(framesOfFolder(input.path))
  }
  if (isImageFile(await headOf(input, headBytes))) return framesOfImage(input, most)
  return 'path' in input
    ? framesByFfmpeg(input.path, input.path, most)
    : withFile(input.bytes, (path) => framesByFfmpeg(path, input.name, most))
}

/** Whether a file or a folder is shown as a video: a folder, an animation, or no image at all. */
export const isVideo = async (path: string): Promise<boolean> => {
  const seen = statSync(path, { throwIfNoEntry: false })
  if (seen === undefined) return false
  if (seen.isDirectory()) return true
  const head = await headOf({ path }, headBytes).catch(() => undefined)
  if (head === undefined) return false
  if (!isImageFile(head)) return /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv|ts|wmv|flv|3gp)$/i.test(path)
  const { default: sharp } = await import('sharp')
  const { pages = 1 } = await sharp(path)
    .metadata()
    .catch(() => ({ pages: 1 }))
  return pages > 1 && !/\.tiff?$/i.test(path)
}
