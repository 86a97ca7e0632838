/**
 * An invented run for tests of what reads runs: nothing here was trained or measured. Deterministic.
 */
import { createCanvas } from '@napi-rs/canvas'
import * as E from 'fp-ts/lib/Either.js'
import { random } from '../../src/random/index.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { type Manifest, manifestFormat } from '../../src/run/manifest.ts'
import { openRun, type RunFolder } from '../../src/run/run-folder.ts'
import { writeImage } from '../../src/run/write-image.ts'

const families = ['read', 'count', 'chart', 'arithmetic'] as const
const stages = [
  { stage: 'align-adapter', parts: ['adapter'], steps: 120, from: 6.1, to: 3.2, rate: 2e-3, final: 0.04 },
  {
    stage: 'align-vision',
    parts: ['vision', 'adapter'],
    steps: 160,
    from: 3.4,
    to: 1.4,
    rate: 1e-3,
    final: 0.2,
  },
  {
    stage: 'align-all',
    parts: ['vision', 'adapter', 'language'],
    steps: 200,
    from: 1.5,
    to: 0.8,
    rate: 6e-4,
    final: 0.4,
  },
  {
    stage: 'pretrain',
    parts: ['vision', 'adapter', 'language'],
    steps: 300,
    from: 0.9,
    to: 0.4,
    rate: 6e-4,
    final: 0.7,
  },
  {
    stage: 'sft',
    parts: ['vision', 'adapter', 'language'],
    steps: 300,
    from: 0.6,
    to: 0.1,
    rate: 3e-4,
    final: 0.92,
  },
] as const
const batch = 16

/** A manifest as an invented run would have it. */
export const syntheticManifest = (): Manifest => ({
  format: manifestFormat,
  sailwright: '0.0.0-test',
  ownCode: '0'.repeat(64),
  node: 'v20.0.0',
  platform: 'test x64',
  cores: 2,
  engine: {
    name: 'onnx',
    version: 'onnxruntime-node 0.0.0 (invented)',
    why: 'this run is invented test data',
  },
  name: 'synthetic',
  file: 'test/support/synthetic-run.ts',
  code: [{ file: 'synthetic-run.ts', sha256: 'f'.repeat(64) }],
  command: 'sailwright run test/support/synthetic-run.ts --seed 7',
  seed: 7,
  startedAt: '2026-01-02T03:04:05.000Z',
  recipe: {
    stages: stages.map((s) => ({
      name: s.stage,
      mixture: { read: 0.4, count: 0.2, chart: 0.2, arithmetic: 0.2 },
      parts: s.parts,
      steps: s.steps,
      batch,
      optimizer: { kind: 'adamW', beta1: 0.9, beta2: 0.95, decay: 0.01 },
      schedule: { kind: 'cosine', peak: s.rate, warmup: 20 },
    })),
  },
  programs: {},
  model: {
    name: 'synthetic model',
    config: { vision: { hiddenSize: 96, layers: 3 }, language: { hiddenSize: 128, layers: 4, tied: true } },
    parameters: 1_234_567,
    rows: [
      {
        path: 'vision_model',
        layer: 'sailVit',
        axes: 'batch × patch × embed',
        parameters: 600_000,
        flops: 8e7,
        bytes: 3e6,
      },
      {
        path: 'mlp1',
        layer: 'adapter',
        axes: 'batch × visual × model',
        parameters: 34_567,
        flops: 2e6,
        bytes: 2e5,
      },
      {
        path: 'language_model',
        layer: 'qwen3',
        axes: 'batch × token × vocabulary',
        parameters: 600_000,
        flops: 9e7,
        bytes: 5e6,
      },
    ],
    svg: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 60" width="200" height="60"><rect x="1" y="1" width="90" height="58" rx="6" fill="#dbe7f3"/><text x="46" y="34" text-anchor="middle" font-size="12">vision</text><rect x="109" y="1" width="90" height="58" rx="6" fill="#e6dff0"/><text x="154" y="34" text-anchor="middle" font-size="12">language</text></svg>',
  },
  families: [...families],
})

const answers: Readonly<Record<string, readonly [question: string, expected: string, wrong: string]>> = {
  read: ['What does the image say?', 'K7QX', 'K7OX'],
  count: ['How many red circles are there?', '5', '4'],
  chart: ['Which bar is the largest?', 'delta', 'beta'],
  arithmetic: ['What is the result?', '81', '71'],
}

/** All events of an invented run of five stages, in order. `lengths` are the stages' steps. */
export const syntheticEvents = (
  perFamily = 6,
  lengths: readonly number[] = stages.map((s) => s.steps),
): readonly RunEvent[] => {
  const { next } = random('synthetic run')
  const events: RunEvent[] = []
  let total = 0
  for (const [i, stage] of stages.entries()) {
    const s = { ...stage, steps: lengths[i] ?? stage.steps }
    const trainable = [34_567, 634_567, 1_234_567, 1_234_567, 1_234_567][i]!
    events.push({
      type: 'stage-started',
      stage: s.stage,
      index: i,
      of: stages.length,
      steps: s.steps,
      batch,
      trainable,
      parts: [...s.parts],
    })
    let seconds = 0
    const losses: number[] = []
    for (let step = 1; step <= s.steps; step++) {
      const at = step / s.steps
      const dataSeconds = 0.012 + 0.01 * next()
      const computeSeconds = 0.08 + 0.02 * next() + (i > 1 ? 0.05 : 0)
      seconds += dataSeconds + computeSeconds + 0.002
      const loss = (s.to + (s.from - s.to) * Math.exp(-4 * at)) * (0.88 + 0.24 * next())
      losses.push(loss)
      events.push({
        type: 'step',
        stage: s.stage,
        step,
        steps: s.steps,
        loss,
        learningRate:
          s.rate * (step < 20 ? step / 20 : 0.5 + 0.5 * Math.cos((Math.PI * (step - 20)) / (s.steps - 20))),
        gradientNorm: 0.4 + next(),
        samples: step * batch,
        tokens: step * batch * 96,
        seconds,
        dataSeconds,
        computeSeconds,
      })
    }
    let evaluateSeconds = 0
    for (const [f, family] of families.entries()) {
      const level = Math.max(0.01, s.final * [1.03, 0.96, 0.9, 0.72][f]!)
      const correct = Math.min(200, Math.round(200 * level))
      evaluateSeconds += 1.4
      events.push({ type: 'evaluated', stage: s.stage, family, correct, total: 200, seconds: 1.4 })
      for (let k = 0; k < perFamily; k++) {
        const [question, expected, wrong] = answers[family]!
        const right = (k + 0.5) / perFamily < level
        events.push({
          type: 'predicted',
          stage: s.stage,
          family,
          id: `${family}-${k}`,
          level: 1 + (k % 3),
          image: `images/${family}-${k}.png`,
          question,
          expected,
          answered: right ? expected : wrong,
          text:
            family === 'arithmetic'
              ? `34 + 47: 4 + 7 = 11, carry 1\n3 + 4 + 1 = 8\n${right ? expected : wrong}`
              : right
                ? expected
                : wrong,
          correct: right,
        })
      }
    }
    events.push(
      { type: 'checkpointed', stage: s.stage, step: s.steps, path: `checkpoints/${i + 1}-${s.stage}` },
      {
        type: 'stage-finished',
        stage: s.stage,
        index: i,
        loss: losses.slice(-Math.ceil(s.steps / 10)).reduce((a, b) => a + b, 0) / Math.ceil(s.steps / 10),
        samples: s.steps * batch,
        trainSeconds: seconds,
        evaluateSeconds,
      },
    )
    total += seconds + evaluateSeconds
  }
  events.push({ type: 'run-finished', seconds: total })
  return events
}

/** Writes the invented run as a folder, its images marked TEST, and closes it. */
export const writeSyntheticRun = async (
  folder: string,
  events: readonly RunEvent[] = syntheticEvents(),
): Promise<RunFolder> => {
  const opened = await openRun(folder, syntheticManifest())()
  if (E.isLeft(opened)) throw new Error(opened.left.message)
  const run = opened.right
  const images = new Map(events.flatMap((e) => (e.type === 'predicted' ? [[e.id, e.family] as const] : [])))
  for (const [k, [id, family]] of [...images].entries()) {
    const written = await writeImage(run, id, drawn(k, `TEST ${family}`))()
    if (E.isLeft(written)) throw new Error(written.left.message)
  }
  for (const e of events) {
    const recorded = run.record(e)()
    if (E.isLeft(recorded)) throw new Error(recorded.left.message)
  }
  run.close()
  return run
}

const drawn = (k: number, text: string) => {
  const size = 96
  const canvas = createCanvas(size, size)
  const draw = canvas.getContext('2d')
  draw.fillStyle = `hsl(${(k * 47) % 360} 40% 92%)`
  draw.fillRect(0, 0, size, size)
  draw.fillStyle = `hsl(${(k * 47) % 360} 70% 35%)`
  for (let i = 0; i < 4; i++)
    draw.fillRect(12 + i * 19, 70 - ((k + i * 3) % 5) * 10, 14, 26 + ((k + i * 3) % 5) * 10)
  draw.fillText(text, 8, 16)
  const rgba = draw.getImageData(0, 0, size, size).data
  const data = new Uint8Array(size * size * 3)
  for (let i = 0; i < size * size; i++) for (let c = 0; c < 3; c++) data[i * 3 + c] = rgba[i * 4 + c]!
  return { width: size, height: size, channels: 3 as const, data }
}
