/**
 * What an engine is: it loads a program and gives a session, in which the state lives.
 *
 * @since 0.1.0
 */
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Dtype } from '../dsl/graph.ts'
import type { Program } from '../dsl/program.ts'
import type { EngineError } from './error.ts'

/** Numbers at the edge of an engine: row-major, float32 as Float32Array, int32 as Int32Array, bool as Uint8Array. */
export interface TensorValue {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly data: Float32Array | Int32Array | Uint8Array
}

/** A copy of a session's whole state; it outlives the session. */
export interface Snapshot {
  readonly states: ReadonlyMap<string, TensorValue>
}

/** A loaded program with its state. Calls run one after another, in the order in which they were started. */
export interface Session {
  readonly engine: EngineName
  /** The program as the engine runs it. */
  readonly program: Program
  /**
   * Runs one function; the variant is the one whose input shapes equal those given.
   * Fails with `NoVariant` (naming the compiled sizes), `BadInput` (missing, unknown, wrong dtype), `Refused`, `Closed`.
   */
  readonly call: (
    name: string,
    inputs: Readonly<Record<string, TensorValue>>,
  ) => TaskEither<EngineError, Readonly<Record<string, TensorValue>>>
  /** Copies states out; all of them where no keys are given. Fails with `UnknownState`. */
  readonly read: (keys?: readonly string[]) => TaskEither<EngineError, ReadonlyMap<string, TensorValue>>
  /** Replaces states. Fails with `UnknownState` or `BadInput` (shape, dtype), and then changes nothing. */
  readonly write: (values: ReadonlyMap<string, TensorValue>) => TaskEither<EngineError, void>
  /** A copy of all state. */
  readonly snapshot: () => TaskEither<EngineError, Snapshot>
  /** Puts a snapshot back, bit for bit. */
  readonly restore: (snapshot: Snapshot) => TaskEither<EngineError, void>
  /** Frees native memory and temporary files. Calling it twice is harmless; other calls then fail with `Closed`. */
  readonly close: () => TaskEither<EngineError, void>
}

/** The engines there are. */
export type EngineName = 'tensorflow' | 'onnx'

/** What loading may be told. */
export interface LoadOptions {
  /** Fills fresh state; default 0. */
  readonly seed?: number
  /** Threads inside one operation; default: the number of cores. */
  readonly threads?: number
}

/** One way to run programs. */
export interface Engine {
  readonly name: EngineName
  /** Library and version, `onnxruntime-node 1.30.0 (cpu)`. */
  readonly version: string
  /** Compiles every variant (lazily where the engine can) and fills the state from each state's initialiser. */
  readonly load: (program: Program, options?: LoadOptions) => TaskEither<EngineError, Session>
}
