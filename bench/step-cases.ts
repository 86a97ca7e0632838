/** The training steps that are measured on accelerators: three models, their batches and their programs. */
import { benchBatches, benchProgram, nanoStep } from '../src/bench/index.ts'
import { indexed, processor } from '../src/data/index.ts'
import type { Program } from '../src/dsl/index.ts'
import { type TensorValue, tensorValue } from '../src/engine/index.ts'
import { type Qwen3Config, qwen3Model, qwen3Small } from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import { random } from '../src/random/index.ts'
import { nanoTokenizer } from '../src/tasks/index.ts'
import { nextToken, supervised } from '../src/train/index.ts'
import { large, small } from './models.ts'

export const optimizer = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1 }
export const learningRate = 1e-4
export const clip = 1
/** Different batches, taken in turn. */
export const batchCount = 4

export type Feeds = Readonly<Record<string, TensorValue>>

/** A model, the batches that it learns from, and the program of a step. */
export interface Case {
  readonly name: string
  readonly kind: 'vision' | 'text'
  /** What PyTorch builds its model of. */
  readonly config: unknown
  readonly rows: number
  readonly tokens: number
  readonly program: () => Program
  readonly batches: () => readonly Feeds[]
}

const textCase = (name: string, config: Qwen3Config, rows: number, tokens: number): Case => ({
  ...{ name, kind: 'text', config, rows, tokens },
  program: () =>
    supervised({
      ...{ name: 'bench', from: 'fresh', to: 'trained', steps: 1, learningRate },
      objective: nextToken(qwen3Model(name, config), processor(nanoTokenizer()), { rows, tokens }),
      train: Object.values(qwen3Model(name, config).parts),
      source: indexed({ kind: 'none' }, function* () {}),
      maxGradientNorm: clip,
      optimizer: adamWith({
        ...{ beta1: optimizer.beta1, beta2: optimizer.beta2, epsilon: optimizer.epsilon },
        weightDecay: optimizer.decay,
      }),
    }).program({}).program,
  batches: () =>
    Array.from({ length: batchCount }, (_, b) => {
      const r = random('bench', name, b)
      const ids = Int32Array.from({ length: rows * tokens }, () => r.int(0, config.vocabSize - 1))
      const value = (data: Int32Array): TensorValue => tensorValue('int32', [rows, tokens], data)
      return {
        input_ids: value(ids),
        position_ids: value(Int32Array.from(ids, (_, i) => i % tokens)),
        labels: value(ids),
      }
    }),
})

const visionCase = (): Case => {
  const c = { ...nanoStep(1), batches: batchCount, learningRate, clip, optimizer }
  return {
    ...{ name: 'nano', kind: 'vision', config: c.model.config, rows: c.batch, tokens: c.length },
    program: () => benchProgram(c),
    batches: () => benchBatches(c),
  }
}

/** All of them; `tiny` ones are for trying out where there is no accelerator. */
export const casesOf = (tiny: boolean): readonly Case[] =>
  tiny
    ? [textCase('tiny', small, 2, 32), visionCase()]
    : [visionCase(), textCase('88m', large, 16, 1024), textCase('0.6b', qwen3Small, 4, 1024)]
