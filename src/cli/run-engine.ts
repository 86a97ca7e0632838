/**
 * Which engine carries a run out.
 *
 * @since 0.1.0
 */
import { resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { EngineError, EngineName, Picked, Precision } from '../engine/index.ts'
import { manifestIn } from './begun.ts'
import { type Args, attempt, type CliError, failed, type Io, noEngine, usage } from './command.ts'
import { askedFor, holding, overDevices, toldTo } from './engine-options.ts'

/** The engine with which a run began, as its manifest has it. */
type BegunEngine = NonNullable<ReturnType<typeof manifestIn>>['engine']

/** The precision that is asked for, else that with which the run began. */
const precisionFor = (args: Args, began: BegunEngine): Precision | undefined => {
  const said = args.text('precision') ?? began?.precision
  return (['float32', 'tf32', 'bfloat16'] as const).find((p) => p === said)
}

/** The engine with which the run in this folder began: it goes on with that one. */
const begunWith = (began: BegunEngine): EngineName | undefined =>
  (['tensorflow', 'onnx', 'xla'] as const).find((name) => name === began?.name)

const onWebgpu = (wanted: string, why: string): TE.TaskEither<CliError, Picked> =>
  wanted === 'auto' || wanted === 'onnx'
    ? pipe(
        attempt(async () => (await import('../engine/index.ts')).onnxEngine({ device: 'webgpu' })),
        TE.chain(TE.mapLeft((e) => failed(e.message))),
        TE.map((engine): Picked => ({ engine, why })),
      )
    : TE.left(usage(`--device webgpu is for the engine onnx, and --engine is ${wanted}; leave --engine out`))

/** The engine that a run takes: what its words say, else what it began with, else what is fastest here. */
export const pickedEngine = (args: Args, io: Io): TE.TaskEither<CliError, Picked> => {
  const wanted = (args.text('engine') ?? 'auto') as 'auto' | EngineName
  const out = args.text('out')
  const began = out === undefined ? undefined : manifestIn(resolve(io.cwd, out))?.engine
  const devices = args.integer('devices') ?? began?.devices ?? 1
  const device = args.text('device')
  // a run that goes on keeps its device, unless its words ask for what is elsewhere
  const kept =
    device === undefined &&
    began?.device === 'webgpu' &&
    (wanted === 'auto' || wanted === 'onnx') &&
    args.text('compile') === undefined &&
    args.text('weights') !== 'stored' &&
    devices === 1
  const webgpu = kept || device === 'webgpu'
  if (webgpu && args.text('compile') !== undefined)
    return TE.left(
      usage('--compile is for the engine tensorflow, and --device webgpu for onnx; leave out one'),
    )
  if (webgpu && args.text('weights') === 'stored')
    return TE.left(
      usage(
        '--weights stored is for the engine onnx on a processor, and --device webgpu is none; leave out one',
      ),
    )
  if (webgpu && devices !== 1)
    return TE.left(usage(`--device webgpu is one device; leave out one of --device and --devices ${devices}`))
  const begun = wanted === 'auto' ? begunWith(began) : undefined
  const precision = precisionFor(args, began)
  /** What was asked for, or what the run began with, where that is this engine's. */
  const told = (flag: 'compile' | 'weights', engine: EngineName): string | undefined =>
    args.text(flag) ?? (!webgpu && (wanted === 'auto' || wanted === engine) ? began?.[flag] : undefined)
  const compiles = told('compile', 'tensorflow') === 'xla'
  const stored = told('weights', 'onnx') === 'stored'
  const taken = webgpu
    ? onWebgpu(wanted, kept ? 'the run began with it' : 'asked for by its device')
    : devices > 1
      ? overDevices(wanted, devices)
      : onOne(askedFor(wanted, { compiles, stored }), begun, io, device !== 'cpu')
  return pipe(
    taken,
    TE.chain((picked) =>
      compiles ? toldTo(picked, (e) => e.compiledByXla(picked.engine)) : TE.right(picked),
    ),
    TE.chain((picked) =>
      precision === undefined
        ? TE.right(picked)
        : toldTo(picked, (e) => e.inPrecision(picked.engine, precision)),
    ),
    TE.chain((picked) => holding(picked, stored)),
  )
}

const onOne = (
  wanted: 'auto' | EngineName,
  begun: EngineName | undefined,
  io: Io,
  webgpu: boolean,
): TE.TaskEither<CliError, Picked> =>
  pipe(
    attempt(async () => {
      const { fasterOf, pickEngine, enginesToMeasure } = await import('../engine/index.ts')
      if (begun !== undefined)
        return TE.map((p: Picked) => ({ ...p, why: 'the run began with it' }))(pickEngine(begun))
      const both = wanted === 'auto' ? await enginesToMeasure(io.env) : undefined
      if (both === undefined) return pickEngine(wanted, io.env, { webgpu })
      io.stderr.write(
        `measuring once which engine is faster here, ${both.map((e) => e.name).join(' or ')} …\n`,
      )
      const { measureOnce } = await import('./measure.ts')
      return TE.right<EngineError, Picked>(fasterOf(both, await measureOnce(both, io.env, new Date())))
    }),
    TE.chain(TE.mapLeft(noEngine)),
  )
