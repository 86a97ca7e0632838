/** Which node of the user's a message of the runtime is about. */
import { type EngineError, failedAt, messageOf } from '../error.ts'
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
export const failed = (name: string, lowered: Lowered, e: unknown): EngineError =>
  failedAt(name, blamed(lowered, messageOf(e)), e)
