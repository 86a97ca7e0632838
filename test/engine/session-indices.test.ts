/** Indices out of range: refused where inputs and literals determine them, the nearest where the graph computes them. */

import fc from 'fast-check'
import { isLeft, isRight } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  argmax,
  axis,
  cast,
  concat,
  constant,
  crossEntropy,
  evaluate,
  fixed,
  GraphError,
  gather,
  gradient,
  greaterEqual,
  Ignored,
  input,
  maximum,
  minimum,
  mul,
  normal,
  type Program,
  program,
  reshape,
  scatterAdd,
  select,
  slice,
  state,
  sub,
  sum,
  type Tensor,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'
import { indexUses } from '../../src/dsl/index-uses.ts'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const indices = suite(`indices on ${engines.map((e) => e.name).join(' and ')}`)

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

type Feed = Readonly<Record<string, TensorValue>>
const i32 = (shape: readonly number[], data: readonly number[]) => tensorValue('int32', shape, data)
const one = (build: () => Readonly<Record<string, Tensor>>): Program =>
  program({ name: 'p', functions: { f: fixed(() => ({ outputs: build() })) } })

/** What a call ends with on every engine: the error, or the outputs. */
const called = async (p: Program, feed: Feed, states: ReadonlyMap<string, TensorValue> = new Map()) => {
  const ends = []
  for (const engine of engines) {
    const s = await must(engine.load(p, { values: states }))
    ends.push(await s.call('f', feed)())
    await must(s.close())
  }
  return ends
}
/** Fails where an engine does not refuse the input with this message. */
const refused = async (p: Program, feed: Feed, message: string): Promise<void> => {
  for (const end of await called(p, feed)) {
    assert.ok(isLeft(end), `not refused: ${message}`)
    if (isRight(end)) return
    assert.is(end.left._tag, 'BadInput')
    assert.match(end.left.message, message)
    assert.match(end.left.where!, /session-indices\.test\.ts:\d+:\d+$/)
  }
}
const accepted = async (p: Program, feed: Feed, want: readonly number[]): Promise<void> => {
  for (const end of await called(p, feed)) {
    if (isLeft(end)) throw new Error(end.left.message)
    assert.equal([...Object.values(end.right)[0]!.data], want)
  }
}

const [Row, E, K, B] = [axis('row', 4), axis('e', 2), axis('k', 3), axis('b', 2)]
const table = constant(Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31), [Row, E])
const first = constant(Float32Array.of(0, 10, 20, 30), [Row])

indices('an input that is an index is refused out of range, with place, value and range', async () => {
  const plain = one(() => ({ y: gather(table, input('ids', [B, K], 'int32')) }))
  for (const [wrong, at] of [
    [-1, 0],
    [-4, 4],
    [-5, 5],
    [4, 2],
    [2147483647, 3],
  ] as const) {
    const ids = [0, 1, 2, 3, 0, 1]
    ids[at] = wrong
    await refused(
      plain,
      { ids: i32([2, 3], ids) },
      `function 'f': input 'ids' [${Math.floor(at / 3)}, ${at % 3}] is ${wrong}; gather takes 0 … 3`,
    )
  }
  const scalar = one(() => ({ y: gather(table, input('id', [], 'int32')) }))
  await refused(scalar, { id: i32([], [9]) }, "input 'id' is 9; gather takes 0 … 3")
  const scattered = one(() => ({
    y: scatterAdd(input('to', [K], 'int32'), constant(Float32Array.of(1, 2, 3), [K]), Row),
  }))
  await refused(scattered, { to: i32([3], [0, 3, -1]) }, "input 'to' [2] is -1; scatterAdd takes 0 … 3")
  await accepted(scattered, { to: i32([3], [0, 3, 3]) }, [1, 0, 0, 5])
})

indices('only what is used as an index is checked, through what lies between', async () => {
  const ids = input('ids', [B, K], 'int32')
  const turned = one(() => ({ y: gather(first, transpose(ids, ['k', 'b'])) }))
  await refused(
    turned,
    { ids: i32([2, 3], [0, 0, 0, 0, 7, 0]) },
    "input 'ids' [1, 1] is 7; gather takes 0 … 3",
  )
  const part = one(() => ({ y: gather(first, slice(ids, 'k', 1, 2)) }))
  await accepted(part, { ids: i32([2, 3], [-9, 1, 2, 99, 3, 0]) }, [10, 20, 30, 0])
  await refused(part, { ids: i32([2, 3], [-9, 1, 2, 99, 4, 0]) }, "input 'ids' [1, 1] is 4")
  const masked = one(() => ({ y: gather(first, maximum(ids, 0)) }))
  await accepted(masked, { ids: i32([2, 3], [-1, -1, 3, -7, 0, 1]) }, [0, 0, 30, 0, 0, 10])
  await refused(
    masked,
    { ids: i32([2, 3], [-1, -1, 4, 0, 0, 0]) },
    "input 'ids' [0, 2] is 4; gather takes 0 … 3",
  )
  const moved = one(() => ({ y: gather(first, sub(reshape(ids, [axis('n', 6)]), 10)) }))
  await refused(
    moved,
    { ids: i32([2, 3], [10, 10, 10, 13, 12, 9]) },
    "input 'ids' [1, 2] is 9, which makes an index of -1; gather takes 0 … 3",
  )
  const joined = one(() => ({
    y: gather(first, concat([input('a', [K], 'int32'), input('b', [K], 'int32')], 'k')),
  }))
  await refused(
    joined,
    { a: i32([3], [0, 1, 2]), b: i32([3], [3, 4, 0]) },
    "input 'b' [1] is 4; gather takes 0 … 3",
  )
  const both = one(() => ({ y: gather(first, add(input('a', [K], 'int32'), input('b', [K], 'int32'))) }))
  await refused(
    both,
    { a: i32([3], [0, 1, 2]), b: i32([3], [0, 1, 2]) },
    "index [2], computed from inputs 'a', 'b', is 4; gather takes 0 … 3",
  )
  const chosen = one(() => ({ y: gather(first, select(greaterEqual(ids, 2), sub(ids, 2), ids)) }))
  await accepted(chosen, { ids: i32([2, 3], [0, 1, 2, 3, 4, 5]) }, [0, 10, 0, 10, 20, 30])
  await refused(
    chosen,
    { ids: i32([2, 3], [0, 6, 0, 0, 0, 0]) },
    "input 'ids' [0, 1] is 6, which makes an index of 4",
  )
})

indices(
  'labels: −100 is ignored, any other out of range is refused, with and without the gradient',
  async () => {
    const w = state('w', [K, Row], normal(1))
    const labels = input('labels', [K], 'int32')
    const { mean, count } = crossEntropy(w, labels, 'row')
    const p = one(() => ({ count, mean, g: gradient(mean, [w])[0]! }))
    await accepted(p, { labels: i32([3], [Ignored, 3, 0]) }, [2])
    for (const wrong of [-1, -99, -101, 4])
      await refused(
        p,
        { labels: i32([3], [Ignored, 0, wrong]) },
        `input 'labels' [2] is ${wrong}; crossEntropy takes 0 … 3`,
      )
    assert.throws(
      () => evaluate([mean], { inputs: { labels: [0, 1, 4] }, states: { w: Array(12).fill(0) } }),
      /index 4 is out of range/,
    )
  },
)

indices('a literal index out of range is refused when the program is built', () => {
  for (const wrong of [-1, 4])
    assert.throws(
      () => one(() => ({ y: gather(table, constant(Int32Array.of(0, wrong), [B])) })),
      (e: unknown) =>
        e instanceof GraphError &&
        e.message.includes(`index [1], computed from literals, is ${wrong}; gather takes 0 … 3`) &&
        /session-indices/.test(e.where),
    )
})

indices('a computed index is brought to the nearest, on every engine as in the definition', async () => {
  const at = state('at', [K], zeros, 'int32')
  const by = input('by', [K])
  const build = (): Record<string, Tensor> => {
    const w = constant(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), [K, Row])
    const rows = constant(Float32Array.of(1, 10, 100), [K])
    const loss = crossEntropy(w, at, 'row').mean
    return {
      rows: gather(table, at),
      fromFractions: gather(first, cast(by, 'int32')),
      added: scatterAdd(at, rows, Row),
      // many rows, where engines add otherwise
      far: sum(scatterAdd(at, rows, axis('many', 600)), 'many'),
      loss: loss as Tensor,
    }
  }
  const p = one(build)
  const wide = fc.array(fc.integer({ min: -7, max: 7 }), { minLength: 3, maxLength: 3 })
  const sessions = await Promise.all(engines.map((e) => must(e.load(p))))
  await fc.assert(
    fc.asyncProperty(wide, wide, async (place, fractions) => {
      const want = evaluate(Object.values(build()), {
        inputs: { by: fractions.map((f) => f + 0.25) },
        states: { at: place },
      })
      for (const s of sessions) {
        await must(s.write(new Map([['at', i32([3], place)]])))
        const by = tensorValue(
          'float32',
          [3],
          fractions.map((f) => f + 0.25),
        )
        const got = await must(s.call('f', { by }))
        Object.values(got).forEach((v, i) => {
          const far = v.data.findIndex((x, k) => !(Math.abs(x - want[i]![k]!) < 1e-4))
          assert.is(far, -1, `${s.engine} ${Object.keys(got)[i]}`)
        })
      }
    }),
    { numRuns: 25 },
  )
  for (const s of sessions) await must(s.close())
})

indices('what cannot leave its range is neither checked nor clamped', () => {
  const ids = input('ids', [K], 'int32')
  const logits = input('logits', [K, Row])
  for (const index of [
    argmax(logits, 'row'),
    mul(argmax(input('pair', [K, axis('of', 2)]), 'of'), 3),
    minimum(maximum(ids, 0), 3),
    constant(Int32Array.of(0, 3, 1), [K]),
  ]) {
    const p = one(() => ({ y: gather(table, index) }))
    const before = optimiseProgram(p).functions.get('f')![0]!
    assert.equal(
      indexUses(Object.values(before.outputs)).map((u) => u.known),
      ['in range'],
    )
  }
  for (const factor of [4, -1]) {
    const p = one(() => ({ y: gather(table, mul(argmax(logits, 'row'), factor)) }))
    assert.equal(
      indexUses(Object.values(p.functions.get('f')![0]!.outputs)).map((u) => u.known),
      ['computed'],
    )
  }
})

indices('a long input of indices is checked to its end', async () => {
  const n = 2 ** 20 + 8
  const ids = reshape(input('ids', [axis('batch', 8), axis('token', n / 8)], 'int32'), [axis('all', n)])
  const p = one(() => ({ y: sum(gather(table, ids), 'all') }))
  const data = new Int32Array(n)
  data[n - 1] = 4
  await refused(p, { ids: { shape: [8, n / 8], dtype: 'int32', data } }, `input 'ids' [7, ${n / 8 - 1}] is 4`)
})

indices.run()
