/** What is never drawn, whoever asks. */
import type { Processor } from '../data/index.ts'
import type { CausalLm } from '../models/index.ts'

/** Tokens that no answer may have, or it could not be trained on: those that stand for an image, those that are no text. */
export const neverDrawn = ({
  model,
  processor,
}: {
  readonly model: CausalLm
  readonly processor: Processor
}): readonly number[] => [
  ...(processor.image === undefined ? [] : [processor.image.placeholder]),
  ...Array.from(
    { length: model.vocabSize - processor.tokenizer.size },
    (_, i) => processor.tokenizer.size + i,
  ),
]
