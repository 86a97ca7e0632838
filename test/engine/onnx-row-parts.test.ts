/** Rows of a cache in parts, each on a thread of its own, against all rows at once. */
import { readdirSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  constant,
  fill,
  fixed,
  gather,
  input,
  iota,
  mul,
  type Program,
  program,
  reshape,
  softmax,
  sum,
  type Tensor,
  type Variant,
} from '../../src/dsl/index.ts'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import { lasting, openSession } from '../../src/engine/backend.ts'
import { callsAtOnce } from '../../src/engine/foreign.ts'
import { type TensorValue, tensorValue } from '../../src/engine/index.ts'
import { cApi } from '../../src/engine/onnx/c-api.ts'
import { nativeOptions } from '../../src/engine/onnx/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import { overPart, partsOf } from '../../src/engine/onnx/row-parts.ts'
import { onnxBackend } from '../../src/engine/onnx/session.ts'
import { decode, extend, isCacheKey, qwen3Model } from '../../src/models/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { library, runtime } from '../support/onnx-runtime.ts'

const test = suite('onnx: rows of a cache in parts')

const [rows, capacity, steps, vocab] = [48, 12, 3, 30]
const model = qwen3Model('m', {
  ...{ vocabSize: vocab, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4, kvHeads: 2, headDim: 8 },
  ...{ ropeTheta: 100, epsilon: 1e-6, tied: true },
})
const sizes = { rows, prompt: 6, capacity }
const written: Program = optimiseProgram(
  program({
    name: 'p',
    functions: {
      decode: fixed(() => decode(model, sizes)),
      extend: fixed(() => extend(model, sizes, steps, { each: true, filtered: true })),
    },
  }),
)

const numbers = (count: number, of: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((7 * i) % of) / of)
const ints = (f: (row: number) => number) =>
  tensorValue(
    'int32',
    [rows],
    Array.from({ length: rows }, (_, i) => f(i)),
  )
const each = (x: (row: number) => number): TensorValue =>
  tensorValue(
    'float32',
    [rows],
    Array.from({ length: rows }, (_, i) => x(i)),
  )
const inputs = {
  input_ids: ints((i) => (3 * i) % vocab),
  position: ints((i) => i % (capacity - steps + 1)),
}
// each row has settings of its own: a row that was given another's would be seen
const drawing = {
  ...inputs,
  uniform: tensorValue('float32', [steps, rows], numbers(steps * rows, 97)),
  scale: each((i) => 0.5 + (i % 5)),
  greedy: tensorValue(
    'bool',
    [rows],
    Array.from({ length: rows }, (_, i) => (i % 7 === 0 ? 1 : 0)),
  ),
  bias: tensorValue('float32', [vocab], new Float32Array(vocab)),
  top_k: ints((i) => 1 + (i % vocab)),
  top_p: each((i) => 1 - (i % 4) / 10),
  min_p: each((i) => (i % 3) / 50),
  penalty: each((i) => 1 + (i % 2) / 4),
  seen: tensorValue(
    'bool',
    [rows, vocab],
    Array.from({ length: rows * vocab }, (_, i) => (i % 11 === 0 ? 1 : 0)),
  ),
}

/** What two calls give and leave on so many threads, from the same weights and the same cache. */
const called = async (threads: number) => {
  const session = await orThrow(
    openSession(onnxBackend(runtime, written, nativeOptions(threads), lasting(written)), { seed: 3 }),
  )
  const keys = [...written.states.keys()].filter(isCacheKey)
  const held = new Map(
    keys.map((k) => {
      const shape = written.states.get(k)!.axes.map((a) => a.size)
      const count = shape.reduce((n, s) => n * s, 1)
      return [k, tensorValue('float32', shape, fill({ kind: 'uniform', limit: 1 }, count, 5, k))]
    }),
  )
  await orThrow(session.write(held))
  const { logits } = await orThrow(session.call('decode', inputs))
  const first = await orThrow(session.call('extend', drawing))
  const second = await orThrow(session.call('extend', drawing))
  const left = await orThrow(session.read(keys))
  await orThrow(session.close())
  return { logits: logits!, first, second, left }
}

const close = (a: TensorValue, b: TensorValue, what: string): void => {
  assert.equal(a.shape, b.shape, what)
  a.data.forEach((x, i) => {
    assert.ok(Math.abs(x - b.data[i]!) < 1e-5, `${what} ${i}: ${x} and ${b.data[i]}`)
  })
}

if (cApi(library) !== undefined)
  test('two and three parts give the tokens, logits and caches of all rows at once', async () => {
    const parts = (threads: number): number | undefined =>
      lower('extend', written.functions.get('extend')![0]!, { bound: true, threads }).rows?.count
    assert.equal([1, 2, 3, 4].map(parts), [undefined, 2, 3, 3])
    const whole = await called(1)
    for (const threads of [2, 3, 5]) {
      const apart = await called(threads)
      for (const call of ['first', 'second'] as const) {
        assert.equal(apart[call].ids, whole[call].ids, `${threads} ${call}`)
        close(apart[call].log_probs!, whole[call].log_probs!, `${threads} ${call}`)
      }
      close(apart.logits, whole.logits, 'logits')
      for (const [key, value] of whole.left) close(apart.left.get(key)!, value, key)
    }
  })
else test.skip('npm has no addon for this platform by which C functions are called', () => undefined)

const Row = axis('batch', rows)
const Dim = axis('dim', 4)
const x = input('x', [Row, Dim])
const over = (out: Tensor): Variant | undefined =>
  overPart({ inputs: new Map(), states: new Map(), outputs: { out }, next: new Map() }, Row, 2)

test('what depends on several rows, or on which row it is, stays whole', () => {
  const table = (f: (i: number) => number): Tensor =>
    constant(
      Float32Array.from({ length: rows }, (_, i) => f(i)),
      [Row],
    )
  const refused: Readonly<Record<string, Tensor>> = {
    sum: add(x, sum(x, 'batch')),
    softmax: softmax(x, 'batch'),
    place: add(
      x,
      mul(
        table((i) => i),
        1,
      ),
    ),
    iota: gather(input('t', [axis('place', 99)]), iota(Row)),
    flat: reshape(x, [axis('all', rows * 4)]),
    'rows of rows': gather(x, input('i', [Row], 'int32')),
    'a shape across them': reshape(x, [Dim, Row]),
  }
  for (const [name, t] of Object.entries(refused)) assert.is(over(t), undefined, name)
  const taken: Readonly<Record<string, Tensor>> = {
    sum: sum(x, 'dim'),
    softmax: softmax(x, 'dim'),
    'the same in all': add(
      x,
      table(() => 3),
    ),
    gather: gather(input('t', [axis('place', 99)]), input('i', [Row], 'int32')),
  }
  for (const [name, t] of Object.entries(taken))
    assert.is(over(t)?.outputs.out?.axes.find((a) => a.name === 'batch')?.size, rows / 2, name)
})

test('parts are equal, and none is small', () => {
  assert.equal(
    [partsOf(64, 2), partsOf(64, 3), partsOf(64, 16), partsOf(31, 2), partsOf(48, 1)],
    [2, 2, 4, 1, 1],
  )
})

test('no more parts than calls run at once, of which Node has four', () => {
  assert.equal(
    [partsOf(256, 16, 4), partsOf(256, 16, 32), partsOf(64, 2, 1), partsOf(256, 6, 4)],
    [4, 16, 1, 4],
  )
  const said = (size: string) => callsAtOnce({ UV_THREADPOOL_SIZE: size })
  assert.equal(
    [callsAtOnce({}), said('1'), said('8'), said('0'), said('x'), said('900')],
    [4, 1, 8, 1, 1, 32],
  )
})

if (cApi(library) !== undefined && process.platform === 'linux')
  test('all parts together take as many threads as there are: one each, and those of their session', async () => {
    const here = (): number => readdirSync('/proc/self/task').length
    const run = async (threads: number): Promise<number> => {
      const session = await orThrow(
        openSession(onnxBackend(runtime, written, nativeOptions(threads), lasting(written))),
      )
      const before = here()
      await orThrow(session.call('decode', inputs))
      const made = here() - before
      await orThrow(session.close())
      return made
    }
    // Node's pool begins with this
    await stat('.')
    assert.equal([await run(1), await run(2), await run(3), await run(5)], [0, 0, 0, 2])
  })

test.run()
