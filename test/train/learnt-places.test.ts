/** What is computed where something is learnt alone gives the loss and the gradients of all places. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CollateError, type Conversation, conversation } from '../../src/data/index.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  applyTo,
  at,
  axis,
  buckets,
  cast,
  elements,
  type FunctionSpec,
  fill,
  findAxis,
  gradient,
  iota,
  mean,
  mul,
  pad,
  parametersOf,
  program,
  slice,
  softmax,
  type Tensor,
  topological,
} from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { type CausalLm, mixtureOfExperts, sailVl2Model } from '../../src/models/index.ts'
import { nanoModel, nanoProcessor } from '../../src/tasks/index.ts'
import type { Learnt } from '../../src/train/learnt-places.ts'
import { nextToken } from '../../src/train/next-token.ts'
import { lossOf, type Objective } from '../../src/train/objective.ts'
import { packedNextToken } from '../../src/train/packed-next-token.ts'
import { RecipeError } from '../../src/train/setting-checks.ts'
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

/** What is measured, the loss with all that is added to it, and its gradient by every parameter. */
const sums = (o: Objective<never>): FunctionSpec =>
  buckets(o.buckets, (s) => {
    const terms = o.terms(s)
    const loss = lossOf(terms)
    const parameters = parametersOf(loss)
    const by = gradient(loss, [...parameters.values()])
    const gradients = Object.fromEntries([...parameters.keys()].map((key, i) => [key, by[i]!]))
    const measured = Object.entries(terms.metrics!()).flatMap(([name, m]) => [
      [`${name}.sum`, m.sum] as const,
      [`${name}.weight`, m.weight] as const,
    ])
    return {
      outputs: { sum: terms.sum, weight: terms.weight, loss, ...Object.fromEntries(measured), ...gradients },
    }
  })

/** Weights off their plain start. */
const moved = (key: string, n: number): Float32Array =>
  fill({ kind: 'uniform', limit: 0.6 }, n, 3, key).map((x) => (key.includes('norm') ? 1 + x : x))

/** The same examples in everything and at fewer places: metrics, losses of the whole update and gradients are the same. */
const compared = async <E>(
  engine: Engine,
  examples: readonly E[],
  all: Objective<E>,
  some: Objective<E>,
): Promise<void> => {
  const session = await orThrow(
    engine.load(program({ name: 'places', functions: { all: sums(all), some: sums(some) } })),
  )
  try {
    const parameters = parametersOf(all.terms(all.buckets[0]!).sum)
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
      await orThrow(session.call('all', all.collate(examples)[0]!.inputs)),
      await orThrow(session.call('some', some.collate(examples)[0]!.inputs)),
    ]
    assert.equal(Object.keys(got), Object.keys(want))
    assert.ok(Number(want.weight!.data[0]) > 0)
    for (const [key, { data }] of Object.entries(want)) {
      const error = maxRelativeError(Array.from(got[key]!.data, Number), Array.from(data, Number))
      // of a gradient float32 rounds sums of many tokens, in another order
      assert.ok(error < (parameters.has(key) ? 1e-5 : 1e-6), `${key}: ${error}`)
    }
  } finally {
    await orThrow(session.close())
  }
}

for (const engine of engines)
  for (const [name, model] of Object.entries(models))
    test(`${engine.name}, ${name}: loss, metrics and gradients are those of all places`, async () => {
      const all = nextToken(model, tinyProcessor, { ...sizes, learnt: 'all' })
      await compared(engine, rows, all, nextToken(model, tinyProcessor, { ...sizes, learnt }))
    })

/** An answer of so many tokens behind one of a prompt: the first place of a row is learnt as well. */
const text = (tokens: number): Conversation => ({
  ...{ id: `text/${tokens}`, images: [], promptLength: 1 },
  ids: [7, ...Array.from({ length: tokens }, (_, t) => 7 + (t % 5))],
  lossMask: [false, ...Array<boolean>(tokens).fill(true)],
})
const wide = { rows: 4, tokens: 80, images: 8 }
const pack = { rows: [[uneven(0), text(9), uneven(1)], [text(30)], [uneven(2), uneven(3)]] }

for (const engine of engines)
  for (const [name, model] of Object.entries(models))
    test(`${engine.name}, ${name}: so are those of a pack, by sample`, async () => {
      const all = packedNextToken(model, tinyProcessor, wide, { mean: 'sample', learnt: 'all' })
      const some = packedNextToken(model, tinyProcessor, wide, { mean: 'sample' })
      assert.is(some.collate([pack])[0]!.sizes.learnt, 40)
      await compared(engine, [pack], all, some)
    })

test('in float64 the numbers of a pack are those of all places to the last digits', () => {
  const given = (learnt: Learnt): ReadonlyMap<string, Float64Array | Float32Array> => {
    const o = packedNextToken(models.dense!, tinyProcessor, wide, { learnt })
    const [batch] = o.collate([pack])
    const { outputs } = sums(o).build[o.buckets.indexOf(batch!.sizes as never)]!()
    const names = Object.keys(outputs)
    const roots = Object.values(outputs)
    const states = Object.fromEntries(
      [...parametersOf(...roots)].map(([key, t]) => [key, moved(key, elements(t.axes))]),
    )
    const inputs = Object.fromEntries(Object.entries(batch!.inputs).map(([k, v]) => [k, v.data]))
    return new Map(evaluate(roots, { inputs, states }).map((v, i) => [names[i]!, v as Float64Array]))
  }
  const [all, some] = [given('all'), given('auto')]
  for (const [key, want] of all) {
    const error = maxRelativeError(some.get(key)!, want)
    assert.ok(error < 1e-12, `${key}: ${error}`)
  }
})

test('the smallest of three sizes is taken that holds what a batch learns; short rows have one', () => {
  const o = nextToken(models.dense!, tinyProcessor, { rows: 2, tokens: 128 })
  const all = { rows: 2, tokens: 128, images: 2 }
  assert.equal(o.buckets, [all, { ...all, learnt: 64 }, { ...all, learnt: 32 }])
  const taken = (...tokens: readonly number[]) => o.collate(tokens.map(text))[0]!.sizes.learnt
  assert.equal([taken(3, 32), taken(33, 3), taken(64), taken(65, 3)], [32, 64, 64, undefined])
  assert.not('learnt_places' in o.collate([text(65)])[0]!.inputs)
  assert.is(nextToken(models.dense!, tinyProcessor, { rows: 2, tokens: 62 }).buckets.length, 1)
  assert.is(nextToken(models.dense!, tinyProcessor, { rows: 2, tokens: 64 }).buckets.length, 2)
})

test('all shipped kinds of models give what is wanted', () => {
  const nano = nextToken(nanoModel, nanoProcessor(), { rows: 1, tokens: 128 })
  assert.is(nano.buckets.length, 3)
  const sparse = nextToken(models['with experts']!, tinyProcessor, { rows: 1, tokens: 128 })
  assert.is(sparse.buckets.length, 3)
})

test('the setting is a number, auto or all; a run says of it what was asked for', async () => {
  const of = (learnt?: Learnt) =>
    nextToken(models.dense!, tinyProcessor, { ...wide, ...(learnt && { learnt }) })
  const configOf = (learnt?: Learnt) => (of(learnt).config as { learnt?: unknown }).learnt
  assert.equal([configOf(), configOf('auto'), configOf('all'), configOf(5)], [undefined, undefined, 'all', 5])
  assert.equal([of('all').buckets.length, of(5).buckets.length, of().buckets.length], [1, 1, 2])
  for (const bad of ['some', 0, 1.5, {}] as unknown as readonly Learnt[]) {
    const e = await thrown(() => packedNextToken(models.dense!, tinyProcessor, wide, { learnt: bad }))
    assert.instance(e, RecipeError)
    assert.match(e.message, /packedNextToken, learnt: it is .*; give a (whole )?number/)
  }
  const few = packedNextToken(models.dense!, tinyProcessor, wide, { learnt: 12 })
  const e = await thrown(() => few.collate([pack]))
  assert.instance(e, CollateError)
  assert.match(e.message, /sample text\/30 has 30 tokens to learn and a row has place for 12; raise learnt/)
  // of several samples it is their row that has so many
  const together = await thrown(() => few.collate([{ rows: [[uneven(0), text(12)]] }]))
  assert.match(
    together.message,
    /^the row of sample uneven\/0 has 14 tokens to learn and a row has place for 12/,
  )
})

/** The model with another decode. */
const decoding = (decode: (model: CausalLm) => CausalLm['decode']): CausalLm => ({
  ...models.dense!,
  decode: decode(models.dense!),
})
/** Adds to each token the one before it. */
const withBefore = (x: Tensor): Tensor => {
  const n = findAxis(x, 'token')!.size
  return n < 2 ? x : add(x, slice(pad(x, 'token', 1, 0), 'token', 0, n))
}
const own: Readonly<Record<string, CausalLm>> = {
  'decode takes no notice': decoding(
    (m) =>
      (x, { wanted: _, ...context }) =>
        m.decode(x, context),
  ),
  'decode mixes tokens afterwards': decoding((m) => (x, context) => withBefore(m.decode(x, context))),
  'decode takes the mean of all': decoding((m) => (x, context) => {
    const y = m.decode(x, context)
    return add(y, mean(y, 'token'))
  }),
  'decode weighs tokens by one another': decoding(
    (m) => (x, context) => softmax(m.decode(x, context), 'token'),
  ),
  'decode reads every position': decoding(
    (m) => (x, context) => add(m.decode(x, context), cast(context.positions, 'float32')),
  ),
  'decode numbers tokens afterwards': decoding((m) => (x, context) => {
    const y = m.decode(x, context)
    return add(y, cast(iota(findAxis(y, 'token')!), 'float32'))
  }),
  'experts are chosen for what is wanted': {
    ...models['with experts']!,
    decode: (x, context) => {
      const more = at('more')(mixtureOfExperts(experts, axis('embed', language.hiddenSize)))
      return applyTo(more, models['with experts']!.decode(x, context))
    },
  },
  'head mixes tokens': { ...models.dense!, head: (x) => withBefore(models.dense!.head(x)) },
}
for (const [what, model] of Object.entries(own))
  test(`a model whose ${what} computes everything, without an error`, () => {
    for (const o of [
      nextToken(model, tinyProcessor, { rows: 2, tokens: 128 }),
      packedNextToken(model, tinyProcessor, wide),
    ]) {
      assert.is(o.buckets.length, 1)
      o.terms(o.buckets[0]!)
    }
    const [batch] = nextToken(model, tinyProcessor, wide).collate([text(3)])
    assert.not('learnt_places' in batch!.inputs)
    // asked for a number of places by hand, it is an error; where axes do not meet, the graph says so
    const asked = nextToken(model, tinyProcessor, { ...wide, learnt: 48 })
    const told =
      what === 'decode reads every position'
        ? / 48 /
        : / learnt: it is 48, and the decode of model '.*; leave it out$/
    assert.throws(() => asked.terms(asked.buckets[0]!), told)
  })
test('a decode that works token by token afterwards leaves the others out', () => {
  const model = decoding((m) => (x, context) => mul(m.decode(x, context), 2))
  assert.is(nextToken(model, tinyProcessor, { rows: 2, tokens: 128 }).buckets.length, 3)
})

test('the last block and the head compute so many tokens a row alone', () => {
  const o = nextToken(models.dense!, tinyProcessor, { rows: 4, tokens: 64 })
  const { sum } = o.terms(o.buckets[1]!)
  const tokens = (name: string): Set<number | undefined> =>
    new Set(
      topological([sum]).flatMap((t) =>
        findAxis(t, name) === undefined || findAxis(t, 'batch') === undefined
          ? []
          : [findAxis(t, 'token')?.size],
      ),
    )
  assert.equal(tokens('vocab'), new Set([32]))
  assert.equal(tokens('hidden'), new Set([64, 32]))
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
