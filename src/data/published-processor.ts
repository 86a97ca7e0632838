/**
 * The processor of a published model: its own chat template, the tokens that its vocabulary has, images as it reads them.
 *
 * @since 0.1.0
 */
import type { Tokenizer } from '../formats/index.ts'
import { anySizes } from './any-resolution.ts'
import type { ImageTiling } from './image-reading.ts'
import { chatTemplate, type ModelReads, type Processor, processor } from './processor.ts'
import { textTokenizer } from './tokenizer.ts'

/** What lays out a published model's chats: `model` says what it reads of images, and into which tiles they are cut. */
export interface PublishedReads extends Pick<ModelReads, 'name' | 'vocabSize'> {
  readonly image?: NonNullable<ModelReads['image']> & { readonly tiling?: ImageTiling }
}

/**
 * The processor of a model in Hugging Face's layout, of what `pretrained` finds in its folder. Where the tokenizer has no
 * `<|im_end|>`, as of a base model, the token that ends a text ends a turn.
 *
 * @throws ProcessorError `NoToken` where the vocabulary lacks a token that a chat or an image needs
 * @category constructors
 */
export const publishedProcessor = (tokenizer: Tokenizer, model: PublishedReads): Processor => {
  const has = (token: string): boolean => tokenizer.idOf(token) !== undefined
  const end = tokenizer.eos === undefined ? undefined : tokenizer.tokenOf(tokenizer.eos)
  const { image } = model
  return processor(textTokenizer(tokenizer), {
    template: chatTemplate(tokenizer),
    // a base model's configuration ends a text, and not a turn
    chat: has('<|im_end|>') || end === undefined ? {} : { end },
    ...(image === undefined
      ? {}
      : { image: image.patchSize === undefined ? image : { ...image, reading: anySizes(image) } }),
    ...(has('<think>') && has('</think>') ? { thought: {} } : {}),
  })
}
