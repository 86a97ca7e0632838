/**
 * A second vision-language model, unlike the first in all that code may take for granted: four tokens an image, two images a
 * conversation, words for tokens, other names for the tokens of the chat, a head of its own, the older token order.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { type Conversation, conversation } from '../../src/data/conversation.ts'
import type { RgbImage } from '../../src/data/image.ts'
import { type Processor, processor } from '../../src/data/processor.ts'
import { type TextTokenizer, textTokenizer } from '../../src/data/tokenizer.ts'
import { tokenizer } from '../../src/formats/tokenizer.ts'
import { type SailVl2Config, sailVl2Model } from '../../src/models/sail-vl2.ts'

const special = ['<turn>', '</turn>', '<empty>', '<pic>', '<pic:>', '</pic>'] as const
const words = [
  ...special,
  '?',
  'user',
  'assistant',
  'first',
  'second',
  'dark',
  'light',
  'and',
  'then',
  'what',
]

const made = tokenizer({
  model: { type: 'WordLevel', vocab: Object.fromEntries(words.map((w, i) => [w, i])), unk_token: '?' },
  added_tokens: special.map((content, id) => ({ id, content, special: true })),
  pre_tokenizer: { type: 'Whitespace' },
})
if (isLeft(made)) throw made.left

/** Its tokenizer: sixteen words. */
export const otherTokenizer: TextTokenizer = textTokenizer(made.right)

/** Its configuration: 8 × 8 pixels in 4 × 4 patches, four tokens an image; three rows of its embedding stand for nothing. */
export const other: SailVl2Config = {
  vision: {
    imageSize: 8,
    patchSize: 2,
    hiddenSize: 6,
    intermediateSize: 10,
    layers: 1,
    heads: 3,
    epsilon: 1e-4,
  },
  language: {
    vocabSize: otherTokenizer.size + 3,
    hiddenSize: 12,
    intermediateSize: 20,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 4,
    ropeTheta: 50,
    epsilon: 1e-5,
    tied: false,
  },
  order: 'v1',
}

/** The model as a value. */
export const otherModel = sailVl2Model('other', other)

/** Its tokens as text. */
export const otherProcessor: Processor = processor(otherTokenizer, {
  chat: { start: '<turn>', end: '</turn>', pad: '<empty>' },
  image: { ...otherModel.image!, placeholder: '<pic:>', open: '<pic>', close: '</pic>' },
})

/** An image of one shade of grey, with a little of its own at each pixel. */
export const grey = (shade: number, seed: number): RgbImage => ({
  ...{ width: 8, height: 8, channels: 3 },
  data: Uint8Array.from({ length: 192 }, (_, i) => shade + Math.round(10 * Math.sin(seed + i))),
})

const shades = { dark: 40, light: 200 }
type Shade = keyof typeof shades

/** A conversation about two images; the answer is what the second one shows. */
export const otherConversation = (i: number, images: readonly [Shade, Shade]): Conversation =>
  conversation(otherProcessor, {
    id: `other/${i}`,
    request: ['what', 'and then what', 'what then'][i % 3]!,
    answer: `second ${images[1]}`,
    images: images.map((s, k) => grey(shades[s], 7 * i + k)),
  })

/** Every pair of shades, in turn. */
export const pairAt = (i: number): Conversation =>
  otherConversation(
    i,
    (
      [
        ['dark', 'dark'],
        ['dark', 'light'],
        ['light', 'dark'],
        ['light', 'light'],
      ] as const
    )[i % 4]!,
  )

/** Tokens that each of them fits into. */
export const otherLength = 28
