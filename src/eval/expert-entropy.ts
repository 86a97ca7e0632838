/**
 * How evenly a model uses its experts on a set of examples.
 *
 * @since 0.1.0
 */
import { batchesOf, type Source } from '../data/index.ts'
import { buckets, type FunctionSpec, findAxis } from '../dsl/index.ts'
import { loadEntropy } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { type Evaluation, type Objective, RecipeError, textSetting, wholeSetting } from '../train/index.ts'
import { callWith } from '../train/internal.ts'

/** Settings of {@link expertEntropy}. */
export interface ExpertEntropyOptions<E> {
  /** The name of the set, such as `text`. */
  readonly family: string
  /** The stage after which it is measured; default: after every one. */
  readonly stage?: string
  /** Its model has experts. */
  readonly objective: Objective<E>
  readonly source: Source<E>
  /** Batches of the objective's size; a source that ends before gives fewer. */
  readonly batches: number
}

/**
 * The normalised entropy of expert activation on a set: of each layer's load, the shares of all its tokens' choices, the
 * entropy by that of an even load. It is reported as `measured`: for the family the mean over layers, for `<family>, layer
 * <i>` that of a layer with experts, from the first.
 *
 * @throws RecipeError where a setting is none, or the objective's model has no experts
 * @category evaluations
 */
export const expertEntropy = <E>(o: ExpertEntropyOptions<E>): Evaluation => {
  onlySettings('expertEntropy', o, ['family', 'stage', 'objective', 'source', 'batches'])
  const { family, objective, source } = o
  const where = `expertEntropy '${textSetting('expertEntropy', 'family', family)}'`
  const batches = wholeSetting(where, 'batches', o.batches, 1)
  const load = objective.terms(objective.buckets[0]!).batch?.sums.expertLoad
  if (load === undefined)
    throw new RecipeError(
      where,
      'objective',
      `its model '${objective.model.name}' has no experts; measure one that has`,
    )
  const [layers, experts] = [findAxis(load, 'layer')!.size, findAxis(load, 'expert')!.size]
  const name = `expertEntropy.${family}`
  const added: FunctionSpec = buckets(objective.buckets, (sizes) => ({
    outputs: { load: objective.terms(sizes).batch!.sums.expertLoad! },
  }))
  const isAbout = (stage: string): boolean => o.stage === undefined || o.stage === stage
  const ofLayer = (l: number): string => `${family}, layer ${l}`
  return {
    config: {
      ...{ kind: 'expertEntropy', family, ...present({ stage: o.stage }), batches },
      ...{ objective: objective.config, source: source.config },
    },
    families: [family, ...Array.from({ length: layers }, (_, l) => ofLayer(l))],
    ...(o.stage === undefined ? {} : { stages: [o.stage] }),
    functions: (stage) => (isAbout(stage) ? { [name]: added } : {}),
    async *run(session, stage) {
      if (!isAbout(stage.name) || stage.done.has(family)) return
      const started = performance.now()
      const loads = new Float64Array(layers * experts)
      let seen = 0
      for await (const { examples } of batchesOf(source, objective.batch, undefined, where)) {
        for (const { inputs } of objective.collate(examples)) {
          const out = await callWith(session, name, inputs)
          for (let i = 0; i < loads.length; i++) loads[i]! += out.load!.data[i]!
        }
        if (++seen >= batches) break
      }
      const entropies = Array.from({ length: layers }, (_, l) => {
        const row = loads.subarray(l * experts, (l + 1) * experts)
        const all = row.reduce((a, b) => a + b, 0)
        return { value: loadEntropy(row.map((n) => n / all)), weight: all }
      })
      const seconds = (performance.now() - started) / 1000
      const about = { type: 'measured', stage: stage.name, unit: 'of an even load', seconds } as const
      for (const [l, e] of entropies.entries()) yield { ...about, family: ofLayer(l), ...e }
      const value = entropies.reduce((n, e) => n + e.value, 0) / layers
      yield { ...about, family, value, weight: entropies.reduce((n, e) => n + e.weight, 0) }
    },
  }
}
