/**
 * What is sent to a function of a program, of what is offered to any model.
 *
 * @since 0.1.0
 */
import type { Session, TensorValue } from '../engine/index.ts'

type Inputs = Readonly<Record<string, TensorValue>>

/**
 * The inputs that a function reads, of those that are offered: a model without positions reads none. What it reads and nobody
 * offers is missed by the session.
 */
export const readBy = (session: Session, name: string, offered: Inputs): Inputs => {
  const variants = session.program.functions.get(name)
  // the session says that there is no such function
  if (variants === undefined) return offered
  return Object.fromEntries(
    Object.entries(offered).filter(([input]) => variants.some((v) => v.inputs.has(input))),
  )
}
