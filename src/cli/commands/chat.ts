/** `sailwright chat`: talks to a trained model in the terminal. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  interrupted,
  messageOf,
  refuse,
  usage,
} from '../command.ts'
import { follow } from '../follow.ts'
import { type Answering, modelArgument, modelFlags, numberOf, withAnswering } from '../served.ts'
import type { TalkOptions } from '../talk.ts'

/** `sailwright chat <run|checkpoint|folder>`. */
export const chatCommand: Command = {
  name: 'chat',
  summary: 'Talks to a trained model in the terminal.',
  positionals: [modelArgument],
  flags: {
    message: { value: 'text', help: 'says this, prints the answer, and ends' },
    picture: {
      value: 'file',
      help: 'an image or a video (a folder of frames, an animated GIF or WebP, a video file) that is shown with the first words',
      many: true,
    },
    think: { help: 'the model is to think before it answers' },
    system: { value: 'text', help: "the system's turn, before all others" },
    temperature: { value: 't', help: 'of drawing tokens', otherwise: '0: the likeliest token, always' },
    'top-p': { value: 'p', help: 'only the likeliest tokens that have this probability together' },
    'top-k': { value: 'n', help: 'only the n likeliest tokens', integerFrom: 1 },
    'min-p': { value: 'p', help: 'only tokens at least this many times as likely as the likeliest' },
    'max-tokens': { value: 'n', help: 'of an answer', integerFrom: 1, otherwise: 'as many as fit' },
    seed: { value: 'n', help: 'of what is drawn', integerFrom: 0, otherwise: '0' },
    ...modelFlags,
    context: { ...modelFlags.context, otherwise: '512, and what is shown with --picture' },
    images: {
      ...modelFlags.images,
      otherwise: '4, or the most tiles of one image, or what is shown with --picture',
    },
  },
  examples: [
    ['sailwright chat runs/recipe-20260102-030405', 'lines are said, answers stream; /exit ends'],
    ['sailwright chat runs/recipe/checkpoints/sft --picture chart.png --message Highest?', 'one answer'],
    ['sailwright chat Qwen3-0.6B --think --temperature 0.6', 'a published model'],
  ],
  notes: [
    'Lines: /picture <file> shows a picture or a video with what is said next, /new forgets what was said, /exit ends. Ctrl-C stops an answer, and what was said of it stays; with --message it ends the program.',
    "Where the model has a chat template, --think sets its enable_thinking; else it opens the answer with the token that begins a thought. A model that was trained to think after some system's turn wants that one with --system, too.",
  ],
  run: (args, io) =>
    pipe(
      TE.fromEither(optionsOf(args)),
      TE.chainFirstEitherK(() => shownAre(args, io)),
      TE.chain((options) =>
        args.text('message') === undefined && io.lines === undefined
          ? TE.left(usage('there are no lines to read here; give --message.'))
          : withAnswering(
              args,
              io,
              1,
              (a) => (args.text('message') === undefined ? talked : said)(a, args, io, options),
              args.all('picture'),
            ),
      ),
    ),
}

const optionsOf = (args: Args): E.Either<CliError, TalkOptions> =>
  pipe(
    E.Do,
    E.bind('temperature', () => numberOf(args, 'temperature', 0, 100)),
    E.bind('topP', () => numberOf(args, 'top-p', 1e-9, 1)),
    E.bind('minP', () => numberOf(args, 'min-p', 0, 1)),
    E.chainFirst(() => {
      const odd = ['top-p', 'top-k', 'min-p'].find(args.on)
      return odd === undefined || args.on('temperature')
        ? E.right(undefined)
        : refuse(`--${odd} is of drawing tokens, and the likeliest is taken; give a --temperature as well.`)
    }),
    E.map(({ temperature, topP, minP }) => ({
      sampling: { temperature: temperature ?? 0, topP, minP, topK: args.integer('top-k') },
      maxNewTokens: args.integer('max-tokens'),
      seed: args.integer('seed') ?? 0,
      think: args.on('think'),
      system: args.text('system'),
    })),
  )

/** Whether what is to be shown is there, before a model is loaded. */
const shownAre = (args: Args, io: Io): E.Either<CliError, void> => {
  const gone = args.all('picture').find((path) => !existsSync(resolve(io.cwd, path)))
  return gone === undefined
    ? E.right(undefined)
    : E.left(failed(`--picture ${gone}: there is no such file or folder.`))
}

type Use = (a: Answering, args: Args, io: Io, options: TalkOptions) => TE.TaskEither<CliError, void>

/** One answer, on stdout. */
const said: Use = (a, args, io, options) => async () => {
  const { answerTo, userTurn, write } = await import('../talk.ts')
  const turn = await userTurn(args.text('message')!, args.all('picture'), io.cwd)
  const batch = a.batching.open(a.session)
  let cut: string | undefined
  const answer = answerTo(a, batch, [turn], options, (note) => {
    cut = note
  })
  const ended = await follow(answer, io, (text) => write(io, text))
  if (ended.how === 'failed') return E.left(failed(messageOf(ended.error)))
  io.stdout.write('\n')
  if (cut !== undefined) io.stderr.write(`${cut}\n`)
  if (ended.how === 'interrupted') return E.left(interrupted('stopped.'))
  return E.right(undefined)
}

/** Answers to lines, until there are no more. */
const talked: Use = (a, args, io, options) =>
  attempt(async () => {
    // before a word is said: Ctrl-C is heard from then on
    const { talk } = await import('../talk.ts')
    const lines = io.lines!()
    io.stderr.write(`${a.what}, on ${a.engine}. /exit ends.\n`)
    try {
      await talk(a, lines, io, options, args.all('picture'))
    } finally {
      lines.close()
    }
  })
