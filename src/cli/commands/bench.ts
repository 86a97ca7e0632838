/** `sailwright bench`: one training step on every engine, and in PyTorch where it is there, in turns. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { BenchEvent, BenchResult } from '../../bench/index.ts'
import type { EngineName, Precision } from '../../engine/index.ts'
import { duration, type Look, lookOf, significant } from '../../terminal/index.ts'
import {
  type Args,
  attemptEither,
  type CliError,
  type Command,
  failed,
  type Io,
  interrupted,
  messageOf,
  printResult,
  refuse,
} from '../command.ts'
import { follow } from '../follow.ts'

/** `sailwright bench`. */
export const benchCommand: Command = {
  name: 'bench',
  summary: 'Measures one training step on every engine, and in PyTorch where it is installed, in turns.',
  positionals: [],
  flags: {
    engine: {
      value: 'name',
      help: 'only this engine',
      choices: ['tensorflow', 'onnx', 'xla'],
      otherwise: 'tensorflow and onnx',
    },
    precision: {
      value: 'name',
      help: 'what the engine computes in; only xla, and tensorflow compiled, have another than float32',
      choices: ['float32', 'tf32', 'bfloat16'],
      otherwise: 'float32',
    },
    compile: {
      value: 'name',
      help: 'measures tensorflow compiled by XLA as well',
      choices: ['xla'],
      otherwise: 'tensorflow as it is',
    },
    packed: {
      help: 'measures the engines over packed rows as well: several samples share one, and padding is not computed',
    },
    python: {
      value: 'path',
      help: 'the Python that is asked for PyTorch',
      otherwise: '$SAILWRIGHT_PYTHON, else python3',
    },
    'no-pytorch': { help: 'leaves PyTorch out' },
    rounds: { value: 'n', help: 'blocks that each has', integerFrom: 1, otherwise: '9' },
    steps: { value: 'n', help: 'steps a block', integerFrom: 1, otherwise: '10' },
    'visual-packing': {
      help: 'measures nothing: simulates what balancing images over 8 devices saves (SAIL-VL2 §5.1)',
    },
    json: { help: 'prints the whole measurement as one JSON object' },
    markdown: { help: 'prints it as a section of Markdown' },
  },
  oneOf: ['json', 'markdown'],
  examples: [
    ['sailwright bench', 'everything that is here'],
    ['sailwright bench --no-pytorch --rounds 3', 'a shorter look at the engines'],
    ['sailwright bench --visual-packing', 'what it costs to wait for the device with most images'],
  ],
  notes: [
    'A step is forward, backward, clipping and AdamW of the nano model: 16 sequences of 128 tokens, one image each. The engines compute its last block and its loss where something is learnt, PyTorch everywhere. Exit code 1 where what was measured does not compute the same.',
  ],
  run: (args, io) =>
    pipe(
      TE.fromEither(fitting(args)),
      TE.chain(() =>
        attemptEither(() => (args.on('visual-packing') ? simulated(args, io) : measured(args, io))),
      ),
    ),
}

const ofMeasuring = ['engine', 'precision', 'compile', 'python', 'no-pytorch', 'rounds', 'steps'] as const

/** The simulation measures nothing, so that it has no use for what says how to measure. */
const fitting = (args: Args): E.Either<CliError, void> => {
  const idle = args.on('visual-packing') ? ofMeasuring.filter((flag) => args.on(flag)) : []
  return idle.length === 0
    ? E.right(undefined)
    : refuse(
        `--visual-packing measures nothing, and ${idle.map((f) => `--${f}`).join(', ')} ${idle.length === 1 ? 'says' : 'say'} how to measure; leave one or the other out`,
      )
}

/** Prints what came out in the form that is asked for. */
const tell = <R>(
  args: Args,
  io: Io,
  result: R,
  markdown: (result: R) => string,
  show: (result: R, look: Look) => string,
): void =>
  printResult(args, io, result, () =>
    args.on('markdown') ? markdown(result) : show(result, lookOf(io.stdout, io.env)),
  )

const simulated = async (args: Args, io: Io): Promise<E.Either<CliError, void>> => {
  const { markdownVisualPacking, showVisualPacking, simulateVisualPacking } = await import(
    '../../bench/index.ts'
  )
  tell(args, io, await simulateVisualPacking(), markdownVisualPacking, showVisualPacking)
  return E.right(undefined)
}

const measured = async (args: Args, io: Io): Promise<E.Either<CliError, void>> => {
  const { allAgree, benchNano, markdownBench, showBench } = await import('../../bench/index.ts')
  const engine = args.text('engine') as EngineName | undefined
  let result: BenchResult | undefined
  const ended = await follow(
    benchNano({
      engines: engine && [engine],
      precision: args.text('precision') as Precision | undefined,
      compile: args.text('compile') as 'xla' | undefined,
      packed: args.on('packed'),
      python: args.on('no-pytorch') ? false : args.text('python'),
      rounds: args.integer('rounds'),
      steps: args.integer('steps'),
    }),
    io,
    (event) => {
      if (event.type === 'finished') result = event.result
      else io.stderr.write(`${lineOf(event)}\n`)
    },
  )
  if (ended.how === 'failed') return E.left(failed(messageOf(ended.error)))
  if (ended.how === 'interrupted') return E.left(interrupted('stopped; nothing is kept.'))
  if (result === undefined) return E.left(failed('the measurement ended without a result.'))
  tell(args, io, result, markdownBench, showBench)
  return allAgree(result)
    ? E.right(undefined)
    : E.left(failed('not all that was measured computes the same.'))
}

const lineOf = (e: Exclude<BenchEvent, { type: 'finished' }>): string => {
  switch (e.type) {
    case 'starting':
      return `starting ${e.name}`
    case 'prepared':
      return `${e.name}: ${e.version}, first step after ${duration(e.seconds)}`
    case 'missing':
      return `${e.name}: ${e.why}`
    case 'compared':
      return `${e.name} ${e.agrees ? 'computes the same as' : 'does not compute what'} ${e.reference}${e.agrees ? '' : ' computes'}`
    case 'block':
      return `round ${e.round} of ${e.rounds}: ${e.name} ${significant(e.samplesPerSecond)} samples/s`
  }
}
