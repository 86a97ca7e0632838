/**
 * Measures a small step of training on the processor and on WebGPU, remembers it in the folder that its environment names, and
 * prints as JSON what was measured and which engine is taken then.
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { nanoStep } from '../../../src/bench/index.ts'
import { speedsOf } from '../../../src/cli/commands/doctor.ts'
import { measureStep, sameLosses } from '../../../src/cli/measure.ts'
import {
  engineError,
  graphicsHere,
  onnxEngine,
  rememberSpeeds,
  speedName,
} from '../../../src/engine/index.ts'
import { picking, real } from '../../../src/engine/pick.ts'
import { nano } from '../../../src/models/index.ts'
import { orThrow } from '../../../src/train/index.ts'

const small = {
  ...nano,
  vision: { ...nano.vision, layers: 1, hiddenSize: 16, intermediateSize: 16, heads: 2 },
  language: {
    ...nano.language,
    layers: 1,
    hiddenSize: 32,
    intermediateSize: 32,
    heads: 2,
    kvHeads: 1,
    headDim: 16,
  },
}
const about = { ...nanoStep(1), model: { name: 'small', config: small }, batch: 1, length: 96 }
const engines = [await orThrow(onnxEngine()), await orThrow(onnxEngine({ device: 'webgpu' }))]
const steps = []
for (const engine of engines) steps.push({ engine, step: await orThrow(measureStep(engine, 0, 1, about)) })
const [processor, gpu] = steps as [(typeof steps)[0], (typeof steps)[0]]
const agrees = sameLosses(gpu.step.losses, processor.step.losses)
const speeds = speedsOf(
  steps.map(({ engine, step }) => ({
    ...{ name: engine.name, loads: true, step },
    ...(engine.device === undefined ? {} : { device: engine.device, graphics: graphicsHere() }),
  })),
  speedName,
  new Date(),
)
const env = { XDG_CACHE_HOME: process.argv[2]! }
rememberSpeeds([engines[0]!], speeds, env)
// whatever else is installed
const none = TE.left(engineError('NotInstalled', 'left out'))
const pick = picking({ ...real, tensorflow: () => none, xla: () => none })
const taken = await orThrow(pick('auto', env))
process.stdout.write(
  JSON.stringify({ speeds, agrees, losses: gpu.step.losses, takes: speedName(taken.engine), why: taken.why }),
)
