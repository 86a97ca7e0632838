/**
 * Conversations and questions from rows of a user's own data.
 *
 * @since 0.1.0
 */
import { ChatError, specialIn } from '../formats/index.ts'
import { functionSetting, kindOf, onlySettings, SettingsError, shownValue } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import type { Chat } from './chat.ts'
import { chatConversation } from './chat-conversation.ts'
import { chatPrompt } from './chat-prompt.ts'
import { tilesOf } from './collate.ts'
import type { Conversation } from './conversation.ts'
import { givenSource } from './given.ts'
import { type Processor, ProcessorError } from './processor.ts'
import type { Question } from './question.ts'
import { ImageError } from './read-image.ts'
import { chatOf, plainTextOf, promptOf } from './row-chat.ts'
import { mapped, mappedToMany, placeOf, type Row, RowError, type RowOptions } from './rows/row.ts'
import type { Source } from './source.ts'

/** Settings of {@link conversations} and {@link questions}. */
export interface ConversationOptions extends RowOptions {
  readonly processor: Processor
  /** Tokens that a row of the batch holds; longer chats are bad rows, longer texts are cut. Default: no limit. */
  readonly tokens?: number
  /**
   * Images that a row of the batch has room for, each tile and each frame counted, of an encoder of any resolution squares;
   * conversations with more are bad rows. Default: no limit.
   */
  readonly images?: number
  /**
   * What a text that spells one of the tokenizer's special tokens makes of its row: a bad row, or, with `'text'`, a row in
   * which it stays ordinary text. It never becomes the token. An assistant may write `<think>` and `</think>`. Default
   * `'bad'`.
   */
  readonly special?: 'bad' | 'text'
}

const optionNames: readonly (keyof ConversationOptions)[] = [
  ...(['processor', 'tokens', 'images', 'special', 'onBadRow'] as const),
]

/** The options, with no others than there are, and a processor. @throws SettingsError */
const checked = <O extends ConversationOptions>(
  where: string,
  options: O,
  more: readonly (keyof O & string)[] = [],
): O => {
  const { processor, special, onBadRow } = onlySettings(where, options, [...optionNames, ...more])
  if (processor?.tokenizer === undefined)
    throw new SettingsError(
      where,
      'processor',
      `it is ${kindOf(processor)}; give a processor, such as processor(textTokenizer(…))`,
    )
  for (const [name, least] of [
    ['tokens', 1],
    ['images', 0],
  ] as const) {
    const n = options[name]
    if (n !== undefined && n !== Infinity && !(Number.isSafeInteger(n) && n >= least))
      throw new SettingsError(
        where,
        name,
        `it is ${shownValue(n)}; give a whole number from ${least}, or leave it out`,
      )
  }
  if (special !== undefined && special !== 'bad' && special !== 'text')
    throw new SettingsError(where, 'special', `it is ${shownValue(special)}; give 'bad' or 'text'`)
  functionSetting(where, 'onBadRow', onBadRow)
  return options
}

const isRows = (e: unknown): e is Error =>
  e instanceof ImageError || e instanceof ChatError || (e instanceof ProcessorError && e.tag === 'OtherModel')

/** What is wrong with a row's content is wrong with the row. */
const ofRow = async <A>(row: Row, make: () => Promise<A>): Promise<A> => {
  try {
    return await make()
  } catch (e) {
    throw isRows(e) ? new RowError(row, e.message, e) : e
  }
}

/** The first special token that somebody spells, and in which turn. */
const speltIn = (
  { template, tokenizer }: Processor,
  chat: Chat,
): readonly [turn: number, word: string] | undefined => {
  for (const [i, { role, parts }] of chat.turns.entries()) {
    const sought = specialIn(template?.special ?? tokenizer.special ?? [], role)
    for (const part of parts) {
      const word = part.type === 'text' && sought !== undefined ? part.text.match(sought)?.[0] : undefined
      if (word !== undefined) return [i, word]
    }
  }
  return undefined
}

const made = (
  row: Row,
  chat: Chat,
  { processor, tokens = Infinity, images = Infinity, special = 'bad' }: ConversationOptions,
  lay: (chat: Chat) => Promise<Conversation> = (c) => chatConversation(processor, c),
): Promise<Conversation> =>
  ofRow(row, async () => {
    const spelt = special === 'bad' ? speltIn(processor, chat) : undefined
    if (spelt !== undefined)
      throw new RowError(
        row,
        `its turn ${spelt[0]} spells the special token ${spelt[1]}; take it out, or keep it as text by special: 'text'`,
      )
    const laid = await lay(chat)
    const { length } = laid.ids
    if (length > tokens)
      throw new RowError(
        row,
        `it has ${length} tokens and a row holds ${tokens}; raise the row's tokens or shorten it`,
      )
    const tiles = tilesOf(processor, laid.images)
    if (tiles > images)
      throw new RowError(
        row,
        `its images are ${tiles} ${processor.image?.patchSize === undefined ? 'tiles and frames' : 'squares'} and a row has room for ${images}; raise the row's images or leave some out`,
      )
    return laid
  })

const configOf = (
  kind: string,
  rows: Source<Row>,
  { processor, tokens, images, special }: ConversationOptions,
) => ({
  ...{ kind, rows: givenSource(kind, 'rows', rows).config, processor: processor.config },
  ...present({ tokens, images }),
  ...(special === 'text' ? { special } : {}),
})

/** All but the first token, which nothing stands before. */
const learntOf = (ids: readonly number[]): readonly boolean[] => ids.map((_, i) => i > 0)

/**
 * A text in pieces of at most so many tokens. Each begins with the last token of the one before it, which is not learnt again
 * there: every token but the text's first is learnt once, and each behind as many as its piece has before it.
 */
const cut = (text: Conversation, tokens: number): readonly Conversation[] => {
  const { id, ids } = text
  if (ids.length <= tokens) return [text]
  return Array.from({ length: Math.ceil((ids.length - 1) / (tokens - 1)) }, (_, n) => {
    const piece = ids.slice(n * (tokens - 1), n * (tokens - 1) + tokens)
    return { ...text, id: `${id}[${n}]`, ids: piece, lossMask: learntOf(piece) }
  })
}

/** A text as it is, of which every token but the first is learnt, and the token that ends a turn behind it; in pieces where it is longer than a row. */
const ofText = async (
  row: Row,
  text: string,
  options: ConversationOptions,
): Promise<readonly Conversation[]> => {
  const { processor, tokens = Infinity } = options
  const spoken: Chat = { id: placeOf(row), turns: [{ role: 'user', parts: [{ type: 'text', text }] }] }
  // nothing can be learnt in rows of one token
  const whole = tokens < 2 ? options : { ...options, tokens: Infinity }
  const laid = await made(row, spoken, whole, async ({ id }) => {
    const ids = [...processor.tokenizer.encodeText(text), processor.end]
    return { id, ids, lossMask: learntOf(ids), promptLength: 1, images: [] }
  })
  return cut(laid, tokens)
}

/**
 * The conversations of rows, one a row, as `chatOf` reads them. A row that is nothing but a `text` is learnt as it is: every token,
 * and the one that ends a turn behind it; one that is longer than `tokens` is cut into pieces, of which each begins with the last
 * token of the one before it, so that each token is learnt once. A bad row is one that is no chat, whose image is missing or
 * damaged, a chat that is longer than `tokens` or has more than `images`, or one in which somebody spells a special token: it is told to `onBadRow` and left out, or ends the reading where nobody is told.
 *
 * @category sources
 */
export const conversations = (rows: Source<Row>, options: ConversationOptions): Source<Conversation> => {
  const { onBadRow } = checked('conversations', options)
  const conversationsOf = async (row: Row): Promise<readonly Conversation[]> => {
    const text = plainTextOf(row)
    return text === undefined ? [await made(row, chatOf(row), options)] : ofText(row, text, options)
  }
  return mappedToMany('conversations', configOf('conversations', rows, options), rows, conversationsOf, {
    onBadRow,
  })
}

const textOf = (chat: Chat, role: 'user' | 'assistant'): string =>
  (chat.turns.findLast((t) => t.role === role)?.parts ?? [])
    .map((p) => (p.type === 'text' ? p.text : ''))
    .join('')
    .trim()

/**
 * Rows as questions for an evaluation: what the user asks last, and the assistant's last words, without outer spaces, as the
 * answer that is expected. Bad rows as {@link conversations} has them.
 *
 * @category sources
 */
export const questions = (rows: Source<Row>, options: ConversationOptions): Source<Question> => {
  const { onBadRow } = checked('questions', options)
  return mapped(
    configOf('questions', rows, options),
    rows,
    async (row): Promise<Question> => {
      const chat = chatOf(row)
      const conversation = await made(row, chat, options)
      return { conversation, question: textOf(chat, 'user'), expected: textOf(chat, 'assistant') }
    },
    { onBadRow },
  )
}

/** What a row asks, and all that it says. */
export interface RowPrompt {
  /** Up to where the assistant begins to write; its id is the row's place. */
  readonly prompt: Conversation
  /** What the user asks last. */
  readonly question: string
  /** For rewards: the right answer, say. */
  readonly columns: Row['columns']
}

/** Settings of {@link prompts}. */
export interface RowPromptOptions extends ConversationOptions {
  /** Whether the assistant is to think before it answers. Default: as the model does. */
  readonly think?: boolean
}

/**
 * Rows as prompts, of which tasks of reinforcement are made, as `promptOf` reads them: rows without an answer, and of others
 * what comes before it. Bad rows as {@link conversations} has them.
 *
 * @category sources
 */
export const prompts = (rows: Source<Row>, options: RowPromptOptions): Source<RowPrompt> => {
  const { think, onBadRow } = checked('prompts', options, ['think'])
  if (think !== undefined && typeof think !== 'boolean')
    throw new SettingsError('prompts', 'think', `it is ${kindOf(think)}; give true or false, or leave it out`)
  return mapped(
    { ...configOf('prompts', rows, options), ...present({ think }) },
    rows,
    async (row): Promise<RowPrompt> => {
      const chat = promptOf(row)
      const prompt = await made(row, chat, options, ({ id, turns, variables }) =>
        chatPrompt(options.processor, id, turns, {
          ...present({ think, variables }),
        }),
      )
      return { prompt, question: textOf(chat, 'user'), columns: row.columns }
    },
    { onBadRow },
  )
}
