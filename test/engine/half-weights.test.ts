/**
 * Weights that are stored in bfloat16 and stay in 16 bits: what is held of them, what a graph makes of them, and that sessions
 * compute with them what they compute in float32.
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  contract,
  elements,
  fixed,
  gather,
  gradient,
  input,
  loop,
  mul,
  normal,
  program,
  scalar,
  state,
  sum,
  type Tensor,
} from '../../src/dsl/index.ts'
import { lasting, openSession } from '../../src/engine/backend.ts'
import { halve, wholeOf } from '../../src/engine/onnx/half-weights.ts'
import { nativeOptions } from '../../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import { onnxBackend, type Runtime } from '../../src/engine/onnx/session.ts'
import { weightsAsStored } from '../../src/engine/precision.ts'
import type { Engine, TensorValue, WeightSource } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { inWorker } from '../../src/engine/worker/index.ts'
import { bf16ToF32, f32ToBf16 } from '../../src/formats/dtype.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const onnx = engines.find((e) => e.name === 'onnx')!
const held = suite('onnx: a weight in 16 bits')

held('holds every bfloat16 from 2⁻²⁵ up to 255 exactly, and what is smaller to 2⁻³³', () => {
  const all = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i)
  const fits = all.filter((x) => (x & 0x7fff) <= 0x437f)
  const numbers = bf16ToF32(fits)
  const patterns = fits.slice()
  assert.ok(halve(patterns))
  const back = wholeOf(patterns)
  for (const [i, x] of numbers.entries()) {
    if (Math.abs(x) >= 2 ** -25) assert.is(back[i], x, `${x}`)
    else assert.ok(Math.abs(back[i]! - x) <= 2 ** -33, `${x} became ${back[i]}`)
  }
  assert.ok(Object.is(back[0x4380], -0), 'zero keeps its sign')
})

held('refuses what float16 has no place for, and leaves it as it was', () => {
  for (const x of [256, -256, 1e30, Number.POSITIVE_INFINITY, Number.NaN]) {
    const patterns = f32ToBf16(Float32Array.of(0.5, x, 0.25))
    const before = patterns.slice()
    assert.not(halve(patterns), `${x}`)
    assert.equal(patterns, before)
  }
})
held.run()

const test = suite('onnx: sessions over weights in 16 bits')
const [vocab, embed, inner, token] = [
  axis('vocab', 4100),
  axis('embed', 2048),
  axis('inner', 6),
  axis('token', 3),
]
const weights = {
  table: [vocab, embed],
  up: [inner, embed],
  down: [embed, inner],
  norm: [embed],
  learns: [inner, embed],
} as const
const of = (key: keyof typeof weights): Tensor => state(key, weights[key], normal(0.1))

/** Rows of a table, products by both sides of a matrix, a gradient through them, a loop that reads one, a weight that changes. */
const built = program({
  name: 'halves',
  functions: {
    look: fixed(() => {
      const x: Tensor = mul(gather(of('table'), input('ids', [token], 'int32')), of('norm'))
      const hidden = add(contract(x, of('up'), 'embed'), contract(x, of('learns'), 'embed'))
      const y: Tensor = contract(hidden, of('down'), 'inner')
      const logits = contract(y, of('table'), 'embed')
      const [flow] = gradient(sum(sum(mul(logits, logits), 'token'), 'vocab'), [x])
      const { z } = loop({
        times: 2,
        carried: { z: x },
        step: ({ z }) => ({ next: { z: contract(contract(z, of('up'), 'embed'), of('down'), 'inner') } }),
      })
      return { outputs: { hidden, logits, flow: flow!, z } }
    }),
    learn: fixed(() => ({
      outputs: {},
      next: new Map<string, Tensor>([['learns', mul(of('learns'), scalar(2))]]),
    })),
  },
})

/** Numbers from −½ to ½ without a pattern, none too small to be held exactly. */
const scattered = (i: number): number => {
  const x = (Math.imul(i + 1, 0x9e3779b1) >>> 0) / 2 ** 32 - 0.5
  return Math.abs(x) < 1e-5 ? 1e-5 : x
}
const patterns = new Map(
  Object.entries(weights).map(([key, axes], k) => [
    key,
    f32ToBf16(
      Float32Array.from(
        { length: elements(axes) },
        (_, i) => scattered(i * 5 + k) * (key === 'norm' ? 2 : 0.2),
      ),
    ),
  ]),
)
const asked: string[] = []
const source: WeightSource = {
  keys: [...patterns.keys()],
  read: (key) => {
    asked.push(`float32 ${key}`)
    const shape = weights[key as keyof typeof weights].map((a) => a.size)
    return TE.right({ shape, dtype: 'float32', data: bf16ToF32(patterns.get(key)!) })
  },
  bfloat16: (key) => {
    asked.push(`bfloat16 ${key}`)
    return TE.right(patterns.get(key)!.slice())
  },
}
const ids = tensorValue('int32', [3], [4099, 0, 77])

/** Of millions of numbers only the first that differs is told. */
const equal = (a: TensorValue['data'], b: TensorValue['data']): void => {
  assert.is(a.length, b.length)
  const at = a.findIndex((x, i) => x !== b[i])
  assert.ok(at < 0, `${at}: ${a[at]}, not ${b[at]}`)
}

const near = (a: TensorValue, b: TensorValue, what: string): void => {
  assert.equal(a.shape, b.shape)
  const most = [...b.data].reduce((m, x) => Math.max(m, Math.abs(x)), 0)
  a.data.forEach((x, i) => {
    assert.ok(Math.abs(x - b.data[i]!) <= 2e-6 * most, `${what} ${i}: ${x}, not ${b.data[i]}`)
  })
}

for (const [name, engine] of [
  ['in this thread', onnx],
  ['in a thread of its own', inWorker(onnx)],
] as const)
  test(`${name}: the same numbers as in float32`, async () => {
    const whole = await orThrow(onnx.load(built, { values: source }))
    asked.length = 0
    const half = await orThrow(engine.load(built, { values: source, weights: 'stored' }))
    assert.equal(
      [...asked].sort(),
      ['bfloat16 down', 'bfloat16 table', 'bfloat16 up', 'float32 learns', 'float32 norm'],
      'matrices that never change are held in 16 bits',
    )
    const [a, b] = [await orThrow(half.call('look', { ids })), await orThrow(whole.call('look', { ids }))]
    for (const output of Object.keys(b)) near(a[output]!, b[output]!, output)
    const read = await orThrow(half.read(['table', 'norm']))
    equal(read.get('table')!.data, bf16ToF32(patterns.get('table')!))
    // what is written has its own bits
    const other = { ...read.get('table')!, data: read.get('table')!.data.map((x) => x * 1.00390625 + 1e-7) }
    const values = new Map([['table', other]])
    for (const s of [half, whole]) {
      await orThrow(s.write(values))
      await orThrow(s.call('learn', {}))
    }
    equal((await orThrow(half.read(['table']))).get('table')!.data, other.data)
    const [c, d] = [await orThrow(half.call('look', { ids })), await orThrow(whole.call('look', { ids }))]
    for (const output of Object.keys(d)) near(c[output]!, d[output]!, output)
    await orThrow(half.close())
    await orThrow(whole.close())
  })

test('what is written over a weight stays in 16 bits where it is the same, and only there', async () => {
  const { ort } = await orThrow(async () => loadOnnxRuntime())
  let made = 0
  const runtime = {
    Tensor: ort.Tensor,
    InferenceSession: {
      create: async (...given: readonly unknown[]) => {
        made++
        return (ort.InferenceSession.create as (...given: readonly unknown[]) => unknown)(...given)
      },
    },
  } as unknown as Runtime
  const backend = onnxBackend(runtime, built, nativeOptions(1))
  const s = await orThrow(openSession(backend, { values: source, weights: 'stored' }, lasting(built)))
  await orThrow(s.call('look', { ids }))
  await orThrow(s.restore(await orThrow(s.snapshot())))
  await orThrow(s.call('look', { ids }))
  assert.is(made, 1, 'nothing is compiled anew')
  const up = (await orThrow(s.read(['up']))).get('up')!
  up.data[7] = -0
  await orThrow(s.write(new Map([['up', up]])))
  await orThrow(s.call('look', { ids }))
  assert.is(made, 2)
  assert.ok(Object.is((await orThrow(s.read(['up']))).get('up')!.data[7], -0))
  await orThrow(s.close())
})

test('an engine that is told to goes on so in a thread of its own', async () => {
  const told = weightsAsStored(onnx)
  if (told._tag === 'Left') throw told.left
  const engine = inWorker(told.right)
  assert.is(engine.weights, 'stored')
  for (const [options, first] of [
    [{}, 'bfloat16'],
    [{ weights: 'float32' }, 'float32'],
  ] as const) {
    asked.length = 0
    const s = await orThrow(engine.load(built, { values: source, ...options }))
    assert.ok(asked.includes(`${first} table`), asked.join())
    await orThrow(s.close())
  }
})

const failure = async (engine: Engine, options: object): Promise<string> => {
  const loaded = await engine.load(built, { values: source, ...options } as never)()
  if (loaded._tag === 'Right') throw new Error(`${engine.name} took ${JSON.stringify(options)}`)
  return `${loaded.left._tag}: ${loaded.left.message}`
}

test('another engine says that it holds float32 alone', async () => {
  for (const engine of engines.filter((e) => e.name !== 'onnx'))
    for (const e of [engine, inWorker(engine)])
      assert.match(await failure(e, { weights: 'stored' }), /^BadOption: .*onnx on a processor can/)
  assert.match(
    await failure(onnx, { weights: 'half' }),
    /^BadOption: weights is 'half'; it must be 'float32' or 'stored'/,
  )
})

test('a weight that float16 cannot hold stays in float32, and so does one of which there are too few numbers', async () => {
  const of = (count: number, x: number): WeightSource => ({
    ...source,
    bfloat16: () => TE.right(f32ToBf16(new Float32Array(count).fill(x))),
  })
  const read = (key: string) => {
    const axes = weights[key as keyof typeof weights]
    const data = new Float32Array(elements(axes)).fill(1000)
    return TE.right({ shape: axes.map((a) => a.size), dtype: 'float32' as const, data })
  }
  for (const from of [of(6 * 2048, 1000), of(3 * 2048, 1)]) {
    const values = { ...from, keys: ['up'], read }
    const s = await orThrow(onnx.load(built, { values, weights: 'stored' }))
    const { data } = (await orThrow(s.read(['up']))).get('up')!
    assert.is(data.length, 6 * 2048)
    assert.ok(data.every((x) => x === 1000))
    await orThrow(s.close())
  }
})

test.run()
