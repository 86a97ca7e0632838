/**
 * Running programs: engines, sessions, state.
 *
 * @since 0.1.0
 */
export { type EngineError, type EngineErrorTag, engineError, refused } from './error.ts'
export { exportOnnx, onnxEngine } from './onnx/index.ts'
export { type Candidate, candidates, type Picked, pickEngine, unmeasured } from './pick.ts'
export type { Engine, EngineName, LoadOptions, Session, Snapshot, TensorValue } from './session.ts'
export { rememberSpeeds, type Speeds } from './speeds.ts'
export { installTensorflow, tensorflowEngine } from './tensorflow/index.ts'
export { scalarValue, tensorValue } from './values.ts'
