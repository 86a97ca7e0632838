/** The values of tensors as an engine gives them: a program of one function over their inputs. */
import { fixed, program, type Tensor, topological } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { orThrow } from '../../src/train/task.ts'

/** The roots' numbers, bools as 0 and 1; inputs row-major by name. */
export const onEngine = async (
  engine: Engine,
  roots: readonly Tensor[],
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): Promise<number[][]> => {
  const outputs = Object.fromEntries(roots.map((t, i) => [`y${i}`, t]))
  const p = program({ name: 'roots', functions: { f: fixed(() => ({ outputs })) } })
  const leaves = new Map(
    topological(roots).flatMap((t) => (t.op.op === 'input' ? [[t.op.name, t] as const] : [])),
  )
  const fed = Object.fromEntries(
    [...leaves].map(([name, t]) => [
      name,
      tensorValue(
        t.dtype,
        t.axes.map((a) => a.size),
        Array.from(inputs[name]!),
      ),
    ]),
  )
  const session = await orThrow(engine.load(p))
  try {
    const out = await orThrow(session.call('f', fed))
    return roots.map((_, i) => Array.from(out[`y${i}`]!.data, Number))
  } finally {
    await orThrow(session.close())
  }
}
