/**
 * An objective's own accuracy on held-out examples: how many of the counted positions have their label as the likeliest.
 *
 * @since 0.1.0
 */
import { type FunctionSpec, fixed } from '../dsl/index.ts'
import type { BatchSizes, Objective } from '../train/objective.ts'
import type { Evaluation } from '../train/recipe.ts'
import { orThrow } from '../train/run-stage.ts'
import { batchesOf, type Source } from '../train/source.ts'

/** Settings of {@link heldOut}. */
export interface HeldOutOptions<E> {
  /** The name under which it is reported. */
  readonly family: string
  /** The stage after which it is measured. */
  readonly stage: string
  readonly objective: Objective<E>
  readonly source: Source<E>
  readonly sizes: BatchSizes
  readonly batches: number
  /** Counts rows that are predicted exactly at every position, instead of positions; default false. */
  readonly whole?: boolean
}

/**
 * Accuracy over the first `batches` batches of a held-out source, or over all of one that ends before.
 *
 * @category evaluations
 */
export const heldOut = <E>(o: HeldOutOptions<E>): Evaluation => ({
  describe: { kind: 'heldOut', family: o.family, objective: o.objective.name, data: o.source.describe },
  families: [o.family],
  functions: (model, stage): Readonly<Record<string, FunctionSpec>> =>
    stage !== o.stage
      ? {}
      : {
          [functionOf(o.family)]: fixed(() => {
            const { count, hits, rows, wholeHits } = o.objective.loss(model, o.sizes)
            return { outputs: o.whole ? { count: rows, hits: wholeHits } : { count, hits } }
          }),
        },
  async *run(session, stage, context) {
    if (stage.name !== o.stage) return
    const started = performance.now()
    let [batches, correct, total] = [0, 0, 0]
    for await (const examples of batchesOf(o.source, o.sizes.batch)) {
      const feeds = o.objective.feed(examples, context.model, o.sizes)
      const out = await orThrow(session.call(functionOf(o.family), feeds))
      correct += Number(out.hits!.data[0])
      total += Number(out.count!.data[0])
      if (++batches >= o.batches) break
    }
    yield {
      type: 'evaluated',
      stage: stage.name,
      family: o.family,
      correct,
      total,
      seconds: (performance.now() - started) / 1000,
    }
  },
})

/** Each family has a function of its own, so that several may be measured after one stage. */
const functionOf = (family: string): string => `heldOut.${family}`
