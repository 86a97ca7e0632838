/**
 * The images and videos of a row.
 *
 * @since 0.1.0
 */
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as t from 'io-ts'
import { type ChatPart, type ChatTurn, textPart } from './chat.ts'
import type { FileInput } from './file-input.ts'
import type { RgbImage } from './image.ts'
import { ImageError, type ImageInput, readImage } from './read-image.ts'
import { type RowColumns, rowColumns, shown } from './row-columns.ts'
import { placeOf, type Row, RowError } from './rows/row.ts'
import type { VideoInput } from './video.ts'

/** Stand for an image and for a video in a text, in the order of the row's images and videos. */
const marks = { image: '<image>', video: '<video>' } as const
export type Medium = keyof typeof marks
const anyMark = /(<image>|<video>)/

const Bytes = new t.Type<Uint8Array, Uint8Array>(
  'bytes',
  (u): u is Uint8Array => u instanceof Uint8Array,
  (u, c) => (u instanceof Uint8Array ? t.success(u) : t.failure(u, c)),
  (bytes) => bytes,
)

/** Nothing may stand in its place. */
export const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null, t.undefined])

/** A path, a data URL, base64, bytes, or Hugging Face's struct of both. */
export const ImageColumn = t.union([
  t.string,
  Bytes,
  t.partial({ bytes: orNull(Bytes), path: orNull(t.string) }),
])
export type ImageColumn = t.TypeOf<typeof ImageColumn>
/** As an image, or a list of frames. */
export const VideoColumn = t.union([ImageColumn, t.array(ImageColumn)])
export type VideoColumn = t.TypeOf<typeof VideoColumn>

/**
 * The bytes of a PNG, JPEG, GIF or WebP in base64 with nothing before them: their first letters are no path's. What else there
 * is is looked for, since a pattern of all of it overflows the stack where it is some megabytes.
 */
const isBareBase64 = (text: string): boolean =>
  /^(iVBORw0KGgo|\/9j\/|R0lGOD|UklGR)/.test(text) && text.length > 40 && !/[^A-Za-z0-9+/=\s]/.test(text)

/** How Python shows bytes, or a record with them: what a table has in place of images where it was written from a data set of images. */
const isPythonsBytes = (text: string): boolean => /^\[?(b['"]|\{'(bytes|path)': )/.test(text)

/** No file system has longer ones. */
const longestPath = 4096

/** The images and videos of a row whose columns are read. */
export const rowMedia = ({ row, fail, has, column }: RowColumns) => {
  const ownPath = (where: string, url: string): string => {
    try {
      return fileURLToPath(url)
    } catch {
      return fail(`its ${where} is ${shown(url)}, which is no file of this machine`)
    }
  }

  const imageOf = (where: string, image: ImageColumn): FileInput => {
    const name = `${where} of ${placeOf(row)}`
    if (image instanceof Uint8Array) return { bytes: image, name }
    if (typeof image !== 'string') {
      if (image.bytes != null) return { bytes: image.bytes, name: image.path ?? name }
      return image.path == null
        ? fail(`its ${where} has neither bytes nor a path`)
        : imageOf(where, image.path)
    }
    const data = /^data:([^,]*),/i.exec(image)
    if (data !== null) {
      if (!/;base64$/i.test(data[1]!)) fail(`its ${where} is a data URL that is not in base64`)
      const base64 = image.slice(data[0].length)
      if (!/^[A-Za-z0-9+/\s]*=*\s*$/.test(base64))
        fail(`its ${where} is a data URL with other letters than base64's`)
      return { bytes: Buffer.from(base64, 'base64'), name }
    }
    if (/^(?!file:)[a-z][a-z\d+.-]*:\/\//i.test(image))
      fail(
        `its ${where} is ${shown(image)}; nothing is fetched from the net: fetch it first, and give a path`,
      )
    if (image === '') fail(`its ${where} is an empty path`)
    if (isBareBase64(image)) return { bytes: Buffer.from(image, 'base64'), name }
    if (isPythonsBytes(image))
      fail(
        `its ${where} is ${shown(image)}, as Python shows bytes; write the rows as Parquet, or the images as files that the rows name`,
      )
    if (image.length > longestPath)
      fail(
        `its ${where} is ${shown(image)} of ${image.length} letters; give a path, a data URL, base64 or bytes`,
      )
    const path = image.startsWith('file:') ? ownPath(where, image) : image
    return { path: isAbsolute(path) ? path : join(dirname(row.file), path) }
  }

  /** The images of the row's own columns: `images`, a list, or `image`, one. */
  const ownImages = (): readonly ImageInput[] => {
    const name = ['images', 'image'].find(has)
    if (name === undefined) return []
    const what = 'a path, a data URL, { bytes, path }, or a list of them'
    const given = column(name, t.union([t.array(ImageColumn), ImageColumn]), what)
    return Array.isArray(given)
      ? given.map((one, i) => imageOf(`${name}[${i}]`, one))
      : [imageOf(name, given as ImageColumn)]
  }

  const videoOf = (where: string, video: VideoColumn): VideoInput => {
    if (!Array.isArray(video)) return imageOf(where, video as ImageColumn)
    if (video.length === 0) fail(`its ${where} is a list without a frame`)
    return { frames: video.map((frame, i) => imageOf(`${where}[${i}]`, frame)) }
  }

  /** The videos of the row's own columns: `videos`, a list, or `video`, one: a list there is its frames. */
  const ownVideos = (): readonly VideoInput[] => {
    const what = 'a path, bytes, { bytes, path }, or a list of frames'
    if (has('videos'))
      return column('videos', t.array(VideoColumn), `a list, each ${what}`).map((one, i) =>
        videoOf(`videos[${i}]`, one),
      )
    return has('video') ? [videoOf('video', column('video', VideoColumn, what))] : []
  }

  /** The row's own images and videos, taken one by one. */
  const ownMedia = () => {
    const own: Readonly<Record<Medium, readonly ChatPart[]>> = {
      image: ownImages().map((image) => ({ type: 'image', image })),
      video: ownVideos().map((video) => ({ type: 'video', video })),
    }
    const used = { image: 0, video: 0 }
    const next = (medium: Medium): ChatPart | undefined => own[medium][used[medium]++]
    return { own, used, next }
  }

  /** A video is followed by a newline already, that of its last frame. */
  const behind = (part: ChatPart): readonly ChatPart[] => (part.type === 'video' ? [] : textPart('\n'))

  /** Puts the row's images and videos where the marks in texts are, or, `orFirst`, before the first user's words where there is no mark. */
  const placed = (
    turns: readonly { readonly role: ChatTurn['role']; readonly text: string }[],
    orFirst: boolean,
  ): readonly ChatTurn[] => {
    const { own, next } = ownMedia()
    const first = turns.findIndex(({ role }) => role === 'user')
    const before: ChatPart[] = []
    for (const medium of ['image', 'video'] as const) {
      const count = own[medium].length
      const marked = turns.reduce((n, { text }) => n + text.split(marks[medium]).length - 1, 0)
      if (marked === 0 && orFirst) before.push(...own[medium].flatMap((part) => [part, ...behind(part)]))
      else if (marked !== count)
        fail(
          `it has ${marked} ${marks[medium]} marks and ${count} ${medium}s; give as many of one as of the other${
            count === 0 ? ', or content as parts, in which a text is only a text' : ''
          }`,
        )
    }
    return turns.map(({ role, text }, i) => ({
      role,
      parts: [
        ...(i === first ? before : []),
        ...text
          .split(anyMark)
          .flatMap((piece) =>
            piece === marks.image
              ? [next('image')!]
              : piece === marks.video
                ? [next('video')!]
                : textPart(piece),
          ),
      ],
    }))
  }

  return { imageOf, videoOf, ownImages, ownMedia, placed }
}

/**
 * The images of a row's `image` or `images`, in the forms in which {@link chatOf} takes them.
 *
 * @throws RowError where one is none of those
 * @category reading
 */
export const imagesOfRow = (row: Row): readonly ImageInput[] => rowMedia(rowColumns(row)).ownImages()

/**
 * The one image of a row as {@link readImage} reads it.
 *
 * @throws RowError where it has no image or several, or one that cannot be read
 * @category reading
 */
export const readRowImage = async (row: Row, size: number): Promise<RgbImage> => {
  const images = imagesOfRow(row)
  if (images.length !== 1) throw new RowError(row, `it has ${images.length} images; give one, as image`)
  try {
    return await readImage(images[0]!, size)
  } catch (e) {
    throw e instanceof ImageError ? new RowError(row, e.message, e) : e
  }
}
