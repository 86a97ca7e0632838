import { isLeft } from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Tensor as OrtTensor } from 'onnxruntime-common'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  type Axis,
  add,
  applyTo,
  at,
  axis,
  cast,
  causal,
  constant,
  crossEntropy,
  elements,
  gather,
  gelu,
  geluTanh,
  gradient,
  input,
  iota,
  type Layer,
  layerNorm,
  mul,
  type Names,
  parametersOf,
  reshape,
  rmsNorm,
  rotate,
  rotations,
  selfAttention,
  silu,
  sizes,
  swiGlu,
  type Tensor,
  total,
  transpose,
} from '../../src/dsl/index.ts'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import { fixed, program } from '../../src/dsl/program.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { exportOnnx, onnxEngine } from '../../src/engine/onnx/index.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { decodeModel } from '../support/protobuf.ts'

const must = async <A>(task: TE.TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

type Arrays = Readonly<Record<string, ArrayLike<number>>>

const close = (what: string, got: ArrayLike<number>, want: ArrayLike<number>): void => {
  const scale = Array.from(want).reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3)
  assert.is(got.length, want.length, what)
  for (let i = 0; i < want.length; i++)
    assert.ok(
      Math.abs(got[i]! - want[i]!) <= 2e-5 * scale,
      `${what}[${i}]: ${got[i]} where the definition has ${want[i]}`,
    )
}

/** The outputs by the runtime alone, from an exported file. */
const fromFile = async (file: Uint8Array, inputs: Readonly<Record<string, TensorValue>>): Promise<Arrays> => {
  const { ort } = await must(TE.fromEither(loadOnnxRuntime()))
  const native = await ort.InferenceSession.create(file, { logSeverityLevel: 4 })
  const feeds = Object.fromEntries(
    native.inputNames.map((n) => [n, new ort.Tensor(inputs[n]!.dtype, inputs[n]!.data, inputs[n]!.shape)]),
  )
  const out = await native.run(feeds as Record<string, OrtTensor>)
  await native.release()
  return Object.fromEntries(Object.entries(out).map(([n, t]) => [n, t.data as Float32Array]))
}

/** The outputs by the engine, by the engine after the passes, and by an exported file, against the definition. */
const holds = async (
  build: () => Readonly<Record<string, Tensor>>,
  inputs: Readonly<Record<string, TensorValue>>,
): Promise<void> => {
  const plain = program({ name: 'composites', functions: { f: fixed(() => ({ outputs: build() })) } })
  const engine = await must(onnxEngine())
  for (const p of [plain, optimiseProgram(plain)]) {
    const session = await must(engine.load(p, { seed: 11, threads: 1 }))
    const states = await must(session.read())
    // weights and biases of norms begin as ones and zeros, which would hide a fault
    const moved = new Map(
      [...states].map(([k, v]) => [
        k,
        { ...v, data: (v.data as Float32Array).map((x, i) => x + Math.sin(i)) },
      ]),
    )
    await must(session.write(moved))
    const roots = plain.functions.get('f')![0]!.outputs
    const names = Object.keys(roots)
    const numbers = (of: Iterable<[string, TensorValue]>): Arrays =>
      Object.fromEntries([...of].map(([n, v]) => [n, v.data]))
    const want = evaluate(
      names.map((n) => roots[n]!),
      { inputs: numbers(Object.entries(inputs)), states: numbers(moved) },
    )
    const got = await must(session.call('f', inputs))
    await must(session.close())
    for (const [i, n] of names.entries()) close(n, got[n]!.data, want[i]!)

    const file = exportOnnx(p, 'f', 0, moved)
    if (isLeft(file)) throw new Error(file.left.message)
    const model = decodeModel(file.right)
    assert.equal(
      model.opsetImport.map((o) => o.domain ?? ''),
      [''],
    )
    assert.ok(model.graph.node.every((n) => (n.domain ?? '') === ''))
    const initializers = new Set(model.graph.initializer?.map((t) => t.name))
    assert.ok([...p.functions.get('f')![0]!.states.keys()].every((k) => initializers.has(k)))
    const standalone = await fromFile(file.right, inputs)
    for (const [i, n] of names.entries()) close(`exported ${n}`, standalone[n]!, want[i]!)
  }
}

const Batch = axis('batch', 2)
const Token = axis('token', 5)
const Embed = axis('embed', 8)

const wave = (axes: readonly Axis[], phase = 0): TensorValue =>
  tensorValue(
    'float32',
    sizes(axes),
    Array.from({ length: elements(axes) }, (_, i) => 1.7 * Math.sin(3.1 * i + phase)),
  )

const x = (): Tensor<readonly ['batch', 'token', 'embed']> => input('x', [Batch, Token, Embed])
const weigh = (y: Tensor): Tensor<readonly []> =>
  total(mul(y, constant(wave(y.axes, 2).data as Float32Array, y.axes as readonly Axis[])))

const composites = suite('onnx: composites against their definitions, forward and through the gradient')

const layers: Readonly<Record<string, Layer<Names, Names>>> = {
  gelu: gelu as never,
  geluTanh: geluTanh as never,
  silu: silu as never,
  rmsNorm: at('norm')(rmsNorm(Embed)) as never,
  layerNorm: at('norm')(layerNorm(Embed)) as never,
  swiGlu: at('mlp')(swiGlu(Embed, axis('hidden', 12))) as never,
  selfAttention: at('attention')(
    selfAttention({ token: Token, embed: Embed, heads: 4, kvHeads: 2, qkNorm: 1e-6, mask: causal(Token) }),
  ) as never,
}

for (const [name, layer] of Object.entries(layers)) {
  const inputs = { x: wave([Batch, Token, Embed]) }
  composites(name, () => holds(() => ({ y: applyTo(layer, x()) }), inputs))
  composites(`${name}, gradient`, () =>
    holds(() => {
      const from = x()
      const y = applyTo(layer, from)
      const loss = weigh(y)
      const wrt = [from, ...parametersOf(loss).values()]
      return Object.fromEntries([['y', y], ...gradient(loss, wrt).map((g, i) => [`g${i}`, g] as const)])
    }, inputs),
  )
}

composites('norms over an axis that is not the last', () =>
  holds(
    () => {
      const t = transpose(x(), ['embed', 'batch', 'token'])
      const back = (y: Tensor): Tensor => reshape(y, [axis('all', 80)])
      return {
        rms: add(back(applyTo(at('a')(rmsNorm(Embed)) as never, x())), back(t)),
        y: applyTo(at('b')(layerNorm(Batch)) as never, transpose(x(), ['token', 'embed', 'batch'])),
      }
    },
    { x: wave([Batch, Token, Embed]) },
  ),
)

composites('rotary', () =>
  holds(
    () => {
      const q = input('q', [Batch, Token, axis('head', 3), axis('headDim', 6)])
      const turned = rotate(q, rotations(iota(Token), axis('headDim', 6), 1e4), 'headDim')
      return { turned, g: gradient(weigh(turned), [q])[0]! }
    },
    { q: wave([Batch, Token, axis('head', 3), axis('headDim', 6)]) },
  ),
)

composites('cross-entropy, its gradient, and ignored labels', () =>
  holds(
    () => {
      const logits = input('logits', [Batch, Token, axis('vocab', 7)])
      const { mean, count } = crossEntropy(logits, input('labels', [Batch, Token], 'int32'), 'vocab')
      return { mean, count, g: gradient(mean, [logits])[0]! }
    },
    {
      logits: wave([Batch, Token, axis('vocab', 7)]),
      labels: tensorValue('int32', [2, 5], [0, 6, -100, 3, 3, -100, -100, 1, 2, 5]),
    },
  ),
)

composites('an exported file brings computed indices into range', async () => {
  const p = program({
    name: 'export',
    functions: {
      f: fixed(() => ({
        outputs: {
          y: gather(input('table', [axis('row', 3)]), cast(input('at', [axis('i', 3)]), 'int32')),
        },
      })),
    },
  })
  const file = exportOnnx(p, 'f', 0, new Map())
  if (isLeft(file)) throw new Error(file.left.message)
  const got = await fromFile(file.right, {
    table: tensorValue('float32', [3], [1, 2, 3]),
    at: tensorValue('float32', [3], [-2, 1.5, 7]),
  })
  assert.equal([...Array.from(got.y!)], [1, 2, 3])
})

composites.run()
