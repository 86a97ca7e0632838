/**
 * A program's fingerprint: what tells one computation from another, in one short text.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import type { Axis } from './axis.ts'
import { type LoopBody, type Op, type Tensor, topological } from './graph.ts'
import { bodyRoots } from './loop.ts'
import type { Program, Variant } from './program.ts'

/** Data as text in which different data differ: keys sorted, every number told apart, arrays of numbers by checksum. */
const textOf = (value: unknown): string => {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    return `${value.constructor.name} ${createHash('sha256').update(bytes).digest('hex')}`
  }
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    let text = ''
    for (const key of Object.keys(value).sort()) {
      const member = (value as Readonly<Record<string, unknown>>)[key]
      if (member !== undefined) text += `${JSON.stringify(key)}:${textOf(member)},`
    }
    return `{${text}}`
  }
  return JSON.stringify(value) ?? typeof value
}

/** Gives what a function says of a value, asked once a value. */
const remembered = <K extends object>(say: (of: K) => string): ((of: K) => string) => {
  const said = new WeakMap<K, string>()
  return (of) => {
    const had = said.get(of)
    if (had !== undefined) return had
    const text = say(of)
    said.set(of, text)
    return text
  }
}

const axesText = remembered((axes: readonly Axis[]): string =>
  axes.map((a) => `${JSON.stringify(a.name)}:${a.size}`).join(','),
)

const sorted = <A>(entries: Iterable<readonly [string, A]>): readonly (readonly [string, A])[] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : 1))

/** A loop's body as text: of its arguments those that it reads are among its nodes. Each of a loop's results has it. */
const bodyText = remembered((body: LoopBody): string => {
  const roots = bodyRoots(body)
  const { numbers, numberOf } = numbered(roots)
  return textOf([...numbers.keys(), body.arguments.length, roots.map((t) => numberOf.get(t))])
})

/** What operations without settings, or with a function alone, are as text. */
const plain = new Map<string, string>()

const opText = (op: Op): string => {
  if (op.op === 'loop') return textOf({ ...op, body: bodyText(op.body) })
  const fields = Object.keys(op).length
  if (fields > 2 || (fields === 2 && !('fn' in op))) return textOf(op)
  const key = 'fn' in op ? `${op.op} ${op.fn}` : op.op
  const text = plain.get(key) ?? textOf(op)
  plain.set(key, text)
  return text
}

/** The nodes in order, equal ones once. */
const numbered = (roots: readonly Tensor[]) => {
  const numbers = new Map<string, number>()
  const numberOf = new Map<Tensor, number>()
  for (const t of topological(roots)) {
    const inputs = t.inputs.map((x) => numberOf.get(x)).join(',')
    const text = `${opText(t.op)} ${inputs} ${axesText(t.axes)} ${t.dtype}`
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    numberOf.set(t, number)
  }
  return { numbers, numberOf }
}

/** One size of a function: its nodes in order, equal ones once, then what it gives and what it replaces. */
const variantText = (v: Variant): string => {
  const outputs = sorted(Object.entries(v.outputs))
  const next = sorted(v.next)
  const { numbers, numberOf } = numbered([...outputs, ...next].map(([, root]) => root))
  const roots = (of: readonly (readonly [string, Tensor])[]): string =>
    textOf(of.map(([name, t]) => [name, numberOf.get(t)]))
  return [...numbers.keys(), `outputs ${roots(outputs)}`, `next ${roots(next)}`].join('\n')
}

/**
 * A checksum (SHA-256, hexadecimal) of everything that a program computes: operations with their settings and constants,
 * axes, dtypes, states with their initialisers, inputs, outputs, and each function's sizes in their order. Two programs that
 * were built alike have the same one. Names of programs and of layers and the lines that built a node do not count; nor does
 * the order of functions, nor whether equal nodes are one node.
 *
 * @category programs
 */
export const fingerprint = (program: Program): string => {
  const hash = createHash('sha256')
  for (const [key, { axes, dtype, init }] of sorted(program.states))
    hash.update(`state ${JSON.stringify(key)} ${axesText(axes)} ${dtype} ${textOf(init)}\n`)
  for (const [name, variants] of sorted(program.functions)) {
    hash.update(`function ${JSON.stringify(name)} ${variants.length}\n`)
    for (const v of variants) hash.update(`${variantText(v)}\n`)
  }
  return hash.digest('hex')
}
