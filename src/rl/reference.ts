/**
 * The reference of a stage: the policy as it was when the stage began, kept in the same program.
 *
 * @since 0.1.0
 */
import { type FunctionSpec, type Keys, type Program, rewrite, state, zeros } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import { isReferenceKey, referenceKey } from '../optim/index.ts'
import { orThrow } from '../train/index.ts'
import { inGroups } from '../train/internal.ts'

/** The function of a stage's program that gives log-probabilities under its reference. */
export const referenceFunction = 'referenceLogProbs'

/**
 * The same function of weights as they were: each parameter that learns is read from the state `reference.<key>`. What does
 * not learn is shared. Where adapters alone learn, nothing is kept twice: the reference is the model without them.
 *
 * @param learns keys of which the stage trains those that the function reads
 */
export const underReference = (spec: FunctionSpec, learns: readonly Keys[]): FunctionSpec => ({
  build: spec.build.map((build) => () => {
    const { outputs } = build()
    const names = Object.keys(outputs)
    const roots = rewrite(Object.values(outputs), (t) =>
      t.op.op === 'state' && learns.some((k) => k.has(t.op.op === 'state' ? t.op.key : ''))
        ? { ...state(referenceKey(t.op.key), t.axes, zeros, t.dtype), marks: t.marks }
        : t,
    )
    return { outputs: Object.fromEntries(names.map((name, i) => [name, roots[i]!])) }
  }),
})

const keptOf = (p: Program): readonly string[] => [...p.states.keys()].filter(isReferenceKey)

/** Keeps the weights of a session as its reference, some at a time. Throws what the engine says. */
export const keepReference = async (session: Session): Promise<void> => {
  for (const group of inGroups(session.program, keptOf(session.program))) {
    const keyOf = (kept: string): string => kept.slice(referenceKey('').length)
    const values = await orThrow(session.read(group.map(keyOf)))
    await orThrow(session.write(new Map(group.map((kept) => [kept, values.get(keyOf(kept))!]))))
  }
}
