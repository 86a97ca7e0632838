import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  applyTo,
  axis,
  contract,
  crossEntropy,
  equal,
  fixed,
  gradient,
  input,
  iota,
  type Program,
  program,
  type Results,
  select,
  sigmoid,
  silu,
  slice,
  square,
  state,
  type Tensor,
  tanh,
  total,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { tensorflowEngine } from '../../src/engine/tensorflow/index.ts'
import { lowerProgram } from '../../src/engine/tensorflow/saved-model.ts'
import { tensorValue } from '../../src/engine/values.ts'

const engine = await tensorflowEngine()()
const lowering = suite('tensorflow: what is lowered otherwise than by its definition')
if (isLeft(engine)) console.log(`numbers skipped: ${engine.left.message}`)

const one = (r: () => Results): Program => program({ name: 'one', functions: { f: fixed(r) } })

/** How often each operation occurs in the graph of `f`. */
const counts = (p: Program): Readonly<Record<string, number>> => {
  const found: Record<string, number> = {}
  for (const n of lowerProgram(p).builder.nodes())
    if (n.name.startsWith('f.0/')) found[n.op] = (found[n.op] ?? 0) + 1
  return found
}

type Numbers = Readonly<Record<string, ArrayLike<number>>>

/** Runs `f` once on TensorFlow and by the definition, and compares outputs and next states. */
const agrees = async (p: Program, inputs: Readonly<Record<string, TensorValue>>, states: Numbers = {}) => {
  if (isLeft(engine)) return
  const v = p.functions.get('f')![0]!
  const opened = await engine.right.load(p)()
  if (isLeft(opened)) throw new Error(opened.left.message)
  const s = opened.right
  const given = new Map(
    [...p.states.values()].flatMap(({ key, axes, dtype }) =>
      states[key] === undefined
        ? []
        : [
            [
              key,
              tensorValue(
                dtype,
                axes.map((a) => a.size),
                Array.from(states[key]!),
              ),
            ],
          ],
    ) as [string, TensorValue][],
  )
  await s.write(given)()
  const outputs = await s.call('f', inputs)()
  const after = await s.read()()
  await s.close()()
  if (isLeft(outputs)) throw new Error(outputs.left.message)
  if (isLeft(after)) throw new Error(after.left.message)
  const names = Object.keys(v.outputs)
  const wanted = evaluate([...names.map((n) => v.outputs[n]!), ...v.next.values()], {
    inputs: Object.fromEntries(Object.entries(inputs).map(([n, x]) => [n, x.data])),
    states,
  })
  const got = [
    ...names.map((n) => outputs.right[n]!.data),
    ...[...v.next.keys()].map((k) => after.right.get(k)!.data),
  ]
  wanted.forEach((w, i) => {
    assert.is(got[i]!.length, w.length)
    w.forEach((x, k) => {
      assert.ok(
        Math.abs(x - got[i]![k]!) <= 1e-5 * Math.max(1, Math.abs(x)),
        `${i}[${k}]: ${got[i]![k]} for ${x}`,
      )
    })
  })
}

const waves = (n: number, from = 0): number[] =>
  Array.from({ length: n }, (_, i) => Math.sin(1.7 * (i + from)))
const [B, T, C] = [axis('b', 3), axis('t', 4), axis('c', 5)]

lowering('a sum of squares is one pass', async () => {
  const p = one(() => ({ outputs: { y: total(square(input('x', [B, T]))) } }))
  assert.is(counts(p).L2Loss, 1)
  assert.is(counts(p).Sum, undefined)
  await agrees(p, { x: tensorValue('float32', [3, 4], waves(12)) })
})

for (const [name, f, op] of [
  ['sigmoid', sigmoid, 'SigmoidGrad'],
  ['tanh', tanh, 'TanhGrad'],
] as const)
  lowering(`the gradient of ${name} is one operation`, async () => {
    const w = state('w', [B, T], zeros)
    const p = one(() => ({
      outputs: { g: gradient(total(square(f(w)) as Tensor), [w])[0]! },
    }))
    assert.is(counts(p)[op], 1)
    await agrees(p, {}, { w: waves(12) })
  })

lowering('the slope of x σ(x) is one operation', async () => {
  const w = state('w', [B, T], zeros)
  const p = one(() => ({
    outputs: { g: gradient(total(square(applyTo(silu, w)) as Tensor), [w])[0]! },
  }))
  assert.is(counts(p).SigmoidGrad, 1)
  await agrees(p, {}, { w: waves(12) })
})

lowering('gradients of slices side by side are joined, and not padded and added', async () => {
  const w = state('w', [B, T], zeros)
  const p = one(() => {
    const [a, b] = [slice(w, 't', 0, 1), slice(w, 't', 1, 3)]
    return { outputs: { g: gradient(add(total(square(a)), total(sigmoid(b))), [w])[0]! } }
  })
  const { Pad, ConcatV2 } = counts(p)
  assert.equal([Pad, ConcatV2], [undefined, 1])
  await agrees(p, {}, { w: waves(12) })
})

lowering('cross-entropy and its gradient share one log-softmax', async () => {
  const w = state('w', [B, T, C], zeros)
  const p = one(() => {
    const { mean } = crossEntropy(w, input('y', [B, T], 'int32'), 'c')
    return { outputs: { mean, g: gradient(mean, [w])[0]! } }
  })
  assert.is(counts(p).LogSoftmax, 1)
  assert.is(counts(p).Softmax, undefined)
  const y = tensorValue('int32', [3, 4], [0, 4, 2, -100, 1, 1, 3, -100, 0, 2, 4, 4])
  await agrees(p, { y }, { w: waves(60) })
})

lowering('cross-entropy over an axis that is not the last runs its definition', async () => {
  const w = state('w', [B, C, T], zeros)
  const p = one(() => {
    const { mean } = crossEntropy(w, input('y', [B, T], 'int32'), 'c')
    return { outputs: { mean, g: gradient(mean, [w])[0]! } }
  })
  assert.is(counts(p).TensorScatterSub, undefined)
  await agrees(p, { y: tensorValue('int32', [3, 4], [0, 4, 2, 3, 1, 1, 3, 2, 0, 2, 4, 4]) }, { w: waves(60) })
})

lowering('a cache takes a token in where it lies; a place outside writes nothing', async () => {
  const Slot = axis('slot', 6)
  for (const axes of [
    [B, Slot, C],
    [B, T, Slot, C],
    [Slot, C],
  ]) {
    const before = axes.slice(0, axes.indexOf(Slot))
    const shape = before.map((a) => a.size)
    const rows = shape.reduce((n, s) => n * s, 1)
    const cache = state('cache', axes, zeros)
    const of = (seen: 'before' | 'after') =>
      one(() => {
        const next: Tensor = select(
          equal(input('place', before, 'int32'), iota(Slot)),
          input('value', [...before, C]),
          cache,
        )
        const read: Tensor = seen === 'before' ? cache : next
        return { outputs: { seen: total(square(read)) }, next: new Map([['cache', next]]) }
      })
    // where the call reads what is written, it is computed and assigned
    for (const [seen, inPlace, assigned] of [
      ['before', 1, undefined],
      ['after', undefined, 1],
    ] as const) {
      assert.is(counts(of(seen)).InplaceUpdate, inPlace)
      assert.is(counts(of(seen)).AssignVariableOp, assigned)
      const places = Array.from({ length: rows }, (_, i) => [0, 5, 6, -1, 3][i % 5]!)
      for (const shift of [0, 2])
        await agrees(
          of(seen),
          {
            place: tensorValue('int32', shape, [...places.slice(shift), ...places.slice(0, shift)]),
            value: tensorValue('float32', [...shape, 5], waves(rows * 5, 100)),
          },
          { cache: waves(rows * 30) },
        )
    }
  }
})

lowering('a product whose operand must be moved keeps the operand’s rows whole', async () => {
  const [Head, Dim, Key] = [axis('head', 2), axis('dim', 3), axis('key', 4)]
  const p = one(() => ({
    outputs: {
      scores: contract(input('q', [B, T, Head, Dim]), input('k', [B, Key, Head, Dim]), 'dim'),
    },
  }))
  const moved = lowerProgram(p)
    .builder.nodes()
    .filter((n) => n.op === 'Transpose')
  assert.is(moved.length, 2)
  await agrees(p, {
    q: tensorValue('float32', [3, 4, 2, 3], waves(72)),
    k: tensorValue('float32', [3, 4, 2, 3], waves(72, 9)),
  })
  const read = (name: string): Int32Array => {
    const bytes = lowerProgram(p)
      .builder.nodes()
      .find((n) => n.name === name)!.attr.value!.tensor!.tensorContent!
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  }
  for (const n of moved) assert.is(read(n.input[1]!).at(-1), 3)
})

lowering('a transpose of axes of size 1 is a reshape', () => {
  const p = one(() => ({ outputs: { y: transpose(input('x', [axis('u', 1), T]), ['t', 'u']) } }))
  assert.is(counts(p).Transpose, undefined)
  assert.is(counts(p).Reshape, 1)
})

lowering.run()
