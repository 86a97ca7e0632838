/**
 * Models that read less than is offered to them, without positions or without attention: they learn, generate, serve and are
 * reinforced as others are, on every engine. What a program asks for and nobody offers stays an error, and so does an input
 * of one's own objective that nobody reads.
 */
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, conversation, listed, processor } from '../../src/data/index.ts'
import * as d from '../../src/dsl/index.ts'
import { type Engine, type Session, tensorValue } from '../../src/engine/index.ts'
import { generator, settled } from '../../src/generation/index.ts'
import { type CausalLm, causalLm } from '../../src/models/index.ts'
import type { Optimizer } from '../../src/optim/index.ts'
import { adamWith } from '../../src/optim/index.ts'
import {
  answer,
  dapo,
  type Experience,
  type PolicyLoss,
  policyGradient,
  reinforcement,
  trainedPolicy,
} from '../../src/rl/index.ts'
import { batching } from '../../src/serve/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import {
  learnerProgram,
  nextToken,
  type Objective,
  orThrow,
  packedNextToken,
  supervised,
  update,
} from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'

const engines = await presentEngines()
const test = suite(`models that read less on ${engines.map((e) => e.name).join(' and ')}`)

const texts = processor(nanoTokenizer())
const [embed, vocab] = [d.axis('embed', 16), d.axis('vocab', texts.tokenizer.size)]

const pieces = (name: string, decode: CausalLm['decode']): CausalLm =>
  causalLm({
    ...{ name, config: { name }, parts: { all: d.everyKey }, vocabSize: vocab.size, decode },
    embed: (ids) => d.applyTo(d.at('words')(d.embedding(vocab, embed)), ids),
    head: (x) => d.applyTo(d.at('head')(d.head(embed, vocab)), x),
  })

/** Attention by the mask alone. */
const noPositions = pieces('no-positions', (x, { token, mask, cache }) => {
  const attention = d.selfAttention({
    ...{ token, embed, heads: 2, kvHeads: 1, headDim: 8, mask },
    ...(cache === undefined ? {} : { cache }),
  })
  return d.applyTo(d.preNorm(d.at('norm')(d.rmsNorm(embed)), d.at('attention')(attention)), x)
})

/** The next token by the last one: it has no mask and no cache either. */
const lastToken = pieces('last-token', (x) => d.applyTo(d.at('norm')(d.rmsNorm(embed)), x))

const asked = ['how many?', 'what is it there?'].map((request, i) =>
  conversation(texts, { id: `${i}`, request, answer: ['two', 'a ball'][i]! }),
)
const tokens = Math.max(...asked.map((c) => c.ids.length))
const prompt = Math.max(...asked.map((c) => c.promptLength))
const capacity = prompt + 8
const endless = { ...texts, end: -1 }

const weightsOf = (model: CausalLm): ReadonlyMap<string, Float32Array> =>
  new Map(
    [...d.parametersOf(model.graph())].map(([key, t]) => [
      key,
      d
        .fill({ kind: 'uniform', limit: 0.9 }, d.elements(t.axes), 5, key)
        .map((x) => (key.includes('norm') ? 1 + x / 3 : x)),
    ]),
  )

/** The likeliest continuations by the whole forward graph in float64. */
const continued = (model: CausalLm): readonly (readonly number[])[] => {
  const logits = model.graph({ batch: 1, tokens: capacity })
  const states = weightsOf(model)
  return asked.map((c) => {
    const ids = c.ids.slice(0, c.promptLength)
    while (ids.length < capacity) {
      const inputs = { input_ids: Array.from({ length: capacity }, (_, i) => ids[i] ?? 0) }
      const [all] = d.evaluate([logits], { inputs, states })
      const scores = [...all!.subarray((ids.length - 1) * vocab.size, ids.length * vocab.size)]
      ids.push(scores.indexOf(Math.max(...scores)))
    }
    return ids.slice(c.promptLength)
  })
}

const loaded = async (
  engine: Engine,
  model: CausalLm,
  functions: Readonly<Record<string, d.FunctionSpec>>,
): Promise<Session> => {
  const p = d.program({ name: 'less', functions })
  const session = await orThrow(engine.load(p))
  const begun = [...weightsOf(model)].map(
    ([key, data]) => [key, tensorValue('float32', d.sizes(p.states.get(key)!.axes), data)] as const,
  )
  await orThrow(session.write(new Map(begun)))
  return session
}

/** REINFORCE: it takes no ratio against an old policy. */
const reinforce: PolicyLoss = {
  ...{ name: 'reinforce', config: { kind: 'reinforce' } },
  terms: ({ logProbs, advantages, mask }) => ({
    sum: d.total(d.neg(d.mul(d.mul(logProbs, advantages), mask))) as d.Scalar,
    weight: d.total(mask) as d.Scalar,
  }),
}

/** Plain descent at a rate of its own. */
const ownRate: Optimizer = {
  ...{ name: 'own-rate', config: { kind: 'own-rate' } },
  update: (parameters, gradients) => ({
    next: new Map([...parameters].map(([key, p]) => [key, d.sub(p, d.mul(gradients.get(key)!, 0.1))])),
  }),
}

const experiences: readonly Experience[] = asked.map((c, i) => ({
  ...{ id: c.id, promptIds: c.ids.slice(0, c.promptLength), images: [], ids: c.ids.slice(c.promptLength) },
  ...{ oldLogProbs: c.ids.slice(c.promptLength).map(() => -2), advantage: i === 0 ? 1 : -1 },
}))

/** Two updates, their losses. */
const losses = async <E>(
  engine: Engine,
  objective: Objective<E>,
  examples: readonly E[],
  accumulate: number,
  optimizer: Optimizer = adamWith({}),
): Promise<readonly number[]> => {
  const { program } = learnerProgram({
    ...{ name: 'less', objective, train: [d.everyKey], optimizer, accumulate, maxGradientNorm: 1 },
  })
  const session = await orThrow(engine.load(program, { seed: 3 }))
  try {
    const found: number[] = []
    for (let i = 0; i < 2; i++) found.push((await update(session, objective.collate(examples), 1e-2)).loss)
    return found
  } finally {
    await orThrow(session.close())
  }
}

for (const engine of engines)
  for (const model of [noPositions, lastToken]) {
    const of = `${model.name} on ${engine.name}`

    test(`${of}: it learns, alone, packed and accumulated`, async () => {
      const sizes = { rows: 2, tokens }
      const plain = nextToken(model, texts, sizes)
      const packs = packedNextToken(model, texts, { ...sizes, images: 0 })
      const pack = { rows: asked.map((c): readonly Conversation[] => [c]) }
      const all = [
        await losses(engine, plain, asked, 1),
        await losses(engine, plain, asked, 2),
        await losses(engine, packs, [pack], 1),
      ]
      for (const [before, after] of all) {
        assert.ok(after! < before!, `${after} after ${before}`)
        assert.ok(Math.abs(before! - all[0]![0]!) < 1e-4 * before!)
      }
      const [before, after] = await losses(engine, plain, asked, 1, ownRate)
      assert.ok(after! < before!, `${after} after ${before} at a rate of its own`)
    })

    test(`${of}: it is reinforced, by a loss that reads less too`, async () => {
      for (const loss of [dapo(), reinforce]) {
        const o = policyGradient(model, texts, { rows: 2, tokens, answer: 16, loss })
        const [before, after] = await losses(engine, o, experiences, 1)
        assert.ok(after! < before!, `${loss.name}: ${after} after ${before}`)
        const session = await loaded(engine, model, o.functions)
        const drawn = await o.logProbs(session, experiences)
        await orThrow(session.close())
        assert.equal(
          drawn.map((l) => l.length),
          experiences.map((e) => e.ids.length),
        )
        assert.ok(drawn.flat().every((x) => x < 0))
      }
    })

    test(`${of}: it generates and serves what its whole graph says`, async () => {
      const want = continued(model)
      const g = generator(model, endless, { rows: 2, prompt, capacity })
      const own = await loaded(engine, model, g.functions)
      assert.equal(await g.generate(own, asked), want)
      await orThrow(own.close())

      const batch = batching(model, endless, { rows: 2, context: capacity, images: 0 })
      const session = await loaded(engine, model, batch.functions)
      const serving = batch.open(session)
      const sampling = settled({ maxNewTokens: capacity, temperature: 0 })
      const answered = await Promise.all(
        asked.map(async (c, i) => {
          const { ids, promptLength } = c
          const ask = { ...c, ids: ids.slice(0, promptLength), lossMask: c.lossMask.slice(0, promptLength) }
          // one is told what else was likely, for which tokens come one by one
          const job = { prompt: ask, sampling, uniforms: () => 0, ...(i === 0 ? { top: 1 } : {}) }
          return (await lastValueFrom(serving.answer(job).pipe(toArray()))).map((t) => t.id)
        }),
      )
      assert.equal(answered, want)
      await orThrow(session.close())
    })
  }

test('a stage whose model, loss or optimizer reads less passes its preflight', async () => {
  const about = {
    name: 'less',
    from: 'begun',
    to: 'taught',
    train: [d.everyKey],
    learningRate: 1e-2,
  } as const
  const tasks = listed(
    'asked',
    asked.map((prompt) => ({
      ...{ id: prompt.id, family: 'less', prompt, question: 'how many?', columns: { answer: 'two' } },
    })),
  )
  for (const model of [noPositions, lastToken]) {
    const plain = {
      source: listed('asked', asked),
      objective: nextToken(model, texts, { rows: 1, tokens }),
      steps: 1,
    }
    const stages = [
      supervised({ ...about, ...plain }),
      supervised({ ...about, ...plain, accumulate: 2 }),
      supervised({ ...about, ...plain, optimizer: ownRate }),
      ...[dapo(), reinforce].map((loss) =>
        reinforcement({
          ...{ ...about, tasks, reward: answer(), group: 2, sampling: { maxNewTokens: 4 }, episodes: 1 },
          policy: trainedPolicy(model, texts, { rows: 2, prompt, capacity }),
          objective: policyGradient(model, texts, { rows: 2, tokens: capacity, answer: 4, loss }),
          episode: { rollouts: 4, minibatch: 4, updates: 1 },
        }),
      ),
    ]
    for (const stage of stages) await stage.preflight(stage.program({}).program)
  }
})

test('an input of one’s own that nobody reads, and one that nobody offers, are refused by name', async () => {
  const plain = nextToken(noPositions, texts, { rows: 2, tokens })
  const own = (inputs: (all: Readonly<Record<string, never>>) => object): Objective<Conversation> => ({
    ...plain,
    buckets: plain.buckets,
    collate: (some) =>
      plain.collate(some).map(({ sizes, inputs: all }) => ({
        sizes,
        inputs: inputs(all as never) as never,
      })),
  })
  const [engine] = engines
  const said = async (o: Objective<Conversation>): Promise<string> => {
    try {
      await losses(engine!, o, asked, 1)
    } catch (e) {
      return (e as Error).message
    }
    return 'nothing'
  }
  assert.match(
    await said(own(({ position_ids: _, labels, ...rest }) => ({ ...rest, lables: labels }))),
    "missing input 'labels' and unknown input 'lables'",
  )
  assert.match(
    await said(own(({ position_ids: _, ...rest }) => ({ ...rest, mine: rest.labels }))),
    "unknown input 'mine'",
  )
  const lacking: Objective<Conversation> = {
    ...plain,
    buckets: plain.buckets,
    collate: (some) =>
      plain.collate(some).map((b) => {
        const { labels: _, ...inputs } = b.inputs
        return { ...b, inputs }
      }),
  }
  assert.match(await said(lacking), "missing input 'labels'")
})

test.run()
