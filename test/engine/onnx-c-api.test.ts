/** ONNX Runtime by its C functions: what a session keeps while memory is collected, and what it does with what it cannot take. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CApi, cApi } from '../../src/engine/onnx/c-api.ts'
import { loadOnnxRuntime } from '../../src/engine/onnx/runtime.ts'
import { encodeModel, onnxNode, onnxValue } from '../../src/engine/proto/onnx.ts'
import { orThrow } from '../../src/train/task.ts'

const { library } = await orThrow(async () => loadOnnxRuntime())
const api = cApi(library)
const test = suite('onnx by its C functions')

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const size = 4096
const tensor = (name: string) => ({ name, dtype: 'float32' as const, shape: [size] })
const inputs = [tensor('a'), tensor('b')]
const outputs = [tensor('sum')]
const model = (): Uint8Array =>
  encodeModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    producerName: 'sailwright',
    graph: {
      name: 'sums',
      node: [onnxNode('Add', ['a', 'b'], ['sum'], {}, { name: 'add' })],
      initializer: [],
      input: inputs.map((t) => onnxValue(t.name, 'float32', t.shape)),
      output: outputs.map((t) => onnxValue(t.name, 'float32', t.shape)),
    },
  })
const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const

const whereCalled = (what: string, check: (api: CApi) => void): void => {
  if (api === undefined) test.skip(`${what}: npm has no addon for this platform`, () => undefined)
  else test(what, () => check(api))
}

whereCalled('sessions side by side keep their arrays while others are bound, released and collected', (c) => {
  const sessions = Array.from({ length: 4 }, () => c.session(model(), inputs, outputs, options))
  for (let turn = 0; turn < 8; turn++) {
    for (const [i, s] of sessions.entries()) {
      s.bind('a', new Float32Array(size).fill(turn))
      if (turn % 2 === 0) s.bind('sum', new Float32Array(size))
      s.array('b').fill(i)
    }
    const passing = c.session(model(), inputs, outputs, options)
    collect()
    for (const [i, s] of sessions.entries()) {
      s.run()
      assert.ok(
        s.array('sum').every((x) => x === turn + i),
        `session ${i}, turn ${turn}: ${s.array('sum')[0]}`,
      )
    }
    passing.release()
  }
  for (const s of sessions) s.release()
})

whereCalled('what cannot be taken is the runtime’s message, and the next session works', (c) => {
  assert.throws(() => c.session(Uint8Array.of(1, 2, 3), inputs, outputs, options), /[a-z]{4}/i)
  assert.throws(
    () => c.session(model(), inputs, outputs, { ...options, extra: { ['x'.repeat(5000)]: '1' } }),
    /config/i,
  )
  // a shape that no memory has: the session that was made goes with it
  const bad = [{ ...tensor('a'), shape: [-1] }, inputs[1]!]
  assert.throws(() => c.session(model(), bad, outputs, options))
  const s = c.session(model(), inputs, outputs, options)
  assert.throws(() => s.bind('c', new Float32Array(size)), "there is no tensor 'c'")
  s.array('a').fill(1)
  s.run()
  assert.is(s.array('sum')[0], 1)
  s.release()
})

test('a library that is not the runtime, or is not there, is no way to call it', () => {
  assert.is(cApi(undefined), undefined)
  assert.is(cApi('/nowhere/libonnxruntime.so'), undefined)
  if (api !== undefined) assert.is(cApi('libc.so.6'), undefined)
})

test.run()
