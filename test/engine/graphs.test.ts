/**
 * Graphs of a few nodes that an engine may run otherwise than node by node, and what must not be taken for one of them:
 * on every engine, against the reference evaluator.
 */
import * as fc from 'fast-check'
import { isLeft } from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  broadcast,
  buckets,
  constant,
  contract,
  elements,
  equal,
  exp,
  fill,
  filled,
  fixed,
  gradient,
  type Init,
  input,
  iota,
  mul,
  normal,
  ones,
  pad,
  program,
  type Results,
  scalar,
  select,
  slice,
  square,
  state,
  sum,
  type Tensor,
  topological,
  total,
  transpose,
  uniform,
  zeros,
} from '../../src/dsl/index.ts'
import { rotate } from '../../src/dsl/layers/rotary.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Engine, TensorValue } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { adamW, firstMomentKey, StepKey, secondMomentKey } from '../../src/optim/index.ts'
import { presentEngines } from '../support/engines.ts'
import { primitives } from '../support/primitives.ts'

const engines = await presentEngines()

const must = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const got = await task()
  if (isLeft(got)) throw new Error(`${got.left._tag}: ${got.left.message}`)
  return got.right
}

type Inputs = Readonly<Record<string, TensorValue>>

/** Calls a function once for each of these inputs: outputs and every state agree with the definition each time. */
const agrees = async (engine: Engine, build: () => Results, calls: readonly Inputs[]): Promise<void> => {
  const p = program({ name: 'graph', functions: { f: fixed(build) } })
  const { outputs, next } = p.functions.get('f')![0]!
  const session = await must(engine.load(p, { seed: 3 }))
  let states = new Map<string, ArrayLike<number>>(
    [...(await must(session.read()))].map(([k, v]) => [k, v.data]),
  )
  for (const [n, inputs] of calls.entries()) {
    const roots = [...Object.values(outputs), ...next.values()]
    const want = evaluate(roots, {
      inputs: Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, v.data])),
      states,
    })
    const got = await must(session.call('f', inputs))
    const near = (what: string, a: ArrayLike<number>, b: ArrayLike<number>): void => {
      assert.is(a.length, b.length)
      const scale = Array.from(b).reduce((m, x) => Math.max(m, Math.abs(x)), 1)
      const off = Array.from(b, (x, i) => Math.abs(x - a[i]!)).findIndex((d) => !(d <= 2e-5 * scale))
      assert.ok(off < 0, `${engine.name}, call ${n}, ${what}: ${a[off]} for ${b[off]} at ${off}`)
    }
    Object.keys(outputs).forEach((name, i) => {
      near(name, got[name]!.data, want[i]!)
    })
    const after = [...next.keys()].map((k, i) => [k, want[Object.keys(outputs).length + i]!] as const)
    states = new Map([...states, ...after])
    for (const [key, v] of await must(session.read())) near(`state ${key}`, v.data, states.get(key)!)
  }
  await must(session.close())
}

const floats = (shape: readonly number[], seed: string): TensorValue => ({
  shape,
  dtype: 'float32',
  data: fill(
    uniform(2),
    shape.reduce((a, b) => a * b, 1),
    1,
    seed,
  ),
})

const graphs = suite(`engines: small graphs on ${engines.map((e) => e.name).join(' and ')}`)

for (const engine of engines) {
  const test = (name: string, body: () => Promise<void>): void => void graphs(`${engine.name}: ${name}`, body)

  const { loop: _, ...differentiable } = primitives
  for (const [op, cases] of Object.entries(differentiable))
    test(`the gradient of ${op}`, async () => {
      await fc.assert(
        fc.asyncProperty(cases, async ({ root, inputs }) => {
          const leaves = topological([root]).filter((t) => t.op.op === 'input' && t.dtype === 'float32')
          if (root.dtype !== 'float32' || leaves.length === 0) return
          const g = gradient(total(square(root)), leaves).map((t, i) => [`gradient ${i}`, t] as const)
          await agrees(engine, () => ({ outputs: { root, ...Object.fromEntries(g) } }), [inputs])
        }),
        { numRuns: 4 },
      )
    })

  test('a sum of padded pieces, side by side or with gaps or over each other', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 4 })), {
          minLength: 2,
          maxLength: 3,
        }),
        async (pieces) => {
          const size = 8
          const build = (): Results => ({
            outputs: {
              y: pieces
                .map(([start, length], i): Tensor => {
                  const x = input(`x${i}`, [axis('row', 2), axis('n', length)])
                  return pad(x, 'n', start, size - start - length)
                })
                .reduce((a, b) => add(a, b)),
            },
          })
          const inputs = Object.fromEntries(
            pieces.map(([, length], i) => [`x${i}`, floats([2, length], `piece ${i}`)]),
          )
          await agrees(engine, build, [inputs])
        },
      ),
      {
        numRuns: 6,
        examples: [
          [
            [
              [0, 4],
              [4, 4],
            ],
          ],
          [
            [
              [4, 4],
              [0, 4],
            ],
          ],
          [
            [
              [0, 3],
              [3, 3],
            ],
          ],
          // as long together as the whole, and yet not side by side
          [
            [
              [0, 4],
              [3, 4],
            ],
          ],
          [
            [
              [0, 4],
              [2, 4],
            ],
          ],
        ] as [[number, number][]][],
      },
    ))

  test('the gradient of slices of one tensor, of all of it and of a part', async () => {
    const x = input('x', [axis('row', 3), axis('n', 7)])
    for (const parts of [
      [
        [0, 3],
        [3, 4],
      ],
      [
        [0, 3],
        [3, 2],
      ],
      [
        [1, 3],
        [4, 3],
      ],
      [
        [0, 5],
        [3, 4],
      ],
    ] as const) {
      const loss = parts
        .map(([start, length], i): Tensor => total(mul(square(slice(x, 'n', start, length)), i + 1)))
        .reduce((a, b) => add(a, b))
      await agrees(engine, () => ({ outputs: { g: gradient(loss, [x])[0]! } }), [{ x: floats([3, 7], 'x') }])
    }
  })

  test('a sum of squares, and a sum of products that is none', async () => {
    const axes = [axis('a', 4), axis('b', 3)] as const
    const [x, y] = [input('x', axes), input('y', axes)]
    await agrees(
      engine,
      () => ({
        outputs: {
          squares: total(mul(x, x)),
          products: total(mul(x, y)),
          shifted: total(mul(x, add(x, 1))),
          rows: sum(mul(x, x), 'a'),
        },
      }),
      [{ x: floats([4, 3], 'x'), y: floats([4, 3], 'y') }],
    )
  })

  test('literals of one content and several shapes', async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6)
    const [A, B] = [axis('a', 2), axis('b', 3)]
    const [wide, high] = [constant(data, [A, B]), constant(data, [B, A])]
    const x = input('x', [A, B])
    await agrees(
      engine,
      () => ({
        outputs: { wide: mul(x, wide), high: mul(transpose(x, ['b', 'a']), high), both: mul(wide, high) },
      }),
      [{ x: floats([2, 3], 'x') }],
    )
  })

  test('numbers that repeat along an axis are summed as often as they repeat', async () => {
    const [Row, Column] = [axis('row', 4), axis('column', 5)]
    const x = input('x', [Row])
    const wide = broadcast(x, [Row, Column])
    await agrees(
      engine,
      () => ({
        outputs: {
          columns: sum(exp(wide), 'column'),
          all: total(exp(wide)),
          rows: sum(exp(wide), 'row'),
          whole: sum(broadcast(input('n', [Row], 'int32'), [Row, Column]), 'column'),
        },
      }),
      [{ x: floats([4], 'x'), n: tensorValue('int32', [4], [3, -1, 7, 2]) }],
    )
  })

  test('rotary positions whose halves agree, and some whose halves differ', async () => {
    const [Token, Head, Dim] = [axis('token', 3), axis('head', 2), axis('headDim', 6)]
    const x = input('x', [axis('batch', 2), Token, Head, Dim])
    const [cos, sin] = [input('cos', [Token, Dim]), input('sin', [Token, Dim])]
    const half = (name: string): Tensor => {
      const t = input(name, [Token, axis('headDim', 3)])
      return add(pad(t, 'headDim', 0, 3), pad(t, 'headDim', 3, 0))
    }
    await agrees(
      engine,
      () => ({
        outputs: {
          differ: rotate(x, { cos, sin }, 'headDim'),
          agree: rotate(x, { cos: half('c'), sin: half('s') }, 'headDim'),
        },
      }),
      [
        {
          x: floats([2, 3, 2, 6], 'x'),
          cos: floats([3, 6], 'cos'),
          sin: floats([3, 6], 'sin'),
          c: floats([3, 3], 'c'),
          s: floats([3, 3], 's'),
        },
      ],
    )
  })

  test('one slot a row is overwritten: the first, the last, and none where the place is outside', async () => {
    const [Batch, Slot, Dim] = [axis('batch', 3), axis('slot', 5), axis('dim', 4)]
    const build = (): Results => {
      const old = state('cache', [Batch, Slot, Dim], normal(1))
      const here = equal(input('place', [Batch], 'int32'), iota(Slot))
      const next = select(here, input('value', [Batch, Dim]), old)
      return { outputs: { seen: sum(next, 'slot') }, next: new Map<string, Tensor>([['cache', next]]) }
    }
    const places = [
      [0, 1, 2],
      [4, 3, 4],
      [5, 4, -1],
      [0, 7, 4],
    ]
    await agrees(
      engine,
      build,
      places.map((p, i) => ({ place: tensorValue('int32', [3], p), value: floats([3, 4], `value ${i}`) })),
    )
  })

  /** One AdamW over a weight of five elements, with its moments from another AdamW where asked for. */
  test('AdamW whose moments move by other settings', async () => {
    const N = axis('n', 5)
    const build = (): Results => {
      const w = new Map<string, Tensor>([['w', state('w', [N], normal(1))]])
      const g = [input('g', [N])]
      const [one, two] = [0.9, 0.5].map(
        (beta1) => adamW(w, g, scalar(0.1), { beta1, beta2: beta1 }).next,
      ) as [ReadonlyMap<string, Tensor>, ReadonlyMap<string, Tensor>]
      return {
        outputs: {},
        next: new Map([
          [StepKey, one.get(StepKey)!],
          ['w', one.get('w')!],
          [firstMomentKey('w'), two.get(firstMomentKey('w'))!],
          [secondMomentKey('w'), one.get(secondMomentKey('w'))!],
        ]),
      }
    }
    await agrees(
      engine,
      build,
      [0, 1, 2].map((i) => ({ g: floats([5], `g ${i}`) })),
    )
  })

  test('AdamW whose gradients are states that change in the same call', async () => {
    const N = axis('n', 5)
    const build = (): Results => {
      const [a, b] = [state('a', [N], normal(1)), state('b', [N], normal(1))]
      const both = new Map<string, Tensor>([
        ['a', a],
        ['b', b],
      ])
      return { outputs: { a: mul(a, 1) }, next: adamW(both, [b, a], input('rate', [])).next }
    }
    await agrees(
      engine,
      build,
      [0.1, 0.2, 0.3].map((rate) => ({ rate: tensorValue('float32', [], [rate]) })),
    )
  })

  test('the variant that is called is the one that fits', async () => {
    const f = buckets([2, 3, 4], (n) => ({
      outputs: { y: mul(sum(input('x', [axis('n', n)]), 'n'), 10 ** n) },
    }))
    const session = await must(engine.load(program({ name: 'sizes', functions: { f } })))
    for (const n of [4, 2, 3, 2])
      assert.equal(
        [...(await must(session.call('f', { x: tensorValue('float32', [n], Array(n).fill(1)) }))).y!.data],
        [n * 10 ** n],
      )
    await must(session.close())
  })

  test('products of a few rows a batch, either side in either order', async () => {
    for (const rows of [1, 2, 4, 5]) {
      const axes = [axis('b', 3), axis('row', rows), axis('k', 17), axis('n', 18)] as const
      const [b, row, k, n] = axes
      const build = (): Results => ({
        outputs: Object.fromEntries(
          [
            [b, row, k],
            [b, k, row],
            [row, b, k],
          ].flatMap((left, i) =>
            [
              [b, n, k],
              [b, k, n],
              [n, b, k],
            ].map((right, j): [string, Tensor] => [
              `${i} ${j}`,
              contract(input(`left ${i}`, left), input(`right ${j}`, right), 'k'),
            ]),
          ),
        ),
      })
      const { inputs } = program({ name: 'rows', functions: { f: fixed(build) } }).functions.get('f')![0]!
      const fed = [...inputs].map(
        ([name, t]) =>
          [
            name,
            floats(
              t.axes.map((a) => a.size),
              name,
            ),
          ] as const,
      )
      await agrees(engine, build, [Object.fromEntries(fed)])
    }
  })

  test('fresh states are what their initialisers say', async () => {
    const axes = [axis('a', 4), axis('b', 3)] as const
    const kinds: Readonly<Record<string, Init>> = {
      zeros,
      ones,
      filled: filled(-2.5),
      normal: normal(0.5),
      uniform: uniform(3),
    }
    const build = (): Results => ({
      outputs: {
        ...Object.fromEntries(
          Object.entries(kinds).map(([key, init]) => [key, mul(state(key, axes, init), 1)]),
        ),
        count: add(state('count', [], ones, 'int32'), 1),
      },
    })
    const session = await must(
      engine.load(program({ name: 'fresh', functions: { f: fixed(build) } }), { seed: 9 }),
    )
    const read = await must(session.read())
    for (const [key, init] of Object.entries(kinds))
      assert.equal(read.get(key)!.data, fill(init, elements(axes), 9, key), key)
    assert.equal([...read.get('count')!.data], [1])
    await must(session.close())
  })
}

graphs.run()
