/**
 * A talk with a model: the turns so far, and answers as they come.
 *
 * @since 0.1.0
 */
import { resolve } from 'node:path'
import { concat, concatMap, defer, filter, from, map, type Observable, tap } from 'rxjs'
import type { ChatPart, ChatTurn, Conversation } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import type { Batch } from '../serve/index.ts'
import { type Io, messageOf } from './command.ts'
import type { Lines } from './lines.ts'
import type { Answering } from './served.ts'

/** How a model is talked to. */
export interface TalkOptions {
  readonly sampling: Omit<Sampling, 'maxNewTokens'>
  /** Default: as many as there is room for. */
  readonly maxNewTokens?: number
  readonly seed: number
  readonly think: boolean
  readonly system?: string
}

/** A user's turn: the pictures first, as models are trained to read them. */
export const userTurn = async (text: string, pictures: readonly string[], cwd: string): Promise<ChatTurn> => {
  const { isVideo, spaced } = await import('../data/index.ts')
  const shown = pictures.map(async (picture): Promise<ChatPart> => {
    const path = resolve(cwd, picture)
    return (await isVideo(path)) ? { type: 'video', video: { path } } : { type: 'image', image: { path } }
  })
  return { role: 'user', parts: spaced([...(await Promise.all(shown)), { type: 'text', text }]) }
}

/** The tokens of a prompt that has room for an answer. @throws Error that says what to do where it has none */
const fitted = ({ batching }: Answering, prompt: Conversation, isFirst: boolean): Conversation => {
  const { context, images } = batching.sizes
  if (prompt.images.length > images)
    throw new Error(
      `there are ${prompt.images.length} pictures, and room for ${images}; raise --images (each tile and each frame is one)`,
    )
  if (prompt.ids.length >= context)
    throw new Error(
      `what was said has ${prompt.ids.length} tokens, and with the answer it may have ${context}; ${isFirst ? 'shorten it' : 'begin anew (/new)'}, or raise --context`,
    )
  batching.check(prompt)
  return prompt
}

/** An answer to the turns, as its text comes; `cut` is told of one that had to end before it did. Unsubscribing stops it. */
export const answerTo = (
  a: Answering,
  batch: Batch,
  turns: readonly ChatTurn[],
  o: TalkOptions,
  cut: (note: string) => void,
): Observable<string> =>
  defer(async () => {
    const { chatPrompt } = await import('../data/index.ts')
    const { settled, uniforms } = await import('../generation/index.ts')
    const { written } = await import('../serve/index.ts')
    const all =
      o.system === undefined
        ? turns
        : [{ role: 'system' as const, parts: [{ type: 'text' as const, text: o.system }] }, ...turns]
    const asked = await chatPrompt(a.processor, 'chat', all, { think: o.think })
    const prompt = fitted(a, asked, turns.length === 1)
    const { context } = a.batching.sizes
    const room = context - prompt.ids.length
    const most = Math.min(o.maxNewTokens ?? room, room)
    const why =
      most < room
        ? `--max-tokens is ${most}`
        : `what was said and the answer have ${context} tokens; raise --context`
    const job = {
      prompt,
      sampling: settled({ ...o.sampling, maxNewTokens: most }),
      uniforms: uniforms(o.seed, 'chat', turns.length),
    }
    const { thought, tokenizer } = a.processor
    // a thought that the prompt has opened is shown as one
    const opened =
      thought !== undefined && prompt.ids.at(-1) === thought.open ? [tokenizer.decode([thought.open])] : []
    const answer = written(batch, a.processor, job).pipe(
      tap(({ finish }) => {
        if (finish === 'length') cut(`(cut off: ${why})`)
      }),
      map(({ text }) => text),
    )
    return concat(from(opened), answer)
  }).pipe(
    concatMap((texts) => texts),
    filter((text) => text !== ''),
  )

const help = `/picture <file>  shows a picture or a video with what you say next
/new             forgets what was said
/exit            ends (so does Ctrl-D); Ctrl-C stops an answer`

/** Writes a piece of an answer; what would steer a terminal is shown as a mark there, and written as it is elsewhere. */
export const write = ({ stdout }: Io, piece: string): void => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  stdout.write(stdout.isTTY === true ? piece.replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\u00b7') : piece)
}

/** Talks until there are no more lines, or `/exit`. */
export const talk = async (
  a: Answering,
  lines: Lines,
  io: Io,
  o: TalkOptions,
  first: readonly string[],
): Promise<void> => {
  const batch = a.batching.open(a.session)
  let turns: readonly ChatTurn[] = []
  let pictures = first
  const say = (text: string): void => void io.stderr.write(`${text}\n`)
  const atPrompt = (): void => say('\n/exit ends the chat.')

  /** Writes the answer as it comes; its text, or undefined where there was none. */
  const answered = (asked: readonly ChatTurn[]): Promise<string | undefined> =>
    new Promise((done) => {
      let text = ''
      let cut: string | undefined
      const ended = (note?: string): void => {
        forget()
        if (text !== '') io.stdout.write('\n')
        if (note !== undefined) say(note)
        done(text === '' && note !== undefined ? undefined : text)
      }
      const forget = lines.onInterrupt(() => {
        coming.unsubscribe()
        ended('(stopped)')
      })
      const coming = answerTo(a, batch, asked, o, (note) => {
        cut = note
      }).subscribe({
        next: (piece) => {
          text += piece
          write(io, piece)
        },
        error: (e) => ended(messageOf(e)),
        complete: () => ended(text === '' ? '(it said nothing)' : cut),
      })
    })

  for (;;) {
    const forget = lines.onInterrupt(atPrompt)
    const line = (await lines.next('> '))?.trim()
    forget()
    if (line === undefined || line === '/exit') return
    const [word, ...rest] = line.split(' ')
    if (line === '') continue
    if (word === '/new') {
      turns = []
      pictures = []
    } else if (word === '/picture' && rest.length > 0) pictures = [...pictures, rest.join(' ')]
    else if (word!.startsWith('/')) say(help)
    else {
      const asked = [...turns, await userTurn(line, pictures, io.cwd)]
      const text = await answered(asked)
      // what could not be answered was not said
      if (text !== undefined) turns = [...asked, { role: 'assistant', parts: [{ type: 'text', text }] }]
      pictures = []
    }
  }
}
