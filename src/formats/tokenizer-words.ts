/**
 * The parts of `@huggingface/tokenizers` that are used: a stretch of text to ids, and ids to text. What surrounds a stretch
 * (added tokens, pieces) is the tokenizer's own.
 *
 * @since 0.1.0
 */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers'
import { type AddedToken, wordCharacters } from './added-tokens.ts'

/** What a tokenizer.json has that is used here; the rest goes through to the library. */
export interface TokenizerJson {
  readonly model: {
    readonly type?: string
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[]
    readonly unk_token?: string | null
    readonly unk_id?: number | null
    readonly byte_fallback?: boolean
  }
  readonly added_tokens?: readonly AddedToken[]
  readonly pre_tokenizer?: unknown
}

/** Stretches of text without added tokens, to ids. */
export interface Words {
  readonly normalize: (text: string) => string
  /** @param atBegin whether the stretch, which is normalized, begins its text: some tokenizers put a mark there */
  readonly encode: (text: string, atBegin: boolean) => readonly number[]
  readonly idOf: (token: string) => number | undefined
  /** The id of what the vocabulary does not have. */
  readonly unknown: number | undefined
  /** The highest id plus one. */
  readonly size: number
}

/** Ids to text. */
export interface Reader {
  readonly tokenOf: (id: number) => string | undefined
  /** @param tidy whether to take away spaces before punctuation */
  readonly decode: (ids: number[], tidy: boolean) => string
  /** The ids that the tokenizer puts before and after every text. */
  readonly before: readonly number[]
  readonly after: readonly number[]
}

interface Decoder {
  text_decoder?: InstanceType<typeof TextDecoder>
  readonly decoders?: readonly Decoder[]
}

/** The library's tokenizer and those of its parts that are called. */
interface Library {
  readonly normalizer: ((text: string) => string) | null
  readonly pre_tokenizer: ((text: string, options: { section_index: number }) => string[]) | null
  readonly decoder: Decoder | null
  readonly model: {
    (words: string[]): string[]
    readonly encode: (words: string[]) => string[]
    readonly tokens_to_ids: ReadonlyMap<string, number>
    readonly unk_token_id: number | undefined
  }
  encode(text: string, options: { add_special_tokens: boolean }): { tokens: string[] }
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string
  token_to_id(token: string): number | undefined
  id_to_token(id: number): string | undefined
}

const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }

const build = (json: object, config: object = {}): Library =>
  new HfTokenizer({ ...parts, ...json }, config) as unknown as Library

const found = (Regex: string): object => ({
  type: 'Split',
  pattern: { Regex },
  behavior: 'Removed',
  invert: true,
})

/** Splits at white space, and between words and what else there is. */
const unicodeWhitespace = found(String.raw`[${wordCharacters}]+|[^${wordCharacters}\p{White_Space}]+`)

/** The library's `Whitespace`, `WhitespaceSplit` and `Digits` know JavaScript's classes; the format means Unicode's. */
const withUnicode = (preTokenizer: unknown): unknown => {
  if (typeof preTokenizer !== 'object' || preTokenizer === null) return preTokenizer
  const { type, pretokenizers, individual_digits } = preTokenizer as Record<string, unknown>
  if (type === 'Whitespace') return unicodeWhitespace
  if (type === 'WhitespaceSplit') return found(String.raw`\P{White_Space}+`)
  if (type === 'Digits') {
    const Regex = individual_digits === true ? '\\p{N}' : '\\p{N}+'
    return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }
  }
  return type === 'Sequence' && Array.isArray(pretokenizers)
    ? { ...preTokenizer, pretokenizers: pretokenizers.map(withUnicode) }
    : preTokenizer
}

/** The library looks for a word-level model's unknown token in the configuration; the format has it in the model. */
const configOf = ({ model }: TokenizerJson): object =>
  model.type === 'WordLevel' && model.unk_token != null ? { unk_token: model.unk_token } : {}

const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
const utf8 = new TextEncoder()

/**
 * What a Unigram vocabulary lacks: neighbouring unknown characters are one, which becomes its bytes where the model falls
 * back on them, else the unknown token.
 */
const fallBack = (tokens: readonly string[], known: (token: string) => boolean, bytes: boolean): string[] => {
  const out: string[] = []
  let unknown = ''
  const flush = (): void => {
    if (unknown === '') return
    const spelled = Array.from(utf8.encode(unknown), byteToken)
    for (const token of bytes && spelled.every(known) ? spelled : [unknown]) out.push(token)
    unknown = ''
  }
  for (const token of tokens)
    if (known(token)) {
      flush()
      out.push(token)
    } else unknown += token
  flush()
  return out
}

/**
 * Builds what encodes stretches of text. Throws where the library cannot build it.
 */
export const wordsOf = (json: TokenizerJson): Words => {
  const { vocab, type, byte_fallback = false } = json.model
  const library = build(
    {
      ...json,
      added_tokens: [],
      decoder: null,
      post_processor: null,
      pre_tokenizer: withUnicode(json.pre_tokenizer ?? null),
    },
    configOf(json),
  )
  const { model, normalizer, pre_tokenizer } = library
  const known = (token: string): boolean => model.tokens_to_ids.has(token)
  const tokensOf = (words: string[]): readonly string[] =>
    type === 'Unigram' || Array.isArray(vocab)
      ? words.flatMap((word) => fallBack(model.encode([word]), known, byte_fallback))
      : model(words)
  let size = 0
  for (const id of Array.isArray(vocab) ? [vocab.length - 1] : Object.values(vocab))
    size = Math.max(size, id + 1)
  const unknown = model.unk_token_id ?? undefined
  return {
    normalize: (text) => (normalizer === null ? text : normalizer(text)),
    encode: (text, atBegin) => {
      if (text === '') return []
      const words = pre_tokenizer === null ? [text] : pre_tokenizer(text, { section_index: atBegin ? 0 : 1 })
      return tokensOf(words)
        .map((token) => model.tokens_to_ids.get(token) ?? unknown)
        .filter((id) => id !== undefined)
    },
    idOf: (token) => model.tokens_to_ids.get(token),
    unknown,
    size,
  }
}

/** The same tokenizer without these tokens in its vocabulary; the unknown token still says what is unknown. */
export const withoutTokens = (json: TokenizerJson, ids: ReadonlySet<number>): TokenizerJson => {
  const { model } = json
  const { vocab } = model
  return {
    ...json,
    model: {
      ...model,
      vocab: Array.isArray(vocab)
        ? // an id is a place, so a place is kept, by a name that no text has
          vocab.map(([token, score], id) => (ids.has(id) ? [`\ufdd0${id}\ufdd0`, score] : [token, score]))
        : Object.fromEntries(
            Object.entries(vocab).filter(([token, id]) => !ids.has(id) || token === model.unk_token),
          ),
    },
  }
}

/** Byte-order marks are text: the library's decoders of bytes would drop them. */
const keepMarks = (decoder: Decoder | null | undefined): void => {
  if (decoder?.text_decoder !== undefined)
    decoder.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  decoder?.decoders?.forEach(keepMarks)
}

/** Builds what turns ids into text. Throws where the library cannot build it. */
export const readerOf = (json: TokenizerJson): Reader => {
  const { model, added_tokens = [] } = json
  const { vocab } = model
  // reading needs no merges and no scores
  const listed: readonly (readonly [string, number])[] = Array.isArray(vocab) ? vocab : []
  const words = (
    Array.isArray(vocab) ? Object.fromEntries(listed.map(([token], id) => [token, id])) : vocab
  ) as Readonly<Record<string, number>>
  const reader = build({
    ...json,
    pre_tokenizer: null,
    normalizer: null,
    model: { ...model, type: 'BPE', vocab: words, merges: [] },
  })
  keepMarks(reader.decoder)
  const tokens = new Map<number, string>(Object.entries(words).map(([token, id]) => [id, token]))
  // of tokens of one text the library knows one
  const others = new Map<number, number>()
  for (const [id, [token]] of listed.entries()) {
    tokens.set(id, token)
    if (words[token] !== id) others.set(id, words[token]!)
  }
  for (const { id, content } of added_tokens) tokens.set(id, content)
  // what is put around every text is put around this one
  const mark = '\ufdd1'
  const around = build({
    model: { type: 'BPE', vocab: { [mark]: 0 }, merges: [] },
    post_processor: (json as { post_processor?: unknown }).post_processor ?? null,
  }).encode(mark, { add_special_tokens: true }).tokens
  const at = around.indexOf(mark)
  const idsOf = (some: readonly string[]): number[] =>
    some.map((token) => reader.token_to_id(token)).filter((id) => id !== undefined)
  return {
    tokenOf: (id) => tokens.get(id),
    decode: (ids, tidy) =>
      reader.decode(others.size === 0 ? ids : ids.map((id) => others.get(id) ?? id), {
        clean_up_tokenization_spaces: tidy,
      }),
    before: idsOf(around.slice(0, at)),
    after: idsOf(around.slice(at + 1)),
  }
}
