/**
 * Running programs: engines, sessions, state.
 *
 * @since 0.1.0
 */

export { type EngineError, type EngineErrorTag, engineError, refused } from './error.ts'
export { type GraphicsDevice, graphicsDevices, graphicsHere } from './onnx/graphics.ts'
export {
  exportOnnx,
  type OnnxDevice,
  type OnnxOptions,
  onnxEngine,
  type WriteOnnxOptions,
  writeOnnx,
} from './onnx/index.ts'
export { loadOnnxRuntime, type OnnxRuntime } from './onnx/runtime.ts'
export {
  type Candidate,
  candidates,
  enginesToMeasure,
  fasterOf,
  type Picked,
  type Picking,
  pickEngine,
} from './pick.ts'
export { compiledByXla, inPrecision, weightsAsStored } from './precision.ts'
export { attentionLimits } from './processor-passes.ts'
export type {
  Engine,
  EngineName,
  LoadOptions,
  Precision,
  Session,
  Snapshot,
  TensorValue,
  WeightSource,
} from './session.ts'
export { type Environment, rememberedSpeeds, rememberSpeeds, type Speeds, speedName } from './speeds.ts'
export {
  type CudaLibrary,
  type EngineHome,
  type InstallErrorTag,
  type InstallEvent,
  type Installed as InstalledTensorflow,
  type InstallOptions,
  type InstallStep,
  installed as installedTensorflow,
  installTensorflow,
  loadTensorflow,
  type StateData,
  type Tensorflow,
  type TensorflowOptions,
  tensorflowEngine,
  triedCuda,
  writeSavedModel,
} from './tensorflow/index.ts'
export { engineUsed } from './used.ts'
export { type Chosen, chooseVariant, freshState, scalarValue, tensorValue } from './values.ts'
export { type Compiling, inWorker, type ThreadOptions, threadsAtRest } from './worker/index.ts'
export type { XlaHome } from './xla/home.ts'
export { type XlaDescription, type XlaOptions, xlaDescription, xlaEngine } from './xla/index.ts'
export {
  type InstalledXla,
  type InstallXlaEvent,
  type InstallXlaOptions,
  installXla,
  type XlaInstallStep,
} from './xla/install.ts'
export type { DeviceMemory } from './xla/pjrt/client.ts'
export type { XlaSettings } from './xla/session.ts'
