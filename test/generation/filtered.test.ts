/** Answers whose tokens are filtered inside the graph, and by a host that asks for the logits of each token. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collateText } from '../../src/data/index.ts'
import { fixed, program } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import {
  type Answer,
  decoding,
  draw,
  type Sampling,
  settled,
  type Uniforms,
  uniforms,
} from '../../src/generation/index.ts'
import { decode, fillCache, qwen3Model } from '../../src/models/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { ints } from '../../src/train/internal.ts'
import { hostEngines, presentEngines } from '../support/engines.ts'
import { tiny, tinyConversation, tinyProcessor } from '../support/tiny.ts'

const test = suite('generation: filters inside and outside the graph')
const [reference] = await hostEngines()

// a size of heads for which onnx attends over the cache where it lies
const model = qwen3Model('text', { ...tiny.language, layers: 2, headDim: 8 })
const { image: _, ...text } = tinyProcessor
const sizes = { rows: 4, prompt: 32, capacity: 44 }
const prompts = [0, 1, 2, 3].map((i) => {
  const c = tinyConversation(i)
  const ids = c.ids.slice(0, 9 + 2 * i).map((id) => id % 200)
  return { ...c, ids, promptLength: ids.length, lossMask: ids.map(() => false), images: [] }
})
const numbers = prompts.map((_, i): Uniforms => uniforms(7, 'f', i))

const ways: readonly Sampling[] = [
  { maxNewTokens: 10, temperature: 1.3 },
  { maxNewTokens: 10, topK: 6 },
  { maxNewTokens: 10, topP: 0.7, temperature: 0.8 },
  { maxNewTokens: 10, topK: 40, topP: 0.95, minP: 0.05 },
  { maxNewTokens: 10, topK: 5, repetitionPenalty: 1.3 },
  { maxNewTokens: 10, repetitionPenalty: 0.6 },
  { maxNewTokens: 10, temperature: 0, topK: 3, repetitionPenalty: 1.7 },
]

interface Said {
  readonly ids: readonly number[]
  readonly logProbs: readonly number[]
}

/** Answers by a host: one call a token, each drawn from its logits. */
const byHost = async (engine: Engine): Promise<readonly (readonly Said[])[]> => {
  const { rows, prompt } = sizes
  const functions = {
    fill: fixed(() => fillCache(model, { ...sizes, images: 0 })),
    decode: fixed(() => decode(model, { ...sizes, images: 0 })),
  }
  const session = await orThrow(engine.load(program({ name: 'host', functions }), { seed: 4 }))
  const laid = collateText(prompts, { rows, tokens: prompt }, text)
  const all: Said[][] = []
  for (const way of ways) {
    const s = settled(way)
    await orThrow(
      session.call('fill', {
        input_ids: ints(laid.input_ids, rows, prompt),
        position_ids: ints(laid.position_ids, rows, prompt),
        source: ints(
          Int32Array.from({ length: rows }, (_, i) => i),
          rows,
        ),
      }),
    )
    const said = prompts.map(() => ({ ids: [] as number[], logProbs: [] as number[] }))
    for (let i = 0; i < s.maxNewTokens; i++) {
      const { logits } = await orThrow(
        session.call('decode', {
          input_ids: ints(
            Int32Array.from(said, (a, r) => a.ids.at(-1) ?? prompts[r]!.ids.at(-1)!),
            rows,
          ),
          position: ints(
            Int32Array.from(prompts, (p) => p.ids.length - 1 + i),
            rows,
          ),
        }),
      )
      said.forEach((a, r) => {
        const own = logits!.data.slice(r * model.vocabSize, (r + 1) * model.vocabSize)
        const drawn = draw(own, s, numbers[r]!(i), { seen: new Set([...prompts[r]!.ids, ...a.ids]) })
        a.ids.push(drawn.id)
        a.logProbs.push(drawn.logProb)
      })
    }
    all.push(said)
  }
  await orThrow(session.close())
  return all
}

/** Answers by a decoding, and the functions that were called. */
const inGraph = async (engine: Engine) => {
  const d = decoding(model, { ...text, end: -1 }, sizes)
  const session = await orThrow(
    engine.load(program({ name: 'decoding', functions: d.functions }), { seed: 4 }),
  )
  const called = new Set<string>()
  const watched = {
    ...session,
    call: (...[name, inputs]: Parameters<typeof session.call>) => {
      called.add(String(name))
      return session.call(name, inputs)
    },
  }
  const asked = prompts.map((prompt, i) => ({ prompt, uniforms: numbers[i]! }))
  const all: Answer<void>[][] = []
  for (const way of ways) {
    const own: Answer<void>[] = []
    for await (const a of d.answers<void>(watched, asked, { sampling: settled(way) })) own[a.index] = a
    all.push(own)
  }
  await orThrow(session.close())
  return { all, called }
}

const wanted = byHost(reference!)

for (const engine of await presentEngines())
  test(`${engine.name}: by any way the tokens are those that a host draws, and no logits are asked for`, async () => {
    const [want, { all, called }] = [await wanted, await inGraph(engine)]
    all.forEach((own, w) => {
      own.forEach((a, i) => {
        assert.equal(a.ids, want[w]![i]!.ids, `${JSON.stringify(ways[w])}, row ${i}`)
        a.logProbs.forEach((x, t) => {
          assert.ok(Math.abs(x - want[w]![i]!.logProbs[t]!) < 1e-4)
        })
      })
      assert.ok(new Set(own.map((a) => a.ids.join())).size > 1)
    })
    const extended = engine.name === 'xla' ? 'extendLoop' : 'extend'
    assert.equal([...called], ['prefill', extended, `${extended}Filtered`])
  })

test.run()
