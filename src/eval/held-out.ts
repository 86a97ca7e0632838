/**
 * An objective's own metrics on held-out examples.
 *
 * @since 0.1.0
 */
import { batchesOf, type Source } from '../data/index.ts'
import { buckets, type FunctionSpec } from '../dsl/index.ts'
import {
  type Evaluation,
  type Objective,
  orThrow,
  RecipeError,
  textSetting,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'

/** Settings of {@link heldOut}. */
export interface HeldOutOptions<E> {
  /** The name under which it is reported. */
  readonly family: string
  /** The stage after which it is measured. */
  readonly stage: string
  readonly objective: Objective<E>
  readonly source: Source<E>
  /** Batches of the objective's size; a source that ends before gives fewer. */
  readonly batches: number
  /** Which of the objective's metrics; default `correct`. */
  readonly metric?: string
}

/**
 * A metric over the first `batches` batches of a held-out source, or over all of one that ends before.
 *
 * @throws RecipeError where a setting is none, or (of `functions`) the objective has no such metric, or (of `preflight`) the
 *   source has no example
 * @category evaluations
 */
export const heldOut = <E>(o: HeldOutOptions<E>): Evaluation => {
  const { family, objective, metric = 'correct' } = o
  const where = `heldOut '${textSetting('heldOut', 'family', family)}'`
  textSetting(where, 'stage', o.stage)
  valueSetting(where, 'objective', objective, ['terms', 'collate'], 'an objective, such as nextToken(…)')
  valueSetting(where, 'source', o.source, ['open'], 'a source of examples')
  const wanted = wholeSetting(where, 'batches', o.batches, 1)
  // each family has a function of its own, so that several may be measured after one stage
  const name = `heldOut.${family}`
  const measured: FunctionSpec = buckets(objective.buckets, (sizes) => {
    const metrics = objective.terms(sizes).metrics?.() ?? {}
    const found = metrics[metric]
    if (found === undefined)
      throw new RecipeError(
        where,
        'metric',
        `objective '${objective.name}' has no metric '${metric}'; it has ${Object.keys(metrics).join(', ') || 'none'}`,
      )
    return { outputs: { sum: found.sum, weight: found.weight } }
  })
  return {
    config: {
      ...{ kind: 'heldOut', family, stage: o.stage, metric, batches: wanted },
      ...{ objective: objective.config, source: o.source.config },
    },
    families: [family],
    stages: [o.stage],
    functions: (stage) => (stage === o.stage ? { [name]: measured } : {}),
    preflight: async () => {
      const stream = batchesOf(o.source, objective.batch)
      try {
        const { value: first, done } = await stream.next()
        if (done) throw new RecipeError(where, 'source', 'it has no example; give at least one')
        objective.collate(first.examples)
      } finally {
        await stream.return(undefined)
      }
    },
    async *run(session, stage) {
      if (stage.name !== o.stage || stage.done.has(family)) return
      const started = performance.now()
      let [seen, correct, total] = [0, 0, 0]
      for await (const { examples } of batchesOf(o.source, objective.batch)) {
        for (const { inputs } of objective.collate(examples)) {
          const out = await orThrow(session.call(name, inputs))
          correct += Number(out.sum!.data[0])
          total += Number(out.weight!.data[0])
        }
        if (++seen >= wanted) break
      }
      const seconds = (performance.now() - started) / 1000
      yield { type: 'evaluated', stage: stage.name, family, correct, total, seconds }
    },
  }
}
