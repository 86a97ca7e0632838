/**
 * The onnx engine: ONNX Runtime on the CPU, whose binding comes inside this package.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { clampProgram, optimiseProgram, type Program } from '../../dsl/index.ts'
import { type Backend, type BackendOptions, guarded, openSession } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { checkOptions } from '../options.ts'
import type { Engine } from '../session.ts'
import { loadOnnxRuntime } from './runtime.ts'
import { type NativeOptions, onnxBackend, type Runtime } from './session.ts'

export { exportOnnx, type WriteOnnxOptions, writeOnnx } from './export.ts'

const runtime: TE.TaskEither<EngineError, Runtime & { readonly version: string }> = pipe(
  TE.fromIO(loadOnnxRuntime),
  TE.chainEitherK((found) => found),
  TE.map(({ ort, version }) => ({
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor as unknown as Runtime['Tensor'],
    version,
  })),
)

/** The settings under which native sessions are made. */
export const nativeOptions = (threads: number): NativeOptions => ({
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: true,
  enableMemPattern: true,
  // a worker thread waits 20 µs for the next operation before it sleeps: enough to catch it in a running graph, and the
  // default of milliseconds takes the processor from picture rendering and from everybody else (2.5 times slower on two
  // busy cores)
  extra: { session: { intra_op: { spin_duration_us: '20' } } },
  // errors come back as values; the log would only repeat them
  logSeverityLevel: 4,
})

const backendIn = (runtime: Runtime, program: Program, { threads }: BackendOptions): Backend =>
  onnxBackend(runtime, program, nativeOptions(threads ?? availableParallelism()))

/** The backend of a program that the passes went over. Fails with `NotInstalled`. */
export const openOnnx = (
  program: Program,
  options: BackendOptions = {},
): TE.TaskEither<EngineError, Backend> =>
  pipe(
    runtime,
    TE.map((ort) => backendIn(ort, program, options)),
  )

/** How programs are loaded into a runtime. */
export const loadOnnx =
  (runtime: Runtime): Engine['load'] =>
  (program, options = {}) =>
  async () => {
    const checked = checkOptions('onnx', options)
    if (checked._tag === 'Left') return checked
    return guarded(`loading program '${program.name}'`, () =>
      openSession(backendIn(runtime, clampProgram(optimiseProgram(program)), options), options)(),
    )
  }

/** Loads the runtime. Fails with `NotInstalled`. */
export const onnxEngine = (): TE.TaskEither<EngineError, Engine> =>
  pipe(
    runtime,
    TE.map(
      (ort): Engine => ({
        name: 'onnx',
        version: `onnxruntime-node ${ort.version} (cpu)`,
        load: loadOnnx(ort),
      }),
    ),
  )
