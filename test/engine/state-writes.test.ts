/** States of which a call replaces places or whole rows, several times over, on every engine against the definition. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  constant,
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
import type { Session } from '../../src/engine/session.ts'
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

/** Two states that take each other's value, or one value, before places of one of them are written. */
const pair: Program = program({
  name: 'pair',
  functions: {
    // the old value leaves the call as it is
    put: fixed(() => {
      const old: Tensor = state('a', [row, dim], zeros)
      const next: Tensor = select(equal(input('place', [row], 'int32'), iota(dim)), input('x', [row]), old)
      return { outputs: { before: old }, next: new Map([['a', next]]) }
    }),
    exchange: fixed(() => {
      const [a, b]: Tensor[] = [state('a', [row, dim], zeros), state('b', [row, dim], zeros)]
      return {
        outputs: {},
        next: new Map<string, Tensor>([
          ['a', b!],
          ['b', a!],
        ]),
      }
    }),
    // b takes a's old value, whose memory a's places are written into
    both: fixed(() => {
      const old: Tensor = state('a', [row, dim], zeros)
      state('b', [row, dim], zeros)
      const next: Tensor = select(equal(input('place', [row], 'int32'), iota(dim)), input('x', [row]), old)
      return {
        outputs: {},
        next: new Map([
          ['a', next],
          ['b', old],
        ]),
      }
    }),
    same: fixed(() => {
      const value: Tensor = add(input('value', [row, dim]), 1)
      return {
        outputs: {},
        next: new Map([
          ['a', value],
          ['b', value],
        ]),
      }
    }),
    fill: fixed(() => {
      const seven: Tensor = constant(new Float32Array(15).fill(7), [row, dim])
      return {
        outputs: {},
        next: new Map([
          ['a', seven],
          ['b', seven],
        ]),
      }
    }),
  },
})

const pairCall = fc.record({
  f: fc.constantFrom('put', 'exchange', 'both', 'same', 'fill'),
  ints: fc
    .array(fc.integer({ min: -1, max: 3 }), { minLength: 5, maxLength: 5 })
    .map((places): readonly (readonly number[])[] => [places]),
})

/** Calls one after the other: outputs and states are what the definition says of them. */
const follows = async (
  session: Session,
  p: Program,
  calls: readonly { readonly f: string; readonly ints: readonly (readonly number[])[] }[],
  begin: ReadonlyMap<string, ArrayLike<number>>,
): Promise<void> => {
  const held = new Map(begin)
  for (const [n, { f, ints }] of calls.entries()) {
    const variant = p.functions.get(f)![0]!
    const inputs = Object.fromEntries(
      [...variant.inputs].map(([name, t]) => [
        name,
        t.dtype === 'int32'
          ? tensorValue('int32', sizes(t.axes), ints[Number(name.at(-1)) || 0]!)
          : tensorValue(
              'float32',
              sizes(t.axes),
              Array.from({ length: elements(t.axes) }, (_, i) => i + 1000 * (n + 1)),
            ),
      ]),
    )
    const names = Object.keys(variant.outputs)
    const keys = [...variant.next.keys()]
    const found = evaluate(
      [...keys.map((k) => variant.next.get(k)!), ...names.map((o) => variant.outputs[o]!)],
      {
        inputs: Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, v.data])),
        states: Object.fromEntries(held),
      },
    )
    const got = await orThrow(session.call(f, inputs))
    names.forEach((o, i) => {
      const wanted = Array.from(Float32Array.from(found[keys.length + i]!))
      assert.equal(Array.from(got[o]!.data), wanted, `${f}, ${o}`)
    })
    keys.forEach((k, i) => {
      held.set(k, Float32Array.from(found[i]!))
    })
    const now = await orThrow(session.read([...held.keys()]))
    for (const [k, v] of held) assert.equal(Array.from(now.get(k)!.data), Array.from(v), `${f}, ${k}`)
  }
}

for (const engine of engines) {
  test(`${engine.name}: call after call the state is what the definition says`, async () => {
    const session = await orThrow(engine.load(cached))
    const zero = tensorValue('float32', sizes(whole), new Float32Array(elements(whole)))
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 5 }), async (calls) => {
        await orThrow(session.write(new Map([['cache', zero]])))
        await follows(session, cached, calls, new Map([['cache', zero.data]]))
      }),
      { numRuns: 30 },
    )
    await orThrow(session.close())
  })

  test(`${engine.name}: places of one state are written, and nothing that had its value changes`, async () => {
    const nothing = new Float32Array(15)
    const begin = new Map(['a', 'b'].map((k) => [k, nothing]))
    const places = [[0, 1, 2, 0, 1]]
    // the states as they were loaded, then after each of the ways in which they come to one value
    for (const f of ['put', 'exchange', 'both', 'same', 'fill']) {
      const session = await orThrow(engine.load(pair))
      const calls = [f, 'put', f, 'put', 'both', 'put', 'fill', 'exchange'].map((g) => ({
        f: g,
        ints: places,
      }))
      await follows(session, pair, calls, begin)
      await orThrow(session.close())
    }
    const session = await orThrow(engine.load(pair))
    await fc.assert(
      fc.asyncProperty(fc.array(pairCall, { minLength: 1, maxLength: 6 }), async (calls) => {
        const zero = tensorValue('float32', [5, 3], nothing)
        await orThrow(session.write(new Map([...begin.keys()].map((k) => [k, zero]))))
        await follows(session, pair, calls, begin)
      }),
      { numRuns: 30 },
    )
    await orThrow(session.close())
  })
}

test.run()
