/** Which node of the user's a message of the runtime is about. */
import { type EngineError, engineError, messageOf, showNode } from '../error.ts'
import type { Lowered } from './lower.ts'

/** The graph node that the runtime's message names, if it names one. */
export const blamed = (lowered: Lowered, message: string) => {
  for (const word of message.match(/[\w.]+/g) ?? []) {
    const t = lowered.ownerOf(word)
    if (t !== undefined) return t
  }
  return undefined
}

/** What failed while a function ran. */
export const failed = (name: string, lowered: Lowered, e: unknown): EngineError => {
  const t = blamed(lowered, messageOf(e))
  const at = t === undefined ? '' : ` at ${showNode(t)}`
  const line = t?.site.line ?? ''
  return {
    ...engineError(
      'Failed',
      `function '${name}' failed${at}: ${messageOf(e)}${line === '' ? '' : `\n  built at ${line}`}`,
      e,
    ),
    ...(line === '' ? {} : { where: line }),
  }
}
