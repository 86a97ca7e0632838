/**
 * Tokenizers in Hugging Face's file format: `tokenizer.json`, with `tokenizer_config.json` and
 * `chat_template.jinja` beside it where they exist.
 *
 * The work is done by `@huggingface/tokenizers`; this file checks what comes in, names what is wrong, and gives
 * the results that the Rust library `tokenizers` gives.
 *
 * @since 0.1.0
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'

/**
 * Text to token ids and back.
 *
 * @category model
 */
export interface Tokenizer {
  /**
   * The ids of a text. Special tokens that the text contains, as a rendered chat does, become their ids; the ones
   * that some tokenizers put around every text (`[CLS]`, `[SEP]`) are added only where `addSpecial` is true.
   */
  readonly encode: (text: string, options?: { readonly addSpecial?: boolean }) => Int32Array
  /**
   * The text of ids. An id that the vocabulary does not have gives nothing: the embedding tables of published
   * models are larger than their vocabularies.
   */
  readonly decode: (ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }) => string
  /** The id of a token as the vocabulary writes it; undefined where it has none. */
  readonly idOf: (token: string) => number | undefined
  /** The token of an id as the vocabulary writes it; undefined where it has none. */
  readonly tokenOf: (id: number) => string | undefined
  /** The highest id plus one: the rows that an embedding table must have at least. */
  readonly vocabSize: number
  /** The special tokens and their ids: those that `skipSpecial` leaves out. */
  readonly special: ReadonlyMap<string, number>
  /** The ids of the tokens that the configuration names, where it names them. */
  readonly eos: number | undefined
  readonly bos: number | undefined
  readonly pad: number | undefined
  /** The chat template that came with the files, as Jinja text. */
  readonly chatTemplate: string | undefined
}

/**
 * What is wrong with a tokenizer's files.
 *
 * - `NotFound`, `Io`: a file is missing, or the system refused.
 * - `BadJson`: a file is not JSON.
 * - `BadTokenizer`: `tokenizer.json` describes no tokenizer, or one that cannot be built.
 * - `BadConfig`: `tokenizer_config.json` is wrong.
 *
 * @category model
 */
export class TokenizerError extends Error {
  readonly tag: 'NotFound' | 'Io' | 'BadJson' | 'BadTokenizer' | 'BadConfig'
  /** The file, or the name given to what was in memory. */
  readonly file: string
  constructor(tag: TokenizerError['tag'], file: string, what: string, todo: string, cause?: unknown) {
    super(`${file}: ${what}; ${todo}`, cause === undefined ? undefined : { cause })
    this.name = 'TokenizerError'
    this.tag = tag
    this.file = file
  }
}

// --- the files --------------------------------------------------------------------------------------------

const Id = t.refinement(t.number, (n) => Number.isSafeInteger(n) && n >= 0 && n < 2 ** 31, 'a token id')

const AddedToken = t.intersection([
  t.type({ id: Id, content: t.string }),
  t.partial({ special: t.boolean, normalized: t.boolean, lstrip: t.boolean, rstrip: t.boolean }),
])

const TokenizerFile = t.intersection([
  t.type({
    model: t.intersection([
      t.type({ vocab: t.union([t.record(t.string, Id), t.array(t.tuple([t.string, t.number]))]) }),
      t.partial({ type: t.string, unk_token: t.union([t.string, t.null]) }),
    ]),
  }),
  t.partial({ added_tokens: t.array(AddedToken), pre_tokenizer: t.unknown }),
])

const NamedToken = t.union([t.string, t.type({ content: t.string }), t.null, t.undefined])

const ConfigFile = t.intersection([
  t.UnknownRecord,
  t.partial({
    eos_token: NamedToken,
    bos_token: NamedToken,
    pad_token: NamedToken,
    clean_up_tokenization_spaces: t.union([t.boolean, t.null]),
    chat_template: t.union([t.string, t.array(t.type({ name: t.string, template: t.string })), t.null]),
  }),
])

/** Where in a JSON value a codec failed, as a path of keys. */
const pathOf = (errors: t.Errors): string => {
  const [first] = errors
  const keys = (first?.context ?? []).map((c) => c.key).filter((k) => k !== '' && !/^[01]$/.test(k))
  return keys.join('.').slice(0, 100) || 'the file'
}

// --- the library ------------------------------------------------------------------------------------------

/** The part of the library's tokenizer that is used. */
interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[] }
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string
  token_to_id(token: string): number | undefined
  id_to_token(id: number): string | undefined
}

const build = (json: object, config: object): Library => new HfTokenizer(json, config) as unknown as Library

/** What the Rust library takes for a character of a word: Unicode's own definition of `\w` (UTS 18, annex C). */
const word = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}`

/** Splits at white space, and between words and what else there is. */
const unicodeWhitespace = {
  type: 'Split',
  pattern: { Regex: String.raw`[${word}]+|[^${word}\s]+` },
  behavior: 'Removed',
  invert: true,
}

/** The library's `Whitespace` and `Digits` know only ASCII's words and digits; the format means Unicode's. */
const withUnicode = (preTokenizer: unknown): unknown => {
  if (typeof preTokenizer !== 'object' || preTokenizer === null) return preTokenizer
  const { type, pretokenizers, individual_digits } = preTokenizer as Record<string, unknown>
  if (type === 'Whitespace') return unicodeWhitespace
  if (type === 'Digits') {
    const Regex = individual_digits === true ? '\\p{N}' : '\\p{N}+'
    return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }
  }
  return type === 'Sequence' && Array.isArray(pretokenizers)
    ? { ...preTokenizer, pretokenizers: pretokenizers.map(withUnicode) }
    : preTokenizer
}

const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }

/**
 * A tokenizer from the parsed content of its files.
 *
 * @param tokenizerJson the content of `tokenizer.json`
 * @param tokenizerConfig the content of `tokenizer_config.json`
 * @param chatTemplate the content of `chat_template.jinja`, which comes before the configuration's own
 * @param file the name that errors speak of
 * @category constructors
 */
export const tokenizer = (
  tokenizerJson: unknown,
  tokenizerConfig: unknown = {},
  chatTemplate?: string,
  file = 'tokenizer.json',
): E.Either<TokenizerError, Tokenizer> => {
  const json = TokenizerFile.decode(tokenizerJson)
  if (E.isLeft(json)) {
    const what = `${pathOf(json.left)} is not what the format asks for`
    return E.left(
      new TokenizerError('BadTokenizer', file, what, 'give a tokenizer.json as Hugging Face writes it'),
    )
  }
  const config = ConfigFile.decode(tokenizerConfig)
  if (E.isLeft(config)) {
    const what = `in the configuration beside it, ${pathOf(config.left)} is not what the format asks for`
    return E.left(new TokenizerError('BadConfig', file, what, 'correct tokenizer_config.json'))
  }
  const { model, added_tokens = [] } = json.right
  // The library looks for a word-level model's unknown token in the configuration; the format has it in the model.
  const settings = model.type === 'WordLevel' ? { ...config.right, unk_token: model.unk_token } : config.right
  let library: Library
  try {
    const pre_tokenizer = withUnicode(json.right.pre_tokenizer ?? null)
    library = build({ ...parts, ...json.right, pre_tokenizer }, settings)
  } catch (e) {
    const what = `the tokenizer cannot be built (${(e as Error).message})`
    return E.left(
      new TokenizerError('BadTokenizer', file, what, 'use a kind that @huggingface/tokenizers knows', e),
    )
  }
  const ids = Array.isArray(model.vocab) ? [model.vocab.length - 1] : Object.values(model.vocab)
  let vocabSize = 0
  for (const id of ids) vocabSize = Math.max(vocabSize, id + 1)
  for (const { id } of added_tokens) vocabSize = Math.max(vocabSize, id + 1)

  const tidy = config.right.clean_up_tokenization_spaces ?? false
  const named = (token: t.TypeOf<typeof NamedToken>): number | undefined =>
    token == null ? undefined : library.token_to_id(typeof token === 'string' ? token : token.content)
  return E.right({
    encode: (text, { addSpecial = false } = {}) =>
      Int32Array.from(
        library.encode(text, { add_special_tokens: addSpecial }).ids.filter((id) => id !== undefined),
      ),
    decode: (from, { skipSpecial = false } = {}) => {
      const known = Array.from(from).filter((id) => library.id_to_token(id) !== undefined)
      if (known.length === 0) return ''
      return library.decode(known, { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: tidy })
    },
    idOf: (token) => library.token_to_id(token),
    tokenOf: (id) => library.id_to_token(id),
    vocabSize,
    special: new Map(added_tokens.filter((x) => x.special === true).map((x) => [x.content, x.id])),
    eos: named(config.right.eos_token),
    bos: named(config.right.bos_token),
    pad: named(config.right.pad_token),
    chatTemplate: chatTemplate ?? defaultTemplate(config.right.chat_template),
  })
}

const defaultTemplate = (
  template: string | readonly { readonly name: string; readonly template: string }[] | null | undefined,
): string | undefined => {
  if (template == null || typeof template === 'string') return template ?? undefined
  return template.find(({ name }) => name === 'default')?.template
}

// --- reading ----------------------------------------------------------------------------------------------

const readText = (file: string): TE.TaskEither<TokenizerError, string> =>
  TE.tryCatch(
    () => readFile(file, 'utf8'),
    (e) =>
      (e as NodeJS.ErrnoException).code === 'ENOENT'
        ? new TokenizerError('NotFound', file, 'there is no such file', 'check the folder', e)
        : new TokenizerError('Io', file, (e as Error).message, 'check the file and its permissions', e),
  )

const orAbsent = <A>(read: TE.TaskEither<TokenizerError, A>): TE.TaskEither<TokenizerError, A | undefined> =>
  pipe(
    read,
    TE.orElseW((e) => (e.tag === 'NotFound' ? TE.right(undefined) : TE.left(e))),
  )

const readJson = (file: string): TE.TaskEither<TokenizerError, unknown> =>
  pipe(
    readText(file),
    TE.chainEitherK((text) =>
      E.tryCatch(
        (): unknown => JSON.parse(text),
        (e) =>
          new TokenizerError(
            'BadJson',
            file,
            `it is not JSON (${(e as Error).message})`,
            'replace the file',
            e,
          ),
      ),
    ),
  )

/**
 * Loads a tokenizer from a folder: `tokenizer.json`, and where they exist `tokenizer_config.json` and
 * `chat_template.jinja`.
 *
 * @category reading
 */
export const loadTokenizer = (folder: string): TE.TaskEither<TokenizerError, Tokenizer> =>
  pipe(
    TE.Do,
    TE.bind('json', () => readJson(join(folder, 'tokenizer.json'))),
    TE.bind('config', () => orAbsent(readJson(join(folder, 'tokenizer_config.json')))),
    TE.bind('template', () => orAbsent(readText(join(folder, 'chat_template.jinja')))),
    TE.chainEitherK(({ json, config, template }) =>
      tokenizer(json, config ?? {}, template, join(folder, 'tokenizer.json')),
    ),
  )
