/**
 * A stage that trains nothing: it probes the routers of a model with experts on language data and calibrates them.
 *
 * @since 0.1.0
 */
import { batchesOf, type Source } from '../data/index.ts'
import { buckets, program, type Tensor } from '../dsl/index.ts'
import type { Session, TensorValue } from '../engine/index.ts'
import {
  calibratedRouter,
  expertsOf,
  loadEntropy,
  type MoeConfig,
  routersOf,
  sparseLayers,
} from '../models/index.ts'
import type { EventOf } from '../run/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { callWith } from './batch-inputs.ts'
import { tryFirstBatch } from './first-batch.ts'
import type { Objective } from './objective.ts'
import { RecipeError, stageName, wholeSetting } from './setting-checks.ts'
import type { Stage, StageContext, StageEvent, StageTotals } from './stage.ts'
import { orThrow } from './task.ts'

/** Settings of {@link calibration}. */
export interface CalibrationSettings<E, From extends string, To extends string> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** What lays out the language data; its model has experts. */
  readonly objective: Objective<E>
  /** Language data, of all kinds that the model knows: what is not probed is not balanced. */
  readonly source: Source<E>
  /** Batches that are probed; default 16. */
  readonly batches?: number
}

/** The most tokens of each router that are kept, spread evenly over the batches. */
const mostTokens = 8192

/** The rows of a router's inputs that count. */
const countedRows = (input: TensorValue, counted: TensorValue, most: number): readonly Float32Array[] => {
  const size = input.shape.at(-1)!
  const places = Array.from(counted.data).flatMap((yes, i) => (Number(yes) === 0 ? [] : [i]))
  const stride = Math.max(1, Math.ceil(places.length / most))
  return places
    .filter((_, i) => i % stride === 0)
    .map((i) => Float32Array.from((input.data as Float32Array).subarray(i * size, (i + 1) * size)))
}

const joined = (rows: readonly Float32Array[]): Float32Array => {
  const size = rows[0]?.length ?? 0
  const out = new Float32Array(rows.length * size)
  rows.forEach((row, i) => {
    out.set(row, i * size)
  })
  return out
}

/**
 * Probes what the routers read on language data, and moves their offsets so that the load of the experts there has the
 * highest entropy: see `calibratedRouter`, which says what is moved and why. Its steps are two: as it was found, and
 * calibrated; its loss is what the mean entropy over layers lacks to 1.
 *
 * @throws RecipeError where the objective's model has no experts, or a setting is none
 * @category stages
 */
export const calibration = <E, const From extends string, const To extends string>(
  s: CalibrationSettings<E, From, To>,
): Stage<From, To> => {
  const where = stageName('calibration', s)
  onlySettings(where, s, ['name', 'from', 'to', 'objective', 'source', 'batches'])
  const { objective } = s
  const batches = wholeSetting(where, 'batches', s.batches ?? 16, 1)
  const experts = expertsOf(objective.model)
  const counted = objective.terms(objective.buckets[0]!).batch?.counted
  if (experts === undefined || counted === undefined)
    throw new RecipeError(
      where,
      'objective',
      `its model '${objective.model.name}' has no experts; calibrate one that has`,
    )
  const moe: MoeConfig = experts
  const routers = routersOf(objective.terms(objective.buckets[0]!).sum)
  const keyOf = (path: string): string => `${path}.gate.weight`
  const probe = buckets(objective.buckets, (sizes) => {
    const terms = objective.terms(sizes)
    return {
      outputs: {
        counted: terms.batch!.counted!,
        // the loss is read by no one; with it the program has all weights, which are handed on
        sum: terms.sum,
        ...Object.fromEntries(routersOf(terms.sum).map((r): [string, Tensor] => [r.path, r.input])),
      },
    }
  })
  const steps = 2

  const probed = async (session: Session): Promise<ReadonlyMap<string, Float32Array>> => {
    const rows = new Map<string, Float32Array[]>()
    let seen = 0
    for await (const { examples } of batchesOf(s.source, objective.batch, undefined, where)) {
      for (const { inputs } of objective.collate(examples)) {
        const out = await callWith(session, 'probe', inputs)
        for (const { path } of routers)
          rows.set(path, [
            ...(rows.get(path) ?? []),
            ...countedRows(out[path]!, out.counted!, mostTokens / batches),
          ])
      }
      if (++seen >= batches) break
    }
    return new Map([...rows].map(([path, all]) => [path, joined(all)]))
  }

  async function* run(c: StageContext): AsyncGenerator<StageEvent, StageTotals> {
    const started = performance.now()
    const since = (): number => (performance.now() - started) / 1000
    yield {
      ...{ type: 'stage-started', stage: s.name, ...c.position, steps, batch: objective.batch },
      ...{ trainable: 0, parts: ['routers'], unit: 'missing entropy of expert load' },
    }
    const inputs = await probed(c.session)
    const weights = await orThrow(c.session.read(routers.map((r) => keyOf(r.path))))
    const done = routers.map(({ path }) => {
      const value = weights.get(keyOf(path))!
      const { experts, perToken } = moe
      const gate = value.data as Float32Array
      return { path, value, ...calibratedRouter({ inputs: inputs.get(path)!, gate, experts, perToken }) }
    })
    await orThrow(
      c.session.write(new Map(done.map(({ path, value, gate }) => [keyOf(path), { ...value, data: gate }]))),
    )
    const samples = batches * objective.batch
    let loss = Number.NaN
    for (const [i, side] of (['before', 'after'] as const).entries()) {
      const loads = done.map((r) => Array.from(r[side]))
      loss = 1 - loads.reduce((n, load) => n + loadEntropy(load), 0) / loads.length
      const about = { stage: s.name, step: i + 1 }
      const step: EventOf<'step'> = {
        ...{ type: 'step', ...about, steps, loss, learningRate: 0, gradientNorm: 0 },
        ...{ samples, tokens: 0, seconds: since(), dataSeconds: 0, computeSeconds: since() },
      }
      yield step
      const layers = sparseLayers(moe, loads.length)
      const load: EventOf<'expert-load'> = { type: 'expert-load', ...about, layers, load: loads }
      yield load
    }
    return { loss, samples, seconds: since() }
  }

  return {
    ...{ name: s.name, from: s.from, to: s.to, model: objective.model, steps },
    config: { kind: 'calibration', batches, objective: objective.config, source: s.source.config },
    ...present({ processor: objective.processor }),
    program: (functions) => ({
      program: program({ name: s.name, functions: { ...functions, probe } }),
      trained: routers.map((r) => keyOf(r.path)),
    }),
    preflight: () => tryFirstBatch(where, s.source, objective),
    run,
  }
}
