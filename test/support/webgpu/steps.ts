/**
 * Trains a small model on the onnx engine's devices and prints what comes out as JSON: losses of six steps, a weight after
 * them, after going back to a snapshot once more the loss, and what a second session that swaps two states gives.
 */

import { indexed, processor } from '../../../src/data/index.ts'
import { axis, fixed, program, state, zeros } from '../../../src/dsl/index.ts'
import { inWorker, onnxEngine, scalarValue, tensorValue } from '../../../src/engine/index.ts'
import { qwen3Model } from '../../../src/models/index.ts'
import { adamWith } from '../../../src/optim/index.ts'
import { nanoTokenizer } from '../../../src/tasks/index.ts'
import { nextToken, orThrow, supervised } from '../../../src/train/index.ts'

const model = qwen3Model('tiny', {
  ...{ vocabSize: 600, hiddenSize: 32, intermediateSize: 48, layers: 1, heads: 4, kvHeads: 2, headDim: 8 },
  ...{ ropeTheta: 1e6, epsilon: 1e-6, tied: true },
})
const [rows, tokens] = [2, 16]
const learner = supervised({
  ...{ name: 'tiny', from: 'fresh', to: 'trained', steps: 1, learningRate: 1e-3, maxGradientNorm: 1 },
  objective: nextToken(model, processor(nanoTokenizer()), { rows, tokens }),
  train: Object.values(model.parts),
  source: indexed({ kind: 'none' }, function* () {}),
  optimizer: adamWith({}),
}).program({}).program

const ids = Int32Array.from({ length: rows * tokens }, (_, i) => (i * 37) % 600)
const value = (data: Int32Array) => tensorValue('int32', [rows, tokens], data)
const inputs = {
  input_ids: value(ids),
  position_ids: value(ids.map((_, i) => i % tokens)),
  labels: value(ids),
  learning_rate: scalarValue(1e-3),
}

const trained = async (device: 'cpu' | 'webgpu', thread: boolean) => {
  const engine = await orThrow(onnxEngine({ device }))
  const session = await orThrow((thread ? inWorker(engine) : engine).load(learner))
  const step = async (): Promise<number> =>
    Number((await orThrow(session.call('step', inputs))).loss!.data[0])
  const losses: number[] = []
  for (let i = 0; i < 6; i++) losses.push(await step())
  const mark = await orThrow(session.snapshot())
  const next = await step()
  await orThrow(session.restore(mark))
  const again = await step()
  const weight = (await orThrow(session.read(['model.norm.weight']))).get('model.norm.weight')!.data
  await orThrow(session.close())
  return { version: engine.version, losses, next, again, weight: [...weight] }
}

const swapped = async () => {
  const over = [axis('x', 3)]
  const [a, b] = [state('a', over, zeros), state('b', over, zeros)]
  const p = program({
    name: 'swap',
    functions: {
      swap: fixed(() => ({
        outputs: { a },
        next: new Map([
          ['a', b],
          ['b', a],
        ]),
      })),
    },
  })
  const session = await orThrow((await orThrow(onnxEngine({ device: 'webgpu' }))).load(p))
  const of = (...xs: number[]) => tensorValue('float32', [3], Float32Array.from(xs))
  await orThrow(
    session.write(
      new Map([
        ['a', of(1, 2, 3)],
        ['b', of(4, 5, 6)],
      ]),
    ),
  )
  await orThrow(session.call('swap', {}))
  const seen = await orThrow(session.read(['a', 'b']))
  await orThrow(session.close())
  return [...seen].map(([key, v]) => [key, ...v.data])
}

const cpu = await trained('cpu', false)
const webgpu = await trained('webgpu', false)
const thread = await trained('webgpu', true)
process.stdout.write(JSON.stringify({ cpu, webgpu, thread, swapped: await swapped() }))
