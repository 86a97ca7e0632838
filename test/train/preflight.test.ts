/** What is asked of a recipe's stages before the first step, and of which. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, axis, fixed, normal, program, state } from '../../src/dsl/index.ts'
import type { Recipe } from '../../src/train/recipe.ts'
import { preflight } from '../../src/train/recipe-preflight.ts'
import type { Stage, StageProgram } from '../../src/train/stage.ts'
import { inMemory } from '../../src/train/weights.ts'

const test = suite('train: before the first step')

const N = axis('n', 2)
/** A program that reads states of these keys. */
const reading = (...keys: readonly string[]): StageProgram => ({
  program: program({
    name: keys.join(),
    functions: {
      step: fixed(() => ({
        outputs: { y: keys.map((key) => state(key, [N], normal(1))).reduce((a, b) => add(a, b)) },
      })),
    },
  }),
  trained: [...keys],
})

/** Stages that say that they were asked; `more` is of the first. */
const recipeOf = (asked: string[], names: readonly string[], more: Partial<Stage> = {}): Recipe =>
  ({
    name: 'asked',
    start: {
      config: 'given',
      weights: inMemory(new Map()),
      fresh: { name: 'w', has: (key: string) => key !== 'lora' },
    },
    stages: names.map((name, i) => ({
      name,
      preflight: async () => {
        asked.push(name)
      },
      ...(i === 0 ? more : {}),
    })),
  }) as unknown as Recipe

const askedOf = async (from: number, to: number, begun?: string): Promise<readonly string[]> => {
  const asked: string[] = []
  const names = ['first', 'second', 'third', 'last']
  const programs = names.map(() => reading('w'))
  await preflight(recipeOf(asked, names), programs, [from, to], begun, inMemory(new Map()), 1)
  return asked
}

test('only stages that this start comes to are asked, and of those not the one that has begun', async () => {
  assert.equal(await askedOf(0, 4), ['first', 'second', 'third', 'last'])
  assert.equal(await askedOf(1, 3), ['second', 'third'])
  assert.equal(await askedOf(1, 4, 'second'), ['third', 'last'])
  assert.equal(await askedOf(4, 4), [])
})

test('what a stage throws names it, once, and keeps its kind and its stack', async () => {
  const failing = async (thrown: Error): Promise<Error> => {
    const broken = async (): Promise<void> => {
      throw thrown
    }
    const r = recipeOf([], ['first'], { preflight: broken })
    return await preflight(r, [reading('w')], [0, 1], undefined, inMemory(new Map()), 1).then(
      () => new Error('nothing was thrown'),
      (e: Error) => e,
    )
  }
  const mine = new RangeError('my collate')
  const { stack } = mine
  const said = await failing(mine)
  assert.is(said.message, "stage 'first': my collate")
  assert.instance(said, RangeError)
  assert.is(said.stack, stack)
  assert.is((await failing(said)).message, "stage 'first': my collate")
})

test('what a stage leaves is there for the next one, but for what it ends without', async () => {
  const programs = [reading('w', 'lora'), reading('w', 'lora')]
  const own = { name: 'adapters', has: (key: string) => key === 'lora' }
  const tried = (more: Partial<Stage>): Promise<string> =>
    preflight(
      recipeOf([], ['adapted', 'next'], { own, ...more }),
      programs,
      [0, 2],
      undefined,
      inMemory(new Map()),
      1,
    )
      .then(() => 'nothing')
      .catch((e: Error) => e.message)
  assert.is(await tried({}), 'nothing')
  const ending = { without: own } as unknown as NonNullable<Stage['ending']>
  assert.match(await tried({ ending }), /lora/)
})

test.run()
