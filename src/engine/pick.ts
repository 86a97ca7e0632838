/** Which engine runs: the one that was asked for, or the best that loads. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { called } from '../terminal/index.ts'
import { type EngineError, engineError } from './error.ts'
import { onnxEngine } from './onnx/index.ts'
import type { Engine, EngineName } from './session.ts'
import { type Environment, rememberedSpeeds, type Speeds } from './speeds.ts'
import { tensorflowEngine } from './tensorflow/index.ts'
import { xlaEngine } from './xla/index.ts'

/** An engine, and why it was taken. */
export interface Picked {
  readonly engine: Engine
  readonly why: string
}

/** One engine, loaded or not. */
export interface Candidate {
  readonly name: EngineName
  readonly loaded: E.Either<EngineError, Engine>
}

/** How each engine is loaded, in the order in which they are listed. */
const loaders: Readonly<Record<EngineName, () => TaskEither<EngineError, Engine>>> = {
  tensorflow: () => tensorflowEngine(),
  onnx: () => onnxEngine(),
  xla: () => xlaEngine(),
}

const tried = async (name: EngineName): Promise<Candidate> => ({ name, loaded: await loaders[name]()() })

/** Tries to load every engine. */
export const candidates = async (): Promise<readonly Candidate[]> => [
  await tried('tensorflow'),
  await tried('onnx'),
  await tried('xla'),
]

/** The faster of two engines by a measurement, and in words how it was measured. */
export const fasterOf = (engines: readonly [Engine, Engine], speeds: Speeds): Picked => {
  const speed = (e: Engine): number => speeds.samplesPerSecond[e.name] ?? 0
  const [fast, slow] = speed(engines[1]) > speed(engines[0]) ? [engines[1], engines[0]] : engines
  if (!(speed(slow) > 0)) return { engine: fast, why: `${slow.name} failed when it was measured` }
  const times = (speed(fast) / speed(slow)).toFixed(2)
  return {
    engine: fast,
    why: `${times} times as fast as ${slow.name} here, measured ${speeds.measuredAt.slice(0, 10)}; '${called()} doctor' measures again`,
  }
}

/** Why an engine does not load, on one line. */
const briefly = (e: EngineError): string => e.message.split('\n')[0]!.replace(/[.\s]*Tried:$/, '')

/**
 * A name takes that engine or fails with its reason. `auto` takes one that computes on a GPU or another accelerator, xla
 * before tensorflow; else of tensorflow and onnx the one that loads; of both, the one that was faster when they were last
 * measured on this machine, else tensorflow. It measures nothing itself: `sailwright doctor` does, and `sailwright run`
 * where nothing is remembered.
 *
 * @example
 * import { axis, fixed, input, mul, program } from 'sailwright/dsl'
 *
 * const double = fixed(() => ({ outputs: { y: mul(input('x', [axis('row', 2)]), 2) } }))
 * const run = pipe(
 *   pickEngine('onnx'), // 'auto' takes the best that loads
 *   TE.chain(({ engine }) => engine.load(program({ name: 'doubling', functions: { double } }))),
 *   TE.chain((session) => session.call('double', { x: tensorValue('float32', [2], [1, 2]) })),
 * )
 * await run() // E.right({ y: tensorValue('float32', [2], [2, 4]) })
 *
 * @category engines
 */
export const pickEngine =
  (wanted: 'auto' | EngineName, env: Environment = process.env): TaskEither<EngineError, Picked> =>
  async () => {
    if (wanted !== 'auto')
      return E.map((engine: Engine): Picked => ({ engine, why: 'asked for by name' }))(
        await loaders[wanted]()(),
      )
    const xla = await tried('xla')
    if (isAccelerated(xla)) return E.right({ engine: xla.loaded.right, why: 'it computes on the GPU' })
    const [tensorflow, onnx] = [await tried('tensorflow'), await tried('onnx')]
    if (E.isLeft(tensorflow.loaded) && E.isLeft(onnx.loaded))
      return E.left(
        engineError(
          'NotInstalled',
          `no engine loads.\n  tensorflow: ${tensorflow.loaded.left.message}\n  onnx: ${onnx.loaded.left.message}`,
        ),
      )
    if (E.isLeft(tensorflow.loaded)) {
      const { right: engine } = onnx.loaded as E.Right<Engine>
      return E.right({ engine, why: `the other one does not load: ${briefly(tensorflow.loaded.left)}` })
    }
    const engine = tensorflow.loaded.right
    if (E.isLeft(onnx.loaded))
      return E.right({ engine, why: `the other one does not load: ${briefly(onnx.loaded.left)}` })
    if (isAccelerated(tensorflow)) return E.right({ engine, why: 'it computes on the GPU' })
    const both = [engine, onnx.loaded.right] as const
    const speeds = rememberedSpeeds(both, env)
    return E.right(
      speeds === undefined
        ? { engine, why: `both engines load; which is faster here, '${called()} doctor' measures` }
        : fasterOf(both, speeds),
    )
  }

/** Whether an engine loads and computes on a GPU or another accelerator. */
const isAccelerated = (c: Candidate): c is Candidate & { readonly loaded: E.Right<Engine> } =>
  E.isRight(c.loaded) && c.loaded.right.accelerated === true

/** The two engines between which only a measurement can choose: both load, none on a GPU, nothing is remembered. */
export const unmeasured = async (
  env: Environment = process.env,
): Promise<readonly [Engine, Engine] | undefined> => {
  const [tensorflow, onnx] = [await tried('tensorflow'), await tried('onnx')]
  if (E.isLeft(tensorflow.loaded) || E.isLeft(onnx.loaded)) return undefined
  if (isAccelerated(tensorflow) || isAccelerated(await tried('xla'))) return undefined
  const both = [tensorflow.loaded.right, onnx.loaded.right] as const
  return rememberedSpeeds(both, env) === undefined ? both : undefined
}
