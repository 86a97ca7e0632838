/**
 * The engines that this machine can run: tests that hold for any engine run on each of these and say which they are.
 */
import { isRight } from 'fp-ts/lib/Either.js'
import type { EngineError } from '../../src/engine/error.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { compiledByXla } from '../../src/engine/precision.ts'
import type { Engine, EngineName } from '../../src/engine/session.ts'
import { type XlaOptions, xlaEngine } from '../../src/engine/xla/index.ts'
import { cpuPlugin } from './cpu-plugin.ts'

/** An engine that loads, or why it does not. */
export type Presence =
  | { readonly name: EngineName; readonly engine: Engine }
  | { readonly name: EngineName; readonly engine: undefined; readonly why: EngineError }

const tensorflow = async (): Promise<Presence> => {
  try {
    const { tensorflowEngine } = await import('../../src/engine/tensorflow/index.ts')
    const got = await tensorflowEngine()()
    return isRight(got)
      ? { name: 'tensorflow', engine: got.right }
      : { name: 'tensorflow', engine: undefined, why: got.left }
  } catch (e) {
    const why: EngineError = { _tag: 'NotInstalled', message: String(e), cause: e }
    return { name: 'tensorflow', engine: undefined, why }
  }
}

/**
 * TensorFlow with XLA compiling every function. Tests compile more than they compute, so XLA is told to try less; it reads
 * that once, from the environment.
 */
export const compiledTensorflow = async (): Promise<Presence> => {
  process.env.XLA_FLAGS ??= '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
  const found = await tensorflow()
  if (found.engine === undefined) return found
  const compiled = compiledByXla(found.engine)
  return isRight(compiled)
    ? { name: 'tensorflow', engine: compiled.right }
    : { name: 'tensorflow', engine: undefined, why: compiled.left }
}

const onnx = async (): Promise<Presence> => {
  const got = await onnxEngine()()
  return isRight(got)
    ? { name: 'onnx', engine: got.right }
    : { name: 'onnx', engine: undefined, why: got.left }
}

const xla = async (): Promise<Presence> => {
  const plugin = await cpuPlugin()
  const why: EngineError = {
    _tag: 'NotInstalled',
    message: 'there is no plugin for this machine’s processor',
  }
  if (plugin === undefined) return { name: 'xla', engine: undefined, why }
  // for engines that are asked for by name, in processes that tests start as well
  process.env.SAILWRIGHT_XLA_PLUGIN ??= plugin
  // tests compile more than they compute
  const flags: XlaOptions['flags'] = /cuda/.test(plugin)
    ? { xla_gpu_autotune_level: 0 }
    : { xla_backend_optimization_level: 0, xla_llvm_disable_expensive_passes: true }
  const got = await xlaEngine({ plugin, flags })()
  return isRight(got) ? { name: 'xla', engine: got.right } : { name: 'xla', engine: undefined, why: got.left }
}

/** Every engine, present or not. */
export const allEngines = async (): Promise<readonly Presence[]> => [
  await onnx(),
  await tensorflow(),
  await xla(),
]

/** Without xla, which is slow on a processor: for what is no engine's own business. */
export const hostEngines = async (): Promise<readonly Engine[]> => found([await onnx(), await tensorflow()])

/**
 * The engines that load here; those that do not are named on stderr, once. SAILWRIGHT_COMPILED=1 runs such tests on
 * TensorFlow compiled by XLA in their place, which takes minutes.
 */
export const presentEngines = async (): Promise<readonly Engine[]> =>
  found(process.env.SAILWRIGHT_COMPILED === undefined ? await allEngines() : [await compiledTensorflow()])

const found = (all: readonly Presence[]): readonly Engine[] => {
  for (const p of all)
    if (p.engine === undefined)
      process.stderr.write(`engine ${p.name} is not here, its tests are skipped: ${p.why.message}\n`)
  return all.flatMap((p) => (p.engine === undefined ? [] : [p.engine]))
}
