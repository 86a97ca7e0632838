/**
 * Greedy generation through a session that has {@link prefill} and {@link decode}.
 *
 * @since 0.1.0
 */
import { type Conversation, collate } from '../data/collate.ts'
import type { Session, TensorValue } from '../engine/session.ts'
import type { GenerationSizes } from '../models/generate.ts'
import type { SailVl2Config } from '../models/sail-vl2.ts'
import { ints, pictures } from '../train/objective.ts'
import { orThrow } from '../train/run-stage.ts'

/** The first largest of each row of `[rows, vocab]`. */
const largest = (logits: TensorValue): Int32Array => {
  const [rows = 0, vocab = 0] = logits.shape
  const out = new Int32Array(rows)
  for (let r = 0; r < rows; r++) {
    let best = r * vocab
    for (let i = best + 1; i < (r + 1) * vocab; i++) if (logits.data[i]! > logits.data[best]!) best = i
    out[r] = best - r * vocab
  }
  return out
}

/** What generation is told beside the prompts. */
export interface GenerateOptions {
  readonly model: SailVl2Config
  readonly sizes: GenerationSizes
  /** The token that ends an answer. */
  readonly end: number
}

/**
 * Continues each prompt greedily until the end token, or until prompt and answer fill the capacity.
 *
 * @param prompts at most `rows` conversations; only their first `promptLength` tokens are read
 * @returns the generated tokens of each, without the end token
 * @category generation
 */
export const generate = async (
  session: Session,
  prompts: readonly Conversation[],
  { model, sizes, end }: GenerateOptions,
): Promise<readonly (readonly number[])[]> => {
  const cut = prompts.map((p) => ({
    ...p,
    ids: p.ids.slice(0, p.promptLength),
    learnt: p.learnt.slice(0, p.promptLength),
  }))
  const batch = collate(cut, {
    batch: sizes.rows,
    length: sizes.prompt,
    tiles: sizes.rows,
    side: model.vision.imageSize,
  })
  const places = Int32Array.from({ length: sizes.rows }, (_, r) => Math.max(0, (cut[r]?.ids.length ?? 1) - 1))
  const first = await orThrow(
    session.call('prefill', {
      input_ids: ints(batch.input_ids, sizes.rows, sizes.prompt),
      position_ids: ints(batch.position_ids, sizes.rows, sizes.prompt),
      visual_index: ints(batch.visual_index, sizes.rows, sizes.prompt),
      pixel_values: pictures(batch.pixel_values, sizes.rows, model.vision.imageSize),
      last: ints(places, sizes.rows),
    }),
  )
  const answers: number[][] = prompts.map(() => [])
  const room = (r: number): number => sizes.capacity - cut[r]!.ids.length - answers[r]!.length
  const done = prompts.map((_, r) => room(r) <= 0)
  let tokens = largest(first.logits!)
  for (;;) {
    answers.forEach((a, r) => {
      if (done[r]) return
      if (tokens[r] !== end) a.push(tokens[r]!)
      done[r] = tokens[r] === end || room(r) <= 0
    })
    if (done.every(Boolean)) return answers
    for (let r = 0; r < sizes.rows; r++) places[r] = Math.min(places[r]! + 1, sizes.capacity - 1)
    const out = await orThrow(
      session.call('decode', {
        input_ids: ints(tokens, sizes.rows),
        position: ints(places.slice(), sizes.rows),
      }),
    )
    tokens = largest(out.logits!)
  }
}
