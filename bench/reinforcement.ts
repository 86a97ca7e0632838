/**
 * What reinforcement learning adds on rendered images of level 4, which SFT never saw: after SFT, LongCoT in which one request is
 * answered with a thought or in haste, then a stage of DAPO with verified answers, for several seeds; and the same with the
 * rewards of other completions, as a control.
 *
 *     npm start -- --seed 0 --out recipe
 *     node --import tsx bench/reinforcement.ts --sft recipe/checkpoints/sft/model.safetensors --out folder
 *       [--seeds 3] [--at-once 1] [--engine tensorflow] [--families count,chart,arithmetic] [--samples 512] [--episodes 12]
 *
 * `--thinker` with weights after LongCoT in place of `--sft` leaves LongCoT out. Each run is one of `sailwright run bench/reinforcement.ts`. A run whose folder is complete is only read.
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
  answer,
  dapo,
  policyGradient,
  type Reward,
  reinforcement,
  type Scored,
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

const all: readonly Family[] = ['count', 'chart', 'arithmetic']
const weightsOf = (families: readonly Family[]): Mixture['weights'] =>
  Object.fromEntries(families.map((f) => [f, 1]))
const train = Object.values(nanoModel.parts)
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

/** Gives each completion what one of the 256 judged before it earned, drawn by chance: as many rewards, and no signal. */
const shuffled = <C extends Record<string, unknown>>(of: Reward<C>, seed: number): Reward<C> => {
  const earned: number[] = []
  const r = random(seed, 'shuffled')
  return {
    name: 'shuffled',
    config: { kind: 'shuffled', of: of.config, seed },
    score: (judged) => async () => {
      const own = await of.score(judged)()
      const given = earned.length === 0 ? 0 : earned[r.int(0, earned.length - 1)]!
      if (own._tag === 'Scored') earned.push(own.value)
      if (earned.length > 256) earned.shift()
      return { _tag: 'Scored', value: given, evidence: { own: (own as Scored).value ?? null } }
    },
  }
}

/** `part=think` is LongCoT from the weights of SFT; `part=learn` is reinforcement from the weights of LongCoT. */
const file: ExperimentFile = ({ seed, setting }) => {
  const part = setting.text('part', 'think')
  const families = setting.text('families', all.join()).split(',') as Family[]
  const evaluation = measured(families, setting.number('samples', 512))
  const path = setting.text('from', '')
  const start = { config: path, weights: openCheckpoint(path) as never }
  const processor = nanoProcessor()
  if (part === 'think') {
    const room = { rows: 8, tokens: 200, images: 16 }
    const mixture = {
      seed: `think/${seed}`,
      split: 'train',
      levels: [3, 4],
      weights: weightsOf(all),
    } as const
    const hasty = setting.number('hasty', 0.45)
    // the bases move slower than the adapter, as in the recipe
    const groups = [{ match: 'mlp1.**' }, { match: '**', learningRateMultiplier: 0.4 }]
    return experiment(
      pipe(
        begin({ name: 'think', seed, model: nanoModel, start, now: 'tuned' }),
        next(
          supervised({
            ...{ name: 'longcot', from: 'tuned', to: 'thinker', train },
            objective: packedNextToken(nanoModel, processor, room),
            learningRate: setting.number('rate', 1.5e-3),
            steps: setting.number('steps', 400),
            source: packed(rendered({ mixture, captions: 0, thoughts: 1 - hasty, hasty }), {
              ...room,
              buffer: 64,
            }),
            schedule: { kind: 'cosine', warmup: 0.1, minRatio: 0.05 },
            optimizer: adamWith({ beta2: 0.98, weightDecay: 0.05, groups }),
          }),
        ),
      ),
      evaluation,
    )
  }
  const reward = answer()
  return experiment(
    pipe(
      begin({ name: 'learn', seed, model: nanoModel, start, now: 'thinker' }),
      next(
        reinforcement({
          ...{ name: 'rl', from: 'thinker', to: 'reasoner', train, group: 8 },
          objective: policyGradient(nanoModel, processor, {
            ...{
              loss: dapo(),
              rows: 16,
              tokens: sizes.capacity,
              answer: maxNewTokens,
              completions: 16,
              images: 4,
            },
          }),
          policy: trainedPolicy(nanoModel, processor, sizes),
          tasks: problems({
            seed: `rl/${seed}`,
            split: 'train',
            levels: [4, 4],
            weights: weightsOf(families),
          }),
          reward: setting.text('rewards', 'own') === 'shuffled' ? shuffled(reward, seed) : reward,
          sampling: { maxNewTokens },
          episodes: setting.number('episodes', 12),
          episode: { rollouts: 256, minibatch: 128, updates: 2, rounds: 2 },
          learningRate: setting.number('rate', 2e-4),
          optimizer: adamWith({ beta2: 0.98, weightDecay: 0 }),
        }),
      ),
    ),
    evaluation,
  )
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
      ['sft', 'out', 'seeds', 'at-once', 'engine', 'samples', 'families', 'thinker', 'episodes'].map((k) => [
        k,
        { type: 'string' as const },
      ]),
    ) as Record<string, { readonly type: 'string' }>,
  })
  const { sft, out, seeds = '3', engine = 'tensorflow', samples = '512', episodes = '12' } = values
  const families = (values.families ?? all.join()).split(',')
  const both = { samples, families: families.join() }
  const { thinker } = values
  const weights = thinker ?? sft
  if (weights === undefined || out === undefined)
    throw new Error(
      'give --sft <weights after SFT>, or --thinker <weights after LongCoT>, and --out <folder>',
    )
  const think = join(out, 'think')
  const before = await runOnce(think, engine, 0, {
    ...{ part: 'think', from: resolve(weights), ...both },
    // weights that think already are measured as they are
    ...(thinker === undefined ? {} : { steps: '2', rate: '0' }),
  })
  const from = resolve(thinker ?? join(think, 'checkpoints/longcot/model.safetensors'))
  const wanted = ['own', 'shuffled'].flatMap((rewards) =>
    Array.from({ length: Number(seeds) }, (_, seed) => ({ rewards, seed })),
  )
  const found = new Map<string, ReadonlyMap<string, Count>>()
  const queue = [...wanted].sort((a, b) => a.seed - b.seed)
  const worker = async (): Promise<void> => {
    for (let w = queue.shift(); w !== undefined; w = queue.shift()) {
      const set = { part: 'learn', from, rewards: w.rewards, episodes, ...both }
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
