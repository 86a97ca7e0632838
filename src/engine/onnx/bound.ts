/**
 * Native sessions whose tensors are bound: results are written into arrays of the session's, or where states lie. What is
 * computed of each row alone is computed in parts of the rows, side by side.
 */
import type { InferenceSession } from 'onnxruntime-common'
import type { Data } from '../../dsl/index.ts'
import { arrayOf } from '../../dsl/internal.ts'
import type { Values } from '../backend.ts'
import { encodeModel, onnxTensor } from '../proto/onnx.ts'
import type { BoundSession, CApi } from './c-api.ts'
import type { Lowered } from './lower.ts'
import { mostWeights, partOf, putPart, sessionThreads } from './row-parts.ts'

/** What a native session gives, by the name of the model's output. */
export type Results = Readonly<Record<string, Data>>

/** A lowered variant that can be run. */
export interface Runnable {
  readonly run: (inputs: Values) => Promise<Results>
  readonly release: () => Promise<void>
}

/**
 * With weights that no function of the program changes as constants of the model: the runtime packs those once for its
 * products, and else in each of them, which takes nearly as long as multiplying a few rows.
 */
export const withConstants = (
  lowered: Lowered,
  weightOf: (key: string) => Data | undefined,
): { readonly lowered: Lowered; readonly constants: ReadonlySet<string> } => {
  const { model, states, tensors } = lowered
  const found = new Map(
    tensors.inputs.flatMap((t) => {
      const data = states.has(t.name) ? weightOf(states.get(t.name)!) : undefined
      return data === undefined ? [] : [[t.name, { ...t, data }] as const]
    }),
  )
  const others = <T extends { readonly name: string }>(all: readonly T[]): T[] =>
    all.filter((t) => !found.has(t.name))
  const weights = [...found.values()]
  if (weights.reduce((n, w) => n + w.data.length, 0) > mostWeights) return { lowered, constants: new Set() }
  const graph = {
    ...model.graph,
    input: others(model.graph.input),
    initializer: [
      ...(model.graph.initializer ?? []),
      ...weights.map((w) => onnxTensor(w.name, w.dtype, w.shape, w.data)),
    ],
  }
  return {
    lowered: {
      ...lowered,
      model: { ...model, graph },
      tensors: { ...tensors, inputs: others(tensors.inputs) },
      states: new Map([...states].filter(([n]) => !found.has(n))),
    },
    constants: new Set([...found.keys()].map((n) => states.get(n)!)),
  }
}

/** Waits for all, and only then fails with the first that failed: none may still write into states. */
const allEnded = async (running: readonly Promise<void>[]): Promise<void> => {
  for (const end of await Promise.allSettled(running)) if (end.status === 'rejected') throw end.reason
}

/** Gradients that nobody but the update of their weight reads, by their name, with the weight's key. */
export const gradientsOf = ({ updates, outputs, next, overwrites }: Lowered): ReadonlyMap<string, string> => {
  const others = new Set([
    ...[...outputs.values(), ...next.values(), ...overwrites.flatMap((o) => o.inputs)].map((s) => s.name),
  ])
  return new Map(
    updates.flatMap(({ gradient, parameter }) =>
      gradient.from === 'output' && !others.has(gradient.name) ? [[gradient.name, parameter] as const] : [],
    ),
  )
}

/** Where a bound session reads and writes. */
interface Memory {
  readonly stateOf: (key: string) => Data
  /** Where the gradient of a weight is written. */
  readonly gradientOf: (key: string) => Data
}

/** @param gradients those that go where `gradientOf` says, by their name, with the weight's key */
export const boundTo = (
  api: CApi,
  lowered: Lowered,
  options: InferenceSession.SessionOptions,
  { stateOf, gradientOf }: Memory,
  gradients: ReadonlyMap<string, string> = new Map(),
): Runnable => {
  const { tensors, rows } = lowered
  const { count, at } = rows ?? { count: 1, at: new Map<string, number>() }
  // the parts are run side by side and share what threads are left
  const threads = sessionThreads(options.intraOpNumThreads ?? 1, count)
  const first = api.session(encodeModel(lowered.model), tensors.inputs, tensors.outputs, {
    ...options,
    ...(count === 1 ? {} : { intraOpNumThreads: threads }),
  })
  const parts: readonly BoundSession[] = Array.from({ length: count }, (_, i) =>
    i === 0 ? first : first.beside(),
  )
  const kept = new Set([...lowered.outputs.values(), ...lowered.next.values()].map((s) => s.name))
  /** The arrays of states that are bound, by the tensor's name. */
  const lying = new Map<string, Data>()

  const feed = (inputs: Values): void => {
    for (const [part, b] of parts.entries())
      for (const [onnxName, input] of lowered.inputs) {
        const { data, shape } = inputs.get(input)!
        const place = at.get(onnxName)
        b.array(onnxName).set(place === undefined ? data : partOf(data, shape, place, part, count))
      }
  }
  const bindStates = (): void => {
    for (const [onnxName, key] of [...lowered.states, ...lowered.written]) {
      const data = stateOf(key)
      if (lying.get(onnxName) === data) continue
      const own = data.length / count
      for (const [part, b] of parts.entries())
        b.bind(onnxName, at.has(onnxName) ? data.subarray(part * own, (part + 1) * own) : data)
      lying.set(onnxName, data)
    }
  }
  /** A result, of all parts together. */
  const resultOf = (name: string): Data => {
    if (count === 1 && !kept.has(name)) return first.array(name)
    const place = at.get(name)
    if (place === undefined) return first.array(name).slice()
    const { dtype, shape } = tensors.outputs.find((t) => t.name === name)!
    const whole = new arrayOf[dtype](first.array(name).length * count)
    const dims = shape.map((n, i) => (i === place ? n * count : n))
    for (const [part, b] of parts.entries()) putPart(whole, dims, place, part, count, b.array(name))
    return whole
  }
  return {
    run: async (inputs) => {
      for (const [onnxName, key] of gradients) first.bind(onnxName, gradientOf(key))
      feed(inputs)
      bindStates()
      if (count === 1) first.run()
      else await allEnded(parts.map((b) => b.runLater()))
      return Object.fromEntries(lowered.fetches.map((name) => [name, resultOf(name)]))
    },
    release: async () => {
      for (const b of parts) b.release()
    },
  }
}
