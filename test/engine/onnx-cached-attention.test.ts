/** Attention over a cache that onnx writes where it lies, against its definition. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  fill,
  fixed,
  maximum,
  mul,
  type Program,
  program,
  rewrite,
  state,
  type Tensor,
  topological,
  total,
} from '../../src/dsl/index.ts'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import { lasting, openSession } from '../../src/engine/backend.ts'
import { type Session, type TensorValue, tensorValue } from '../../src/engine/index.ts'
import { cApi } from '../../src/engine/onnx/c-api.ts'
import { nativeOptions } from '../../src/engine/onnx/index.ts'
import { type Lowered, lower } from '../../src/engine/onnx/lower.ts'
import { onnxBackend, type Runtime } from '../../src/engine/onnx/session.ts'
import { decode, extend, isCacheKey, qwen3Model } from '../../src/models/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { library, runtime, runtimeOfBinding } from '../support/onnx-runtime.ts'

const test = suite('onnx: attention over a cache where it lies')
const api = cApi(library)

const language = {
  ...{ vocabSize: 30, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4, kvHeads: 2, headDim: 8 },
  ...{ ropeTheta: 100, epsilon: 1e-6, tied: true },
}
const [rows, capacity, steps] = [3, 12, 3]
const sizes = { rows, prompt: 6, capacity }

const programOf = (c: typeof language): Program => {
  const model = qwen3Model('m', c)
  const functions = {
    decode: fixed(() => decode(model, sizes)),
    extend: fixed(() => extend(model, sizes, steps)),
  }
  return optimiseProgram(program({ name: 'p', functions }))
}

const position = [0, 4, capacity - steps]
const inputs: Readonly<Record<string, TensorValue>> = {
  input_ids: tensorValue('int32', [rows], [3, 7, 11]),
  position: tensorValue('int32', [rows], position),
}
const drawing = {
  ...inputs,
  uniform: tensorValue(
    'float32',
    [steps, rows],
    Array.from({ length: steps * rows }, (_, i) => ((7 * i) % 9) / 9),
  ),
  scale: tensorValue('float32', [], [1]),
  greedy: tensorValue('bool', [], [0]),
  bias: tensorValue('float32', [30], new Float32Array(30)),
}

/** What two calls give and leave, from the same weights and the same cache. */
const called = async (p: Program, r: Runtime, at = position) => {
  const placed = { position: tensorValue('int32', [rows], at) }
  const session = await orThrow(openSession(onnxBackend(r, p, nativeOptions(1), lasting(p)), { seed: 3 }))
  const keys = [...p.states.keys()].filter(isCacheKey)
  const held = new Map(
    keys.map((k) => {
      const { axes } = p.states.get(k)!
      const shape = axes.map((a) => a.size)
      const count = shape.reduce((n, s) => n * s, 1)
      return [k, tensorValue('float32', shape, fill({ kind: 'uniform', limit: 1 }, count, 5, k))]
    }),
  )
  await orThrow(session.write(held))
  const { logits } = await orThrow(session.call('decode', { ...inputs, ...placed }))
  const { ids, log_probs } = await orThrow(session.call('extend', { ...drawing, ...placed }))
  const left = await orThrow(session.read(keys))
  await orThrow(session.close())
  return { logits: logits!, ids: ids!, logProbs: log_probs!, left }
}

const operationsOf = (l: Lowered): ReadonlySet<string> => new Set(l.model.graph.node.map((n) => n.opType))

const close = (a: TensorValue, b: TensorValue, what: string): void =>
  a.data.forEach((x, i) => {
    assert.ok(Math.abs(x - b.data[i]!) < 1e-5, `${what} ${i}: ${x} and ${b.data[i]}`)
  })

if (api !== undefined)
  test('a row whose place the cache does not have changes no other row', async () => {
    const p = programOf(language)
    for (const beyond of [-1, capacity - 1, capacity, 1_000_000]) {
      const at = [0, 4, beyond]
      const [where, apart] = [await called(p, runtime, at), await called(p, runtimeOfBinding, at)]
      const others = (t: TensorValue): readonly number[] => [...t.data].filter((_, i) => i % rows !== 2)
      assert.equal(others(where.ids), others(apart.ids))
      for (const [key, value] of apart.left) {
        const count = (2 * value.data.length) / rows
        const first = (t: TensorValue): TensorValue => ({ ...t, data: t.data.slice(0, count) })
        close(first(where.left.get(key)!), first(value), key)
      }
    }
  })

if (api !== undefined)
  test('it gives the same tokens, log-probabilities and logits, and leaves the same cache', async () => {
    for (const kvHeads of [1, 2, 4]) {
      const p = programOf({ ...language, kvHeads })
      for (const [name, count] of [
        ['decode', 1],
        ['extend', steps],
      ] as const) {
        const lowered = lower(name, p.functions.get(name)![0]!, { bound: true })
        assert.is(lowered.written.size, 2 * language.layers * count, name)
        assert.is(lowered.overwrites.length, 0)
        // queries that share a matrix would be multiplied with it one by one
        const used = operationsOf(lowered)
        assert.is(used.has('GroupQueryAttention'), kvHeads < language.heads, name)
        assert.is(used.has('ScatterND'), kvHeads === language.heads, name)
      }
      const [where, apart] = [await called(p, runtime), await called(p, runtimeOfBinding)]
      assert.equal(where.ids, apart.ids)
      close(where.logits, apart.logits, 'logits')
      close(where.logProbs, apart.logProbs, 'log-probability')
      for (const [key, value] of apart.left) close(where.left.get(key)!, value, key)
    }
  })
else test.skip('npm has no addon for this platform by which C functions are called', () => undefined)

if (api !== undefined)
  test('of a long cache no more is read than is filled', () => {
    const model = qwen3Model('m', { ...language, kvHeads: language.heads })
    for (const [slots, operation] of [
      [192, 'ScatterND'],
      [193, 'GroupQueryAttention'],
    ] as const) {
      const functions = { decode: fixed(() => decode(model, { ...sizes, capacity: slots })) }
      const [variant] = optimiseProgram(program({ name: 'p', functions })).functions.get('decode')!
      assert.ok(operationsOf(lower('decode', variant!, { bound: true })).has(operation), operation)
    }
  })

/** What a call gives behind one before it and a change. */
const logitsOf = async (p: Program, change: (session: Session) => Promise<unknown>) => {
  const session = await orThrow(
    openSession(onnxBackend(runtime, p, nativeOptions(1), lasting(p)), { seed: 3 }),
  )
  await orThrow(session.call('decode', inputs))
  await change(session)
  const { logits } = await orThrow(session.call('decode', inputs))
  await orThrow(session.close())
  return logits!
}
const weight = 'model.layers.0.mlp.gate_proj.weight'
const doubled = async (session: Session): Promise<void> => {
  const held = (await orThrow(session.read([weight]))).get(weight)!
  await orThrow(session.write(new Map([[weight, { ...held, data: held.data.map((x) => 2 * x) }]])))
}

test('weights that are written, or that another function changes, are those of the next call', async () => {
  const p = programOf({ ...language, kvHeads: language.heads })
  const model = qwen3Model('m', { ...language, kvHeads: language.heads })
  const learning = optimiseProgram(
    program({
      name: 'p',
      functions: {
        decode: fixed(() => decode(model, sizes)),
        double: fixed(() => {
          const { axes, init } = p.states.get(weight)!
          const next = mul(state(weight, axes, init), 2)
          return { outputs: {}, next: new Map([[weight, next]]) }
        }),
      },
    }),
  )
  const before = await logitsOf(p, async () => undefined)
  const written = await logitsOf(p, doubled)
  assert.ok(written.data.some((x, i) => Math.abs(x - before.data[i]!) > 1e-3))
  close(written, await logitsOf(learning, doubled), 'written')
  close(written, await logitsOf(learning, (s) => orThrow(s.call('double', {}))), 'doubled')
})

/** Programs of which a cache cannot be written before all that reads it: what they give has to be what the definition gives. */
const model = qwen3Model('m', { ...language, kvHeads: language.heads })
const changed = (change: (r: ReturnType<typeof decode>) => ReturnType<typeof decode>): Program =>
  optimiseProgram(program({ name: 'p', functions: { decode: fixed(() => change(decode(model, sizes))) } }))
const cacheOf = (r: ReturnType<typeof decode>): Tensor =>
  topological(Object.values(r.outputs)).find((t) => t.op.op === 'state' && isCacheKey(t.op.key))!
const others: Readonly<Record<string, Program>> = {
  'a cache that is given out as it was': changed((r) => ({
    ...r,
    outputs: { ...r.outputs, was: cacheOf(r) },
  })),
  'a cache that something else reads': changed((r) => ({
    ...r,
    outputs: { ...r.outputs, sum: total(mul(cacheOf(r), 2)) },
  })),
  'attention that has another place than the write': changed((r) => {
    const [names, keys] = [Object.keys(r.outputs), [...r.next!.keys()]]
    const roots = rewrite([...Object.values(r.outputs), ...r.next!.values()], (t) => {
      if (t.op.op !== 'composite' || t.op.kind !== 'cachedAttention') return t
      const place = t.inputs.at(-1)!
      return { ...t, inputs: [...t.inputs.slice(0, -1), maximum(place, 3)] }
    })
    return {
      outputs: Object.fromEntries(names.map((n, i) => [n, roots[i]!])),
      next: new Map(keys.map((k, i) => [k, roots[names.length + i]!])),
    }
  }),
}
for (const [what, p] of Object.entries(others))
  test(`${what} keeps the definition`, async () => {
    const given = async (r: Runtime) => {
      const session = await orThrow(openSession(onnxBackend(r, p, nativeOptions(1), lasting(p)), { seed: 3 }))
      // the second call finds what the first has written
      await orThrow(session.call('decode', inputs))
      const outputs = await orThrow(session.call('decode', inputs))
      const left = await orThrow(session.read([...p.states.keys()].filter(isCacheKey)))
      await orThrow(session.close())
      return new Map([...Object.entries(outputs), ...left])
    }
    const [where, apart] = [await given(runtime), await given(runtimeOfBinding)]
    assert.equal([...where.keys()], [...apart.keys()])
    for (const [key, value] of apart) close(where.get(key)!, value, key)
    assert.is(lower('decode', p.functions.get('decode')![0]!, { bound: true }).written.size, 0)
  })

test('what a call has given stays as it is when another is made', async () => {
  const p = programOf({ ...language, kvHeads: language.heads })
  const session = await orThrow(
    openSession(onnxBackend(runtime, p, nativeOptions(1), lasting(p)), { seed: 3 }),
  )
  const { logits } = await orThrow(session.call('decode', inputs))
  const given = logits!.data.slice()
  const others = { ...inputs, input_ids: tensorValue('int32', [rows], [4, 8, 12]) }
  const { logits: next } = await orThrow(session.call('decode', others))
  await orThrow(session.close())
  assert.equal(logits!.data, given)
  assert.not.equal(next!.data, given)
})

test('a size of heads that the operation does not take, and a session of the binding, keep the definition', () => {
  const p = programOf({ ...language, headDim: 6 })
  const odd = lower('decode', p.functions.get('decode')![0]!, { bound: true })
  assert.is(odd.written.size, 0)
  assert.ok(odd.overwrites.length > 0)
  assert.is(lower('extend', programOf(language).functions.get('extend')![0]!).written.size, 0)
})

test.run()
