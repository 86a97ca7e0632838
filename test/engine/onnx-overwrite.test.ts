import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { node } from '../../src/dsl/graph.ts'
import {
  type Axis,
  add,
  axis,
  elements,
  equal,
  fixed,
  input,
  iota,
  type Program,
  program,
  select,
  sizes,
  state,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { tensorValue } from '../../src/engine/values.ts'

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

const site = { line: '' }

/** `next = select(where, value, state)`, with the state as it was and as it becomes among the outputs. */
const overwriting = (whole: readonly Axis[], where: readonly Axis[], value: readonly Axis[]): Program =>
  program({
    name: 'overwriting',
    functions: {
      f: fixed(() => {
        const old = state('s', whole, zeros)
        const next = node(
          { op: 'select' },
          [input('where', where, 'bool'), input('value', value), old],
          whole,
          'float32',
          site,
        )
        return { outputs: { sum: add(next, old) }, next: new Map<string, Tensor>([['s', next]]) }
      }),
    },
  })

const subsequence = (axes: readonly Axis[]): fc.Arbitrary<Axis[]> =>
  fc
    .array(fc.boolean(), { minLength: axes.length, maxLength: axes.length })
    .map((k) => axes.filter((_, i) => k[i]))

const cases = fc
  .array(fc.integer({ min: 2, max: 6 }), { minLength: 4, maxLength: 4 })
  .map((ns) => ns.map((n, i) => axis(['a', 'b', 'c', 'd'][i]!, n)))
  .chain((whole) => fc.tuple(fc.constant(whole), subsequence(whole), subsequence(whole)))

const overwriteTests = suite('onnx: states overwritten in part')

overwriteTests('three calls agree with the definition, in place or not', async () => {
  const engine = await must(onnxEngine())
  let inPlace = 0
  await fc.assert(
    fc.asyncProperty(cases, fc.nat(), async ([whole, where, value], seed) => {
      const p = overwriting(whole, where, value)
      const variant = p.functions.get('f')![0]!
      inPlace += lower('f', variant).overwrites.length
      const session = await must(engine.load(p, { threads: 1 }))
      let held: ArrayLike<number> = new Float32Array(elements(whole))
      for (let i = 0; i < 3; i++) {
        const bit = (k: number): number => (Math.imul(k + seed + i * 17, 2654435761) >>> 7) & 1
        const inputs = {
          where: tensorValue(
            'bool',
            sizes(where),
            Array.from({ length: elements(where) }, (_, k) => bit(k)),
          ),
          value: tensorValue(
            'float32',
            sizes(value),
            Array.from({ length: elements(value) }, (_, k) => k + i * 100),
          ),
        }
        const [sum, next] = evaluate([variant.outputs.sum!, variant.next.get('s')!], {
          inputs: { where: inputs.where.data, value: inputs.value.data },
          states: { s: held },
        })
        const got = await must(session.call('f', inputs))
        assert.equal(Array.from(got.sum!.data), Array.from(sum!))
        held = next!
        assert.equal(Array.from((await must(session.read())).get('s')!.data), Array.from(held))
      }
      await must(session.close())
    }),
    { numRuns: 60 },
  )
  assert.ok(inPlace > 5, `${inPlace} of the cases were in place`)
})

overwriteTests('a cache’s new token alone leaves the graph', () => {
  const [batch, room, head] = [axis('batch', 3), axis('room', 8), axis('head', 16)]
  const p = program({
    name: 'cache',
    functions: {
      f: fixed(() => {
        const here = equal(input('position', [batch], 'int32'), iota(room))
        const old = state('cache', [batch, room, head], zeros)
        const full = select(here, input('one', [batch, head]), old) as Tensor
        return { outputs: {}, next: new Map([['cache', full]]) }
      }),
    },
  })
  const lowered = lower('f', p.functions.get('f')![0]!)
  assert.equal(
    lowered.overwrites.map((o) => o.state),
    ['cache'],
  )
  assert.is(lowered.next.size, 0)
  assert.is(lowered.states.size, 0)
  assert.equal(
    lowered.overwrites[0]!.inputs.map((s) => [s.from, s.shape]),
    [
      ['input', [3]],
      ['input', [3, 16]],
    ],
  )
  assert.is(lower('f', p.functions.get('f')![0]!, { mode: 'export' }).next.size, 1)
})

overwriteTests.run()
