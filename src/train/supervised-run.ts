/**
 * How a supervised stage runs: step after step, from any place.
 *
 * @since 0.1.0
 */
import { setImmediate } from 'node:timers/promises'
import { batchesOf, packingPlan } from '../data/index.ts'
import { expertsOf } from '../models/index.ts'
import { atBeginning, type EventOf } from '../run/index.ts'
import { present } from '../settings/internal.ts'
import { expertLoads } from './expert-terms.ts'
import type { MicroBatch } from './objective.ts'
import { ready } from './prepared.ts'
import { rateSearch } from './rate-search.ts'
import type { StageContext, StageEvent, StageTotals } from './stage.ts'
import type { checkedSupervised, SupervisedSettings } from './supervised-settings.ts'
import { tailLoss } from './tail-loss.ts'
import { brokenUpdate, update } from './update.ts'

/** What a stage runs by: its settings as they were given, and as they were checked. */
interface SupervisedRun<E> {
  readonly given: Pick<SupervisedSettings<string, string, E>, 'name' | 'train' | 'source'>
  readonly checked: ReturnType<typeof checkedSupervised<string, string, E>>
  /** The micro-batches of a step's examples. */
  readonly collated: (examples: readonly E[]) => readonly MicroBatch[]
  /** @throws RecipeError where a place in the source is no plain data */
  readonly placeFits: (place: unknown) => void
}

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
 * Runs a stage, as {@link Stage} has it. Throws where a loss is not finite, and where the data end.
 */
export async function* runSupervised<E>(
  { given: s, checked, collated, placeFits }: SupervisedRun<E>,
  c: StageContext,
): AsyncGenerator<StageEvent, StageTotals> {
  const { where, objective, steps, perStep, learningRate, adaLrs } = checked
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
    ...present({ example: objective.example }),
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
      if (!finite && search.isAtMark()) throw brokenUpdate(where, { step, steps, loss, gradientNorm, rate })
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
