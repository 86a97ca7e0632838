/**
 * What reinforcement learning adds on rendered images of level 4, which SFT never saw: from the recipe's weights after LongCoT a
 * stage of DAPO with the recipe's verified rewards, of answers, format and the steps of thoughts, for several seeds; and the
 * same with the rewards of other completions, as a control.
 *
 *     npm start -- --seed 0 --out recipe --until longcot
 *     node --import tsx bench/reinforcement.ts --thinker recipe/checkpoints/longcot/model.safetensors --out folder
 *       [--seeds 3] [--controls 3] [--at-once 1] [--engine onnx] [--families chart] [--problems 256] [--samples 4] [--episodes 24]
 *
 * Each run is one of `sailwright run bench/reinforcement.ts`. A run whose folder is complete is only read.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pipe } from 'fp-ts/lib/function.js'
import { packed } from 'sailwright/data'
import { openCheckpoint } from 'sailwright/formats'
import { type Answer, decoding, settled, uniforms } from 'sailwright/generation'
import { adamWith } from 'sailwright/optim'
import { random } from 'sailwright/random'
import {
  dapo,
  policyGradient,
  type Reward,
  reinforcement,
  type Scored,
  stepsOf,
  trainedPolicy,
} from 'sailwright/rl'
import {
  type Family,
  finalOf,
  type Mixture,
  nanoModel,
  nanoProcessor,
  problemAt,
  problems,
  rendered,
} from 'sailwright/tasks'
import {
  begin,
  type Evaluation,
  type ExperimentFile,
  experiment,
  next,
  packedNextToken,
  supervised,
} from 'sailwright/train'
import { advantages, verified } from '../examples/recipe/reinforced.ts'
import { eventsIn, runExperiment } from './experiment-run.ts'

const weightsOf = (families: readonly Family[]): Mixture['weights'] =>
  Object.fromEntries(families.map((f) => [f, 1]))
const train = Object.values(nanoModel.parts)
const sizes = { rows: 64, prompt: 48, capacity: 108 }
const maxNewTokens = 60

/** Greedy answers to `problems` held-out problems a family, and `each` answers to each at temperature 1. */
const measured = (families: readonly Family[], asked: number, each: number): Evaluation => {
  const processor = nanoProcessor()
  const d = decoding(nanoModel, processor, sizes, { name: 'measured' })
  return {
    config: { kind: 'greedy and sampled', asked, each, decoding: d.config },
    families: families.flatMap((f) => [`${f}, sampled`, f]),
    functions: () => d.functions,
    async *run(session, stage) {
      for (const family of families) {
        const mixture = {
          seed: 'held-out',
          split: 'heldout',
          weights: { [family]: 1 },
          levels: [4, 4],
        } as const
        const all = Array.from({ length: asked }, (_, i) => problemAt(mixture, i))
        for (const temperature of [1, 0]) {
          const began = performance.now()
          const times = temperature === 0 ? 1 : each
          const requests = all.flatMap((p) =>
            Array.from({ length: times }, (_, k) => ({
              prompt: p.prompt,
              uniforms: uniforms('held-out', p.id, k),
            })),
          )
          const right = all.map(() => 0)
          const sampling = settled({ maxNewTokens, temperature })
          const answers: AsyncGenerator<Answer<unknown>> = d.answers(session, requests, { sampling })
          for await (const { ids, index } of answers) {
            const of = Math.floor(index / times)
            const said = finalOf(family, processor.tokenizer.decode(ids))
            right[of]! += Number(said === all[of]!.columns.answer) / times
          }
          const share = right.reduce((a, b) => a + b, 0) / asked
          const variance = right.reduce((a, r) => a + (r - share) ** 2, 0) / (asked - 1)
          const name = temperature === 0 ? family : `${family}, sampled`
          const of = { stage: stage.name, family: name, seconds: (performance.now() - began) / 1000 } as const
          // over problems: answers to one are not independent
          const error = Math.sqrt(variance / asked)
          yield { ...of, type: 'measured', value: error, unit: 'standard error', weight: asked }
          yield { ...of, type: 'evaluated', correct: Math.round(share * asked * times), total: asked * times }
        }
      }
    },
  }
}

/**
 * Gives each completion what one of the 256 judged before it earned, drawn by chance, and each of its steps what some step
 * earned: as many rewards, and no signal.
 */
const shuffled = <C extends Record<string, unknown>>(of: Reward<C>, seed: number): Reward<C> => {
  const r = random(seed, 'shuffled')
  const pool = (most: number) => {
    const earned: number[] = []
    return (own: readonly number[]): readonly number[] => {
      const given = own.map(() => (earned.length === 0 ? 0 : earned[r.int(0, earned.length - 1)]!))
      earned.push(...own)
      earned.splice(0, earned.length - most)
      return given
    }
  }
  const [rewards, worths] = [pool(256), pool(4096)]
  return {
    name: 'shuffled',
    config: { kind: 'shuffled', of: of.config, seed },
    score: (judged) => async () => {
      const own = await of.score(judged)()
      const [value = 0] = rewards(own._tag === 'Scored' ? [own.value] : [])
      const steps = stepsOf(own)
      const others = worths(steps.map((s) => s.value))
      const evidence = { own: (own as Scored).value ?? null }
      return { _tag: 'Scored', value, evidence, steps: steps.map((s, i) => ({ ...s, value: others[i]! })) }
    },
  }
}

/** `part=before` measures the weights as they are; `part=learn` is reinforcement from them. */
const file: ExperimentFile = ({ seed, setting }) => {
  const part = setting.text('part', 'before')
  const families = setting.text('families', 'chart').split(',') as Family[]
  const evaluation = measured(families, setting.number('problems', 256), setting.number('samples', 4))
  const path = setting.text('from', '')
  const start = { config: path, weights: openCheckpoint(path) as never }
  const processor = nanoProcessor()
  const mixture = {
    seed: `rl/${seed}`,
    split: 'train',
    levels: [4, 4],
    weights: weightsOf(families),
  } as const
  const beginning = begin({ name: part, seed, model: nanoModel, start, now: 'thinker' })
  if (part === 'before') {
    const room = { rows: 8, tokens: 200, images: 16 }
    const stage = supervised({
      ...{ name: 'as-it-is', from: 'thinker', to: 'measured', train, steps: 1, learningRate: 0 },
      objective: packedNextToken(nanoModel, processor, room),
      source: packed(rendered({ mixture, captions: 0, thoughts: 1 }), { ...room, buffer: 64 }),
      schedule: { kind: 'constant' },
    })
    return experiment(pipe(beginning, next(stage)), evaluation)
  }
  const stage = reinforcement({
    ...{ name: 'rl', from: 'thinker', to: 'reasoner', train: [nanoModel.parts.language], group: 4 },
    objective: policyGradient(nanoModel, processor, {
      ...{ loss: dapo(), rows: 8, tokens: 2 * sizes.capacity, answer: maxNewTokens, completions: 32 },
      ...{ images: 8, steps: true },
    }),
    policy: trainedPolicy(nanoModel, processor, sizes),
    tasks: problems(mixture),
    reward: setting.text('rewards', 'own') === 'shuffled' ? shuffled(verified, seed) : verified,
    advantages,
    sampling: { maxNewTokens },
    episodes: setting.number('episodes', 24),
    episode: { rollouts: 256, minibatch: 256, updates: 1, rounds: 1 },
    learningRate: setting.number('rate', 3e-4),
    optimizer: adamWith({ beta2: 0.98, weightDecay: 0 }),
    schedule: { kind: 'cosine', warmup: 0.15, minRatio: 0.1 },
  })
  return experiment(pipe(beginning, next(stage)), evaluation)
}

export default file

/** A share and its standard error. */
interface Share {
  readonly mean: number
  readonly error: number
}

/** The last measurement of each family in a run's folder. */
const readShares = async (folder: string): Promise<ReadonlyMap<string, Share>> => {
  const events = await eventsIn(folder)
  const errors = new Map<string, number>()
  const shares = new Map<string, Share>()
  for (const e of events) {
    if (e.type === 'measured') errors.set(e.family, e.value)
    if (e.type === 'evaluated')
      shares.set(e.family, { mean: e.correct / e.total, error: errors.get(e.family) ?? 0 })
  }
  return shares
}

const runOnce = async (
  folder: string,
  engine: string,
  seed: number,
  set: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Share>> => {
  const there = await readShares(folder)
  if (there.has(set.families!.split(',').at(-1)!)) return there
  await runExperiment({ file: fileURLToPath(import.meta.url), folder, engine, seed, set })
  return readShares(folder)
}

/** Percent with a 95 % interval. */
const percent = ({ mean, error }: Share): string => {
  const of = (x: number): string => (100 * x).toFixed(1)
  return `${of(mean)} (${of(mean - 1.96 * error)} to ${of(mean + 1.96 * error)})`
}

/** What is gained over `before`, the mean of some runs; the runs answer the same problems, so their errors do not shrink. */
const gain = (before: Share, after: readonly Share[]): Share => {
  const mean = (of: (s: Share) => number): number => after.reduce((sum, s) => sum + of(s), 0) / after.length
  return {
    mean: mean((s) => s.mean) - before.mean,
    error: Math.hypot(
      mean((s) => s.error),
      before.error,
    ),
  }
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: Object.fromEntries(
      [
        ...['thinker', 'out', 'seeds', 'controls', 'at-once', 'engine'],
        ...['problems', 'samples', 'families', 'episodes', 'rate'],
      ].map((k) => [k, { type: 'string' as const }]),
    ) as Record<string, { readonly type: 'string' }>,
  })
  const { thinker, out, seeds = '3', controls = seeds, engine = 'onnx', ...given } = values
  if (thinker === undefined || out === undefined)
    throw new Error('give --thinker <weights after LongCoT> and --out <folder>')
  const { families = 'chart' } = given
  const chosen = (names: readonly (keyof typeof given)[]): Readonly<Record<string, string>> =>
    Object.fromEntries(names.flatMap((k) => (given[k] === undefined ? [] : [[k, given[k]]])))
  const common = { families, from: resolve(thinker), ...chosen(['problems', 'samples']) }
  const before = await runOnce(join(out, 'before'), engine, 0, { part: 'before', ...common })
  const wanted = [['own', seeds] as const, ['shuffled', controls] as const].flatMap(([rewards, n]) =>
    Array.from({ length: Number(n) }, (_, seed) => ({ rewards, seed })),
  )
  const found = new Map<string, ReadonlyMap<string, Share>>()
  const queue = [...wanted].sort((a, b) => a.seed - b.seed)
  const worker = async (): Promise<void> => {
    for (let w = queue.shift(); w !== undefined; w = queue.shift()) {
      const set = { part: 'learn', rewards: w.rewards, ...common, ...chosen(['episodes', 'rate']) }
      found.set(
        `${w.rewards} ${w.seed}`,
        await runOnce(join(out, `${w.rewards}-${w.seed}`), engine, w.seed, set),
      )
    }
  }
  await Promise.all(Array.from({ length: Number(values['at-once'] ?? '1') }, worker))
  const runs = (rewards: string): readonly ReadonlyMap<string, Share>[] =>
    wanted.flatMap((w) => (w.rewards === rewards ? [found.get(`${rewards} ${w.seed}`)!] : []))
  const [own, control] = [runs('own'), runs('shuffled')]
  const columns = [
    'before',
    ...own.map((_, seed) => `after, seed ${seed}`),
    ...control.map((_, seed) => `shuffled, seed ${seed}`),
    ...(own.length > 0 ? ['gain'] : []),
    ...(control.length > 0 ? ['gain, shuffled'] : []),
  ]
  console.log(`| | ${columns.join(' | ')} |\n|---|${columns.map(() => '---').join('|')}|`)
  for (const f of families.split(',').flatMap((family) => [`${family}, sampled`, family])) {
    const all = [own, control].map((of) => of.map((shares) => shares.get(f)!))
    const gains = all.flatMap((of) => (of.length === 0 ? [] : [gain(before.get(f)!, of)]))
    const cells = [before.get(f)!, ...all.flat(), ...gains].map(percent)
    console.log(`| ${f.includes('sampled') ? f : `${f}, greedy`} | ${cells.join(' | ')} |`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main()
  process.exit()
}
