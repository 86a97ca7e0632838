/** Where attention begins to run in blocks on processors: below it what is saved is not worth computing scores twice. */
import type { BlockSizes } from '../dsl/index.ts'

/** Blocks of 8 MiB of scores, from twice as many on: at two rows of four heads, from 725 tokens. */
export const attentionLimits: BlockSizes = { from: 2 ** 22, block: 2 ** 21 }
