/** BMP files, which libvips does not read: Skia does. */
import type { RgbImage } from './image.ts'

/** Whether bytes begin as a BMP. */
export const isBmp = (bytes: Uint8Array): boolean => bytes[0] === 0x42 && bytes[1] === 0x4d

/** Most pixels of an image, as sharp has it. */
const mostPixels = 268_402_689

/** What a header says of the pixels. The oldest one, of 12 bytes after the file's own 14, has short numbers and no compression. */
const headerOf = (of: DataView) => {
  const offset = of.getUint32(10, true)
  const short = (at: number): number => of.getUint16(at, true)
  return of.getUint32(14, true) === 12
    ? { offset, width: short(18), height: short(20), bits: short(24), compression: 0, size: 0 }
    : {
        ...{ offset, width: of.getInt32(18, true), height: of.getInt32(22, true) },
        ...{ bits: short(28), compression: of.getUint32(30, true), size: of.getUint32(34, true) },
      }
}

/** Why the pixels that a header tells of are not there; Skia would give grey in place of those that are missing. */
const faultOf = (bytes: Uint8Array): string | undefined => {
  const of = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const least = bytes.length >= 26 && of.getUint32(14, true) === 12 ? 26 : 54
  if (bytes.length < least) return `it has ${bytes.length} bytes, and a BMP's header has ${least}`
  const { offset, width, height, bits, compression, size } = headerOf(of)
  if (Math.abs(width * height) > mostPixels)
    return `it has ${Math.abs(width * height)} pixels, more than 268 million; make it smaller`
  // rows are whole words; how long runs of equal pixels are together the header says
  const rows = 4 * Math.ceil((bits * width) / 32) * Math.abs(height)
  const end = offset + ([1, 2].includes(compression) ? size : rows)
  return [0, 1, 2, 3].includes(compression) && bytes.length < end
    ? `it ends after ${bytes.length} of ${end} bytes`
    : undefined
}

/**
 * The pixels of a BMP, what is transparent over white.
 *
 * @throws Error where it is damaged, or of a kind that is not read
 */
export const readBmp = async (bytes: Uint8Array): Promise<RgbImage> => {
  const fault = faultOf(bytes)
  if (fault !== undefined) throw new Error(fault)
  const { createCanvas, loadImage } = await import('@napi-rs/canvas')
  const image = await loadImage(Buffer.from(bytes))
  const { width, height } = image
  const c = createCanvas(width, height).getContext('2d')
  c.fillStyle = 'white'
  c.fillRect(0, 0, width, height)
  c.drawImage(image, 0, 0)
  const { data: all } = c.getImageData(0, 0, width, height)
  const data = new Uint8Array(width * height * 3)
  for (let p = 0; p < width * height; p++) data.set(all.subarray(4 * p, 4 * p + 3), 3 * p)
  return { width, height, channels: 3, data }
}
