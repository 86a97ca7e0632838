/** Images of a run: what its report shows. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type FileError, systemError, writeWhole } from './files.ts'
import type { RunFolder } from './run-folder.ts'
import { ownFileName } from './run-paths.ts'

/** An image in memory: RGB, rows from the top, one byte a channel. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly channels: 3
  /** `height · width · 3` bytes. */
  readonly data: Uint8Array | Uint8ClampedArray
}

/**
 * Writes an image as `images/<name>.png`, the name as {@link ownFileName} makes it, and gives its path inside the run folder, with forward slashes: what
 * `Predicted.image` wants.
 *
 * @category writing
 */
export const writeImage = (
  run: Pick<RunFolder, 'pathOf'>,
  name: string,
  image: RgbImage,
): TE.TaskEither<FileError, string> => {
  const path = `images/${ownFileName(name)}.png`
  const { width, height, channels, data } = image
  return pipe(
    TE.tryCatch(
      async () => {
        if (data.length !== width * height * channels)
          throw new RangeError(
            `the image is said to be ${width} × ${height} × ${channels} and has ${data.length} bytes`,
          )
        const { default: sharp } = await import('sharp')
        return sharp(data, { raw: { width, height, channels } }).png().toBuffer()
      },
      systemError(path, 'encoding the image'),
    ),
    TE.chain((png) => writeWhole(run.pathOf(path), png)),
    TE.map(() => path),
  )
}
