/** What the main thread asks of an engine's thread, and what comes back. One question at a time, answered in order. */
import type { Either } from 'fp-ts/lib/Either.js'
import type { StateSpec } from '../../dsl/index.ts'
import type { BackendOptions } from '../backend.ts'
import { type EngineError, messageOf } from '../error.ts'
import type { EngineName } from '../session.ts'
import type { FlatGraph } from './flat-graph.ts'
import type { SentValues } from './transfer.ts'

/** Questions and their answers, by kind. */
export interface Questions {
  /** Opens the backend of a program; variants that are missing come with their first call. */
  readonly open: readonly [
    question: {
      readonly engine: EngineName
      readonly name: string
      readonly states: readonly StateSpec[]
      /** How many variants each function has. */
      readonly functions: readonly (readonly [string, number])[]
      /** All variants of all functions in that order, where the engine wants them at once. */
      readonly graph: FlatGraph | undefined
      readonly options: BackendOptions
    },
    answer: Either<
      EngineError,
      {
        readonly empty: readonly string[]
        readonly groupBytes: number
        /** Whether the backend holds weights in 16 bits. */
        readonly keeps: boolean
        /** Whether it fills states where they lie. */
        readonly fills: boolean
      }
    >,
  ]
  readonly call: readonly [
    question: {
      readonly name: string
      readonly index: number
      /** The variant, in the first call of it. */
      readonly graph: FlatGraph | undefined
      readonly inputs: SentValues
    },
    answer: Either<EngineError, SentValues>,
  ]
  /** Compiles functions for later, and calls none. */
  readonly prepare: readonly [
    question: { readonly functions: readonly (readonly [name: string, graph: FlatGraph])[] },
    answer: undefined,
  ]
  readonly read: readonly [question: { readonly keys: readonly string[] }, answer: SentValues]
  readonly fill: readonly [question: { readonly keys: readonly string[] }, answer: readonly string[]]
  readonly write: readonly [question: { readonly values: SentValues }, answer: undefined]
  readonly keep: readonly [
    question: { readonly key: string; readonly patterns: Uint16Array },
    answer: boolean,
  ]
  readonly close: readonly [question: Record<string, never>, answer: undefined]
}

/** A kind of question. */
export type Kind = keyof Questions
/** What is asked. */
export type Question<K extends Kind> = Questions[K][0]
/** What is answered. */
export type Answer<K extends Kind> = Questions[K][1]

/** A question as it is posted. */
export type Asked = { readonly [K in Kind]: { readonly kind: K; readonly question: Question<K> } }[Kind]

/** An answer as it is posted, or what was thrown. */
export type Replied = { readonly answer: unknown } | { readonly thrown: Error }

/** An error that any thread can read: of its causes the messages stay. */
export const plainError = (e: unknown): Error => {
  const plain = new Error(messageOf(e))
  if (e instanceof Error && typeof e.stack === 'string') plain.stack = e.stack
  return plain
}

/** An engine's error that any thread can read. */
export const plainEngineError = (e: EngineError): EngineError =>
  e.cause === undefined ? e : { ...e, cause: plainError(e.cause) }
