/** Requests about images of any size: the answers are those of greedy generation, whatever is answered beside them. */
import { firstValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { program } from '../../src/dsl/index.ts'
import { generator } from '../../src/generation/generator.ts'
import { settled } from '../../src/generation/sampling.ts'
import { batching } from '../../src/serve/batch.ts'
import { orThrow } from '../../src/train/task.ts'
import { anyConversation, anyModel, anyProcessor } from '../support/any-sizes.ts'
import { hostEngines } from '../support/engines.ts'

const [engine] = await hostEngines()
const test = suite(`serve: images of any size on ${engine?.name}`)

test('answers are those of greedy generation', async () => {
  const prompts = [0, 1, 2, 3].map((i) => {
    const c = anyConversation(i)
    const [ids, lossMask] = [c.ids.slice(0, c.promptLength), c.lossMask.slice(0, c.promptLength)]
    return { ...c, ids, lossMask }
  })
  const writing = generator(anyModel, anyProcessor, { rows: 2, prompt: 32, capacity: 40, images: 16 })
  const serving = batching(anyModel, anyProcessor, { rows: 2, context: 40, images: 8 })
  const opened = (functions: typeof writing.functions) =>
    orThrow(engine!.load(program({ name: 'any', functions }), { seed: 5 }))
  const [first, second] = [await opened(writing.functions), await opened(serving.functions)]
  try {
    const want = await writing.generate(first, prompts)
    const { answer } = serving.open(second)
    const sampling = settled({ maxNewTokens: 40, temperature: 0 })
    const got = await Promise.all(
      prompts.map(async (prompt) => {
        serving.check(prompt)
        const tokens = await firstValueFrom(answer({ prompt, sampling, uniforms: () => 0 }).pipe(toArray()))
        return tokens.filter((t) => t.last !== 'end').map((t) => t.id)
      }),
    )
    assert.equal(got, want)
    assert.ok(new Set(want.map(String)).size > 1, 'answers depend on the prompt')
  } finally {
    await orThrow(first.close())
    await orThrow(second.close())
  }
})

test.run()
