import { onnxEngine } from '../src/engine/onnx/index.ts'
import { exactAnswers } from '../src/eval/exact-answer.ts'
import { nano } from '../src/models/presets.ts'
import { orThrow, trainStage } from '../src/train/run-stage.ts'
import { rendered } from '../src/train/source.ts'
import { stageProgram } from '../src/train/stage.ts'

const engine = await orThrow(onnxEngine())
const mixture = {
  seed: 1,
  split: 'train',
  weights: { read: 1, count: 1, chart: 1, arithmetic: 1 },
  levels: [1, 3],
} as const
const stage = {
  name: 's',
  from: 'a',
  to: 'b',
  train: ['vision', 'adapter', 'language'] as const,
  source: rendered({ mixture }),
  steps: 12,
  batch: 16,
  length: 96,
  learningRate: 1e-3,
}
const ev = exactAnswers({ seed: 0, samples: 64, prompt: 56, room: 96 })
let t = performance.now()
const p = stageProgram(nano, stage, ev.functions(nano))
console.log('build', performance.now() - t, p.states.size)
t = performance.now()
const s = await orThrow(engine.load(p, { seed: 1 }))
console.log('load', performance.now() - t)
for await (const e of trainStage(s, nano, stage, { index: 0, of: 1 }))
  if (e.type === 'step')
    console.log(
      e.step,
      e.loss.toFixed(3),
      e.gradientNorm.toFixed(2),
      e.dataSeconds.toFixed(3),
      e.computeSeconds.toFixed(3),
    )
t = performance.now()
for await (const e of ev.run(
  s,
  { name: 's', last: false },
  {
    engine,
    model: nano,
    earlier: [],
    pathOf: () => '',
    savePicture: (() => async () => ({ _tag: 'Right', right: 'x' })) as never,
  },
))
  if (e.type === 'evaluated' || e.id.endsWith('/0')) console.log(JSON.stringify(e))
console.log('eval', performance.now() - t)
