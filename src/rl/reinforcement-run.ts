/**
 * How a stage of reinforcement runs: episode after episode, from any place.
 *
 * @since 0.1.0
 */
import { setImmediate } from 'node:timers/promises'
import { identity } from 'fp-ts/lib/function.js'
import { filter, firstValueFrom, from, toArray } from 'rxjs'
import { expertsOf } from '../models/index.ts'
import { atBeginning, type EventOf } from '../run/index.ts'
import type { StageContext, StageEvent, StageTotals } from '../train/index.ts'
import { brokenUpdate, expertLoads, rateSearch, ready, tailLoss } from '../train/internal.ts'
import { type AdvisoryKind, advisories, type Recent } from './advisories.ts'
import { drawEpisode, imagesOnce, taskReader } from './episode.ts'
import type { RatedGroup } from './group.ts'
import { type Minibatch, minibatches } from './operators/minibatches.ts'
import { learntFrom } from './operators/policy-update.ts'
import { recomputed } from './operators/recomputed.ts'
import { withReference } from './operators/with-reference.ts'
import { encodedLogProbs, firstPlace, type Place, withLogProbs } from './place.ts'
import type { Policy } from './policy.ts'
import { keepReference } from './reference.ts'
import type { checkedReinforcement, ReinforcementSettings } from './reinforcement-settings.ts'
import type { Reward } from './reward.ts'
import { ready as readyReward } from './rewards/compound.ts'
import { isUnjudged, standstill } from './standstill.ts'
import { statisticsOf } from './statistics.ts'
import type { Columns, Task } from './task.ts'
import { hasReward } from './unjudged.ts'
import { unmetFamilies } from './unmet-families.ts'
import { heldOutTasks, validated } from './validation.ts'
import { valuesOf } from './values.ts'

/** Episodes and updates that advisories look back on. */
const memory = 50

/** What a stage runs by: its settings as they were given, and as they were checked. */
interface RunSpec<C extends Columns> {
  readonly given: Pick<
    ReinforcementSettings<string, string, C, C>,
    'name' | 'train' | 'objective' | 'policy' | 'tasks'
  >
  readonly checked: ReturnType<typeof checkedReinforcement<C, C>>
}

/** A stage on its way. */
interface Running<C extends Columns> {
  readonly spec: RunSpec<C>
  readonly context: StageContext
  readonly search: Awaited<ReturnType<typeof rateSearch>>
  readonly tail: ReturnType<typeof tailLoss>
  readonly loads: ReturnType<typeof expertLoads>
  readonly policy: Policy
  readonly heldOut: readonly Task<C>[]
  /** Seconds that the stage has taken. */
  readonly since: () => number
  /** Updates that are done, with those that an episode had no groups for. */
  step: number
  /** The step of the last checkpoint. */
  saved: number
  /** Completions that were learnt from. */
  samples: number
  /** Advisories that were told. */
  told: readonly AdvisoryKind[]
  recent: Recent
}

/** Begins a stage, or goes on with it. */
const opened = async <C extends Columns>(
  spec: RunSpec<C>,
  c: StageContext,
  place: Place,
): Promise<Running<C>> => {
  const { given: s, checked } = spec
  const { where, steps, drawing, validation } = checked
  const at = c.from ?? atBeginning
  const started = performance.now() - at.seconds * 1000
  // a checkpoint has the reference
  if (c.from === undefined) await keepReference(c.session)
  const counted = {
    ...{ step: at.step, saved: at.step, samples: place.samples, told: place.told },
    recent: { groups: drawing.groups, episodes: [], steps: [] },
  }
  return Object.assign(counted, {
    ...{ spec, context: c },
    search: await rateSearch(s.name, c.session, checked.adaLrs?.search, at),
    tail: tailLoss(steps, at),
    loads: expertLoads(s.name, steps, expertsOf(s.objective.model)),
    policy: s.policy.on(c.session, { seed: c.seed ?? 0, version: () => counted.step }),
    heldOut: validation === undefined ? [] : await heldOutTasks(where, validation),
    since: () => (performance.now() - started) / 1000,
  })
}

/** What the answers to held-out tasks are worth now. */
const measured = <C extends Columns>({ spec, policy, heldOut, step }: Running<C>) => {
  const { validation, drawing } = spec.checked
  const { stage, reward, concurrency } = drawing
  return validation === undefined
    ? []
    : valuesOf(
        validated<C>({ stage, policy, reward, concurrency, sampling: validation.sampling }, heldOut, step),
      )
}

/** Keeps the state, where it is time. Of a search only what was marked can be gone on from. */
async function* checkpointed<C extends Columns>(
  run: Running<C>,
  place: Omit<Place, 'samples' | 'told'>,
): AsyncGenerator<EventOf<'checkpointed'>> {
  const { spec, context, search, tail, step } = run
  if (context.checkpoint === undefined || step >= spec.checked.steps) return
  const { every, save } = context.checkpoint
  if (Math.floor(step / every) === Math.floor(run.saved / every) || !search.isAtMark()) return
  const here: Place = { ...place, samples: run.samples, told: run.told }
  spec.checked.placeFits(here)
  run.saved = step
  const progress = { step, seconds: run.since(), place: here }
  yield await save({ ...progress, ...tail.progress(), ...search.progress() })
}

/** Groups that an earlier start has recorded of an episode. What no verifier could judge is asked anew: a mended one may. */
const recordedOf = async (c: StageContext, episode: number, isBegun: boolean) => {
  const earlier = (await c.rollouts?.(episode)) ?? []
  // nothing was learnt from it
  if (isBegun || earlier.length === 0 || earlier.some(hasReward)) return earlier
  await c.setRolloutsAside?.(episode)
  return []
}

/** Groups as the loss reads them: with the old policy's log-probabilities, where these are taken anew. */
const asRead = async <C extends Columns>(
  { spec, context }: Running<C>,
  groups: readonly RatedGroup<C>[],
  kept: string | undefined,
): Promise<{ readonly groups: readonly RatedGroup<C>[]; readonly old?: string }> => {
  if (!spec.checked.recompute) return { groups }
  const options = { session: context.session, objective: spec.given.objective }
  const anew =
    kept === undefined
      ? await firstValueFrom(from(groups).pipe(recomputed<C>(options), toArray()))
      : withLogProbs(groups, kept)
  return { groups: anew, old: encodedLogProbs(anew) }
}

/**
 * One update, and what is told of it.
 *
 * @param waited seconds that were waited for what it learns from
 * @returns its loss, NaN where it broke; undefined where there was nothing to learn from
 */
async function* updated<C extends Columns>(
  run: Running<C>,
  minibatch: Minibatch<C>,
  waited: number,
): AsyncGenerator<StageEvent, number | undefined> {
  const { spec, context, search, tail, loads } = run
  const { where, steps, learningRate, factor, filterOverlong } = spec.checked
  const { name: stage, objective } = spec.given
  const rate = learningRate * factor(run.step + 1) * search.scale()
  const options = { session: context.session, objective, rate: () => rate, filterOverlong }
  const { updated: made, completions, seconds } = await learntFrom(options, minibatch)
  const step = ++run.step
  run.samples += completions
  if (made === undefined) {
    tail.add(step, Number.NaN)
    return undefined
  }
  const { loss, weight, gradientNorm, metrics, batch } = made
  const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm)
  // a search puts back what its updates broke
  if (!finite && search.isAtMark()) throw brokenUpdate(where, { step, steps, loss, gradientNorm, rate })
  const counted = finite ? loss : Number.NaN
  tail.add(step, counted)
  yield {
    ...{ type: 'step', stage, step, steps, loss, learningRate: rate, gradientNorm },
    ...{ samples: run.samples, tokens: weight, seconds: run.since() },
    ...{ dataSeconds: waited, computeSeconds: seconds },
  }
  const { episode } = minibatch
  const took: EventOf<'rl-step'> = { type: 'rl-step', stage, step, episode, completions, metrics }
  run.recent = { ...run.recent, steps: [...run.recent.steps, took].slice(-memory) }
  yield took
  const used = loads.add(step, batch)
  if (used !== undefined) yield used
  await setImmediate()
  return counted
}

/** An episode of which is learnt. */
interface Learning<C extends Columns> {
  readonly groups: readonly RatedGroup<C>[]
  readonly summary: EventOf<'episode'>
  /** Its place, but for updates that are done. */
  readonly place: Omit<Place, 'samples' | 'told' | 'updates'>
  /** Updates that an earlier start has made. */
  readonly skipped: number
}

/** The updates of an episode; gives their losses, of which the last is NaN where it broke. */
async function* learnt<C extends Columns>(
  run: Running<C>,
  { groups, summary, place, skipped }: Learning<C>,
): AsyncGenerator<StageEvent, readonly number[]> {
  const { given: s, checked } = run.spec
  const { updates, passes, validation, adaLrs } = checked
  const seed = run.context.seed ?? 0
  const options = { session: run.context.session, objective: s.objective }
  const parts = from(groups).pipe(
    s.objective.loss.reads?.reference === true ? withReference<C>(options) : identity,
    minibatches<C>({ groups: Math.max(1, summary.kept), updates, passes, seed, episode: summary.episode }),
    filter((m) => m.index >= skipped),
  )
  let waited = summary.rolloutSeconds + summary.scoreSeconds
  const losses: number[] = []
  for await (const part of valuesOf(parts)) {
    const loss = yield* updated(run, part, waited)
    if (validation !== undefined && run.step % validation.every === 0) yield* measured(run)
    if (loss !== undefined) {
      losses.push(loss)
      waited = 0
    }
    if (Number.isNaN(loss)) break
    // a search goes on between episodes alone
    if (part.index + 1 < part.of && adaLrs === undefined)
      yield* checkpointed(run, { ...place, updates: part.index + 1 })
  }
  return losses
}

/** What the search for a rate makes of an episode: one without a reward, or without an update, says nothing. */
async function* searched<C extends Columns>(
  { spec, search, step }: Running<C>,
  { rewards }: EventOf<'episode'>,
  losses: readonly number[],
): AsyncGenerator<EventOf<'ada-lrs'>> {
  const { adaLrs } = spec.checked
  if (adaLrs === undefined) return
  const isBroken = Number.isNaN(losses.at(-1))
  const mean = losses.reduce((a, b) => a + b, 0) / losses.length
  const value = isBroken ? Number.NaN : adaLrs.on === 'reward' ? -rewards.mean : mean
  if (!isBroken && !Number.isFinite(value)) return
  const decided = await search.took(step, value)
  if (decided !== undefined) yield decided
}

/** Diseases that show with an episode, each told once. */
function* advised<C extends Columns>(
  run: Running<C>,
  summary: EventOf<'episode'>,
): Generator<EventOf<'warned'>> {
  const { given: s, checked } = run.spec
  const episodes = [...run.recent.episodes, summary].slice(-Math.max(memory, checked.patience))
  run.recent = { ...run.recent, episodes }
  for (const { kind, message } of advisories(run.recent)) {
    if (run.told.includes(kind)) continue
    run.told = [...run.told, kind]
    yield { type: 'warned', message: `stage ${s.name}: ${message}` }
  }
}

/** Makes one table of a stage's rollouts. */
async function* tabled(stage: string, { tableRollouts }: StageContext): AsyncGenerator<EventOf<'warned'>> {
  try {
    await tableRollouts?.()
  } catch (e) {
    // what was learnt is whole without it
    yield {
      type: 'warned',
      message: `stage ${stage}: no table of its rollouts was written: ${e instanceof Error ? e.message : e}`,
    }
  }
}

/**
 * Runs a stage, as {@link Stage} has it.
 *
 * Throws what policy and engine say, where a loss is not finite, where the tasks end, and where nothing comes of going on
 * ({@link standstill}).
 */
export async function* runReinforcement<C extends Columns>(
  spec: RunSpec<C>,
  c: StageContext,
): AsyncGenerator<StageEvent, StageTotals> {
  const { given: s, checked } = spec
  const { where, updates, episodes, minibatch, steps, drawing, patience, validation } = checked
  const place: Place = { ...firstPlace, ...(c.from?.place as Partial<Place> | undefined) }
  // a stage that goes on was looked at when it began, and its reward may have been mended since
  await readyReward(where, 'reward', drawing.reward as Reward<never>)
  yield {
    ...{ type: 'stage-started', stage: s.name, ...c.position, steps, batch: minibatch },
    ...{ trainable: c.trainable, parts: s.train.map((k) => k.name), unit: s.objective.unit },
  }
  const run = await opened(spec, c, place)
  const { policy } = run
  const about = { session: c.session, seed: c.seed ?? 0, stage: s.name }
  const chosen = yield* ready(s.tasks, about, place.source)
  const tasks = taskReader(chosen.source, chosen.place)
  const { next } = tasks
  const imagesOf = imagesOnce(s.name, c.saveImage)
  let { asked } = place
  try {
    if (run.step === 0 && validation?.atStart === true) yield* measured(run)
    for (let episode = place.episodes; episode < episodes; episode++) {
      const earlier = episode === place.episodes ? place : firstPlace
      const skipped = earlier.updates ?? 0
      const began = { episodes: episode, asked, source: tasks.behind() }
      const recorded = await recordedOf(c, episode, skipped > 0)
      const drawn = yield* drawEpisode(drawing, {
        ...{ episode, policy, next, asked, recorded, imagesOf, isWhole: skipped > 0 },
      })
      asked = drawn.asked
      const { rolloutSeconds, scoreSeconds } = drawn
      const summary: EventOf<'episode'> = {
        ...{ type: 'episode', stage: s.name, episode, step: episode * updates + 1 },
        ...{ ...statisticsOf(drawn.groups), rolloutSeconds, scoreSeconds },
      }
      if (skipped === 0) yield summary
      const unmet =
        episode > 0 || skipped > 0
          ? undefined
          : unmetFamilies(
              'advantages.families',
              Object.keys(drawing.advantages.families ?? {}),
              drawn.groups.map((g) => g.task),
            )
      if (unmet !== undefined) yield { type: 'warned', message: `stage ${s.name}: ${unmet}` }
      const { groups, ...old } = await asRead(run, drawn.groups, skipped > 0 ? earlier.old : undefined)
      const losses = yield* learnt(run, { groups, summary, place: { ...began, ...old }, skipped })
      // fewer groups make fewer updates; the course of the learning rate stays that of the episodes
      while (run.step < (episode + 1) * updates) run.tail.add(++run.step, Number.NaN)
      yield* searched(run, summary, losses)
      yield* advised(run, summary)
      if (!isUnjudged(summary))
        yield* checkpointed(run, { episodes: episode + 1, asked, source: tasks.behind() })
      const progress = { episodes: run.recent.episodes, groups: drawn.groups, patience }
      const why = standstill({ ...progress, isLast: episode + 1 === episodes, hasLearnt: run.samples > 0 })
      if (why !== undefined) throw new Error(`${where}: ${why}`)
      await setImmediate()
    }
  } finally {
    await tasks.close()
  }
  if (run.samples === 0)
    yield {
      type: 'warned',
      message: `${where} ended without one update: its weights are those that it began with`,
    }
  yield* tabled(s.name, c)
  return { loss: run.tail.mean(), samples: run.samples, seconds: run.since() }
}
