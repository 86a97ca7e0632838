/**
 * Images as text, for endpoints that take them in a request.
 *
 * @since 0.1.0
 */
import type { RgbImage } from './image.ts'

/** An image as a data URL, `data:image/png;base64,…`; no pixel changes. */
export const pngDataUrl = async ({ width, height, channels, data }: RgbImage): Promise<string> => {
  const { default: sharp } = await import('sharp')
  const png = await sharp(data, { raw: { width, height, channels } }).png().toBuffer()
  return `data:image/png;base64,${png.toString('base64')}`
}
