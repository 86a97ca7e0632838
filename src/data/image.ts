/**
 * Images in memory, and as the numbers that an encoder reads.
 *
 * @since 0.1.0
 */

/** Red, green, blue, row by row from the top left: `data[(y * width + x) * 3 + channel]`, 0 to 255. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly channels: 3
  readonly data: Uint8Array
}

/** Mean of red, green and blue over ImageNet, of 1. */
export const imagenetMean = [0.485, 0.456, 0.406] as const
/** Standard deviation of red, green and blue over ImageNet, of 1. */
export const imagenetStd = [0.229, 0.224, 0.225] as const

/**
 * Writes an image's channels as planes, scaled to 1 and normalised with ImageNet's mean and deviation (SAIL-VL2's
 * transform), into `into` from `offset` on. Shape [channel, row, column].
 */
export const imagenetNormalise = (
  image: RgbImage,
  into: Float32Array = new Float32Array(3 * image.width * image.height),
  offset = 0,
): Float32Array => {
  const { data } = image
  const area = image.width * image.height
  for (let ch = 0; ch < 3; ch++) {
    const scale = 1 / (255 * imagenetStd[ch]!)
    const shift = imagenetMean[ch]! / imagenetStd[ch]!
    const start = offset + ch * area
    for (let p = 0; p < area; p++) into[start + p] = data[p * 3 + ch]! * scale - shift
  }
  return into
}
