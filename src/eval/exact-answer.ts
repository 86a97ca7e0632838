/**
 * Exact-answer accuracy on held-out pictures, a family at a time, by greedy generation.
 *
 * @since 0.1.0
 */
import { conversation } from '../data/collate.ts'
import { maxSampleLength, nanoTokenizer } from '../data/tokens.ts'
import { fixed } from '../dsl/index.ts'
import { decode, prefill } from '../models/generate.ts'
import { sampleAt } from '../tasks/mixture.ts'
import { type Family, families, finalOf, isExact, type Level, type Sample } from '../tasks/sample.ts'
import type { Evaluation } from '../train/recipe.ts'
import { orThrow } from '../train/run-stage.ts'
import { generate } from './generate.ts'

/** Settings of {@link exactAnswers}. */
export interface ExactAnswerOptions {
  readonly seed: string | number
  /** Held-out samples a family after each stage. */
  readonly samples: number
  /** Held-out samples a family after the last stage; default as many. */
  readonly lastSamples?: number
  readonly levels?: readonly [Level, Level]
  /** Predictions a family that are kept with their pictures; default 8. */
  readonly shown?: number
  /** Rows generated at once; default 64. */
  readonly rows?: number
  /** Longest prompt in tokens; default 48, which the rendered families fit into. */
  readonly prompt?: number
  /** Longest prompt and answer together; default that of a rendered sample. */
  readonly capacity?: number
}

/** The held-out samples of one family: the same ones after every stage. */
const heldOut = (o: ExactAnswerOptions, family: Family, n: number): readonly Sample[] =>
  Array.from({ length: n }, (_, i) =>
    sampleAt({ seed: o.seed, split: 'heldout', weights: { [family]: 1 }, levels: o.levels ?? [3, 3] }, i),
  )

/**
 * Generates an answer to each held-out question and compares its final answer exactly.
 *
 * @category evaluations
 */
export const exactAnswers = (o: ExactAnswerOptions): Evaluation => {
  const sizes = { rows: o.rows ?? 64, prompt: o.prompt ?? 48, capacity: o.capacity ?? maxSampleLength }
  const rendered = new Map<Family, readonly Sample[]>()
  const samplesOf = (family: Family, n: number): readonly Sample[] => {
    const have = rendered.get(family) ?? []
    if (have.length < n) rendered.set(family, heldOut(o, family, n))
    return rendered.get(family)!.slice(0, n)
  }
  return {
    describe: { kind: 'exactAnswers', ...o },
    families: [...families],
    functions: (model) => ({
      prefill: fixed(() => prefill(model, sizes)),
      decode: fixed(() => decode(model, sizes)),
    }),
    async *run(session, stage, context) {
      const tokenizer = nanoTokenizer()
      const end = tokenizer.id('<|im_end|>')
      const model = context.model
      for (const family of families) {
        const started = performance.now()
        const samples = samplesOf(family, stage.last ? (o.lastSamples ?? o.samples) : o.samples)
        let correct = 0
        for (let at = 0; at < samples.length; at += sizes.rows) {
          const some = samples.slice(at, at + sizes.rows)
          const answers = await generate(
            session,
            some.map((s) => conversation(s, 'answer')),
            { model, sizes, end },
          )
          for (const [i, sample] of some.entries()) {
            const text = answers[i]!.length === 0 ? '' : tokenizer.decode(answers[i]!)
            const right = isExact(sample, text)
            if (right) correct++
            if (at + i >= (o.shown ?? 8)) continue
            yield {
              type: 'predicted',
              stage: stage.name,
              family,
              id: sample.id,
              level: sample.level,
              picture: await orThrow(context.savePicture(sample.id, sample.picture)),
              question: sample.question,
              expected: sample.final,
              answered: finalOf(family, text),
              text,
              correct: right,
            }
          }
        }
        yield {
          type: 'evaluated',
          stage: stage.name,
          family,
          correct,
          total: samples.length,
          seconds: (performance.now() - started) / 1000,
        }
      }
    },
  }
}
