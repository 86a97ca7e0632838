/** Common subexpressions: what is computed twice from the same things is computed once. */
import type { Axis } from '../axis.ts'
import { type Data, type LoopBody, type Op, rewrite, type Settings, type Tensor } from '../graph.ts'

const bytesOf = (d: Data): Uint8Array => new Uint8Array(d.buffer, d.byteOffset, d.byteLength)

const hash = (bytes: Uint8Array): number => {
  let h = 0x811c9dc5
  for (const b of bytes) h = Math.imul(h ^ b, 0x01000193)
  return h >>> 0
}

/** Gives equal arrays (of one type, bit for bit) one number. */
const literals = (): ((d: Data) => number) => {
  const byHash = new Map<string, { readonly bytes: Uint8Array; readonly id: number }[]>()
  const known = new WeakMap<Data, number>()
  let next = 0
  return (d) => {
    const had = known.get(d)
    if (had !== undefined) return had
    const bytes = bytesOf(d)
    const key = `${d.constructor.name} ${bytes.length} ${hash(bytes)}`
    const bucket = byHash.get(key) ?? []
    byHash.set(key, bucket)
    const same = bucket.find((c) => c.bytes.every((b, i) => b === bytes[i]))
    const id = same?.id ?? next++
    if (same === undefined) bucket.push({ bytes, id })
    known.set(d, id)
    return id
  }
}

const settingsKey = (s: Settings): string =>
  Object.keys(s)
    .sort()
    .map((k) => `${k}=${typeof s[k]}:${s[k]}`)
    .join('\u0001')

const opKey = (op: Op, literal: (d: Data) => number, body: (b: LoopBody) => number): string => {
  switch (op.op) {
    case 'input':
      return `input ${op.name}`
    case 'state':
      return `state ${op.key}`
    case 'constant':
      return `constant ${literal(op.data)}`
    case 'unary':
    case 'binary':
    case 'compare':
    case 'logic':
      return `${op.op} ${op.fn}`
    case 'reduce':
      return `reduce ${op.fn} ${[...op.over].sort().join('\u0001')}`
    case 'contract':
      return `contract ${[...op.over].sort().join('\u0001')}`
    case 'outerChosen':
      return `outerChosen ${op.choice} ${op.of}`
    case 'contractChosen':
    case 'argmax':
    case 'softmax':
    case 'logSoftmax':
      return `${op.op} ${op.over}`
    case 'slice':
      return `slice ${op.start} ${op.along}`
    case 'pad':
      return `pad ${op.before} ${op.after} ${op.along}`
    case 'concat':
      return `concat ${op.along}`
    case 'argument':
      return `argument ${op.at}`
    case 'loop':
      return `loop ${op.times} ${op.of} ${body(op.body)}`
    case 'composite':
      return `composite ${op.kind}\u0001${settingsKey(op.settings)}`
    default:
      return op.op
  }
}

/** Whether the order of the operands does not matter. */
const commutes = (op: Op): boolean =>
  op.op === 'logic' ||
  (op.op === 'compare' && op.fn === 'equal') ||
  (op.op === 'binary' && op.fn !== 'sub' && op.fn !== 'div' && op.fn !== 'pow')

/**
 * Merges nodes that compute the same: one operation with the same attributes over the same inputs, under the same axes and
 * dtype. Leaves are the same by name or key, literals by content. Operands of commuting operations may be swapped.
 *
 * Sites and marks play no part; those of the first node remain.
 *
 * @category passes
 */
export const commonSubexpressions = (roots: readonly Tensor[]): Tensor[] => {
  const first = new Map<string, Tensor>()
  const ids = new Map<Tensor, number>()
  const literal = literals()
  const bodies = new Map<LoopBody, number>()
  const body = (b: LoopBody): number => {
    const id = bodies.get(b) ?? bodies.size
    bodies.set(b, id)
    return id
  }
  const shapes = new Map<string, number>()
  const shapeOf = new WeakMap<readonly Axis[], number>()
  const shape = (axes: readonly Axis[]): number => {
    const had = shapeOf.get(axes)
    if (had !== undefined) return had
    const key = axes.map((a) => `${a.size} ${a.name}`).join('\u0002')
    const id = shapes.get(key) ?? shapes.size
    shapes.set(key, id)
    shapeOf.set(axes, id)
    return id
  }
  return rewrite(roots, (t) => {
    const inputs = t.inputs.map((x) => ids.get(x)!)
    if (commutes(t.op)) inputs.sort((a, b) => a - b)
    const key = `${opKey(t.op, literal, body)}\u0003${inputs.join(' ')}\u0003${shape(t.axes)} ${t.dtype}`
    const had = first.get(key)
    if (had !== undefined) return had
    first.set(key, t)
    ids.set(t, ids.size)
    return t
  })
}
