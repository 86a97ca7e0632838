/** The language models that are measured, by their sizes. */
import type { Qwen3Config } from '../src/models/index.ts'

/** 88 million parameters. */
export const large: Qwen3Config = {
  ...{ vocabSize: 16384, hiddenSize: 768, intermediateSize: 2048, layers: 12, heads: 12, kvHeads: 4 },
  ...{ headDim: 64, ropeTheta: 1e6, epsilon: 1e-6, tied: true },
}

/** For trying things out where there is no accelerator. */
export const small: Qwen3Config = {
  ...{ vocabSize: 600, hiddenSize: 32, intermediateSize: 48, layers: 2, heads: 4, kvHeads: 2 },
  ...{ headDim: 8, ropeTheta: 1e6, epsilon: 1e-6, tied: true },
}

/** Wider than nano, for two cores. */
export const wide: Qwen3Config = {
  ...{ vocabSize: 512, hiddenSize: 256, intermediateSize: 768, layers: 6, heads: 4, kvHeads: 2, headDim: 64 },
  ...{ ropeTheta: 1e4, epsilon: 1e-6, tied: true },
}
