/** What is computed where something is learnt alone gives the loss and the gradients of all places. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CollateError, type Conversation, conversation } from '../../src/data/index.ts'
import {
  buckets,
  elements,
  type FunctionSpec,
  fill,
  findAxis,
  gradient,
  parametersOf,
  program,
  topological,
} from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { type CausalLm, sailVl2Model } from '../../src/models/index.ts'
import { nextToken } from '../../src/train/next-token.ts'
import type { Objective } from '../../src/train/objective.ts'
import { RecipeError } from '../../src/train/recipe-error.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { maxRelativeError } from '../support/fixtures.ts'
import { thrown, tiny, tinyConversation, tinyProcessor } from '../support/tiny.ts'

const engines = await hostEngines()
const test = suite(`train: learnt places on ${engines.map((e) => e.name).join(' and ')}`)

/** From 2 to 7 tokens to learn, with an image or without. */
const uneven = (i: number): Conversation =>
  conversation(tinyProcessor, {
    ...{ id: `uneven/${i}`, request: '?'.repeat(1 + i), answer: 'abcdef'.slice(0, 1 + ((i * 5) % 6)) },
    images: i % 3 === 1 ? [] : tinyConversation(i).images,
  })
const rows = [0, 1, 2].map(uneven)
const sizes = { rows: 4, tokens: 40 }
const learnt = 8

const language = { ...tiny.language, layers: 2 }
const experts = { experts: 4, perToken: 2, intermediateSize: 6, normalise: true, balance: 0.5, zLoss: 0.3 }
const models: Readonly<Record<string, CausalLm>> = {
  dense: sailVl2Model('dense', { ...tiny, language }),
  'with experts': sailVl2Model('sparse', { ...tiny, language: { ...language, moe: experts } }),
}

/** The loss, and its gradient by every parameter. */
const sums = (o: Objective<never>): FunctionSpec =>
  buckets(o.buckets, (s) => {
    const { sum, weight } = o.terms(s)
    const parameters = parametersOf(sum)
    const by = gradient(sum, [...parameters.values()])
    const gradients = Object.fromEntries([...parameters.keys()].map((key, i) => [key, by[i]!]))
    return { outputs: { sum, weight, ...gradients } }
  })

const compared = async (engine: Engine, model: CausalLm): Promise<void> => {
  const all = nextToken(model, tinyProcessor, sizes)
  const some = nextToken(model, tinyProcessor, { ...sizes, learnt })
  const session = await orThrow(
    engine.load(program({ name: 'places', functions: { all: sums(all), some: sums(some) } })),
  )
  try {
    const parameters = parametersOf(all.terms(all.buckets[0]!).sum)
    const moved = (key: string, n: number): Float32Array =>
      fill({ kind: 'uniform', limit: 0.6 }, n, 3, key).map((x) => (key.includes('norm') ? 1 + x : x))
    await orThrow(
      session.write(
        new Map(
          [...parameters].map(([key, t]) => {
            const shape = t.axes.map((a) => a.size)
            return [key, tensorValue('float32', shape, moved(key, elements(t.axes)))]
          }),
        ),
      ),
    )
    const [want, got] = [
      await orThrow(session.call('all', all.collate(rows)[0]!.inputs)),
      await orThrow(session.call('some', some.collate(rows)[0]!.inputs)),
    ]
    assert.equal(Object.keys(got), Object.keys(want))
    assert.ok(Number(want.weight!.data[0]) > learnt)
    for (const [key, { data }] of Object.entries(want))
      assert.ok(maxRelativeError(Array.from(got[key]!.data, Number), Array.from(data, Number)) < 1e-5, key)
  } finally {
    await orThrow(session.close())
  }
}

for (const engine of engines)
  for (const [name, model] of Object.entries(models))
    test(`${engine.name}, ${name}: loss and gradients are those of all places`, () => compared(engine, model))

test('the last block and the head compute so many tokens a row alone', () => {
  const o = nextToken(models.dense!, tinyProcessor, { ...sizes, learnt })
  const { sum } = o.terms(o.buckets[0]!)
  const tokens = (name: string): Set<number | undefined> =>
    new Set(
      topological([sum]).flatMap((t) =>
        findAxis(t, name) === undefined || findAxis(t, 'batch') === undefined
          ? []
          : [findAxis(t, 'token')?.size],
      ),
    )
  assert.equal(tokens('vocab'), new Set([learnt]))
  assert.equal(tokens('hidden'), new Set([sizes.tokens, learnt]))
})

test('a conversation that learns more is told by its name, before a step', async () => {
  const few = nextToken(models.dense!, tinyProcessor, { ...sizes, learnt: 3 })
  const e = await thrown(() => few.collate(rows))
  assert.instance(e, CollateError)
  assert.match(e.message, /sample uneven\/1 has \d tokens to learn and a row has place for 3; raise learnt/)
})

test('as many as a row has tokens are no setting', async () => {
  const e = await thrown(() => nextToken(models.dense!, tinyProcessor, { ...sizes, learnt: 40 }))
  assert.instance(e, RecipeError)
  assert.match(e.message, /learnt/)
})

test('a model whose decode takes no notice of what is wanted is told', async () => {
  const { decode, ...rest } = models.dense!
  const all: CausalLm = { ...rest, decode: (x, { wanted: _, ...context }) => decode(x, context) }
  const o = nextToken(all, tinyProcessor, { ...sizes, learnt })
  const e = await thrown(() => o.terms(o.buckets[0]!))
  assert.instance(e, RecipeError)
  assert.match(e.message, /learnt: it is 8, and the decode of model 'dense' gives other tokens/)
})

test.run()
