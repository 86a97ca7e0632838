/** The objective of reinforcement: packed completions are the completions one by one, with images, on every engine. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findAxis, scalar, topological } from '../../src/dsl/index.ts'
import { adamWith } from '../../src/optim/index.ts'
import {
  dapo,
  type Experience,
  gspo,
  type PolicyGradientSettings,
  type PolicyLoss,
  packExperiences,
  policyGradient,
} from '../../src/rl/index.ts'
import { learnerProgram, orThrow, RecipeError, update } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { thrown, tinyConversation, tinyModel, tinyProcessor } from '../support/tiny.ts'

const engines = await hostEngines()

/** Conversations of tasks, each with images of its own. */
const tasks = [0, 1, 2].map((i) => tinyConversation(i))

/** Five completions of three tasks: two tasks with an image, the third without. */
const experiences: readonly Experience[] = [0, 0, 1, 1, 2].map((task, i) => {
  const { ids, promptLength, images } = tasks[task]!
  const length = 1 + ((i * 3) % 5)
  const isText = task === 2
  const prompt = ids.slice(0, promptLength).filter((id) => !isText || id !== tinyProcessor.image?.placeholder)
  return {
    id: `e${i}`,
    promptIds: prompt,
    images: isText ? [] : images,
    ids: Array.from({ length }, (_, t) => 5 + ((i * 7 + t * 3) % 40)),
    oldLogProbs: Array.from({ length }, (_, t) => -3 - ((2 * i + t) % 5)),
    advantage: [1.5, -0.5, 0.7, -0.7, 1][i]!,
  }
})

const objectiveOf = (loss: PolicyLoss, some: Partial<PolicyGradientSettings> = {}) =>
  policyGradient(tinyModel, tinyProcessor, { rows: 1, tokens: 36, answer: 6, loss, ...some })

const learnt = Object.values(tinyModel.parts)

/** One update's loss, weight, gradient norm and metrics, and the log-probabilities before it. */
const updated = async (
  engine: (typeof engines)[number],
  objective: ReturnType<typeof objectiveOf>,
  accumulate = 2,
) => {
  const { program } = learnerProgram({
    ...{ name: 'rl', objective, train: learnt, optimizer: adamWith({ epsilon: 1e-3 }), accumulate },
    ...{ maxGradientNorm: 1, functions: objective.functions },
  })
  const session = await orThrow(engine.load(program, { seed: 3 }))
  try {
    const logProbs = await objective.logProbs(session, experiences)
    const batches = objective.collate(experiences)
    const first = await update(session, batches, 1e-2)
    const after = await objective.logProbs(session, experiences)
    return { ...first, logProbs, after, batches: batches.length }
  } finally {
    await orThrow(session.close())
  }
}

const test = suite(`policy gradient on ${engines.map((e) => e.name).join(' and ')}`)

const closeTo = (got: number, want: number, what: string): void =>
  assert.ok(Math.abs(got - want) <= 2e-5 * (1 + Math.abs(want)), `${what}: ${got} for ${want}`)

for (const engine of engines)
  for (const loss of engine === engines[0] ? [dapo(), gspo({ low: 0.2, high: 0.28 })] : [dapo()])
    test(`${loss.name} on ${engine.name}: completions that share rows, prompts and images give what one a micro-batch gives`, async () => {
      const alone = await updated(engine, objectiveOf(loss, { images: 1 }))
      const together = await updated(
        engine,
        objectiveOf(loss, { rows: 2, tokens: 96, images: 2, completions: 6 }),
      )
      assert.is(alone.batches, 5)
      assert.is(together.batches, 1)
      for (const key of ['loss', 'weight', 'gradientNorm'] as const) closeTo(together[key], alone[key], key)
      assert.equal(Object.keys(together.metrics).sort(), ['clipHigh', 'clipLow', 'entropy', 'kl'])
      for (const [name, value] of Object.entries(alone.metrics)) closeTo(together.metrics[name]!, value, name)
      for (const key of ['logProbs', 'after'] as const) {
        assert.equal(
          together[key].map((l) => l.length),
          experiences.map((e) => e.ids.length),
        )
        assert.ok(maxRelativeError(together[key].flat(), alone[key].flat()) < 1e-4)
      }
      assert.ok(maxRelativeError(alone.after.flat(), alone.logProbs.flat()) > 1e-4, 'nothing was learnt')
    })

test('a model whose decode takes no notice of the places that it is asked for is told', async () => {
  const all: typeof tinyModel = {
    ...tinyModel,
    decode: (x, { wanted: _, ...context }) => tinyModel.decode(x, context),
  }
  const o = policyGradient(all, tinyProcessor, {
    ...{ rows: 1, tokens: 36, answer: 6, learnt: 20, loss: dapo() },
  })
  const e = await thrown(() => o.terms(o.buckets[0]!))
  assert.instance(e, RecipeError)
  assert.match(e.message, 'policyGradient, learnt: it is 20, and the decode of model')
})

test('the last block is computed where something was drawn, where answers of full length leave half a row', async () => {
  const sizes = { rows: 2, tokens: 96, images: 2, completions: 6 }
  const of = (some: Partial<PolicyGradientSettings> = {}) => objectiveOf(dapo(), { ...sizes, ...some })
  const learntIn = (o: ReturnType<typeof objectiveOf>) => o.buckets.map((b) => b.learnt)
  assert.equal(learntIn(of()), [undefined, 48])
  assert.equal(of().collate(experiences)[0]!.sizes, { ...sizes, answer: 6, learnt: 48 })
  assert.equal(learntIn(of({ completions: 17 })), [undefined])
  assert.equal(learntIn(of({ learnt: 'all' })), [undefined])
  assert.equal(learntIn(of({ learnt: 20 })), [20])
  assert.not('learnt' in (of().config as object))
  assert.is((of({ learnt: 20 }).config as { learnt?: unknown }).learnt, 20)
  const e = await thrown(() => of({ learnt: 3 }).collate(experiences))
  assert.match(e.message, /has \d+ tokens to learn and a row has place for 3; raise learnt/)
  const blocks = topological([of().terms(of().buckets[1]!).sum])
  const widths = new Set(blocks.flatMap((t) => (findAxis(t, 'hidden') ? [findAxis(t, 'token')?.size] : [])))
  // the tiny model's one block is its last
  assert.equal(
    [...widths].filter((n) => n !== undefined && n > 36),
    [48],
  )
})

for (const engine of engines)
  test(`and gives what computing all of it gives, on ${engine.name}`, async () => {
    const sizes = { rows: 2, tokens: 96, images: 2, completions: 6 }
    const [all, some] = [
      await updated(engine, objectiveOf(dapo(), { ...sizes, learnt: 'all' })),
      await updated(engine, objectiveOf(dapo(), sizes)),
    ]
    const near = (got: number, want: number, what: string): void =>
      assert.ok(Math.abs(got - want) <= 1e-6 * (1 + Math.abs(want)), `${what}: ${got} for ${want}`)
    for (const key of ['loss', 'weight', 'gradientNorm'] as const) near(some[key], all[key], key)
    for (const [name, value] of Object.entries(all.metrics)) near(some.metrics[name]!, value, name)
    assert.ok(maxRelativeError(some.logProbs.flat(), all.logProbs.flat()) < 1e-6)
    assert.ok(maxRelativeError(some.after.flat(), all.after.flat()) < 1e-5)
  })

for (const engine of engines)
  test(`an update of one call gives what accumulating gives, metrics too, on ${engine.name}`, async () => {
    const objective = objectiveOf(dapo(), { rows: 2, tokens: 96, images: 2, completions: 6 })
    const [one, two] = [await updated(engine, objective, 1), await updated(engine, objective, 2)]
    for (const key of ['loss', 'weight', 'gradientNorm'] as const) closeTo(one[key], two[key], key)
    for (const [name, value] of Object.entries(two.metrics)) closeTo(one.metrics[name]!, value, name)
  })

test('the loss and the metrics are those of its formula on the log-probabilities that the session gives', async () => {
  const got = await updated(engines[0]!, objectiveOf(dapo(), { images: 1 }))
  let [sum, kl, high, low, weight] = [0, 0, 0, 0, 0]
  experiences.forEach((e, i) => {
    e.ids.forEach((_, t) => {
      const log = got.logProbs[i]![t]! - e.oldLogProbs[t]!
      const r = Math.exp(log)
      sum -= Math.min(r * e.advantage, Math.min(Math.max(r, 0.8), 1.28) * e.advantage)
      kl += r - 1 - log
      high += Number(e.advantage > 0 && r > 1.28)
      low += Number(e.advantage < 0 && r < 0.8)
      weight++
    })
  })
  closeTo(got.loss, sum / weight, 'loss')
  assert.is(got.weight, weight)
  closeTo(got.metrics.kl!, kl / weight, 'kl')
  closeTo(got.metrics.clipHigh!, high / weight, 'clipHigh')
  closeTo(got.metrics.clipLow!, low / weight, 'clipLow')
  assert.ok(high > 0 && low > 0, 'nothing was clipped: the case shows less than it should')
  assert.ok(got.metrics.entropy! > 0 && got.metrics.entropy! <= Math.log(tinyModel.vocabSize) + 1e-6)
})

test('with steps each token has the advantage of its completion and its own', async () => {
  const own = experiences.map((e, i) => ({ ...e, stepAdvantages: e.ids.map((_, t) => ((i + t) % 3) - 1) }))
  const objective = objectiveOf(dapo({ low: 0.9, high: 9 }), {
    rows: 2,
    tokens: 96,
    images: 2,
    completions: 6,
    steps: true,
  })
  const { inputs } = objective.collate(own)[0]!
  const at = (ids: readonly number[]): number =>
    [0, 1, 2, 3, 4].findIndex((row) => ids.every((id, t) => inputs.targets!.data[row * 6 + t] === id))
  for (const e of own) {
    const row = at(e.ids)
    e.stepAdvantages.forEach((a, t) => {
      closeTo(Number(inputs.advantages!.data[row * 6 + t]), e.advantage + a, `${e.id}, token ${t}`)
    })
  }
  const plain = await updated(engines[0]!, objectiveOf(dapo(), { images: 1 }))
  const same = await updated(engines[0]!, objectiveOf(dapo(), { images: 1, steps: true }))
  closeTo(same.loss, plain.loss, 'without steps it is what it was')
  assert.throws(() => objectiveOf(dapo(), { steps: 1 as never }), /steps: it is .*give true or false/)
  const saying = (some: Partial<PolicyGradientSettings>) => JSON.stringify(objectiveOf(dapo(), some).config)
  for (const some of [{ steps: true }, { entropyBonus: 0.1 }]) assert.not.equal(saying(some), saying({}))
})

test('log-probabilities and entropy are taken at the temperature', async () => {
  const [cold, one, hot] = [0.5, 1, 1000].map((temperature) =>
    objectiveOf(dapo(), { images: 1, temperature }),
  ) as [ReturnType<typeof objectiveOf>, ReturnType<typeof objectiveOf>, ReturnType<typeof objectiveOf>]
  const [a, b, c] = [
    await updated(engines[0]!, cold),
    await updated(engines[0]!, one),
    await updated(engines[0]!, hot),
  ]
  assert.ok(a.metrics.entropy! < b.metrics.entropy! && b.metrics.entropy! < c.metrics.entropy!)
  // where all logits are equal, each token is as likely
  for (const p of c.logProbs.flat()) closeTo(p, -Math.log(tinyModel.vocabSize), 'log-probability')
  assert.ok(maxRelativeError(a.logProbs.flat(), b.logProbs.flat()) > 1e-3)
})

test('a bonus is so many times the entropy that is measured, off the loss, beside what the loss has itself', async () => {
  const own: PolicyLoss = {
    ...dapo(),
    terms: (x) => ({ ...dapo().terms(x), auxiliary: { own: scalar(0.25) } }),
  }
  const of = (loss: PolicyLoss, entropyBonus?: number) =>
    updated(
      engines[0]!,
      // all in one micro-batch
      objectiveOf(loss, {
        ...{ rows: 3, tokens: 60, completions: 5, images: 2 },
        // where all tokens are as likely the entropy has no gradient
        temperature: 0.05,
        ...(entropyBonus === undefined ? {} : { entropyBonus }),
      }),
      1,
    )
  const [plain, bonus, both] = [await of(dapo()), await of(dapo(), 0.5), await of(own, 0.5)]
  assert.is(plain.batches, 1)
  closeTo(bonus.loss, plain.loss - 0.5 * plain.metrics.entropy!, 'the loss with a bonus')
  closeTo(both.loss, bonus.loss + 0.25, 'with a loss’s own as well')
  assert.ok(
    Math.abs(bonus.gradientNorm / plain.gradientNorm - 1) > 1e-3,
    `${bonus.gradientNorm} and ${plain.gradientNorm}`,
  )
})

test('an image that the completions of a task share is one image of the batch', () => {
  const sizes = { rows: 1, tokens: 200, images: 2, completions: 9, answer: 6 }
  const packs = packExperiences(experiences, sizes)
  assert.is(packs.length, 1)
  assert.is(packs[0]!.images.length, 2)
})

test('what does not fit is refused by name, with what to do', () => {
  const objective = objectiveOf(dapo(), { images: 1 })
  const with_ = (some: Partial<Experience>) => () => objective.collate([{ ...experiences[0]!, ...some }])
  const long = Array<number>(7).fill(3)
  assert.throws(
    with_({ ids: long, oldLogProbs: long }),
    /completion e0 has an answer of 7 tokens and the batch takes 6/,
  )
  assert.throws(
    with_({ promptIds: Array<number>(40).fill(3) }),
    /has 4\d tokens, prompt and answer, and a row holds 36/,
  )
  assert.throws(with_({ ids: [] }), /0 of an answer/)
  assert.throws(with_({ images: [] }), /completion e0 has 0 images but 16 image tokens/)
  assert.throws(with_({ oldLogProbs: [] }), /completion e0: oldLogProbs\[0\] is undefined/)
  assert.throws(with_({ oldLogProbs: [Number.NaN] }), /oldLogProbs\[0\] is NaN/)
  assert.throws(with_({ ids: [1e6] }), /the id 1000000 at place/)
  const two = [tinyConversation(3).images[0]!, tinyConversation(4).images[0]!]
  assert.throws(with_({ images: two }), /2 images and the batch holds 1/)
  assert.throws(
    () => objectiveOf(dapo(), { answer: 36 }),
    /policyGradient, answer: it is 36, and a row of 36 tokens/,
  )
  assert.throws(() => objectiveOf(dapo(), { temperature: 0 }), /temperature: it is 0/)
  assert.throws(
    () => objectiveOf({} as never),
    /policyGradient, loss: it is a record without terms; give a policy loss/,
  )
  for (const gives of [undefined, 3, {}]) {
    const own = { name: 'own', config: {}, terms: () => gives as never }
    const objective = objectiveOf(own)
    assert.throws(
      () => objective.terms(objective.buckets[0]!),
      /policyGradient, loss\.terms: that of 'own' gives .*; give \{ sum, weight \}/,
    )
  }
  assert.throws(
    () => objectiveOf(dapo({ truncate: 2 }), { images: 1 }).collate(experiences),
    /completion e\d: samplingLogProbs\[0\] is undefined/,
  )
})

test.run()
