/**
 * Chats: what users and the assistant say to each other, with images and videos between the words, read from a row of any of
 * the usual formats.
 *
 * @since 0.1.0
 */
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as t from 'io-ts'
import type { FileInput } from './file-input.ts'
import type { RgbImage } from './image.ts'
import { ImageError, type ImageInput, readImage } from './read-image.ts'
import { placeOf, type Row, RowError } from './rows/row.ts'
import type { VideoInput } from './video.ts'

/** A piece of a turn: a text as it was written, an image (perhaps a video's frame, which is never cut), or a video. */
export type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: ImageInput; readonly frame?: boolean }
  | { readonly type: 'video'; readonly video: VideoInput }

/** A piece of a turn whose videos are frames. */
export type StillPart = Exclude<ChatPart, { readonly type: 'video' }>

/** What one of them says. */
export interface ChatTurn<out P extends ChatPart = ChatPart> {
  readonly role: 'system' | 'user' | 'assistant'
  readonly parts: readonly P[]
  /** False of an answer that is read and not learnt: one of a prompt, or of weight 0. */
  readonly learn?: false
}

/** A chat: perhaps a system turn, then user and assistant by turns; the assistant has the last word. */
export interface Chat<out P extends ChatPart = ChatPart> {
  readonly id: string
  readonly turns: readonly ChatTurn<P>[]
  /** Variables of the template beside its own: a row's `chat_template_kwargs`. */
  readonly variables?: Readonly<Record<string, unknown>>
}

/** Stand for an image and for a video in a text, in the order of the row's images and videos. */
const marks = { image: '<image>', video: '<video>' } as const
type Medium = keyof typeof marks
const anyMark = /(<image>|<video>)/

// --- what rows may hold -----------------------------------------------------------------------------------

const Bytes = new t.Type<Uint8Array, Uint8Array>(
  'bytes',
  (u): u is Uint8Array => u instanceof Uint8Array,
  (u, c) => (u instanceof Uint8Array ? t.success(u) : t.failure(u, c)),
  (bytes) => bytes,
)
const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null, t.undefined])

/** A path, a data URL, base64, bytes, or Hugging Face's struct of both. */
const ImageColumn = t.union([t.string, Bytes, t.partial({ bytes: orNull(Bytes), path: orNull(t.string) })])
type ImageColumn = t.TypeOf<typeof ImageColumn>

const TextPart = t.type({ type: t.literal('text'), text: t.string })
const UrlPart = t.type({
  type: t.literal('image_url'),
  image_url: t.union([t.string, t.type({ url: t.string })]),
})
const ImagePart = t.intersection([
  t.type({ type: t.literal('image') }),
  t.partial({ image: orNull(ImageColumn) }),
])
/** As an image, or a list of frames. */
const VideoColumn = t.union([ImageColumn, t.array(ImageColumn)])
type VideoColumn = t.TypeOf<typeof VideoColumn>
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

/** A value without the bytes in it, which as JSON are more letters than a text can have. */
const withoutBytes = (u: unknown): unknown =>
  u instanceof Uint8Array
    ? `${u.length} bytes`
    : Array.isArray(u)
      ? u.map(withoutBytes)
      : typeof u === 'object' && u !== null
        ? Object.fromEntries(Object.entries(u).map(([key, v]) => [key, withoutBytes(v)]))
        : u

const shown = (u: unknown): string => {
  if (u instanceof Uint8Array) return `${u.length} bytes`
  const text = JSON.stringify(withoutBytes(u)) ?? String(u)
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}

/**
 * The bytes of a PNG, JPEG, GIF or WebP in base64 with nothing before them: their first letters are no path's. What else there
 * is is looked for, since a pattern of all of it overflows the stack where it is some megabytes.
 */
const isBareBase64 = (text: string): boolean =>
  /^(iVBORw0KGgo|\/9j\/|R0lGOD|UklGR)/.test(text) && text.length > 40 && !/[^A-Za-z0-9+/=\s]/.test(text)

/** How Python shows bytes, or a record with them: what a table has in place of images where it was written from a data set of images. */
const isPythonsBytes = (text: string): boolean => /^\[?(b['"]|\{'(bytes|path)': )/.test(text)

/** No file system has longer ones. */
const longestPath = 4096

const textPart = (text: string): readonly ChatPart[] => (text === '' ? [] : [{ type: 'text', text }])

/**
 * The parts of a message as a model reads them: behind an image a newline, where something comes after it that does not begin
 * with white space itself. A video ends with a newline, that of its last frame.
 */
export const spaced = (parts: readonly ChatPart[]): readonly ChatPart[] =>
  parts.flatMap((part, i): readonly ChatPart[] => {
    const next = parts[i + 1]
    const apart =
      part.type !== 'image' || next === undefined || (next.type === 'text' && /^\s/.test(next.text))
    return apart ? [part] : [part, { type: 'text', text: '\n' }]
  })

/** What a message may say beside its content that a layout does not write: without it something else would be learnt. */
const unread = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'thinking'] as const

/** Whether a value says something: data sets fill columns that a row has no use for with null, '' or an empty list. */
const saysSomething = (value: unknown): boolean =>
  value != null && value !== '' && !(Array.isArray(value) && value.length === 0)

const pairs = ['question', 'prompt', 'instruction'] as const
const replies = ['answer', 'response', 'completion', 'output'] as const
/** What an instruction is about: Alpaca's word, and Dolly's. */
const inputs = ['input', 'context'] as const
const systems = ['system_prompt', 'system'] as const

/** Reads one row; every `fail` says what is wrong with it. */
const reader = (row: Row) => {
  const fail = (reason: string): never => {
    throw new RowError(row, reason)
  }

  /** Rows of several kinds in one file share their columns: those of the other kinds say nothing. */
  const has = (name: string): boolean => saysSomething(row.columns[name])

  const column = <A>(name: string, codec: t.Type<A, unknown>, what: string): A => {
    const value = row.columns[name]
    return codec.is(value) ? value : fail(`its ${name} is ${shown(value)}; give ${what}`)
  }

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

  const ownPath = (where: string, url: string): string => {
    try {
      return fileURLToPath(url)
    } catch {
      return fail(`its ${where} is ${shown(url)}, which is no file of this machine`)
    }
  }

  const imageOf = (where: string, image: ImageColumn): FileInput => {
    const name = `${where} of ${placeOf(row)}`
    if (image instanceof Uint8Array) return { bytes: image, name }
    if (typeof image !== 'string') {
      if (image.bytes != null) return { bytes: image.bytes, name: image.path ?? name }
      return image.path == null
        ? fail(`its ${where} has neither bytes nor a path`)
        : imageOf(where, image.path)
    }
    const data = /^data:([^,]*),/i.exec(image)
    if (data !== null) {
      if (!/;base64$/i.test(data[1]!)) fail(`its ${where} is a data URL that is not in base64`)
      const base64 = image.slice(data[0].length)
      if (!/^[A-Za-z0-9+/\s]*=*\s*$/.test(base64))
        fail(`its ${where} is a data URL with other letters than base64's`)
      return { bytes: Buffer.from(base64, 'base64'), name }
    }
    if (/^(?!file:)[a-z][a-z\d+.-]*:\/\//i.test(image))
      fail(
        `its ${where} is ${shown(image)}; nothing is fetched from the net: fetch it first, and give a path`,
      )
    if (image === '') fail(`its ${where} is an empty path`)
    if (isBareBase64(image)) return { bytes: Buffer.from(image, 'base64'), name }
    if (isPythonsBytes(image))
      fail(
        `its ${where} is ${shown(image)}, as Python shows bytes; write the rows as Parquet, or the images as files that the rows name`,
      )
    if (image.length > longestPath)
      fail(
        `its ${where} is ${shown(image)} of ${image.length} letters; give a path, a data URL, base64 or bytes`,
      )
    const path = image.startsWith('file:') ? ownPath(where, image) : image
    return { path: isAbsolute(path) ? path : join(dirname(row.file), path) }
  }

  /** The images of the row's own columns: `images`, a list, or `image`, one. */
  const ownImages = (): readonly ImageInput[] => {
    const name = ['images', 'image'].find(has)
    if (name === undefined) return []
    const what = 'a path, a data URL, { bytes, path }, or a list of them'
    const given = column(name, t.union([t.array(ImageColumn), ImageColumn]), what)
    return Array.isArray(given)
      ? given.map((one, i) => imageOf(`${name}[${i}]`, one))
      : [imageOf(name, given as ImageColumn)]
  }

  const videoOf = (where: string, video: VideoColumn): VideoInput => {
    if (!Array.isArray(video)) return imageOf(where, video as ImageColumn)
    if (video.length === 0) fail(`its ${where} is a list without a frame`)
    return { frames: video.map((frame, i) => imageOf(`${where}[${i}]`, frame)) }
  }

  /** The videos of the row's own columns: `videos`, a list, or `video`, one: a list there is its frames. */
  const ownVideos = (): readonly VideoInput[] => {
    const what = 'a path, bytes, { bytes, path }, or a list of frames'
    if (has('videos'))
      return column('videos', t.array(VideoColumn), `a list, each ${what}`).map((one, i) =>
        videoOf(`videos[${i}]`, one),
      )
    return has('video') ? [videoOf('video', column('video', VideoColumn, what))] : []
  }

  /** The row's own images and videos, taken one by one. */
  const ownMedia = () => {
    const own: Readonly<Record<Medium, readonly ChatPart[]>> = {
      image: ownImages().map((image) => ({ type: 'image', image })),
      video: ownVideos().map((video) => ({ type: 'video', video })),
    }
    const used = { image: 0, video: 0 }
    const next = (medium: Medium): ChatPart | undefined => own[medium][used[medium]++]
    return { own, used, next }
  }

  /** A video is followed by a newline already, that of its last frame. */
  const behind = (part: ChatPart): readonly ChatPart[] => (part.type === 'video' ? [] : textPart('\n'))

  /** Puts the row's images and videos where the marks in texts are, or, `orFirst`, before the first user's words where there is no mark. */
  const placed = (
    turns: readonly { readonly role: ChatTurn['role']; readonly text: string }[],
    orFirst: boolean,
  ): readonly ChatTurn[] => {
    const { own, next } = ownMedia()
    const first = turns.findIndex(({ role }) => role === 'user')
    const before: ChatPart[] = []
    for (const medium of ['image', 'video'] as const) {
      const count = own[medium].length
      const marked = turns.reduce((n, { text }) => n + text.split(marks[medium]).length - 1, 0)
      if (marked === 0 && orFirst) before.push(...own[medium].flatMap((part) => [part, ...behind(part)]))
      else if (marked !== count)
        fail(
          `it has ${marked} ${marks[medium]} marks and ${count} ${medium}s; give as many of one as of the other${
            count === 0 ? ', or content as parts, in which a text is only a text' : ''
          }`,
        )
    }
    return turns.map(({ role, text }, i) => ({
      role,
      parts: [
        ...(i === first ? before : []),
        ...text
          .split(anyMark)
          .flatMap((piece) =>
            piece === marks.image
              ? [next('image')!]
              : piece === marks.video
                ? [next('video')!]
                : textPart(piece),
          ),
      ],
    }))
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

  return { fail, turns, variables, ownImages, plainText }
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
 * The images of a row's `image` or `images`, in the forms in which {@link chatOf} takes them.
 *
 * @throws RowError where one is none of those
 * @category reading
 */
export const imagesOfRow = (row: Row): readonly ImageInput[] => reader(row).ownImages()

/**
 * The one image of a row as {@link readImage} reads it.
 *
 * @throws RowError where it has no image or several, or one that cannot be read
 * @category reading
 */
export const readRowImage = async (row: Row, size: number): Promise<RgbImage> => {
  const images = imagesOfRow(row)
  if (images.length !== 1) throw new RowError(row, `it has ${images.length} images; give one, as image`)
  try {
    return await readImage(images[0]!, size)
  } catch (e) {
    throw e instanceof ImageError ? new RowError(row, e.message, e) : e
  }
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
