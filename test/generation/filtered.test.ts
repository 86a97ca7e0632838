/** Answers by filters where the engine filters inside its loop, and where the host does it token by token. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { program } from '../../src/dsl/index.ts'
import type { Engine } from '../../src/engine/session.ts'
import { type Answer, decoding, type Sampling, settled, uniforms } from '../../src/generation/index.ts'
import { orThrow } from '../../src/train/index.ts'
import { presentEngines } from '../support/engines.ts'
import { tinyConversation, tinyModel, tinyProcessor } from '../support/tiny.ts'

const test = suite('generation: filters inside and outside the graph')
const engines = await presentEngines()
const [xla, host] = [engines.find((e) => e.name === 'xla'), engines.find((e) => e.name === 'onnx')]

const ways: readonly Sampling[] = [
  { maxNewTokens: 10, temperature: 1.3 },
  { maxNewTokens: 10, topK: 6 },
  { maxNewTokens: 10, topP: 0.7, temperature: 0.8 },
  { maxNewTokens: 10, topK: 40, topP: 0.95, minP: 0.05 },
  { maxNewTokens: 10, topK: 5, repetitionPenalty: 1.3 },
]

/** Answers of a tiny model to four prompts, by each of the ways; and the functions that were called. */
const answered = async (engine: Engine) => {
  const d = decoding(tinyModel, tinyProcessor, { rows: 4, prompt: 32, capacity: 44 })
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
  const asked = [0, 1, 2, 3].map((i) => ({ prompt: tinyConversation(i), uniforms: uniforms(7, 'f', i) }))
  const all: Answer<void>[][] = []
  for (const sampling of ways) {
    const own: Answer<void>[] = []
    for await (const a of d.answers<void>(watched, asked, { sampling: settled(sampling) })) own[a.index] = a
    all.push(own)
  }
  await orThrow(session.close())
  return { all, called }
}

if (xla !== undefined && host !== undefined)
  test('by any way both give the same tokens, and a device is not asked for logits but for the penalty', async () => {
    const [there, here] = [await answered(xla), await answered(host)]
    there.all.forEach((own, w) => {
      own.forEach((a, i) => {
        const want = here.all[w]![i]!
        assert.equal(a.ids, want.ids, JSON.stringify(ways[w]))
        a.logProbs.forEach((x, t) => {
          assert.ok(Math.abs(x - want.logProbs[t]!) < 1e-4)
        })
      })
      assert.ok(new Set(own.map((a) => a.ids.join())).size > 1)
    })
    assert.equal([...there.called], ['prefill', 'extendLoop', 'extendLoopFiltered', 'decode'])
    assert.equal([...here.called], ['prefill', 'extend', 'decode'])
  })
else test.skip('there is no plugin for this processor', () => undefined)

test.run()
