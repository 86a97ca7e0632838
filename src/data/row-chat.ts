/**
 * Chats read from rows of any of the usual formats.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { type Chat, type ChatPart, type ChatTurn, spaced, textPart } from './chat.ts'
import { rowColumns, saysSomething, shown } from './row-columns.ts'
import { ImageColumn, type Medium, orNull, rowMedia, VideoColumn } from './row-media.ts'
import { placeOf, type Row } from './rows/row.ts'

// --- what rows may hold -----------------------------------------------------------------------------------

const TextPart = t.type({ type: t.literal('text'), text: t.string })
const UrlPart = t.type({
  type: t.literal('image_url'),
  image_url: t.union([t.string, t.type({ url: t.string })]),
})
const ImagePart = t.intersection([
  t.type({ type: t.literal('image') }),
  t.partial({ image: orNull(ImageColumn) }),
])
const VideoPart = t.intersection([
  t.type({ type: t.literal('video') }),
  t.partial({ video: orNull(VideoColumn) }),
])
const VideoUrlPart = t.type({
  type: t.literal('video_url'),
  video_url: t.union([t.string, t.type({ url: t.string })]),
})
const Part = t.union([TextPart, UrlPart, ImagePart, VideoPart, VideoUrlPart])
const Message = t.type({ role: t.string, content: t.union([t.string, t.array(Part)]) })
type Message = t.TypeOf<typeof Message>
const ShareGptTurn = t.type({ from: t.string, value: t.string })

const roles: Readonly<Record<string, ChatTurn['role']>> = {
  ...{ system: 'system', user: 'user', human: 'user' },
  ...{ assistant: 'assistant', gpt: 'assistant', model: 'assistant' },
}

// --- from a row -------------------------------------------------------------------------------------------

/** What a message may say beside its content that a layout does not write: without it something else would be learnt. */
const unread = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'thinking'] as const

const pairs = ['question', 'prompt', 'instruction'] as const
const replies = ['answer', 'response', 'completion', 'output'] as const
/** What an instruction is about: Alpaca's word, and Dolly's. */
const inputs = ['input', 'context'] as const
const systems = ['system_prompt', 'system'] as const

/** Reads one row; every `fail` says what is wrong with it. */
const reader = (row: Row) => {
  const columns = rowColumns(row)
  const { fail, has, column } = columns
  const { imageOf, videoOf, ownMedia, placed } = rowMedia(columns)

  /** A column that is a list of turns; it says which of them is none, and which of its parts. */
  const turnsOf = <A>(name: string, codec: t.Type<A, unknown>, what: string): readonly A[] => {
    const list = column(name, t.array(t.unknown), `a list of ${what}`)
    return list.map((turn, i): A => {
      if (codec.is(turn)) return turn
      const { content } = (turn ?? {}) as { readonly content?: unknown }
      const part = Array.isArray(content) ? content.findIndex((one) => !Part.is(one)) : -1
      return part < 0
        ? fail(`its ${name}[${i}] is ${shown(turn)}; give ${what}`)
        : fail(`its ${name}[${i}].content[${part}] is ${shown((content as unknown[])[part])}; give ${what}`)
    })
  }

  const roleOf = (i: number, role: string): ChatTurn['role'] =>
    Object.hasOwn(roles, role)
      ? roles[role]!
      : fail(`its turn ${i} has the role ${shown(role)}; the roles are ${Object.keys(roles).join(', ')}`)

  /** Sees that a turn has nothing that is not read. */
  const sayAll = (turn: Readonly<Record<string, unknown>>, i: number, role: string): void => {
    const more = unread.find((key) => saysSomething(turn[key]))
    if (more !== undefined)
      fail(
        `its turn ${i} has ${more}, which is not read; put what is to be learnt into content, or take it out`,
      )
    // what is not an answer is never learnt, whatever its weight
    if (roleOf(i, role) === 'assistant' && turn.weight != null && turn.weight !== 1 && turn.weight !== 0)
      fail(
        `its turn ${i} has the weight ${shown(turn.weight)}, and an answer is learnt with weight 1 or, with 0, not at all; take the turn or the row out`,
      )
  }

  /** Marks answers that are not to be learnt. */
  const unlearnt = (turns: readonly ChatTurn[], isUnlearnt: (i: number) => boolean): readonly ChatTurn[] =>
    turns.map((turn, i) => (turn.role === 'assistant' && isUnlearnt(i) ? { ...turn, learn: false } : turn))

  /** A column of messages; where it may be a text, that is one message of this role. */
  const messagesIn = (name: string, textOf?: ChatTurn['role']): readonly Message[] => {
    const given = row.columns[name]
    if (textOf !== undefined && typeof given === 'string') return [{ role: textOf, content: given }]
    return turnsOf(
      name,
      Message,
      "{ role, content }, content a text or parts of type 'text', 'image_url', 'image', 'video_url', 'video'",
    )
  }

  /** What is asked, and perhaps the answer to it, which alone is learnt. */
  const fromPrompt = (question: string, answer: string | undefined): readonly ChatTurn[] => {
    const asked = messagesIn(question, 'user')
    const answered = answer === undefined ? [] : messagesIn(answer, 'assistant')
    return unlearnt(fromMessages([...asked, ...answered]), (i) => i < asked.length)
  }

  const fromMessages = (messages: readonly Message[]): readonly ChatTurn[] => {
    for (const [i, message] of messages.entries()) sayAll(message, i, message.role)
    return unlearnt(turnsWithMedia(messages), (i) => (messages[i] as { weight?: unknown }).weight === 0)
  }

  const turnsWithMedia = (messages: readonly Message[]): readonly ChatTurn[] => {
    if (messages.every(({ content }) => typeof content === 'string'))
      return placed(
        messages.map(({ role, content }, i) => ({ role: roleOf(i, role), text: content as string })),
        true,
      )
    const { own, used, next } = ownMedia()
    const nextOf = (medium: Medium): ChatPart =>
      next(medium) ?? fail(`it has more ${medium} parts than its ${own[medium].length} ${medium}s`)
    const urlOf = (url: string | { readonly url: string }): string =>
      typeof url === 'string' ? url : url.url
    const shownBy = (part: Exclude<t.TypeOf<typeof Part>, { type: 'text' }>): ChatPart => {
      switch (part.type) {
        case 'image_url':
          return { type: 'image', image: imageOf('image_url', urlOf(part.image_url)) }
        case 'video_url':
          return { type: 'video', video: imageOf('video_url', urlOf(part.video_url)) }
        case 'image':
          return part.image == null ? nextOf('image') : { type: 'image', image: imageOf('image', part.image) }
        case 'video':
          return part.video == null ? nextOf('video') : { type: 'video', video: videoOf('video', part.video) }
      }
    }
    const partOf = (part: t.TypeOf<typeof Part>): ChatPart => (part.type === 'text' ? part : shownBy(part))
    const turns = messages.map(({ role, content }, i) => ({
      role: roleOf(i, role),
      parts:
        typeof content === 'string'
          ? textPart(content)
          : spaced(content.map(partOf)).filter((part) => part.type !== 'text' || part.text !== ''),
    }))
    for (const medium of ['image', 'video'] as const)
      if (used[medium] < own[medium].length)
        fail(`it has ${own[medium].length} ${medium}s and ${used[medium]} ${medium} parts for them`)
    return turns
  }

  const fromShareGpt = (): readonly ChatTurn[] => {
    const turns = turnsOf('conversations', ShareGptTurn, '{ from, value }')
    for (const [i, turn] of turns.entries()) sayAll(turn, i, turn.from)
    const read = placed(
      turns.map(({ from, value }, i) => ({ role: roleOf(i, from), text: value })),
      false,
    )
    return unlearnt(read, (i) => (turns[i] as { weight?: unknown }).weight === 0)
  }

  const textOf = (name: string): string => column(name, t.string, 'a text')

  /** The one of these columns that says something; the first that is there where none does. */
  const oneOf = (names: readonly string[]): string | undefined => {
    const said = names.filter(has)
    // the same text twice says nothing more
    if (new Set(said.map((name) => row.columns[name])).size > 1)
      fail(`it has ${said.join(' and ')}, of which one is read; take the others out`)
    return said[0] ?? names.find((name) => name in row.columns)
  }

  const fromPair = (question: string, answer: string | undefined): readonly ChatTurn[] => {
    if ([question, answer].some((name) => name !== undefined && Array.isArray(row.columns[name])))
      return fromPrompt(question, answer)
    const more = question === 'instruction' ? oneOf(inputs) : undefined
    const others = question === 'instruction' ? ['history'] : [...inputs, 'history']
    const odd = others.find(has)
    if (odd !== undefined)
      fail(
        `it has ${odd}, which is not read beside ${question}; put what is to be read into ${question}, or take it out`,
      )
    const said = more !== undefined && has(more) ? [textOf(more)] : []
    return placed(
      [
        { role: 'user', text: [textOf(question), ...said].join('\n') },
        ...(answer === undefined ? [] : [{ role: 'assistant', text: textOf(answer) } as const]),
      ],
      true,
    )
  }

  /** The turns, after the system's that a column has. */
  const withSystem = (turns: readonly ChatTurn[]): readonly ChatTurn[] => {
    const name = oneOf(systems)
    if (name === undefined || !has(name)) return turns
    const told = textOf(name)
    if (turns[0]?.role !== 'system') return [{ role: 'system', parts: textPart(told) }, ...turns]
    const same = turns[0].parts.map((p) => (p.type === 'text' ? p.text : '')).join('') === told
    return same ? turns : fail(`it has a system turn and ${name}, which says another; take one of them out`)
  }

  /** What a row of these columns says, by turns; without `answered` a question alone will do. */
  const turns = (answered: boolean): readonly ChatTurn[] => {
    if (has('tools'))
      fail('it has tools, which are not read; write them into the system turn, or take them out')
    if (has('messages')) return withSystem(fromMessages(messagesIn('messages')))
    if (has('conversations')) return withSystem(fromShareGpt())
    const [question, answer] = [oneOf(pairs), answered ? oneOf(replies) : undefined]
    if (question === undefined || (answered && answer === undefined)) {
      const named = Object.keys(row.columns).map((name) =>
        has(name) ? name : `${name} (${row.columns[name] == null ? 'null' : 'empty'})`,
      )
      fail(
        `its columns are ${named.join(', ') || 'none'}; give messages, conversations, or ${
          has('chosen')
            ? 'a question and the one answer that is to be learnt: nothing is learnt of preferences'
            : answered
              ? 'a question and an answer'
              : 'a question'
        }`,
      )
    }
    if (answer === 'completion' && row.columns.label === false)
      fail('its label is false: its completion is one that is not wanted, and would be learnt; take it out')
    return withSystem(fromPair(question!, answer))
  }

  /** The variables that the template is given beside its own: those that say nothing are left out. */
  const variables = (): Pick<Chat, 'variables'> => {
    const name = 'chat_template_kwargs'
    if (!has(name)) return {}
    const given = column(name, t.UnknownRecord, 'a record of variables of the chat template')
    const said = Object.entries(given).filter(([, value]) => saysSomething(value))
    const tools = said.find(([key]) => /tools$/.test(key))
    if (tools !== undefined) fail(`its ${name} has ${tools[0]}, which are not read; take the row out`)
    return said.length === 0 ? {} : { variables: Object.fromEntries(said) }
  }

  /** What a row says that has a text and nothing that is asked or answered; undefined of any other. */
  const plainText = (): string | undefined => {
    if (row.columns.text == null || ['messages', 'conversations', ...pairs, ...replies].some(has))
      return undefined
    const media = ['image', 'images', 'video', 'videos'].find(has)
    if (media !== undefined)
      fail(`it has a text and ${media}, and nothing that is asked about that; give a question and an answer`)
    const text = textOf('text')
    return text.trim() === '' ? fail('its text is empty') : text
  }

  return { fail, turns, variables, plainText }
}

/** Sees that user and assistant take turns behind the system's, and that the assistant says something and shows nothing. */
const inTurn = (turns: readonly ChatTurn[], fail: (reason: string) => never): void => {
  const spoken = turns[0]?.role === 'system' ? turns.slice(1) : turns
  spoken.forEach(({ role, parts }, i) => {
    const wanted = i % 2 === 0 ? 'user' : 'assistant'
    const at = turns.length - spoken.length + i
    if (role !== wanted)
      fail(`its turn ${at} is the ${role}'s; user and assistant take turns, the user first`)
    if (role !== 'assistant') return
    const shows = parts.find((p) => p.type !== 'text')
    if (shows !== undefined)
      fail(`its turn ${at} is the assistant's and has ${shows.type === 'image' ? 'an image' : 'a video'}`)
    if (parts.every((p) => p.type === 'text' && p.text.trim() === ''))
      fail(`its turn ${at} is the assistant's and is empty`)
  })
  if (turns[0]?.role === 'system' && turns[0].parts.some((p) => p.type !== 'text'))
    fail('its system turn has an image or a video')
}

/**
 * The text of a row that is nothing but a text: its column `text`, where it has no chat, no question and no answer.
 *
 * @returns undefined of any other row
 * @throws RowError where it is none, where it is empty, or where the row has images or videos
 * @category reading
 */
export const plainTextOf = (row: Row): string | undefined => reader(row).plainText()

/**
 * The chat of a row, whose columns are one of
 *
 * - `messages`: `{ role, content }`, content a text or parts (`text`; `image_url` and `video_url`, a path or data URL;
 *   `image`, `video`);
 * - `conversations`: `{ from, value }`, as LLaVA and ShareGPT have it, with `<image>` where an image is;
 * - `question` or `prompt`, and `answer`, `response`, `completion` or `output`: texts, or lists of messages as TRL has them,
 *   of which the answer alone is learnt;
 * - `instruction` in place of the question, as Alpaca has it; its `input`, or Dolly's `context`, is the question's last line.
 *
 * A system's turn may also be a column: `system_prompt`, as OpenOrca has it, or `system`. `chat_template_kwargs` are variables
 * of the template.
 *
 * Images that are no parts are the row's `image` or `images`: paths inside the file's folder, data URLs, base64, bytes, or
 * `{ bytes, path }`. They stand where the texts have `<image>`; where no text has it, before the first user's words, but in
 * `conversations`, where that is an error. Videos are the row's `video` or `videos`, in the same forms or as lists of frames,
 * and stand where the texts have `<video>`. Nothing is fetched.
 *
 * @throws RowError where the row is none of these or of several at once, where `<image>` and images differ in number, where turns are out of order, where
 *   a turn has what is not read: `tool_calls`, `reasoning_content`, of an answer a `weight` other than 1 or 0; where there are
 *   `tools`, where no answer is learnt
 * @category reading
 */
export const chatOf = (row: Row): Chat => {
  const { fail, turns: read, variables } = reader(row)
  const turns = read(true)
  inTurn(turns, fail)
  if (turns.at(-1)?.role !== 'assistant') fail('it does not end with an answer of the assistant')
  if (turns.every(({ role, learn }) => role !== 'assistant' || learn === false))
    fail('none of its answers is learnt: each is one of the prompt, or of weight 0')
  return { id: placeOf(row), turns, ...variables() }
}

/**
 * What is asked in a row whose columns are those that {@link chatOf} reads, or of those without an answer: its turns up to the
 * last one of a user. An answer to it is not read.
 *
 * @throws RowError as {@link chatOf}, and where a `prompt` ends with an answer
 * @category reading
 */
export const promptOf = (row: Row): Chat => {
  const { fail, turns: read, variables } = reader(row)
  const all = read(false)
  const isList = [row.columns.messages, row.columns.conversations].some(saysSomething)
  const turns = isList && all.at(-1)?.role === 'assistant' ? all.slice(0, -1) : all
  inTurn(turns, fail)
  if (turns.at(-1)?.role !== 'user') fail('its prompt does not end with what a user says')
  return { id: placeOf(row), turns, ...variables() }
}
