/** How a model reads pictures: in which tiles, and how many tokens stand for each. */
import { resolve } from 'node:path'
import type { GivenImage, ImageReading } from '../data/index.ts'
import type { ImageSizes } from '../models/index.ts'
import { grouped, type Look, textTable } from '../terminal/index.ts'

/** A picture, or a video, which is its frames. */
export interface ReadPicture {
  /** As it was named. */
  readonly picture: string
  /** Of a picture, and of a video's first frame, in pixels. */
  readonly width: number
  readonly height: number
  /** Of a video. */
  readonly frames?: number
  /** What the encoder reads of it: `3 × 2 tiles of 448 × 448, and the whole`. */
  readonly read: string
  /** Tiles of all its frames; where pictures have any size, one of it each. */
  readonly tiles: number
  /** Tokens that stand for what the encoder reads, without those that open and close it. */
  readonly tokens: number
}

/** A list of files as a model reads them in one conversation. */
export interface ReadPictures {
  readonly pictures: readonly ReadPicture[]
  readonly tiles: number
  readonly tokens: number
}

const counted = (n: number, what: string): string => `${grouped(n)} ${what}${n === 1 ? '' : 's'}`

const times = (columns: number, rows: number, of: string): string => `${columns} × ${rows} ${of}`

/**
 * Reads pictures and videos, together, for they share a budget.
 *
 * @param given most tiles of a picture, where the model reads tiles; default: as the model was published, else 10
 * @throws ImageError where one cannot be read
 */
export const readPictures = async (
  image: ImageSizes,
  names: readonly string[],
  given: number | undefined,
  cwd: string,
): Promise<ReadPictures> => {
  const { anySizes, gridOf, gridTiles, isVideo, readVideo, readWholeImage } = await import('../data/index.ts')
  const most = given ?? image.tiling?.most ?? 10
  const tiling = { ...image.tiling, most, least: Math.min(image.tiling?.least ?? 1, most) }
  const reading: ImageReading =
    image.patchSize === undefined ? gridTiles(image.size, image.tokens, tiling) : anySizes(image)
  const shown = await Promise.all(
    names.map(async (name): Promise<readonly GivenImage[]> => {
      const path = resolve(cwd, name)
      if (!(await isVideo(path))) return [{ image: await readWholeImage({ path }) }]
      return (await readVideo({ path })).map((frame) => ({ image: frame, frame: true }))
    }),
  )
  const cut = reading.cut(shown.flat())
  let used = 0
  const pictures = names.map((picture, i): ReadPicture => {
    const own = shown[i]!
    const tiles = own.flatMap(() => cut[used++]!)
    const [{ image: first, frame }] = own as [GivenImage]
    const { width, height } = first
    const side = `${image.size} × ${image.size}`
    const ofOne = (): string => {
      if (image.patchSize !== undefined)
        return times(tiles[0]!.width / image.size, tiles[0]!.height / image.size, `squares of ${side}`)
      if (tiles.length === own.length) return `1 tile of ${side}`
      // the last is the whole, where there is one
      const count = tiles.length - (tiling.thumbnail === false ? 0 : 1)
      const { columns, rows } = gridOf(width, height, { least: count, most: count, size: image.size })
      return `${times(columns, rows, `tiles of ${side}`)}${count < tiles.length ? ', and the whole' : ''}`
    }
    return {
      ...{ picture, width, height, ...(frame === true ? { frames: own.length } : {}) },
      ...{ read: `${ofOne()}${frame === true ? ', each frame' : ''}`, tiles: tiles.length },
      tokens: tiles.reduce((n, tile) => n + reading.tokensOf(tile), 0),
    }
  })
  const sum = (of: (p: ReadPicture) => number): number => pictures.reduce((n, p) => n + of(p), 0)
  return { pictures, tiles: sum((p) => p.tiles), tokens: sum((p) => p.tokens) }
}

/** As a table, with a line below it. */
export const showPictures = (
  name: string,
  image: ImageSizes,
  { pictures, tiles, tokens }: ReadPictures,
  look: Pick<Look, 'colour'>,
): string => {
  const table = textTable(
    [
      { head: 'picture' },
      { head: 'pixels', align: 'right' },
      { head: 'read as' },
      { head: 'tokens', align: 'right' },
    ],
    pictures.map((p) => [
      p.picture,
      `${p.frames === undefined ? '' : `${counted(p.frames, 'frame')} of `}${p.width} × ${p.height}`,
      p.read,
      grouped(p.tokens),
    ]),
    look,
  )
  const all = `${name} reads them as ${grouped(tokens)} tokens`
  const around = 'a token opens each picture or frame and one closes it'
  return image.patchSize === undefined
    ? `${table}\n\n${all}: ${counted(tiles, 'tile')} of ${image.tokens}; ${around}. Without tiling each picture is one tile.`
    : `${table}\n\n${all}, one a square; ${around}.`
}
