/**
 * An objective's own accuracy on held-out examples: how many of the counted positions have their label as the likeliest.
 *
 * @since 0.1.0
 */
import { type FunctionSpec, fixed } from '../dsl/index.ts'
import type { BatchSizes, Objective } from '../train/objective.ts'
import type { Evaluation } from '../train/recipe.ts'
import { orThrow } from '../train/run-stage.ts'
import type { Source } from '../train/source.ts'

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
}

/**
 * Accuracy over the first `batches` batches of a held-out source.
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
          measure: fixed(() => {
            const { mean, count, hits } = o.objective.loss(model, o.sizes)
            return { outputs: { mean, count, hits } }
          }),
        },
  async *run(session, stage, context) {
    if (stage.name !== o.stage) return
    const started = performance.now()
    const stream = o.source.from(0)
    let [correct, total] = [0, 0]
    try {
      for (let b = 0; b < o.batches; b++) {
        const examples: E[] = []
        while (examples.length < o.sizes.batch) {
          const { value, done } = await stream.next()
          if (done) break
          examples.push(value)
        }
        const out = await orThrow(session.call('measure', o.objective.feed(examples, context.model, o.sizes)))
        correct += Number(out.hits!.data[0])
        total += Number(out.count!.data[0])
      }
    } finally {
      await stream.return?.()
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
