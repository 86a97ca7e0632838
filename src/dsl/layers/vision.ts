/** Images to tokens and back to fewer tokens. */
import { onlySettings } from '../../settings/index.ts'
import { type Axis, axis } from '../axis.ts'
import { contractOf } from '../contract.ts'
import { add } from '../elementwise.ts'
import { GraphError } from '../error.ts'
import type { Tensor } from '../graph.ts'
import { type Init, truncatedNormal, xavierUniform, zeros } from '../init.ts'
import { builtIn, join, type Layer } from '../layer.ts'
import { parameter } from '../leaves.ts'
import { reshaped, transposed } from '../shape.ts'
import { siteOf } from '../site.ts'

/** The axes of {@link patchify}. */
export interface PatchifyAxes<P extends string, E extends string> {
  /** Colour channels; the images' axes are `[…, channel, height, width]`. */
  readonly channel: Axis<'channel'>
  readonly height: Axis<'height'>
  readonly width: Axis<'width'>
  /** Side of a square patch in pixels; it divides height and width. */
  readonly patchSize: number
  /** Number of patches: rows × columns, row-major. */
  readonly patch: Axis<P>
  readonly embed: Axis<E>
  /** Filters of a fresh model; default Xavier uniform. */
  readonly init?: Init
}

/**
 * The patch convolution (kernel = stride = patch): `[channel, height, width]` → `[patch, embed]`, patches row-major.
 * Parameters as a checkpoint's Conv2d: `weight` [embed, channel, side, side], `bias` [embed].
 *
 * @throws GraphError `BadShape` where the patches do not tile the image
 * @category layers
 */
export const patchify = <P extends string, E extends string>(
  c: PatchifyAxes<P, E>,
): Layer<readonly ['channel', 'height', 'width'], readonly [P, E]> => {
  onlySettings('patchify', c, ['channel', 'height', 'width', 'patchSize', 'patch', 'embed', 'init'])
  const site = siteOf(patchify)
  const rows = c.height.size / c.patchSize
  const columns = c.width.size / c.patchSize
  if (rows * columns !== c.patch.size || !Number.isInteger(rows) || !Number.isInteger(columns))
    throw new GraphError(
      'BadShape',
      `patchify: patches of side ${c.patchSize} cut ${c.height.size} × ${c.width.size} pixels into ${rows} × ${columns}, and axis '${c.patch.name}' has ${c.patch.size}`,
      site,
      [c.height, c.width, c.patch],
    )
  const row = axis('patchRow', rows)
  const column = axis('patchColumn', columns)
  const y = axis('patchY', c.patchSize)
  const x = axis('patchX', c.patchSize)
  const fanIn = c.channel.size * c.patchSize * c.patchSize
  return builtIn<readonly [Axis<'channel'>, Axis<'height'>, Axis<'width'>], readonly [P, E]>(
    site,
    'patchify',
    [c.channel, c.height, c.width],
    (images, path) => {
      const lead = images.axes.slice(0, -3)
      const cut = reshaped(images, [...lead, c.channel, row, y, column, x], site)
      const weight = parameter(
        join(path, 'weight'),
        [c.embed, c.channel, y, x],
        c.init ?? xavierUniform(fanIn, c.embed.size),
      )
      const patches = transposed(
        cut,
        [...lead, row, column, c.channel, y, x].map((a) => a.name),
        site,
      )
      const tokens = contractOf(patches, weight, ['channel', 'patchY', 'patchX'], site)
      return add(
        reshaped(tokens, [...lead, c.patch, c.embed], site),
        parameter(join(path, 'bias'), [c.embed], zeros),
      )
    },
  )
}

/**
 * Adds one learned vector a position. The parameter's key is the layer's path itself, shaped `[1, position, embed]` as in
 * AIMv2's `pos_embed`.
 *
 * @category layers
 */
export const learnedPositions = <P extends string, E extends string>(
  position: Axis<P>,
  embed: Axis<E>,
  init: Init = truncatedNormal(0.02),
): Layer<readonly [P, E], readonly [P, E]> => {
  const site = siteOf(learnedPositions)
  return builtIn<readonly [Axis<P>, Axis<E>]>(site, 'learnedPositions', [position, embed], (x, path) => {
    const table = parameter(path, [axis(' one', 1), position, embed], init)
    return add(x, reshaped(table, [position, embed], site))
  })
}

/** The two channel orders in the wild: see {@link pixelShuffle}. */
export type PixelShuffleOrder = 'v1' | 'v2'

/**
 * Space to depth: a square of `factor`² neighbouring tokens becomes one token with their channels side by side.
 * `[token, channel]` → `[tokenOut, channelOut]`, tokens a square grid, row-major.
 *
 * Output channel = (row parity · factor + column parity) · C + channel. Order `v2` leaves the tokens row-major; `v1`
 * gives them transposed (column-major), which is what InternVL's first version did.
 *
 * @throws GraphError `BadShape` where the tokens are no square grid that `factor` divides
 * @category layers
 */
export const pixelShuffle = <T extends string, C extends string, T2 extends string, C2 extends string>(
  token: Axis<T>,
  channel: Axis<C>,
  tokenOut: Axis<T2>,
  channelOut: Axis<C2>,
  factor = 2,
  order: PixelShuffleOrder = 'v2',
): Layer<readonly [T, C], readonly [T2, C2]> => {
  const site = siteOf(pixelShuffle)
  const side = Math.sqrt(token.size)
  const out = side / factor
  if (
    !Number.isInteger(side) ||
    !Number.isInteger(out) ||
    tokenOut.size !== out * out ||
    channelOut.size !== channel.size * factor * factor
  )
    throw new GraphError(
      'BadShape',
      `pixelShuffle: ${token.size} tokens of ${channel.size} channels by ${factor} give ${out * out} tokens of ${channel.size * factor * factor} channels, not ${tokenOut.size} of ${channelOut.size}`,
      site,
      [token, channel, tokenOut, channelOut],
    )
  const row = axis(' row', out)
  const column = axis(' column', out)
  const dr = axis(' rowParity', factor)
  const dc = axis(' columnParity', factor)
  return builtIn<readonly [Axis<T>, Axis<C>], readonly [T2, C2]>(
    site,
    'pixelShuffle',
    [token, channel],
    (x: Tensor) => {
      const lead = x.axes.slice(0, -2)
      const grid = reshaped(x, [...lead, row, dr, column, dc, channel], site)
      const cells = order === 'v2' ? [row, column] : [column, row]
      const folded = transposed(
        grid,
        [...lead, ...cells, dr, dc, channel].map((a) => a.name),
        site,
      )
      return reshaped(folded, [...lead, tokenOut, channelOut], site)
    },
  )
}
