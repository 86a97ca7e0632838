/**
 * How a stage of reinforcement runs: episode after episode, from any place.
 *
 * @since 0.1.0
 */

import { setImmediate } from 'node:timers/promises'
import { identity } from 'fp-ts/lib/function.js'
import { EMPTY, filter, from, of } from 'rxjs'
import type { Placed } from '../data/index.ts'
import { expertsOf } from '../models/index.ts'
import { atBeginning, type EventOf } from '../run/index.ts'
import type { StageContext, StageEvent, StageTotals } from '../train/index.ts'
import { brokenUpdate, expertLoads, rateSearch, ready, tailLoss } from '../train/internal.ts'
import { advisories } from './advisories.ts'
import { type Drawing, drawEpisode } from './episode.ts'
import type { RatedGroup } from './group.ts'
import { evaluateEvery } from './operators/evaluate-every.ts'
import { type Minibatch, minibatches } from './operators/minibatches.ts'
import { policyUpdate, type UpdatedMinibatch } from './operators/policy-update.ts'
import { recomputed } from './operators/recomputed.ts'
import { withReference } from './operators/with-reference.ts'
import { firstPlace, type Place, packed, unpacked } from './place.ts'
import { keepReference } from './reference.ts'
import type { checkedReinforcement, ReinforcementSettings } from './reinforcement-settings.ts'
import { isUnjudged, standstill } from './standstill.ts'
import { statisticsOf } from './statistics.ts'
import type { Columns, Task } from './task.ts'
import { hasReward } from './unjudged.ts'
import { type checkedValidation, heldOutTasks, validated } from './validation.ts'
import { valuesOf } from './values.ts'

/** Episodes and updates that advisories look back on. */
const memory = 50

/** What a stage runs by: its settings as they were given, and as they were checked. */
export interface RunSpec<C extends Columns> {
  readonly given: Pick<
    ReinforcementSettings<string, string, C, C>,
    'name' | 'train' | 'objective' | 'policy' | 'tasks'
  >
  readonly checked: ReturnType<typeof checkedReinforcement>
  readonly drawing: Drawing<C>
  readonly recompute: boolean
  readonly filterOverlong: boolean
  readonly validation?: ReturnType<typeof checkedValidation<C>>
  readonly steps: number
  /** The learning rate's course: a factor for each of the steps 1 … steps. */
  readonly factor: (step: number) => number
}

/** All that an observable emits. */
const collected = async <A>(all: AsyncIterable<A>): Promise<readonly A[]> => {
  const some: A[] = []
  for await (const a of all) some.push(a)
  return some
}

/** Saves the images of tasks and gives their paths; an image of a task that is asked again has its path. */
const imageSaver = (
  stage: string,
  { saveImage }: StageContext,
): Parameters<typeof drawEpisode>[1]['imagesOf'] => {
  const kept = new Map<string, readonly string[]>()
  return async (id, images) => {
    if (saveImage === undefined || images.length === 0) return []
    const known = kept.get(id)
    if (known !== undefined) return known
    const paths: string[] = []
    for (const [i, image] of images.entries()) paths.push(await saveImage(`${stage}/${id}/${i}`, image))
    kept.set(id, paths)
    return paths
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
  const { given: s, checked, drawing, recompute, filterOverlong, validation, steps, factor } = spec
  const { where, groups, passes, updates, episodes, minibatch, learningRate, adaLrs, patience } = checked
  const { objective } = s
  const at = c.from ?? atBeginning
  const place: Place = { ...firstPlace, ...(at.place as Partial<Place> | undefined) }
  const started = performance.now() - at.seconds * 1000
  const since = (): number => (performance.now() - started) / 1000
  const seed = c.seed ?? 0
  yield {
    ...{ type: 'stage-started', stage: s.name, ...c.position, steps, batch: minibatch },
    ...{ trainable: c.trainable, parts: s.train.map((k) => k.name), unit: objective.unit },
  }
  let { asked, samples, told } = place
  const tail = tailLoss(steps, at)
  let behind = place.source
  let step = at.step
  const loads = expertLoads(s.name, steps, expertsOf(objective.model))
  let saved = step
  let recent: Parameters<typeof advisories>[0] = { groups, episodes: [], steps: [] }
  // a checkpoint has the reference
  if (c.from === undefined) await keepReference(c.session)
  const search = await rateSearch(s.name, c.session, adaLrs?.search, at)
  const policy = s.policy.on(c.session, { seed, version: () => step })
  const heldOut = validation === undefined ? [] : await heldOutTasks(where, validation)
  const measured = (done: number) =>
    validation === undefined
      ? EMPTY
      : validated<C>(
          {
            stage: s.name,
            policy,
            reward: drawing.reward,
            sampling: validation.sampling,
            concurrency: drawing.concurrency,
          },
          heldOut,
          done,
        )
  const chosen = yield* ready(s.tasks, { session: c.session, seed, stage: s.name }, place.source)
  behind = chosen.place
  const stream = chosen.source.open(behind)
  const next = async (count: number): Promise<readonly Task<C>[]> => {
    const some: Task<C>[] = []
    while (some.length < count) {
      const { value, done } = await stream.next()
      if (done === true) break
      const placed = value as Placed<Task<C>>
      some.push(placed.example)
      behind = placed.next
    }
    return some
  }
  const imagesOf = imageSaver(s.name, c)
  /** Keeps the state, where it is time. Of a search only what was marked can be gone on from. */
  async function* checkpointed(here: () => Place): AsyncGenerator<EventOf<'checkpointed'>> {
    if (c.checkpoint === undefined || step >= steps) return
    const { every } = c.checkpoint
    if (Math.floor(step / every) === Math.floor(saved / every)) return
    if (!search.isAtMark()) return
    const now = here()
    checked.placed(now)
    saved = step
    const progress = { step, seconds: since(), place: now }
    yield await c.checkpoint.save({ ...progress, ...tail.progress(), ...search.progress() })
  }
  /** One update, and what was measured behind it. */
  const updated = (one: Minibatch<C>, rate: number) => {
    const before = step
    return of(one).pipe(
      policyUpdate<C>({ session: c.session, objective, rate: () => rate, filterOverlong }),
      validation === undefined
        ? identity
        : evaluateEvery<UpdatedMinibatch<C>, EventOf<'validated'>>({
            ...{ every: validation.every, after: before },
            evaluate: () => measured(before + 1),
          }),
    )
  }
  try {
    if (step === 0 && validation?.atStart === true) yield* valuesOf(measured(0))
    for (let episode = place.episodes; episode < episodes; episode++) {
      const began = { episodes: episode, asked, source: behind }
      const skipped = episode === place.episodes ? (place.updates ?? 0) : 0
      const earlier = (await c.rollouts?.(episode)) ?? []
      // of what no verifier could judge nothing was learnt: a mended one is asked anew
      const isJudged = skipped > 0 || earlier.length === 0 || earlier.some(hasReward)
      if (!isJudged) await c.setRolloutsAside?.(episode)
      const recorded = isJudged ? earlier : []
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
      const options = { session: c.session, objective }
      const anew: readonly RatedGroup<C>[] = !recompute
        ? drawn.groups
        : place.old !== undefined && skipped > 0
          ? unpacked(drawn.groups, place.old)
          : await collected(valuesOf(from(drawn.groups).pipe(recomputed<C>(options))))
      const old = recompute ? { old: packed(anew) } : {}
      const learnt = from(anew).pipe(
        objective.loss.reads?.reference === true ? withReference<C>(options) : identity,
        minibatches<C>({ groups: Math.max(1, summary.kept), updates, passes, seed, episode }),
        filter((m) => m.index >= skipped),
      )
      let waited = rolloutSeconds + scoreSeconds
      const losses: number[] = []
      let isBroken = false
      for await (const one of valuesOf(learnt)) {
        const rate = learningRate * factor(step + 1) * search.scale()
        for await (const u of valuesOf(updated(one, rate))) {
          if ('type' in u) {
            yield u
            continue
          }
          step++
          samples += u.completions
          if (u.updated === undefined) {
            tail.add(step, Number.NaN)
            continue
          }
          const { loss, weight, gradientNorm, metrics, batch } = u.updated
          const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm)
          if (!finite && search.isAtMark())
            throw brokenUpdate(where, { step, steps, loss, gradientNorm, rate })
          // a search puts back what its updates broke
          isBroken ||= !finite
          losses.push(loss)
          tail.add(step, finite ? loss : Number.NaN)
          yield {
            ...{ type: 'step', stage: s.name, step, steps, loss, learningRate: rate, gradientNorm },
            ...{ samples, tokens: weight, seconds: since(), dataSeconds: waited, computeSeconds: u.seconds },
          }
          waited = 0
          const took: EventOf<'rl-step'> = {
            ...{ type: 'rl-step', stage: s.name, step, episode, completions: u.completions, metrics },
          }
          recent = { ...recent, steps: [...recent.steps, took].slice(-memory) }
          yield took
          const used = loads.add(step, batch)
          if (used !== undefined) yield used
          await setImmediate()
        }
        if (isBroken) break
        if (one.index + 1 < one.of && adaLrs === undefined)
          yield* checkpointed(() => ({ ...began, ...old, updates: one.index + 1, samples, told }))
      }
      // fewer groups make fewer updates; the course of the learning rate stays that of the episodes
      while (step < (episode + 1) * updates) tail.add(++step, Number.NaN)
      if (adaLrs !== undefined) {
        const mean = losses.reduce((a, b) => a + b, 0) / losses.length
        const value = isBroken ? Number.NaN : adaLrs.on === 'reward' ? -summary.rewards.mean : mean
        // an episode without a reward, or without an update, says nothing
        if (isBroken || Number.isFinite(value)) {
          const decided = await search.took(step, value)
          if (decided !== undefined) yield decided
        }
      }
      recent = { ...recent, episodes: [...recent.episodes, summary].slice(-Math.max(memory, patience)) }
      for (const { kind, message } of advisories(recent)) {
        if (told.includes(kind)) continue
        told = [...told, kind]
        yield { type: 'warned', message: `stage ${s.name}: ${message}` }
      }
      if (!isUnjudged(summary))
        yield* checkpointed(() => ({ episodes: episode + 1, asked, samples, told, source: behind }))
      const progress = { episodes: recent.episodes, groups: drawn.groups, patience }
      const why = standstill({ ...progress, isLast: episode + 1 === episodes, hasLearnt: samples > 0 })
      if (why !== undefined) throw new Error(`${where}: ${why}`)
      await setImmediate()
    }
  } finally {
    await stream.return?.()
  }
  if (samples === 0)
    yield {
      type: 'warned',
      message: `${where} ended without one update: its weights are those that it began with`,
    }
  yield* tabled(s.name, c)
  return { loss: tail.mean(), samples, seconds: since() }
}
