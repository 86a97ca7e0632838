/**
 * An objective's loss and metrics on held-out examples.
 *
 * @since 0.1.0
 */
import { batchesOf, type Source } from '../data/index.ts'
import { buckets, type FunctionSpec } from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import {
  type Evaluation,
  lossSum,
  type Metric,
  type Objective,
  RecipeError,
  type Sizes,
  textSetting,
  valueSetting,
  wholeSetting,
} from '../train/index.ts'
import { callWith, tryFirstBatch } from '../train/internal.ts'

/** Settings of {@link heldOut}. */
export interface HeldOutOptions<E> {
  /** The name under which it is reported. */
  readonly family: string
  /** The stage after which it is measured; default: after every one. */
  readonly stage?: string
  readonly objective: Objective<E>
  readonly source: Source<E>
  /** Batches of the objective's size; a source that ends before gives fewer. */
  readonly batches: number
  /** Which of the objective's metrics, or `loss`: its loss; default `correct`. */
  readonly metric?: string
}

/** A metric by its name; the loss is one, unless the objective has another of that name. @throws RecipeError */
const metricOf = <E>(where: string, objective: Objective<E>, metric: string, sizes: Sizes): Metric => {
  const terms = objective.terms(sizes)
  const loss: Metric = { sum: lossSum(terms), weight: terms.weight, unit: objective.unit }
  const metrics: Readonly<Record<string, Metric>> = { loss, ...terms.metrics?.() }
  const found = Object.hasOwn(metrics, metric) ? metrics[metric] : undefined
  if (found !== undefined) return found
  throw new RecipeError(
    where,
    'metric',
    `objective '${objective.name}' has no metric '${metric}'; it has ${Object.keys(metrics).join(', ')}`,
  )
}

/**
 * The loss or a metric over the first `batches` batches of a held-out source, or over all of one that ends before. A metric
 * without a unit is a share and is reported as `evaluated`; the loss and a metric in a unit are a mean, reported as
 * `measured`.
 *
 * @throws RecipeError where a setting is none, or (of `functions`) the objective has no such metric, or (of `preflight`) the
 *   source has no example, or (of `run`) a metric without a unit is no share
 * @category evaluations
 */
export const heldOut = <E>(o: HeldOutOptions<E>): Evaluation => {
  onlySettings('heldOut', o, ['family', 'stage', 'objective', 'source', 'batches', 'metric'])
  const { family, objective, metric = 'correct' } = o
  const where = `heldOut '${textSetting('heldOut', 'family', family)}'`
  if (o.stage !== undefined) textSetting(where, 'stage', o.stage)
  valueSetting(where, 'objective', objective, ['terms', 'collate'], 'an objective, such as nextToken(…)')
  valueSetting(where, 'source', o.source, ['open'], 'a source of examples')
  const wanted = wholeSetting(where, 'batches', o.batches, 1)
  textSetting(where, 'metric', metric)
  const isAbout = (stage: string): boolean => o.stage === undefined || o.stage === stage
  // each family has a function of its own, so that several may be measured after one stage
  const name = `heldOut.${family}`
  const added: FunctionSpec = buckets(objective.buckets, (sizes) => {
    const { sum, weight } = metricOf(where, objective, metric, sizes)
    return { outputs: { sum, weight } }
  })
  return {
    config: {
      ...{ kind: 'heldOut', family, ...present({ stage: o.stage }), metric },
      ...{ batches: wanted, objective: objective.config, source: o.source.config },
    },
    families: [family],
    ...(o.stage === undefined ? {} : { stages: [o.stage] }),
    functions: (stage) => (isAbout(stage) ? { [name]: added } : {}),
    preflight: () => tryFirstBatch(where, o.source, objective),
    async *run(session, stage) {
      if (!isAbout(stage.name) || stage.done.has(family)) return
      const started = performance.now()
      const { unit } = metricOf(where, objective, metric, objective.buckets[0]!)
      let [seen, sum, weight] = [0, 0, 0]
      for await (const { examples } of batchesOf(o.source, objective.batch, undefined, where)) {
        for (const { inputs } of objective.collate(examples)) {
          // a metric may need less than the loss: of labels alone, say
          const out = await callWith(session, name, inputs)
          sum += Number(out.sum!.data[0])
          weight += Number(out.weight!.data[0])
        }
        if (++seen >= wanted) break
      }
      const seconds = (performance.now() - started) / 1000
      const about = { stage: stage.name, family, seconds }
      if (unit !== undefined) yield { type: 'measured', ...about, value: sum / weight, unit, weight }
      else if (sum >= 0 && sum <= weight) yield { type: 'evaluated', ...about, correct: sum, total: weight }
      else
        throw new RecipeError(
          where,
          'metric',
          `'${metric}' of objective '${objective.name}' came to ${sum} of ${weight}, which is no share; give the metric a unit, or a sum from 0 to its weight`,
        )
    },
  }
}
