/**
 * A layer of one's own, a residual block with it, its summary, and a few steps of training on the best engine that loads.
 *
 *     node --import tsx examples/hello-layer.ts [steps]
 */
import { pipe } from 'fp-ts/lib/function.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import * as d from 'sailwright/dsl'
import { type EngineError, pickEngine, scalarValue, tensorValue } from 'sailwright/engine'
import { adamW } from 'sailwright/optim'

const steps = Number(process.argv[2] ?? 300)
const [Batch, Point] = [d.axis('batch', 128), d.axis('point', 2)]
const [Hidden, Height] = [d.axis('hidden', 32), d.axis('height', 1)]

/** A learned factor for each element: a layer is a function of a tensor and of the path of its parameters. */
const scale = <N extends string>(a: d.Axis<N>) =>
  d.layer('scale', [a], (x, path) => d.mul(x, d.parameter(d.join(path, 'weight'), [a], d.filled(0.1))))

const block = pipe(
  d.at('norm')(d.rmsNorm(Hidden)),
  d.andThen(d.at('mlp')(d.mlp(Hidden, Hidden, Hidden))), // with Height as the last axis, this does not compile
  d.andThen(d.at('scale')(scale(Hidden))),
  d.residual,
  d.named('block'),
)
const model = pipe(
  d.at('first')(d.linear(Point, Hidden)),
  d.andThen(d.at('blocks')(d.repeat(2, block))),
  d.andThen(d.at('last')(d.linear(Hidden, Height))),
)
const height = model.apply(d.input('points', [Batch, Point]))
console.log(d.showSummary(d.summary([height], { name: 'hello' })))

// one call of the program is one step: forward, backward, and new weights
const loss = d.mean(d.square(d.sub(height, d.input('heights', [Batch, Height]))), 'batch', 'height')
const weights = d.parametersOf(loss)
const { next } = adamW(weights, d.gradient(loss, [...weights.values()]), d.input('learning_rate', []))
const step = d.fixed(() => ({ outputs: { loss }, next }))

const run = async <A>(task: TaskEither<EngineError, A>): Promise<A> => {
  const result = await task()
  if (result._tag === 'Left') throw new Error(result.left.message)
  return result.right
}
const { engine, why } = await run(pickEngine('auto'))
console.log(`${engine.version}: ${why}`)
const session = await run(engine.load(d.program({ name: 'hello', functions: { step } }), { seed: 1 }))
for (let n = 1; n <= steps; n++) {
  const p = d.fill(d.uniform(1), 2 * Batch.size, n, 'points')
  const h = Array.from({ length: Batch.size }, (_, i) => Math.sin(3 * p[2 * i]!) * p[2 * i + 1]!)
  const points = tensorValue('float32', [Batch.size, Point.size], p)
  const heights = tensorValue('float32', [Batch.size, Height.size], h)
  const learning_rate = scalarValue(0.01 * (1 - n / (steps + 1)))
  const out = await run(session.call('step', { points, heights, learning_rate }))
  if (n === 1 || n % Math.ceil(steps / 5) === 0)
    console.log(`step ${n}: loss ${out.loss!.data[0]!.toFixed(4)}`)
}
await run(session.close())
