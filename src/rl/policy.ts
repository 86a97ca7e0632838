/**
 * A policy: whatever answers prompts. A session is one, a server another.
 *
 * @since 0.1.0
 */
import type { Observable } from 'rxjs'
import type { Conversation } from '../data/index.ts'
import type { Sampling } from '../generation/index.ts'
import type { Completion } from './completion.ts'

/** One answer that is asked for. */
export interface Request {
  /** The task's id. */
  readonly task: string
  /** The place in the task's group, from 0. With seed, task and token it decides what is drawn, whatever else is in the batch. */
  readonly sample: number
  readonly prompt: Conversation
}

/** Answers prompts. */
export interface Policy {
  /** What determines it, as plain JSON data. */
  readonly config: unknown
  /** Updates that it has seen. */
  readonly version: () => number
  /**
   * Completions in the order in which they end. Unsubscribing stops after the call in progress. An error ends the stream
   * where no further answer can come; a request that fails alone is an error that names its task.
   */
  readonly sample: (requests: readonly Request[], sampling: Sampling) => Observable<Completion>
}

/** What kind of fault it is: a request that cannot be answered, or a policy that can answer nothing more. */
export type PolicyErrorTag = 'BadRequest' | 'Failed'

/** A policy that gave no answer; the message says why. */
export class PolicyError extends Error {
  readonly tag: PolicyErrorTag
  /** The task at fault, where it is one. */
  readonly task: string | undefined
  constructor(
    tag: PolicyErrorTag,
    message: string,
    options: { readonly task?: string; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'PolicyError'
    this.tag = tag
    this.task = options.task
  }
}
