/**
 * A model whose tokens attend to the last few alone, as Mistral's do, and one that applies a layer twice: text that is generated with a cache against the whole
 * forward graph in float64, on every engine.
 */
import { pipe } from 'fp-ts/lib/function.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { conversation, processor } from '../../src/data/index.ts'
import * as d from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/index.ts'
import { generator } from '../../src/generation/index.ts'
import { type CausalLm, causalLm, decode, prefill } from '../../src/models/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { orThrow } from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'
import { thrown } from '../support/tiny.ts'

const engines = await presentEngines()
const test = suite(`generation: a window of tokens on ${engines.map((e) => e.name).join(' and ')}`)

const texts = processor(nanoTokenizer())
const [embed, vocab] = [d.axis('embed', 32), d.axis('vocab', texts.tokenizer.size)]

/** Two layers of attention, or one that is applied twice; each token attends to the last `window` tokens. */
const windowed = (window: number, kvHeads: number, shared = false): CausalLm =>
  causalLm({
    ...{
      name: 'windowed',
      config: { window, kvHeads, shared },
      parts: { all: d.everyKey },
      vocabSize: vocab.size,
    },
    embed: (ids) => d.applyTo(d.at('words')(d.embedding(vocab, embed)), ids),
    decode: (x, { token, positions, keyPositions, mask, cache }) => {
      const near = d.less(d.sub(positions, keyPositions), window)
      const attention = d.selfAttention({
        ...{ token, embed, heads: 4, kvHeads, headDim: 8 },
        rotary: d.rotations(positions, d.axis('headDim', 8), 100),
        ...{ mask: d.and(mask, near), cache },
      })
      const layer = d.preNorm(d.at('norm')(d.rmsNorm(embed)), d.at('attention')(attention))
      const both = shared ? pipe(layer, d.andThen(layer), d.at('layer')) : d.at('layers')(d.repeat(2, layer))
      return d.applyTo(pipe(both, d.andThen(d.at('last')(d.rmsNorm(embed)))), x)
    },
    head: (x) => d.applyTo(d.at('head')(d.head(embed, vocab)), x),
  })

const capacity = 30
const asked = ['how many?', 'what is it there?'].map((request, i) =>
  conversation(texts, { id: `${i}`, request, answer: '' }),
)
const prompt = Math.max(...asked.map((c) => c.promptLength))
assert.ok(prompt < capacity - 6, String(prompt))
assert.ok(asked[0]!.promptLength < prompt)

/** Weights that make the likeliest token depend on much. */
const weightsOf = (model: CausalLm): ReadonlyMap<string, Float32Array> =>
  new Map(
    [...d.parametersOf(model.graph())].map(([key, t]) => [
      key,
      d
        .fill({ kind: 'uniform', limit: 0.9 }, d.elements(t.axes), 11, key)
        .map((x) => (key.includes('norm') || key.includes('last') ? 1 + x / 3 : x)),
    ]),
  )

/** The likeliest continuations until the cache is full. */
const continued = (model: CausalLm): readonly (readonly number[])[] => {
  const logits = model.graph({ batch: 1, tokens: capacity })
  const states = weightsOf(model)
  return asked.map((c) => {
    const ids = c.ids.slice(0, c.promptLength)
    while (ids.length < capacity) {
      const inputs = {
        input_ids: Array.from({ length: capacity }, (_, i) => ids[i] ?? 0),
        position_ids: Array.from({ length: capacity }, (_, i) => i),
      }
      const [all] = d.evaluate([logits], { inputs, states })
      const scores = [...all!.subarray((ids.length - 1) * vocab.size, ids.length * vocab.size)]
      const [first, second] = scores.toSorted((a, b) => b - a) as [number, number]
      assert.ok(first - second > 1e-3, 'a tie within float32 would decide')
      ids.push(scores.indexOf(first))
    }
    return ids.slice(c.promptLength)
  })
}

for (const kvHeads of [2, 4]) {
  const [narrow, wide] = [windowed(2, kvHeads), windowed(capacity, kvHeads)]
  const twice = windowed(capacity, kvHeads, true)
  const want = continued(narrow)

  test(`${kvHeads} heads of keys: the case is one in which the window counts`, () => {
    assert.not.equal(continued(wide), want)
    assert.ok(want.every((ids) => new Set(ids).size > 2))
  })

  for (const engine of engines)
    test(`${engine.name}, ${kvHeads} heads of keys: the same text with a cache`, async () => {
      for (const [model, wanted] of [
        [narrow, want],
        [wide, continued(wide)],
        [twice, continued(twice)],
      ] as const) {
        const g = generator(model, { ...texts, end: -1 }, { rows: 2, prompt, capacity })
        const p = d.program({ name: 'generation', functions: g.functions })
        const session = await orThrow(engine.load(p))
        const begun = [...weightsOf(model)].map(
          ([key, data]) => [key, tensorValue('float32', d.sizes(p.states.get(key)!.axes), data)] as const,
        )
        await orThrow(session.write(new Map(begun)))
        assert.equal(await g.generate(session, asked), wanted)
        await orThrow(session.close())
      }
    })
}

test('a mask that hides a token from itself, and all else, is named where its answer is NaN', async () => {
  const model: CausalLm = {
    ...windowed(5, 2),
    decode: (x, context) =>
      windowed(5, 2).decode(x, {
        ...context,
        mask: d.and(context.mask, d.less(context.keyPositions, -1)),
      }),
  }
  // xla gives such a token zeros, as the whole graph does
  for (const engine of engines.filter((e) => e.name !== 'xla')) {
    const g = generator(model, { ...texts, end: -1 }, { rows: 2, prompt, capacity })
    const session = await orThrow(engine.load(d.program({ name: 'blind', functions: g.functions })))
    const e = await thrown(() => g.generate(session, asked))
    await orThrow(session.close())
    assert.match(
      e.message,
      /token \d+, in the answer to [01], is NaN: its weights have diverged .*, or a mask of the model's own hides all/,
      engine.name,
    )
  }
})

for (const shared of [false, true])
  test(`one token a call${shared ? ', one layer applied twice' : ''}: the logits are those of the whole graph`, async () => {
    const model = windowed(5, 2, shared)
    const [asks] = asked
    const { promptLength } = asks!
    const ids = asks!.ids.slice(0, promptLength + 1)
    const whole = model.graph({ batch: 1, tokens: ids.length })
    const places = ids.map((_, i) => i)
    const fed = { input_ids: ids, position_ids: places }
    const [all] = d.evaluate([whole], { inputs: fed, states: weightsOf(model) })
    const sizes = { rows: 1, prompt: promptLength, capacity }
    const functions = {
      prefill: d.fixed(() => prefill(model, sizes)),
      decode: d.fixed(() => decode(model, sizes)),
    }
    const p = d.program({ name: 'one', functions })
    const int = (shape: readonly number[], of: readonly number[]) => tensorValue('int32', shape, of)
    for (const engine of engines) {
      const session = await orThrow(engine.load(p))
      const begun = [...weightsOf(model)].map(
        ([key, data]) => [key, tensorValue('float32', d.sizes(p.states.get(key)!.axes), data)] as const,
      )
      await orThrow(session.write(new Map(begun)))
      const row = [1, promptLength]
      const first = { input_ids: int(row, ids.slice(0, -1)), position_ids: int(row, places.slice(0, -1)) }
      await orThrow(
        session.call('prefill', { ...first, last: int([1], [promptLength - 1]), source: int([1], [0]) }),
      )
      const last = { input_ids: int([1], ids.slice(-1)), position: int([1], [promptLength]) }
      const { logits } = await orThrow(session.call('decode', last))
      await orThrow(session.close())
      const want = all!.subarray(promptLength * vocab.size)
      const most = Math.max(...want.map(Math.abs))
      for (const [i, x] of want.entries())
        assert.ok(
          Math.abs(logits!.data[i]! - x) < 1e-5 * most,
          `${engine.name}, ${i}: ${logits!.data[i]}, ${x}`,
        )
    }
  })

test.run()
