/**
 * What can be wrong with asking a policy.
 *
 * @since 0.1.0
 */

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
