/**
 * Greedy generation on the host: prompts in, tokens out, over a program's `prefill` and `decode`.
 *
 * @since 0.1.0
 */
import { type Conversation, collateImages, collateText, fitting, type Processor } from '../data/index.ts'
import { type FunctionSpec, fixed } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import { type CausalLm, decode, type GenerationSizes, imagesOf, prefill } from '../models/index.ts'
import { ints, kindOf, orThrow, pixelInput, RecipeError } from '../train/index.ts'

/** Greedy generation as a value: the functions that it needs in a program, and how it uses them. */
export interface Generator {
  /** Everything that determines it, as plain JSON data. */
  readonly config: unknown
  readonly processor: Processor
  readonly sizes: GenerationSizes
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * Sees that prompts fit, without running anything.
   *
   * @throws CollateError where one does not, naming it
   */
  readonly check?: (prompts: readonly Conversation[]) => void
  /**
   * Continues each prompt until the token that ends a turn, or until prompt and answer fill the cache.
   *
   * @param prompts any number of conversations; only their first `promptLength` tokens are read
   * @returns the generated tokens of each, without the end token
   * @throws CollateError where a prompt does not fit, naming it
   */
  readonly generate: (
    session: Session,
    prompts: readonly Conversation[],
  ) => Promise<readonly (readonly number[])[]>
}

/** The likeliest token of each row. */
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

/**
 * Greedy generation with a model.
 *
 * @throws ProcessorError where the processor does not make what the model reads; RecipeError where there are no sizes
 * @category generation
 */
export const generator = (model: CausalLm, processor: Processor, sizes: GenerationSizes): Generator => {
  fitting(processor, model)
  if (typeof sizes !== 'object' || sizes === null)
    throw new RecipeError('generator', 'sizes', `it is ${kindOf(sizes)}; give { rows, prompt, capacity }`)
  const { rows, prompt: tokens, capacity } = sizes
  const images = imagesOf(model, sizes)

  const inputsOf = (prompts: readonly Conversation[]) => {
    const cut = prompts.map((p) => ({
      ...p,
      ids: p.ids.slice(0, p.promptLength),
      lossMask: p.lossMask.slice(0, p.promptLength),
    }))
    const text = collateText(cut, { rows, tokens }, processor)
    const seen = collateImages(cut, { rows, tokens, images }, processor)
    return { cut, text, seen }
  }

  const some = async (
    session: Session,
    prompts: readonly Conversation[],
  ): Promise<readonly (readonly number[])[]> => {
    const { cut, text, seen } = inputsOf(prompts)
    const places = Int32Array.from({ length: rows }, (_, r) => Math.max(0, (cut[r]?.ids.length ?? 1) - 1))
    const first = await orThrow(
      session.call('prefill', {
        input_ids: ints(text.input_ids, rows, tokens),
        position_ids: ints(text.position_ids, rows, tokens),
        last: ints(places, rows),
        ...(images === 0
          ? {}
          : {
              visual_index: ints(seen.visual_index, rows, tokens),
              pixel_values: pixelInput(seen.pixel_values, images, processor.image?.size ?? 0),
            }),
      }),
    )
    const answers: number[][] = prompts.map(() => [])
    const left = (r: number): number => capacity - cut[r]!.ids.length - answers[r]!.length
    const done = prompts.map((_, r) => left(r) <= 0)
    let next = largest(first.logits!)
    for (;;) {
      answers.forEach((a, r) => {
        if (done[r]) return
        if (next[r] !== processor.end) a.push(next[r]!)
        done[r] = next[r] === processor.end || left(r) <= 0
      })
      if (done.every(Boolean)) return answers
      for (let r = 0; r < rows; r++) places[r] = Math.min(places[r]! + 1, capacity - 1)
      const out = await orThrow(
        session.call('decode', { input_ids: ints(next, rows), position: ints(places.slice(), rows) }),
      )
      next = largest(out.logits!)
    }
  }

  return {
    config: {
      kind: 'greedy',
      model: model.config,
      processor: processor.config,
      sizes: { ...sizes, images },
    },
    processor,
    sizes,
    functions: {
      prefill: fixed(() => prefill(model, sizes)),
      decode: fixed(() => decode(model, sizes)),
    },
    check: (prompts) => {
      for (let at = 0; at < prompts.length; at += rows) inputsOf(prompts.slice(at, at + rows))
    },
    generate: async (session, prompts) => {
      const answers: (readonly number[])[] = []
      for (let at = 0; at < prompts.length; at += rows)
        answers.push(...(await some(session, prompts.slice(at, at + rows))))
      return answers
    },
  }
}
