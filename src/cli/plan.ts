/** What training a model takes in memory, and whether this machine has it. */
import type { CausalLm } from '../models/index.ts'
import { byteSize, grouped, type Look, textTable } from '../terminal/index.ts'
import type { Experiment } from '../train/index.ts'
import type { StepMemory } from '../train/internal.ts'

/** A step of training, and what it holds. */
export interface PlannedRow extends StepMemory {
  /** What learns: parts, adapters, or an experiment's stage. */
  readonly trains: string
  readonly rows?: number
  readonly tokens?: number
  /** Tiles of a batch; of a model of any resolution squares, each a token. */
  readonly images?: number
  /** Of all of it, in bytes. */
  readonly together: number
  /** Whether that is less than the memory that is available now. */
  readonly fits: boolean
}

/** What training takes, and what there is. */
export interface MemoryPlan {
  readonly name: string
  readonly availableBytes: number
  readonly memoryBytes: number
  /** As their driver names them. */
  readonly gpus: readonly string[]
  readonly rows: readonly PlannedRow[]
}

const together = (m: StepMemory): number =>
  m.weights + m.optimizer + m.gradients + m.activations + m.working + m.others

const planOf = async (
  name: string,
  steps: readonly (StepMemory & Pick<PlannedRow, 'trains' | 'rows' | 'tokens' | 'images'>)[],
): Promise<MemoryPlan> => {
  const { machineNow } = await import('./machine.ts')
  const { freeBytes, memoryBytes, gpus } = await machineNow()
  return {
    ...{ name, availableBytes: freeBytes, memoryBytes, gpus },
    rows: steps.map((s) => ({ ...s, together: together(s), fits: together(s) <= freeBytes })),
  }
}

/** Rank of the adapters that a plan has. */
const rank = 16

/** What one may train of a model: all, its parts one by one, adapters on the matrices of its language model. */
const choices = async (model: CausalLm) => {
  const { keys } = await import('../dsl/index.ts')
  const { loraKeys } = await import('../optim/index.ts')
  const { withLora } = await import('../train/index.ts')
  const parts = Object.entries(model.parts)
  // experts are chosen by token, and take no adapters
  const matrices = [
    '**.self_attn.*_proj.weight',
    ...(model.experts === undefined ? ['**.layers.*.mlp.*_proj.weight'] : []),
  ]
  return [
    { trains: 'everything', train: Object.values(model.parts) },
    ...(parts.length < 2 ? [] : parts.map(([name, part]) => ({ trains: name, train: [part] }))),
    {
      trains: `LoRA of rank ${rank}`,
      train: [loraKeys],
      transforms: [withLora({ rank, alpha: 2 * rank, on: keys('matrices', ...matrices) })],
    },
  ]
}

/**
 * What next-token training of a model takes, with AdamW.
 *
 * @param tokens of a row, those of images included; default: 256, 1024 and 4096, each where an image fits
 */
export const planModel = async (
  model: CausalLm,
  { rows = 1, tokens }: { readonly rows?: number; readonly tokens?: number },
): Promise<MemoryPlan> => {
  const { stepMemory } = await import('../train/internal.ts')
  const { image } = model
  // a picture of the encoder's own size a row: where pictures have any size, 256 squares of it
  const each =
    image === undefined ? 0 : image.patchSize === undefined ? image.tokens : Math.min(256, tokens ?? 256)
  const lengths = tokens === undefined ? [256, 1024, 4096].filter((n) => n > each) : [tokens]
  const images = image === undefined ? 0 : image.patchSize === undefined ? rows : rows * each
  const steps = (await choices(model)).flatMap(({ trains, ...what }) =>
    lengths.flatMap((n) => {
      const sizes = { rows, tokens: n, images }
      const held = { trains, ...sizes, ...stepMemory({ model, ...what, sizes }) }
      // what does not learn may stay as it is published
      const stored = { ...held, trains: `${trains}, the rest in 16 bits`, weights: held.storedWeights }
      return held.storedWeights < held.weights && 'transforms' in what ? [held, stored] : [held]
    }),
  )
  return planOf(model.name, steps)
}

/** What each stage of an experiment takes that trains. */
export const planExperiment = async (e: Experiment): Promise<MemoryPlan> => {
  const { learnerMemory } = await import('../train/internal.ts')
  const stages = (e.stages ?? []).map((stage) => ({ stage, made: stage.program({}) }))
  return planOf(
    e.name,
    stages
      .filter(({ made }) => made.trained.length > 0)
      .map(({ stage, made }) => ({ trains: `stage ${stage.name}`, ...learnerMemory(made) })),
  )
}

/** As a table, with what is not in it. */
export const showPlan = (plan: MemoryPlan, look: Pick<Look, 'colour'>): string => {
  const sized = plan.rows.some((r) => r.tokens !== undefined)
  const other = plan.rows.some((r) => r.others > 0)
  const right = (head: string) => ({ head, align: 'right' as const })
  const table = textTable(
    [
      { head: 'trains' },
      right('parameters that learn'),
      ...(sized ? [right('rows × tokens')] : []),
      ...['weights', 'gradients', 'moments', 'activations', 'working'].map(right),
      ...(other ? [right('other states')] : []),
      right('together'),
      { head: 'fits here' },
    ],
    plan.rows.map((r) => [
      r.trains,
      grouped(r.trained),
      ...(sized ? [`${r.rows} × ${grouped(r.tokens ?? 0)}`] : []),
      ...[r.weights, r.gradients, r.optimizer, r.activations, r.working].map(byteSize),
      ...(other ? [byteSize(r.others)] : []),
      byteSize(r.together),
      r.fits ? 'yes' : 'no',
    ]),
    look,
  )
  return [
    `${plan.name}: one update${sized ? ' by AdamW' : ''}, computed in float32, as onnx and tensorflow hold it`,
    '',
    table,
    '',
    `Here ${byteSize(plan.availableBytes)} of ${byteSize(plan.memoryBytes)} are available${plan.gpus.map((g) => `; GPU ${g}`).join('')}.`,
    "Counted from the graph that is run where a batch learns at any place (one that learns at few takes less): gradients of all that learns at once, for clipping; activations that the backward pass reads, long attentions in blocks; working is what lies beside both at the fullest moment, in the order of the graph. In 16 bits weights are left that are stored in bfloat16, by the engine onnx, with --weights stored. Not in it are an engine's library and its own copies: measured were 0.2 to 0.4 GB more, of a model of 60 million parameters (onnx has gradients twice).",
  ].join('\n')
}
