/**
 * The onnx engine: ONNX Runtime, whose binding comes inside this package, on the CPU or through WebGPU on a GPU.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { clampProgram, optimiseProgram, type Program } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { type Backend, type BackendOptions, lasting, openSession } from '../backend.ts'
import { type EngineError, engineError, messageOf } from '../error.ts'
import { loading } from '../loading.ts'
import type { Engine } from '../session.ts'
import { loadOnnxRuntime } from './runtime.ts'
import { type NativeOptions, onnxBackend, type Runtime } from './session.ts'
import { webgpuAdapter, webgpuBackend } from './webgpu.ts'

export { exportOnnx, type WriteOnnxOptions, writeOnnx } from './export.ts'

const runtime: TE.TaskEither<EngineError, Runtime & { readonly version: string }> = pipe(
  TE.fromIO(loadOnnxRuntime),
  TE.chainEitherK((found) => found),
  TE.map(({ ort, version, library }) => ({
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor as unknown as Runtime['Tensor'],
    version,
    ...present({ library }),
  })),
)

/** The settings under which native sessions are made. */
export const nativeOptions = (threads: number): NativeOptions => ({
  executionProviders: ['cpu'],
  // the runtime's own passes find next to nothing to do after ours (2,006 nodes of 2,033 stay in a step of nano), and take
  // time that grows with the square of the nodes: 5 of the 8 seconds of a model of 48 layers
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: true,
  // a plan of all memory is held beside what it plans: nano took 919 MiB with it and 651 without
  enableMemPattern: false,
  // a worker thread waits 20 µs for the next operation before it sleeps: enough to catch it in a running graph, and the
  // default of milliseconds takes the processor from picture rendering and from everybody else (2.5 times slower on two
  // busy cores)
  extra: { session: { intra_op: { spin_duration_us: '20' } } },
  // errors come back as values; the log would only repeat them
  logSeverityLevel: 4,
})

/** Where ONNX Runtime computes: `webgpu` is a GPU by Vulkan, Metal or Direct3D, whichever the system has. */
export type OnnxDevice = 'cpu' | 'webgpu'

/** How the onnx engine is loaded. */
export interface OnnxOptions {
  /** Default `cpu`. */
  readonly device?: OnnxDevice
}

const backendIn = (
  runtime: Runtime,
  program: Program,
  { threads, device = 'cpu', lasting }: BackendOptions,
): Backend =>
  device === 'webgpu'
    ? webgpuBackend(runtime, program)
    : onnxBackend(runtime, program, nativeOptions(threads ?? availableParallelism()), lasting)

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
export const loadOnnx = (runtime: Runtime, { device = 'cpu' }: OnnxOptions = {}): Engine['load'] =>
  loading({ name: 'onnx', accelerated: device !== 'cpu' }, (program, options) => {
    const last = lasting(program)
    const run = clampProgram(optimiseProgram(program))
    return openSession(backendIn(runtime, run, { ...options, device, lasting: last }), options, last)()
  })

/** Whether WebGPU finds a GPU. */
const adapter = (ort: Runtime): TE.TaskEither<EngineError, void> =>
  TE.tryCatch(
    () => webgpuAdapter(ort),
    (e) =>
      engineError(
        'NotInstalled',
        `WebGPU finds no GPU here: it needs one with a driver for Vulkan (on Linux the loader libvulkan.so.1 as well), Metal or Direct3D. The runtime says: ${messageOf(e).trim()}`,
        e,
      ),
  )

/** Loads the runtime. Fails with `NotInstalled`, on `webgpu` also where no GPU is found. */
export const onnxEngine = (options: OnnxOptions = {}): TE.TaskEither<EngineError, Engine> => {
  const { device = 'cpu' } = onlySettings('onnxEngine', options, ['device'])
  return pipe(
    runtime,
    TE.chainFirst((ort) => (device === 'webgpu' ? adapter(ort) : TE.right(undefined))),
    TE.map(
      (ort): Engine => ({
        name: 'onnx',
        version: `onnxruntime-node ${ort.version} (${device})`,
        ...(device === 'cpu' ? {} : { accelerated: true, device, threadOptions: { device } }),
        load: loadOnnx(ort, { device }),
      }),
    ),
  )
}
