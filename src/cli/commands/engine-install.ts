/** `sailwright engine install`: builds the TensorFlow engine, or puts a plugin for the xla engine, in a folder of its own. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Observable } from 'rxjs'
import type { InstallErrorTag } from '../../engine/index.ts'
import { called, didYouMean, inked, lookOf } from '../../terminal/index.ts'
import {
  type Args,
  attempt,
  type CliError,
  type Command,
  failed,
  type Io,
  interrupted,
  messageOf,
  printResult,
  usage,
} from '../command.ts'
import { follow } from '../follow.ts'

/** Flags that only one of the engines takes. */
const flagsOf = { tensorflow: ['compiler'], xla: ['plugin', 'python'] } as const

/** `sailwright engine install tensorflow|xla`. */
export const engineInstallCommand: Command = {
  name: 'engine install',
  summary:
    "Installs an engine in a folder of its own: tensorflow against a TensorFlow that is here or that pip fetches, xla with the plugin for this machine's GPU.",
  positionals: [
    { name: 'engine', help: 'tensorflow or xla (the onnx engine comes with the package)', required: true },
  ],
  flags: {
    from: {
      value: 'source',
      help: 'a folder, a file or a pip requirement: for tensorflow its library, a wheel or a libtensorflow archive, for xla a folder of wheels or with a plugin in it, or a wheel',
      otherwise:
        'tensorflow-cpu; for xla what a Python in use has, else the plugin that fits the driver here',
    },
    compiler: {
      value: 'path',
      help: 'tensorflow: the C++ compiler',
      otherwise: '$CXX, else g++, else clang++',
    },
    plugin: { value: 'file', help: "xla: a plugin's shared library, used where it is" },
    python: {
      value: 'path',
      help: 'xla: a Python that has a plugin (jax[cuda13] brings one), used where it is',
    },
    verbose: { help: 'shows every line that npm, pip and the compiler write' },
    json: { help: 'prints what was installed as one JSON object' },
  },
  examples: [
    ['sailwright engine install tensorflow', 'for the CPU'],
    ["sailwright engine install tensorflow --from 'tensorflow[and-cuda]'", 'for an NVIDIA GPU'],
    ['sailwright engine install tensorflow --from ./tensorflow.whl', 'from a file, without a network'],
    ['sailwright engine install xla', 'for the GPU of this machine'],
    ['sailwright engine install xla --python python3', 'a plugin that this Python has'],
    ['sailwright engine install xla --from ./wheels', 'from files, without a network'],
  ],
  run: (args, io) => {
    const engine = args.positionals[0]!
    if (engine !== 'tensorflow' && engine !== 'xla')
      return TE.left(
        usage(
          engine === 'onnx'
            ? `the onnx engine needs no installing: it comes with the package, and '${called()} doctor' says whether it loads.`
            : `there is no engine '${engine}' to install.${didYouMean(engine, ['tensorflow', 'xla'])} There are tensorflow and xla.`,
        ),
      )
    const other = engine === 'xla' ? 'tensorflow' : 'xla'
    const foreign = flagsOf[other].find((f) => args.text(f) !== undefined)
    if (foreign !== undefined)
      return TE.left(
        usage(`--${foreign} is for '${called()} engine install ${other}'; ${engine} takes none.`),
      )
    return engine === 'xla' ? installingXla(args, io) : installingTensorflow(args, io)
  },
}

/** Follows an installation to its end, and prints what it left behind. */
const followed = <I>(
  args: Args,
  io: Io,
  events: () => Promise<
    Observable<
      | { readonly type: 'step'; readonly step: string; readonly message: string }
      | { readonly type: 'line'; readonly line: string }
      | { readonly type: 'installed'; readonly installed: I }
    >
  >,
  told: (installed: I) => string,
): TE.TaskEither<CliError, void> =>
  pipe(
    attempt(async () => {
      const look = lookOf(io.stderr, io.env)
      let last: { readonly installed: I } | undefined
      const ended = await follow(await events(), io, (event) => {
        if (event.type === 'installed') last = event
        else if (event.type === 'step')
          io.stderr.write(`${inked(look, 'bold', event.step)}: ${event.message}\n`)
        else if (args.on('verbose')) io.stderr.write(`  ${inked(look, 'dim', event.line)}\n`)
      })
      return { ended, last }
    }),
    TE.chain(({ ended, last }): TE.TaskEither<CliError, void> => {
      if (ended.how === 'failed') {
        const { tag } = ended.error as { tag?: InstallErrorTag }
        return TE.left((tag === 'NoSuchSource' ? usage : failed)(messageOf(ended.error)))
      }
      if (ended.how === 'interrupted')
        return TE.left(interrupted('stopped; what was finished stays for the next try.'))
      if (last === undefined) return TE.left(failed('the installation ended without a result.'))
      const { installed } = last
      printResult(args, io, installed, () => `${told(installed)}\n'${called()} doctor' measures it.`)
      return TE.right(undefined)
    }),
  )

const installingTensorflow = (args: Args, io: Io): TE.TaskEither<CliError, void> =>
  followed(
    args,
    io,
    async () => {
      const { installTensorflow } = await import('../../engine/index.ts')
      return installTensorflow({ from: args.text('from'), compiler: args.text('compiler') })
    },
    (i) => `tensorflow ${i.tensorflow} (${i.gpu ? 'GPU' : 'CPU'}) is built: ${i.binding}`,
  )

const installingXla = (args: Args, io: Io): TE.TaskEither<CliError, void> =>
  followed(
    args,
    io,
    async () => {
      const { installXla } = await import('../../engine/index.ts')
      return installXla({ from: args.text('from'), plugin: args.text('plugin'), python: args.text('python') })
    },
    (i) => `xla on ${i.platform} (${i.devices.join(', ')}): ${i.plugin}`,
  )
