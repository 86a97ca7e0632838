/**
 * What reinforcement learning adds on rendered images of level 4, which SFT never saw: from the recipe's weights after LongCoT a
 * stage of DAPO with the recipe's verified rewards, of answers, format and the steps of thoughts, for several seeds; and the
 * same with the rewards of other completions, as a control.
 *
 *     npm start -- --seed 0 --out recipe --until longcot
 *     node --import tsx bench/reinforcement.ts --thinker recipe/checkpoints/longcot/model.safetensors --out folder
 *       [--seeds 3] [--controls 3] [--at-once 1] [--engine onnx] [--families count,chart,arithmetic] [--samples 512] [--episodes 12]
 *
 * Each run is one of `sailwright run bench/reinforcement.ts`. A run whose folder is complete is only read.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
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

const all: readonly Family[] = ['count', 'chart', 'arithmetic']
const weightsOf = (families: readonly Family[]): Mixture['weights'] =>
  Object.fromEntries(families.map((f) => [f, 1]))
const train = Object.values(nanoModel.parts)
/** The encoder sees as it did. */
const learns = [nanoModel.parts.adapter, nanoModel.parts.language]
const sizes = { rows: 64, prompt: 48, capacity: 108 }
const maxNewTokens = 60

/** Greedy and sampled answers to `samples` held-out problems a family; how many of the sampled ones think, and are right then. */
const measured = (families: readonly Family[], samples: number): Evaluation => {
  const processor = nanoProcessor()
  const d = decoding(nanoModel, processor, sizes, { name: 'measured' })
  return {
    config: { kind: 'greedy and sampled', samples, decoding: d.config },
    families: [...families.flatMap((f) => [f, `${f}, sampled`]), 'thinks, sampled', 'right where it thinks'],
    functions: () => d.functions,
    async *run(session, stage) {
      let [thoughts, right, sampled] = [0, 0, 0]
      for (const family of families) {
        const mixture = {
          seed: 'held-out',
          split: 'heldout',
          weights: { [family]: 1 },
          levels: [4, 4],
        } as const
        const asked = Array.from({ length: samples }, (_, i) => problemAt(mixture, i))
        for (const temperature of [0, 1]) {
          const began = performance.now()
          const requests = asked.map((p) => ({ prompt: p.prompt, uniforms: uniforms('held-out', p.id, 0) }))
          const sampling = settled({ maxNewTokens, temperature })
          let correct = 0
          const answers: AsyncGenerator<Answer<unknown>> = d.answers(session, requests, { sampling })
          for await (const a of answers) {
            const text = processor.tokenizer.decode(a.ids)
            const isRight = finalOf(family, text) === asked[a.index]!.columns.answer
            correct += Number(isRight)
            if (temperature === 0) continue
            const thinks = text.startsWith('<think>')
            sampled++
            thoughts += Number(thinks)
            right += Number(thinks && isRight)
          }
          const seconds = (performance.now() - began) / 1000
          const name = temperature === 0 ? family : `${family}, sampled`
          yield { type: 'evaluated', stage: stage.name, family: name, correct, total: samples, seconds }
        }
      }
      const of = { type: 'evaluated', stage: stage.name, seconds: 0 } as const
      yield { ...of, family: 'thinks, sampled', correct: thoughts, total: sampled }
      yield { ...of, family: 'right where it thinks', correct: right, total: thoughts }
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
  const families = setting.text('families', all.join()).split(',') as Family[]
  const evaluation = measured(families, setting.number('samples', 512))
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
    ...{ name: 'rl', from: 'thinker', to: 'reasoner', train: learns, group: 8 },
    objective: policyGradient(nanoModel, processor, {
      ...{ loss: dapo(), rows: 16, tokens: sizes.capacity, answer: maxNewTokens, completions: 16 },
      ...{ images: 4, steps: true },
    }),
    policy: trainedPolicy(nanoModel, processor, sizes),
    tasks: problems(mixture),
    reward: setting.text('rewards', 'own') === 'shuffled' ? shuffled(verified, seed) : verified,
    advantages,
    sampling: { maxNewTokens },
    episodes: setting.number('episodes', 12),
    episode: { rollouts: 256, minibatch: 256, updates: 1, rounds: 1 },
    learningRate: setting.number('rate', 3e-4),
    optimizer: adamWith({ beta2: 0.98, weightDecay: 0 }),
    schedule: { kind: 'cosine', warmup: 0.15, minRatio: 0.1 },
  })
  return experiment(pipe(beginning, next(stage)), evaluation)
}

export default file

interface Count {
  readonly correct: number
  readonly total: number
}

/** The last measurement of each family in a run's folder. */
const readCounts = async (folder: string): Promise<ReadonlyMap<string, Count>> => {
  const lines = (await readFile(join(folder, 'events.jsonl'), 'utf8').catch(() => '')).split('\n')
  const events = lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  return new Map(events.flatMap((e) => (e.type === 'evaluated' ? [[e.family as string, e as Count]] : [])))
}

const runOnce = async (
  folder: string,
  engine: string,
  seed: number,
  set: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Count>> => {
  const there = await readCounts(folder)
  if (there.has('right where it thinks')) return there
  const command = fileURLToPath(new URL('../bin/sailwright.js', import.meta.url))
  const settings = Object.entries(set).flatMap(([k, v]) => ['--set', `${k}=${v}`])
  const args = [command, 'run', fileURLToPath(import.meta.url), '--engine', engine, '--seed', `${seed}`]
  const child = spawn(process.execPath, [...args, '--out', folder, ...settings], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const code = await new Promise<number | null>((done) => child.on('close', done))
  if (code !== 0) throw new Error(`the run in ${folder} ended with ${code}`)
  return readCounts(folder)
}

/** A share in percent with its 95 % interval (Wilson). */
const share = ({ correct, total }: Count): string => {
  const [p, z] = [correct / total, 1.96]
  const middle = (p + z ** 2 / (2 * total)) / (1 + z ** 2 / total)
  const half = (z * Math.sqrt((p * (1 - p)) / total + z ** 2 / (4 * total ** 2))) / (1 + z ** 2 / total)
  const percent = (x: number): string => (100 * x).toFixed(1)
  return `${percent(p)} (${percent(middle - half)} to ${percent(middle + half)})`
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: Object.fromEntries(
      [
        ...['thinker', 'out', 'seeds', 'controls', 'at-once', 'engine'],
        ...['samples', 'families', 'episodes', 'rate'],
      ].map((k) => [k, { type: 'string' as const }]),
    ) as Record<string, { readonly type: 'string' }>,
  })
  const { thinker, out, seeds = '3', controls = seeds, engine = 'onnx', samples = '512' } = values
  const { episodes = '12', rate = '3e-4' } = values
  const families = (values.families ?? all.join()).split(',')
  if (thinker === undefined || out === undefined)
    throw new Error('give --thinker <weights after LongCoT> and --out <folder>')
  const common = { from: resolve(thinker), samples, families: families.join() }
  const before = await runOnce(join(out, 'before'), engine, 0, { part: 'before', ...common })
  const wanted = [['own', seeds] as const, ['shuffled', controls] as const].flatMap(([rewards, n]) =>
    Array.from({ length: Number(n) }, (_, seed) => ({ rewards, seed })),
  )
  const found = new Map<string, ReadonlyMap<string, Count>>()
  const queue = [...wanted].sort((a, b) => a.seed - b.seed)
  const worker = async (): Promise<void> => {
    for (let w = queue.shift(); w !== undefined; w = queue.shift()) {
      const set = { part: 'learn', rewards: w.rewards, episodes, rate, ...common }
      found.set(
        `${w.rewards} ${w.seed}`,
        await runOnce(join(out, `${w.rewards}-${w.seed}`), engine, w.seed, set),
      )
    }
  }
  await Promise.all(Array.from({ length: Number(values['at-once'] ?? '1') }, worker))
  const sum = (of: ReadonlyMap<string, Count>, names: readonly string[]): Count => ({
    correct: names.reduce((n, f) => n + of.get(f)!.correct, 0),
    total: names.reduce((n, f) => n + of.get(f)!.total, 0),
  })
  const sampled = families.map((f) => `${f}, sampled`)
  const lines: readonly (readonly [string, readonly string[]])[] = [
    ...(families.length > 1
      ? ([
          ['all', families],
          ['all, sampled', sampled],
        ] as const)
      : []),
    ...[...families, ...sampled, 'thinks, sampled', 'right where it thinks'].map((f) => [f, [f]] as const),
  ]
  const rows = [
    ['before', before] as const,
    ...wanted.map(({ rewards, seed }) => {
      const name = `${rewards === 'own' ? 'after' : 'shuffled rewards'}, seed ${seed}`
      return [name, found.get(`${rewards} ${seed}`)!] as const
    }),
  ]
  console.log(`| | ${rows.map(([name]) => name).join(' | ')} |\n|---|${rows.map(() => '---').join('|')}|`)
  for (const [name, of] of lines)
    console.log(`| ${name} | ${rows.map(([, counts]) => share(sum(counts, of))).join(' | ')} |`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main()
  process.exit()
}
