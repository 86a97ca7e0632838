/** ONNX Runtime as a backend takes it, for tests of backends. */
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import type { Runtime } from '../../src/engine/onnx/session.ts'

const loaded = loadOnnxRuntime()
if (loaded._tag === 'Left') throw new Error(loaded.left.message)
const { ort } = loaded.right

/** The runtime's own file, by which its C functions are found; undefined where it is not known. */
export const { library } = loaded.right

/** By its JavaScript binding alone. */
export const runtimeOfBinding: Runtime = {
  InferenceSession: ort.InferenceSession,
  Tensor: ort.Tensor as unknown as Runtime['Tensor'],
}
/** With its C functions, where they are found. */
export const runtime: Runtime = { ...runtimeOfBinding, ...(library === undefined ? {} : { library }) }
