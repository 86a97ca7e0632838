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
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { present } from '../settings/internal.ts'
import { type AddedToken, type Special, type Splitter, splitter } from './added-tokens.ts'
import { cutShort, parseJson, withoutMark } from './json.ts'
import { type Reader, readerOf, type Words, withoutTokens, wordsOf } from './tokenizer-words.ts'

export type { Special } from './added-tokens.ts'

/**
 * Text to token ids and back.
 *
 * @category model
 */
export interface Tokenizer {
  /**
   * The ids of a text, or of a text in pieces. With `special: 'parse'`, the default, special tokens that the text contains
   * become their ids; with `'text'` they are encoded as the characters that they are, and no special token but the unknown
   * one comes out: for what a user wrote. A piece may say which of the two it is. Pieces are encoded as one text: where
   * none has a special token, they have the ids of their concatenation.
   *
   * The tokens that some tokenizers put around every text (`[CLS]`, `[SEP]`) are added only where `addSpecial` is true.
   */
  readonly encode: (text: string | readonly TextPiece[], options?: EncodeOptions) => Int32Array
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
  /** The content of the files that it was made from, to be written beside a model's weights. */
  readonly files: TokenizerFiles
}

/** The content of a tokenizer's files by name: parsed JSON, the template as text. */
export interface TokenizerFiles {
  readonly 'tokenizer.json': unknown
  readonly 'tokenizer_config.json'?: unknown
  readonly 'chat_template.jinja'?: string
}

/** A piece of a text, and how special tokens in it are read; by default as the options of the call say. */
export interface TextPiece {
  readonly text: string
  readonly special?: Special
}

/** How {@link Tokenizer} encodes. */
export interface EncodeOptions {
  /** Special tokens in the text: `'parse'`, the default, or `'text'`. */
  readonly special?: Special
  /** Whether to add the tokens that the tokenizer puts around every text. Default false. */
  readonly addSpecial?: boolean
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

const AddedTokenFile = t.intersection([
  t.type({ id: Id, content: t.string }),
  t.partial({
    special: t.boolean,
    normalized: t.boolean,
    single_word: t.boolean,
    lstrip: t.boolean,
    rstrip: t.boolean,
  }),
])

const TokenizerFile = t.intersection([
  t.type({
    model: t.intersection([
      t.type({ vocab: t.union([t.record(t.string, Id), t.array(t.tuple([t.string, t.number]))]) }),
      t.partial({
        type: t.string,
        unk_token: t.union([t.string, t.null]),
        unk_id: t.union([Id, t.null]),
        byte_fallback: t.boolean,
      }),
    ]),
  }),
  t.partial({ added_tokens: t.array(AddedTokenFile), pre_tokenizer: t.unknown }),
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
  const { added_tokens = [] } = json.right
  const specialIds = new Set(added_tokens.filter((x) => x.special === true).map((x) => x.id))
  let words: Words
  let reader: Reader
  try {
    words = wordsOf(json.right)
    reader = readerOf(json.right)
  } catch (e) {
    const what = `the tokenizer cannot be built (${cutShort((e as Error).message)})`
    return E.left(
      new TokenizerError('BadTokenizer', file, what, 'use a kind that @huggingface/tokenizers knows', e),
    )
  }
  const addedIds = new Map(added_tokens.map((x) => [x.content, x.id]))
  const idOf = (token: string): number | undefined => addedIds.get(token) ?? words.idOf(token)
  // what is found before texts are normalized, and what after
  const isNormalized = (x: AddedToken): boolean => x.normalized ?? x.special !== true
  const [raw, normalized] = [false, true].map((after) =>
    splitter(
      new Map(
        added_tokens
          .filter((x) => isNormalized(x) === after)
          .map((x) => [after ? words.normalize(x.content) : x.content, x]),
      ),
    ),
  ) as [Splitter, Splitter]
  const apart = added_tokens.some((x) => x.special === true && isNormalized(x))
  const specials = added_tokens.filter((x) => x.special === true).map((x) => x.content)
  const isWritten = (text: string): boolean => specials.some((x) => text.includes(x))
  let plain: Words | undefined
  /** Words without the special tokens, for a text in which one is written, so that it is no word of the vocabulary. */
  const plainWords = (): Words => {
    plain ??= wordsOf(withoutTokens(json.right, specialIds))
    return plain
  }
  const encode: Tokenizer['encode'] = (text, { special = 'parse', addSpecial = false } = {}) => {
    const pieces = typeof text === 'string' ? [{ text }] : text
    const ids: number[] = addSpecial ? [...reader.before] : []
    let atBegin = true
    for (const part of joined(
      pieces.flatMap((p: TextPiece) => {
        const how = p.special ?? special
        return raw(p.text, how).map((x) => (typeof x === 'number' ? x : { text: x, special: how }))
      }),
      apart,
    )) {
      if (typeof part === 'number') ids.push(part)
      else
        for (const inner of normalized(words.normalize(part.text), part.special)) {
          if (typeof inner === 'number') ids.push(inner)
          else {
            const by = part.special === 'text' && isWritten(inner) ? plainWords() : words
            for (const id of by.encode(inner, atBegin)) ids.push(id)
          }
          atBegin = false
        }
      atBegin = false
    }
    if (addSpecial) ids.push(...reader.after)
    return Int32Array.from(ids)
  }
  let vocabSize = words.size
  for (const { id } of added_tokens) vocabSize = Math.max(vocabSize, id + 1)

  const tidy = config.right.clean_up_tokenization_spaces ?? false
  const named = (token: t.TypeOf<typeof NamedToken>): number | undefined =>
    token == null ? undefined : idOf(typeof token === 'string' ? token : token.content)
  return E.right({
    encode,
    decode: (from, { skipSpecial = false } = {}) => {
      const known = Array.from(from).filter(
        (id) => reader.tokenOf(id) !== undefined && !(skipSpecial && specialIds.has(id)),
      )
      return known.length === 0 ? '' : reader.decode(known, tidy)
    },
    idOf,
    tokenOf: (id) => reader.tokenOf(id),
    vocabSize,
    special: new Map(added_tokens.filter((x) => x.special === true).map((x) => [x.content, x.id])),
    eos: named(config.right.eos_token),
    bos: named(config.right.bos_token),
    pad: named(config.right.pad_token),
    chatTemplate: chatTemplate ?? defaultTemplate(config.right.chat_template),
    files: {
      'tokenizer.json': tokenizerJson,
      'tokenizer_config.json': tokenizerConfig,
      ...present({ 'chat_template.jinja': chatTemplate }),
    },
  })
}

type Fragment = { readonly text: string; readonly special: Special }

/**
 * Joins neighbouring texts, so that a text in pieces is encoded as a whole. Texts whose special tokens are read differently
 * stay apart where special tokens are still to be found in them.
 */
const joined = (parts: readonly (Fragment | number)[], apart: boolean): readonly (Fragment | number)[] => {
  const out: (Fragment | number)[] = []
  for (const part of parts) {
    const before = out[out.length - 1]
    if (typeof part === 'number' || typeof before !== 'object') out.push(part)
    else if (apart && before.special !== part.special) out.push(part)
    else
      out[out.length - 1] = {
        text: before.text + part.text,
        special: before.special === part.special ? part.special : 'text',
      }
  }
  return out
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
    async () => withoutMark(await readFile(file, 'utf8')),
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
      pipe(
        parseJson(text),
        E.mapLeft(
          (why) => new TokenizerError('BadJson', file, `it is not JSON (${why})`, 'replace the file'),
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
