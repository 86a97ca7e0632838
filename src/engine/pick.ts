/** Which engine runs: the one that was asked for, or the best that loads. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type EngineError, engineError } from './error.ts'
import { onnxEngine } from './onnx/index.ts'
import type { Engine, EngineName } from './session.ts'
import { tensorflowEngine } from './tensorflow/index.ts'

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

/** Tries to load every engine, best first. */
export const candidates = async (): Promise<readonly Candidate[]> => [
  { name: 'tensorflow', loaded: await tensorflowEngine()() },
  { name: 'onnx', loaded: await onnxEngine()() },
]

/**
 * `auto` takes tensorflow where its native library loads, else onnx; a name takes that one or fails with its reason.
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
  (wanted: 'auto' | EngineName): TaskEither<EngineError, Picked> =>
  async () => {
    if (wanted !== 'auto') {
      const one = wanted === 'tensorflow' ? await tensorflowEngine()() : await onnxEngine()()
      return E.map((engine: Engine): Picked => ({ engine, why: 'asked for by name' }))(one)
    }
    const [tensorflow, onnx] = (await candidates()) as readonly [Candidate, Candidate]
    if (E.isRight(tensorflow.loaded))
      return E.right({ engine: tensorflow.loaded.right, why: "TensorFlow's library loads" })
    if (E.isRight(onnx.loaded))
      return E.right({
        engine: onnx.loaded.right,
        why: `TensorFlow's library does not load (${tensorflow.loaded.left.message.split('\n')[0]})`,
      })
    return E.left(
      engineError(
        'NotInstalled',
        `no engine loads.\n  tensorflow: ${tensorflow.loaded.left.message}\n  onnx: ${onnx.loaded.left.message}`,
      ),
    )
  }
