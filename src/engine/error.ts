/** What can go wrong in an engine. One tagged union; every message says what, where, and what to do. */
import { showAxes, type Tensor } from '../dsl/index.ts'
import { present } from '../settings/internal.ts'

/** The tags of {@link EngineError}. */
export type EngineErrorTag =
  /** The engine's library is not installed or does not load. */
  | 'NotInstalled'
  /** The engine cannot run this node or this graph. */
  | 'Refused'
  /** No function of that name. */
  | 'UnknownFunction'
  /** No compiled variant has these input shapes. */
  | 'NoVariant'
  /** An input is missing, unknown, or of the wrong dtype or length. */
  | 'BadInput'
  | 'UnknownState'
  /** An option of loading has a value that it cannot have. */
  | 'BadOption'
  /** The session is closed. */
  | 'Closed'
  /** The native library failed while running. */
  | 'Failed'
  /** The native library, or the process, was given no memory. */
  | 'OutOfMemory'

/** An error of an engine, as a value on the left of a `TaskEither`. */
export interface EngineError {
  readonly _tag: EngineErrorTag
  readonly message: string
  /** `file:line:column` in the user's own code, where a node is to blame. */
  readonly where?: string
  readonly cause?: unknown
}

/** Makes an engine error. */
export const engineError = (tag: EngineErrorTag, message: string, cause?: unknown): EngineError => ({
  _tag: tag,
  message,
  ...present({ cause }),
})

/** The message of whatever was thrown. */
export const messageOf = (e: unknown): string => {
  try {
    return e instanceof Error ? e.message : String(e)
  } catch {
    return 'an error that cannot be shown'
  }
}

/** `binary 'mul' (batch 4 × token 12, float32)`: a node as an error message names it. */
const showNode = (t: Tensor): string => {
  const detail =
    'fn' in t.op
      ? ` '${t.op.fn}'`
      : 'kind' in t.op
        ? ` '${t.op.kind}'`
        : 'key' in t.op
          ? ` '${t.op.key}'`
          : ''
  return `${t.op.op}${detail} (${showAxes(t.axes)}, ${t.dtype})`
}

/** The engine refuses a node: the message names the node, its axes and the user's line. */
export const refused = (engine: string, t: Tensor, why: string, cause?: unknown): EngineError => ({
  _tag: 'Refused',
  message: `${engine} refuses ${showNode(t)}: ${why}${t.site.line === '' ? '' : `\n  built at ${t.site.line}`}`,
  where: t.site.line,
  ...present({ cause }),
})

/** A function that an engine refuses, at the node that the library's message is about, where it names one. */
export const refusedFunction = (
  engine: string,
  name: string,
  t: Tensor | undefined,
  cause: unknown,
): EngineError =>
  t === undefined
    ? engineError('Refused', `${engine} refuses function '${name}': ${messageOf(cause)}`, cause)
    : refused(engine, t, messageOf(cause), cause)

/** What failed while a function ran, at the node that the library's message is about, where it names one. */
export const failedAt = (name: string, t: Tensor | undefined, cause: unknown): EngineError => {
  const at = t === undefined ? '' : ` at ${showNode(t)}`
  const line = t?.site.line ?? ''
  return {
    ...engineError(
      'Failed',
      `function '${name}' failed${at}: ${messageOf(cause)}${line === '' ? '' : `\n  built at ${line}`}`,
      cause,
    ),
    ...(line === '' ? {} : { where: line }),
  }
}
