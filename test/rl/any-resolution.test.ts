/** Reinforcement with a model that reads images of any size: completions in packs are the completions one by one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tilesOf } from '../../src/data/collate.ts'
import { adamWith } from '../../src/optim/index.ts'
import { dapo, type Experience, packExperiences, policyGradient } from '../../src/rl/index.ts'
import { learnerProgram, orThrow, update } from '../../src/train/index.ts'
import { anyConversation, anyModel, anyProcessor } from '../support/any-sizes.ts'
import { hostEngines } from '../support/engines.ts'
import { messageThrown } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`policy gradient, images of any size on ${engines.map((e) => e.name).join(' and ')}`)

const tasks = [0, 1, 2].map((i) => anyConversation(i))
/** Two completions a task, which share its images. */
const experiences: readonly Experience[] = [0, 0, 1, 1, 2, 2].map((task, i) => {
  const { ids, promptLength, images } = tasks[task]!
  const length = 1 + ((i * 3) % 5)
  return {
    ...{ id: `e${i}`, promptIds: ids.slice(0, promptLength), images },
    ids: Array.from({ length }, (_, t) => 5 + ((i * 7 + t * 3) % 40)),
    oldLogProbs: Array.from({ length }, (_, t) => -3 - ((2 * i + t) % 5)),
    advantage: i % 2 === 0 ? 1 : -1,
  }
})
const sizes = { rows: 2, tokens: 80, images: 16, completions: 4, answer: 6 }
const objective = policyGradient(anyModel, anyProcessor, { loss: dapo(), ...sizes })

test('packs hold as many squares as they say, shared ones once', () => {
  const squares = (images: Iterable<Experience['images'][number]>) =>
    tilesOf(anyProcessor, [...new Set(images)])
  const packs = packExperiences(experiences, { ...sizes, images: 8 }, anyProcessor)
  for (const { images } of packs) assert.ok(squares(images) <= 8)
  assert.is(packs.flatMap(({ placed }) => placed).length, experiences.length)
  const most = Math.max(...tasks.map((t) => squares(t.images)))
  assert.match(
    messageThrown(() => packExperiences(experiences, { ...sizes, images: most - 1 }, anyProcessor)),
    new RegExp(`has ${most} images and the batch holds ${most - 1}`),
  )
})

for (const engine of engines)
  test(`${engine.name}: log-probabilities of packs are those of each completion alone; an update moves them`, async () => {
    const { program } = learnerProgram({
      ...{
        name: 'rl',
        objective,
        train: Object.values(anyModel.parts),
        optimizer: adamWith(),
        accumulate: 2,
      },
      ...{ maxGradientNorm: 1, functions: objective.functions },
    })
    const session = await orThrow(engine.load(program, { seed: 3 }))
    try {
      const packed = await objective.logProbs(session, experiences)
      for (const [i, e] of experiences.entries()) {
        const [alone] = await objective.logProbs(session, [e])
        for (const [t, x] of alone!.entries())
          assert.ok(Math.abs(x - packed[i]![t]!) < 2e-5 * (1 + Math.abs(x)), `${e.id}, ${t}: ${x}`)
      }
      const { gradientNorm } = await update(session, objective.collate(experiences), 1e-2)
      assert.ok(gradientNorm > 0 && Number.isFinite(gradientNorm))
      assert.not.equal(await objective.logProbs(session, experiences), packed)
    } finally {
      await orThrow(session.close())
    }
  })

test.run()
