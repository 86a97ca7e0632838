/** Which node of the user's a message of the runtime is about. */
import type { Tensor } from '../../dsl/index.ts'
import { type EngineError, failedAt, messageOf, refusedFunction } from '../error.ts'
import type { Lowered } from './lower.ts'

/** The graph node that the runtime's message names, if it names one. */
const blamed = ({ ownerOf }: Lowered, e: unknown): Tensor | undefined => {
  for (const word of messageOf(e).match(/[\w.]+/g) ?? []) {
    const t = ownerOf(word)
    if (t !== undefined) return t
  }
  return undefined
}

/** What failed while a function ran. */
export const failed = (name: string, lowered: Lowered, e: unknown): EngineError =>
  failedAt(name, blamed(lowered, e), e)

/** What the runtime does not make a session of. */
export const refusedBy = (engine: string, name: string, lowered: Lowered, e: unknown): EngineError =>
  refusedFunction(engine, name, blamed(lowered, e), e)
