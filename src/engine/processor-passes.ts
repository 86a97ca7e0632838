/** The passes that graphs of processors go through after the language's own: attention in blocks, repetition, long sums. */
import { attentionBlocks, type BlockSizes, longSums, narrow, type Tensor } from '../dsl/index.ts'

/**
 * Where attention begins to run in blocks: below it what is saved is not worth computing scores twice. Blocks of 8 MiB of
 * scores, from twice as many on: at two rows of four heads, from 725 tokens. From 2,048 tokens on they are of 128 tokens, so
 * that a block grows with the length and their number too.
 */
export const attentionLimits: BlockSizes = { from: 2 ** 22, block: 2 ** 21, tokens: 128 }

/**
 * @param blocks how attention of long sequences runs in blocks; undefined: it does not
 * @param keep sums that the engine computes well by an operation of its own
 */
export const processorPasses =
  (blocks: BlockSizes | undefined, keep?: (t: Tensor) => boolean) =>
  (roots: readonly Tensor[]): Tensor[] =>
    longSums(keep)(narrow(blocks === undefined ? roots : attentionBlocks(blocks)(roots)))
