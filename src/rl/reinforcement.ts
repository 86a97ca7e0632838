/**
 * A stage of reinforcement learning: episodes of rollouts, rewards, advantages and updates.
 *
 * @since 0.3.0
 */
import { setImmediate } from 'node:timers/promises'
import * as E from 'fp-ts/lib/Either.js'
import { identity } from 'fp-ts/lib/function.js'
import { from, of } from 'rxjs'
import type { Placed, RgbImage } from '../data/index.ts'
import { chooseVariant } from '../engine/index.ts'
import { adamWith } from '../optim/index.ts'
import { atBeginning, type EventOf, type StageProgress } from '../run/index.ts'
import {
  learnerProgram,
  RecipeError,
  type Stage,
  type StageContext,
  type StageEvent,
  type StageTotals,
  stageSchedule,
} from '../train/index.ts'
import { type AdvisoryKind, advisories } from './advisories.ts'
import { drawEpisode } from './episode.ts'
import { minibatches } from './operators/minibatches.ts'
import { recomputed } from './operators/recomputed.ts'
import { update } from './operators/update.ts'
import { checkedReinforcement, type ReinforcementSettings } from './reinforcement-settings.ts'
import type { Reward } from './reward.ts'
import { statisticsOf } from './statistics.ts'
import type { Columns, Task } from './task.ts'
import { valuesOf } from './values.ts'

/** Where a stage goes on, beside its state: between two episodes. */
interface Place {
  /** Episodes that are done. */
  readonly episodes: number
  readonly asked: number
  readonly samples: number
  readonly told: readonly AdvisoryKind[]
  readonly source?: unknown
}

const beginning: Place = { episodes: 0, asked: 0, samples: 0, told: [] }

/** Episodes and updates that advisories look back on. */
const memory = 50

/**
 * A stage that draws rollouts from the policy as it is, judges them and learns from them, episode after episode: tasks →
 * rollout → score → dynamic sampling → advantages → minibatches → update.
 *
 * Each group of rollouts is recorded once. A run that is started again goes on from the last checkpoint between two episodes, takes
 * recorded rollouts in place of new ones, and ends with the bits of a run that was never stopped. An episode whose groups were all discarded changes
 * nothing, and says so. Unsubscribing stops after the call in progress.
 *
 * @throws RecipeError, which names stage, setting, value and what is allowed
 * @category stages
 */
export const reinforcement = <
  const From extends string,
  const To extends string,
  C extends Columns,
  R extends Columns = C,
>(
  s: ReinforcementSettings<From, To, C, R>,
): Stage<From, To> => {
  const { where, groups, passes, rounds, group, updates, episodes, minibatch, ...rest } =
    checkedReinforcement(s)
  const { learningRate, maxGradientNorm, concurrency } = rest
  const { objective, policy, tasks, sampling, filterOverlong = false } = s
  const reward = s.reward as Reward<Columns> as Reward<C>
  const optimizer = s.optimizer ?? adamWith()
  const steps = episodes * updates
  const { config: course, factor } = stageSchedule(where, s.schedule ?? { kind: 'constant' }, steps)
  const { advantages = {}, selection = {} } = s
  const recompute = s.recompute ?? objective.loss.reads?.sampling === true
  const config = {
    kind: 'reinforcement',
    ...{ name: s.name, from: s.from, to: s.to, train: s.train.map((k) => k.name) },
    ...{ objective: objective.config, policy: policy.config, tasks: tasks.config, reward: reward.config },
    ...{ group, sampling: { ...sampling }, episodes, episode: { ...s.episode, rounds } },
    ...{ learningRate, schedule: course, optimizer: optimizer.config, maxGradientNorm },
    ...{ advantages: { ...advantages }, selection: { ...selection }, filterOverlong, recompute },
  }
  rest.identified(config)
  const drawing = {
    ...{ stage: s.name, reward, group, sampling, groups, rounds, concurrency, selection, advantages },
  }

  async function* run(c: StageContext): AsyncGenerator<StageEvent, StageTotals> {
    const at = c.from ?? atBeginning
    const { source, ...place } = { ...beginning, ...(at.place as Partial<Place> | undefined) }
    const started = performance.now() - at.seconds * 1000
    const since = (): number => (performance.now() - started) / 1000
    const seed = c.seed ?? 0
    const tail = Math.max(1, Math.round(steps / 10))
    yield {
      ...{ type: 'stage-started', stage: s.name, ...c.position, steps, batch: minibatch },
      ...{ trainable: c.trainable, parts: s.train.map((k) => k.name), unit: objective.unit },
    }
    let { asked, samples, told } = place
    let { tailLoss, tailSkipped = 0 } = at
    let behind = source
    let step = at.step
    let due = false
    let recent: Parameters<typeof advisories>[0] = { groups, episodes: [], steps: [] }
    const ours = policy.on(c.session, { seed, version: () => step })
    const stream = tasks.open(source)
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
    // an image of a task that is asked again has its path
    const kept = new Map<string, readonly string[]>()
    const imagesOf = async (id: string, images: readonly RgbImage[]): Promise<readonly string[]> => {
      if (c.saveImage === undefined || images.length === 0) return []
      const known = kept.get(id)
      if (known !== undefined) return known
      const paths: string[] = []
      for (const [i, image] of images.entries()) paths.push(await c.saveImage(`${s.name}/${id}/${i}`, image))
      kept.set(id, paths)
      return paths
    }
    try {
      for (let episode = place.episodes; episode < episodes; episode++) {
        const recorded = (await c.rollouts?.(episode)) ?? []
        const drawn = yield* drawEpisode(drawing, { episode, policy: ours, next, asked, recorded, imagesOf })
        asked = drawn.asked
        const { rolloutSeconds, scoreSeconds } = drawn
        const summary: EventOf<'episode'> = {
          ...{ type: 'episode', stage: s.name, episode, step: step + 1 },
          ...{ ...statisticsOf(drawn.groups), rolloutSeconds, scoreSeconds },
        }
        yield summary
        const learnt = minibatches<C>({ groups: Math.max(1, summary.kept), updates, passes, seed, episode })
        const anew = recompute ? recomputed<C>({ session: c.session, objective }) : identity
        let waited = rolloutSeconds + scoreSeconds
        const begun = step
        for await (const one of valuesOf(from(drawn.groups).pipe(anew, learnt))) {
          const rate = learningRate * factor(step + 1)
          const options = { session: c.session, objective, rate: () => rate, filterOverlong }
          for await (const u of valuesOf(of(one).pipe(update<C>(options)))) {
            step++
            samples += u.completions
            if (u.updated === undefined) {
              if (step > steps - tail) tailSkipped++
              continue
            }
            const { loss, weight, gradientNorm, metrics } = u.updated
            if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
              throw new Error(
                `${where}: at step ${step} of ${steps} the loss is ${loss} and the gradient's norm ${gradientNorm} (learning rate ${rate.toPrecision(3)}); lower the learning rate or maxGradientNorm`,
              )
            if (step > steps - tail) tailLoss += loss
            yield {
              ...{ type: 'step', stage: s.name, step, steps, loss, learningRate: rate, gradientNorm },
              ...{
                samples,
                tokens: weight,
                seconds: since(),
                dataSeconds: waited,
                computeSeconds: u.seconds,
              },
            }
            waited = 0
            const measured: EventOf<'rl-step'> = {
              ...{ type: 'rl-step', stage: s.name, step, episode, completions: u.completions, metrics },
            }
            recent = { ...recent, steps: [...recent.steps, measured].slice(-memory) }
            yield measured
            await setImmediate()
          }
        }
        // fewer groups make fewer updates; the course of the learning rate stays that of the episodes
        const missed = (episode + 1) * updates - step
        if (missed > 0) {
          tailSkipped += Math.max(0, step + missed - Math.max(step, steps - tail))
          step += missed
        }
        recent = { ...recent, episodes: [...recent.episodes, summary].slice(-memory) }
        for (const { kind, message } of advisories(recent)) {
          if (told.includes(kind)) continue
          told = [...told, kind]
          yield { type: 'warned', message: `stage ${s.name}: ${message}` }
        }
        due ||=
          c.checkpoint !== undefined &&
          Math.floor(step / c.checkpoint.every) > Math.floor(begun / c.checkpoint.every)
        if (c.checkpoint !== undefined && due && step < steps) {
          due = false
          const here: Place = { episodes: episode + 1, asked, samples, told, source: behind }
          rest.placed(here)
          const now: StageProgress = { step, seconds: since(), tailLoss, place: here }
          yield await c.checkpoint.save(tailSkipped === 0 ? now : { ...now, tailSkipped })
        }
        await setImmediate()
      }
    } finally {
      await stream.return?.()
    }
    try {
      await c.tableRollouts?.()
    } catch (e) {
      // what was learnt is whole without it
      yield {
        type: 'warned',
        message: `stage ${s.name}: no table of its rollouts was written: ${e instanceof Error ? e.message : e}`,
      }
    }
    return { loss: tailLoss / (tail - tailSkipped), samples, seconds: since() }
  }

  return {
    ...{ name: s.name, from: s.from, to: s.to, config, model: objective.model, steps },
    program: (functions) => {
      const own = { ...policy.functions, ...objective.functions }
      const twice = Object.keys(functions).find((name) => name in own)
      if (twice !== undefined)
        throw new RecipeError(
          where,
          'evaluation',
          `it has a function '${twice}', which is what the stage draws with; give it another name`,
        )
      return learnerProgram({
        ...{ name: s.name, objective, train: s.train, optimizer, maxGradientNorm },
        // any number of micro-batches an update
        accumulate: 2,
        functions: { ...own, ...functions },
      })
    },
    preflight: async (program) => {
      const stream = tasks.open()
      try {
        const { value, done } = await stream.next()
        if (done === true) throw new RecipeError(where, 'tasks', 'the source has no task')
        const { id, prompt } = (value as Placed<Task<C>>).example
        // the longest answer that the first prompt may get
        const ids = Array<number>(sampling.maxNewTokens).fill(prompt.ids[0]!)
        const promptIds = prompt.ids.slice(0, prompt.promptLength)
        const logProbs = ids.map(() => -1)
        const made = objective.collate([
          {
            ...{ id, promptIds, images: prompt.images, ids, advantage: 1 },
            ...{ oldLogProbs: logProbs, samplingLogProbs: logProbs, referenceLogProbs: logProbs },
          },
        ])
        for (const { inputs } of made) {
          const fits = chooseVariant(program, 'accumulate', inputs)
          if (E.isLeft(fits)) throw new RecipeError(where, 'objective.collate', fits.left.message, fits.left)
        }
      } finally {
        await stream.return?.()
      }
    },
    run,
  }
}
