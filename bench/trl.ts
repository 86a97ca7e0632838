/**
 * A step of reinforcement end to end (rollouts, rewards, advantages, update) on each engine and by TRL's GRPO on the same
 * architecture: a text-only policy, 8 prompts × 8 completions of up to 32 tokens, each in a process of its own, in turns. Before
 * it, the same advantages and the same loss on the same rollouts.
 *
 *     node --import tsx bench/trl.ts [--rounds N] [--threads N] [--only name,…]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { from } from 'rxjs'
import { processor } from '../src/data/index.ts'
import { everyKey } from '../src/dsl/index.ts'
import { type EngineName, pickEngine } from '../src/engine/index.ts'
import { openCheckpoint, readSafetensors } from '../src/formats/index.ts'
import { nano, type Qwen3Config, qwen3Model } from '../src/models/index.ts'
import { adamWith } from '../src/optim/index.ts'
import {
  advantages,
  dapo,
  dynamicSampling,
  type Experience,
  groupAdvantages,
  minibatches,
  policyGradient,
  policyUpdate,
  reward,
  rollout,
  score,
  type Task,
  trainedPolicy,
  valuesOf,
} from '../src/rl/index.ts'
import { assetPath, nanoTokenizer } from '../src/tasks/index.ts'
import { learnerProgram, orThrow, update } from '../src/train/index.ts'
import { busy, contender, median, type Round } from './contender.ts'

interface Case {
  readonly config: Qwen3Config
  readonly prompts: readonly string[]
  readonly group: number
  readonly completions: number
  readonly tokens: number
  readonly threads: number
  readonly tokenizer: string
  readonly folder: string
  readonly end: string
  readonly pad: string
}

const text = processor(nanoTokenizer())

/** The learner, the policy, and what both are made of. */
const parts = (c: Case) => {
  const model = qwen3Model('bench', c.config)
  const prompts = c.prompts.map((p) => text.tokenizer.encodeText(p))
  const longest = Math.max(...prompts.map((p) => p.length))
  const objective = policyGradient(model, text, {
    ...{
      // half a group behind each copy of its prompt: longer rows cost more in attention than they save
      rows: 16,
      tokens: longest + 4 * c.tokens,
      completions: c.completions,
      answer: c.tokens,
      loss: dapo(),
    },
  })
  const policy = trainedPolicy(model, text, {
    rows: c.completions,
    prompt: longest,
    capacity: longest + c.tokens,
  })
  const learner = learnerProgram({
    ...{
      name: 'bench',
      objective,
      train: [everyKey],
      optimizer: adamWith({ weightDecay: 0 }),
      maxGradientNorm: 1,
    },
    ...{ accumulate: 2, functions: { ...policy.functions, ...objective.functions } },
  })
  const tasks = prompts.map((ids, i): Task => {
    const prompt = { id: `${i}`, ids, lossMask: ids.map(() => false), promptLength: ids.length, images: [] }
    return { id: `${i}`, family: 'bench', prompt, question: c.prompts[i]!, columns: {} }
  })
  return { objective, policy, learner, tasks }
}

const even = (tokens: number) =>
  reward('even', ({ completion }) => completion.ids.filter((t) => t % 2 === 0).length / tokens)

/** The process of one engine: a line on stdin asks for a step. */
const serve = async (name: EngineName, c: Case): Promise<void> => {
  const say = (reply: unknown): void => {
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
  const { engine } = await orThrow(pickEngine(name))
  const { objective, policy, learner, tasks } = parts(c)
  const session = await orThrow(engine.load(learner.program, name === 'onnx' ? { threads: c.threads } : {}))
  say({ version: engine.version })
  let step = 0
  for await (const _ of createInterface({ input: process.stdin })) {
    const [at, used] = [performance.now(), busy()]
    const asked = tasks.map((t) => ({ ...t, id: `${t.id}@${step}` }))
    const taken = from(asked).pipe(
      rollout({
        policy: policy.on(session, { seed: 0, version: () => step }),
        group: c.group,
        sampling: { maxNewTokens: c.tokens },
      }),
      score({ reward: even(c.tokens) }),
      dynamicSampling(),
      groupAdvantages(),
      minibatches({ groups: tasks.length, updates: 1, seed: 0, episode: step }),
      policyUpdate({ session, objective, rate: () => 1e-4 }),
    )
    for await (const _taken of valuesOf(taken)) step++
    say({ seconds: (performance.now() - at) / 1000, busySeconds: busy() - used })
  }
  await orThrow(session.close())
}

/** What TRL's second update on a rollout saw, computed again: the largest differences. */
const compared = async (c: Case, name: EngineName) => {
  const { engine } = await orThrow(pickEngine(name))
  const { objective, learner } = parts(c)
  const file = await orThrow(readSafetensors(join(c.folder, 'step.safetensors')))
  const values = await orThrow(openCheckpoint(join(c.folder, 'weights.safetensors')))
  const ints = (key: string) => orThrow(file.ints(key))
  const floats = (key: string) => orThrow(file.floats(key))
  const [promptIds, promptMask] = [await ints('prompt_ids'), await ints('prompt_mask')]
  const [ids, mask] = [await ints('completion_ids'), await ints('completion_mask')]
  const [theirs, old] = [await floats('advantages'), await floats('old_per_token_logps')]
  const width = promptIds.length / c.completions
  const most = ids.length / c.completions
  const row = (all: ArrayLike<number>, m: ArrayLike<number>, i: number, n: number): number[] =>
    Array.from({ length: n }, (_, t) => i * n + t).flatMap((at) => (m[at] === 1 ? [all[at]!] : []))
  // TRL shuffles what it has drawn: a completion's group is that of its prompt
  const all = Array.from({ length: c.completions }, (_, i) => ({
    prompt: row(promptIds, promptMask, i, width).join(),
    reward: row(ids, mask, i, most).filter((t) => t % 2 === 0).length / c.tokens,
  }))
  const prompts = [...new Set(all.map((x) => x.prompt))]
  const own = new Array<number>(c.completions)
  for (const prompt of prompts) {
    const members = all.flatMap((x, i) => (x.prompt === prompt ? [i] : []))
    const rated = advantages(members.map((i) => all[i]!.reward))
    members.forEach((i, k) => {
      own[i] = rated[k] ?? 0
    })
  }
  const experiences = Array.from({ length: c.completions }, (_, i): Experience => {
    const oldLogProbs = row(old, mask, i, most)
    return {
      ...{
        id: `${i}`,
        promptIds: row(promptIds, promptMask, i, width),
        images: [],
        ids: row(ids, mask, i, most),
      },
      ...{ oldLogProbs, samplingLogProbs: oldLogProbs, advantage: own[i] ?? 0 },
    }
  })
  const session = await orThrow(engine.load(learner.program, { seed: 0, values }))
  const { loss, metrics } = await update(session, objective.collate(experiences), 0)
  await orThrow(session.close())
  const [reported] = await floats('loss')
  return {
    ...{ engine: name, loss, theirs: reported!, kl: metrics.kl },
    advantages: Math.max(...own.map((a, i) => Math.abs((a ?? 0) - theirs[i]!))),
  }
}

const { values } = parseArgs({
  options: {
    ...{ serve: { type: 'string' }, compare: { type: 'string' }, case: { type: 'string' } },
    ...{ rounds: { type: 'string' }, threads: { type: 'string' }, only: { type: 'string' } },
  },
})
if (values.serve !== undefined) await serve(values.serve as EngineName, JSON.parse(values.case!) as Case)
else if (values.compare !== undefined)
  process.stdout.write(
    `${JSON.stringify(await compared(JSON.parse(values.case!) as Case, values.compare as EngineName))}\n`,
  )
else {
  const folder = mkdtempSync(join(tmpdir(), 'sailwright-trl-'))
  try {
    const special = (id: number): string => text.tokenizer.decode([id], { skipSpecial: false })
    const c: Case = {
      // as many tokens as the tokenizer has: what TRL draws has to be text here
      config: { ...nano.language, vocabSize: text.tokenizer.size },
      ...{ group: 8, completions: 64, tokens: 32, folder },
      prompts: Array.from(
        { length: 8 },
        (_, i) => `What is ${17 + i} plus ${5 * i}? Say the number, and nothing else.`,
      ),
      threads: Number(values.threads ?? availableParallelism()),
      tokenizer: resolve(assetPath('nano/tokenizer.json')),
      ...{ end: special(text.end), pad: special(text.pad) },
    }
    const json = JSON.stringify(c)
    writeFileSync(join(folder, 'case.json'), json)
    const self = [process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url), '--case', json]
    const python = process.env.SAILWRIGHT_PYTHON || 'python3'
    const script = fileURLToPath(new URL('pytorch/grpo.py', import.meta.url))
    const only = values.only?.split(',') ?? ['trl', 'onnx', 'tensorflow']
    const engines = (['onnx', 'tensorflow'] as const).filter((e) => only.includes(e))

    const dumped = spawnSync(python, [script, json, 'dump', folder], { encoding: 'utf8' })
    if (dumped.status !== 0)
      process.stderr.write(`nothing is compared: ${dumped.stderr.trim().split('\n').at(-1)}\n`)
    else
      for (const engine of engines) {
        const out = spawnSync(self[0]!, [...self.slice(1), '--compare', engine], { encoding: 'utf8' })
        process.stdout.write(out.status === 0 ? `the same rollouts: ${out.stdout}` : out.stderr)
      }

    const started = [
      only.includes('trl')
        ? await contender<Round, { version: string }>('trl', [python, script, json, 'time'], c.threads)
        : undefined,
      ...(await Promise.all(
        engines.map((e) => contender<Round, { version: string }>(e, [...self, '--serve', e], c.threads)),
      )),
    ].flatMap((x) => x ?? [])
    const found = new Map<string, Round[]>(started.map((r) => [r.name, []]))
    // the first round compiles and warms up
    for (const r of started) await r.round()
    const rounds = Number(values.rounds ?? 5)
    for (let i = 0; i < rounds; i++) for (const r of started) found.get(r.name)!.push(await r.round())
    process.stdout.write(
      `\n${c.completions} completions × ${c.tokens} tokens, ${c.threads} threads, ${rounds} rounds in turns\n`,
    )
    const base = found.get('trl')
    for (const r of started) {
      const own = found.get(r.name)!
      const ratios = (of: (x: Round) => number): string => {
        if (base === undefined) return ''
        const all = own.map((x, i) => of(base[i]!) / of(x)).sort((a, b) => a - b)
        return ` (${median(all).toFixed(1)} × as fast, ${all[0]!.toFixed(1)} to ${all.at(-1)!.toFixed(1)})`
      }
      const ms = (of: (x: Round) => number): string =>
        `${(1000 * median(own.map(of))).toFixed(0)} ms${ratios(of)}`
      process.stdout.write(
        `  ${r.name.padEnd(11)} a step ${ms((x) => x.seconds)}, processor ${ms((x) => x.busySeconds)}; ${r.about.version}\n`,
      )
      r.end()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
