/**
 * What each patch of an image shows: the targets with which the nano vision encoder is pretrained, one linear head
 * each: what covers the patch (`patchClasses`), and what has its middle in it (`centreClasses`). The rendered scene is
 * known, so every label is exact and costs nothing.
 *
 * @since 0.1.0
 */
import { type Box, imageSize } from './canvas.ts'
import type { PatchLabels } from './drawn.ts'

/** Pixels a patch, along each side. */
export const patchSize = 14
/** Patches a row, and rows. */
export const patchGrid = imageSize / patchSize
/** Visual tokens a row, and rows, after the 2 × 2 pixel shuffle. */
export const tokenGrid = patchGrid / 2

/** The characters of the read family: digits and capitals without I, O, S and Z (too near 1, 0, 5 and 2). */
export const alphabet = '0123456789ABCDEFGHJKLMNPQRTUVWXY'
/** The letters that name bars. */
export const barLetters = 'ABCDEFGH'
/** Colours of counted shapes. */
export const shapeColours = ['red', 'green', 'blue'] as const
/** Kinds of counted shapes. */
export const shapeKinds = ['circle', 'square', 'triangle'] as const

const shapes = shapeColours.flatMap((colour) => shapeKinds.map((kind) => `${colour} ${kind}`))

/**
 * The names of the patch classes; the id is the place in this list. `background`; a class for each character; for each
 * coloured shape; one for each bar, by the bar's letter; `axis` (ticks and their numbers); `number` (a value written at a bar).
 */
export const patchClasses: readonly string[] = [
  'background',
  ...[...`${alphabet}+-=`],
  ...shapes,
  ...[...barLetters].map((l) => `bar ${l}`),
  'axis',
  'number',
]

/**
 * The names of the centre classes; the id is the place in this list. `nothing`; each character and each coloured shape,
 * for the one patch that holds its middle; `value 0` to `value 20`, for the patch that holds the middle of a bar's end.
 */
export const centreClasses: readonly string[] = [
  'nothing',
  ...[...`${alphabet}+-=`],
  ...shapes,
  ...Array.from({ length: 21 }, (_, value) => `value ${value}`),
]

const idsOf = (kind: string, names: readonly string[]): ((name: string) => number) => {
  const ids = new Map(names.map((name, id) => [name, id]))
  return (name) => {
    const id = ids.get(name)
    if (id === undefined)
      throw new RangeError(`there is no ${kind} class '${name}'; ${kind}Classes lists them`)
    return id
  }
}

/** The id of a centre class. Throws RangeError for a name that is not in {@link centreClasses}. */
export const centreClass = idsOf('centre', centreClasses)

/** The id of a patch class. Throws RangeError for a name that is not in {@link patchClasses}. */
export const patchClass = idsOf('patch', patchClasses)

/** Pixels that a box and the patch in column `px`, row `py` have in common. */
export const overlap = (box: Box, px: number, py: number): number => {
  const w = Math.min(box.x + box.width, (px + 1) * patchSize) - Math.max(box.x, px * patchSize)
  const h = Math.min(box.y + box.height, (py + 1) * patchSize) - Math.max(box.y, py * patchSize)
  return w > 0 && h > 0 ? w * h : 0
}

/** The patch that holds a point, as an index into the 64. */
export const patchAt = (x: number, y: number): number => {
  const at = (v: number) => Math.max(0, Math.min(patchGrid - 1, Math.floor(v / patchSize)))
  return at(y) * patchGrid + at(x)
}

/** The visual token that holds a point, as an index into the 16. */
export const tokenAt = (x: number, y: number): number => {
  const at = (v: number) => Math.max(0, Math.min(tokenGrid - 1, Math.floor(v / (2 * patchSize))))
  return at(y) * tokenGrid + at(x)
}

/** The visual token that a patch becomes part of, and its corner there: 0 to 3, row by row. */
export const cornerOf = (patch: number): { readonly token: number; readonly corner: number } => {
  const [row, column] = [Math.floor(patch / patchGrid), patch % patchGrid]
  return {
    token: Math.floor(row / 2) * tokenGrid + Math.floor(column / 2),
    corner: (row % 2) * 2 + (column % 2),
  }
}

/** A box that claims the patches that it covers. */
export interface Claim extends Box {
  readonly name: string
  /** The bar's value, where there is one. */
  readonly value?: number
}

/** How much of a patch (0 to 1) a box must cover to claim it. */
const enough = 0.2

/**
 * Gives every patch to the box that covers most of it, if that is at least a fifth; a box that would get none gets the
 * patch that it covers most. Later calls write over earlier ones, so what lies on top is claimed last.
 */
export const claim = ({ classes, values }: PatchLabels, claims: readonly Claim[]): void => {
  const best = new Float64Array(patchGrid * patchGrid).fill(enough * patchSize * patchSize)
  const owner = new Int32Array(patchGrid * patchGrid).fill(-1)
  claims.forEach((box, n) => {
    for (let p = 0; p < owner.length; p++) {
      const covered = overlap(box, p % patchGrid, Math.floor(p / patchGrid))
      if (covered > best[p]!) {
        best[p] = covered
        owner[p] = n
      }
    }
  })
  claims.forEach((box, n) => {
    if (owner.includes(n) || box.width <= 0 || box.height <= 0) return
    const p = patchAt(box.x + box.width / 2, box.y + box.height / 2)
    if (owner[p] === -1) owner[p] = n
  })
  owner.forEach((n, p) => {
    const box = claims[n]
    if (box === undefined) return
    classes[p] = patchClass(box.name)
    values[p] = box.value ?? -1
  })
}

/** Empty labels: background everywhere, no centres, no values. */
export const blankPatches = (): PatchLabels => ({
  classes: new Uint8Array(patchGrid * patchGrid),
  centres: new Uint8Array(patchGrid * patchGrid),
  values: new Int8Array(patchGrid * patchGrid).fill(-1),
})

/** Labels characters: the patches that each covers, and the patch of its middle. */
export const claimGlyphs = (
  out: PatchLabels,
  glyphs: readonly (Box & { readonly character: string })[],
): void => {
  claim(
    out,
    glyphs.map((g) => ({ ...g, name: g.character })),
  )
  for (const g of glyphs)
    out.centres[patchAt(g.x + g.width / 2, g.y + g.height / 2)] = centreClass(g.character)
}
