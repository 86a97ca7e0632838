/** Gradients that add up: n micro-batches of uneven lengths are one batch n times as large, also across a kill. */
import { join } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import { firstValueFrom, takeWhile, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Conversation, conversation } from '../../src/data/conversation.ts'
import type { Engine } from '../../src/engine/session.ts'
import { adamWith } from '../../src/optim/index.ts'
import type { EventOf, RunEvent } from '../../src/run/events.ts'
import { unmeasured } from '../../src/train/evaluation.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { begin, next } from '../../src/train/recipe.ts'
import { experiment } from '../../src/train/recipe-experiment.ts'
import { fromScratch } from '../../src/train/recipe-start.ts'
import { supervised } from '../../src/train/supervised.ts'
import { orThrow } from '../../src/train/task.ts'
import { loadWeights, type Weights } from '../../src/train/weights.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { type Example, exampleAt, inputsOf, meanSquare, parts, regression } from '../support/regression.ts'
import { temporaryFolders } from '../support/temporary-folders.ts'
import { contextIn, counting, tinyConversation, tinyModel, tinyProcessor, watched } from '../support/tiny.ts'
import { until } from '../support/until.ts'

const engines = await hostEngines()
const test = suite(`train: gradients that add up on ${engines.map((e) => e.name).join(' and ')}`)
const { folder, remove } = temporaryFolders('sailwright-accumulate-')
test.after(remove)

/**
 * With an image or without, and from 2 to 12 learnt tokens, now and then 40: micro-batches count differently, and learn at
 * up to half of a row's places or at more.
 */
const uneven = (i: number): Conversation => {
  const c = conversation(tinyProcessor, {
    ...{ id: `uneven/${i}`, request: 'what', answer: 'abcdefghijk'.slice(0, 1 + ((i * 5) % 11)) },
    images: i % 3 === 1 ? [] : tinyConversation(i).images,
  })
  if (i % 6 !== 1) return c
  const more = 40 - c.lossMask.filter(Boolean).length
  const rest = Array.from({ length: more }, (_, t) => 7 + (t % 5))
  return { ...c, ids: [...c.ids, ...rest], lossMask: [...c.lossMask, ...rest.map(() => true)] }
}
const tokens = 72

const steps = 4
/** The same examples an update, in `accumulate` micro-batches of `rows`. */
const experimentOf = (rows: number, accumulate: number) =>
  experiment(
    pipe(
      begin({ name: 'uneven', seed: 2, model: tinyModel, start: fromScratch, now: 'fresh' }),
      next(
        supervised({
          ...{
            name: 'tune',
            from: 'fresh',
            to: 'tuned',
            train: Object.values(tinyModel.parts),
            steps,
            accumulate,
          },
          // the limit clips each update; a large epsilon keeps tiny gradients from being blown up to whole steps
          ...{ learningRate: 1e-2, maxGradientNorm: 0.5, optimizer: adamWith({ epsilon: 1e-3 }) },
          objective: nextToken(tinyModel, tinyProcessor, { rows, tokens }),
          source: watched(uneven),
        }),
      ),
    ),
    unmeasured,
    { checkpointEvery: 1 },
  )
const weightsIn = (at: string): Promise<Weights> =>
  orThrow(loadWeights(join(at, 'checkpoints', 'tune', 'model.safetensors')))
const ran = async (engine: Engine, rows: number, accumulate: number) => {
  const at = await folder()
  const events = await firstValueFrom(
    experimentOf(rows, accumulate).run(contextIn(at, engine)).pipe(toArray()),
  )
  return { at, taken: stepsOf(events), weights: await weightsIn(at) }
}
const stepsOf = (events: readonly RunEvent[]): readonly EventOf<'step'>[] =>
  events.flatMap((e) => (e.type === 'step' ? [e] : []))
const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= 1e-5, `${what} is ${error} away`)
}

for (const engine of engines) {
  let three: Awaited<ReturnType<typeof ran>>
  test(`${engine.name}: three micro-batches are one of three times as many rows`, async () => {
    const one = await ran(engine, 6, 1)
    three = await ran(engine, 2, 3)
    assert.is(one.taken.length, steps)
    // what the micro-batches of an update count differs, so that a mean of their means would be another loss
    const counted = [0, 2, 4].map((at) =>
      [at, at + 1].reduce((n, i) => n + uneven(i).lossMask.filter(Boolean).length, 0),
    )
    assert.is(new Set(counted).size, 3, `${counted}`)
    const batches = nextToken(tinyModel, tinyProcessor, { rows: 2, tokens }).collate([0, 1, 2, 3].map(uneven))
    assert.equal(
      batches.map((b) => b.sizes.learnt),
      [undefined, 36],
    )
    one.taken.forEach((want, i) => {
      const got = three.taken[i]!
      assert.equal(
        [got.samples, got.tokens, got.learningRate],
        [want.samples, want.tokens, want.learningRate],
      )
      assert.ok(want.gradientNorm > 0.5, 'it is clipped')
      near(`loss ${i + 1}`, [got.loss], [want.loss])
      near(`gradient norm ${i + 1}`, [got.gradientNorm], [want.gradientNorm])
    })
    assert.equal([...three.weights.keys()].sort(), [...one.weights.keys()].sort())
    for (const [key, want] of one.weights) near(key, three.weights.get(key)!.data, want.data)
  })

  test(`${engine.name}: stopped between two updates and gone on with, it ends with the same bits`, async () => {
    const at = await folder()
    const counted = counting(engine)
    const earlier = await firstValueFrom(
      experimentOf(2, 3)
        .run(contextIn(at, counted))
        .pipe(
          takeWhile((e) => !(e.type === 'step' && e.step === 3), true),
          toArray(),
        ),
    )
    await until(() => counted.open === 0)
    const later = await firstValueFrom(
      experimentOf(2, 3)
        .run(contextIn(at, engine, earlier))
        .pipe(toArray()),
    )
    assert.equal(
      stepsOf(later).map((e) => e.step),
      [3, 4],
    )
    assert.equal(
      stepsOf(later).map((e) => e.loss),
      three.taken.slice(2).map((e) => e.loss),
    )
    const got = await weightsIn(at)
    for (const [key, want] of three.weights) assert.equal(got.get(key)!.data, want.data, key)
  })
}

test('an objective of a user that knows its own batch alone is given no more at a time', async () => {
  const engine = engines[0]!
  const given: number[] = []
  const learnt = async (rows: number, accumulate: number) => {
    const at = await folder()
    const stage = supervised({
      ...{ name: 'tune', from: 'fresh', to: 'tuned', train: Object.values(parts), steps, accumulate },
      ...{ learningRate: 1e-2, optimizer: adamWith({ epsilon: 1e-3 }), source: watched(exampleAt) },
      objective: {
        ...meanSquare(rows),
        collate: (examples: readonly Example[]) => {
          given.push(examples.length)
          return [inputsOf(examples.slice(0, rows))] // as one that fills arrays of `rows` does
        },
      },
    })
    const recipe = begin({ name: 'rows', seed: 2, model: regression, start: fromScratch, now: 'fresh' })
    await firstValueFrom(
      experiment(pipe(recipe, next(stage)), unmeasured)
        .run(contextIn(at, engine))
        .pipe(toArray()),
    )
    return weightsIn(at)
  }
  const three = await learnt(2, 3)
  assert.equal([...new Set(given)], [2])
  for (const [key, want] of await learnt(6, 1)) near(key, three.get(key)!.data, want.data)
})

test.run()
