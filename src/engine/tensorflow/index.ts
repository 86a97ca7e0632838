/**
 * The tensorflow engine: a program becomes a SavedModel that TensorFlow runs natively through tfjs-node.
 *
 * @since 0.1.0
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { clampProgram, optimiseProgram, type Program } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { type Backend, type BackendOptions, guarded } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { loading } from '../loading.ts'
import type { Engine } from '../session.ts'
import { loadTensorflow, type Tensorflow, type TensorflowOptions } from './load.ts'
import { loadSession, openGraph } from './session.ts'

export { InstallError, type InstallErrorTag } from '../install/install-error.ts'
export { type CudaLibrary, triedCuda } from './cuda.ts'
export { type EngineHome, engineHome, tfjsVersion } from './home.ts'
export {
  type InstallEvent,
  type InstallOptions,
  type InstallStep,
  installTensorflow,
} from './install.ts'
export { type Installed, installed } from './installed.ts'
export { loadTensorflow, type Tensorflow, type TensorflowOptions } from './load.ts'
export { type StateData, writeSavedModel } from './saved-model.ts'

/** The backend of a program that the passes went over. Fails with `NotInstalled`, `Refused`. */
export const openTensorflow = (
  program: Program,
  options: BackendOptions = {},
): TE.TaskEither<EngineError, Backend> =>
  TE.chain((tensorflow: Tensorflow) => openGraph(tensorflow, program, options))(
    TE.fromIOEither(() => loadTensorflow()),
  )

/** The engine over a TensorFlow that was loaded. */
export const engineOf = (tensorflow: Tensorflow): Engine => ({
  name: 'tensorflow',
  version: `tensorflow ${tensorflow.tensorflow} (${tensorflow.gpu ? 'gpu' : 'cpu'}, tfjs-node ${tensorflow.tfjs})`,
  accelerated: tensorflow.gpu,
  load: loading({ name: 'tensorflow', accelerated: tensorflow.gpu }, (program, options) =>
    loadSession(tensorflow, clampProgram(optimiseProgram(program)), options)(),
  ),
})

/**
 * The engine, or `NotInstalled` with what was tried and what to do. How many threads TensorFlow has is said here, because
 * it is settled once for the process: the first call decides, and one that wants another number is `BadOption`.
 */
export const tensorflowEngine = (options: TensorflowOptions = {}): TE.TaskEither<EngineError, Engine> => {
  onlySettings('tensorflowEngine', options, ['threads'])
  return async () =>
    guarded('loading TensorFlow', async () => TE.map(engineOf)(TE.fromEither(loadTensorflow(options)))())
}
