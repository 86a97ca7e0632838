/** `sailwright serve`: offers a trained model as an OpenAI-compatible endpoint. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Serving } from '../../serve/index.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  interrupted,
  messageOf,
  printJson,
} from '../command.ts'
import { type Answering, modelArgument, modelFlags, withAnswering } from '../served.ts'

/** `sailwright serve <run|checkpoint|folder>`. */
export const serveCommand: Command = {
  name: 'serve',
  summary: 'Offers a trained model as an OpenAI-compatible endpoint.',
  positionals: [modelArgument],
  flags: {
    port: {
      value: 'n',
      help: 'where it listens; 0: any that is free',
      integerFrom: 0,
      integerTo: 65535,
      otherwise: '8000',
    },
    host: {
      value: 'address',
      help: 'whom it listens to; 0.0.0.0: whoever reaches this machine',
      otherwise: '127.0.0.1: this machine alone',
    },
    name: { value: 'name', help: "the model's name there", otherwise: "the folder's" },
    rows: { value: 'n', help: 'answers at once', integerFrom: 1, otherwise: '8' },
    ...modelFlags,
    json: { help: 'prints one JSON object when it listens: baseURL, model, engine' },
  },
  examples: [
    ['sailwright serve runs/recipe-20260102-030405', 'at http://127.0.0.1:8000/v1'],
    ['sailwright serve runs/recipe/checkpoints/sft --port 0 --name judge --json', 'for scripts'],
  ],
  notes: [
    'It answers /v1/models, /v1/chat/completions (texts, images as data URLs, stream) and /v1/completions (texts or token ids in, with return_token_ids token ids out). Nobody is asked for a key. Ctrl-C ends it.',
  ],
  run: (args, io) => withAnswering(args, io, args.integer('rows') ?? 8, (a) => served(a, args, io)),
}

const served = (a: Answering, args: Args, io: Io): TE.TaskEither<CliError, void> => {
  const name = args.text('name') ?? a.name
  return pipe(
    attempt(() => import('../../serve/index.ts')),
    TE.chain(({ serve }) =>
      pipe(
        serve({
          ...{ name, processor: a.processor, batching: a.batching, session: a.session },
          ...{ port: args.integer('port'), host: args.text('host') },
          onFault: (e) => io.stderr.write(`a request failed: ${messageOf(e)}\n`),
        }),
        TE.mapLeft((e) => failed(e.message)),
      ),
    ),
    TE.chain((serving) => async () => {
      const { baseURL } = serving
      if (args.on('json')) printJson(io, { baseURL, model: name, engine: a.engine, what: a.what })
      else {
        io.stderr.write(`${a.what}, as model '${name}', on ${a.engine}. Ctrl-C ends it.\n`)
        io.stdout.write(`${baseURL}\n`)
      }
      return untilInterrupted(serving, io)
    }),
  )
}

const untilInterrupted = async (serving: Serving, io: Io): Promise<E.Either<CliError, void>> => {
  await new Promise<void>((done) => {
    const forget = io.onInterrupt(() => {
      queueMicrotask(() => forget())
      done()
    })
  })
  await serving.close()
  return E.left(interrupted('stopped.'))
}
