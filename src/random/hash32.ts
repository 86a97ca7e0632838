/**
 * A hash of text to 32 bits that never changes: which contents are held out was decided by it when the shipped bases
 * were trained.
 *
 * @since 0.1.0
 */

const mix = (h: number): number => {
  let x = h | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) | 0
}

/** Hashes text to 32 bits, differently for each `salt`. The same on every machine and in every version. */
export const hash32 = (text: string, salt = 0): number => {
  let h = mix(salt ^ 0x9e3779b9)
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) ^ (h >>> 13)
  return mix(h ^ text.length) >>> 0
}
