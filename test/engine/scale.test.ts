/** Large graphs: names, control inputs and plans take time in proportion to the nodes. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  fixed,
  input,
  mul,
  type Program,
  program,
  sin,
  state,
  type Tensor,
  zeros,
} from '../../src/dsl/index.ts'
import { emitter } from '../../src/engine/onnx/emitter.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { builder } from '../../src/engine/tensorflow/builder.ts'
import { lowerProgram } from '../../src/engine/tensorflow/saved-model.ts'

const scale = suite('large graphs')

/** How many look-ups in maps and sets the body makes. */
const lookups = (body: () => void): number => {
  const kept = [Map.prototype.has, Map.prototype.get, Set.prototype.has] as const
  let count = 0
  const counted = <F extends (this: never, key: unknown) => unknown>(f: F): F =>
    function (this: never, key: unknown) {
      count++
      return f.call(this, key)
    } as F
  Map.prototype.has = counted(kept[0])
  Map.prototype.get = counted(kept[1])
  Set.prototype.has = counted(kept[2])
  try {
    body()
  } finally {
    Map.prototype.has = kept[0]
    Map.prototype.get = kept[1]
    Set.prototype.has = kept[2]
  }
  return count
}

/** Fails where four times the size takes much more than four times the look-ups. */
const linear = (what: string, run: (n: number) => void): void => {
  const [small, large] = [lookups(() => run(500)), lookups(() => run(2000))]
  assert.ok(small >= 500 && large < 6 * small, `${what}: ${small} look-ups, then ${large}`)
}

scale('nodes of one name', () => {
  linear('tensorflow', (n) => {
    const g = builder()
    for (let i = 0; i < n; i++) g.op('Neg', [])
  })
  linear('onnx', (n) => {
    const e = emitter('run')
    for (let i = 0; i < n; i++) e.unique('x')
  })
})

scale('names that are numbered stay apart from those that were numbered by hand', () => {
  const g = builder()
  const names = ['a_1', 'a', 'a', 'a', 'a_2', 'a_1'].map((n) => g.op('Neg', [], {}, n))
  assert.is(new Set(names).size, 6)
  assert.equal(names.slice(0, 4), ['a_1', 'a', 'a_2', 'a_3'])
})

const A = axis('a', 2)
const ofSize: Readonly<Record<string, (n: number) => Program>> = {
  chain: (n) =>
    program({
      name: 'chain',
      functions: {
        f: fixed(() => {
          let t: Tensor = input('x', [A])
          for (let i = 0; i < n; i++) t = sin(t)
          return { outputs: { y: t } }
        }),
      },
    }),
  sums: (n) =>
    program({
      name: 'sums',
      functions: {
        f: fixed(() => {
          const x = input('x', [A])
          let t: Tensor = x
          for (let i = 0; i < n; i++) t = add(t, mul(x, i))
          return { outputs: { y: t } }
        }),
      },
    }),
  states: (n) =>
    program({
      name: 'states',
      functions: {
        f: fixed(() => {
          const next = new Map<string, Tensor>()
          for (let i = 0; i < n; i++) next.set(`w.${i}`, add(state(`w.${i}`, [A], zeros), 1))
          return { outputs: {}, next }
        }),
      },
    }),
}

for (const [name, make] of Object.entries(ofSize))
  scale(`lowering ${name}`, () => {
    linear('tensorflow', (n) => void lowerProgram(make(n)))
    linear('onnx', (n) => void lower('f', make(n).functions.get('f')![0]!))
  })

scale('a sum of many terms is lowered without a call a term', () => {
  const p = ofSize.sums!(20_000)
  assert.ok(lower('f', p.functions.get('f')![0]!).model.graph.node.length >= 40_000)
  assert.ok(lowerProgram(p).builder.nodes().length >= 40_000)
})

scale('control inputs are kept once, and as many as there are', () => {
  const g = builder()
  const done = g.op('NoOp', [])
  const others = Array.from({ length: 3000 }, () => g.op('Neg', []))
  for (const o of [...others, ...others]) g.after(done, o)
  assert.is(g.nodes()[0]!.input.length, 3000)
})

scale.run()
