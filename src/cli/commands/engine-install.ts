/** `sailwright engine install`: builds the TensorFlow engine in a side folder. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { InstallErrorTag, InstallEvent } from '../../engine/index.ts'
import { didYouMean, inked, lookOf } from '../../terminal/index.ts'
import {
  type Args,
  type CliError,
  type Command,
  failed,
  type Io,
  messageOf,
  printJson,
  usage,
} from '../command.ts'
import { follow } from '../follow.ts'

/** `sailwright engine install tensorflow`. */
export const engineInstallCommand: Command = {
  name: 'engine install',
  summary:
    'Builds the TensorFlow engine in a folder of its own, against a TensorFlow that is here or that pip fetches.',
  positionals: [
    { name: 'engine', help: 'tensorflow (the onnx engine comes with the package)', required: true },
  ],
  flags: {
    from: {
      value: 'source',
      help: "a folder with TensorFlow's library, a wheel, a libtensorflow archive, or a pip requirement such as 'tensorflow[and-cuda]'",
      otherwise: 'tensorflow-cpu',
    },
    compiler: { value: 'path', help: 'the C++ compiler', otherwise: '$CXX, else g++, else clang++' },
    verbose: { help: 'shows every line that npm, pip and the compiler write' },
    json: { help: 'prints what was installed as one JSON object' },
  },
  examples: [
    ['sailwright engine install tensorflow', 'for the CPU'],
    ["sailwright engine install tensorflow --from 'tensorflow[and-cuda]'", 'for an NVIDIA GPU'],
    ['sailwright engine install tensorflow --from ./tensorflow.whl', 'from a file, without a network'],
  ],
  run: (args, io) => {
    const engine = args.positionals[0]!
    if (engine === 'tensorflow') return installing(args, io)
    return TE.left(
      usage(
        engine === 'onnx'
          ? "the onnx engine needs no installing: it comes with the package, and 'sailwright doctor' says whether it loads."
          : `there is no engine '${engine}' to install.${didYouMean(engine, ['tensorflow'])} There is tensorflow.`,
      ),
    )
  },
}

const installing = (args: Args, io: Io): TE.TaskEither<CliError, void> =>
  pipe(
    TE.tryCatch(
      async () => {
        const { installTensorflow } = await import('../../engine/index.ts')
        const look = lookOf(io.stderr, io.env)
        const from = args.text('from')
        const compiler = args.text('compiler')
        let last: Extract<InstallEvent, { type: 'installed' }> | undefined
        const ended = await follow(
          installTensorflow({
            ...(from === undefined ? {} : { from }),
            ...(compiler === undefined ? {} : { compiler }),
          }),
          io,
          (event) => {
            if (event.type === 'installed') last = event
            else if (event.type === 'step')
              io.stderr.write(`${inked(look, 'bold', event.step)}: ${event.message}\n`)
            else if (args.on('verbose')) io.stderr.write(`  ${inked(look, 'dim', event.line)}\n`)
          },
        )
        return { ended, last }
      },
      (e): CliError => failed(messageOf(e)),
    ),
    TE.chain(({ ended, last }): TE.TaskEither<CliError, void> => {
      if (ended.how === 'failed') {
        const { tag } = ended.error as { tag?: InstallErrorTag }
        return TE.left((tag === 'NoSuchSource' ? usage : failed)(messageOf(ended.error)))
      }
      if (ended.how === 'interrupted')
        return TE.left({ _tag: 'Interrupted', message: 'stopped; what was finished stays for the next try.' })
      if (last === undefined) return TE.left(failed('the installation ended without a result.'))
      const { installed } = last
      if (args.on('json')) printJson(io, installed)
      else
        io.stdout.write(
          `tensorflow ${installed.tensorflow} (${installed.gpu ? 'GPU' : 'CPU'}) is built: ${installed.binding}\n'sailwright doctor' measures it.\n`,
        )
      return TE.right(undefined)
    }),
  )
