/**
 * What is measured: one training step of a model over a few fixed batches of rendered samples, as files that an engine's
 * process and a PyTorch process read alike.
 *
 * @since 0.1.0
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Conversation, indexed, type Pack } from '../data/index.ts'
import { elements, type Program, sizes } from '../dsl/index.ts'
import { freshState, type TensorValue } from '../engine/index.ts'
import {
  decodeSafetensors,
  type Entry,
  type StoredTensor,
  storedFloats,
  storedInts,
  writeSafetensors,
} from '../formats/index.ts'
import { nano, type SailVl2Config, sailVl2Model } from '../models/index.ts'
import { adamWith } from '../optim/index.ts'
import { present } from '../settings/internal.ts'
import { type Captioned, conversationAt, nanoProcessor } from '../tasks/index.ts'
import { nextToken, orThrow, packedNextToken, type Stage, supervised, weightKeys } from '../train/index.ts'

/** A step to be measured. */
export interface BenchCase {
  readonly model: { readonly name: string; readonly config: SailVl2Config }
  /** Sequences a step, one image each. */
  readonly batch: number
  /** Tokens a sequence. */
  readonly length: number
  /** Tokens of a sequence that are learnt at most, where that is told; PyTorch computes all positions all the same. */
  readonly learnt?: number
  /** Whether the samples of a step share rows of that length, where several fit; PyTorch has a row a sample all the same. */
  readonly packed?: boolean
  /** Different batches, taken in turn. */
  readonly batches: number
  /** Of the weights and of the samples. */
  readonly seed: number
  /** Constant, and small: the numbers stay those of ordinary training however long the measurement takes. */
  readonly learningRate: number
  readonly clip: number
  readonly optimizer: {
    readonly beta1: number
    readonly beta2: number
    readonly epsilon: number
    readonly decay: number
  }
  /** Threads inside one operation. */
  readonly threads: number
}

/** The step that the results are kept of: nano, 16 sequences of 128 tokens, an image of 112 × 112 each, every part trained. */
export const nanoStep = (threads: number): BenchCase => ({
  model: { name: 'nano', config: nano },
  batch: 16,
  length: 128,
  learnt: 32,
  batches: 4,
  seed: 0,
  learningRate: 1e-4,
  clip: 1,
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1 },
  threads,
})

const captioned = (c: BenchCase): Captioned => ({
  captions: 0.5,
  mixture: {
    seed: `bench/${c.seed}`,
    split: 'train',
    weights: { read: 1, count: 1, chart: 1, arithmetic: 1 },
    levels: [1, 3],
  },
})

const objectiveOf = (c: BenchCase) =>
  nextToken(sailVl2Model(c.model.name, c.model.config), nanoProcessor(), {
    ...{ rows: c.batch, tokens: c.length },
    ...present({ learnt: c.learnt }),
  })

/** The samples of a batch. */
const samplesOf = (c: BenchCase, batch: number): readonly Conversation[] =>
  Array.from({ length: c.batch }, (_, row) => conversationAt(captioned(c), batch * c.batch + row))

/** The samples of a batch as a pack: the longest first, each in the first row that has room for it. */
export const packOf = (c: BenchCase, batch: number): Pack => {
  const rows: Conversation[][] = []
  const tokens = (row: readonly Conversation[]): number => row.reduce((n, x) => n + x.ids.length, 0)
  for (const sample of [...samplesOf(c, batch)].sort((a, b) => b.ids.length - a.ids.length)) {
    const row = rows.find((r) => tokens(r) + sample.ids.length <= c.length)
    if (row === undefined) rows.push([sample])
    else row.push(sample)
  }
  return { rows }
}

/** The batches' samples in as few rows as the one that needs most of them. */
const packedObjectiveOf = (c: BenchCase) => {
  const packs = Array.from({ length: c.batches }, (_, b) => packOf(c, b))
  const rows = Math.max(...packs.map((p) => p.rows.length))
  const objective = packedNextToken(sailVl2Model(c.model.name, c.model.config), nanoProcessor(), {
    ...{ rows, tokens: c.length, images: c.batch },
  })
  return { packs, objective }
}

/** The case as a stage of training; its program is what the engines are measured on. */
const benchStage = (c: BenchCase): Stage<'fresh', 'trained'> => {
  const settings = {
    ...({ name: 'bench', from: 'fresh', to: 'trained', steps: 1, learningRate: c.learningRate } as const),
    maxGradientNorm: c.clip,
    optimizer: adamWith({
      ...{ beta1: c.optimizer.beta1, beta2: c.optimizer.beta2, epsilon: c.optimizer.epsilon },
      weightDecay: c.optimizer.decay,
    }),
  }
  if (c.packed === true) {
    const { packs, objective } = packedObjectiveOf(c)
    const source = indexed({ kind: 'bench packed', ...captioned(c) }, function* (index) {
      for (let i = index; ; i++) yield packs[i % packs.length]!
    })
    return supervised({ ...settings, objective, source, train: Object.values(objective.model.parts) })
  }
  const objective = objectiveOf(c)
  const source = indexed({ kind: 'bench', ...captioned(c) }, function* (index) {
    for (let i = index; ; i++) yield conversationAt(captioned(c), i)
  })
  return supervised({ ...settings, objective, source, train: Object.values(objective.model.parts) })
}

/** The case as a program with its `step`. */
export const benchProgram = (c: BenchCase): Program => benchStage(c).program({}).program

/** The inputs of a step but for the learning rate, by name. */
export type Feeds = Readonly<Record<string, TensorValue>>

/** The case's batches. */
export const benchBatches = (c: BenchCase): readonly Feeds[] => {
  if (c.packed === true) {
    const { packs, objective } = packedObjectiveOf(c)
    return packs.map((pack) => objective.collate([pack])[0]!.inputs)
  }
  const objective = objectiveOf(c)
  return Array.from({ length: c.batches }, (_, b) => objective.collate(samplesOf(c, b))[0]!.inputs)
}

/** How many parameters the case trains. */
export const parametersOfCase = (p: Program): number =>
  weightKeys(p).reduce((n, key) => n + elements(p.states.get(key)!.axes), 0)

const caseFile = 'case.json'
const batchesFile = 'batches.safetensors'
const weightsFile = 'weights.safetensors'

/**
 * Writes a case into a folder: `case.json`; `weights.safetensors`, the weights that an engine's fresh session has with this
 * seed, by published key; `batches.safetensors`, the inputs as `<batch>.<name>`.
 */
export const writeCase = async (folder: string, c: BenchCase): Promise<void> => {
  const p = benchProgram(c)
  const weights = new Map(
    weightKeys(p).map((key): [string, Entry] => {
      const spec = p.states.get(key)!
      return [
        key,
        { dtype: 'F32', shape: sizes(spec.axes), values: freshState(spec, c.seed) as Float32Array },
      ]
    }),
  )
  const batches = new Map(
    benchBatches(c).flatMap((feeds, b) =>
      Object.entries(feeds).map(([name, v]): [string, Entry] => [
        `${b}.${name}`,
        {
          dtype: v.dtype === 'float32' ? 'F32' : 'I32',
          shape: v.shape,
          values: v.data as Float32Array | Int32Array,
        },
      ]),
    ),
  )
  await orThrow(writeSafetensors(join(folder, weightsFile), weights))
  await orThrow(writeSafetensors(join(folder, batchesFile), batches))
  await writeFile(join(folder, caseFile), JSON.stringify(c))
}

const readValue = (key: string, t: StoredTensor): TensorValue => {
  const data = t.dtype === 'F32' ? storedFloats(t, key) : storedInts(t, key)
  if (data._tag === 'Left') throw data.left
  return { shape: t.shape, dtype: t.dtype === 'F32' ? 'float32' : 'int32', data: data.right }
}

/** Reads what {@link writeCase} wrote: the case and its batches. */
export const readCase = async (
  folder: string,
): Promise<{ readonly case: BenchCase; readonly batches: readonly Feeds[] }> => {
  // the folder is this program's own, made by the process that started this one
  const c = JSON.parse(await readFile(join(folder, caseFile), 'utf8')) as BenchCase
  const file = decodeSafetensors(await readFile(join(folder, batchesFile)), batchesFile)
  if (file._tag === 'Left') throw file.left
  const batches: Record<string, TensorValue>[] = Array.from({ length: c.batches }, () => ({}))
  for (const [key, stored] of file.right) {
    const dot = key.indexOf('.')
    batches[Number(key.slice(0, dot))]![key.slice(dot + 1)] = readValue(key, stored)
  }
  return { case: c, batches }
}
