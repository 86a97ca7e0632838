/** Random graphs as functions of one program: outputs, next states, gradients; and what an engine made of them. */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { elements, sizes } from '../../src/dsl/axis.ts'
import { add, binaryOf, castTo, compareOf, mul, tanh } from '../../src/dsl/elementwise.ts'
import { gradient } from '../../src/dsl/gradient.ts'
import { findAxis, node, rewrite, type Tensor, topological } from '../../src/dsl/graph.ts'
import { constant, iota, scalar } from '../../src/dsl/leaves.ts'
import { loop } from '../../src/dsl/loop.ts'
import { fixed, type Program, program } from '../../src/dsl/program.ts'
import { reduceOf } from '../../src/dsl/reduce.ts'
import { broadcasted } from '../../src/dsl/shape.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { disagreement, expected, type Held } from './agreement.ts'
import { grow } from './graphs.ts'
import { numbers, random, shuffled } from './random.ts'

const site = { line: '' }

/** One function: what it gives, what it replaces, what its leaves hold. */
export interface GraphCase {
  readonly name: string
  readonly outputs: readonly Tensor[]
  /** What the outputs mean, where the graph says the same in other words; default the outputs. */
  readonly meant?: readonly Tensor[]
  readonly next: ReadonlyMap<string, Tensor>
  readonly held: Held
}

/** Σ of all float roots, each element with a weight of its own. */
const lossOf = (roots: readonly Tensor[], next: () => number): Tensor =>
  roots
    .filter((t) => t.dtype === 'float32')
    .map((t) => {
      const weights = constant(Float32Array.from(numbers(elements(t.axes), next)), t.axes)
      return reduceOf('sum', binaryOf('mul', t, weights, site), t.names, site)
    })
    .reduce((a, b) => binaryOf('add', a, b, site), scalar(0))

const within = (x: Tensor, t: Tensor): boolean =>
  x.axes.every((a) => t.axes.some((b) => b.name === a.name && b.size === a.size))

/** A value for a state: a node of its shape, a narrower one repeated, or the state with some elements replaced. */
const replacement = (t: Tensor, nodes: readonly Tensor[], next: () => number): Tensor | undefined => {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(next() * items.length)]
  const fit = nodes.filter((x) => x.dtype === t.dtype && sizes(x.axes).join() === sizes(t.axes).join())
  const narrower = nodes.filter(
    (x) =>
      x.dtype === t.dtype && within(x, t) && t.names.filter((n) => findAxis(x, n)).join() === x.names.join(),
  )
  const [way, value, slot] = [next(), pick(narrower), pick(t.axes)]
  if (way < 0.4 || slot === undefined || value === undefined) return pick(fit)
  if (way < 0.6) return broadcasted(value, t.axes, site)
  const places = nodes.filter((x) => x.dtype === 'int32' && within(x, t) && !findAxis(x, slot.name))
  const place = pick(places) ?? scalar(Math.floor(next() * slot.size), 'int32')
  return node(
    { op: 'select' },
    [broadcasted(compareOf('equal', place, iota(slot), site), t.axes, site), value, t],
    t.axes,
    t.dtype,
    site,
  )
}

const caseOf = (
  name: string,
  outputs: readonly Tensor[],
  next: ReadonlyMap<string, Tensor>,
  held: Held,
): GraphCase => {
  const keys = [...next.keys()]
  // a program's states are one, so each case has its own keys
  const own = (key: string): string => `${name} ${key}`
  const roots = rewrite([...outputs, ...next.values()], (t) =>
    t.op.op === 'state' ? { ...t, op: { ...t.op, key: own(t.op.key) } } : t,
  )
  return {
    name,
    outputs: roots.slice(0, outputs.length),
    next: new Map(keys.map((k, i) => [own(k), roots[outputs.length + i]!])),
    held: {
      inputs: held.inputs,
      states: Object.fromEntries(Object.entries(held.states).map(([k, v]) => [own(k), v])),
    },
  }
}

/** The graph of a seed with its outputs and next states, and the gradients of a loss over it. */
export const graphCases = (seed: number, size = 30): readonly [forward: GraphCase, backward: GraphCase] => {
  const next = random(seed)
  const plan = Array.from({ length: size }, () => Math.floor(next() * 1e6))
  const { roots, feeds } = grow(seed, plan)
  const nodes = topological(roots)
  const states = nodes.filter((t) => t.op.op === 'state')
  const replaced = new Map<string, Tensor>()
  for (const t of states) {
    const value = replacement(t, nodes, next)
    if (value !== undefined && t.op.op === 'state') replaced.set(t.op.key, value)
  }
  const leaves = nodes.filter((t) => t.dtype === 'float32' && (t.op.op === 'state' || t.op.op === 'input'))
  const loss = lossOf(roots, next)
  const slopes = gradient(loss, leaves)
  const squares = slopes.map((g) => reduceOf('sum', binaryOf('mul', g, g, site), g.names, site))
  const outputs = shuffled([...roots, ...roots.slice(0, 1)], next)
  return [
    caseOf(`graph ${seed}`, outputs, replaced, feeds),
    caseOf(`gradient ${seed}`, [loss, ...slopes, ...squares], new Map(), feeds),
  ]
}

/** A random graph as the body of a loop of three steps, the same as its steps written out. */
export const loopCase = (seed: number, size = 20): GraphCase => {
  const next = random(seed)
  const plan = Array.from({ length: size }, () => Math.floor(next() * 1e6))
  const { roots, feeds } = grow(seed, plan)
  const x = topological(roots).find((t) => t.dtype === 'float32' && t.op.op === 'input') ?? scalar(1)
  // states that a program's cases share would be one
  const own = rewrite(roots, (t) =>
    t.op.op === 'state' ? node({ op: 'input', name: `state ${t.op.key}` }, [], t.axes, t.dtype, t.site) : t,
  )
  const mean = (t: Tensor): Tensor =>
    mul(reduceOf('sum', castTo(t, 'float32', site), t.names, site), 1 / elements(t.axes))
  const step = (now: Tensor): Tensor => {
    const over = rewrite(own, (t) => (t.op.op === 'input' && t.op.name === nameOf(x) ? now : t))
    return tanh(over.map(mean).reduce((a, b): Tensor => add(a, b), now))
  }
  const { y } = loop({ times: 3, carried: { y: x }, step: ({ y }) => ({ next: { y: step(y) } }) })
  const states = Object.entries(feeds.states).map(([k, v]) => [`state ${k}`, v])
  return {
    name: `loop ${seed}`,
    outputs: [y],
    meant: [step(step(step(x)))],
    next: new Map(),
    held: { inputs: { ...feeds.inputs, ...Object.fromEntries(states) }, states: {} },
  }
}

const nameOf = (t: Tensor): string | undefined => (t.op.op === 'input' ? t.op.name : undefined)

const programOf = (cases: readonly GraphCase[]): Program =>
  program({
    name: 'random graphs',
    functions: Object.fromEntries(
      cases.map((c) => [
        c.name,
        fixed(() => ({
          outputs: Object.fromEntries(c.outputs.map((t, i) => [`y${i}`, t])),
          next: c.next,
        })),
      ]),
    ),
  })

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

/** What the engine got wrong, a sentence a case; all cases are functions of one program. */
export const mistakes = async (engine: Engine, cases: readonly GraphCase[]): Promise<string[]> => {
  const p = programOf(cases)
  const session = await must(engine.load(p))
  const wrong: string[] = []
  for (const c of cases) {
    const variant = p.functions.get(c.name)![0]!
    const want = expected([...(c.meant ?? c.outputs), ...c.next.values()], c.held)
    const fed = (t: Tensor, data: ArrayLike<number>): TensorValue =>
      tensorValue(t.dtype, sizes(t.axes), Array.from(data))
    try {
      const written = [...variant.states].map(([k, t]) => [k, fed(t, c.held.states[k]!)] as const)
      await must(session.write(new Map(written)))
      const inputs = Object.fromEntries([...variant.inputs].map(([n, t]) => [n, fed(t, c.held.inputs[n]!)]))
      const got = await must(session.call(c.name, inputs))
      const after = await must(session.read([...c.next.keys()]))
      const results = [
        ...c.outputs.map((_, i) => got[`y${i}`]!.data),
        ...[...c.next.keys()].map((k) => after.get(k)!.data),
      ]
      results.forEach((data, i) => {
        const told = disagreement(want[i]!, data)
        const what = i < c.outputs.length ? `output ${i}` : `next state ${i - c.outputs.length}`
        if (told !== undefined) wrong.push(`${engine.name}: ${c.name}, ${what}: ${told}`)
      })
    } catch (e) {
      wrong.push(`${engine.name}: ${c.name}: ${(e as Error).message}`)
    }
  }
  await must(session.close())
  return wrong
}
