/**
 * A processor turns what people write and show into what a model reads: a tokenizer, the tokens that lay out a chat, and
 * how many tokens of which image stand for an image. Data functions take it as a value; nothing here belongs to one model.
 *
 * @since 0.1.0
 */
import type { Tokenizer } from '../formats/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { gridTiles, type ImageReading, type ImageTiling, singleTiles } from './image-reading.ts'
import type { TextTokenizer } from './tokenizer.ts'
import { mostFrames } from './video.ts'

/** The tokens that lay out a chat, by name. */
export interface ChatTokens {
  /** Begins a turn; default `<|im_start|>`. */
  readonly start?: string
  /** Ends a turn; default `<|im_end|>`. */
  readonly end?: string
  /** Fills up a row; default `<|endoftext|>`. */
  readonly pad?: string
}

/** How images stand in the text. */
export interface ImageOptions {
  /** Pixels along each side that the model's encoder reads. */
  readonly size: number
  /** Tokens that stand for one image, or for one tile of it. */
  readonly tokens: number
  /** Cuts images into tiles of that size; default: an image is one tile, stretched to it. */
  readonly tiling?: ImageTiling
  /** How the encoder reads images, where it is neither of those. */
  readonly reading?: ImageReading
  /** Most frames of a video; default 16. */
  readonly frames?: number
  /** The token whose embedding an image's tokens replace; default `<IMG_CONTEXT>`. */
  readonly placeholder?: string
  /** Stands before an image's tokens; default `<img>`. */
  readonly open?: string
  /** Stands after them; default `</img>`. */
  readonly close?: string
}

/** The tokens around what is thought before an answer, by name. */
export interface ThoughtTokens {
  /** Default `<think>`. */
  readonly open?: string
  /** Default `</think>`. */
  readonly close?: string
}

/** Images as ids, and how the encoder reads them. */
export interface ImageIds extends Omit<ImageReading, 'config'> {
  readonly size: number
  /** Of one tile. */
  readonly tokens: number
  /** Most frames of a video. */
  readonly frames: number
  readonly placeholder: number
  readonly open: number
  readonly close: number
}

/** A chat template as published with a tokenizer. */
export interface ChatTemplate {
  /** Jinja text. */
  readonly jinja: string
  /** The special tokens: where a message has one it is text. */
  readonly special: readonly string[]
  readonly encode: Tokenizer['encode']
  /** Further variables of the template, as plain JSON data. */
  readonly variables: Readonly<Record<string, unknown>>
}

/**
 * A tokenizer's own chat template, which is given the texts of its `bos_token` and `eos_token`.
 *
 * @param variables what else the template reads, such as `enable_thinking`
 * @returns undefined where it came without one
 */
export const chatTemplate = (
  t: Tokenizer,
  variables: Readonly<Record<string, unknown>> = {},
): ChatTemplate | undefined =>
  t.chatTemplate === undefined
    ? undefined
    : {
        jinja: t.chatTemplate,
        special: [...t.special.keys()],
        encode: t.encode,
        variables: {
          ...(t.bos === undefined ? {} : { bos_token: t.tokenOf(t.bos) }),
          ...(t.eos === undefined ? {} : { eos_token: t.tokenOf(t.eos) }),
          ...variables,
        },
      }

/** A processor. Ids are of its tokenizer. */
export interface Processor {
  /** What it is, as plain JSON data. */
  readonly config: unknown
  readonly tokenizer: TextTokenizer
  readonly start: number
  readonly end: number
  readonly pad: number
  /** Undefined where the model reads text alone. */
  readonly image?: ImageIds
  /** Undefined where the model does not think before it answers. */
  readonly thought?: { readonly open: number; readonly close: number }
  /** Lays out chats in place of the processor; images keep its own tokens. */
  readonly template?: ChatTemplate
}

/** A processor that cannot be made, or that does not fit a model. */
export class ProcessorError extends Error {
  readonly tag: 'NoToken' | 'BadSize' | 'OtherModel'
  constructor(tag: ProcessorError['tag'], message: string) {
    super(message)
    this.name = 'ProcessorError'
    this.tag = tag
  }
}

/** How images are read by these options. @throws ProcessorError `BadSize` where tiling has a number that is none */
const readingOf = ({ size, tokens, tiling, reading }: ImageOptions): ImageReading => {
  if (reading !== undefined) return reading
  if (tiling === undefined) return singleTiles(size, tokens)
  try {
    return gridTiles(size, tokens, tiling)
  } catch (e) {
    throw e instanceof RangeError ? new ProcessorError('BadSize', `processor, image.${e.message}`) : e
  }
}

/** A reading of the user's own, whose answers are looked at: what is none would be trained on as no image, or another's. */
const checkedReading = (
  reading: Omit<ImageReading, 'config'>,
  { size, tokens }: Pick<ImageOptions, 'size' | 'tokens'>,
): Omit<ImageReading, 'config'> => ({
  ...reading,
  cut: (images) => {
    const cut: unknown = reading.cut(images)
    if (!Array.isArray(cut) || cut.length !== images.length)
      throw new ProcessorError(
        'BadSize',
        `processor, image.reading.cut: asked for ${images.length} it gave ${Array.isArray(cut) ? `tiles of ${cut.length}` : kindOf(cut)}; give a list of tiles for each image`,
      )
    const bare = cut.findIndex((tiles) => !Array.isArray(tiles) || tiles.length === 0)
    if (bare >= 0)
      throw new ProcessorError(
        'BadSize',
        `processor, image.reading.cut: of image ${bare + 1} of ${images.length} it gave no tile; give at least one an image`,
      )
    return cut
  },
  tokensOf: (tile) => {
    const own = whole('image.reading.tokensOf', reading.tokensOf(tile))
    if (reading.patchSize === undefined && tile.width === size && tile.height === size && own !== tokens)
      throw new ProcessorError(
        'BadSize',
        `processor, image.reading.tokensOf: it is ${own} of a tile of ${size} × ${size} pixels, for which the encoder makes ${tokens}; give image.tokens`,
      )
    return own
  },
})

/** A model's `image`, which is given as it is, has the size of its patches as well. */
const imageNames: readonly (keyof ImageOptions | 'patchSize')[] = [
  ...(['size', 'tokens', 'patchSize', 'tiling', 'reading', 'frames'] as const),
  ...(['placeholder', 'open', 'close'] as const),
]
const tilingNames: readonly (keyof ImageTiling)[] = [
  ...(['least', 'most', 'thumbnail', 'multiScale', 'budget'] as const),
]

const whole = (what: string, n: number): number => {
  if (Number.isSafeInteger(n) && n > 0) return n
  throw new ProcessorError('BadSize', `processor, ${what}: it is ${n}; give a whole number from 1`)
}

/** How images stand in the text: as a run's identity has it, and as the ids that the tokenizer has for their tokens. */
const imagesBy = (image: ImageOptions) => {
  const { placeholder = '<IMG_CONTEXT>', open = '<img>', close = '</img>', frames } = image
  const sizes = { size: whole('image.size', image.size), tokens: whole('image.tokens', image.tokens) }
  const { config: tiling, ...own } = readingOf({ ...image, ...sizes })
  const reading = image.reading === undefined ? own : checkedReading(own, sizes)
  return {
    config: {
      ...{ ...sizes, placeholder, open, close },
      ...present({ tiling, frames }),
    },
    ids: (id: (what: string, token: string) => number): ImageIds => ({
      ...{ ...reading, ...sizes, frames: whole('image.frames', frames ?? mostFrames) },
      placeholder: id('image.placeholder', placeholder),
      open: id('image.open', open),
      close: id('image.close', close),
    }),
  }
}

/**
 * A processor around a tokenizer.
 *
 * @throws ProcessorError `NoToken` where the vocabulary lacks one of the tokens, `BadSize` where a size is no whole number
 * @category constructors
 */
export const processor = (
  tokenizer: TextTokenizer,
  options: {
    readonly chat?: ChatTokens
    readonly image?: ImageOptions
    readonly thought?: ThoughtTokens
    readonly template?: ChatTemplate | undefined
  } = {},
): Processor => {
  onlySettings('processor', options, ['chat', 'image', 'thought', 'template'])
  const of = (name: string, given: object | undefined, known: readonly string[]): unknown =>
    given === undefined || onlySettings('processor', given, known, name)
  of('chat', options.chat, ['start', 'end', 'pad'])
  of('thought', options.thought, ['open', 'close'])
  of('image', options.image, imageNames)
  of('image.tiling', options.image?.tiling, tilingNames)
  if (typeof tokenizer?.idOf !== 'function')
    throw new ProcessorError(
      'NoToken',
      'processor, tokenizer: it is none; give one such as textTokenizer(…) or nanoTokenizer(), called',
    )
  const { start = '<|im_start|>', end = '<|im_end|>', pad = '<|endoftext|>' } = options.chat ?? {}
  const id = (what: string, token: string): number => {
    const found = tokenizer.idOf(token)
    if (found !== undefined) return found
    throw new ProcessorError(
      'NoToken',
      `processor, ${what}: the tokenizer has no token '${token}'; name the one that it uses instead`,
    )
  }
  const { template, thought } = options
  const { open: think = '<think>', close: thoughtEnd = '</think>' } = thought ?? {}
  const image = options.image && imagesBy(options.image)
  return {
    config: {
      vocabulary: tokenizer.size,
      chat: { start, end, pad },
      ...(image && { image: image.config }),
      ...(thought && { thought: { open: think, close: thoughtEnd } }),
      ...(template && { template: { jinja: template.jinja, variables: template.variables } }),
    },
    tokenizer,
    start: id('chat.start', start),
    end: id('chat.end', end),
    pad: id('chat.pad', pad),
    image: image?.ids(id),
    thought: thought && { open: id('thought.open', think), close: id('thought.close', thoughtEnd) },
    template,
  }
}

/** What a model reads, as far as a processor must know. */
export interface ModelReads {
  readonly name: string
  /** Rows of the embedding table. */
  readonly vocabSize: number
  readonly image?: { readonly size: number; readonly tokens: number; readonly patchSize?: number }
}

/**
 * Sees that a processor makes what a model reads, so that no row is trained on another row's image.
 *
 * @throws ProcessorError `OtherModel`, which names what differs
 */
export const fitting = (p: Processor, model: ModelReads): void => {
  if (typeof model?.vocabSize !== 'number')
    throw new ProcessorError(
      'OtherModel',
      'the model is none that reads tokens; give a causal language model, such as nanoModel, not its configuration',
    )
  if (typeof p?.tokenizer?.size !== 'number')
    throw new ProcessorError(
      'OtherModel',
      `the processor for model '${model.name}' is none; give one such as nanoProcessor(), called`,
    )
  const other = (what: string): ProcessorError =>
    new ProcessorError('OtherModel', `the processor does not fit model '${model.name}': ${what}`)
  if (p.tokenizer.size > model.vocabSize)
    throw other(
      `its tokenizer has ids to ${p.tokenizer.size - 1}, and the model embeds ${model.vocabSize}; take the model's own tokenizer, or raise its vocabulary size`,
    )
  if (p.image === undefined) return
  if (model.image === undefined) throw other('it lays out images, and the model reads text alone')
  for (const key of ['size', 'tokens'] as const)
    if (p.image[key] !== model.image[key])
      throw other(`image.${key} is ${p.image[key]} there and ${model.image[key]} in the model`)
  if (p.image.patchSize !== model.image.patchSize)
    throw other(
      model.image.patchSize === undefined
        ? 'it lays out images of any size, and the model reads tiles; leave anySizes out'
        : `the model reads images of any size in patches of ${model.image.patchSize}; give image the reading anySizes(model.image)`,
    )
}
