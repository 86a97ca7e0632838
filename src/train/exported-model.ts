/**
 * A model as it leaves: with the weights and the tokenizer that belong to it, and with names and words for what goes into
 * its graph and comes out.
 *
 * @since 0.1.0
 */
import type { Processor } from '../data/index.ts'
import {
  type FunctionSpec,
  fixed,
  type Keys,
  type Program,
  program,
  type Tensor,
  topological,
} from '../dsl/index.ts'
import type { TokenizerFiles } from '../formats/index.ts'
import { type GraphSizes, isCausalLm, type Model } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { type Placement, placeWeights, type StoredWeights, shapesOf } from './weights.ts'

/** What an export takes. */
export interface ExportedModel {
  readonly model: Model
  /** By the model's keys; what the model has no place for is left out. */
  readonly weights: StoredWeights
  /** Undefined where the model reads no text, or its tokenizer has no files. */
  readonly text?: ExportedText
}

/** The tokenizer of an exported model, and the ids that a configuration names. */
export interface ExportedText {
  readonly files: TokenizerFiles
  /** Jinja text, where it is not the tokenizer's own. */
  readonly template?: string
  /** Ends a turn. */
  readonly end?: number
  readonly pad?: number
  /** Stands for a visual token. */
  readonly placeholder?: number
}

/** What a processor's tokenizer leaves with a model; undefined where it has no files. */
export const exportedText = (p: Processor): ExportedText | undefined =>
  p.tokenizer.files === undefined
    ? undefined
    : {
        files: p.tokenizer.files,
        end: p.end,
        pad: p.pad,
        ...(p.template === undefined ? {} : { template: p.template.jinja }),
        ...(p.image === undefined ? {} : { placeholder: p.image.placeholder }),
      }

/** What a model's graph gives, by name: `logits` of a language model, `output` of any other. */
export const outputOf = (model: Model): string => (isCausalLm(model) ? 'logits' : 'output')

/** The name of the function that an export has for a model's graph. */
export const forwardName = 'forward'

/** A model's graph at given sizes as a function of a program. */
export const forwardFunction = (model: Model, sizes: GraphSizes): Readonly<Record<string, FunctionSpec>> => ({
  [forwardName]: fixed(() => ({ outputs: { [outputOf(model)]: model.graph(sizes) } })),
})

/** A program that computes a model's graph and nothing else. */
export const forwardProgram = (model: Model, sizes: GraphSizes): Program => {
  onlySettings('forwardProgram', sizes, ['batch', 'tokens'])
  return program({ name: model.name, functions: forwardFunction(model, sizes) })
}

const nothing: Keys = { name: 'nothing', has: () => false }

/**
 * What a model takes of weights that leave with it.
 *
 * @throws WeightsError where one that its graph reads is missing or has another shape
 */
export const placedIn = (model: Model, weights: StoredWeights): Placement => {
  const placement = placeWeights(forwardProgram(model, {}), shapesOf(weights), nothing)
  if (placement._tag === 'Left') throw placement.left
  return placement.right
}

/** What is known of inputs and outputs of a language model by their names. */
const textWords: Readonly<Record<string, string>> = {
  input_ids: 'ids of tokens; a shorter text is padded on the right, where no token of it looks',
  position_ids:
    'the place of each token in its text, from 0; it begins again where the next text of a row does',
  visual_index:
    'for each token the row among the visual tokens of all images (image · tokens of an image + place; of patches the number of the square) that stands there, or -1 for text',
  patch_places:
    'for each patch its image (from 1; 0 where there is none), row, column, and rows and columns of its image; each four in a row are a square of 2 × 2',
  segment_ids: 'the number of the text that a token belongs to, from 1; 0 for padding',
  labels: 'the id of each token that is learnt, at its own place, and -100 elsewhere',
  logits: 'a score of each word of the vocabulary; the likeliest has the highest',
}

/** What is known of those of any model. */
const words: Readonly<Record<string, string>> = {
  pixel_values: "images, or patches of images, RGB, each channel normalised as the model's processor does",
  learning_rate: 'the learning rate of this step',
  loss: 'the mean over what is counted',
  weight: 'what the loss was divided by',
  gradientNorm: 'the norm of the gradient before it was clipped',
}

/** `int32 [batch 1, token 64]: ids of tokens`. */
const described = (
  known: Readonly<Record<string, string>>,
  name: string,
  { dtype, axes }: Tensor,
): string => {
  const shape = `${dtype} [${axes.map((a) => `${a.name} ${a.size}`).join(', ')}]`
  return Object.hasOwn(known, name) ? `${shape}: ${known[name]}` : shape
}

/** One way into a program, in words. */
export interface DescribedFunction {
  /** The function and the number of its sizes: `step.0`. */
  readonly name: string
  readonly inputs: Readonly<Record<string, string>>
  readonly outputs: Readonly<Record<string, string>>
  /** Whether it changes states. */
  readonly changes: boolean
}

/**
 * What goes into each function of a program and comes out, at each of its sizes, in words.
 *
 * @param model whose program it is: what a language model's inputs mean is known by their names, those of another with the
 *   same names may mean something else
 */
export const describeProgram = (p: Program, model?: Model): readonly DescribedFunction[] => {
  const known = model === undefined || isCausalLm(model) ? { ...words, ...textWords } : words
  return [...p.functions].flatMap(([name, variants]) =>
    variants.map((variant, i) => {
      const outputs = Object.entries(variant.outputs)
      const leaves = topological([...outputs.map(([, t]) => t), ...variant.next.values()]).flatMap((t) =>
        t.op.op === 'input' ? [[t.op.name, described(known, t.op.name, t)] as const] : [],
      )
      return {
        name: `${name}.${i}`,
        inputs: Object.fromEntries(leaves),
        outputs: Object.fromEntries(outputs.map(([n, t]) => [n, described(known, n, t)])),
        changes: variant.next.size > 0,
      }
    }),
  )
}
