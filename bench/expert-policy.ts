/**
 * Is the ratio of a whole completion (GSPO) steadier than the ratio of a token (DAPO) where the policy is a mixture of experts,
 * whose router may send a token elsewhere after an update? No routing is replayed. The recipe's model that thinks is upcycled
 * to moe-nano, learns on so that its experts grow apart, then learns by reinforcement with either loss: four updates an
 * episode, so that the later ones learn from what older weights drew.
 *
 *     npm start -- --seed 0 --out recipe --until longcot
 *     node --import tsx bench/expert-policy.ts --from recipe/checkpoints/longcot/model.safetensors --out folder
 *       [--seeds 3] [--engine onnx] [--steps 100] [--episodes 8] [--rate 1e-4] [--families count]
 *
 * Each run is one of `sailwright run bench/expert-policy.ts`. A run whose folder is complete is only read.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { packed } from 'sailwright/data'
import { keys } from 'sailwright/dsl'
import { openCheckpoint } from 'sailwright/formats'
import { moeNano, sailVl2Model, upcycled } from 'sailwright/models'
import { adamWith } from 'sailwright/optim'
import * as rl from 'sailwright/rl'
import { nanoProcessor, problems, rendered } from 'sailwright/tasks'
import * as t from 'sailwright/train'
import { eventsIn, runExperiment } from './experiment-run.ts'

const model = sailVl2Model('moe-nano', moeNano)
const processor = nanoProcessor()
const train = Object.values(model.parts)
const sizes = { rows: 64, prompt: 48, capacity: 108 }
const maxNewTokens = 60
const losses = { gspo: rl.gspo(), dapo: rl.dapo() }
type Loss = keyof typeof losses

/** `part=think` lets experts grow apart, from dense weights that think; `part=learn` is reinforcement from there. */
const file: t.ExperimentFile = ({ seed, setting }) => {
  const part = setting.choice('part', ['think', 'learn'], 'think')
  const path = setting.text('from', '')
  const weights = { [setting.text('families', 'count')]: 1 }
  const mixture = { seed: `${part}/${seed}`, split: 'train', levels: [3, 4], weights } as const
  if (part === 'think') {
    const start = {
      ...{ config: `${path}, upcycled`, fresh: keys('routers', '**.mlp.gate.weight') },
      weights: TE.map((w: t.Weights) => upcycled(moeNano.language.moe!, w))(t.loadWeights(path)),
    }
    const pack = { rows: 4, tokens: 200, images: 8 }
    const longCot = t.supervised({
      ...{ name: 'longcot', from: 'dense', to: 'thinker', train, learningRate: 6e-4 },
      steps: setting.integer('steps', 100, { from: 1 }),
      objective: t.packedNextToken(model, processor, pack),
      source: packed(rendered({ mixture, captions: 0, thoughts: 1 }), { ...pack, buffer: 32 }),
      schedule: { kind: 'cosine', warmup: 0.1, minRatio: 0.05 },
      optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05 }),
    })
    const beginning = t.begin({ name: part, seed, model, start, now: 'dense' })
    return t.experiment(pipe(beginning, t.next(longCot)), t.unmeasured)
  }
  const start = { config: path, weights: openCheckpoint(path) }
  const loss = losses[setting.choice('loss', ['gspo', 'dapo'], 'gspo')]
  const stage = rl.reinforcement({
    ...{ name: 'rl', from: 'thinker', to: 'reasoner', train, group: 8 },
    objective: rl.policyGradient(model, processor, {
      ...{ loss, rows: 16, tokens: sizes.capacity, answer: maxNewTokens, completions: 16, images: 4 },
    }),
    policy: rl.trainedPolicy(model, processor, sizes),
    tasks: problems(mixture),
    reward: rl.answer(),
    sampling: { maxNewTokens },
    episodes: setting.integer('episodes', 8, { from: 1 }),
    // four updates with one draw: the last learns from what weights of three updates ago drew
    episode: { rollouts: 128, minibatch: 32, updates: 4, rounds: 2 },
    learningRate: setting.number('rate', 1e-4, { from: 0 }),
    optimizer: adamWith({ beta2: 0.98, weightDecay: 0 }),
  })
  return t.experiment(
    pipe(t.begin({ name: part, seed, model, start, now: 'thinker' }), t.next(stage)),
    t.unmeasured,
  )
}

export default file

/** What a run's events say of it. */
interface Told {
  readonly rewards: readonly number[]
  readonly steps: readonly Readonly<Record<string, number>>[]
  readonly norms: readonly number[]
  readonly finished: boolean
}

const read = async (folder: string): Promise<Told> => {
  const events = await eventsIn(folder)
  const of = (type: string) => events.filter((e) => e.type === type)
  return {
    rewards: of('episode').map((e) => e.rewards.mean),
    steps: of('rl-step').map((e) => e.metrics),
    norms: of('step').map((e) => e.gradientNorm),
    finished: of('run-finished').length > 0,
  }
}

const runOnce = async (
  folder: string,
  engine: string,
  seed: number,
  set: Readonly<Record<string, string>>,
) => {
  const there = await read(folder)
  if (there.finished) return there
  await runExperiment({ file: fileURLToPath(import.meta.url), folder, engine, seed, set })
  return read(folder)
}

const mean = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0) / all.length
const deviation = (all: readonly number[]): number => Math.sqrt(mean(all.map((x) => (x - mean(all)) ** 2)))

/** Updates but an episode's first, in which the policy is the one that drew. */
const later = <A>(all: readonly A[]): readonly A[] => all.filter((_, i) => i % 4 !== 0)

const percent = (x: number): string => (100 * x).toFixed(0)
const of = (told: Told, name: string): readonly number[] => told.steps.map((metrics) => metrics[name] ?? 0)
const clippedOf = (told: Told): readonly number[] => {
  const high = of(told, 'clipHigh')
  return of(told, 'clipLow').map((low, i) => low + high[i]!)
}

const rows: readonly (readonly [string, (told: Told) => string])[] = [
  ['right, %, episode by episode', (x) => x.rewards.map(percent).join(' ')],
  ['right, %, mean', (x) => percent(mean(x.rewards))],
  ['clipped, % of tokens', (x) => (100 * mean(later(clippedOf(x)))).toFixed(1)],
  ['divergence, 1e-3 nats a token, mean', (x) => (1e3 * mean(later(of(x, 'kl')))).toFixed(2)],
  ['divergence, largest of an update', (x) => (1e3 * Math.max(...of(x, 'kl'))).toFixed(1)],
  ['gradient norm, deviation / mean', (x) => (deviation(x.norms) / mean(x.norms)).toFixed(2)],
  ['entropy, last update, nats', (x) => of(x, 'entropy').at(-1)!.toFixed(3)],
]

const main = async (): Promise<void> => {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      ...{ from: text, out: text, seeds: text, engine: text },
      ...{ steps: text, episodes: text, rate: text, families: text },
    },
  })
  const { from, out, seeds = '3', engine = 'onnx', steps = '100', episodes = '8', rate = '1e-4' } = values
  const { families = 'count' } = values
  if (from === undefined || out === undefined)
    throw new Error('give --from <dense weights> and --out <folder>')
  const think = join(out, 'think')
  await runOnce(think, engine, 0, { part: 'think', from: resolve(from), steps, families })
  const thinker = resolve(think, 'checkpoints', 'longcot', 'model.safetensors')
  const columns: (readonly [string, Told])[] = []
  for (let seed = 0; seed < Number(seeds); seed++)
    for (const loss of Object.keys(losses) as Loss[]) {
      const set = { part: 'learn', loss, from: thinker, episodes, rate, families }
      columns.push([`${loss}, seed ${seed}`, await runOnce(join(out, `${loss}-${seed}`), engine, seed, set)])
    }
  console.log(
    `| | ${columns.map(([name]) => name).join(' | ')} |\n|---|${columns.map(() => '---').join('|')}|`,
  )
  for (const [name, of] of rows) console.log(`| ${name} | ${columns.map(([, x]) => of(x)).join(' | ')} |`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main()
  process.exit()
}
