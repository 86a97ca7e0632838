/**
 * Exact-answer accuracy on held-out questions, a family at a time, by greedy generation.
 *
 * @since 0.1.0
 */

import { batchesOf, type Question, type RgbImage, type Source, wholeImages } from '../data/index.ts'
import type { Generator } from '../generation/index.ts'
import { kindOf, onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import {
  type Evaluation,
  orThrow,
  RecipeError,
  type RunContext,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'
import { firstBatch } from '../train/internal.ts'

/** Settings of {@link exactAnswers}. */
export interface ExactAnswerOptions {
  readonly generator: Generator
  /** Questions by family, in display order. */
  readonly questions: Readonly<Record<string, Source<Question>>>
  /** Questions a family after each stage; a source that ends before gives fewer. */
  readonly samples: number
  /** Questions a family after the last stage; default as many. */
  readonly lastSamples?: number
  /** Predictions a family that are kept with their images; default 8. */
  readonly shown?: number
  /** What stands before a family's name, where two evaluations ask about one: `thinking`; default nothing. */
  readonly name?: string
  /** Whether the mean length of the answers is measured, too, in tokens; default false. */
  readonly lengths?: boolean
}

/** The paths of a conversation's images, the first by the conversation's own name. */
const savedImages = async (
  { saveImage }: Pick<RunContext, 'saveImage'>,
  id: string,
  images: readonly RgbImage[],
): Promise<string[]> => {
  const paths: string[] = []
  for (const [i, image] of images.entries())
    paths.push(await orThrow(saveImage(i === 0 ? id : `${id}/${i + 1}`, image)))
  return paths
}

/**
 * Generates an answer to each question and compares it exactly.
 *
 * @throws RecipeError where a setting is none, or (of `preflight`) a family has no question
 * @category evaluations
 */
export const exactAnswers = (o: ExactAnswerOptions): Evaluation => {
  const where = 'exactAnswers'
  onlySettings(where, o, ['generator', 'questions', 'samples', 'lastSamples', 'shown', 'name', 'lengths'])
  const { generator: g, questions } = o
  const samples = wholeSetting('exactAnswers', 'samples', o.samples, 1)
  const lastSamples = wholeSetting('exactAnswers', 'lastSamples', o.lastSamples ?? samples, 1)
  const shown = wholeSetting('exactAnswers', 'shown', o.shown ?? 8, 0)
  const { lengths = false } = o
  const named = (family: string): string => (o.name === undefined ? family : `${o.name} ${family}`)
  const lengthOf = (family: string): string => `length of ${named(family)}`
  valueSetting(where, 'generator', g, ['generate'], 'a generator, such as generator(model, processor, { … })')
  if (typeof questions !== 'object' || questions === null || Object.keys(questions).length === 0)
    throw new RecipeError(
      where,
      'questions',
      `it is ${kindOf(questions)}; give a source of questions a family`,
    )
  for (const [family, source] of Object.entries(questions))
    valueSetting(where, `questions.${family}`, source, ['open'], 'a source of questions')
  return {
    config: {
      ...{ kind: 'exactAnswers', generator: g.config, samples, lastSamples, shown },
      ...present({ name: o.name }),
      ...(lengths ? { lengths } : {}),
      questions: Object.fromEntries(Object.entries(questions).map(([f, s]) => [f, s.config])),
    },
    families: Object.keys(questions).flatMap((f) => [named(f), ...(lengths ? [lengthOf(f)] : [])]),
    functions: () => g.functions,
    preflight: async () => {
      for (const [family, source] of Object.entries(questions)) {
        const first = await firstBatch(source, Math.min(samples, g.sizes.rows), `${where}, ${family}`)
        if (first === undefined)
          throw new RecipeError(where, `questions.${family}`, 'it has no question; give at least one')
        g.check?.(first.examples.map((q) => q.conversation))
      }
    },
    async *run(session, stage, context) {
      const wanted = stage.last ? lastSamples : samples
      for (const [own, source] of Object.entries(questions)) {
        const family = named(own)
        if (stage.done.has(family)) continue
        const started = performance.now()
        let [correct, total, tokens] = [0, 0, 0]
        for await (const { examples } of batchesOf(
          source,
          // several times the rows: those that have ended take the next question
          Math.min(wanted, 4 * g.sizes.rows),
          undefined,
          `${where}, ${family}`,
        )) {
          const asked = examples.slice(0, wanted - total)
          const answers = await g.generate(
            session,
            asked.map((q) => q.conversation),
          )
          for (const [i, q] of asked.entries()) {
            const ids = answers[i]!
            tokens += ids.length
            const text = ids.length === 0 ? '' : g.processor.tokenizer.decode(ids)
            const answered = (q.answerOf ?? ((t: string) => t.trim()))(text)
            if (answered === q.expected) correct++
            if (total + i >= shown) continue
            const { id } = q.conversation
            const paths = await savedImages(context, id, wholeImages(q.conversation))
            yield {
              ...{ type: 'predicted', stage: stage.name, family, id, level: q.level ?? 1 },
              image: paths[0] ?? '',
              ...(paths.length > 1 ? { images: paths } : {}),
              ...{ question: q.question, expected: q.expected, answered, text },
              correct: answered === q.expected,
            }
          }
          total += asked.length
          if (total >= wanted) break
        }
        const seconds = (performance.now() - started) / 1000
        // before the share, whose family counts as measured
        if (lengths)
          yield {
            ...{ type: 'measured', stage: stage.name, family: lengthOf(own), value: tokens / total },
            ...{ unit: 'tokens', weight: total, seconds: 0 },
          }
        yield { type: 'evaluated', stage: stage.name, family, correct, total, seconds }
      }
    },
  }
}
