/**
 * A model soup as a stage (Wortsman et al., arXiv:2203.05482; SAIL-VL2 §4.2.1): several runs from the same weights, each with
 * data, order or rate of its own, and the average of what they end with.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import {
  add,
  broadcast,
  div,
  type FunctionSpec,
  fingerprint,
  fixed,
  scalar,
  state,
  type Tensor,
} from '../dsl/index.ts'
import { isOptimizerKey, isSoupKey, soupKey } from '../optim/index.ts'
import { atBeginning, type StageProgress } from '../run/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { RecipeError, stageName, textSetting } from './setting-checks.ts'
import type { Stage, StageContext, StageEvent, StageProgram, StageTotals } from './stage.ts'
import { orThrow } from './task.ts'
import { saveWeights } from './weights.ts'

/** Settings of {@link modelSoup}. */
export interface ModelSoupSettings<From extends string, To extends string> {
  readonly name: string
  readonly from: From
  readonly to: To
  /** What is averaged: stages that differ in what is no graph, such as the order of their data. At least two. */
  readonly runs: readonly Stage<From, string>[]
  /**
   * One more run from the same weights that has little in common with the others, such as other data: its average with the
   * first of them is measured and not handed on.
   */
  readonly contrast?: Stage<From, string>
}

/** Where a soup goes on: which run it is in, and that one's own place. */
interface Place {
  readonly run: number
  readonly samples: number
  /** Of the runs before it, their part of the mean. */
  readonly loss: number
  readonly at?: unknown
}

const startOf = (key: string): string => soupKey('start', key)
const endOf = (run: number, key: string): string => soupKey(run, key)

/** The functions that hold a soup's weights as states: the start, and what each run ended with. */
const functionsOf = (
  { program, trained }: StageProgram,
  runs: number,
  contrast: boolean,
): Readonly<Record<string, FunctionSpec>> => {
  const stateOf = (key: string, as = key): Tensor => {
    const { axes, init, dtype } = program.states.get(key)!
    return state(as, axes, init, dtype)
  }
  const moments = [...program.states.keys()].filter(isOptimizerKey)
  const zeroOf = (key: string): Tensor => {
    const { axes, dtype } = program.states.get(key)!
    return broadcast(scalar(0, dtype), axes)
  }
  const begin = fixed(() => ({ outputs: {}, next: new Map(trained.map((k) => [startOf(k), stateOf(k)])) }))
  const end = (run: number): FunctionSpec =>
    fixed(() => ({
      outputs: {},
      next: new Map<string, Tensor>([
        ...trained.map((k) => [endOf(run, k), stateOf(k)] as const),
        // the next run begins where this one did, and its optimizer anew
        ...trained.map((k) => [k, stateOf(k, startOf(k))] as const),
        ...moments.map((k) => [k, zeroOf(k)] as const),
      ]),
    }))
  /** Puts an average of what runs ended with in place of the weights. */
  const take = (of: readonly number[]): FunctionSpec =>
    fixed(() => ({
      outputs: {},
      next: new Map(
        trained.map((k) => {
          const ends = of.map((run) => stateOf(k, endOf(run, k)))
          return [
            k,
            div(
              ends.reduce((a, b) => add(a, b)),
              of.length,
            ),
          ]
        }),
      ),
    }))
  const numbers = Array.from({ length: runs + Number(contrast) }, (_, run) => run)
  return {
    'soup.begin': begin,
    ...Object.fromEntries(
      numbers.flatMap((run) => [
        [`soup.end.${run}`, end(run)],
        [`soup.run.${run}`, take([run])],
      ]),
    ),
    'soup.average': take(numbers.slice(0, runs)),
    ...(contrast ? { 'soup.contrast': take([0, runs]) } : {}),
  }
}

/**
 * A stage that trains each of `runs` from the weights that it begins with, one after the other, and hands on the average of
 * what they end with. What each ends with lies in the folder of its checkpoint as `run-1.safetensors` and so on; they are
 * measured beside the soup, and so is, with a `contrast`, the soup of the first run and that one
 * (`heterogeneous.safetensors`).
 *
 * Its runs share one program, so they may differ in data, rates, steps, and in nothing that is in the graph. It goes on to
 * the bit from inside any of its runs.
 *
 * @throws RecipeError where there are fewer than two runs, one begins from other weights or has another program
 * @category stages
 */
export const modelSoup = <const From extends string, const To extends string>(
  s: ModelSoupSettings<From, To>,
): Stage<From, To> => {
  const where = stageName('modelSoup', s)
  onlySettings(where, s, ['name', 'from', 'to', 'runs', 'contrast'])
  textSetting(where, 'from', s.from)
  textSetting(where, 'to', s.to)
  if (!Array.isArray(s.runs) || s.runs.length < 2)
    throw new RecipeError(
      where,
      'runs',
      'a soup is made of at least two; give stages that begin from the same weights',
    )
  const all: readonly Stage[] = s.contrast === undefined ? s.runs : [...s.runs, s.contrast]
  const [first] = all as readonly [Stage]
  for (const [i, { from, ending }] of all.entries()) {
    if (from !== s.from)
      throw new RecipeError(
        where,
        `runs[${i}]`,
        `it begins from weights '${from}', and the soup from '${s.from}'`,
      )
    if (ending !== undefined)
      throw new RecipeError(
        where,
        `runs[${i}]`,
        'it has adapters or moving averages; give stages without them',
      )
  }
  const steps = all.reduce((n, run) => n + run.steps, 0)
  const firstStep = (run: number): number => all.slice(0, run).reduce((n, r) => n + r.steps, 0)

  async function* run(c: StageContext): AsyncGenerator<StageEvent, StageTotals> {
    const from = c.from ?? atBeginning
    const place = from.place as Place | undefined
    const begun = performance.now() - from.seconds * 1000
    const since = (): number => (performance.now() - begun) / 1000
    if (place === undefined) await orThrow(c.session.call('soup.begin', {}))
    let samples = place?.samples ?? 0
    let loss = place?.loss ?? 0
    for (let i = place?.run ?? 0; i < all.length; i++) {
      const before = { step: firstStep(i), samples, loss }
      const inner: StageProgress | undefined =
        place?.run === i ? { ...from, step: from.step - before.step, place: place.at } : undefined
      const { checkpoint, from: _, ...rest } = c
      const saved = (at: StageProgress) => {
        const here: Place = { run: i, samples: before.samples, loss: before.loss, at: at.place }
        return checkpoint!.save({ ...at, step: before.step + at.step, seconds: since(), place: here })
      }
      const events = all[i]!.run({
        ...rest,
        ...present({ from: inner }),
        ...(checkpoint === undefined ? {} : { checkpoint: { every: checkpoint.every, save: saved } }),
      })
      for (;;) {
        const { value, done } = await events.next()
        if (done === true) {
          samples = before.samples + value.samples
          if (i < s.runs.length) loss += value.loss / s.runs.length
          break
        }
        if (value.type === 'stage-started') {
          if (i === 0 || inner !== undefined) yield { ...value, stage: s.name, steps }
        } else if (value.type === 'step')
          yield {
            ...{ ...value, stage: s.name, step: before.step + value.step, steps },
            ...{ samples: before.samples + value.samples, seconds: since() },
          }
        else if (value.type === 'checkpointed' || value.type === 'warned') yield value
        else if (value.type !== 'packed' || i === 0) yield { ...value, stage: s.name }
      }
      await orThrow(c.session.call(`soup.end.${i}`, {}))
    }
    return { loss, samples, seconds: since() }
  }

  /** The program that each run has. @throws RecipeError where it is not the same, or an optimizer begins otherwise */
  const alike = (): StageProgram => {
    const bare = all.map((r) => r.program({}))
    const prints = bare.map(({ program: p }) => fingerprint({ ...p, name: '' }))
    const other = prints.findIndex((print) => print !== prints[0])
    if (other >= 0)
      throw new RecipeError(
        where,
        `runs[${other}]`,
        `its graph is another than that of '${first.name}'; the runs of a soup differ in data, rates and steps alone`,
      )
    const odd = [...bare[0]!.program.states].find(
      ([k, { init }]) => isOptimizerKey(k) && init.kind !== 'zeros',
    )
    if (odd !== undefined)
      throw new RecipeError(where, 'runs', `their optimizer's state '${odd[0]}' does not begin with zeros`)
    return bare[0]!
  }
  let own: Readonly<Record<string, FunctionSpec>> | undefined

  const fileOf = (i: number): string => `run-${i + 1}.safetensors`
  const contrastFile = 'heterogeneous.safetensors'
  return {
    ...{ name: s.name, from: s.from, to: s.to, model: first.model, steps, run },
    ...present({ processor: first.processor, own: first.own, frozen: first.frozen }),
    config: {
      ...{ kind: 'modelSoup', name: s.name, from: s.from, to: s.to, runs: s.runs.map((r) => r.config) },
      ...(s.contrast === undefined ? {} : { contrast: s.contrast.config }),
    },
    program: (functions) => {
      own ??= functionsOf(alike(), s.runs.length, s.contrast !== undefined)
      return first.program({ ...own, ...functions })
    },
    preflight: async (program) => {
      for (const r of all) await r.preflight(program)
    },
    ending: {
      without: { name: 'the weights of a soup', has: isSoupKey },
      beside: [
        ...s.runs.map((_, i) => ({ weights: `run ${i + 1}`, file: fileOf(i) })),
        ...(s.contrast === undefined ? [] : [{ weights: 'heterogeneous soup', file: contrastFile }]),
      ],
      finish: async (session, weights, folder) => {
        const take = (what: string) => orThrow(session.call(`soup.${what}`, {}))
        const write = async (what: string, file: string): Promise<void> => {
          await take(what)
          await orThrow(saveWeights(join(folder, file), weights, { format: 'pt' }))
        }
        for (const i of s.runs.keys()) await write(`run.${i}`, fileOf(i))
        if (s.contrast !== undefined) await write('contrast', contrastFile)
        await take('average')
        return weights
      },
    },
  }
}
