/** Completions behind one copy of their prompt: values and gradients are those of one completion a row. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, causal, fixed, input, logSoftmax, program } from '../../src/dsl/index.ts'
import { type Session, scalarValue, tensorValue } from '../../src/engine/index.ts'
import { logitsOf } from '../../src/models/index.ts'
import { adamWith, gradientKey } from '../../src/optim/index.ts'
import {
  dapo,
  type Experience,
  type ExperienceSizes,
  packExperiences,
  policyGradient,
} from '../../src/rl/index.ts'
import { learnerProgram, orThrow } from '../../src/train/index.ts'
import { hostEngines } from '../support/engines.ts'
import { tinyConversation, tinyModel, tinyProcessor } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`completions behind one prompt on ${engines.map((e) => e.name).join(' and ')}`)

const images = [0, 1, 2, 3, 4].map((i) => tinyConversation(i).images[0]!)

test('packs hold every experience once, behind its prompt, within their sizes, and are the same each time', () => {
  const sizes: ExperienceSizes = { rows: 2, tokens: 20, images: 3, completions: 4, answer: 10 }
  const one = fc.record({
    prompt: fc.integer({ min: 1, max: 10 }),
    answer: fc.integer({ min: 1, max: 10 }),
    images: fc.subarray(images, { maxLength: 3 }),
    copies: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), (all) => {
      const given = all.flatMap((e, i) =>
        Array.from({ length: e.copies }, (_, k) => ({
          id: `${i}.${k}`,
          promptIds: Array<number>(e.prompt).fill(1),
          ids: Array<number>(1 + ((e.answer + k) % 10)).fill(2),
          images: e.images,
        })),
      )
      const packs = packExperiences(given, sizes)
      assert.equal(
        packs.flatMap((p) => p.placed.map((x) => x.experience.id)).sort(),
        given.map((e) => e.id).sort(),
      )
      for (const { placed, prompts, images: shared } of packs) {
        assert.ok(placed.length <= sizes.completions && shared.length <= sizes.images)
        assert.equal(new Set(placed.map((p) => p.prompt)), new Set(prompts))
        for (const row of [0, 1]) {
          const taken = [
            ...prompts.filter((p) => p.row === row).map((p) => [p.start, p.promptIds.length] as const),
            ...placed
              .filter((p) => p.prompt.row === row)
              .map((p) => [p.start, p.experience.ids.length] as const),
          ].toSorted((a, b) => a[0] - b[0])
          let end = 0
          for (const [start, length] of taken) {
            assert.is(start, end)
            end += length
          }
          assert.ok(end <= sizes.tokens)
        }
        for (const { prompt, experience: e, start } of placed) {
          assert.equal([prompt.promptIds, prompt.images], [e.promptIds, e.images])
          assert.ok(start >= prompt.start + prompt.promptIds.length)
          for (const i of e.images) assert.ok(shared.includes(i))
        }
      }
      assert.equal(packExperiences(given, sizes), packs)
    }),
  )
})

test('a group has one copy of its prompt where a row takes it, and one a row where it does not', () => {
  const group = Array.from({ length: 8 }, (_, i) => ({
    ...{ id: `${i}`, promptIds: [1, 2, 3, 4, 5], ids: [6, 7, 8], images: [] },
  }))
  const copies = (tokens: number) =>
    packExperiences(group, { rows: 4, tokens, images: 0, completions: 8, answer: 3 }).flatMap(
      (p) => p.prompts,
    )
  assert.is(copies(29).length, 1)
  assert.is(copies(28).length, 2)
  assert.is(copies(8).length, 8)
})

/** A group of completions of one prompt; every third prompt has no image. */
const groupOf = (task: number, lengths: readonly number[], seed: number): readonly Experience[] => {
  const { ids, promptLength, images: own } = tinyConversation(task)
  const isText = task % 3 === 2
  const promptIds = ids
    .slice(0, promptLength)
    .filter((id) => !isText || id !== tinyProcessor.image?.placeholder)
  return lengths.map((length, k) => ({
    ...{ id: `${task}.${k}`, promptIds, images: isText ? [] : own },
    ids: Array.from({ length }, (_, t) => 5 + ((seed + 7 * task + 11 * k + 3 * t) % 40)),
    oldLogProbs: Array.from({ length }, (_, t) => -3 - ((k + t) % 3)),
    advantage: ((seed + k) % 5) - 2.3,
  }))
}

const objectiveOf = (some: Omit<ExperienceSizes, 'answer'>) =>
  policyGradient(tinyModel, tinyProcessor, { ...some, answer: 6, loss: dapo({ low: 0.99, high: 99 }) })

const [together, alone] = [
  objectiveOf({ rows: 2, tokens: 80, images: 4, completions: 13 }),
  objectiveOf({ rows: 1, tokens: 36, images: 1, completions: 1 }),
]

const train = Object.values(tinyModel.parts)
const learnerOf = (objective: typeof alone) => ({
  objective,
  ...learnerProgram({
    ...{ name: 'rl', objective, train, optimizer: adamWith({ weightDecay: 0 }), accumulate: 2 },
    ...{ maxGradientNorm: 1, functions: objective.functions },
  }),
})
const [sharing, single] = [learnerOf(together), learnerOf(alone)]

/** Log-probabilities, the gradient, and how many micro-batches it took. */
const measured = async (
  session: Session,
  { objective, trained }: typeof single,
  experiences: readonly Experience[],
) => {
  const logProbs = (await objective.logProbs(session, experiences)).flat()
  const batches = objective.collate(experiences)
  for (const { inputs } of batches) await orThrow(session.call('accumulate', inputs))
  const keys = trained.map(gradientKey)
  const read = await orThrow(session.read(keys))
  // nothing moves; what was added up is taken back to 0
  await orThrow(session.call('apply', { learning_rate: scalarValue(0) }))
  return {
    logProbs,
    gradient: keys.map((key) => Float64Array.from(read.get(key)!.data)),
    batches: batches.length,
  }
}

const apart = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
  let most = 0
  for (let i = 0; i < want.length; i++) most = Math.max(most, Math.abs(got[i]! - want[i]!))
  return most
}

test('every completion is read as the prompt and itself alone in a row are', async () => {
  const token = axis('token', 36)
  const of = (name: string) => input(name, [axis('batch', 1), token], 'int32')
  const whole = fixed(() => {
    const x = { token, positions: of('position_ids'), mask: causal(token), ids: of('input_ids') }
    return { outputs: { logProbs: logSoftmax(logitsOf(tinyModel, x), 'vocab') } }
  })
  const functions = { whole, ...together.functions }
  const session = await orThrow(engines[0]!.load(program({ name: 'both', functions }), { seed: 3 }))
  try {
    const experiences = groupOf(2, [3, 1, 6, 4], 5)
    const got = await together.logProbs(session, experiences)
    for (const [i, { promptIds, ids }] of experiences.entries()) {
      const row = (xs: readonly number[]) =>
        tensorValue(
          'int32',
          [1, 36],
          Array.from({ length: 36 }, (_, t) => xs[t] ?? 0),
        )
      const all = [...promptIds, ...ids]
      const inputs = { input_ids: row(all), position_ids: row([...all.keys()]) }
      const { data, shape } = (await orThrow(session.call('whole', inputs))).logProbs!
      const want = ids.map((id, t) => data[(promptIds.length + t - 1) * shape[2]! + id]!)
      assert.ok(apart(got[i]!, want as number[]) <= 1e-5, `completion ${i}: ${got[i]} for ${want}`)
    }
  } finally {
    await orThrow(session.close())
  }
})

for (const engine of engines)
  test(`${engine.name}: values and gradients are those of one completion a row`, async () => {
    const [one, other] = [
      await orThrow(engine.load(sharing.program, { seed: 3 })),
      await orThrow(engine.load(single.program, { seed: 3 })),
    ]
    try {
      const some = fc.record({
        groups: fc.array(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }), {
          ...{ minLength: 1, maxLength: 4 },
        }),
        seed: fc.nat(100),
      })
      await fc.assert(
        fc.asyncProperty(some, async ({ groups, seed }) => {
          const experiences = groups.flatMap((lengths, task) => groupOf(task, lengths, seed))
          const got = await measured(one, sharing, experiences)
          const want = await measured(other, single, experiences)
          assert.is(want.batches, experiences.length)
          assert.ok(apart(got.logProbs, want.logProbs) <= 1e-5, 'log-probabilities')
          const largest = Math.max(...want.gradient.map((g) => apart(g, new Float64Array(g.length))))
          got.gradient.forEach((g, i) => {
            const off = apart(g, want.gradient[i]!) / largest
            assert.ok(off <= 1e-5, `the gradient of ${single.trained[i]} is ${off} away`)
          })
        }),
        { numRuns: 12, endOnFailure: true },
      )
    } finally {
      await orThrow(one.close())
      await orThrow(other.close())
    }
  })

test.run()
