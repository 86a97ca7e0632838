/** TensorFlow with XLA compiling every function: the same numbers as its own kernels give, and nothing that runs beside. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLeft, isRight } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as d from '../../src/dsl/index.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { compiledByXla, inPrecision } from '../../src/engine/precision.ts'
import { encodeSavedModel, tfType } from '../../src/engine/proto/tensorflow.ts'
import type { Engine, Session, TensorValue } from '../../src/engine/session.ts'
import { engineOf, loadTensorflow, type Tensorflow } from '../../src/engine/tensorflow/index.ts'
import { lowerProgram } from '../../src/engine/tensorflow/saved-model.ts'
import { scalarValue, tensorValue } from '../../src/engine/values.ts'
import { inWorker } from '../../src/engine/worker/index.ts'
import { generator } from '../../src/generation/generator.ts'
import { nextToken } from '../../src/train/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { compiledTensorflow } from '../support/engines.ts'
import { graphCases, loopCase, mistakes } from '../support/graph-cases.ts'
import { otherModel, otherProcessor, pairAt } from '../support/other.ts'
import { decodeSavedModel } from '../support/protobuf.ts'
import {
  programOf,
  tinyConversation,
  tinyLength,
  tinyModel,
  tinyProcessor,
  tinyStage,
} from '../support/tiny.ts'

const test = suite('tensorflow: compiled by XLA')

const found = await compiledTensorflow()
if (found.engine === undefined)
  process.stderr.write(
    `tensorflow is not here, the tests of what it compiles are skipped: ${found.why.message}\n`,
  )

const [Row, Embed, Out] = [d.axis('row', 4), d.axis('embed', 64), d.axis('out', 3)]

/** A state that a call adds to, one that it reads, one that it replaces and does not read, two that change places. */
const p = d.program({
  name: 'states',
  functions: {
    step: d.fixed(() => {
      const w = d.parameter('w', [Out, Embed], d.normal(1))
      const x = d.input('x', [Row, Embed])
      const sum = d.state('sum', [Row, Out], d.zeros)
      const y = d.contract(x, w, 'embed')
      return {
        outputs: { y, before: d.total(sum) },
        next: new Map<string, d.Tensor>([
          ['sum', d.add(sum, y)],
          ['last', d.total(y)],
        ]),
      }
    }),
    swap: d.fixed(() => ({
      outputs: {},
      next: new Map<string, d.Tensor>([
        ['a', d.state('b', [], d.normal(1))],
        ['b', d.state('a', [], d.normal(1))],
      ]),
    })),
    look: d.fixed(() => ({ outputs: { last: d.state('last', [], d.normal(1)) } })),
    literal: d.fixed(() => ({ outputs: { y: d.scalar(7) } })),
  },
})

const x = tensorValue(
  'float32',
  [4, 64],
  Array.from({ length: 256 }, (_, i) => Math.sin(i)),
)

/** Σ |a − b| over Σ |b|. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const size = Array.from(b).reduce((n, v) => n + Math.abs(v), 0)
  return Array.from(a).reduce((n, v, i) => n + Math.abs(v - b[i]!), 0) / size
}

test('only tensorflow is told to compile, and says what it computes in', async () => {
  const onnx = await orThrow(onnxEngine())
  const refused = compiledByXla(onnx)
  assert.ok(isLeft(refused))
  assert.is(refused.left._tag, 'BadOption')
  assert.match(
    refused.left.message,
    "compile is 'xla', which is for the engine tensorflow; onnx has no compiler",
  )
  const odd = await onnx.load(p, { compile: 'llvm' as never })()
  assert.ok(isLeft(odd))
  assert.match(odd.left.message, "compile is 'llvm'; it must be 'xla'")
  const old = { tensorflow: '2.9.1', gpu: false, threads: 1 } as unknown as Tensorflow
  const tooOld = await engineOf(old).load(p, { compile: 'xla' })()
  assert.ok(isLeft(tooOld))
  assert.match(tooOld.left.message, 'needs TensorFlow 2.13 or later, and this is 2.9.1')
  const plain = inPrecision(engineOf(old), 'bfloat16')
  assert.ok(isLeft(plain))
  assert.match(
    plain.left.message,
    "tensorflow computes in float32 alone, compiled (compile: 'xla') in all of them",
  )
})

test('a function is one call that must be compiled: nothing of it stands in the graph, and it holds one module', () => {
  const stage = tinyStage()
  const { builder, compiled } = lowerProgram(programOf(stage), { precision: 'float32', platform: 'cuda' })
  const own = builder.nodes().filter((n) => n.name.startsWith('step.0/'))
  const kinds = new Set(own.map((n) => n.op))
  assert.equal(kinds, new Set(['Placeholder', 'StatefulPartitionedCall', 'Identity']))
  const call = own.find((n) => n.op === 'StatefulPartitionedCall')!
  const { definition } = compiled.get('step')![0]!
  assert.is(call.attr._XlaMustCompile?.b, true)
  assert.is(call.attr._noinline?.b, true)
  assert.is(call.attr.f?.func?.name, definition.signature.name)
  assert.equal(
    call.attr.Tin?.list?.type,
    definition.signature.inputArg.map((a) => a.type),
  )
  assert.ok(definition.signature.inputArg.some((a) => a.type === tfType.resource))
  const inside = definition.nodeDef.map((n) => n.op)
  assert.equal(new Set(inside), new Set(['ReadVariableOp', 'XlaCallModule', 'AssignVariableOp']))
  assert.is(inside.filter((op) => op === 'XlaCallModule').length, 1)
  const module = definition.nodeDef.find((n) => n.op === 'XlaCallModule')!
  assert.equal(
    module.attr.platforms?.list?.s?.map((name) => Buffer.from(name).toString()),
    ['CUDA'],
  )
})

if (found.engine !== undefined) {
  const compiled = found.engine
  const loaded = loadTensorflow()
  assert.ok(isRight(loaded))
  const plain = engineOf(loaded.right)

  test('random graphs, what they leave in states, their gradients, and loops of them', async () => {
    const cases = [0, 1].flatMap((seed) => [...graphCases(seed), loopCase(seed)])
    assert.equal(await mistakes(compiled, cases), [])
  })

  test('states are added to, replaced unread and exchanged; what has no input and what has no output runs', async () => {
    const session = await orThrow(compiled.load(p, { seed: 4 }))
    const same = await orThrow(plain.load(p, { seed: 4 }))
    const states = async (s: Session) => new Map([...(await orThrow(s.read()))].map(([k, v]) => [k, v.data]))
    const { a, b } = Object.fromEntries(await states(session))
    for (let i = 0; i < 3; i++) {
      const [got, want] = [
        await orThrow(session.call('step', { x })),
        await orThrow(same.call('step', { x })),
      ]
      assert.ok(apart(got.y!.data, want.y!.data) < 1e-6)
      assert.ok(Math.abs(got.before!.data[0]! - want.before!.data[0]!) < 1e-4)
    }
    await orThrow(session.call('swap', {}))
    const after = await states(session)
    assert.equal([after.get('a'), after.get('b')], [b, a])
    const { sum, last } = Object.fromEntries(await states(same))
    assert.ok(apart(after.get('sum')!, sum!) < 1e-6)
    assert.ok(apart(after.get('last')!, last!) < 1e-5)
    assert.is((await orThrow(session.call('literal', {}))).y!.data[0], 7)
    for (const s of [session, same]) await orThrow(s.close())
  })

  test('a training: the losses of the plain graph; goes on from a snapshot to the bit', async () => {
    const program = programOf(tinyStage())
    const objective = nextToken(tinyModel, tinyProcessor, { rows: 4, tokens: tinyLength })
    const batches = [0, 1, 2].map(
      (b) => objective.collate([0, 1, 2, 3].map((i) => tinyConversation(4 * b + i)))[0]!.inputs,
    )
    const step = async (s: Session, i: number): Promise<number> => {
      const fed = { ...batches[i % 3]!, learning_rate: scalarValue(1e-2) }
      return (await orThrow(s.call('step', fed))).loss!.data[0]!
    }
    const train = async (s: Session, from: number, to: number): Promise<number[]> => {
      const losses: number[] = []
      for (let i = from; i < to; i++) losses.push(await step(s, i))
      return losses
    }
    const open = (e: Engine) => orThrow(e.load(program, { seed: 1 }))
    const [session, same] = [await open(compiled), await open(plain)]
    const want = await train(same, 0, 8)
    const losses = await train(session, 0, 4)
    const mark = await orThrow(session.snapshot())
    losses.push(...(await train(session, 4, 8)))
    assert.ok(want[7]! < want[0]! - 0.5, `it learns: ${want}`)
    assert.ok(apart(losses, want) < 1e-4, `${losses} for ${want}`)
    const states = async () => new Map([...(await orThrow(session.read()))].map(([k, v]) => [k, v.data]))
    const end = await states()
    await orThrow(session.restore(mark))
    assert.equal(await train(session, 4, 8), losses.slice(4))
    assert.equal(await states(), end)
    for (const s of [session, same]) await orThrow(s.close())
  })

  test('bfloat16 rounds what is multiplied, the same bits in a thread; tf32 is float32 on a processor', async () => {
    const yOf = async (e: Engine): Promise<TensorValue['data']> => {
      const session = await orThrow(e.load(p, { seed: 4 }))
      const { y } = await orThrow(session.call('step', { x }))
      await orThrow(session.close())
      return y!.data
    }
    const [half, tf32] = [inPrecision(compiled, 'bfloat16'), inPrecision(compiled, 'tf32')]
    assert.ok(isRight(half) && isRight(tf32))
    const [exact, rounded] = [await yOf(compiled), await yOf(half.right)]
    const off = apart(rounded, exact)
    assert.ok(off > 1e-4 && off < 0.02, String(off))
    assert.equal(await yOf(inWorker(half.right)), rounded)
    assert.equal(await yOf(tf32.right), exact)
  })

  test('decoding: the same tokens as by the plain graph', async () => {
    const sizes = { rows: 2, prompt: 22, capacity: 27 }
    const tokens = async (engine: Engine): Promise<readonly (readonly number[])[]> => {
      const g = generator(otherModel, otherProcessor, sizes)
      const session = await orThrow(
        engine.load(d.program({ name: 'generate', functions: g.functions }), { seed: 2 }),
      )
      const got = await g.generate(session, [0, 1, 2].map(pairAt))
      await orThrow(session.close())
      return got
    }
    const want = await tokens(plain)
    assert.ok(want.some((ids) => ids.length > 1))
    assert.equal(await tokens(compiled), want)
  })

  test('what cannot be compiled is refused at the user’s node, and not run', async () => {
    /** TensorFlow, for which one operation of the module is an unknown one. */
    const { tf } = loaded.right
    const spoiling: Tensorflow = {
      ...loaded.right,
      tf: {
        ...tf,
        tensor: tf.tensor,
        node: {
          loadSavedModel: async (folder, tags, signature) => {
            const file = join(folder, 'saved_model.pb')
            const model = decodeSavedModel(readFileSync(file))
            for (const f of model.metaGraphs[0]!.graphDef.library?.function ?? [])
              for (const n of f.nodeDef)
                if (n.op === 'XlaCallModule')
                  n.attr.module!.s = Buffer.from(
                    String(Buffer.from(n.attr.module!.s!)).replace(
                      'stablehlo.dot_general',
                      'stablehlo.nothing',
                    ),
                  )
            writeFileSync(file, encodeSavedModel(model))
            return tf.node.loadSavedModel(folder, tags, signature)
          },
        },
      },
    }
    const session = await orThrow(engineOf(spoiling).load(p, { compile: 'xla' }))
    const refused = await session.call('step', { x })()
    assert.ok(isLeft(refused))
    assert.is(refused.left._tag, 'Refused')
    assert.match(refused.left.message, /^tensorflow refuses contract .*function 'step' is not compiled: /)
    assert.match(refused.left.where ?? '', /tensorflow-compiled\.test\.ts:\d+:\d+$/)
    // what it would have written is as it was
    assert.is((await orThrow(session.read(['sum']))).get('sum')!.data[0], 0)
    assert.is((await orThrow(session.call('literal', {}))).y!.data[0], 7)
    await orThrow(session.close())
  })
}

test.run()
