import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Schema, writerOf } from '../../src/engine/proto/descriptor.ts'
import { encodeModel, onnxNode, onnxTensor, onnxValue } from '../../src/engine/proto/onnx.ts'
import { attr, encodeSavedModel, tfTensor } from '../../src/engine/proto/tensorflow.ts'
import { sessionConfig } from '../../src/engine/tensorflow/session-config.ts'
import { decoded, decodeModel, decodeSavedModel } from '../support/protobuf.ts'

const test = suite('protobuf: what is written is read back by protobufjs')

const schema: Schema = {
  Outer: {
    int: '1 int64',
    flag: '2 bool',
    text: '16 string',
    raw: '2047 bytes',
    inner: '4 Inner',
    list: '5 Inner*',
    ints: '6 int64*',
    floats: '7 float*',
    doubles: '8 double*',
    texts: '9 string*',
    map: '10 <Inner>',
  },
  Inner: { int: '1 int32', text: '2 string', deep: '3 Inner' },
}

const f32 = fc.float({ noNaN: true })
const int = fc.maxSafeInteger()
const inner = fc.letrec<{ inner: object }>((tie) => ({
  inner: fc.record(
    { int: fc.integer(), text: fc.string({ unit: 'grapheme' }), deep: tie('inner') },
    { requiredKeys: [] },
  ),
})).inner
const outer = fc.record(
  {
    int,
    flag: fc.boolean(),
    text: fc.string({ unit: 'grapheme', maxLength: 300 }),
    raw: fc.uint8Array({ maxLength: 300 }),
    inner,
    list: fc.array(inner, { maxLength: 4 }),
    ints: fc.array(int),
    floats: fc.array(f32),
    doubles: fc.array(fc.double({ noNaN: true })),
    texts: fc.array(fc.string()),
    map: fc.dictionary(fc.string(), inner, { maxKeys: 4 }),
  },
  { requiredKeys: [] },
)

/** Without what protobuf cannot tell apart: empty lists and maps, absent fields. */
const plain = (x: unknown): unknown =>
  x instanceof Uint8Array
    ? { bytes: Array.from(x) }
    : Array.isArray(x)
      ? x.map(plain)
      : typeof x === 'object' && x !== null
        ? Object.fromEntries(
            Object.entries(x)
              .filter(([, v]) => v !== undefined && !(Array.isArray(v) && v.length === 0))
              .filter(([k, v]) => !(k === 'map' && Object.keys(v as object).length === 0))
              .map(([k, v]) => [k, plain(v)])
              .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
          )
        : Object.is(x, -0)
          ? 'negative zero'
          : x

test('any message of any fields', () => {
  const write = writerOf<object>(schema, 'Outer')
  fc.assert(
    fc.property(outer, (message) => {
      assert.equal(plain(decoded(schema, 'Outer', write(message))), plain({ ...message }))
    }),
    { numRuns: 300 },
  )
})

test('a schema that names a message it lacks', () => {
  assert.throws(() => writerOf({ A: { b: '1 B' } }, 'A'), /no message 'B'/)
})

test('an ONNX model comes back', () => {
  const model = {
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      name: 'g',
      node: [
        onnxNode('Gemm', ['x', 'w'], ['y'], { transB: 1, alpha: { float: 0.5 }, axes: [1, 2], to: 'a' }),
      ],
      initializer: [onnxTensor('w', 'float32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
      input: [onnxValue('x', 'float32', ['n', 3])],
      output: [onnxValue('y', 'float32', ['n', 2])],
    },
  }
  const back = decodeModel(encodeModel(model))
  const weight = back.graph.initializer![0]!
  assert.equal([...weight.dims!, weight.dataType, weight.rawData!.byteLength], [2, 3, 1, 24])
  const node = back.graph.node[0]!
  assert.equal(
    node.attribute!.map((a) => [a.name, a.type, a.f ?? a.i ?? (a.s ? String.fromCharCode(...a.s) : a.ints)]),
    [
      ['transB', 2, 1],
      ['alpha', 1, 0.5],
      ['axes', 7, [1, 2]],
      ['to', 3, 'a'],
    ],
  )
  assert.equal(back.graph.input[0]!.type!.tensorType.shape!.dim, [{ dimParam: 'n' }, { dimValue: 3 }])
  assert.throws(() => onnxNode('Relu', ['x'], ['y'], { epsilon: 0.5 }), /not a whole number/)
})

test('the session configuration is the ConfigProto that TensorFlow reads', () => {
  // graph_options (10) { rewrite_options (10) { meta_optimizer_iterations (12): ONE, optimizers (100): … } }
  // experimental (16) { disable_thread_spinning (9): true }
  const text = (s: string): string =>
    `a206${s.length.toString(16).padStart(2, '0')}${Buffer.from(s).toString('hex')}`
  const rewrite = `6001${['pruning', 'arithmetic', 'dependency'].map(text).join('')}`
  const within = (tag: string, hex: string): string =>
    `${tag}${(hex.length / 2).toString(16).padStart(2, '0')}${hex}`
  assert.is(
    Buffer.from(sessionConfig()).toString('hex'),
    within('52', within('52', rewrite)) + within('8201', '4801'),
  )
})

test('a large tensor is copied once and arrives whole', () => {
  const data = new Float32Array(1 << 20).map((_, i) => i)
  const node = {
    name: 'c',
    op: 'Const',
    input: [],
    attr: { dtype: attr.type('float32'), value: attr.tensor(tfTensor('float32', [1 << 20], data)) },
  }
  const bytes = encodeSavedModel({
    savedModelSchemaVersion: 1,
    metaGraphs: [
      {
        metaInfoDef: { tags: ['serve'] },
        graphDef: { node: [node], versions: { producer: 1087, minConsumer: 12 } },
        signatureDef: {},
      },
    ],
  })
  assert.ok(bytes.byteLength - data.byteLength < 200)
  const back = decodeSavedModel(bytes).metaGraphs[0]!.graphDef.node[0]!.attr.value!.tensor!.tensorContent!
  assert.is(Buffer.compare(Buffer.from(back), Buffer.from(data.buffer)), 0)
})

test.run()
