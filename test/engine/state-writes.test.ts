/** States of which a call replaces places or whole rows, several times over, on every engine against the definition. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  elements,
  equal,
  fixed,
  gather,
  greaterEqual,
  input,
  iota,
  maximum,
  type Program,
  pad,
  program,
  select,
  sizes,
  state,
  sum,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { stateWrites } from '../../src/engine/state-writes.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { orThrow } from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const test = suite(`engines: places and rows of states on ${engines.map((e) => e.name).join(' and ')}`)

const [row, head, slot, dim] = [axis('row', 5), axis('head', 2), axis('slot', 40), axis('dim', 3)]
const prompt = axis('prompt', 3)
const whole = [row, head, slot, dim]

/** Four tokens a row in turn, of which later ones may take an earlier one's place; and rows of another tensor. */
const cached: Program = program({
  name: 'cached',
  functions: {
    put: fixed(() => {
      const old: Tensor = state('cache', whole, zeros)
      let next: Tensor = old
      for (let i = 0; i < 4; i++)
        next = select(
          equal(input(`place${i}`, [row], 'int32'), iota(slot)),
          input(`value${i}`, [row, head, dim]),
          next,
        )
      // the old value is read beside its replacement
      return { outputs: { before: sum(sum(old, 'row'), 'slot') }, next: new Map([['cache', next]]) }
    }),
    move: fixed(() => {
      const old: Tensor = state('cache', whole, zeros)
      const source = input('source', [row], 'int32')
      const table: Tensor = pad(input('table', [prompt, head, axis('slot', 30), dim]), 'slot', 0, 10)
      const next: Tensor = select(greaterEqual(source, 0), gather(table, maximum(source, 0)), old)
      return { outputs: { before: sum(sum(old, 'row'), 'slot') }, next: new Map([['cache', next]]) }
    }),
    shift: fixed(() => {
      const old: Tensor = state('cache', whole, zeros)
      const source = input('source', [row], 'int32')
      const next: Tensor = select(greaterEqual(source, 0), gather(old, maximum(source, 0)), old)
      return { outputs: {}, next: new Map([['cache', next]]) }
    }),
    between: fixed(() => {
      const old: Tensor = state('cache', whole, zeros)
      const put = (i: number, x: Tensor): Tensor =>
        select(equal(input(`place${i}`, [row], 'int32'), iota(slot)), input(`value${i}`, [row, head, dim]), x)
      const once = put(0, old)
      const twice = put(1, once)
      return { outputs: { between: add(once, twice) }, next: new Map([['cache', twice]]) }
    }),
  },
})

test('they are found as writes, and nothing of the state leaves the onnx graph', () => {
  const of = (f: string) => cached.functions.get(f)![0]!
  assert.equal(
    ['put', 'move', 'shift', 'between'].map((f) => stateWrites(of(f)).map((w) => w.length)),
    [[4], [1], [1], []],
  )
  assert.equal(
    lower('put', of('put')).overwrites.map((o) => o.layout.kind),
    Array(4).fill('slot'),
  )
  const moved = lower('move', of('move'))
  assert.equal(
    moved.overwrites.map((o) => o.layout.kind),
    ['row'],
  )
  assert.equal(moved.overwrites[0]!.inputs.at(-1)!.shape, [3, 2, 30, 3], 'the zeros stay where they are')
  assert.is(moved.next.size, 0)
})

const places = fc.array(fc.integer({ min: -2, max: 42 }), { minLength: 5, maxLength: 5 })
// few places, so that they meet
const near = fc.array(fc.integer({ min: 37, max: 41 }), { minLength: 5, maxLength: 5 })
const sources = fc.array(fc.integer({ min: -1, max: 2 }), { minLength: 5, maxLength: 5 })
const call = fc.oneof(
  fc.record({
    f: fc.constantFrom('put', 'between'),
    ints: fc.array(fc.oneof(places, near), { minLength: 4, maxLength: 4 }),
  }),
  fc.record({ f: fc.constantFrom('move', 'shift'), ints: sources.map((s) => [s]) }),
)

for (const engine of engines)
  test(`${engine.name}: call after call the state is what the definition says`, async () => {
    const session = await orThrow(engine.load(cached))
    const zero = tensorValue('float32', sizes(whole), new Float32Array(elements(whole)))
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 5 }), async (calls) => {
        await orThrow(session.write(new Map([['cache', zero]])))
        let held: ArrayLike<number> = zero.data
        for (const [n, { f, ints }] of calls.entries()) {
          const variant = cached.functions.get(f)![0]!
          const inputs = Object.fromEntries(
            [...variant.inputs].map(([name, t]) => [
              name,
              t.dtype === 'int32'
                ? tensorValue('int32', sizes(t.axes), ints[Number(name.at(-1)) || 0]!)
                : tensorValue(
                    'float32',
                    sizes(t.axes),
                    Array.from({ length: elements(t.axes) }, (_, i) => i + 1000 * n),
                  ),
            ]),
          )
          const names = Object.keys(variant.outputs)
          const [next, ...outputs] = evaluate(
            [variant.next.get('cache')!, ...names.map((o) => variant.outputs[o]!)],
            {
              inputs: Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, v.data])),
              states: { cache: held },
            },
          )
          const got = await orThrow(session.call(f, inputs))
          names.forEach((o, i) => {
            assert.equal(Array.from(got[o]!.data), Array.from(Float32Array.from(outputs[i]!)), `${f}, ${o}`)
          })
          held = next!
          const now = (await orThrow(session.read(['cache']))).get('cache')!.data
          assert.equal(Array.from(now), Array.from(held), f)
        }
      }),
      { numRuns: 30 },
    )
    await orThrow(session.close())
  })

test.run()
