/**
 * What an engine is: it loads a program and gives a session, in which the state lives.
 *
 * @since 0.1.0
 */
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Data, Dtype, Program } from '../dsl/index.ts'
import type { EngineError } from './error.ts'

/** Numbers at the edge of an engine: row-major, float32 as Float32Array, int32 as Int32Array, bool as Uint8Array. */
export interface TensorValue {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly data: Data
}

/** Weights somewhere else, by key: a checkpoint, another session. They are read one by one, never all at once. */
export interface WeightSource {
  readonly keys: readonly string[]
  /**
   * One weight. Whoever reads it may keep its array. Who lends `room`, an array of as many float32, takes copies: the weight
   * may lie in it.
   */
  readonly read: (key: string, room?: Float32Array) => TaskEither<Error, TensorValue>
  /** One weight's bfloat16 patterns in an array of their own; undefined where it is not stored in bfloat16. */
  readonly bfloat16?: (key: string) => TaskEither<Error, Uint16Array> | undefined
}

/** A copy of a session's whole state; it outlives the session. */
export interface Snapshot {
  readonly states: ReadonlyMap<string, TensorValue>
}

/**
 * A loaded program with its state. What is asked of it runs one after another, in the order in which it was started; the
 * event loop turns in between, so that timers and signals are served. No method throws, no promise rejects.
 */
export interface Session {
  readonly engine: EngineName
  /** The program as the engine runs it. */
  readonly program: Program
  /**
   * Runs one function; the variant is the one whose input shapes equal those given. The arrays that are given stay as they
   * are until the answer.
   * Fails with `UnknownFunction`, `NoVariant` (naming the compiled sizes), `BadInput` (missing, unknown, of another dtype
   * or length, an index out of range), `Refused`, `Failed`, `OutOfMemory`, `Closed`.
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
  /** Puts a snapshot back, bit for bit. Fails with `BadInput` where it lacks a state, and then changes nothing. */
  readonly restore: (snapshot: Snapshot) => TaskEither<EngineError, void>
  /** Frees native memory and temporary files. Calling it twice is harmless; other calls then fail with `Closed`. */
  readonly close: () => TaskEither<EngineError, void>
}

/** The engines there are. */
export type EngineName = 'tensorflow' | 'onnx' | 'xla'

/**
 * How float32 is computed; states, inputs and outputs are float32 in every case.
 *
 * - `float32`: as it is.
 * - `tf32`: products by the tensor cores of a GPU, which take 10 bits of each mantissa; float32 where there are none.
 * - `bfloat16`: products and attention take bfloat16 and add up in float32; norms, softmax, loss and optimizer are float32.
 */
export type Precision = 'float32' | 'tf32' | 'bfloat16'

/** What loading may be told. */
export interface LoadOptions {
  /** An integer; with a state's key it determines what a random initialiser gives. Default 0. */
  readonly seed?: number
  /** Threads of the native library; default: the number of cores. */
  readonly threads?: number
  /**
   * Default `float32`, which is all that onnx computes in, and tensorflow unless it compiles. Weights that are stored in fewer
   * bits are read as float32 by every engine.
   */
  readonly precision?: Precision
  /**
   * `xla`: tensorflow has XLA compile every function, each for its one set of shapes, when it is first called. What cannot be
   * compiled is `Refused`. By default TensorFlow runs its own kernels, node by node.
   */
  readonly compile?: 'xla'
  /**
   * In what weights lie in memory. `stored`: a weight of `values` that is stored in bfloat16, is no vector and is never replaced
   * stays in 16 bits, and each product converts what it takes, which is computed in float32 as ever; numbers below 2⁻²⁵ are
   * rounded to multiples of 2⁻³². One with a number of 256 or more stays in float32. Of the engines onnx on a
   * processor can do so; another fails with `BadOption`. Default `float32`.
   */
  readonly weights?: 'float32' | 'stored'
  /**
   * What states begin with in place of their initialiser: those that it has a key of. A source is read key by key, and
   * the session keeps the arrays that it gives; a map's are copied.
   */
  readonly values?: ReadonlyMap<string, TensorValue> | WeightSource
}

/** One way to run programs. */
export interface Engine {
  readonly name: EngineName
  /** Library and version, `onnxruntime-node 1.30.0 (cpu)`. */
  readonly version: string
  /** Whether it computes on a GPU or another accelerator; default no. */
  readonly accelerated?: boolean
  /** Bytes of the device's memory: in use, the most that ever were, what there is. Undefined where nobody says. */
  readonly memory?: () =>
    | { readonly used: number; readonly peak?: number; readonly limit?: number }
    | undefined
  /** What its programs compute in unless loading says another; default `float32`. */
  readonly precision?: Precision
  /** What compiles its programs unless loading says another; default nothing. */
  readonly compile?: 'xla'
  /** In what its weights lie unless loading says another; default `float32`. */
  readonly weights?: 'float32' | 'stored'
  /** How many devices share the rows of a batch; default 1. */
  readonly devices?: number
  /** Where it computes, of an engine that can compute in several places; default the processor. */
  readonly device?: 'webgpu'
  /** What a thread of its own needs to be told to load the same engine: plain data. */
  readonly threadOptions?: Readonly<Record<string, unknown>>
  /**
   * Compiles every variant (lazily where the engine can). A state that is not among `values` has what its initialiser
   * gives, and is filled when it is first needed: never where it is written first.
   *
   * Fails with `BadOption`, `BadInput` (a value of another shape or dtype, or that cannot be read), `Refused`,
   * `OutOfMemory`.
   */
  readonly load: (program: Program, options?: LoadOptions) => TaskEither<EngineError, Session>
  /**
   * Begins to compile programs that will be loaded later, one after the other, beside whatever runs, so that loading finds
   * them compiled. What does not compile says so when it is loaded. Undefined where it gains nothing. `options` are those with
   * which they will be loaded.
   */
  readonly compileAhead?: (
    programs: Iterable<Program>,
    options?: Pick<LoadOptions, 'precision'>,
  ) => {
    /** Resolves when all are compiled, or it was ended. */
    readonly done: Promise<void>
    /** Ends it as soon as what a compiler has begun is done. */
    readonly end: () => Promise<void>
  }
}
