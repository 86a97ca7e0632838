/**
 * The onnx engine's backend on a GPU through WebGPU: states lie in buffers of the GPU and are fed from call to call; the
 * optimizer is part of the graph. What is read comes through a graph's output on the CPU, since a tensor on the GPU that
 * is asked for its own data ends the process (seen in 1.30).
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import { type Data, type Dtype, type Program, type StateSpec, sizes, type Variant } from '../../dsl/index.ts'
import type { Backend, Values } from '../backend.ts'
import type { EngineError } from '../error.ts'
import { encodeModel, onnxNode, onnxValue } from '../proto/onnx.ts'
import type { TensorValue } from '../session.ts'
import { failed, refusedBy } from './blame.ts'
import { type Lowered, lower, opset, type Source } from './lower.ts'
import type { NativeOptions, Runtime } from './session.ts'

interface Compiled {
  readonly lowered: Lowered
  readonly native: InferenceSession | undefined
}

/** The settings under which native sessions are made. */
const settings = (outputs: Readonly<Record<string, 'cpu' | 'gpu-buffer'>>): NativeOptions => ({
  executionProviders: ['webgpu'],
  graphOptimizationLevel: 'all',
  preferredOutputLocation: outputs,
  logSeverityLevel: 4,
})

/** A graph that gives its input back: across to where its output is wanted. */
const across = (dtype: Dtype, shape: readonly number[]) =>
  encodeModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'sailwright',
    graph: {
      name: 'across',
      node: [onnxNode('Identity', ['x'], ['y'])],
      initializer: [],
      input: [onnxValue('x', dtype, shape)],
      output: [onnxValue('y', dtype, shape)],
    },
  })

/** Rejects with what the runtime says where there is no GPU. */
export const webgpuAdapter = async (runtime: Runtime): Promise<void> => {
  const one = await runtime.InferenceSession.create(across('float32', [1]), settings({ y: 'gpu-buffer' }))
  const { y } = await one.run({ x: new runtime.Tensor('float32', Float32Array.of(0), [1]) })
  y!.dispose()
  await one.release()
}

/** The backend of one program; native sessions follow with the first call of each variant. */
export const webgpuBackend = (runtime: Runtime, program: Program): Backend => {
  const states = new Map<string, OrtTensor>()
  const compiled = new Map<Variant, Compiled>()
  const crossings = new Map<string, Promise<InferenceSession>>()

  const crossing = (to: 'cpu' | 'gpu-buffer', dtype: Dtype, shape: readonly number[]) => {
    const id = `${to} ${dtype} ${shape.join()}`
    const had =
      crossings.get(id) ?? runtime.InferenceSession.create(across(dtype, shape), settings({ y: to }))
    crossings.set(id, had)
    return had
  }
  const cross = async (t: OrtTensor, to: 'cpu' | 'gpu-buffer', dtype: Dtype): Promise<OrtTensor> =>
    (await (await crossing(to, dtype, t.dims)).run({ x: t })).y as OrtTensor

  const put = (key: string, tensor: OrtTensor): void => {
    states.get(key)?.dispose()
    states.set(key, tensor)
  }
  const up = async (spec: StateSpec, data: Data): Promise<OrtTensor> =>
    cross(new runtime.Tensor(spec.dtype, data.slice() as Data, sizes(spec.axes)), 'gpu-buffer', spec.dtype)
  const down = async (key: string): Promise<Data> => {
    const spec = program.states.get(key)!
    return (await cross(states.get(key)!, 'cpu', spec.dtype)).data as Data
  }

  const compiledOf = async (name: string, variant: Variant): Promise<Either<EngineError, Compiled>> => {
    const had = compiled.get(variant)
    if (had !== undefined) return right(had)
    const lowered = lower(name, variant, { mode: 'webgpu' })
    const wanted = new Set([...lowered.outputs.values()].map((s) => s.name))
    const places = Object.fromEntries(
      lowered.fetches.map((fetched) => [fetched, wanted.has(fetched) ? 'cpu' : 'gpu-buffer'] as const),
    )
    try {
      const native =
        lowered.fetches.length === 0
          ? undefined
          : await runtime.InferenceSession.create(encodeModel(lowered.model), settings(places))
      const made = { lowered, native }
      compiled.set(variant, made)
      return right(made)
    } catch (e) {
      return left(refusedBy('onnx on webgpu', name, lowered, e))
    }
  }

  const run = async (
    { lowered, native }: Compiled,
    inputs: Values,
  ): Promise<Readonly<Record<string, TensorValue>>> => {
    const given = [...lowered.inputs].map(([onnxName, input]) => {
      const v = inputs.get(input)!
      return [onnxName, new runtime.Tensor(v.dtype, v.data.slice() as Data, v.shape)] as const
    })
    const held = [...lowered.states].map(([onnxName, key]) => [onnxName, states.get(key)!] as const)
    const results = native === undefined ? {} : await native.run(Object.fromEntries([...given, ...held]))
    const dataOf = async (s: Source): Promise<Data> => {
      if (s.from === 'constant') return s.data as unknown as Data
      if (s.from === 'input') return inputs.get(s.name)!.data
      return s.from === 'state' ? down(s.name) : (results[s.name]!.data as Data)
    }
    const outputs: Record<string, TensorValue> = {}
    for (const [name, s] of lowered.outputs)
      outputs[name] = { shape: [...s.shape], dtype: s.dtype, data: (await dataOf(s)).slice() as Data }
    // every next value is there before any state changes: a state may be another's next value
    const taken = new Set<string>()
    const next: (readonly [string, OrtTensor])[] = []
    for (const [key, s] of lowered.next) {
      const found = s.from === 'output' && !taken.has(s.name) ? (results[s.name] as OrtTensor) : undefined
      if (found?.location === 'gpu-buffer') {
        taken.add(s.name)
        next.push([key, found])
      } else {
        const spec = program.states.get(key)!
        const shared = s.from === 'output' ? (results[s.name] as OrtTensor) : undefined
        next.push([
          key,
          shared?.location === 'gpu-buffer'
            ? await cross(shared, 'gpu-buffer', spec.dtype)
            : await up(spec, await dataOf(s)),
        ])
      }
    }
    for (const [key, tensor] of next) put(key, tensor)
    return outputs
  }

  return {
    name: 'onnx',
    program,
    empty: [...program.states.keys()],
    groupBytes: 2 ** 26,
    call: async (name, { variant, inputs }) => {
      const ready = await compiledOf(name, variant)
      if (isLeft(ready)) return ready
      try {
        return right(await run(ready.right, inputs))
      } catch (e) {
        return left(failed(name, ready.right.lowered, e))
      }
    },
    read: async (specs) => {
      const out = new Map<string, TensorValue>()
      for (const s of specs)
        out.set(s.key, { shape: sizes(s.axes), dtype: s.dtype, data: (await down(s.key)).slice() as Data })
      return out
    },
    write: async (values) => {
      for (const [key, v] of values) put(key, await up(program.states.get(key)!, v.data))
    },
    close: async () => {
      const natives = [
        ...[...compiled.values()].flatMap((c) => c.native ?? []),
        ...(await Promise.all(crossings.values())),
      ]
      compiled.clear()
      crossings.clear()
      for (const tensor of states.values()) tensor.dispose()
      states.clear()
      for (const n of natives) await n.release()
    },
  }
}
