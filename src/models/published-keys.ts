/**
 * Weights on disk by the model's own keys: where a folder names them otherwise, they are renamed, and joined where it keeps
 * in several tensors what is one here.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type Checkpoint, type CheckpointTensor, SafetensorsError } from '../formats/index.ts'

/** Weights on disk, by the model's own keys, read one by one: a source for an engine's `load` and for a recipe's start. */
export type PretrainedWeights = Pick<Checkpoint, 'keys' | 'shape' | 'dtype' | 'read' | 'bfloat16'>

/** The prefix of an encoder inside a joined model, and of its keys here. */
export const encoderPrefix = 'vision_model.'

/** Transformers' names of an AIMv2 (`Aimv2VisionModel`), and Apple's, which are those here. */
const names: readonly (readonly [RegExp, string])[] = [
  [/^embeddings\.patch_embed\./, 'preprocessor.patchifier.proj.'],
  [/^embeddings\.rms_norm\./, 'preprocessor.patchifier.norm.'],
  [/^embeddings\.position_embedding\.weight$/, 'preprocessor.pos_embed'],
  [/^rms_norm\./, 'trunk.post_trunk_norm.'],
  [/^encoder\.layers\.(\d+)\.rms_norm([12])\./, 'trunk.blocks.$1.norm_$2.'],
  [/^encoder\.layers\.(\d+)\.ffn\.gate_proj\./, 'trunk.blocks.$1.mlp.fc1.'],
  [/^encoder\.layers\.(\d+)\.ffn\.up_proj\./, 'trunk.blocks.$1.mlp.fc3.'],
  [/^encoder\.layers\.(\d+)\.ffn\.down_proj\./, 'trunk.blocks.$1.mlp.fc2.'],
  [/^encoder\.layers\.(\d+)\.attention\.out_proj\./, 'trunk.blocks.$1.attn.proj.'],
  [/^encoder\.layers\.(\d+)\.attention\.[qkv]_proj\./, 'trunk.blocks.$1.attn.qkv.'],
]

const renamed = (key: string): string => {
  const rule = names.find(([theirs]) => theirs.test(key))
  return rule === undefined ? key : key.replace(...rule)
}

/** Query, key, value, as they stand in the one matrix. */
const inOrder = (keys: readonly string[]): readonly string[] => {
  const place = (k: string): number => ['.q_proj.', '.k_proj.', '.v_proj.'].findIndex((p) => k.includes(p))
  return [...keys].sort((a, b) => place(a) - place(b))
}

const isPositions = (own: string): boolean => own.endsWith('preprocessor.pos_embed')

/** One tensor below another. */
const joined = (
  own: string,
  parts: readonly CheckpointTensor[],
): TE.TaskEither<SafetensorsError, CheckpointTensor> => {
  const [first] = parts as readonly [CheckpointTensor]
  const lead = isPositions(own) && first.shape.length === 2 ? [1] : []
  if (parts.length === 1) return TE.right({ ...first, shape: [...lead, ...first.shape] })
  const data = new Float32Array(parts.reduce((n, p) => n + p.data.length, 0))
  let at = 0
  for (const p of parts) {
    if (p.dtype !== 'float32' || p.shape.slice(1).join() !== first.shape.slice(1).join())
      return TE.left(
        new SafetensorsError(
          'BadEntry',
          { file: 'model.safetensors', key: own },
          'its parts do not fit each other',
          'fetch the checkpoint again',
        ),
      )
    data.set(p.data, at)
    at += p.data.length
  }
  const rows = parts.reduce((n, p) => n + p.shape[0]!, 0)
  return TE.right({ dtype: 'float32', shape: [rows, ...first.shape.slice(1)], data })
}

/**
 * The weights of an encoder alone by its keys inside a joined model, be they published in Apple's names, in transformers', or
 * with the prefix already.
 */
export const encoderKeys = (c: PretrainedWeights): PretrainedWeights => {
  const bare = !c.keys.some((k) => k.startsWith(encoderPrefix))
  const theirs = new Map<string, string[]>()
  for (const key of c.keys) {
    const inside = key.startsWith(encoderPrefix) ? key.slice(encoderPrefix.length) : key
    // what is no part of an encoder keeps its name: it is unread, and told of by it
    const ours = renamed(inside)
    const isPart = inside !== key || (bare && (ours !== inside || /^(preprocessor|trunk)\./.test(inside)))
    const own = isPart ? `${encoderPrefix}${ours}` : key
    theirs.set(own, [...(theirs.get(own) ?? []), key])
  }
  const partsOf = (own: string): readonly string[] => inOrder(theirs.get(own) ?? [own])
  return {
    keys: [...theirs.keys()],
    shape: (own) => {
      const shapes = partsOf(own).map(c.shape)
      const [first] = shapes
      if (first === undefined) return undefined
      if (shapes.length === 1) return isPositions(own) && first.length === 2 ? [1, ...first] : first
      return [shapes.reduce((n, s) => n + (s?.[0] ?? 0), 0), ...first.slice(1)]
    },
    dtype: (own) => c.dtype(partsOf(own)[0]!),
    bfloat16: (own) => (partsOf(own).length === 1 ? c.bfloat16(partsOf(own)[0]!) : undefined),
    read: (own, room) =>
      pipe(
        partsOf(own),
        // what is joined is another array
        TE.traverseSeqArray((key) => c.read(key, partsOf(own).length === 1 ? room : undefined)),
        TE.chain((parts) => joined(own, parts)),
      ),
  }
}
