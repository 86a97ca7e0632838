/**
 * A supervised stage: data × trained parameters × loss × optimizer × schedule.
 *
 * @since 0.1.0
 */
import { setImmediate } from 'node:timers/promises'
import * as E from 'fp-ts/lib/Either.js'
import { batchesOf, packingPlan } from '../data/index.ts'
import { anyOf } from '../dsl/index.ts'
import { chooseVariant, scalarValue } from '../engine/index.ts'
import { expertsOf } from '../models/index.ts'
import { atBeginning, type EventOf } from '../run/index.ts'
import { kindOf } from '../settings/index.ts'
import { expertLoads } from './expert-terms.ts'
import { learnerPrograms } from './learner.ts'
import type { MicroBatch } from './objective.ts'
import { previewOf, ready, withPrepared } from './prepared.ts'
import { rateSearch } from './rate-search.ts'
import { jsonSetting, RecipeError } from './recipe-error.ts'
import type { Stage, StageContext, StageEvent, StageTotals } from './stage.ts'
import { endingOf } from './stage-ending.ts'
import { checkedSupervised, type SupervisedSettings } from './supervised-settings.ts'
import { tailLoss } from './tail-loss.ts'
import { update } from './update.ts'

/** Samples in micro-batches of packs; undefined where they are no packs. */
const samplesOf = (batches: readonly MicroBatch[]): number | undefined => {
  const layouts = batches.flatMap((b) => b.packing ?? [])
  return layouts.length < batches.length ? undefined : packingPlan(layouts).segments
}

/** How an update's samples share rows; undefined where none does. */
const packedEvent = (
  stage: string,
  step: number,
  batches: readonly MicroBatch[],
): EventOf<'packed'> | undefined => {
  const layouts = batches.flatMap((b) => b.packing ?? [])
  return layouts.length === 0
    ? undefined
    : { type: 'packed', stage, step, sizes: layouts[0]!.sizes, packs: layouts.map((l) => l.rows) }
}

/**
 * A stage that minimises an objective over a source's examples.
 *
 * Every setting is checked here, before any work. A loss or a gradient that is not finite ends the stage with an error that
 * names step and learning rate. However it ends, its source is closed.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 * @category stages
 */
export const supervised = <const From extends string, const To extends string, E>(
  s: SupervisedSettings<From, To, E>,
): Stage<From, To> => {
  const checked = checkedSupervised(s)
  const { where, config, objective, steps, accumulate, perStep, learningRate } = checked
  const { adaLrs, transforms, ema } = checked

  const collated = (examples: readonly E[]): readonly MicroBatch[] => {
    const made = objective.collate(examples)
    const refused = (what: string): RecipeError => new RecipeError(where, 'objective.collate', what)
    if (!Array.isArray(made)) throw refused(`it gives ${kindOf(made)}; give a list of micro-batches`)
    if (made.length === 0 || (accumulate === 1 && made.length !== 1))
      throw refused(
        `it makes ${made.length} micro-batches of ${examples.length} examples; a step takes ${accumulate === 1 ? 'one, unless accumulate is above 1' : 'at least one'}`,
      )
    return made
  }
  const placeFits = (place: unknown): void => jsonSetting(where, 'source, next', place)

  const own = [objective.own ?? [], transforms.flatMap((t) => t.adds?.keys ?? [])].flat()

  async function* run(c: StageContext): AsyncGenerator<StageEvent, StageTotals> {
    const from = c.from ?? atBeginning
    yield {
      type: 'stage-started',
      stage: s.name,
      ...c.position,
      steps,
      batch: perStep,
      trainable: c.trainable,
      parts: s.train.map((k) => k.name),
      unit: objective.unit,
      ...(objective.example === undefined ? {} : { example: objective.example }),
    }
    const started = performance.now() - from.seconds * 1000
    const since = (t: number): number => (performance.now() - t) / 1000
    const tail = tailLoss(steps, from)
    let samples = from.samples ?? from.step * perStep
    const search = await rateSearch(s.name, c.session, adaLrs, from)
    let due = false
    const { source, place } = yield* ready(
      s.source,
      { session: c.session, seed: c.seed ?? 0, stage: s.name },
      from.place,
    )
    const stream = batchesOf(source, perStep, place, where)
    const batchOf = async (step: number) => {
      const { value: batch, done } = await stream.next()
      if (done || batch.examples.length < perStep)
        throw new Error(
          `${where}: its data ended at step ${step} of ${steps}; make the stage shorter, or its source endless with repeated(…)`,
        )
      return { batches: collated(batch.examples), next: batch.next }
    }
    let coming = batchOf(from.step + 1)
    try {
      const loads = expertLoads(s.name, steps, expertsOf(objective.model))
      for (let step = from.step + 1; step <= steps; step++) {
        const asked = performance.now()
        const { batches, next } = await coming
        samples += samplesOf(batches) ?? perStep
        const dataSeconds = since(asked)
        // the next batch is made while this one is computed; what is wrong with it is told when its turn comes
        if (step < steps) {
          coming = batchOf(step + 1)
          coming.catch(() => undefined)
        }
        // the last update has the schedule's last factor, and a warm-up wastes none on a factor of 0
        const rate = learningRate * checked.factor(step) * search.scale()
        const called = performance.now()
        const { loss, weight, gradientNorm, batch } = await update(c.session, batches, rate)
        const computeSeconds = since(called)
        const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm)
        // a search rolls back what its updates broke; of weights that are as they were marked no update is at fault
        if (!finite && search.isAtMark())
          throw new Error(
            `${where}: at step ${step} of ${steps} the loss is ${loss} and the gradient's norm ${gradientNorm} (learning rate ${rate.toPrecision(3)}); ${step === 1 ? 'nothing was learnt yet: look for what is no finite number in the weights or the data' : 'lower the learning rate or maxGradientNorm'}`,
          )
        tail.add(step, finite ? loss : Number.NaN)
        yield {
          ...{ type: 'step', stage: s.name, step, steps, loss, learningRate: rate, gradientNorm },
          ...{ samples, tokens: weight, seconds: since(started), dataSeconds, computeSeconds },
        }
        const plan = step === 1 ? packedEvent(s.name, step, batches) : undefined
        if (plan !== undefined) yield plan
        const used = loads.add(step, batch)
        if (used !== undefined) yield used
        const decided = await search.took(step, finite ? loss : Number.NaN)
        if (decided !== undefined) yield decided
        due ||= c.checkpoint !== undefined && step % c.checkpoint.every === 0
        // a checkpoint is the search's mark as well: inside a window it waits for the window's end
        if (c.checkpoint !== undefined && due && step < steps && search.isAtMark()) {
          due = false
          placeFits(next)
          const at = { step, seconds: since(started), place: next, samples }
          yield await c.checkpoint.save({ ...at, ...tail.progress(), ...search.progress() })
        }
        await setImmediate()
      }
    } finally {
      await stream.return(undefined)
    }
    return { loss: tail.mean(), samples, seconds: since(started) }
  }

  const learner = learnerPrograms({
    ...{ name: s.name, objective, train: s.train, optimizer: checked.optimizer },
    ...{ maxGradientNorm: checked.maxGradientNorm, accumulate, transforms },
    ...(ema === undefined ? {} : { ema }),
  })

  return {
    ...{ name: s.name, from: s.from, to: s.to, config, model: objective.model, steps },
    ...(own.length === 0 ? {} : { own: anyOf(own) }),
    ...(objective.processor === undefined ? {} : { processor: objective.processor }),
    ...endingOf(transforms, ema !== undefined),
    program: (functions) => learner(withPrepared(where, s.source, functions)),
    preflight: async (program) => {
      const stream = batchesOf(previewOf(s.source), perStep, undefined, where)
      try {
        const { value: first, done } = await stream.next()
        if (done || first.examples.length < perStep)
          throw new RecipeError(
            where,
            'source',
            `it has ${done ? 0 : first.examples.length} examples and a step takes ${perStep}; give more, or take smaller batches`,
          )
        placeFits(first.next)
        for (const { inputs } of collated(first.examples)) {
          const given = accumulate === 1 ? { ...inputs, learning_rate: scalarValue(learningRate) } : inputs
          const fits = chooseVariant(program, accumulate === 1 ? 'step' : 'accumulate', given)
          if (E.isLeft(fits)) throw new RecipeError(where, 'objective.collate', fits.left.message, fits.left)
        }
      } finally {
        await stream.return(undefined)
      }
    },
    run,
  }
}
